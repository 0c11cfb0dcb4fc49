//! Tests of encrypting, decrypting and editing texts.

use super::*;
use crate::format::{self, by_name};
use crate::keys::{FieldValue, KeyGroup, WrappedKey};
use crate::selector::Selector;
use crate::tree::Timestamp;

const NOW: i64 = 1_790_000_000;

pub(super) fn key() -> DataKey {
    DataKey::from_bytes(&[3; 32]).unwrap()
}

pub(super) fn metadata(rule: Option<(&str, &str)>) -> Metadata {
    let fields = vec![("recipient".to_owned(), FieldValue::Text("age1x".to_owned()))];
    let key = WrappedKey {
        key: keys::from_fields("age", fields),
        wrapped: Some("wrapped\n".to_owned()),
        created_at: None,
    };
    let now = Timestamp::from_unix_timestamp(NOW).unwrap();
    let mut metadata = Metadata::new(vec![KeyGroup { keys: vec![key] }], now);
    metadata.selector = rule.and_then(|(name, value)| Selector::from_field(name, value).unwrap());
    metadata
}

fn document(format: &str, text: &[u8]) -> Document {
    Document::parse(by_name(format).unwrap(), SecretBytes::from(text)).unwrap()
}

fn seal(format: &str, text: &[u8], rule: Option<(&str, &str)>) -> Result<SecretBytes, FileError> {
    let plan = Plan {
        metadata: metadata(rule),
        data_key: &key(),
        output: by_name(format).unwrap(),
        layout: Layout::default(),
        previous: None,
        allow_nothing_selected: false,
    };
    encrypt(document(format, text), plan)
}

fn open(format: &str, text: &[u8]) -> Result<DecryptedFile, FileError> {
    EncryptedFile::parse(by_name(format).unwrap(), SecretBytes::from(text))?.decrypt(&key())
}

