//! Mode, owner and extended attributes of a file that is about to replace another, and what a
//! rename needs to know of the system.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use tempfile::Builder;

/// What the new file's permissions follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// The file that it replaces.
    Replaced,
    /// Nobody but the owner.
    Private,
}

/// Gives `new` the owner, group, extended attributes and mode of `old`; returns whether the owner
/// and group could be kept.
///
/// Only the superuser can give files away. Where the group cannot be kept, the group gets no more
/// rights than everybody, because it is another group. Access control lists and labels are
/// extended attributes: `user.*`, `system.posix_acl_access`, `system.nfs4_acl` and the labels of `SELinux` and
/// Smack are copied, others (capabilities, integrity hashes, the file system's own) are
/// not, since they are about the content or need the superuser.
///
/// # Errors
/// If mode or access control list cannot be set, since the file could be open to others then.
#[cfg(unix)]
pub fn copy_attributes(
    old: &Metadata,
    old_path: &Path,
    new: &File,
    permissions: Permissions,
) -> io::Result<bool> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let mut mode = old.mode() & 0o7777;
    let created = new.metadata()?;
    let mut kept = true;
    // The owner first: changing it clears bits of the mode.
    if (created.uid(), created.gid()) != (old.uid(), old.gid())
        && fchown(new, Some(old.uid()), Some(old.gid())).is_err()
    {
        kept = false;
        if created.uid() != old.uid() {
            mode &= !0o4000;
        }
        if created.gid() != old.gid() && fchown(new, None, Some(old.gid())).is_err() {
            let of_others = mode & 0o007;
            mode &= !0o2070 | (of_others << 3);
        }
    }
    copy_extended(old_path, new, permissions)?;
    if permissions == Permissions::Private {
        mode = 0o600;
    }
    new.set_permissions(std::fs::Permissions::from_mode(mode))?;
    Ok(kept)
}

/// Copies the mode that this system has.
#[cfg(not(unix))]
pub fn copy_attributes(
    old: &Metadata,
    _old_path: &Path,
    new: &File,
    _permissions: Permissions,
) -> io::Result<bool> {
    new.set_permissions(old.permissions())?;
    Ok(true)
}

/// Gives a new private file its exact mode, whatever the umask and the directory's default access
/// control list made of it.
#[cfg(unix)]
pub fn make_private(new: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    remove_access_list(new);
    new.set_permissions(std::fs::Permissions::from_mode(0o600))
}

/// Does nothing: the user's directories are private here.
#[cfg(not(unix))]
pub fn make_private(_new: &File) -> io::Result<()> {
    Ok(())
}

/// Sets the mode with which `builder` creates a file: exactly 0600, or what the umask leaves of
/// 0666 for a file without secrets (the directory's default access control list counts, too).
pub fn set_creation_mode(builder: &mut Builder<'_, '_>, private: bool) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if private { 0o600 } else { 0o666 };
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = (builder, private);
}

/// Returns whether the user may not write to the file at `path`.
///
/// A file without any write permission counts for the superuser, too: it says "do not change".
pub fn is_read_only(path: &Path, metadata: &Metadata) -> bool {
    if metadata.permissions().readonly() {
        return true;
    }
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        use rustix::io::Errno;
        accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) == Err(Errno::ACCESS)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Returns whether `directory` is one where every user can put files, as `/tmp` is.
///
/// A directory that all may write to is one only with the sticky bit: without it, it is that of a
/// checkout in a container that has no umask.
#[cfg(unix)]
pub fn is_shared_directory(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(directory).is_ok_and(|metadata| metadata.mode() & 0o1002 == 0o1002)
}

/// Returns `false`: nothing is known about that here.
#[cfg(not(unix))]
pub fn is_shared_directory(_directory: &Path) -> bool {
    false
}

/// Returns whether `path` belongs to somebody who is neither the user nor root, nor the owner of
/// the directory `beside` (of a project that is worked on as root in a container).
#[cfg(unix)]
pub fn is_of_another_user(path: &Path, beside: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // Of the link itself: whoever made it decides what it leads to.
    let Ok(owner) = std::fs::symlink_metadata(path).map(|metadata| metadata.uid()) else {
        return false;
    };
    let project = std::fs::metadata(beside).map(|metadata| metadata.uid());
    owner != 0
        && owner != rustix::process::geteuid().as_raw()
        && !project.is_ok_and(|project| project == owner)
}

