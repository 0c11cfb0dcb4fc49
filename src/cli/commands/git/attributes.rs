//! `.gitattributes` from creation rules: patterns of paths as globs, as far as that is possible.

use std::fmt::Write as _;

/// The lines around what is ours.
const BEGIN: &str = "# >>> encfile: written by `encfile git install` >>>";
const END: &str = "# <<< encfile <<<";

/// The most globs that one pattern is written as.
const MAX_GLOBS: usize = 64;

/// Returns the globs that match the same paths as a `path_regex`; `None` if that cannot be said
/// with globs. `directory` is where the config stands, from the top, with `/` at its end or empty.
pub(super) fn globs(pattern: &str, directory: &str) -> Option<Vec<String>> {
    let mut globs = Vec::new();
    for pattern in alternatives(pattern) {
        globs.extend(globs_of_one(pattern, directory)?);
    }
    (globs.len() <= MAX_GLOBS).then_some(globs)
}

/// Splits at each `|` that is in no brackets: anchors belong to one side of it.
fn alternatives(pattern: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut escaped) = (0, 0_usize, false);
    for (at, character) in pattern.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                parts.push(&pattern[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&pattern[start..]);
    parts
}

fn globs_of_one(pattern: &str, directory: &str) -> Option<Vec<String>> {
    let mut alternatives = Vec::new();
    let (anchored, rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (rest, to_the_end) = match rest.strip_suffix('$') {
        Some(rest) if !rest.ends_with('\\') => (rest, true),
        _ => (rest, false),
    };
    for mut alternative in alternation(rest)? {
        if !to_the_end && !alternative.ends_with(".*") {
            // What may follow: more of the name, or more directories.
            alternative.push_str(".*");
        }
        let mut glob = String::new();
        translate(&alternative, &mut glob)?;
        alternatives.push(glob);
    }
    let mut globs = Vec::new();
    for glob in alternatives {
        if anchored {
            globs.push(format!("/{directory}{glob}"));
        } else if glob.contains('/') {
            globs.push(format!("/{directory}**/*{glob}"));
            globs.push(format!("/{directory}*{glob}"));
        } else {
            globs.push(format!("/{directory}**/*{glob}"));
        }
    }
    let usable = |glob: &String| !glob.contains("***") && !glob.contains([' ', '"', '\t']);
    globs.iter().all(usable).then_some(globs)
}

/// Writes out `(a|b)` and `x?`: the patterns without them that match the same together.
fn alternation(pattern: &str) -> Option<Vec<String>> {
    let mut done = Vec::new();
    let mut waiting = vec![pattern.to_owned()];
    while let Some(pattern) = waiting.pop() {
        if done.len() + waiting.len() > MAX_GLOBS {
            return None;
        }
        match first_choice(&pattern) {
            First::Foreign => return None,
            First::Plain => done.push(pattern),
            First::Choice((range, choices)) => {
                for choice in choices.iter().rev() {
                    let (front, back) = (&pattern[..range.start], &pattern[range.end..]);
                    waiting.push(format!("{front}{choice}{back}"));
                }
            }
        }
    }
    Some(done)
}

type Choice = (std::ops::Range<usize>, Vec<String>);

/// What comes first in a pattern.
enum First {
    /// `(a|b)` or `x?`.
    Choice(Choice),
    /// None of them.
    Plain,
    /// Something that has no glob.
    Foreign,
}

/// Finds the first `(a|b)` or `x?`.
fn first_choice(pattern: &str) -> First {
    let bytes = pattern.as_bytes();
    let mut at = 0;
    let mut before = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => {
                before = at;
                at += 2;
                continue;
            }
            b'(' => {
                let start = if pattern[at..].starts_with("(?:") { at + 3 } else { at + 1 };
                let Some(length) = pattern[start..].find(['(', ')']) else { return First::Foreign };
                let end = start + length;
                if bytes[end] == b'(' || matches!(bytes.get(end + 1), Some(b'*' | b'+' | b'{')) {
                    return First::Foreign;
                }
                let mut choices: Vec<String> =
                    pattern[start..end].split('|').map(str::to_owned).collect();
                let optional = bytes.get(end + 1) == Some(&b'?');
                if optional {
                    choices.push(String::new());
                }
                return First::Choice((at..end + 1 + usize::from(optional), choices));
            }
            b'?' if at > 0 && !matches!(bytes[at - 1], b'*' | b'+' | b'?') => {
                let one = pattern[before..at].to_owned();
                return First::Choice((before..at + 1, vec![one, String::new()]));
            }
            _ => before = at,
        }
        at += 1;
    }
    First::Plain
}