fn edit(format: &str, encrypted: &[u8], change: impl Fn(&str) -> String) -> String {
    let file = open(format, encrypted).unwrap();
    let text = String::from_utf8(file.text().unwrap().to_vec()).unwrap();
    let (mut metadata, mut previous) = file.into_previous().unwrap();
    metadata.last_modified = Timestamp::from_unix_timestamp(NOW + 60).unwrap();
    let plan = Plan {
        metadata,
        data_key: &key(),
        output: by_name(format).unwrap(),
        layout: Layout::default(),
        previous: Some(&mut previous),
        allow_nothing_selected: false,
    };
    let sealed = encrypt(document(format, change(&text).as_bytes()), plan).unwrap();
    String::from_utf8(sealed.to_vec()).unwrap()
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The lines that differ, which must be as many on both sides.
fn changed_lines(before: &str, after: &str) -> Vec<String> {
    assert_eq!(before.lines().count(), after.lines().count());
    before.lines().zip(after.lines()).filter(|(a, b)| a != b).map(|(a, _)| a.to_owned()).collect()
}

const TEXTS: &[(&str, &str)] = &[
    (
        "json",
        "{\n  \"a\": \"x\",\n  \"n\": 1,\n  \"l\": [true, null, \"\", 1.5, \"x\", \"x\"],\n  \"m\": {\"k\": \"v\"}\n}\n",
    ),
    ("json", "{\"a\":\"x\"}"),
    ("dotenv", "# c\nA=1\n\nB=two words\nexport C='q'\r\n#\nD=\n"),
    ("binary", "\u{0}any\r\nthing"),
    ("binary", "x"),
];

#[test]
fn aliases_are_written_out_with_the_comments_of_their_anchor() {
    let sealing = regex::Regex::new(r"ENC\[[^\]]*\]").unwrap();
    for (text, expected) in [
        ("a: &a\n  # h\n  x: 1 # l\nb: *a\n", "a: &a\n  #E\n  x: E #E\nb:\n  #E\n  x: E #E\n"),
        ("a: &a\n- x # l\nb:  *a # b\nc: 1\n", "a: &a\n- E #E\n#E\nb:\n    - E #E\nc: E\n"),
        (
            "a: &a\n  x: 1\n  # f\nb:\n- *a # b\n- [*a]\n",
            "a: &a\n  x: E\n  #E\nb:\n#E\n- x: E\n  #E\n- [{x: \"E\",\n  #E\n  }]\n",
        ),
        (
            "a: &a\n  # h\n  x: 1\nb:\n- k\n# m\n- *a\n",
            "a: &a\n  #E\n  x: E\nb:\n- E\n#E\n#E\n- x: E\n",
        ),
        ("a: &a {} # e\nb: *a\n", "a: &a {} #E\nb: {}\n"),
    ] {
        let sealed = seal("yaml", text.as_bytes(), None).unwrap();
        let sealed = String::from_utf8_lossy(&sealed).into_owned();
        let (body, _) = sealed.split_once("sops:\n").unwrap();
        assert_eq!(sealing.replace_all(body, "E"), expected, "{text}");
        let opened = open("yaml", sealed.as_bytes()).unwrap();
        assert_eq!(String::from_utf8_lossy(&opened.text().unwrap()), text);
    }
}

#[test]
fn a_comment_beside_an_alias_within_braces_comes_to_stand_above_the_copy() {
    let sealing = regex::Regex::new(r"ENC\[[^\]]*\]").unwrap();
    for (text, expected) in [
        (
            "x: &x\n  # h\n  a: 1\ny: {m: *x # r\n} # t\n",
            "y: {\n  #E\n  m: {\n  #E\n  a: \"E\"}\n} #E\n",
        ),
        (
            "x: &x\n  # h\n  a: 1\ny: [*x, # p\n  1]\n",
            "y: [\n  #E\n  #E\n  {a: \"E\"},\n  \"E\"]\n",
        ),
        (
            "x: &x\n  a: 1 # h\ny: [0, *x # p\n]\nz: 1\n",
            "y: [\"E\", \n  #E\n  #E\n  {a: \"E\"}\n]\nz: E\n",
        ),
    ] {
        for newline in ["\n", "\r\n"] {
            let text = text.replace('\n', newline);
            let sealed = seal("yaml", text.as_bytes(), None).unwrap();
            let shown =
                String::from_utf8_lossy(&sealed).replace("\r\n\r\n", "\n").replace('\r', "");
            let (_, rest) = shown.split_once("\ny: ").unwrap();
            let (body, _) = rest.split_once("sops:\n").unwrap();
            assert_eq!(format!("y: {}", sealing.replace_all(body, "E")), expected, "{text}");
            let opened = open("yaml", &sealed).unwrap();
            assert_eq!(String::from_utf8_lossy(&opened.text().unwrap()), text);
        }
    }
}

#[test]
fn comments_of_an_alias_within_braces_are_read_again_behind_cr_lf() {
    for text in [
        "a: &a\n  # h\n  x: 1 # l\n  # m\n  y: 2\n  # f\nb: {c: *a}\n",
        "a: &a\n  # h\n  - 1 # l\n  # m\n  - 2\nb: [*a, 3]\nc: {d: *a}\n",
        "a: &a\n  # h\n  x:\n  # i\n  - # k\n    - 1\n    # m\n    - 2\nb: [*a]\n",
    ] {
        let text = text.replace('\n', "\r\n");
        let sealed = seal("yaml", text.as_bytes(), None).unwrap();
        let file = EncryptedFile::parse(by_name("yaml").unwrap(), sealed).unwrap();
        assert!(file.tree.strays().is_empty(), "{text}");
        let opened = file.decrypt(&key()).unwrap();
        assert_eq!(String::from_utf8_lossy(&opened.text().unwrap()), text);
    }
}

#[test]
fn an_alias_that_stays_does_not_count_the_comments_of_its_anchor_twice() {
    let text = "base: &b\n  # head\n  x: 1 # line\nother:   *b\nsecret: v\n";
    let sealed = seal("yaml", text.as_bytes(), Some(("encrypted_regex", "^secret"))).unwrap();
    let sealed = String::from_utf8_lossy(&sealed).into_owned();
    let clear = "base: &b\n  # head\n  x: 1 # line\nother:   *b\nsecret: ENC[";
    assert!(sealed.starts_with(clear), "{sealed}");
    let opened = open("yaml", sealed.as_bytes()).unwrap();
    assert_eq!(String::from_utf8_lossy(&opened.text().unwrap()), text);
}

#[test]
fn decryption_gives_the_text_back() {
    for (format, text) in TEXTS {
        let sealed = seal(format, text.as_bytes(), None).unwrap();
        let opened = open(format, &sealed).unwrap();
        assert_eq!(utf8(&opened.text().unwrap()), *text, "{format}");
        for canary in ["two words", "any\r\nthing"] {
            assert!(!utf8(&sealed).contains(canary));
        }
    }
}

#[test]
fn an_unchanged_text_keeps_every_line_but_mac_and_time() {
    for (format, text) in TEXTS.iter().filter(|(_, text)| text.contains('\n')) {
        let sealed = seal(format, text.as_bytes(), None).unwrap();
        let again = edit(format, &sealed, str::to_owned);
        let changed = changed_lines(utf8(&sealed), &again);
        assert_eq!(changed.len(), 2, "{changed:?}");
        assert!(changed.iter().all(|line| line.contains("lastmodified") || line.contains("mac")));
        assert_eq!(utf8(&open(format, again.as_bytes()).unwrap().text().unwrap()), *text);
    }
}

#[test]
fn a_changed_value_changes_its_line() {
    let sealed = seal("json", TEXTS[0].1.as_bytes(), None).unwrap();
    let again = edit("json", &sealed, |text| text.replace("\"v\"", "\"w\""));
    let changed = changed_lines(utf8(&sealed), &again);
    assert_eq!(changed.len(), 3);
    assert!(changed[0].contains("\"k\""));

    let sealed = seal("dotenv", TEXTS[2].1.as_bytes(), None).unwrap();
    let again = edit("dotenv", &sealed, |text| text.replace("A=1", "A=2"));
    let changed = changed_lines(utf8(&sealed), &again);
    assert_eq!(changed.len(), 3);
    assert!(changed[0].starts_with("A="));
}

#[test]
fn equal_members_of_a_list_keep_their_own_ciphertexts() {
    let sealed = seal("json", b"{\"l\":[\"x\",\n\"x\",\n\"x\"\n]}", None).unwrap();
    let lines: std::collections::HashSet<&str> =
        utf8(&sealed).lines().take(3).map(|line| &line[line.len() - 60..]).collect();
    assert_eq!(lines.len(), 3);
    let again = edit("json", &sealed, |text| text.replacen("\"x\"", "\"y\"", 1));
    let before: Vec<&str> = utf8(&sealed).lines().collect();
    let after: Vec<&str> = again.lines().collect();
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1..3], after[1..3]);
    let again = edit("json", &sealed, |text| text.replacen("\"x\",\n", "\"y\",\n\"x\",\n", 1));
    let after: Vec<&str> = again.lines().collect();
    assert_eq!(before[1..3], after[2..4]);
}