/// Returns `false`: nothing is known about that here.
#[cfg(not(unix))]
pub fn is_of_another_user(_path: &Path, _beside: &Path) -> bool {
    false
}

/// Returns how many names the file has.
pub fn names_of(metadata: &Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(metadata);
    #[cfg(not(unix))]
    {
        let _ = metadata;
        1
    }
}

/// Returns whether `path` still names the file that is open as `file`.
pub fn is_same_file(file: &Metadata, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        path.symlink_metadata().is_ok_and(|now| (now.dev(), now.ino()) == (file.dev(), file.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.is_file()
    }
}

/// Makes what was renamed in `directory` last after a power failure.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return File::open(directory)?.sync_all();
    #[cfg(not(unix))]
    {
        let _ = directory;
        Ok(())
    }
}

/// The attribute with the access control list of POSIX.1e.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ACCESS_LIST: &str = "system.posix_acl_access";

#[cfg(any(target_os = "linux", target_os = "android"))]
fn copy_extended(old: &Path, new: &File, permissions: Permissions) -> io::Result<()> {
    use rustix::fs::{
        XattrFlags, fsetxattr, lgetxattr, lgetxattr_query, llistxattr, llistxattr_query,
    };
    // A directory's default list may have given one to the new file that the old never had.
    remove_access_list(new);
    let Some(names) = read_sized(llistxattr_query(old), |buffer| llistxattr(old, buffer)) else {
        return Ok(());
    };
    for name in names.split(|&byte| byte == 0) {
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        let is_access = matches!(name, ACCESS_LIST | "system.nfs4_acl");
        let is_label = matches!(name, "security.selinux" | "security.SMACK64");
        let is_wanted = name.starts_with("user.")
            || is_label
            || (is_access && permissions == Permissions::Replaced);
        if !is_wanted {
            continue;
        }
        let Some(value) =
            read_sized(lgetxattr_query(old, name), |buffer| lgetxattr(old, name, buffer))
        else {
            continue;
        };
        if let Err(error) = fsetxattr(new, name, &value, XattrFlags::empty())
            && is_access
        {
            return Err(error.into());
        }
    }
    Ok(())
}

/// Returns what `read` puts into a buffer of the size that was asked for before; `None` if either
/// fails.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn read_sized(
    size: rustix::io::Result<usize>,
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size.ok()?];
    if bytes.is_empty() {
        // An empty buffer would ask for the size again.
        return Some(bytes);
    }
    let size = read(&mut bytes).ok()?;
    bytes.truncate(size);
    Some(bytes)
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn copy_extended(_old: &Path, _new: &File, _permissions: Permissions) -> io::Result<()> {
    Ok(())
}

/// Removes the access control list; having none is no error.
#[cfg(unix)]
fn remove_access_list(file: &File) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::fs::fremovexattr(file, ACCESS_LIST);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = file;
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use rustix::fs::{XattrFlags, lgetxattr, lgetxattr_query, setxattr};

    use super::*;

    fn pair(mode: u32) -> (tempfile::TempDir, std::path::PathBuf, File) {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join("old");
        File::create_new(&old)
            .unwrap()
            .set_permissions(std::fs::Permissions::from_mode(mode))
            .unwrap();
        let new = File::create_new(directory.path().join("new")).unwrap();
        (directory, old, new)
    }

    #[test]
    fn the_mode_follows_the_old_file() {
        for mode in [0o600, 0o640, 0o664, 0o755] {
            let (_directory, old, new) = pair(mode);
            let metadata = old.metadata().unwrap();
            assert!(copy_attributes(&metadata, &old, &new, Permissions::Replaced).unwrap());
            assert_eq!(new.metadata().unwrap().mode() & 0o7777, mode);
            assert!(copy_attributes(&metadata, &old, &new, Permissions::Private).unwrap());
            assert_eq!(new.metadata().unwrap().mode() & 0o7777, 0o600);
        }
    }

    #[test]
    fn user_attributes_are_copied() {
        let (directory, old, new) = pair(0o644);
        if setxattr(&old, "user.origin", b"here", XattrFlags::empty()).is_err() {
            // The file system of the temporary directory has none.
            return;
        }
        let metadata = old.metadata().unwrap();
        copy_attributes(&metadata, &old, &new, Permissions::Replaced).unwrap();
        let path = directory.path().join("new");
        let value = read_sized(lgetxattr_query(&path, "user.origin"), |buffer| {
            lgetxattr(&path, "user.origin", buffer)
        });
        assert_eq!(value.as_deref(), Some(b"here".as_slice()));
    }
}
