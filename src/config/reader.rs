//! Typed access to a configuration's values that knows where they stand.

use super::error::{ConfigError, ConfigProblem, ConfigWarning};
use super::outline::{Outline, PlaceId, Step};
use super::raw::Raw;
use super::{Strictness, names};

/// The most warnings that are kept: nobody reads more.
pub(super) const MAX_WARNINGS: usize = 100;

/// What all of a configuration's parts need while they are read.
pub(super) struct Reader<'t> {
    pub(super) origin: &'t str,
    pub(super) strictness: Strictness,
    pub(super) outline: Outline<'t>,
    pub(super) warnings: Vec<ConfigWarning>,
    /// The number of the rule that is being read.
    pub(super) rule: Option<usize>,
}

impl Reader<'_> {
    /// Returns an error at a place.
    pub(super) fn error(&self, at: At, problem: ConfigProblem) -> ConfigError {
        let place = at.near.map(|id| self.outline.place(id));
        ConfigError {
            origin: self.origin.to_owned(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            rule: self.rule,
            problem: Box::new(problem),
        }
    }

    pub(super) fn warn(&mut self, at: At, problem: ConfigProblem) {
        let warning = ConfigWarning(self.error(at, problem));
        self.warnings.push(warning);
    }

    /// Reports something that SOPS accepts: an error, unless reading is lenient.
    pub(super) fn tolerate(&mut self, at: At, problem: ConfigProblem) -> Result<(), ConfigError> {
        match self.strictness {
            Strictness::Strict => Err(self.error(at, problem)),
            Strictness::Lenient => {
                self.warn(at, problem);
                Ok(())
            }
        }
    }

    /// Returns whether problems that are only warned of need not be looked for any more.
    fn is_full(&self) -> bool {
        self.strictness == Strictness::Lenient && self.warnings.len() >= MAX_WARNINGS
    }

    /// Returns the line of a place.
    pub(super) fn line(&self, at: At) -> Option<usize> {
        at.near.map(|id| self.outline.place(id).line)
    }

    /// Returns the comment of exactly this place, or what is said about the same text elsewhere.
    pub(super) fn comment(&self, at: At, text: &str) -> Option<String> {
        let here = at.exact.and_then(|id| self.outline.place(id).comment);
        here.or_else(|| self.outline.owner(text)).map(str::to_owned)
    }
}

/// Where a value stands, as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct At {
    exact: Option<PlaceId>,
    /// The innermost place around that is known.
    near: Option<PlaceId>,
    /// Set once the way from the root was lost.
    lost: bool,
}

impl At {
    fn step(self, outline: &Outline<'_>, step: Step<'_>) -> At {
        let found = if self.lost { None } else { outline.member(self.exact, step) };
        At { exact: found, near: found.or(self.near), lost: found.is_none() }
    }
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Node<'r> {
    pub(super) raw: &'r Raw,
    pub(super) at: At,
}

/// The fields of a map that are set.
pub(super) struct Fields<'r> {
    entries: &'r [(String, Raw)],
    pub(super) at: At,
    /// What the map is, for messages: `creation rule 2`.
    pub(super) within: String,
}

/// A field that is set.
#[derive(Clone, Copy)]
pub(super) struct Field<'f> {
    pub(super) name: &'f str,
    pub(super) within: &'f str,
    pub(super) node: Node<'f>,
}

impl<'r> Fields<'r> {
    /// Takes `node` for a map with no other fields than `known`. Null is an empty map.
    pub(super) fn new(
        reader: &mut Reader<'_>,
        node: Node<'r>,
        within: String,
        known: &[&'static str],
    ) -> Result<Fields<'r>, ConfigError> {
        let fields = Fields::open(reader, node, within)?;
        for (key, _) in fields.entries {
            if !known.contains(&key.as_str()) && !reader.is_full() {
                let at = fields.place_of(reader, key);
                let problem = ConfigProblem::UnknownField {
                    field: key.clone(),
                    within: fields.within.clone(),
                    suggestion: names::similar(key, known),
                };
                reader.tolerate(at, problem)?;
            }
        }
        Ok(fields)
    }

