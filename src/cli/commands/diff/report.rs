//! How differences are shown. What is printed may hold values: it is kept in memory that is wiped.

use std::io::Write as _;

use serde_json::json;

use crate::cli::args::DiffArgs;
use crate::cli::commands::diff::sides::Pair;
use crate::cli::context::Context;
use crate::cli::env;
use crate::cli::error::CliError;
use crate::cli::io;
use crate::cli::os;
use crate::cli::ui::one_line;
use crate::crypt::canonical;
use crate::crypt::value::looks_sealed;
use crate::diff::metadata::MetadataChange;
use crate::diff::{Content, Difference, Differences};
use crate::secret::SecretBytes;
use crate::tree::Value;
use crate::tree::path::{Component, TreePath};

/// The version of the JSON. Fields may be added within one.
const JSON_VERSION: u32 = 1;

/// How two versions were compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// By ciphertexts, and not by values.
    pub(super) by_ciphertext: bool,
    /// The file is one value, which is no text for people.
    pub(super) binary: bool,
}

/// What is printed at the end.
#[derive(Debug)]
pub(super) struct Report {
    out: SecretBytes,
    style: Style,
    redact: bool,
    files: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Text,
    Colours,
    Json,
}

impl Report {
    pub(super) fn new(context: &Context, arguments: &DiffArgs) -> Report {
        let colours = os::stdout_is_terminal() && context.env.path(env::NO_COLOR).is_none();
        let style = match () {
            () if arguments.json => Style::Json,
            () if colours => Style::Colours,
            () => Style::Text,
        };
        Report { out: SecretBytes::new(), style, redact: arguments.redact, files: 0 }
    }

    /// Adds a file that differs. `exist` says which versions there are.
    pub(super) fn add(
        &mut self,
        pair: &Pair,
        how: How,
        exist: [bool; 2],
        values: &Differences<'_>,
        metadata: &[MetadataChange],
    ) {
        if self.style == Style::Json {
            self.add_json(pair, how, exist, values, metadata);
        } else {
            self.add_text(pair, how, exist, values, metadata);
        }
        self.files += 1;
    }

    /// Prints everything.
    pub(super) fn finish(mut self) -> Result<(), CliError> {
        if self.style == Style::Json {
            if self.files == 0 {
                self.begin_json();
            }
            self.push(if self.files == 0 { "]}\n" } else { "\n]}\n" });
        }
        Ok(io::write_stdout(&self.out)?)
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn add_text(
        &mut self,
        pair: &Pair,
        how: How,
        exist: [bool; 2],
        values: &Differences<'_>,
        metadata: &[MetadataChange],
    ) {
        self.push(&one_line(&pair.name));
        self.push(match exist {
            [false, _] => " (new file)\n",
            [_, false] => " (removed)\n",
            _ => "\n",
        });
        for difference in values.iter() {
            let change = change(difference);
            self.begin_line(change);
            if let Some(number) = values.document(difference) {
                self.push(&format!("document {}: ", number + 1));
            }
            let path = TreePath::new(values.path(difference));
            let is_root = path.is_root();
            self.push(&one_line(&path.to_string()));
            match (difference.is_comment(), is_root) {
                (true, true) => self.push("comment"),
                (true, false) => self.push(" comment"),
                (false, true) => self.push("the document"),
                (false, false) => {}
            }
            if !self.redact {
                let mut between = ": ";
                for content in [difference.old, difference.new].into_iter().flatten() {
                    self.push(between);
                    self.content(content, how);
                    between = " -> ";
                }
            }
            self.end_line();
        }
        for change in metadata {
            let (mark, text) = in_words(change);
            self.begin_line(mark);
            self.push(&one_line(&text));
            self.end_line();
        }
    }

    fn begin_line(&mut self, change: Change) {
        let (mark, colour) = match change {
            Change::Added => ("  + ", "\x1b[32m"),
            Change::Removed => ("  - ", "\x1b[31m"),
            Change::Changed => ("  ~ ", "\x1b[33m"),
        };
        if self.style == Style::Colours {
            self.push(colour);
        }
        self.push(mark);
    }

    fn end_line(&mut self) {
        self.push(if self.style == Style::Colours { "\x1b[0m\n" } else { "\n" });
    }

    /// Writes a value on one line: texts as in JSON, so that `"1"` is not `1`.
    fn content(&mut self, content: Content<'_>, how: How) {
        match content {
            Content::Value(Value::Text(text)) | Content::Comment(text) if looks_sealed(text) => {
                self.push("(encrypted)");
            }
            Content::Value(Value::Text(text)) if how.binary => {
                self.push(&format!("({} bytes)", text.len()));
            }
            Content::Comment(text) => {
                self.push("#");
                let text = String::from_utf8_lossy(text);
                self.push(&one_line(&text));
            }
            Content::Value(Value::Text(text)) => {
                let mut json = SecretBytes::new();
                write_json_text(text, &mut json);
                // JSON has no escapes for what else a terminal would take as a command.
                self.push(&one_line(&String::from_utf8_lossy(&json)));
            }
            Content::Value(Value::Boolean(flag)) => self.push(if flag { "true" } else { "false" }),
            Content::Value(value) => canonical::write(&value, &mut self.out),
            Content::Unsigned(number) => self.push(&number.to_string()),
            Content::Null => self.push("null"),
            Content::EmptyMap => self.push("{}"),
            Content::EmptyList => self.push("[]"),
        }
    }

    fn begin_json(&mut self) {
        self.push(&format!("{{\"version\":{JSON_VERSION},\"files\":["));
    }

    fn add_json(
        &mut self,
        pair: &Pair,
        how: How,
        exist: [bool; 2],
        values: &Differences<'_>,
        metadata: &[MetadataChange],
    ) {
        if self.files == 0 {
            self.begin_json();
        }
        self.push(if self.files == 0 { "\n" } else { ",\n" });
        let compared = if how.by_ciphertext { "ciphertexts" } else { "values" };
        let status = match exist {
            [false, _] => "added",
            [_, false] => "removed",
            _ => "changed",
        };
        let head = json!({
            "old": pair.old.label, "new": pair.new.label, "change": status, "compared": compared,
            "metadata": metadata.iter().map(in_json).collect::<Vec<_>>(),
        });
        let head = head.to_string();
        self.push(head.strip_suffix('}').unwrap_or(&head));
        self.push(",\"values\":[");
        for (number, difference) in values.iter().enumerate() {
            self.push(if number == 0 { "\n " } else { ",\n " });
            let path: Vec<_> = values.path(difference).iter().map(step_in_json).collect();
            let mut place = json!({ "path": path, "change": change(difference).name() });
            if difference.is_comment() {
                place["comment"] = true.into();
            }
            if let Some(document) = values.document(difference) {
                place["document"] = document.into();
            }
            let place = place.to_string();
            self.push(place.strip_suffix('}').unwrap_or(&place));
            if !self.redact {
                for (name, content) in [("old", difference.old), ("new", difference.new)] {
                    let Some(content) = content else { continue };
                    self.push(&format!(",\"{name}\":"));
                    self.json_content(content);
                }
            }
            self.push("}");
        }
        self.push("]}");
    }

    fn json_content(&mut self, content: Content<'_>) {
        match content {
            Content::Value(Value::Text(text)) | Content::Comment(text) => {
                write_json_text(text, &mut self.out);
            }
            Content::Value(Value::Integer(number)) => self.push(&number.to_string()),
            Content::Value(Value::Float(number)) => self.push(&json!(number).to_string()),
            Content::Value(Value::Boolean(flag)) => self.push(if flag { "true" } else { "false" }),
            Content::Value(value @ Value::Time(_)) => {
                let mut text = SecretBytes::new();
                canonical::write(&value, &mut text);
                write_json_text(&text, &mut self.out);
            }
            Content::Unsigned(number) => self.push(&number.to_string()),
            Content::Null => self.push("null"),
            Content::EmptyMap => self.push("{}"),
            Content::EmptyList => self.push("[]"),
        }
    }
}

fn write_json_text(text: &[u8], out: &mut SecretBytes) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(&mut *out, &String::from_utf8_lossy(text));
    let _ = out.flush();
}

