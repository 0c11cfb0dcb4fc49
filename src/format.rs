//! File formats: text to tree, and changes of a tree to edits of its text.
//!
//! A format is one type that implements [`FileFormat`] and one entry in [`FORMATS`]. It knows
//! nothing of files, keys or ciphertext: to a format `ENC[...]` is a string like any other.
//!
//! Formats never re-emit a text that is there. [`FileFormat::splice`] writes changed values over
//! their own bytes, [`FileFormat::detach`] and [`FileFormat::attach`] cut the metadata block out
//! and put it back; [`FileFormat::emit`] serves conversions and text that is new.

pub mod binary;
pub mod dotenv;
mod find;
pub mod ini;
pub mod json;
mod repeated;
pub mod toml;
pub mod yaml;

use std::borrow::Cow;

use crate::edits::Edits;
use crate::secret::SecretBytes;
use crate::span::{Position, SourceTooLong, Span};
use crate::tree::operation::Operation;
use crate::tree::{NodeId, Step, TextRef, Tree};

/// All file formats, in the order in which contents are tried.
pub static FORMATS: &[&dyn FileFormat] =
    &[&json::Json, &binary::Binary, &dotenv::Dotenv, &toml::Toml, &ini::Ini, &yaml::Yaml];

/// A file format. Implementations are pure and have no state.
pub trait FileFormat: Sync {
    /// Returns the name, which is also the word for `--input-type` and `--output-type`.
    fn name(&self) -> &'static str;

    /// Returns the file name endings of the format, with the dot.
    fn endings(&self) -> &'static [&'static str];

    /// Returns whether SOPS has the format.
    fn is_known_to_sops(&self) -> bool {
        true
    }

    /// Returns whether `text` can be an *encrypted* file of this format, judged by a quick look
    /// for the metadata block where this format has it. False positives are fine: parsing decides.
    fn sniff(&self, text: &[u8]) -> bool;

    /// Returns whether empty texts are sealed. SOPS leaves them as they are.
    fn seals_empty_texts(&self) -> bool {
        false
    }

    /// Parses a text.
    ///
    /// # Errors
    /// If the text is not of this format. The error has a place, and no part of the text.
    fn parse(&self, source: SecretBytes) -> Result<Tree, SyntaxError>;

    /// Writes the changed leaves of `tree` over their own bytes of the source.
    ///
    /// `changes` are in tree order. A leaf keeps its style where its new value allows that.
    ///
    /// # Errors
    /// If a value cannot be written in this format.
    fn splice(&self, tree: &Tree, changes: &[Change]) -> Result<Edits, EmitError>;

    /// Returns how the metadata is laid out.
    fn metadata_layout(&self) -> MetadataLayout;

    /// Cuts the metadata block out of an encrypted text; `None` if there is none.
    ///
    /// # Errors
    /// If there are several in one document.
    fn detach(&self, tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata>;

    /// Returns the edits that put a metadata block into the text of `tree`, which has none.
    ///
    /// `block` is a text of this format with the metadata as its only entry: what
    /// [`FileFormat::detach`] cut out, or what [`FileFormat::emit`] made.
    ///
    /// # Errors
    /// If the text has no place for it.
    fn attach(&self, tree: &Tree, block: &Block<'_>) -> Result<Edits, EmitError>;

    /// Returns the edits that may bring comments back into the collection that they are in without
    /// the metadata: those make a reader of the encrypted text take them for another's. The caller
    /// checks that they do.
    fn hold_comments(&self, tree: &Tree, moved: &[MovedComment]) -> Edits {
        let _ = (tree, moved);
        Edits::new()
    }

    /// Returns the edits that add an entry with a text value at the end of a map.
    ///
    /// This is for metadata blocks, whose shape is known: it always says where, or why not.
    /// [`FileFormat::amend`] is for what people wrote: it takes any value, may know no way, and
    /// leaves it to its caller to read the result back, which a block need not pay for.
    ///
    /// # Errors
    /// If the map has no place for it.
    fn append(&self, tree: &Tree, map: NodeId, key: &str, value: &str) -> Result<Edits, EmitError>;

    /// Returns the edits that make `operation` in the text of `tree`; `None` where only new text
    /// would do. The caller checks that the edited text parses to what
    /// [`Operation::apply`] says, and else writes that with [`FileFormat::emit`].
    ///
    /// The rest of the text stays byte for byte, and what is new follows it in indentation, quotes,
    /// flow style and line ends. With an entry goes the comment behind it on its lines; comments
    /// above it stay. The last entry leaves an empty map or list.
    ///
    /// # Errors
    /// If the format cannot hold the result.
    fn amend(&self, tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
        let _ = (tree, operation);
        Ok(None)
    }

    /// Returns whether what is added to a map can always be its last entry.
    fn keeps_order(&self) -> bool {
        true
    }

    /// Returns whether values have types; else each is a text.
    fn is_typed(&self) -> bool {
        true
    }

    /// Writes a tree as new text, in SOPS' own layout.
    ///
    /// # Errors
    /// If the format cannot hold the tree, or would change it.
    fn emit(&self, tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError>;

    /// Returns the layout in which a metadata block goes well with the text of `tree`.
    fn layout_of(&self, tree: &Tree, asked: &Layout) -> Layout {
        let _ = tree;
        asked.clone()
    }

    /// Returns what a new file starts with when it is edited.
    fn template(&self) -> &'static str;

    /// Returns the format of the encrypted file, where that is another one.
    fn container(&self) -> Option<&'static dyn FileFormat> {
        None
    }

    /// Returns why a plain text that can be read must not be encrypted: its data could not come
    /// back unchanged.
    fn refusal(&self, tree: &Tree) -> Option<SyntaxError> {
        let _ = tree;
        None
    }

    /// Returns the parts of a plain text that SOPS would read as something else, or lose: one
    /// message for each, without values.
    fn warnings(&self, tree: &Tree) -> Vec<Warning> {
        let _ = tree;
        Vec::new()
    }
}

impl std::fmt::Debug for dyn FileFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for dyn FileFormat {
    fn eq(&self, other: &dyn FileFormat) -> bool {
        self.name() == other.name()
    }
}

/// Returns the format called `name`, as `--input-type` has it.
pub fn by_name(name: &str) -> Option<&'static dyn FileFormat> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// Returns the format of a file by SOPS' rule: the ending of the path, else binary.
pub fn by_ending(path: &str) -> &'static dyn FileFormat {
    FORMATS
        .iter()
        .copied()
        .filter(|format| format.is_known_to_sops())
        .find(|format| format.endings().iter().any(|ending| path.ends_with(ending)))
        .unwrap_or(&binary::Binary)
}

