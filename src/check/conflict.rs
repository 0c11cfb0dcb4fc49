//! The conflict markers that a merge leaves in a text.

use crate::span::Position;

/// Returns where the first conflict of git begins: a line `<<<<<<< `, later a line `=======`, later
/// a line `>>>>>>> `, each at the beginning of its line. All three, since a line of equals signs
/// alone is a heading somewhere.
pub fn conflict_marker(text: &[u8]) -> Option<Position> {
    // Nearly every text ends here, at the speed of memory.
    memchr::memmem::find(text, b">>>>>>>")?;
    let mut start = None;
    let mut middle = false;
    let mut offset = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let content = line.trim_ascii_end();
        if content.starts_with(b"<<<<<<< ") {
            start = Some(offset);
            middle = false;
        } else if content == b"=======" {
            middle = start.is_some();
        } else if let Some(start) = start
            && middle
            && (content.starts_with(b">>>>>>> ") || content == b">>>>>>>")
        {
            return Some(Position::of(text, start));
        }
        offset += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_is_all_three_markers_in_order() {
        let text = b"a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n";
        assert_eq!(conflict_marker(text), Some(Position { line: 2, column: 1 }));
        assert_eq!(conflict_marker(b"=======\n<<<<<<< a\n>>>>>>> b\n"), None);
        assert_eq!(conflict_marker(b"title\n=======\n"), None);
        assert_eq!(conflict_marker(b"  <<<<<<< a\n=======\n>>>>>>> b\n"), None);
        let crlf = b"<<<<<<< a\r\n=======\r\n>>>>>>> b\r\n";
        assert_eq!(conflict_marker(crlf), Some(Position { line: 1, column: 1 }));
    }
}