fn step_in_json(component: &Component) -> serde_json::Value {
    match component {
        Component::Key(key) => json!(key),
        Component::Index(index) => json!(index),
    }
}

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Removed,
    Changed,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        }
    }
}

fn change(difference: &Difference<'_>) -> Change {
    match (difference.old, difference.new) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        _ => Change::Changed,
    }
}

fn in_words(change: &MetadataChange) -> (Change, String) {
    let group = |number: usize| match number {
        0 => String::new(),
        number => format!(" (group {})", number + 1),
    };
    match change {
        MetadataChange::Encrypted => (Change::Changed, "the file is encrypted now".to_owned()),
        MetadataChange::Decrypted => {
            (Change::Changed, "the file is not encrypted any more".to_owned())
        }
        MetadataChange::RecipientAdded(number, who) => {
            (Change::Added, format!("recipient {}: {}{}", who.kind, who.identity, group(*number)))
        }
        MetadataChange::RecipientRemoved(number, who) => {
            (Change::Removed, format!("recipient {}: {}{}", who.kind, who.identity, group(*number)))
        }
        MetadataChange::Threshold(old, new) => {
            (Change::Changed, format!("groups needed to decrypt: {old} -> {new}"))
        }
        MetadataChange::Rule(old, new) => (Change::Changed, format!("rule: {old} -> {new}")),
        MetadataChange::MacOnlyEncrypted(now) => {
            (Change::Changed, format!("mac_only_encrypted: {} -> {now}", !now))
        }
    }
}

fn in_json(change: &MetadataChange) -> serde_json::Value {
    match change {
        MetadataChange::Encrypted => json!({ "what": "encrypted", "change": "added" }),
        MetadataChange::Decrypted => json!({ "what": "encrypted", "change": "removed" }),
        MetadataChange::RecipientAdded(group, who) => json!({
            "what": "recipient", "change": "added", "group": group, "kind": who.kind,
            "recipient": who.identity,
        }),
        MetadataChange::RecipientRemoved(group, who) => json!({
            "what": "recipient", "change": "removed", "group": group, "kind": who.kind,
            "recipient": who.identity,
        }),
        MetadataChange::Threshold(old, new) => {
            json!({ "what": "threshold", "change": "changed", "old": old, "new": new })
        }
        MetadataChange::Rule(old, new) => {
            json!({ "what": "rule", "change": "changed", "old": old, "new": new })
        }
        MetadataChange::MacOnlyEncrypted(now) => {
            json!({ "what": "mac_only_encrypted", "change": "changed", "old": !now, "new": now })
        }
    }
}
