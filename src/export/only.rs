//! Which variables are wanted: names, and patterns for them.

/// A choice of variables by name. Empty, it chooses all.
#[derive(Clone, Debug, Default)]
pub struct Only {
    patterns: Vec<String>,
    used: Vec<bool>,
}

impl Only {
    /// Returns the choice of names that equal one of `patterns`, in which `*` stands for any text
    /// and `?` for any character. Empty patterns are ignored.
    pub fn new(patterns: impl IntoIterator<Item = String>) -> Only {
        let patterns: Vec<String> =
            patterns.into_iter().filter(|pattern| !pattern.is_empty()).collect();
        Only { used: vec![false; patterns.len()], patterns }
    }

    /// Returns whether a name is chosen.
    pub fn selects(&mut self, name: &str) -> bool {
        let mut selected = self.patterns.is_empty();
        for (pattern, used) in self.patterns.iter().zip(&mut self.used) {
            if matches(pattern, name) {
                *used = true;
                selected = true;
            }
        }
        selected
    }

    /// Returns the first pattern that has chosen nothing: most likely it has a typing error.
    pub fn unused(&self) -> Option<&str> {
        let place = self.used.iter().position(|used| !used)?;
        Some(&self.patterns[place])
    }
}

/// Returns whether a whole name is as a pattern says.
///
/// Of all `*`, only the last one that was reached is ever tried again, so that the time is at most
/// the product of the two lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut again = None;
    loop {
        let at = name.clone();
        match (pattern.next(), name.next()) {
            (Some('*'), _) => {
                name = at;
                again = Some((pattern.clone(), name.clone()));
            }
            (None, None) => return true,
            (Some(wanted), Some(letter)) if wanted == '?' || wanted == letter => {}
            _ => {
                let Some((behind, mut from)) = again.take() else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                pattern = behind.clone();
                name = from.clone();
                again = Some((behind, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_the_whole_name() {
        for (pattern, name, expected) in [
            ("A", "A", true),
            ("A", "a", false),
            ("A", "AB", false),
            ("B", "AB", false),
            ("DB_*", "DB_", true),
            ("DB_*", "DB_HOST", true),
            ("DB_*", "XDB_HOST", false),
            ("*_KEY", "A_KEY_KEY", true),
            ("*_KEY", "A_KEYS", false),
            ("*", "", true),
            ("?", "é", true),
            ("?", "", false),
            ("A?C*E", "ABCDDE", true),
            ("*a*b*c", "aXbXbYc", true),
            ("*a*b*c", "aXcXb", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_never_matched_is_known() {
        let mut only = Only::new(["A".to_owned(), String::new(), "B*".to_owned()]);
        assert!(only.selects("A"));
        assert!(!only.selects("C"));
        assert_eq!(only.unused(), Some("B*"));
        assert!(only.selects("BC"));
        assert_eq!(only.unused(), None);
    }

    #[test]
    fn many_stars_take_no_longer_than_the_product_of_the_lengths() {
        let pattern = "a*".repeat(2000) + "b";
        assert!(!matches(&pattern, &"a".repeat(4000)));
    }
}