/// Translates a pattern without choices.
fn translate(pattern: &str, glob: &mut String) -> Option<()> {
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("[^/]*").or_else(|| rest.strip_prefix("[^/]+")) {
            glob.push('*');
            rest = after;
        } else if let Some(after) = rest.strip_prefix(".*").or_else(|| rest.strip_prefix(".+")) {
            // Over any number of directories: `**/` does that only between slashes.
            match (glob.is_empty() || glob.ends_with('/'), after) {
                (true, "") => glob.push_str("**"),
                (true, after) if after.starts_with('/') => glob.push_str("**"),
                (true, after) if !after.contains('/') => glob.push_str("**/*"),
                (false, "") => glob.push('*'),
                _ => return None,
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix('\\') {
            let escaped = after.chars().next().filter(char::is_ascii_punctuation)?;
            literal(escaped, glob)?;
            rest = &after[escaped.len_utf8()..];
        } else {
            // A dot that is not escaped is nearly always meant as one; as a glob it is.
            if "*+?[]{}()|^$".contains(character) {
                return None;
            }
            literal(character, glob)?;
            rest = &rest[character.len_utf8()..];
        }
    }
    Some(())
}

fn literal(character: char, glob: &mut String) -> Option<()> {
    if "*?[\\".contains(character) {
        return None;
    }
    glob.push(character);
    Some(())
}

/// Returns the text of `.gitattributes` with our block holding `globs`, or without it if there are
/// none. The rest stays as it is.
pub(super) fn with_block(text: &str, globs: &[String]) -> String {
    let mut result = String::new();
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN => inside = true,
            END if inside => inside = false,
            _ if !inside => result.push_str(line),
            _ => {}
        }
    }
    if globs.is_empty() {
        return result;
    }
    if !result.is_empty() && !result.ends_with('\n') {
        result.push('\n');
    }
    // Writing to a `String` cannot fail.
    let _ = writeln!(result, "{BEGIN}");
    for glob in globs {
        let _ = writeln!(result, "{glob} diff=encfile merge=encfile");
    }
    let _ = writeln!(result, "{END}");
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Option<Vec<String>> {
        globs(pattern, "")
    }

    #[test]
    fn patterns_become_globs() {
        for (pattern, expected) in [
            (r"\.enc\.yaml$", &["/**/*.enc.yaml"][..]),
            (r"^secrets/.*\.yaml$", &["/secrets/**/*.yaml"]),
            (r"^secrets/[^/]+\.json$", &["/secrets/*.json"]),
            (r"^secrets/", &["/secrets/**"]),
            (r"^prod/.*", &["/prod/**"]),
            (r"\.ya?ml$", &["/**/*.yaml", "/**/*.yml"]),
            (r"^(dev|prod)/db\.env$", &["/dev/db.env", "/prod/db.env"]),
            (r"config/app\.ini$", &["/**/*config/app.ini", "/*config/app.ini"]),
            (r"^a$|^b$", &["/a", "/b"]),
            (r"^prod/|\.enc\.(env|ini)$", &["/prod/**", "/**/*.enc.env", "/**/*.enc.ini"]),
        ] {
            assert_eq!(of(pattern).unwrap(), expected, "{pattern}");
        }
        assert_eq!(globs("^x", "sub/").unwrap(), ["/sub/x*"]);
    }

    #[test]
    fn what_has_no_glob_is_said() {
        for pattern in [r"\d+", "[ab]", "(a(b|c))", "a{2}", "^a.*b/c$", "(a|b)+", r"a\*"] {
            assert_eq!(of(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn the_block_is_replaced_and_the_rest_stays() {
        let globs = ["/a".to_owned()];
        let once = with_block("*.png binary", &globs);
        assert_eq!(once, format!("*.png binary\n{BEGIN}\n/a diff=encfile merge=encfile\n{END}\n"));
        assert_eq!(with_block(&once, &globs), once);
        assert_eq!(with_block(&format!("{once}*.x y\n"), &[]), "*.png binary\n*.x y\n");
    }
}
