//! Where the configuration file is, and how paths look from there. Nothing here touches a disk.

use std::path::{Component, Path, PathBuf};

/// The name of the configuration file.
pub const FILE_NAME: &str = ".sops.yaml";

/// A name that people give the configuration file by mistake. It is never read.
pub const IGNORED_FILE_NAME: &str = ".sops.yml";

/// The most directories that are searched.
const MAX_LEVELS: usize = 100;

/// Returns the places where the configuration file may be, nearest first: in `start`, which is an
/// absolute directory, and in the directories above. The first that exists is the one.
///
/// ```
/// use std::path::Path;
///
/// let mut candidates = encfile::config::candidates(Path::new("/a/b"));
/// assert_eq!(candidates.next().as_deref(), Some(Path::new("/a/b/.sops.yaml")));
/// assert_eq!(candidates.next().as_deref(), Some(Path::new("/a/.sops.yaml")));
/// ```
pub fn candidates(start: &Path) -> impl Iterator<Item = PathBuf> + use<'_> {
    start.ancestors().take(MAX_LEVELS).map(|directory| directory.join(FILE_NAME))
}

/// Returns the path by which creation rules know `file`: relative to the directory of the
/// configuration, or as it is if it is elsewhere, with `/` on every system.
///
/// Both paths are absolute. `.` and `..` are resolved by the text alone, and symbolic links are
/// not followed, as in SOPS.
pub fn relative(config_dir: &Path, file: &Path) -> String {
    let directory = clean(config_dir);
    let file = clean(file);
    match file.strip_prefix(&directory) {
        Ok(inside) if !inside.as_os_str().is_empty() => slashed(inside),
        _ => slashed(&file),
    }
}

/// Returns `path` without `.` and, as far as there is something to leave, `..`.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match cleaned.components().next_back() {
                Some(Component::Normal(_)) => {
                    cleaned.pop();
                }
                Some(Component::RootDir) => {}
                _ => cleaned.push(component),
            },
            _ => cleaned.push(component),
        }
    }
    cleaned
}

fn slashed(path: &Path) -> String {
    let mut text = String::new();
    for component in path.components() {
        if component == Component::RootDir {
            text.push('/');
            continue;
        }
        if !text.is_empty() && !text.ends_with('/') {
            text.push('/');
        }
        text.push_str(&component.as_os_str().to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_configuration() {
        for (directory, file, expected) in [
            ("/a/b", "/a/b/c/d.yaml", "c/d.yaml"),
            ("/a/b/", "/a/b/c.yaml", "c.yaml"),
            ("/a/b", "/a/bc/d.yaml", "/a/bc/d.yaml"),
            ("/a/b", "/c.yaml", "/c.yaml"),
            ("/a/b", "/a/b/../c.yaml", "/a/c.yaml"),
            ("/a/./b", "/a/b/x/.././c.yaml", "c.yaml"),
            ("/a/x/../b", "/a/b/c.yaml", "c.yaml"),
            ("/", "/c.yaml", "c.yaml"),
            ("/", "/../c.yaml", "c.yaml"),
            ("/a", "/a", "/a"),
            (".", "c/d.yaml", "c/d.yaml"),
            ("a", "a/d.yaml", "d.yaml"),
            ("a", "../d.yaml", "../d.yaml"),
        ] {
            assert_eq!(
                relative(Path::new(directory), Path::new(file)),
                expected,
                "{file} from {directory}"
            );
        }
    }

    #[cfg(windows)]
    #[test]
    fn windows_paths_have_slashes() {
        let directory = Path::new(r"C:\a");
        assert_eq!(relative(directory, Path::new(r"C:\a\b\c.yaml")), "b/c.yaml");
        assert_eq!(relative(directory, Path::new(r"C:\b\c.yaml")), "C:/b/c.yaml");
    }

    #[test]
    fn the_search_goes_up_and_ends() {
        let found: Vec<PathBuf> = candidates(Path::new("/a/b")).collect();
        assert_eq!(found, ["/a/b/.sops.yaml", "/a/.sops.yaml", "/.sops.yaml"].map(PathBuf::from));
        let deep = format!("/{}", "d/".repeat(500));
        assert_eq!(candidates(Path::new(&deep)).count(), 100);
    }
}
