//! encfile encrypts the values of structured files and keeps everything else as it is.

pub mod config;
pub mod crypt;
pub mod document;
pub mod edits;
pub mod file;
pub mod format;
pub mod keys;
pub mod metadata;
pub mod number;
pub mod secret;
pub mod selector;
pub mod span;
pub mod tree;

#[cfg(feature = "cli")]
pub mod cli;
