//! Makes a text that fails smaller.

/// Attempts at most: each may start several programs.
const ATTEMPTS: usize = 150;

/// Returns a text of fewer lines for which `fails` holds, as it does for `text`.
pub(super) fn lines(text: &str, fails: impl Fn(&str) -> bool) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut attempts = ATTEMPTS;
    let mut size = lines.len() / 2;
    while size > 0 {
        let mut start = 0;
        while start < lines.len() && attempts > 0 {
            let end = (start + size).min(lines.len());
            let fewer = [&lines[..start], &lines[end..]].concat();
            attempts -= 1;
            if !fewer.is_empty() && fails(&fewer.concat()) {
                lines = fewer;
            } else {
                start = end;
            }
        }
        size /= 2;
    }
    lines.concat()
}
