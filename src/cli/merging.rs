//! Merging versions of an encrypted file: what the merge driver and `mergetool` have in common.
//!
//! Values are merged in clear, in memory, and encrypted for the merged recipients; what did not
//! change keeps the ciphertext of the side that it is from.

use std::fmt;
use std::path::Path;

use crate::cli::context::Context;
use crate::cli::creation_rule;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::crypt::data_key::DataKey;
use crate::document::Document;
use crate::file::{EncryptedFile, FileError, Plan, Previous};
use crate::format::{self, FileFormat, Layout};
use crate::keys::{self, DEFAULT_DECRYPTION_ORDER};
use crate::merge::{self, Merged, Recipients};
use crate::metadata::Metadata;
use crate::secret::SecretBytes;

/// What came of a merge.
#[derive(Debug)]
pub enum Outcome {
    /// The encrypted text.
    Clean(SecretBytes),
    /// The encrypted text with conflict markers.
    Conflict {
        /// The text.
        text: SecretBytes,
        /// The tree paths of the conflicts.
        paths: Vec<String>,
    },
}

/// Why values could not be merged.
#[derive(Debug)]
pub enum Obstacle {
    /// No side is encrypted.
    Plain,
    /// Something is not as it should be.
    Error(CliError),
}

impl From<CliError> for Obstacle {
    fn from(error: CliError) -> Obstacle {
        Obstacle::Error(error)
    }
}

/// One version of the file.
struct Side {
    document: Document,
    /// What it was encrypted with; `None` for a plain text.
    sealed: Option<Sealed>,
}

struct Sealed {
    metadata: Metadata,
    data_key: DataKey,
    previous: Previous,
    /// The encrypted text.
    text: SecretBytes,
}

/// Whether the MACs of the versions must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Macs {
    /// They must.
    Checked,
    /// The versions were put together from conflict markers: each has lines of the others.
    Ignored,
}

/// A merge in clear, and what it is encrypted with.
pub struct Merging {
    /// The format.
    pub format: &'static dyn FileFormat,
    /// The merged text.
    pub merged: Merged,
    sealing: Sealing,
}

impl fmt::Debug for Merging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Merging({}, {:?})", self.format.name(), self.merged)
    }
}

impl Merging {
    /// Merges three versions, of which the first is empty if both sides added the file.
    ///
    /// # Errors
    /// If no side is encrypted, or one cannot be opened.
    pub fn new(
        context: &Context,
        path: &Path,
        texts: &[SecretBytes; 3],
        macs: Macs,
    ) -> Result<Merging, Obstacle> {
        let name = path.to_string_lossy();
        let formats = [&texts[1], &texts[2]].map(|text| format::by_content(text, &name));
        let Some(format) = formats[0].or(formats[1]) else { return Err(Obstacle::Plain) };
        let base =
            if texts[0].is_empty() { None } else { side(context, path, format, &texts[0], macs)? };
        let empty = || CliError::new(Exit::EmptyDocument, "empty", "one side has no document");
        let ours = side(context, path, format, &texts[1], macs)?.ok_or_else(empty)?;
        let theirs = side(context, path, format, &texts[2], macs)?.ok_or_else(empty)?;
        let merged = merge::three_way(
            base.as_ref().map(|side| &side.document),
            &ours.document,
            &theirs.document,
        );
        let seals = [ours.sealed, theirs.sealed];
        let mut sealing =
            sealing(context, path, base.as_ref().and_then(|side| side.sealed.as_ref()), seals)?;
        if macs == Macs::Ignored {
            // The text of a side is not a file that was ever right.
            sealing.unchanged = None;
        }
        Ok(Merging { format, merged, sealing })
    }