/// Returns the format of a plain file by its name, understanding compound names, or binary.
///
/// Beyond SOPS' endings: `.toml`, `.env.production` and `prod.env.local` are dotenv, and words that only
/// say "encrypted" are looked through (`secrets.env.enc`, `values.yaml.sops`).
pub fn by_file_name(path: &str) -> &'static dyn FileFormat {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let bare = strip_marker(name);
    let known = |name: &str| {
        FORMATS
            .iter()
            .copied()
            .find(|format| format.endings().iter().any(|ending| name.ends_with(ending)))
    };
    if let Some(format) = known(bare) {
        return format;
    }
    if bare == ".env" || bare.starts_with(".env.") || bare.contains(".env.") {
        return &dotenv::Dotenv;
    }
    &binary::Binary
}

/// Removes the endings that only say that a file is encrypted.
fn strip_marker(name: &str) -> &str {
    let mut bare = name;
    while let Some((front, ending)) = bare.rsplit_once('.') {
        if front.is_empty() || !matches!(ending, "enc" | "sops" | "encrypted") {
            break;
        }
        bare = front;
    }
    bare
}

/// Returns the format of an encrypted file by its content; the path only breaks ties. `None` if
/// no format sees its metadata block in the text.
pub fn by_content(text: &[u8], path: &str) -> Option<&'static dyn FileFormat> {
    let named = by_file_name(path);
    let mut found = FORMATS.iter().copied().filter(|format| format.sniff(text)).peekable();
    let first = found.peek().copied();
    found.find(|&format| format == named).or(first)
}

/// A leaf whose text is to be written anew.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The leaf, which holds its new value already.
    pub id: NodeId,
    /// The exact text to put in its place, where that is known; else the format writes the value.
    pub verbatim: Option<TextRef>,
}

/// How the metadata stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataLayout {
    /// A map under the key `sops`.
    Nested,
    /// A section `[sops]` with flattened keys.
    Section,
    /// Top-level entries `sops_...` with flattened keys.
    Flat,
}

/// A metadata block as it was cut out of a text.
#[derive(Debug)]
pub struct Detached {
    /// The edits of the text that remove it.
    pub edits: Edits,
    /// The block as a text of its own, with the metadata as its only entry.
    pub block: SecretBytes,
    /// The number of root entries in front of it, unless it is the last.
    pub position: Option<usize>,
}

/// A comment that a reader of the encrypted text finds in another collection.
#[derive(Clone, Copy, Debug)]
pub struct MovedComment {
    /// Where its text stands, without the marker.
    pub text: Span,
    /// Whether it belongs to the document, and to no collection in it.
    pub of_document: bool,
}

/// A metadata block to put into a text.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// A text of the format with the metadata as its only entry.
    pub text: &'a [u8],
    /// Behind how many root entries to put it; `None` for the end.
    pub position: Option<usize>,
}

/// The layout of new text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Spaces a level; `None` for the format's default (SOPS': a tab in JSON, 4 in YAML), and
    /// `Some(0)` in JSON for line breaks without indentation.
    pub indent: Option<u32>,
    /// JSON: everything on one line.
    pub compact: bool,
    /// Line ends are CRLF.
    pub crlf: bool,
}

