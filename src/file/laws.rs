//! Laws of encryption over many documents: what is encrypted comes back to the byte, nothing that
//! should be encrypted stands in clear, and nothing panics.

mod spellings;

use std::path::Path;

use proptest::prelude::*;

use super::tests::{key, metadata};
use super::*;
use crate::format::{FORMATS, by_name};

fn seal(format: &'static dyn FileFormat, text: &[u8]) -> Result<SecretBytes, FileError> {
    let document = Document::parse(format, SecretBytes::from(text))?;
    let plan = Plan {
        metadata: metadata(None),
        data_key: &key(),
        output: format,
        layout: Layout::default(),
        previous: None,
        allow_nothing_selected: true,
    };
    encrypt(document, plan)
}

/// Encrypts and decrypts, and compares; returns the encrypted text and the decrypted file, or
/// `None` if the text is none of the format, or refused.
fn comes_back(
    format: &'static dyn FileFormat,
    text: &[u8],
) -> Result<Option<(SecretBytes, DecryptedFile)>, String> {
    let sealed = match seal(format, text) {
        Ok(sealed) => sealed,
        Err(FileError::Unstable { path }) => return Err(format!("unstable at {path:?}")),
        Err(_) => return Ok(None),
    };
    let show = || String::from_utf8_lossy(&sealed).into_owned();
    let opened = EncryptedFile::parse(format, SecretBytes::from(&*sealed))
        .and_then(|file| file.decrypt(&key()))
        .map_err(|error| format!("{error}\n{}", show()))?;
    let again = opened.text().map_err(|error| format!("{error}\n{}", show()))?;
    if *again != *text {
        return Err(format!(
            "{:?}\n-- became\n{:?}\n-- in\n{}",
            String::from_utf8_lossy(text),
            String::from_utf8_lossy(&again),
            show()
        ));
    }
    Ok(Some((sealed, opened)))
}

/// Encrypts, decrypts and encrypts again; `Ok(None)` if the text is none of the format, or refused.
fn round_trip(format: &'static dyn FileFormat, text: &[u8]) -> Result<Option<()>, String> {
    let Some((sealed, opened)) = comes_back(format, text)? else { return Ok(None) };
    let show = || String::from_utf8_lossy(&sealed).into_owned();
    // An edit that changes nothing changes nothing but the MAC, in whatever layout.
    let (metadata, mut previous) = opened.into_previous().map_err(|error| error.to_string())?;
    let plan = Plan {
        metadata,
        data_key: &key(),
        output: format,
        layout: Layout::default(),
        previous: Some(&mut previous),
        allow_nothing_selected: true,
    };
    let document = Document::parse(format, SecretBytes::from(text)).map_err(|e| e.to_string())?;
    let edited = encrypt(document, plan).map_err(|error| format!("{error}\n{}", show()))?;
    let changed = show()
        .lines()
        .zip(String::from_utf8_lossy(&edited).lines())
        .filter(|(before, after)| before != after && !before.contains("mac"))
        .count();
    if changed > 0 {
        let edited = String::from_utf8_lossy(&edited).into_owned();
        return Err(format!("{}\n-- was edited to\n{edited}", show()));
    }
    rekeyed(format, &sealed).map_err(|why| format!("{why}\n-- of\n{}", show()))?;
    Ok(Some(()))
}

/// Other keys change the metadata, and another data key the ciphertexts; nothing else. That the
/// values stay is checked by what is tested.
fn rekeyed(format: &'static dyn FileFormat, sealed: &[u8]) -> Result<(), String> {
    let failed = |error: FileError| format!("not rekeyed: {error}");
    let file = EncryptedFile::parse(format, SecretBytes::from(sealed)).map_err(failed)?;
    let same = file.with_metadata(file.metadata()).map_err(failed)?;
    if *same != *sealed {
        return Err(format!("rewritten as\n{}", String::from_utf8_lossy(&same)));
    }
    let mut metadata = file.metadata().clone();
    let again = metadata.groups[0].keys.clone();
    metadata.groups[0].keys.extend(again);
    let rewrapped = file.with_metadata(&metadata).map_err(failed)?;
    EncryptedFile::parse(format, rewrapped)
        .and_then(|file| file.decrypt(&key()))
        .map_err(|error| format!("not readable with a further recipient: {error}"))?;

    let metadata = file.metadata().clone();
    let resealed = file
        .decrypt(&key())
        .and_then(|file| file.reseal(metadata, &DataKey::from_bytes(&[4; 32]).unwrap()))
        .map_err(failed)?;
    let ciphertext = regex::bytes::Regex::new(r"ENC\[AES256_GCM,data:[^\]]*\]").unwrap();
    let masked = |text: &[u8]| ciphertext.replace_all(text, &b"ENC"[..]).into_owned();
    if masked(sealed) != masked(&resealed) {
        return Err(format!("resealed as\n{}", String::from_utf8_lossy(&resealed)));
    }
    let old = ciphertext.find_iter(sealed).map(|found| found.as_bytes());
    let old: std::collections::HashSet<&[u8]> = old.collect();
    if ciphertext.find_iter(&resealed).any(|found| old.contains(found.as_bytes())) {
        return Err("an old ciphertext is still there".to_owned());
    }
    Ok(())
}

fn testdata(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(path)
}

/// A line of the oracle; the tree is of no interest here.
#[derive(serde::Deserialize)]
struct Row {
    name: String,
    yaml: Option<String>,
    yaml_base64: Option<String>,
}

