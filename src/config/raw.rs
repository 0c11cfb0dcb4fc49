//! YAML read into a bounded tree of plain values.
//!
//! A configuration comes with a repository, so that it is not trusted: its size, its depth and
//! what its aliases expand to are limited. `serde_yaml` alone takes minutes for some small texts.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, Visitor};

use super::error::ConfigProblem;

/// The largest configuration in bytes.
pub const MAX_SIZE: usize = 1 << 20;

/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// The most values, with aliases replaced.
const MAX_NODES: usize = 200_000;
/// The most bytes of text in values, with aliases replaced.
const MAX_TEXT: usize = 16 << 20;
/// The most `[` and `{`, quoted ones too: the time to read nested ones grows with their square.
const MAX_BRACKETS: usize = 20_000;
/// The most `%` directives, for the same reason.
const MAX_DIRECTIVES: usize = 16;

/// A value.
#[derive(Debug)]
pub(super) enum Raw {
    Null,
    Boolean(bool),
    Integer(i64),
    /// A number that no field takes.
    Number,
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(String, Raw)>),
}

impl Raw {
    /// Returns what the value is, for a message.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Raw::Null => "null",
            Raw::Boolean(_) => "a boolean",
            Raw::Integer(_) | Raw::Number => "a number",
            Raw::Text(_) => "a text",
            Raw::List(_) => "a list",
            Raw::Map(_) => "a map",
        }
    }
}

/// A text that could not be read, and the line and column of where.
#[derive(Debug)]
pub(super) struct RawError {
    pub(super) problem: ConfigProblem,
    pub(super) at: Option<(usize, usize)>,
}

impl From<ConfigProblem> for RawError {
    fn from(problem: ConfigProblem) -> RawError {
        RawError { problem, at: None }
    }
}

/// Reads the first document of `text`.
pub(super) fn read(text: &[u8]) -> Result<(&str, Raw), RawError> {
    if text.len() > MAX_SIZE {
        return Err(ConfigProblem::TooLarge.into());
    }
    let text = std::str::from_utf8(text).map_err(|_| ConfigProblem::NotUtf8)?;
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    let directives = text.lines().filter(|line| line.starts_with('%'));
    if brackets.count() > MAX_BRACKETS || directives.count() > MAX_DIRECTIVES {
        return Err(ConfigProblem::TooComplex.into());
    }
    let Some(document) = serde_yaml::Deserializer::from_str(text).next() else {
        return Ok((text, Raw::Null));
    };
    let mut budget = Budget { nodes: MAX_NODES, text: MAX_TEXT, depth: MAX_DEPTH, problem: None };
    match Seed(&mut budget).deserialize(document) {
        Ok(raw) => Ok((text, raw)),
        Err(error) => Err(RawError {
            problem: budget.problem.unwrap_or_else(|| syntax(&error.to_string())),
            at: error.location().map(|location| (location.line(), location.column())),
        }),
    }
}

/// Returns the problem that `serde_yaml` reports, without the place, which is known apart from it.
fn syntax(message: &str) -> ConfigProblem {
    // Its own limits, which it reaches before ours when aliases hold aliases.
    match message.find(" limit exceeded") {
        Some(end) if message[..end].ends_with("repetition") => ConfigProblem::TooManyValues,
        Some(_) => ConfigProblem::TooDeep,
        None => {
            let end = message.find(" at line ").unwrap_or(message.len());
            ConfigProblem::Syntax(message[..end].to_owned())
        }
    }
}

/// What may still be read, and why reading stopped.
struct Budget {
    nodes: usize,
    text: usize,
    depth: usize,
    problem: Option<ConfigProblem>,
}

impl Budget {
    fn stop<E: serde::de::Error>(&mut self, problem: ConfigProblem) -> E {
        self.problem = Some(problem);
        E::custom("stopped")
    }

    fn take<E: serde::de::Error>(&mut self, text: usize) -> Result<(), E> {
        match (self.nodes.checked_sub(1), self.text.checked_sub(text)) {
            (Some(nodes), Some(text)) => {
                self.nodes = nodes;
                self.text = text;
                Ok(())
            }
            _ => Err(self.stop(ConfigProblem::TooManyValues)),
        }
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.take(0)?;
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => Err(self.stop(ConfigProblem::TooDeep)),
        }
    }
}