#[test]
fn rules_leave_the_rest_in_clear() {
    let text = br#"{"a":1,"secret":{"b":"x","c":[2]},"b_unencrypted":"y"}"#;
    let sealed = seal("json", text, Some(("encrypted_regex", "^secret$"))).unwrap();
    assert!(utf8(&sealed).starts_with("{\"a\":1,\"secret\":{\"b\":\"ENC["));
    assert!(utf8(&sealed).contains("\"b_unencrypted\":\"y\""));
    assert_eq!(&*open("json", &sealed).unwrap().text().unwrap(), text);
    let nothing = seal("json", text, Some(("encrypted_regex", "^nothing$"))).unwrap_err();
    assert!(matches!(nothing, FileError::NothingSelected { .. }));
}

#[test]
fn changes_of_the_file_are_noticed() {
    let text = "{\n\"a\": \"x\",\n\"b_unencrypted\": \"y\"\n}";
    let sealed = utf8(&seal("json", text.as_bytes(), None).unwrap()).to_owned();
    let error = |text: String| open("json", text.as_bytes()).unwrap_err();
    assert!(matches!(error(sealed.replace("\"y\"", "\"z\"")), FileError::MacMismatch));
    assert!(matches!(error(sealed.replace("\"a\"", "\"c\"")), FileError::Value { .. }));
    assert!(matches!(
        error(sealed.replace("lastmodified\": \"2026", "lastmodified\": \"2027")),
        FileError::MacUnreadable(_)
    ));
    let start = sealed.find("\"mac\": \"").unwrap() + 8;
    let end = start + sealed[start..].find('"').unwrap();
    let no_mac = format!("{}{}", &sealed[..start], &sealed[end..]);
    assert!(matches!(error(no_mac.clone()), FileError::MacMissing));
    let file = EncryptedFile::parse(&format::json::Json, SecretBytes::from(no_mac.as_str()));
    assert!(file.unwrap().decrypt_ignoring_mac(&key()).is_ok());
    let clear = sealed.replacen("\"ENC[", "\"clear\", \"x_unencrypted\": \"ENC[", 1);
    let file = EncryptedFile::parse(&format::json::Json, SecretBytes::from(clear.as_str()));
    let clear = file.unwrap().in_clear().values;
    assert_eq!((clear.leaves.len(), clear.others), (1, 0));
    assert_eq!(clear.leaves[0].path, "[\"a\"]");
}

