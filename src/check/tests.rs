//! What is found, and what is not.

use super::*;
use crate::config::{Config, Strictness};

const ALICE: &str = "age1p425dg54alxas5ngyta05t8vms4gqs7ps52cfjd72wytc3q32awsh3mzqa";
const BOB: &str = "age15gyz6sdjsk2hpnkt3e2durvu49lh8c6685cdlj9c8znmelcksfnqv9hn4x";
const CAROL: &str = "age1lu6lfe2w83cl26dhp06a0sx6xmzt4z0tqfcys5k3gayx6gnm3cgsyzaga5";

fn found(rule: &str, path: &str, text: &str) -> Vec<(&'static str, Option<(usize, usize)>)> {
    let config = format!("creation_rules:\n  - age: {ALICE},{BOB}\n{rule}");
    let (config, _) = Config::parse(config.as_bytes(), "c", Strictness::Strict).unwrap();
    let subject = Subject { path, rule: config.rule_for(path) };
    inspect(&subject, SecretBytes::from(text.as_bytes()))
        .findings
        .into_iter()
        .map(|finding| {
            (finding.code.name(), finding.position.map(|place| (place.line, place.column)))
        })
        .collect()
}

#[test]
fn a_plain_file_that_a_rule_matches_is_found_at_its_first_value() {
    let rule = "    path_regex: ^prod/\n";
    let text = "# c\na:\n  b: secret\n";
    assert_eq!(found(rule, "prod/a.yaml", text), [("plaintext-file", Some((3, 3)))]);
    assert_eq!(found(rule, "test/a.yaml", text), []);
    assert_eq!(found(rule, "prod/key.pem", "x"), [("plaintext-file", Some((1, 1)))]);
    assert_eq!(found(rule, "prod/a.yaml", "a: ["), [("plaintext-file", Some((1, 5)))]);
}

#[test]
fn a_plain_file_in_which_the_rule_covers_nothing_is_fine() {
    let rule = "    path_regex: \\.yaml$\n    encrypted_regex: ^(data|stringData)$\n";
    assert_eq!(found(rule, "a.yaml", "kind: Deployment\nspec: {replicas: 2}\n"), []);
    let text = "kind: Secret\nstringData:\n  a: b\n";
    assert_eq!(found(rule, "a.yaml", text), [("plaintext-file", Some((3, 3)))]);
    assert_eq!(found(rule, "a.yaml", ""), []);
}

#[test]
fn with_a_rule_for_everything_the_name_tells() {
    for path in
        ["secrets.yaml", "app.enc.json", ".env.production", "x/my-secret.ini", "db.sops.env"]
    {
        assert_eq!(found("", path, "{\"a\": \"b\"}\n").len(), 1, "{path}");
    }
    for path in ["README.md", "src/main.rs", ".sops.yaml", "values.yaml", ".gitattributes"] {
        assert_eq!(found("", path, "{\"a\": \"b\"}\n"), [], "{path}");
    }
}

#[test]
fn conflict_markers_are_found_before_parsing() {
    let text = "a: 1\n<<<<<<< x\nb: 1\n=======\nb: 2\n>>>>>>> y\nsops:\n    mac: ''\n";
    assert_eq!(found("", "a.yaml", text), [("conflict-markers", Some((2, 1)))]);
}

