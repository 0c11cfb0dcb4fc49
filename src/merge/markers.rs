//! The versions that stand in a text with conflict markers.

use crate::secret::SecretBytes;

/// The versions of a text with conflict markers.
pub struct Versions {
    /// The common ancestor, if the markers have it (`merge.conflictStyle=diff3`).
    pub base: Option<SecretBytes>,
    /// Our version.
    pub ours: SecretBytes,
    /// Their version.
    pub theirs: SecretBytes,
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Versions(base: {})", self.base.is_some())
    }
}

/// Where in a conflict a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Outside,
    Ours,
    Base,
    Theirs,
}

/// Takes the versions out of a text with git's conflict markers; `None` if there is no conflict in
/// it, or one that does not end. What is outside of conflicts is in every version.
pub fn versions(text: &[u8]) -> Option<Versions> {
    let [mut base, mut ours, mut theirs] = [(); 3].map(|()| SecretBytes::new());
    let mut part = Part::Outside;
    let (mut conflicts, mut with_base) = (0, 0);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let next = match part {
            Part::Outside if marks(line, b'<') => Some(Part::Ours),
            Part::Ours if marks(line, b'|') => Some(Part::Base),
            Part::Ours | Part::Base if line.trim_ascii_end() == b"=======" => Some(Part::Theirs),
            Part::Theirs if marks(line, b'>') => Some(Part::Outside),
            _ => None,
        };
        if let Some(next) = next {
            conflicts += usize::from(next == Part::Ours);
            with_base += usize::from(next == Part::Base);
            part = next;
            continue;
        }
        let into: &mut [&mut SecretBytes] = match part {
            Part::Outside => &mut [&mut base, &mut ours, &mut theirs],
            Part::Ours => &mut [&mut ours],
            Part::Base => &mut [&mut base],
            Part::Theirs => &mut [&mut theirs],
        };
        for version in into {
            version.extend_from_slice(line);
        }
    }
    let base = (with_base == conflicts).then_some(base);
    (conflicts > 0 && part == Part::Outside).then_some(Versions { base, ours, theirs })
}

/// Returns whether a line is seven of a character, and perhaps a name behind them.
fn marks(line: &[u8], mark: u8) -> bool {
    let Some((marks, rest)) = line.split_at_checked(7) else { return false };
    marks.iter().all(|&byte| byte == mark)
        && (rest.starts_with(b" ") || rest.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<[Option<String>; 3]> {
        let text_of = |text: SecretBytes| String::from_utf8(text.to_vec()).unwrap();
        let found = versions(text.as_bytes())?;
        Some([found.base.map(text_of), Some(text_of(found.ours)), Some(text_of(found.theirs))])
    }

    #[test]
    fn a_conflict_has_two_versions() {
        let text = "a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> other\nd\n";
        let expected = [None, Some("a\nb\nd\n".to_owned()), Some("a\nc\nd\n".to_owned())];
        assert_eq!(read(text), Some(expected));
    }

    #[test]
    fn a_conflict_of_the_style_diff3_has_the_base_too() {
        let text = "<<<<<<< a\r\nb\r\n||||||| 12ab\r\no\r\n=======\r\n>>>>>>> c\r\nd";
        let expected = ["o\r\nd", "b\r\nd", "d"].map(|text| Some(text.to_owned()));
        assert_eq!(read(text), Some(expected));
    }

    #[test]
    fn without_a_whole_conflict_there_is_none() {
        assert_eq!(read("a\n=======\nb\n"), None);
        assert_eq!(read("<<<<<<< a\nb\n=======\nc\n"), None);
        assert_eq!(read("<<<<<<<< a\n=======\n>>>>>>>> b\n"), None);
    }
}