struct Seed<'b>(&'b mut Budget);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Raw;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Raw, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Raw, E> {
        self.0.take(0)?;
        Ok(Raw::Null)
    }

    /// An empty document.
    fn visit_none<E: serde::de::Error>(self) -> Result<Raw, E> {
        self.visit_unit()
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Raw, E> {
        self.0.take(0)?;
        Ok(Raw::Boolean(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Raw, E> {
        self.0.take(0)?;
        Ok(Raw::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Raw, E> {
        self.0.take(0)?;
        Ok(i64::try_from(value).map_or(Raw::Number, Raw::Integer))
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Raw, E> {
        self.0.take(0)?;
        Ok(Raw::Number)
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Raw, E> {
        self.0.take(0)?;
        Ok(Raw::Number)
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Raw, E> {
        self.0.take(0)?;
        Ok(Raw::Number)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Raw, E> {
        self.0.take(text.len())?;
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Raw, A::Error> {
        self.0.enter()?;
        let mut list = Vec::new();
        while let Some(member) = members.next_element_seed(Seed(self.0))? {
            list.push(member);
        }
        self.0.depth += 1;
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        self.0.enter()?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(Seed(self.0))? {
            let key = match key {
                Raw::Text(text) => text,
                Raw::Integer(number) => number.to_string(),
                Raw::Boolean(flag) => flag.to_string(),
                Raw::Null => "null".to_owned(),
                Raw::Number | Raw::List(_) | Raw::Map(_) => {
                    return Err(self.0.stop(ConfigProblem::ComplexKey));
                }
            };
            map.push((key, entries.next_value_seed(Seed(self.0))?));
        }
        self.0.depth += 1;
        merged(map).map(Raw::Map).map_err(|problem| self.0.stop(problem))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Raw, A::Error> {
        self.0.problem = Some(ConfigProblem::Tag);
        Err(A::Error::custom("stopped"))
    }
}

/// Checks that keys are unique, and replaces `<<` by the entries of its maps. A map's own entries
/// win over merged ones, and earlier merged ones over later.
fn merged(mut map: Vec<(String, Raw)>) -> Result<Vec<(String, Raw)>, ConfigProblem> {
    let mut keys = HashSet::with_capacity(map.len());
    for (key, _) in &map {
        if !keys.insert(key.clone()) {
            return Err(ConfigProblem::DuplicateKey(key.clone()));
        }
    }
    let Some(at) = map.iter().position(|(key, _)| key == "<<") else {
        return Ok(map);
    };
    let sources = match map.remove(at).1 {
        Raw::List(sources) => sources,
        source => vec![source],
    };
    for source in sources {
        let Raw::Map(entries) = source else {
            return Err(ConfigProblem::Merge);
        };
        for (key, value) in entries {
            if keys.insert(key.clone()) {
                map.push((key, value));
            }
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> ConfigProblem {
        read(text.as_bytes()).unwrap_err().problem
    }

    #[test]
    fn texts_that_take_long_are_refused_at_once() {
        assert_eq!(problem(&"[".repeat(200_000)), ConfigProblem::TooComplex);
        assert_eq!(problem(&"{".repeat(200_000)), ConfigProblem::TooComplex);
        assert_eq!(problem(&"%TAG ! a\n".repeat(20)), ConfigProblem::TooComplex);
        assert_eq!(problem(&"- ".repeat(1000)), ConfigProblem::TooDeep);
        assert_eq!(problem(&"[".repeat(1000)), ConfigProblem::TooDeep);
        assert_eq!(problem(&" ".repeat(MAX_SIZE + 1)), ConfigProblem::TooLarge);
    }

    #[test]
    fn alias_bombs_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = level - 1;
            let members = vec![format!("*a{before}"); 10].join(", ");
            bomb = format!("{bomb}a{level}: &a{level} [{members}]\n");
        }
        assert_eq!(problem(&bomb), ConfigProblem::TooManyValues);

        let long = format!("- &a {}\n{}", "x".repeat(500_000), "- *a\n".repeat(1000));
        assert_eq!(problem(&long), ConfigProblem::TooManyValues);
    }

    #[test]
    fn merge_keys_fill_in_what_is_missing() {
        let text = b"x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: 0\n";
        let Raw::Map(map) = read(text).unwrap().1 else {
            panic!("a map");
        };
        let Raw::Map(entries) = &map[2].1 else {
            panic!("a map");
        };
        let found: Vec<String> = entries
            .iter()
            .map(|(key, value)| match value {
                Raw::Integer(number) => format!("{key}{number}"),
                _ => key.clone(),
            })
            .collect();
        assert_eq!(found, ["a0", "b2", "c4"]);
        assert_eq!(problem("<<: 1"), ConfigProblem::Merge);
    }
}
