//! Each class of spellings, at each kind of place: what is encrypted comes back to the byte.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::comes_back;
use crate::format::by_name;

/// Puts spellings at a place of a text, for `@` and `$`.
fn check(format: &str, places: &[&str], place: usize, first: &str, second: &str) -> TestCaseResult {
    let lines = places[place % places.len()].replace('@', first).replace('$', second);
    for text in [lines.replace('\n', "\r\n"), lines] {
        comes_back(by_name(format).unwrap(), text.as_bytes()).map_err(TestCaseError::fail)?;
    }
    Ok(())
}

/// Places for a scalar on one line.
const INLINE: &[&str] = &[
    "a: @\nb: $\n",
    "a: @",
    "a: @ # c\n# d\nb: $ # e\n",
    "a:\n  - @\n  - $\n",
    "a:\n- - @\n  - $ # c\n- b: @\n",
    "a: [@, $, {b: @}]\nc: {d: $}\n",
    "a: [\n  @, # c\n  $\n]\n",
    "a: &x @\nb: *x\nc: [*x, $]\n",
    "a: !!str @\nb: !tag $\n",
    "a:\n  @\nb:\n  c: $\n\n\n# d\n",
    "---\na: @\n---\na: $\n...\n",
    "a_unencrypted: @\nb: $\n",
    "? a\n: @\n? b\n: $\n",
];

/// Places for a scalar of several lines.
const BLOCKS: &[&str] = &[
    "a: @\nb: $\n",
    "a: @",
    "a: @\n# c\nb: 1\n",
    "a:\n  b: @\n  # c\n  d: $\n",
    "a:\n  - @\n  - $\n",
    "a: &x @\nb: *x\n",
    "a: !!str @\nb: $\n# end",
];

/// Plain scalars that are no texts, or nearly are.
fn typed() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+]?(0|[1-9][0-9_]{0,19})",
        "[-+]?0[xX][0-9a-fA-F_]{1,17}",
        "[-+]?0[oO]?[0-7_]{1,22}",
        "[-+]?0[bB][01_]{1,20}",
        "[-+]?[0-9]{0,5}\\.[0-9]{0,12}([eE][-+]?[0-9]{1,3})?",
        "[-+]?[0-9_]{1,6}[eE][-+]?[0-9]{1,3}",
        "[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)",
        "(?i:true|false|yes|no|on|off|y|n|null|~)",
        "[0-9]{4}-[01]?[0-9]-[0-3]?[0-9]",
        "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2]?[0-9]:[0-5]?[0-9]:[0-5]?[0-9]([.,][0-9]{1,12})?(Z|[-+][0-2][0-9]:[0-5][0-9])?",
        "[0-9]{1,2}(:[0-5]?[0-9]){1,2}",
        "<<|=|",
    ]
}

/// Texts in quotes, and plain.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "'([ -&(-~éß日😀]|''|\t){0,12}'",
        r#""([ -!#-\[\]-~éß日😀]|\\[0abtnvfreNLP_ "/\\]|\\x[0-9a-fA-F]{2}|\\u[0-9a-cA-C][0-9a-fA-F]{3}|\\U000[01][0-9a-f]{4}){0,12}""#,
        "[a-zé日😀]([ -~éß日😀\u{a0}]{0,12}[a-z.!?])?",
        "[-?:][a-z]{1,4}(:[a-z]|[a-z]#)?",
        "ENC\\[[ -~]{0,8}\\]",
    ]
}

/// Block scalars; the lines of quoted and plain texts that are folded.
fn block() -> impl Strategy<Value = String> {
    let line = "( {0,4}[!-~é日]([ -~é日]{0,8}[!-~])?( {0,2})|\t[a-z]{1,3}| {0,3})";
    let lines = proptest::collection::vec(line, 1..6);
    let header = "[|>][-+]?( # c| #|  )?";
    prop_oneof![
        (header, lines.clone()).prop_map(|(header, lines)| indented(&header, &lines, 6)),
        ("[|>][1-4][-+]?", lines.clone(), 3..8usize)
            .prop_map(|(header, lines, indent)| indented(&header, &lines, indent)),
        proptest::collection::vec("[a-zé]{1,5}( [a-z0-9]{1,4}){0,2}", 2..5)
            .prop_map(|lines| lines.join("\n      ")),
        proptest::collection::vec("[a-zé]{1,5}( [a-z0-9]{1,4}){0,2}", 2..5)
            .prop_map(|lines| format!("'{}'", lines.join("\n\n      "))),
        proptest::collection::vec(r"[a-zé]{1,5}( |\\n|\\ |\\t|\\)", 2..5)
            .prop_map(|lines| format!("\"{}\"", lines.join("\n      "))),
    ]
}