#[test]
fn the_block_keeps_its_place_and_unknown_fields() {
    let sealed = utf8(&seal("json", b"{\"a\": \"x\"}", None).unwrap()).to_owned();
    let at = sealed.find("\"sops\"").unwrap();
    let block =
        sealed[at..sealed.len() - 1].replace("{\"age\"", "{\"x-note\": {\"k\": [1, 2]},  \"age\"");
    let value = sealed[1..at].trim_end_matches([',', ' ']);
    let first = format!("{{{block},{value}}}");
    let again = edit("json", first.as_bytes(), |text| text.replace("\"x\"", "\"y\""));
    assert!(again.starts_with("{\"sops\":{\"x-note\": {\"k\": [1, 2]},  \"age\""), "{again}");
    assert_eq!(&*open("json", again.as_bytes()).unwrap().text().unwrap(), b"{\"a\": \"y\"}");
}

#[test]
fn text_of_the_wrong_kind_is_refused() {
    assert!(matches!(open("json", b"{\"a\":1}").unwrap_err(), FileError::NotEncrypted));
    assert!(matches!(open("dotenv", b"A=1\n").unwrap_err(), FileError::NotEncrypted));
    assert!(matches!(open("json", b"{").unwrap_err(), FileError::Syntax(_)));
}

#[test]
fn a_block_scalar_in_clear_at_the_end_keeps_its_value() {
    let rule = Some(("unencrypted_regex", "^b$"));
    for text in [
        "a: x\nb: |2\n   y",
        "a: x\nb: |2+\n  y",
        "a: x\nb: >2\n   y\n   z",
        "a: x\nb: |-\n  y",
        "a: x\nb: |+\n  y",
        "a: x\nb: |\n \n  ",
        "b: &n |2\n   y\na: *n",
    ] {
        let sealed = seal("yaml", text.as_bytes(), rule).unwrap();
        assert_eq!(utf8(&open("yaml", &sealed).unwrap().text().unwrap()), text);
    }
}