#[test]
fn what_is_wrong_with_an_encrypted_file_is_found() {
    let fine = include_str!("../../testdata/examples/app.json");
    assert_eq!(found("", "app.json", fine), []);
    let start = fine.find("ENC[").unwrap();
    let end = start + fine[start..].find('"').unwrap();
    let clear = format!("{}oops{}", &fine[..start], &fine[end..]);
    assert_eq!(found("", "app.json", &clear).first().unwrap().0, "plaintext-value");
    let cut = format!("{}{}", &fine[..start + 30], &fine[start + 40..]);
    let cut = cut.replacen("AES256_GCM,data:", "AES256_GCM,data:!", 1);
    assert_eq!(found("", "app.json", &cut).first().unwrap().0, "malformed-value");
    let no_mac = fine.replacen("\"mac\": \"ENC[", "\"mac\": \"ENV[", 1);
    assert_ne!(no_mac, fine);
    assert_eq!(found("", "app.json", &no_mac), [("malformed-mac", None)]);
    let no_time = fine.replacen("lastmodified\": \"2", "lastmodified\": \"x", 1);
    assert_ne!(no_time, fine);
    assert_eq!(found("", "app.json", &no_time), [("malformed-metadata", None)]);
    let no_data_key = fine.replacen("-----BEGIN", "-----NO", 1);
    assert_ne!(no_data_key, fine);
    let cut_off = &fine[..fine.len() - 3];
    assert_eq!(found("", "app.json", cut_off).first().unwrap().0, "unreadable");
}

#[test]
fn an_encrypted_file_is_compared_with_its_rule() {
    let fine = include_str!("../../testdata/examples/app.json");
    let codes = |rule: &str, text: &str| -> Vec<String> {
        let config = format!("creation_rules:\n  - {}\n", rule.replace('\n', "\n    "));
        let (config, _) = Config::parse(config.as_bytes(), "c", Strictness::Strict).unwrap();
        let subject = Subject { path: "app.json", rule: config.rule_for("app.json") };
        let found = inspect(&subject, SecretBytes::from(text.as_bytes())).findings;
        found
            .iter()
            .map(|finding| format!("{}: {}", finding.code.name(), finding.message))
            .collect()
    };
    let stranger = |key| {
        format!(
            "recipients-differ: the file is encrypted for the age key `{key}`, which its creation \
             rule does not name"
        )
    };
    let missing = format!(
        "recipients-differ: the file is not encrypted for the age key `{CAROL}`, which its \
         creation rule names"
    );
    let both = format!("age: {BOB},{ALICE}");
    assert_eq!(codes(&both, fine), Vec::<String>::new());
    assert_eq!(
        codes(&format!("age: {CAROL}"), fine),
        [stranger(ALICE), stranger(BOB), missing.clone()]
    );
    assert_eq!(codes(&format!("{both},{CAROL}"), fine), [missing]);
    assert_eq!(
        codes(&format!("key_groups:\n- age: [{ALICE}]\n- age: [{BOB}]"), fine),
        [
            "recipients-differ: the file has key groups: 1, and its creation rule: 2".to_owned(),
            stranger(BOB)
        ]
    );
    assert_eq!(
        codes(&format!("{both}\nmac_only_encrypted: true"), fine),
        ["rule-differs: the file has `mac_only_encrypted: false`, and its creation rule `true`"]
    );
    assert_eq!(
        codes(&format!("{both}\nencrypted_suffix: _x"), fine),
        ["rule-differs: the file is encrypted by `unencrypted_suffix: _unencrypted`, and its \
             creation rule has `encrypted_suffix: _x`"]
    );
}

#[test]
fn another_programs_entry_with_the_name_of_the_metadata_is_no_broken_file() {
    let text = "{\"sops\": \"a tool\", \"version\": 1}\n";
    assert_eq!(found("    path_regex: ^prod/\n", "tools.json", text), []);
    let rule = "    path_regex: \\.json$\n";
    assert_eq!(found(rule, "tools.json", text), [("malformed-metadata", None)]);
}

#[test]
fn a_plain_comment_beside_empty_values_is_found() {
    let rule = "    path_regex: ^prod/\n";
    let text = "# password: x\nport:\n";
    assert_eq!(found(rule, "prod/a.yaml", text), [("plaintext-comment", Some((1, 1)))]);
}

#[test]
fn codes_have_names_of_their_own() {
    for (at, code) in Code::ALL.iter().enumerate() {
        assert_eq!(Code::from_name(code.name()), Some(*code));
        assert!(Code::ALL[..at].iter().all(|other| other.name() != code.name()));
        assert!(code.description().ends_with('.'));
    }
}
