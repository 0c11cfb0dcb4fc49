//! The values to search for: those of all encrypted files that open.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;

use crate::cli::ahead::Ahead;
use crate::cli::args::ScanArgs;
use crate::cli::commands::scan::place::{Places, on_threads};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::crypt::canonical;
use crate::file::{DecryptedFile, EncryptedFile, FileError};
use crate::format;
use crate::scan::{SecretId, Secrets};
use crate::secret::SecretBytes;
use crate::tree::{NodeId, Tree};

/// Where the values are from.
#[derive(Default)]
pub(super) struct Known {
    files: Vec<(String, Tree)>,
    /// The first place of each secret: a file, and a value in it.
    origins: Vec<(usize, NodeId)>,
    /// The encrypted files that could not be decrypted.
    pub(super) unopened: Vec<String>,
}

/// Where a secret is from.
pub(super) struct Origin {
    /// The file.
    pub(super) file: String,
    /// The tree path of the value.
    pub(super) path: String,
}

impl Known {
    /// Returns how many encrypted files there are.
    pub(super) fn encrypted(&self) -> usize {
        self.files.len() + self.unopened.len()
    }

    /// Returns whether none of the encrypted files could be decrypted.
    pub(super) fn is_locked(&self) -> bool {
        self.files.is_empty() && !self.unopened.is_empty()
    }

    /// Returns where a secret is from.
    pub(super) fn origin(&self, secret: SecretId) -> Origin {
        let (number, id) = self.origins[secret.index()];
        let (file, tree) = &self.files[number];
        Origin { file: file.clone(), path: tree.path(id) }
    }

    fn add(&mut self, secrets: &mut Secrets, path: &str, file: DecryptedFile) {
        let number = self.files.len();
        let values = file.opened_values();
        let tree = file.into_tree();
        let mut scratch = SecretBytes::new();
        for id in values {
            let Some(value) = tree.value(id) else { continue };
            let secret = secrets.add(canonical::bytes(&value, &mut scratch));
            if secret.is_some_and(|secret| secret.index() == self.origins.len()) {
                self.origins.push((number, id));
            }
        }
        self.files.push((path.to_owned(), tree));
    }
}

/// Opens all encrypted files with the keys at hand, and takes their values.
pub(super) fn open_all(
    context: &Context,
    places: &Places,
    order: &[&str],
    arguments: &ScanArgs,
) -> Result<(Secrets, Known), CliError> {
    let all: Vec<_> = places.wanted.iter().chain(&places.others).collect();
    // What cannot be read is said when it is searched.
    let texts = on_threads(places, all.len(), |reader, number| {
        reader.read_encrypted(all[number]).ok().flatten()
    })?;
    let mut ahead = Ahead::new(context);
    for (number, text) in &texts {
        ahead.add_text(text, Path::new(&all[*number].shown), None);
    }
    ahead.ask(order);
    let texts: Vec<_> =
        texts.into_iter().map(|(number, text)| (number, Mutex::new(Some(text)))).collect();
    let opened = on_threads(places, texts.len(), |_, at| {
        let (number, text) = &texts[at];
        let place = all[*number];
        let text = text.lock().ok()?.take()?;
        match open(context, order, &place.shown, text, arguments.opening.ignore_mac) {
            // It only looked like one.
            Err(FileError::NotEncrypted | FileError::Syntax(_)) => None,
            opened => Some(opened.ok()),
        }
    })?;
    let mut secrets = Secrets::new(arguments.min_length);
    let mut known = Known::default();
    // A file can be both among what is searched and among the others.
    let mut seen = HashSet::new();
    for (at, file) in opened {
        let place = all[texts[at].0];
        if place.commit.is_none() && !seen.insert(&place.shown) {
            continue;
        }
        match file {
            Some(file) => known.add(&mut secrets, &place.shown, file),
            None => known.unopened.push(place.shown.clone()),
        }
    }
    Ok((secrets, known))
}

fn open(
    context: &Context,
    order: &[&str],
    path: &str,
    text: SecretBytes,
    ignore_mac: bool,
) -> Result<DecryptedFile, FileError> {
    let format = format::by_content(&text, path).unwrap_or_else(|| format::by_file_name(path));
    let file = EncryptedFile::parse(format, text)?;
    let key = context.data_key(&file, Path::new(path), order)?;
    if ignore_mac { file.decrypt_ignoring_mac(&key) } else { file.decrypt(&key) }
}