    /// Encrypts the merged text, with conflict markers where there are conflicts.
    ///
    /// # Errors
    /// If it cannot be encrypted.
    pub fn encrypted(mut self, context: &Context, path: &Path) -> Result<Outcome, Obstacle> {
        let text = self.sealing.seal(context, path, self.format, &self.merged.text)?;
        let Some(other) = self.merged.theirs else { return Ok(Outcome::Clean(text)) };
        // What both have in common is to be the same lines: the second text takes the ciphertexts
        // of the first, and its MAC.
        let unstable = |failure: FileError| error::encrypt(path, failure);
        let opened = EncryptedFile::parse(self.format, SecretBytes::from(&*text))
            .and_then(|file| file.decrypt(&self.sealing.data_key))
            .map_err(unstable)?;
        let mac = opened.metadata().mac.clone().unwrap_or_default();
        let (_, mut previous) = opened.into_previous().map_err(unstable)?;
        if let Some(old) = self.sealing.previous.take() {
            previous.also(old);
        }
        self.sealing.previous = Some(previous);
        let other = self.sealing.seal(context, path, self.format, &other)?;
        let other = with_mac(self.format, other, &mac).map_err(unstable)?;
        let text = merge::with_markers(&text, &other, ["ours", "theirs"]);
        Ok(Outcome::Conflict { text, paths: self.merged.conflicts })
    }

    /// Encrypts a text for those who can read the merged file.
    ///
    /// # Errors
    /// If it cannot be encrypted.
    pub fn seal(
        &mut self,
        context: &Context,
        path: &Path,
        text: &[u8],
    ) -> Result<SecretBytes, CliError> {
        self.sealing.seal(context, path, self.format, text)
    }

    /// Returns the metadata and the data key of the merged file.
    pub fn keys(&self) -> (&Metadata, &DataKey) {
        (&self.sealing.metadata, &self.sealing.data_key)
    }
}

/// Replaces the MAC in an encrypted text.
fn with_mac(
    format: &'static dyn FileFormat,
    text: SecretBytes,
    mac: &str,
) -> Result<SecretBytes, FileError> {
    let own = EncryptedFile::parse(format, SecretBytes::from(&*text))?.metadata().mac.clone();
    let own = own.unwrap_or_default();
    let Some(at) = memchr::memmem::rfind(&text, own.as_bytes()).filter(|_| !own.is_empty()) else {
        return Ok(text);
    };
    let mut changed = SecretBytes::from(&text[..at]);
    changed.extend_from_slice(mac.as_bytes());
    changed.extend_from_slice(&text[at + own.len()..]);
    Ok(changed)
}

/// Reads one version; `None` for a text without anything in it.
fn side(
    context: &Context,
    path: &Path,
    format: &'static dyn FileFormat,
    text: &SecretBytes,
    macs: Macs,
) -> Result<Option<Side>, CliError> {
    let failed = |failure: FileError| error::decrypt(path, failure, &context.credentials);
    let file = match EncryptedFile::parse(format, SecretBytes::from(&**text)) {
        Ok(file) => file,
        Err(FileError::NotEncrypted) => {
            let document = Document::parse(format, SecretBytes::from(&**text))
                .map_err(|failure| error::syntax(path, &failure))?;
            return Ok(Some(Side { document, sealed: None }));
        }
        Err(FileError::NoDocument) => return Ok(None),
        Err(failure) => return Err(failed(failure)),
    };
    let data_key = context.data_key_or_report(&file, (path, path), DEFAULT_DECRYPTION_ORDER)?;
    let opened = match macs {
        Macs::Checked => file.decrypt(&data_key),
        Macs::Ignored => file.decrypt_ignoring_mac(&data_key),
    };
    let opened = opened.map_err(failed)?;
    let plain = opened.text().map_err(|failure| error::emit(path, &failure))?;
    let document =
        Document::parse(format, plain).map_err(|failure| error::syntax(path, &failure))?;
    let (metadata, previous) = opened.into_previous().map_err(failed)?;
    let text = SecretBytes::from(&**text);
    Ok(Some(Side { document, sealed: Some(Sealed { metadata, data_key, previous, text }) }))
}

/// How the merged file is encrypted.
struct Sealing {
    metadata: Metadata,
    data_key: DataKey,
    previous: Option<Previous>,
    /// The file to leave as it is if the merge has nothing else than it.
    unchanged: Option<SecretBytes>,
}

