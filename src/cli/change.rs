//! Opening an encrypted file, changing it and writing it back: what the commands that change a file
//! have in common.
//!
//! A command is one line of it: [`Subject::open`], a changed [`Document`] of [`Subject::text`], or
//! other metadata, then [`Subject::seal`] and [`Subject::write`]. Whatever did not change keeps its
//! ciphertext, and the file is replaced only if nobody else changed it meanwhile.

use std::path::{Path, PathBuf};

use crate::cli::args::{OpenArgs, TypeArgs};
use crate::cli::context::{Context, decryption_order};
use crate::cli::error::{self, CliError};
use crate::cli::io::{self, Mode, Stamp};
use crate::crypt::data_key::DataKey;
use crate::document::Document;
use crate::file::{Plan, Previous};
use crate::format::{FileFormat, Layout};
use crate::metadata::{Metadata, SOPS_VERSION};
use crate::secret::SecretBytes;

/// A file that is being changed.
#[derive(Debug)]
pub struct Subject {
    /// The file, as the user names it.
    pub path: PathBuf,
    /// The format of the plain text.
    pub format: &'static dyn FileFormat,
    /// The format of the file to write.
    pub output: &'static dyn FileFormat,
    /// The layout of text that is new.
    pub layout: Layout,
    /// The metadata to write; time and MAC are filled in.
    pub metadata: Metadata,
    /// The data key that the metadata wraps.
    pub data_key: DataKey,
    /// What the file was; `None` for a new one.
    pub previous: Option<Previous>,
    /// What the file was when it was read.
    pub stamp: Stamp,
}

impl Subject {
    /// Reads an encrypted file and decrypts it.
    ///
    /// # Errors
    /// If it cannot be read, is not encrypted, or does not decrypt.
    pub fn open(
        context: &Context,
        path: &Path,
        types: &TypeArgs,
        opening: &OpenArgs,
    ) -> Result<Subject, CliError> {
        let order =
            decryption_order(context.personality, opening.order.decryption_order.as_deref())?;
        let (text, stamp) =
            context.read_with_stamp(path).map_err(|failure| context.not_read(path, failure))?;
        let file = context.parse_encrypted(text, path, path, types.input())?;
        let (opened, data_key) = context.open(file, (path, path), opening.ignore_mac, &order)?;
        let format = opened.format();
        let (metadata, previous) =
            opened.into_previous().map_err(|failure| error::encrypt(path, failure))?;
        let output = types.output().unwrap_or(format);
        Ok(Subject {
            path: path.to_owned(),
            format,
            output,
            layout: types.indent.layout(output, None)?,
            metadata,
            data_key,
            previous: Some(previous),
            stamp,
        })
    }

    /// Returns the plain text that the file had; nothing for a new one.
    pub fn text(&self) -> &[u8] {
        self.previous.as_ref().map(Previous::text).unwrap_or_default()
    }

    /// Raises the version in the file to the one that is written, where the file's is older.
    pub fn raise_version(&mut self) {
        if newer(SOPS_VERSION, &self.metadata.version) {
            SOPS_VERSION.clone_into(&mut self.metadata.version);
        }
    }

    /// Encrypts what the file is to hold, and returns its text.
    ///
    /// # Errors
    /// If the document cannot be encrypted.
    pub fn seal(
        &mut self,
        context: &Context,
        document: Document,
        allow_nothing_selected: bool,
    ) -> Result<SecretBytes, CliError> {
        let plan = Plan {
            metadata: Metadata { last_modified: context.env.now(), ..self.metadata.clone() },
            data_key: &self.data_key,
            output: self.output,
            layout: self.layout.clone(),
            previous: self.previous.as_mut(),
            allow_nothing_selected,
        };
        context.encrypt(&self.path, document, plan)
    }

    /// Replaces the file by `sealed`, unless somebody else changed it meanwhile, and says what is
    /// not as before with it.
    ///
    /// # Errors
    /// If it cannot be written; the old file is untouched then.
    pub fn write(&self, context: &Context, sealed: &[u8]) -> Result<(), CliError> {
        replace(context, &self.path, sealed, &self.stamp)
    }
}

/// Replaces a file that was read with `stamp`, unless somebody else changed it meanwhile, and says
/// what is not as before with it.
///
/// # Errors
/// If it cannot be written; the old file is untouched then.
pub fn replace(context: &Context, path: &Path, text: &[u8], stamp: &Stamp) -> Result<(), CliError> {
    let target = context.env.absolute(path);
    context.tell(&io::write_atomic_if_unchanged(&target, text, Mode::Keep, stamp)?);
    Ok(())
}

/// Writes the result of a command: over the file that was read, to an output, or to standard
/// output.
///
/// # Errors
/// If it cannot be written.
pub fn put(
    context: &Context,
    text: &[u8],
    in_place: Option<(&Path, &Stamp)>,
    output: Option<&Path>,
) -> Result<(), CliError> {
    match (in_place, output) {
        (Some((path, stamp)), _) => return replace(context, path, text, stamp),
        (None, Some(path)) => context.tell(&io::write_atomic(path, text, Mode::Keep)?),
        (None, None) => io::write_stdout(text)?,
    }
    Ok(())
}

/// Returns whether version `a` is newer than `b`; what is no version is not.
fn newer(a: &str, b: &str) -> bool {
    let parts = |version: &str| -> Option<Vec<u64>> {
        version.trim_start_matches('v').split('.').map(|part| part.parse().ok()).collect()
    };
    match (parts(a), parts(b)) {
        (Some(a), Some(b)) => a > b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::newer;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(newer("3.13.2", "3.9.4"));
        assert!(!newer("3.13.2", "3.13.2"));
        assert!(!newer("3.13.2", "4.0.0"));
        assert!(!newer("3.13.2", "junk"));
    }
}