    /// Takes `node` for a map with any fields.
    pub(super) fn open(
        reader: &Reader<'_>,
        node: Node<'r>,
        within: String,
    ) -> Result<Fields<'r>, ConfigError> {
        let entries: &[(String, Raw)] = match node.raw {
            Raw::Map(entries) => entries,
            Raw::Null => &[],
            other => {
                return Err(
                    reader.error(node.at, ConfigProblem::NotMap { within, found: other.name() })
                );
            }
        };
        Ok(Fields { entries, at: node.at, within })
    }

    /// Returns all fields, also those that are null.
    pub(super) fn all<'f>(&'f self, outline: &'f Outline<'_>) -> impl Iterator<Item = Field<'f>> {
        self.entries.iter().map(|(name, raw)| Field {
            name,
            within: &self.within,
            node: Node { raw, at: self.at.step(outline, Step::Key(name)) },
        })
    }

    /// Returns where the field called `name` stands.
    pub(super) fn place_of(&self, reader: &Reader<'_>, name: &str) -> At {
        self.at.step(&reader.outline, Step::Key(name))
    }

    /// Returns the field called `name`, unless it is missing or null.
    pub(super) fn get<'f>(&'f self, reader: &Reader<'_>, name: &'f str) -> Option<Field<'f>> {
        let (_, raw) = self.entries.iter().find(|(key, _)| key == name)?;
        if matches!(raw, Raw::Null) {
            return None;
        }
        let at = self.place_of(reader, name);
        Some(Field { name, within: &self.within, node: Node { raw, at } })
    }

    /// Returns the text of the field called `name`; empty texts are as if not set.
    pub(super) fn text(
        &self,
        reader: &Reader<'_>,
        name: &str,
    ) -> Result<Option<String>, ConfigError> {
        match self.get(reader, name) {
            Some(field) => Ok(Some(field.text(reader)?).filter(|text| !text.is_empty())),
            None => Ok(None),
        }
    }

    /// Returns the text of a field that must not be empty.
    pub(super) fn required(
        &self,
        reader: &Reader<'_>,
        name: &'static str,
    ) -> Result<String, ConfigError> {
        self.text(reader, name)?.ok_or_else(|| {
            let within = self.within.clone();
            let problem = ConfigProblem::MissingField { field: name, within };
            reader.error(self.at, problem)
        })
    }

    /// Returns whether the boolean field called `name` is set and true.
    pub(super) fn flag(&self, reader: &Reader<'_>, name: &str) -> Result<bool, ConfigError> {
        self.get(reader, name).map_or(Ok(false), |field| field.flag(reader))
    }
}

impl<'f> Field<'f> {
    /// Returns the error that the field is not of the type that it should be of.
    pub(super) fn mismatch(self, reader: &Reader<'_>, expected: &'static str) -> ConfigError {
        let problem = ConfigProblem::Type {
            field: self.name.to_owned(),
            within: self.within.to_owned(),
            expected,
            found: match self.node.raw {
                Raw::Integer(_) if expected.contains("number") => "another number",
                other => other.name(),
            },
        };
        reader.error(self.node.at, problem)
    }

    /// Returns the field as a text. An integer counts as its digits, as it does in SOPS.
    pub(super) fn text(self, reader: &Reader<'_>) -> Result<String, ConfigError> {
        match self.node.raw {
            Raw::Text(text) => Ok(text.clone()),
            Raw::Integer(number) => Ok(number.to_string()),
            _ => Err(self.mismatch(reader, "a text (in quotes)")),
        }
    }

    /// Returns the field as a boolean, with the words that YAML 1.1 has for them.
    fn flag(self, reader: &Reader<'_>) -> Result<bool, ConfigError> {
        let word = match self.node.raw {
            Raw::Boolean(flag) => return Ok(*flag),
            Raw::Text(word) => word.as_str(),
            _ => "",
        };
        match word {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Ok(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Ok(false),
            _ => Err(self.mismatch(reader, "true or false")),
        }
    }

    /// Returns the field as a number that is at least `least`, at most `most`.
    pub(super) fn number(
        self,
        reader: &Reader<'_>,
        least: i64,
        most: i64,
        expected: &'static str,
    ) -> Result<i64, ConfigError> {
        match *self.node.raw {
            Raw::Integer(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(self.mismatch(reader, expected)),
        }
    }

    /// Returns the members of the field as fields of the same name.
    pub(super) fn list(self, reader: &Reader<'_>) -> Result<Vec<Field<'f>>, ConfigError> {
        let Raw::List(members) = self.node.raw else {
            return Err(self.mismatch(reader, "a list"));
        };
        let field = |(index, raw)| Field {
            name: self.name,
            within: self.within,
            node: Node { raw, at: self.node.at.step(&reader.outline, Step::Item(index)) },
        };
        Ok(members.iter().enumerate().map(field).collect())
    }
}