#[test]
fn a_text_that_cannot_be_kept_is_encrypted_in_canonical_form() {
    // The metadata behind the last entry would take the comment away from it.
    let text = "{\nunquoted : \"x\", # c\nkey alone,\nno value:, # d\n}\n";
    let sealed = seal("yaml", text.as_bytes(), None).unwrap();
    assert!(utf8(&sealed).starts_with("unquoted: ENC["));
    assert!(!utf8(&sealed).contains("# "));
    assert_eq!(utf8(&open("yaml", &sealed).unwrap().text().unwrap()), text);
    let again = edit("yaml", &sealed, |text| text.replace("\"x\"", "\"y\""));
    let changed = changed_lines(utf8(&sealed), &again);
    assert!(changed[0].starts_with("unquoted: ENC["), "{changed:?}");
    let text = text.replace("\"x\"", "\"y\"");
    assert_eq!(utf8(&open("yaml", again.as_bytes()).unwrap().text().unwrap()), text);
}

#[test]
fn a_conversion_drops_the_comments_that_the_other_format_cannot_hold() {
    let text = "# top\ns:\n  # one\n  # two\n  a: 1\n  # b1\n  # b2\n  b: x\n  # end\n# foot\n";
    let convert = |to: &str, rule| {
        let plan = Plan {
            metadata: metadata(rule),
            data_key: &key(),
            output: by_name(to).unwrap(),
            layout: Layout::default(),
            previous: None,
            allow_nothing_selected: true,
        };
        let sealed = encrypt(document("yaml", text.as_bytes()), plan).unwrap();
        let opened = open(to, &sealed).unwrap();
        assert!(opened.unreadable_comments().is_empty());
        utf8(&opened.text().unwrap()).to_owned()
    };
    // As SOPS: the first in front of a section, the last in front of a key.
    assert_eq!(convert("ini", None), ";  one\n[s]\n; b2\na = 1\n; end\nb = x\n;  foot\n");
    assert!(!convert("json", None).contains("one"));
    // In clear they are joined.
    let clear = convert("ini", Some(("encrypted_regex", "^a$")));
    assert!(clear.contains("; b1\n; b2\n"), "{clear}");
}

#[test]
fn comments_that_sops_does_not_see_stay_sealed_where_the_rule_covers_nothing() {
    // Beside the metadata SOPS sees them: in the root, whose other comments stay in clear.
    let rule = Some(("encrypted_regex", "^[a-j]"));
    for text in [
        "--- # m96\n---\n  # m24\n\n--- # m96\n---\n  # m24\n",
        "%YAML  1.1\n\n---\n      # m41\n\n      # m5",
        "%YAML  1.1\n    # m79\n  # m56\n---\n  # m27\n\t# m16",
        "    # m37\n!\n    # m93\n",
        "#  c1 \n\"k2\": # i7\n  - \"y\"\n\n  # c12\n\n  -\n    #  c13   # m48\n\n",
        "%YAML 1.1#...\n---\n    # m68\t# m95\n    # m19\n  # m56\n\n    # ? m30",
        "!\t# m8\u{85}\n  # m98\n\n\n",
    ] {
        let seal_again = |previous| {
            let plan = Plan {
                metadata: metadata(rule),
                data_key: &key(),
                output: by_name("yaml").unwrap(),
                layout: Layout::default(),
                previous,
                allow_nothing_selected: true,
            };
            let sealed = encrypt(document("yaml", text.as_bytes()), plan).unwrap();
            let opened = open("yaml", &sealed).unwrap();
            assert!(opened.unreadable_comments().is_empty());
            assert_eq!(String::from_utf8_lossy(&opened.text().unwrap()), text);
            opened
        };
        let (_, mut previous) = seal_again(None).into_previous().unwrap();
        let opened = seal_again(Some(&mut previous));

        let other = DataKey::from_bytes(&[4; 32]).unwrap();
        let resealed = opened.reseal(metadata(rule), &other).unwrap();
        let again = EncryptedFile::parse(by_name("yaml").unwrap(), resealed).unwrap();
        assert_eq!(*again.decrypt(&other).unwrap().text().unwrap(), *text.as_bytes());
    }
}