/// The error of a text with more than one metadata block in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file has more than one `sops` entry")]
pub struct DuplicateMetadata;

/// A text that is not of the format it should be of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong, without any part of the text.
    pub message: Cow<'static, str>,
    /// Where.
    pub position: Option<Position>,
}

impl SyntaxError {
    /// Returns an error at the byte `offset` of `text`.
    pub fn at(text: &[u8], offset: usize, message: impl Into<Cow<'static, str>>) -> SyntaxError {
        SyntaxError { message: message.into(), position: Some(Position::of(text, offset)) }
    }
}

impl From<SourceTooLong> for SyntaxError {
    fn from(error: SourceTooLong) -> SyntaxError {
        SyntaxError { message: error.to_string().into(), position: None }
    }
}

/// A tree that a format cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", at(path.as_deref()))]
pub struct EmitError {
    /// What cannot be written, without any value.
    pub message: Cow<'static, str>,
    /// The tree path of what cannot be written.
    pub path: Option<String>,
}

impl EmitError {
    /// Returns an error about the node `id`.
    pub fn at(tree: &Tree, id: NodeId, message: impl Into<Cow<'static, str>>) -> EmitError {
        EmitError { message: message.into(), path: Some(tree.path(id)) }
    }

    /// Returns an error about the whole tree.
    pub fn whole(message: impl Into<Cow<'static, str>>) -> EmitError {
        EmitError { message: message.into(), path: None }
    }
}

fn at(path: Option<&str>) -> String {
    path.map(|path| format!(" at `{path}`")).unwrap_or_default()
}

/// How many duplicate keys are named one by one.
const DUPLICATES_NAMED: usize = 20;

/// Returns the values whose key stood in their map before, in any document; `most` of them at most.
fn repeated_keys(tree: &Tree, most: usize) -> Vec<NodeId> {
    let mut open = Vec::new();
    let mut keys: Vec<(Option<NodeId>, &[u8])> = Vec::new();
    let mut ids = Vec::new();
    for step in tree.walk(None) {
        let (Step::Enter(id) | Step::Leaf(id)) = step else {
            open.pop();
            continue;
        };
        if let Some(key) = tree.key(id) {
            keys.push((open.last().copied(), key));
            ids.push(id);
        }
        if matches!(step, Step::Enter(_)) {
            open.push(id);
        }
    }
    repeated::find(&keys, most).into_iter().map(|(_, again)| ids[again]).collect()
}

/// Returns the error of a key that stands in its map twice.
fn repeated_key(tree: &Tree, id: NodeId) -> SyntaxError {
    let start = tree.node(id).key.and_then(|key| key.span).unwrap_or_default().start;
    let message = format!("the key at `{}` stands there twice", tree.path(id));
    SyntaxError::at(tree.source(), start as usize, message)
}

/// Returns a warning for each of the first keys that stand in their map twice. Naming a place takes
/// a walk over the text, so that the number is bounded.
pub fn duplicate_warnings(tree: &Tree) -> Vec<Warning> {
    let repeated = repeated_keys(tree, DUPLICATES_NAMED + 1);
    let mut warnings: Vec<Warning> = repeated
        .iter()
        .take(DUPLICATES_NAMED)
        .map(|&id| repeated_key(tree, id))
        .map(|SyntaxError { message, position }| Warning { message, position })
        .collect();
    if repeated.len() > DUPLICATES_NAMED {
        let message = "more keys stand in their map twice".into();
        warnings.push(Warning { message, position: None });
    }
    warnings
}

/// Something about a plain text that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is, without any value.
    pub message: Cow<'static, str>,
    /// Where.
    pub position: Option<Position>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compound_and_leading_dot_names_are_understood() {
        for (path, format) in [
            (".env", "dotenv"),
            ("a/.env.production", "dotenv"),
            ("secrets.env.enc", "dotenv"),
            ("secrets.enc.env", "dotenv"),
            ("prod.env.local", "dotenv"),
            ("values.yaml.enc", "yaml"),
            ("values.sops.yml", "yaml"),
            ("app.enc.json", "json"),
            ("app.json.sops.enc", "json"),
            ("a/Config.toml", "toml"),
            ("secrets.toml.enc", "toml"),
            ("key.pem", "binary"),
            (".enc", "binary"),
            ("environment", "binary"),
        ] {
            assert_eq!(by_file_name(path).name(), format, "{path}");
        }
    }

    #[test]
    fn sops_knows_endings_only() {
        assert_eq!(by_ending("/x/.env.production").name(), "binary");
        assert_eq!(by_ending("/x/a.yml").name(), "yaml");
        assert_eq!(by_ending("/x/A.YAML").name(), "binary");
        assert_eq!(by_ending("/x/a.toml").name(), "binary");
    }
}
