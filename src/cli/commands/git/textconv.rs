//! `git textconv`: a file as `git diff` is to show it.
//!
//! A textconv that fails ends the whole `git diff`. So whatever a file is, and whoever looks at it,
//! something is printed: the plain text where the file opens, else the text as it is. What is
//! printed goes to git's own pipe; it is never cached in the repository.

use std::path::Path;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::file::EncryptedFile;
use crate::format;
use crate::keys::DEFAULT_DECRYPTION_ORDER;
use crate::secret::SecretBytes;

/// Runs the command.
pub(super) fn run(context: &Context, path: &Path) -> Result<Exit, CliError> {
    let text = context.read(path)?;
    let plain = plain(context, path, &text);
    io::write_stdout(plain.as_deref().unwrap_or(&text))?;
    Ok(Exit::Success)
}

/// Returns the plain text; `None` if it cannot be had. The MAC does not matter: this is for reading
/// what a commit did, also one that broke it.
fn plain(context: &Context, path: &Path, text: &[u8]) -> Option<SecretBytes> {
    // Git gives a name of its own for blobs, which keeps the ending.
    let format = format::by_content(text, &path.to_string_lossy())?;
    let file = EncryptedFile::parse(format, SecretBytes::from(text)).ok()?;
    let key = context.data_key(&file, path, DEFAULT_DECRYPTION_ORDER).ok()?;
    file.decrypt_ignoring_mac(&key).ok()?.text().ok()
}
