//! encfile encrypts the values of structured files and keeps everything else as it is, in exactly
//! the file format of [SOPS](https://getsops.io).
//!
//! This is the library behind the `encfile` program. It prints nothing, reads no environment and
//! opens no file: texts come in and go out, and what a key needs from the machine comes with
//! [`keys::Credentials`]. Texts with secrets are [`secret::SecretBytes`], which are wiped when they
//! are dropped and never shown.
//!
//! # Decrypting a file
//!
//! ```
//! use std::error::Error;
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use encfile::file::EncryptedFile;
//! use encfile::format;
//! use encfile::keys::age::{Identities, Source};
//! use encfile::keys::{Credentials, DEFAULT_DECRYPTION_ORDER, Host};
//! use encfile::secret::SecretBytes;
//!
//! /// What keys may do on this machine: read files, and nothing else.
//! struct Machine;
//!
//! impl Host for Machine {
//!     fn read_file(&self, path: &Path, _limit: usize) -> std::io::Result<SecretBytes> {
//!         std::fs::read(path).map(SecretBytes::from)
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn Error>> {
//!     let identity = Source::file("the test key", "testdata/keys/alice.txt");
//!     let identities = Identities::new(vec![identity], Arc::new(Machine));
//!     let credentials = Credentials::none().with(identities);
//!
//!     let path = "testdata/examples/app.json";
//!     let text = SecretBytes::from(std::fs::read(path)?);
//!     let format = format::by_content(&text, path).ok_or("not an encrypted file")?;
//!     let file = EncryptedFile::parse(format, text)?;
//!     let data_key = file.data_key(&credentials, DEFAULT_DECRYPTION_ORDER)?;
//!     let plain = file.decrypt(&data_key)?.text()?;
//!
//!     assert!(plain.starts_with(b"{\n\t\"database\": {\n\t\t\"host\": \"db.internal\","));
//!     Ok(())
//! }
//! ```
//!
//! [`file::DecryptedFile::tree`] has the values with their types, and [`tree::path::TreePath`]
//! finds one of them. The other direction is [`file::encrypt`] with a [`file::Plan`].
//!
//! # Reading the code
//!
//! `ARCHITECTURE.md` has the idea and the layers. A good order is: [`tree`] (what a file is once it
//! is read), [`mod@format`] (how it is read, and edited), [`crypt::value`] (what `ENC[...]` is),
//! [`mod@file`] (the product), and for the program `cli/commands/decrypt.rs`. Each module says at its
//! top what it is for and what it does not know.
//!
//! # Features
//!
//! - `cli` (default): the command line, as the module `cli`. Without it (`default-features =
//!   false`) the crate compiles no argument parser, and nothing for terminals, files and signals.
//! - `keyservice` (default): SOPS' key service, as client and server, and the agent.

#[cfg(feature = "audit")]
pub mod audit;
pub mod check;
pub mod config;
pub mod crypt;
pub mod diff;
pub mod document;
pub mod edits;
pub mod export;
pub mod file;
pub mod format;
pub mod keys;
pub mod merge;
pub mod metadata;
pub mod number;
pub mod policy;
#[cfg(feature = "publish")]
pub mod publish;
pub mod scan;
pub mod secret;
pub mod selector;
#[cfg(feature = "keyservice")]
pub mod service;
pub mod span;
pub mod tree;

#[cfg(feature = "cli")]
pub mod cli;
