//! Exit codes: SOPS', which scripts look at.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success,
    /// An error without a code of its own: usage, configuration, metadata, keys.
    Generic,
    /// An input that cannot be read or does not parse.
    Input,
    /// An output that cannot be written.
    Output,
    /// A tree that the output format cannot hold.
    Dump,
    /// An encryption context that is none.
    EncryptionContext,
    /// A tree path or value for `set` or `unset` that is none.
    SetFormat,
    /// Options that exclude each other.
    Conflict,
    /// A tree that cannot be encrypted.
    EncryptTree,
    /// A value that does not decrypt.
    DecryptTree,
    /// Keys to add to, or to take out of, a file that does not exist.
    KeysOfNoFile,
    /// A missing or wrong MAC.
    Mac,
    /// A tree path that is not one.
    TreePath,
    /// A file without any document.
    EmptyDocument,
    /// No file, or none that exists.
    NoFile,
    /// A decryption order that names a kind twice.
    DecryptionOrder,
    /// The data key could not be recovered.
    DataKey,
    /// An edit that changed nothing.
    Unchanged,
    /// The editor failed.
    Editor,
    /// The file is encrypted already.
    AlreadyEncrypted,
    /// Ended by a signal with this number.
    Signal(u8),
    /// As the command that was run.
    Command(u8),
}

impl Exit {
    /// Returns the number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Generic => 1,
            Exit::Input => 2,
            Exit::Output => 3,
            Exit::Dump => 4,
            Exit::EncryptionContext => 6,
            Exit::SetFormat => 7,
            Exit::Conflict => 8,
            Exit::EncryptTree => 23,
            Exit::DecryptTree => 25,
            Exit::KeysOfNoFile => 49,
            Exit::Mac => 51,
            Exit::TreePath => 91,
            Exit::EmptyDocument => 92,
            Exit::NoFile => 100,
            Exit::DecryptionOrder => 112,
            Exit::DataKey => 128,
            Exit::Unchanged => 200,
            Exit::Editor => 201,
            Exit::AlreadyEncrypted => 203,
            Exit::Signal(signal) => 128u8.saturating_add(signal),
            Exit::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