#[test]
fn every_yaml_document_comes_back_to_the_byte() {
    use base64::Engine as _;
    let (mut sealed, mut failed) = (0, Vec::new());
    for set in ["tricky", "random", "suite", "mutants", "hostile"] {
        let path = testdata(&format!("yaml/oracle/{set}.jsonl"));
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let row: Row = serde_json::from_str(line).unwrap();
            let text = match row.yaml {
                Some(text) => text.into_bytes(),
                None => base64::engine::general_purpose::STANDARD
                    .decode(row.yaml_base64.unwrap())
                    .unwrap(),
            };
            match round_trip(by_name("yaml").unwrap(), &text) {
                Ok(done) => sealed += usize::from(done.is_some()),
                Err(why) => failed.push(format!("== {set}/{}: {why}", row.name)),
            }
        }
    }
    let shown: Vec<&str> = failed.iter().take(20).map(String::as_str).collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), shown.join("\n"));
    assert!(sealed > 5000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_json_comes_back(value in json(4)) {
        for pretty in [false, true] {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            round_trip(by_name("json").unwrap(), text.as_bytes()).map_err(TestCaseError::fail)?;
            // Most JSON is YAML.
            round_trip(by_name("yaml").unwrap(), text.as_bytes()).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn any_toml_comes_back(lines in toml(), line_break in "\r?\n", start in "\u{feff}?") {
        let text = start + &lines.join(&line_break);
        round_trip(by_name("toml").unwrap(), text.as_bytes()).map_err(TestCaseError::fail)?;
    }

    /// A tree becomes TOML with the same values in the same order, or the MAC would be another.
    #[test]
    fn any_json_is_encrypted_as_toml(value in json(4)) {
        let (json, toml) = (by_name("json").unwrap(), by_name("toml").unwrap());
        let text = value.to_string();
        let document = Document::parse(json, SecretBytes::from(&*text)).unwrap();
        let plan = Plan {
            metadata: metadata(None),
            data_key: &key(),
            output: toml,
            layout: Layout::default(),
            previous: None,
            allow_nothing_selected: true,
        };
        match encrypt(document, plan) {
            Ok(sealed) => {
                let file = EncryptedFile::parse(toml, sealed).unwrap();
                prop_assert!(file.decrypt(&key()).is_ok());
            }
            // It has a null.
            Err(FileError::Emit(_)) => {}
            Err(error) => return Err(TestCaseError::fail(format!("{error} for {text}"))),
        }
    }

    #[test]
    fn any_bytes_come_back_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in FORMATS {
            round_trip(*format, &bytes).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn any_lines_come_back_or_are_refused(
        lines in proptest::collection::vec("[-a-z:=#;'\"\\[\\]{}|>&*!\\\\ \t0-9.,ENC\r]{0,20}", 0..12)
    ) {
        let text = lines.join("\n");
        for format in FORMATS {
            round_trip(*format, text.as_bytes()).map_err(TestCaseError::fail)?;
        }
    }
}

/// Lines of TOML; together they may define something twice.
fn toml() -> impl Strategy<Value = Vec<String>> {
    let key = r#"[a-d]|"[a-d .]"|[a-d]\.[a-d]|[a-d] \. '[a-d]'"#;
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(crate::number::toml_float),
        r#""[a-z#\[\]=']{0,6}"|'[a-z"\\]{0,6}'|"""[a-z\n"]{0,2}[a-z\n]"""|'''[a-z\n']{0,2}[a-z\n]'''"#,
        r"0x[0-9a-fA-F]{1,8}|0o[0-7]{1,5}|0b[01]{1,5}|[1-9]_[0-9]{2}|[+-]?[0-9]\.[0-9]{1,3}|-?nan",
        r"true|false|20[0-9]{2}-0[1-9]-1[0-9]([T ]1[0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?Z?)?",
    ];
    let value = value.prop_recursive(3, 8, 3, move |inner| {
        let items = proptest::collection::vec((inner, "[ \n]{0,2}|# [a-z]{0,4}\n"), 0..3);
        (items, any::<bool>()).prop_map(|(items, is_list)| {
            let items = items.iter().zip("abc".chars()).map(|((item, blank), name)| {
                if is_list { format!("{blank}{item}") } else { format!("{name} = {item}") }
            });
            let items = items.collect::<Vec<_>>().join(", ");
            if is_list { format!("[{items}]") } else { format!("{{{items}}}") }
        })
    });
    let comment = " {0,2}(# ?[a-zé#]{0,6})?";
    let line = prop_oneof![
        (key, value, comment).prop_map(|(key, value, comment)| format!("{key} = {value}{comment}")),
        (key, comment).prop_map(|(key, comment)| format!("[{key}]{comment}")),
        (key, comment).prop_map(|(key, comment)| format!("[[{key}]]{comment}")),
        comment.prop_map(|comment| comment),
    ];
    proptest::collection::vec(line, 0..10)
}

fn json(depth: u32) -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter_map("finite", |number| {
            serde_json::Number::from_f64(number).map(serde_json::Value::Number)
        }),
        any::<String>().prop_map(Into::into),
        "[ -~\n\t]{0,12}".prop_map(Into::into),
    ];
    let value =
        leaf.prop_recursive(depth, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                map(inner),
            ]
        });
    map(value)
}

fn map(
    inner: impl Strategy<Value = serde_json::Value>,
) -> impl Strategy<Value = serde_json::Value> {
    // Not `sops`, and for dotenv-like names nothing with `sops_`.
    proptest::collection::btree_map("[a-r ]{0,6}", inner, 0..6)
        .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
}