fn indented(header: &str, lines: &[String], indent: usize) -> String {
    let lines = lines.iter().map(|line| format!("\n{}{line}", " ".repeat(indent)));
    header.to_owned() + &lines.collect::<String>()
}

fn comment() -> impl Strategy<Value = String> {
    "#( |  |\t|!|#{1,4}|- )?([ -~é日😀]{0,16})?"
}

const COMMENTS: &[&str] = &[
    "@\na: 1\n$\n",
    "a: 1 @\n\n$\nb: 2\n",
    "a: @\n  b: 1\n  $\nc: 2\n",
    "a: @\n  - 1 $\n",
    "a:\n  @\n  - 1\n\n  $\n  - 2\nb: 3\n",
    "a:\n- @\n  b: 1\n  $\n- c: 2\n@\n",
    "a: [1, @\n  2 $\n]\n",
    "a: {b: 1} @\n$\n",
    "a: | @\n  x\n$\nb: 1",
    "a: @\n$\nb: &x 1 @\nc: *x $\n",
    "--- @\na: 1\n--- $\nb: 2\n... @\n",
    "a:\n  b:\n    - c: 1\n      @\n    $\n  @\nd: 1\n$",
];

const JSON: &[&str] = &[
    r#"{"a":@,"b":[$]}"#,
    "{\n\t\"a\": @,\n\t\"b\": {\"c\": $}\n}\n",
    "{ \"a\" : [ [ @ ] , { } , $ ] }\n\n",
    "{\"a_unencrypted\": @, \"b\": $}",
];

fn json() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,14})?([eE][-+]?[0-9]{1,2})?",
        r#""([ -!#-\[\]-~éß日😀]|\\["/\\bfnrt]|\\u[0-9a-cA-C][0-9a-fA-F]{3}|\\ud83d\\ude0[0-9a-f]){0,12}""#,
        "true|false|null|\\{ ?\\}|\\[\n?\\]",
    ]
}

const DOTENV: &[&str] =
    &["A=@\nB=$\n", "A=@", "export A=@\n\n#$\nB=1\n", "A=@\nA=$\n\n", "#@\n#$\nA_unencrypted=@"];

const INI: &[&str] = &[
    "[a]\nb = @\nc=$\n",
    "b=@\n[a]\n  c : $ ; d\n",
    "; @\n[a] # $\n# e\nb = @",
    "[a]\nb = \"@\"\nc = '$'\n[a]\nb=`@`\n",
    "[a]\nb = \"\"\"@\n$\"\"\"\nc = @ \\\n  $\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_spelling_of_numbers_times_and_words(
        place in 0..INLINE.len(), first in typed(), second in typed()
    ) {
        check("yaml", INLINE, place, &first, &second)?;
    }

    #[test]
    fn every_spelling_of_texts(place in 0..INLINE.len(), first in text(), second in text()) {
        check("yaml", INLINE, place, &first, &second)?;
    }

    #[test]
    fn every_spelling_of_several_lines(
        place in 0..BLOCKS.len(), first in block(), second in block()
    ) {
        check("yaml", BLOCKS, place, &first, &second)?;
    }

    #[test]
    fn every_tag_and_anchor(
        place in 0..INLINE.len(),
        first in "(&[a-z]{1,3} )?!(!(int|float|bool|null|str|timestamp|binary) |[a-z]{0,4} )",
        value in prop_oneof![typed(), text()],
        second in text(),
    ) {
        check("yaml", INLINE, place, &(first + &value), &second)?;
    }

    #[test]
    fn every_spelling_of_comments(
        place in 0..COMMENTS.len(), first in comment(), second in comment()
    ) {
        check("yaml", COMMENTS, place, &first, &second)?;
    }

    #[test]
    fn every_spelling_of_json(place in 0..JSON.len(), first in json(), second in json()) {
        check("json", JSON, place, &first, &second)?;
        check("yaml", JSON, place, &first, &second)?;
    }

    #[test]
    fn every_spelling_of_lines_and_sections(
        place in 0..DOTENV.len().max(INI.len()),
        first in "( |\t)?[ -~é日😀\\\\n\"'`#;=]{0,16}( |\t|\\\\)?",
        second in "[ -~]{0,12}",
    ) {
        check("dotenv", DOTENV, place, &first, &second)?;
        check("ini", INI, place, &first, &second)?;
    }
}
