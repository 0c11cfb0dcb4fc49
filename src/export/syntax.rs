//! Texts that set variables, for programs that read such texts. None of them is ever read back by
//! encfile.

use std::fmt::Write as _;

use crate::export::{ExportError, Variable, Variables};
use crate::secret::SecretBytes;

/// The longest line of docker's `--env-file`, in bytes with its line break.
const DOCKER_LINE: usize = 64 * 1024;

/// For whom a text of variables is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// A POSIX shell: `export NAME='value'`.
    Shell,
    /// The file that `$GITHUB_ENV` names, and `$GITHUB_OUTPUT`: values between random delimiters.
    Github,
    /// `docker run --env-file`: `NAME=value`, where quotes are part of the value.
    Docker,
    /// systemd's `EnvironmentFile=`: `NAME="value"`.
    Systemd,
}

impl Syntax {
    /// All of them.
    pub const ALL: [Syntax; 4] = [Syntax::Shell, Syntax::Github, Syntax::Docker, Syntax::Systemd];

    /// Returns the word for `--output-type`.
    pub fn name(self) -> &'static str {
        match self {
            Syntax::Shell => "shell",
            Syntax::Github => "github",
            Syntax::Docker => "docker",
            Syntax::Systemd => "systemd",
        }
    }

    /// Returns the syntax of that name.
    pub fn by_name(name: &str) -> Option<Syntax> {
        Syntax::ALL.into_iter().find(|syntax| syntax.name() == name)
    }

    /// Writes variables.
    ///
    /// # Errors
    /// If a name or a value cannot be written so that the reader has the same.
    pub fn write(self, variables: &Variables) -> Result<SecretBytes, ExportError> {
        let mut out = SecretBytes::new();
        for variable in variables.iter() {
            match self {
                Syntax::Shell => shell(variable, &mut out)?,
                Syntax::Github => github(variable, &delimiter()?, &mut out)?,
                Syntax::Docker => docker(variable, &mut out)?,
                Syntax::Systemd => systemd(variable, &mut out)?,
            }
        }
        Ok(out)
    }
}

/// Returns GitHub's workflow commands that hide the values in all later output of a job.
///
/// The runner looks at single lines of output, so that each line of a value has a command.
pub fn github_masks(variables: &Variables) -> SecretBytes {
    let mut out = SecretBytes::new();
    for variable in variables.iter() {
        for line in variable.value.split(|byte| matches!(byte, b'\n' | b'\r')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            out.extend_from_slice(b"::add-mask::");
            for &byte in line {
                match byte {
                    b'%' => out.extend_from_slice(b"%25"),
                    _ => out.push(byte),
                }
            }
            out.push(b'\n');
        }
    }
    out
}

fn bad_value(variable: &Variable, reason: &'static str) -> ExportError {
    ExportError::Value { name: variable.name.clone(), reason }
}

/// Checks that a name is letters, digits and `_`, and begins with no digit.
fn check_identifier(variable: &Variable) -> Result<(), ExportError> {
    let name = variable.name.as_bytes();
    let is_identifier = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && name.first().is_some_and(|first| !first.is_ascii_digit());
    if is_identifier {
        return Ok(());
    }
    let reason = "only letters, digits and `_` may be in it, and no digit may come first";
    Err(ExportError::Name { name: variable.name.clone(), reason })
}

fn check_utf8(variable: &Variable) -> Result<(), ExportError> {
    match std::str::from_utf8(&variable.value) {
        Ok(_) => Ok(()),
        Err(_) => Err(bad_value(variable, "is not UTF-8, as its reader wants it")),
    }
}

fn shell(variable: &Variable, out: &mut SecretBytes) -> Result<(), ExportError> {
    check_identifier(variable)?;
    out.extend_from_slice(b"export ");
    out.extend_from_slice(variable.name.as_bytes());
    out.extend_from_slice(b"='");
    for &byte in variable.value.as_slice() {
        match byte {
            // Between single quotes nothing is special to a shell but they themselves.
            b'\'' => out.extend_from_slice(b"'\\''"),
            _ => out.push(byte),
        }
    }
    out.extend_from_slice(b"'\n");
    Ok(())
}

/// Returns a line that no value can have, by chance or on purpose: 128 random bits.
fn delimiter() -> Result<String, ExportError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| ExportError::Randomness)?;
    let mut delimiter = String::from("ENCFILE_");
    for byte in random {
        // Writing to a `String` cannot fail.
        let _ = write!(delimiter, "{byte:02x}");
    }
    Ok(delimiter)
}

fn github(variable: &Variable, delimiter: &str, out: &mut SecretBytes) -> Result<(), ExportError> {
    check_identifier(variable)?;
    check_utf8(variable)?;
    out.extend_from_slice(variable.name.as_bytes());
    out.extend_from_slice(b"<<");
    out.extend_from_slice(delimiter.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&variable.value);
    out.push(b'\n');
    out.extend_from_slice(delimiter.as_bytes());
    out.push(b'\n');
    Ok(())
}

/// docker takes everything behind the first `=` up to the line break, less a CR in front of that.
fn docker(variable: &Variable, out: &mut SecretBytes) -> Result<(), ExportError> {
    if variable.name.starts_with('#') {
        let reason = "docker takes a line that begins with `#` for a comment";
        return Err(ExportError::Name { name: variable.name.clone(), reason });
    }
    check_utf8(variable)?;
    if memchr::memchr(b'\n', &variable.value).is_some() {
        return Err(bad_value(variable, "has a line break, which docker's format cannot hold"));
    }
    if variable.value.ends_with(b"\r") {
        return Err(bad_value(variable, "ends with a CR, which docker would cut off"));
    }
    if variable.name.len() + variable.value.len() + "=\n".len() > DOCKER_LINE {
        return Err(bad_value(variable, "is longer than docker reads, 64 KiB"));
    }
    out.extend_from_slice(variable.name.as_bytes());
    out.push(b'=');
    out.extend_from_slice(&variable.value);
    out.push(b'\n');
    Ok(())
}

fn systemd(variable: &Variable, out: &mut SecretBytes) -> Result<(), ExportError> {
    check_identifier(variable)?;
    check_utf8(variable)?;
    // Releases before 248 drop such a variable, and say so in a log only.
    if variable.value.iter().any(|&byte| byte.is_ascii_control() && !b"\t\n".contains(&byte)) {
        return Err(bad_value(variable, "has a control character, for which systemd drops it"));
    }
    out.extend_from_slice(variable.name.as_bytes());
    out.extend_from_slice(b"=\"");
    for &byte in variable.value.as_slice() {
        if b"\"\\$`".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.extend_from_slice(b"\"\n");
    Ok(())
}

#[cfg(test)]
mod tests;