#[test]
fn resealing_keeps_the_lines_of_block_scalars() {
    let text = "a: |-\n  x\n\nb: |+\n  y\n\n\nc: >\n  z\nd: |\n  one\n  two\n";
    let sealed = seal("yaml", text.as_bytes(), None).unwrap();
    let other = DataKey::from_bytes(&[4; 32]).unwrap();
    let resealed = open("yaml", &sealed).unwrap().reseal(metadata(None), &other).unwrap();
    let headers = |text: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(text).into_owned();
        text.lines().map(|line| line.split("ENC[").next().unwrap().to_owned()).collect()
    };
    assert_eq!(headers(&resealed), headers(&sealed));
    let again = EncryptedFile::parse(by_name("yaml").unwrap(), resealed).unwrap();
    assert_eq!(*again.decrypt(&other).unwrap().text().unwrap(), *text.as_bytes());
}

#[test]
fn a_comment_at_the_end_is_read_in_the_same_collection_with_and_without_metadata() {
    for text in [
        "a: x\nb:\n  - c: 1\n  - -\n    - d\n  # the end\n",
        "a:\n     - >\n       x\n   # the end\n",
        "a:\n  b: x\n  c:\n   - 1\n  # the end\n",
        "a:\n- b:\n  - - [1, 2]\n  # the end\n",
        // What is under the key stands in clear, and the comment is not under it.
        "z: 1\na_unencrypted: # above\n  b:\n  # the end\n",
        "z: 1\na:\n  b:\n    c_unencrypted:\n      d: 1\n  # the end\n",
    ] {
        let places = |tree: &Tree| {
            let nodes = (0..tree.nodes().len()).filter_map(|index| tree.id_at(index));
            nodes.map(|id| (tree.path(id), tree.node(id).kind.is_comment())).collect::<Vec<_>>()
        };
        let expected = places(document("yaml", text.as_bytes()).tree());
        let sealed = seal("yaml", text.as_bytes(), None).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("the end"), "{text}");
        let file = EncryptedFile::parse(by_name("yaml").unwrap(), sealed).unwrap();
        assert_eq!(places(&file.tree), expected, "{text}");
        let opened = file.decrypt(&key()).unwrap();
        assert_eq!(String::from_utf8_lossy(&opened.text().unwrap()), text);
    }
}

#[test]
fn a_comment_in_clear_that_comes_to_stand_among_sealed_ones_is_sealed() {
    // Without the metadata it is one of `b_unencrypted`.
    let text = "a:\n      b_unencrypted:\n            bravo-alpha:\n# the host is here";
    let sealed = seal("yaml", text.as_bytes(), None).unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("the host"));
    let opened = open("yaml", &sealed).unwrap();
    assert_eq!(String::from_utf8_lossy(&opened.text().unwrap()), text);
}

#[test]
fn a_time_that_sops_cannot_seal_is_refused_by_its_place() {
    let far = |text: &str| match seal("yaml", text.as_bytes(), None) {
        Err(FileError::FarOffset { path, position: Some(at) }) => (path, at.line, at.column),
        other => panic!("{text}: {other:?}"),
    };
    let at = |path: &str, line, column| (path.to_owned(), line, column);
    assert_eq!(far("a: 1\nb: 0000-01-01t0:0:0+24:00\n"), at("[\"b\"]", 2, 1));
    assert_eq!(far("a:\n- 1\n- 2001-01-01T0:0:0-23:60\n"), at("[\"a\"][1]", 3, 3));
    // It enters the MAC, too.
    assert_eq!(far("a: 1\nb_unencrypted: 2001-01-01T0:0:0+24:01"), at("[\"b_unencrypted\"]", 2, 1));

    for text in [
        "a: 2001-01-01T0:0:0+23:59\n",
        "a: 2001-01-01T0:0:0-23:59\n",
        "a: '2001-01-01T0:0:0+24:00'\n",
        // YAML's readers take a text for this.
        "a: 2001-01-01T0:0:0+25:00\n",
    ] {
        let sealed = seal("yaml", text.as_bytes(), None).unwrap();
        assert_eq!(utf8(&open("yaml", &sealed).unwrap().text().unwrap()), text);
    }
}
