//! The targets of what is encrypted: values, metadata, whole files.

use std::hint::black_box;

use encfile::crypt::canonical::{self, ValueType};
use encfile::crypt::data_key::DataKey;
use encfile::crypt::value::{Sealed, Sealer};
use encfile::document::Document;
use encfile::file::{EncryptedFile, Plan, Previous, encrypt};
use encfile::format::{self, FileFormat, Layout};
use encfile::keys::{self, Credentials, FieldValue, KeyGroup, WrappedKey};
use encfile::metadata::Metadata;
use encfile::secret::SecretBytes;
use encfile::tree::Timestamp;

/// A text as a sealed value; then as what is sealed, as a value of each type.
pub fn value(data: &[u8]) {
    let cipher = key().cipher();
    let mut pool = SecretBytes::new();
    if let Ok(sealed) = Sealed::parse(data) {
        black_box(sealed.kind());
        for path in [&b":"[..], b"a:", data] {
            let opened = sealed.open(&cipher, path, &mut pool);
            assert!(opened.is_ok() || pool.is_empty(), "a failure leaves something in the pool");
            pool.resize(0);
        }
    }
    for kind in ["str", "int", "float", "bool", "time", "comment"] {
        let Some(kind) = ValueType::from_name(kind.as_bytes()) else {
            panic!("no type is called {kind}");
        };
        let Some(value) = canonical::read(kind, data) else {
            continue;
        };
        let mut text = SecretBytes::new();
        canonical::write(&value, &mut text);
        let Some(again) = canonical::read(kind, &text) else {
            panic!("the canonical text of a {} is none: {}", kind.name(), text.escape_ascii());
        };
        let mut second = SecretBytes::new();
        canonical::write(&again, &mut second);
        assert!(*text == *second, "{} and {}", text.escape_ascii(), second.escape_ascii());
        if text.is_empty() {
            // An empty text is never sealed: SOPS could not read it.
            continue;
        }

        let mut sealed = SecretBytes::new();
        assert!(Sealer::new(&cipher).seal(kind, &text, data, &mut sealed).is_ok());
        let opened =
            Sealed::parse(&sealed).and_then(|sealed| sealed.open(&cipher, data, &mut pool));
        assert!(opened.is_ok_and(|opened| opened.kind == kind && opened.reusable));
        assert!(*pool == *text, "another text was opened than was sealed");
        pool.resize(0);
    }
}

/// A text as an encrypted file of each format.
pub fn metadata(data: &[u8]) {
    for &format in format::FORMATS {
        let read = || EncryptedFile::parse(format, SecretBytes::from(data));
        let Ok(file) = read() else {
            continue;
        };
        black_box(file.has_sealed_values());
        black_box(file.in_clear());
        black_box(file.malformed());
        black_box(format!("{:?}", file.metadata()));
        black_box(file.metadata().selector());
        let with_nothing = file.data_key(&Credentials::none(), keys::DEFAULT_DECRYPTION_ORDER);
        assert!(with_nothing.is_err(), "a data key out of nothing");
        assert!(file.decrypt(&key()).is_err(), "a MAC that nobody could make");
        let Ok(opened) = read().and_then(|file| file.decrypt_ignoring_mac(&key())) else {
            continue;
        };
        let Ok(text) = opened.text() else {
            continue;
        };
        // What the block said is said again when the file is written anew.
        let Ok((before, mut previous)) = opened.into_previous() else {
            continue;
        };
        let Some(written) = seal(format, text, before.clone(), Some(&mut previous)) else {
            continue;
        };
        let after = EncryptedFile::parse(format, written);
        let Ok(after) = after.map(|file| file.metadata().clone()) else {
            panic!("the written metadata cannot be read");
        };
        // A group without keys has no place in flat metadata.
        let groups = |metadata: &Metadata| {
            metadata.groups.iter().filter(|group| !group.keys.is_empty()).count()
        };
        assert_eq!(groups(&after), groups(&before));
        assert_eq!(after.keys().count(), before.keys().count());
        assert_eq!(after.selector(), before.selector());
        assert_eq!(after.mac_only_encrypted, before.mac_only_encrypted);
    }
}

/// A text of each format: encrypted and decrypted it is what it was, or it is refused.
pub fn roundtrip(data: &[u8]) {
    for &format in format::FORMATS {
        let Some(sealed) = seal(format, SecretBytes::from(data), fresh(), None) else {
            continue;
        };
        let opened = EncryptedFile::parse(format, sealed).and_then(|file| file.decrypt(&key()));
        let Ok(Ok(text)) = opened.map(|opened| opened.text()) else {
            panic!("{} that was encrypted does not decrypt", format.name());
        };
        assert!(*text == *data, "{} comes back as {}", format.name(), text.escape_ascii());
    }
}

fn key() -> DataKey {
    let Some(key) = DataKey::from_bytes(&[3; 32]) else {
        panic!("a data key has 32 bytes");
    };
    key
}

/// Metadata with a key that is wrapped for nobody.
fn fresh() -> Metadata {
    let fields = vec![("recipient".to_owned(), FieldValue::Text("age1x".to_owned()))];
    let key = WrappedKey {
        key: keys::from_fields("age", fields),
        wrapped: Some("wrapped\n".to_owned()),
        created_at: None,
    };
    Metadata::new(vec![KeyGroup { keys: vec![key] }], Timestamp::UNIX_EPOCH)
}

/// Encrypts a text with the fixed key; `None` if it is not of the format, or refused.
fn seal(
    format: &'static dyn FileFormat,
    text: SecretBytes,
    metadata: Metadata,
    previous: Option<&mut Previous>,
) -> Option<SecretBytes> {
    let document = Document::parse(format, text).ok()?;
    let plan = Plan {
        metadata,
        data_key: &key(),
        output: format,
        layout: Layout::default(),
        previous,
        allow_nothing_selected: true,
    };
    encrypt(document, plan).ok()
}