fn sealing(
    context: &Context,
    path: &Path,
    base: Option<&Sealed>,
    seals: [Option<Sealed>; 2],
) -> Result<Sealing, Obstacle> {
    let [ours, theirs] = match seals {
        [Some(ours), Some(theirs)] => [ours, theirs],
        [Some(only), None] | [None, Some(only)] => {
            let Sealed { metadata, data_key, previous, text } = only;
            let previous = Some(previous);
            return Ok(Sealing { metadata, data_key, previous, unchanged: Some(text) });
        }
        [None, None] => return Err(Obstacle::Plain),
    };
    let data_keys = [
        base.map(|side| &side.data_key.as_bytes()[..]),
        Some(&ours.data_key.as_bytes()[..]),
        Some(&theirs.data_key.as_bytes()[..]),
    ];
    let merged = merge::recipients(
        base.map(|side| &side.metadata),
        [&ours.metadata, &theirs.metadata],
        data_keys,
    )
    .map_err(|failure| {
        CliError::new(Exit::Generic, "merge", failure.to_string())
            .in_file(path)
            .help("merge the branch without this file, and change its keys then")
    })?;
    let Recipients { mut groups, threshold, data_key_is_theirs, rule_is_theirs } = merged;
    let same_key = data_keys[1] == data_keys[2];
    let (selector, mac_only_encrypted) = {
        let side = if rule_is_theirs { &theirs } else { &ours };
        (side.metadata.selector.clone(), side.metadata.mac_only_encrypted)
    };
    let (chosen, other) = if data_key_is_theirs { (theirs, ours) } else { (ours, theirs) };
    if groups.iter().flat_map(|group| &group.keys).any(|key| key.wrapped.is_none()) {
        creation_rule::adopt_keys(context, context.config.as_deref(), path, &mut groups);
        let wrapped = match &mut groups[..] {
            [only] => keys::wrap_new(only, &chosen.data_key, &context.credentials),
            all => keys::wrap_all(all, threshold, &chosen.data_key, &context.credentials),
        };
        wrapped.map_err(CliError::from)?;
    }
    let metadata = Metadata {
        groups,
        shamir_threshold: threshold,
        selector,
        mac_only_encrypted,
        ..chosen.metadata.clone()
    };
    let mut previous = chosen.previous;
    let same_block = says(&metadata) == says(&chosen.metadata);
    if !same_block {
        previous.set_block(None);
    }
    if same_key {
        previous.also(other.previous);
    }
    Ok(Sealing {
        metadata,
        data_key: chosen.data_key,
        previous: Some(previous),
        unchanged: same_block.then_some(chosen.text),
    })
}

/// Returns what of metadata a patch of time and MAC does not change.
fn says(metadata: &Metadata) -> impl PartialEq + use<> {
    let keys: Vec<Vec<(String, String, Option<String>)>> = metadata
        .groups
        .iter()
        .map(|group| {
            let key = |key: &keys::WrappedKey| {
                (key.key.kind().to_owned(), key.key.identity().to_owned(), key.wrapped.clone())
            };
            group.keys.iter().map(key).collect()
        })
        .collect();
    let rule = metadata.selector().clone();
    (keys, metadata.shamir_threshold, rule, metadata.mac_only_encrypted)
}

impl Sealing {
    fn seal(
        &mut self,
        context: &Context,
        path: &Path,
        format: &'static dyn FileFormat,
        text: &[u8],
    ) -> Result<SecretBytes, CliError> {
        if let Some(unchanged) = &self.unchanged
            && self.previous.as_ref().is_some_and(|previous| previous.text() == text)
        {
            return Ok(SecretBytes::from(&**unchanged));
        }
        let document = Document::parse(format, SecretBytes::from(text))
            .map_err(|failure| error::syntax(path, &failure))?;
        let plan = Plan {
            metadata: Metadata { last_modified: context.env.now(), ..self.metadata.clone() },
            data_key: &self.data_key,
            output: format,
            layout: Layout::default(),
            previous: self.previous.as_mut(),
            allow_nothing_selected: true,
        };
        context.encrypt(path, document, plan)
    }
}
