//! Names, nesting and the text of values.

use super::*;
use crate::format::FileFormat;
use crate::format::dotenv::Dotenv;
use crate::format::json::Json;
use crate::format::yaml::Yaml;

fn exported(
    format: &dyn FileFormat,
    text: &str,
    reading: &Reading,
    only: &[&str],
) -> Result<Vec<String>, ExportError> {
    let tree = format.parse(SecretBytes::from(text)).unwrap();
    let mut variables = Variables::default();
    let mut only = Only::new(only.iter().map(|&pattern| pattern.to_owned()));
    variables.add(&tree, reading, &mut only)?;
    Ok(shown(&variables))
}

fn shown(variables: &Variables) -> Vec<String> {
    let show = |variable: &Variable| {
        format!("{}={}", variable.name, String::from_utf8_lossy(&variable.value))
    };
    variables.iter().map(show).collect()
}

fn nested(separator: &str) -> Reading {
    Reading { separator: Some(separator.to_owned()), ..Reading::default() }
}

fn as_sops() -> Reading {
    Reading { source: Source::AsSops, ..Reading::default() }
}

#[test]
fn values_have_the_text_that_sops_gives_them() {
    let text = "# comment\ns: a\nm: \"a\\nb\"\ni: 0x1F\nf: 1.50\ng: 2.0\nh: 12345678.5\nb: true\n\
                d: 2020-01-02\nt: 2020-01-02T03:04:05.678+02:00\ne: ''\nn: null # nothing\n";
    let mut expected = vec![
        "s=a",
        "m=a\nb",
        "i=31",
        "f=1.5",
        "g=2.0",
        "h=12345678.5",
        "b=true",
        "d=2020-01-02T00:00:00Z",
        "t=2020-01-02T03:04:05+02:00",
        "e=",
        "n=",
    ];
    assert_eq!(exported(&Yaml, text, &Reading::default(), &[]).unwrap(), expected);
    expected[5] = "h=1.23456785E+07";
    *expected.last_mut().unwrap() = "n=<nil>";
    assert_eq!(exported(&Yaml, text, &as_sops(), &[]).unwrap(), expected);
}

#[test]
fn a_whole_number_in_json_is_an_integer() {
    let json = Reading { source: Source::Json, ..Reading::default() };
    let text = r#"{"a": 5432.0, "b": 1e3, "c": 0.5, "d": -0.0}"#;
    assert_eq!(exported(&Json, text, &json, &[]).unwrap(), ["a=5432", "b=1000", "c=0.5", "d=-0"]);
    let sops = ["a=5432.0", "b=1000.0", "c=0.5", "d=-0.0"];
    assert_eq!(exported(&Json, text, &as_sops(), &[]).unwrap(), sops);
}

#[test]
fn nested_values_need_a_separator() {
    let text = r#"{"a": {"b": 1, "c": [true, {"d": "x"}, []]}, "e": {}, "f": 2}"#;
    let error = exported(&Json, text, &Reading::default(), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot use complex value in environment; offending key a");
    assert_eq!(
        exported(&Json, text, &nested("__"), &[]).unwrap(),
        ["a__b=1", "a__c__0=true", "a__c__1__d=x", "f=2"]
    );
}

#[test]
fn only_what_is_chosen_can_be_an_error() {
    let text = r#"{"a": {"b": 1}, "c d": 2, "e": 3, "e2": 4}"#;
    assert_eq!(exported(&Json, text, &Reading::default(), &["e*"]).unwrap(), ["e=3", "e2=4"]);
    assert_eq!(exported(&Json, text, &nested("."), &["a.?", "e2"]).unwrap(), ["a.b=1", "e2=4"]);
    assert!(exported(&Json, text, &Reading::default(), &["a"]).is_err());
}

#[test]
fn names_that_no_environment_can_hold_are_refused() {
    for (key, message) in [
        ("a=b", "cannot use keys with '=' in environment: a=b"),
        ("", "`` cannot be the name of a variable: it is empty"),
        ("a b", "`a b` cannot be the name of a variable: it has a blank or control character"),
        ("a\\u0000b", "`a\0b` cannot be the name of a variable: it has a NUL character"),
    ] {
        let text = format!("{{\"{key}\": 1}}");
        let error = exported(&Json, &text, &Reading::default(), &[]).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(exported(&Json, r#"{"a b": 1, "": 2}"#, &as_sops(), &[]).unwrap(), ["a b=1", "=2"]);
    assert!(exported(&Json, r#"{"a=b": 1}"#, &as_sops(), &[]).is_err());
}

#[test]
fn a_nul_is_refused_without_showing_the_value() {
    for reading in [Reading::default(), as_sops()] {
        let error = exported(&Json, r#"{"a": "canary\u0000"}"#, &reading, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the value of `a` has a NUL byte, which no variable can hold"
        );
    }
}

#[test]
fn of_equal_keys_the_last_counts_and_different_ones_with_one_name_are_refused() {
    let twice = r#"{"a": 1, "b": 2, "a": 3}"#;
    assert_eq!(exported(&Json, twice, &Reading::default(), &[]).unwrap(), ["a=3", "b=2"]);
    for text in [r#"{"a_b": 1, "a": {"b": 2}}"#, r#"{"a": {"b": 2}, "a_b": 1}"#] {
        let error = exported(&Json, text, &nested("_"), &[]).unwrap_err();
        assert_eq!(error.to_string(), "two keys of the file give the variable `a_b`");
    }
}

#[test]
fn a_later_file_wins() {
    let mut variables = Variables::default();
    for text in [r#"{"a": 1, "b": {"c": 2}}"#, r#"{"b_c": 3, "d": 4}"#] {
        let tree = Json.parse(SecretBytes::from(text)).unwrap();
        variables.add(&tree, &nested("_"), &mut Only::default()).unwrap();
    }
    assert_eq!(shown(&variables), ["a=1", "b_c=3", "d=4"]);
}

#[test]
fn one_document_is_exported() {
    let text = "a: 1\n---\nb: 2\n";
    let error = exported(&Yaml, text, &Reading::default(), &[]).unwrap_err();
    assert!(matches!(error, ExportError::SeveralDocuments));
    assert_eq!(exported(&Yaml, text, &as_sops(), &[]).unwrap(), ["a=1"]);
}

#[test]
fn dotenv_is_interpreted_where_that_is_asked_for() {
    let text = "# c\nA=1\nexport B=\"two\\nlines\" # c\n C = 'x y'\nA=2\r\n";
    let reading = Reading { source: Source::Dotenv, ..Reading::default() };
    assert_eq!(exported(&Dotenv, text, &reading, &[]).unwrap(), ["A=2", "B=two\nlines", "C=x y"]);
    assert_eq!(
        exported(&Dotenv, text, &as_sops(), &[]).unwrap(),
        ["A=2\r", "export B=\"two\nlines\" # c", " C = 'x y'"]
    );
}

#[test]
fn depth_costs_neither_stack_nor_time() {
    let depth = 9_000;
    let text = "{\"key\":".repeat(depth) + "1" + &"}".repeat(depth);
    let error = exported(&Json, &text, &nested("_"), &[]).unwrap_err();
    assert!(error.to_string().ends_with("it is longer than 4,096 bytes"));
}
