//! Becoming another user of the system, for good.

use std::io;
use std::path::PathBuf;

/// Who this process is now.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The home directory.
    pub home: PathBuf,
}

/// Why this process cannot be another user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is none of that name.
    #[error("user: unknown user {name}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The system does not let us.
    #[error("cannot become the user `{name}`")]
    Refused {
        /// The name.
        name: String,
        /// Why not.
        source: io::Error,
    },
}

/// Returns the name of the user whose process this is, or their number if they have none.
#[cfg(feature = "audit")]
pub fn name() -> String {
    #[cfg(unix)]
    {
        let uid = nix::unistd::getuid();
        let user = nix::unistd::User::from_uid(uid).ok().flatten();
        user.map_or_else(|| uid.to_string(), |user| user.name)
    }
    #[cfg(not(unix))]
    crate::cli::env::variable("USERNAME")
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Makes this process one of the user `name`: groups, group and user, in this order and for all
/// threads. There is no way back.
pub fn become_user(name: &str) -> Result<User, UserError> {
    let refused = |source| UserError::Refused { name: name.to_owned(), source };
    #[cfg(unix)]
    {
        let found = nix::unistd::User::from_name(name).map_err(|error| refused(error.into()))?;
        let user = found.ok_or_else(|| UserError::Unknown { name: name.to_owned() })?;
        // Whoever is the user already may have no right to set groups, and needs none.
        if user.uid != nix::unistd::getuid() || user.uid != nix::unistd::geteuid() {
            set_groups(&user).map_err(refused)?;
            nix::unistd::setgid(user.gid).map_err(|error| refused(error.into()))?;
            nix::unistd::setuid(user.uid).map_err(|error| refused(error.into()))?;
        }
        Ok(User { name: user.name, home: user.dir })
    }
    #[cfg(not(unix))]
    Err(refused(io::ErrorKind::Unsupported.into()))
}

#[cfg(all(unix, not(target_vendor = "apple")))]
fn set_groups(user: &nix::unistd::User) -> io::Result<()> {
    let name = std::ffi::CString::new(user.name.as_str())?;
    Ok(nix::unistd::initgroups(&name, user.gid)?)
}

/// macOS keeps groups with the system's directory, where a process cannot set them for good.
#[cfg(target_vendor = "apple")]
fn set_groups(_user: &nix::unistd::User) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
