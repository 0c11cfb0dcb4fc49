//! TOML text to tree. `toml_parser` finds the tokens and checks the grammar; the tables that they
//! describe, and that nothing is defined twice, are found here.
//!
//! # Order
//!
//! A table may be spread over the text (`a.x = 1`, `[a.b]`, `[c]`, `[a.d]`), and the MAC is taken
//! over the values in tree order. That order is the one in which rops has them: an entry stands
//! where its key is first seen, but a table that gets its header behind those of its sub-tables
//! stands where the header is.
//!
//! # Comments
//!
//! SOPS knows no TOML, so this is our rule: a comment stands in the map or list that holds what
//! follows it, in front of that; a comment behind a value or header on the same line stands in
//! front of it, too, as in YAML. What nothing follows, or only a header behind a blank line, stands
//! at the end of the table above it.

use std::borrow::Cow;
use std::collections::HashMap;

use toml_datetime::Datetime;
use toml_parser::decoder::{Encoding, ScalarKind, StringBuilder};
use toml_parser::parser::{EventReceiver, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, ParseError, Raw, Source, Span as Place};
use zeroize::Zeroizing;

use crate::format::SyntaxError;
use crate::format::toml::METADATA;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Key, KeyType, NodeKind, Site, Style, TextRef, Tree, TreeBuilder};

/// How many keys a key may have with dots between them, and how many arrays and inline tables may
/// be in each other: as many as rops reads.
pub(super) const MAX_DEPTH: usize = 79;

const DEFINED_TWICE: &str = "the key or table is defined twice";
const TOO_DEEP: &str = "the text is nested too deep";

/// Parses a text.
pub(super) fn parse(source: SecretBytes) -> Result<Tree, SyntaxError> {
    let builder = TreeBuilder::new(source)?;
    let shared = builder.shared_source();
    let text = std::str::from_utf8(&shared).map_err(|error| {
        SyntaxError::at(&shared, error.valid_up_to(), "TOML is UTF-8, and this is not")
    })?;
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut reader = Reader::new(source, builder);
    let mut failure: Option<ParseError> = None;
    parse_document(&tokens, &mut ValidateWhitespace::new(&mut reader, source), &mut failure);
    if let Some(failure) = failure {
        let place = failure.unexpected().or(failure.context()).unwrap_or_default();
        let message = failure.description().to_owned();
        return Err(SyntaxError::at(text.as_bytes(), place.start(), message));
    }
    Ok(reader.finish())
}

/// The address of an [`Item`].
type ItemId = u32;

/// The map of the whole document.
const ROOT: ItemId = 0;

/// The place of a member that is in another place now.
const MOVED: ItemId = u32::MAX;

/// A node whose members are not complete yet.
struct Item {
    key: Option<Key>,
    kind: NodeKind,
    span: Option<Span>,
    site: Site,
    origin: Origin,
    parent: ItemId,
    /// The place among the members of the parent.
    slot: usize,
    members: Vec<ItemId>,
}

/// How a table or array came to be, which decides what may be added to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// By its header; an array by that of its first table.
    Header,
    /// By the header of a table in it.
    Implied,
    /// By a key with dots.
    Dotted,
    /// As a value, to which nothing can be added; or it is no container.
    Value,
}

/// A part of a key with dots.
struct Part<'s> {
    name: Cow<'s, [u8]>,
    key: Key,
}

/// Makes items of the events.
struct Reader<'s> {
    source: Source<'s>,
    builder: TreeBuilder,
    items: Vec<Item>,
    /// The entries of all maps.
    names: HashMap<(ItemId, Cow<'s, [u8]>), ItemId>,
    /// The table of the last header.
    section: ItemId,
    /// The arrays and inline tables that are not closed yet.
    open: Vec<ItemId>,
    /// The parts of the key that is being read.
    path: Vec<Part<'s>>,
    /// Where the header that is being read starts.
    header: usize,
    /// Comments, until it is known what follows them.
    comments: Vec<Span>,
    /// How many of them have a blank line below.
    apart: usize,
    /// What a comment on this line would stand behind.
    beside: Option<ItemId>,
    line_is_blank: bool,
}

impl<'s> Reader<'s> {
    fn new(source: Source<'s>, builder: TreeBuilder) -> Reader<'s> {
        let mut reader = Reader {
            source,
            builder,
            items: Vec::new(),
            names: HashMap::new(),
            section: ROOT,
            open: Vec::new(),
            path: Vec::new(),
            header: 0,
            comments: Vec::new(),
            apart: 0,
            beside: None,
            line_is_blank: true,
        };
        reader.make(None, NodeKind::Map, (None, Style::Plain), Origin::Header, (ROOT, 0));
        reader
    }

    fn make(
        &mut self,
        key: Option<Key>,
        kind: NodeKind,
        (span, style): (Option<Span>, Style),
        origin: Origin,
        (parent, slot): (ItemId, usize),
    ) -> ItemId {
        let site = Site { style, ..Site::default() };
        self.items.push(Item { key, kind, span, site, origin, parent, slot, members: Vec::new() });
        self.items.len() as ItemId - 1
    }

    fn item(&mut self, id: ItemId) -> &mut Item {
        &mut self.items[id as usize]
    }

    /// Adds a member at the end of `parent`.
    fn push(
        &mut self,
        parent: ItemId,
        part: Option<Part<'s>>,
        kind: NodeKind,
        place: (Option<Span>, Style),
        origin: Origin,
    ) -> ItemId {
        let slot = self.item(parent).members.len();
        let key = part.as_ref().map(|part| part.key);
        let id = self.make(key, kind, place, origin, (parent, slot));
        if let Some(part) = part {
            self.names.insert((parent, part.name), id);
        }
        self.item(parent).members.push(id);
        id
    }

    /// Returns the entry of `parent` that has the name of `part`.
    fn find(&self, parent: ItemId, part: &Part<'s>) -> Option<ItemId> {
        // A key of the map owns its name, so that asking for one takes a copy of it where it had
        // to be unescaped.
        self.names.get(&(parent, part.name.clone())).copied()
    }

    /// Goes from the table `at` into the one called `part`, which is made if there is none. Keys
    /// with dots (`dotted`) go into tables alone that such keys have made.
    fn enter(&mut self, at: ItemId, part: Part<'s>, dotted: bool) -> Result<ItemId, &'static str> {
        let Some(found) = self.find(at, &part) else {
            let origin = if dotted { Origin::Dotted } else { Origin::Implied };
            return Ok(self.push(at, Some(part), NodeKind::Map, (None, Style::Plain), origin));
        };
        let item = self.item(found);
        match (item.kind, item.origin) {
            (NodeKind::Map, Origin::Dotted) => Ok(found),
            (NodeKind::Map, Origin::Header | Origin::Implied) if !dotted => Ok(found),
            // The last table of the array is meant, and nothing else can be its last member.
            (NodeKind::List, Origin::Header) if !dotted => {
                item.members.last().copied().ok_or(DEFINED_TWICE)
            }
            _ => Err(DEFINED_TWICE),
        }
    }

    /// Makes the table whose header stands at `span`.
    fn define(&mut self, span: Span, is_array: bool) -> Result<(), &'static str> {
        let mut path = std::mem::take(&mut self.path);
        let Some(last) = path.pop() else { return Ok(()) };
        if path.len() >= MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        self.place_comments(self.section, self.apart);
        let mut parent = ROOT;
        for part in path {
            parent = self.enter(parent, part, false)?;
        }
        let found = self.find(parent, &last).map(|id| (id, self.items[id as usize].origin));
        let place = (Some(span), Style::Block);
        self.section = match found {
            Some((list, Origin::Header)) if is_array && self.item(list).kind == NodeKind::List => {
                self.place_comments(list, usize::MAX);
                self.push(list, None, NodeKind::Map, place, Origin::Header)
            }
            None if is_array => {
                let place_of_list = (None, Style::Block);
                let list =
                    self.push(parent, Some(last), NodeKind::List, place_of_list, Origin::Header);
                self.place_comments(list, usize::MAX);
                self.push(list, None, NodeKind::Map, place, Origin::Header)
            }
            Some((table, Origin::Implied)) if !is_array => {
                self.place_comments(parent, usize::MAX);
                self.move_to_end(parent, table);
                let item = self.item(table);
                (item.key, item.span) = (Some(last.key), Some(span));
                (item.site.style, item.origin) = (Style::Block, Origin::Header);
                table
            }
            None => {
                self.place_comments(parent, usize::MAX);
                self.push(parent, Some(last), NodeKind::Map, place, Origin::Header)
            }
            Some(_) => return Err(DEFINED_TWICE),
        };
        self.beside = Some(self.section);
        Ok(())
    }

    fn move_to_end(&mut self, parent: ItemId, member: ItemId) {
        let slot = self.item(parent).members.len();
        let old = std::mem::replace(&mut self.item(member).slot, slot);
        let members = &mut self.item(parent).members;
        members[old] = MOVED;
        members.push(member);
    }

    /// Adds a value to the table, inline table or array that the text is in.
    fn add(&mut self, kind: NodeKind, span: Span, style: Style) -> Result<ItemId, &'static str> {
        let mut path = std::mem::take(&mut self.path);
        if path.len() > MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        let mut parent = self.open.last().copied().unwrap_or(self.section);
        let last = path.pop();
        for part in path {
            parent = self.enter(parent, part, true)?;
        }
        if last.as_ref().is_some_and(|part| self.find(parent, part).is_some()) {
            return Err(DEFINED_TWICE);
        }
        self.place_comments(parent, usize::MAX);
        let id = self.push(parent, last, kind, (Some(span), style), Origin::Value);
        self.beside = Some(id);
        Ok(id)
    }

    fn open(&mut self, kind: NodeKind, place: Place, error: &mut dyn ErrorSink) -> bool {
        self.line_is_blank = false;
        let added = match self.open.len() {
            MAX_DEPTH.. => Err(TOO_DEEP),
            _ => self.add(kind, span(place), Style::Flow),
        };
        self.beside = None;
        match added {
            Ok(id) => self.open.push(id),
            Err(message) => report(error, place, message),
        }
        added.is_ok()
    }

    fn close(&mut self, place: Place) {
        self.line_is_blank = false;
        let Some(id) = self.open.pop() else { return };
        self.place_comments(id, usize::MAX);
        if let Some(span) = &mut self.item(id).span {
            span.end = place.end() as u32;
        }
        self.beside = Some(id);
    }

    /// Puts the first `most` of the comments that wait at the end of `parent`.
    fn place_comments(&mut self, parent: ItemId, most: usize) {
        let rest = self.comments.split_off(most.min(self.comments.len()));
        for span in std::mem::replace(&mut self.comments, rest) {
            let kind = comment(span, false);
            self.push(parent, None, kind, (Some(span), Style::Plain), Origin::Value);
        }
        self.apart = 0;
    }

    /// Puts a comment in front of what it stands behind on its line, which is a last member.
    fn place_beside(&mut self, span: Span, id: ItemId) {
        let (kind, place) = (comment(span, true), (Some(span), Style::Plain));
        let parent = self.item(id).parent;
        if is_metadata(&self.items, &self.builder, id) {
            // It goes where the block goes.
            self.push(id, None, kind, place, Origin::Value);
            return;
        }
        let slot = self.item(id).slot;
        let comment = self.make(None, kind, place, Origin::Value, (parent, slot));
        self.item(id).slot = slot + 1;
        self.item(parent).members.insert(slot, comment);
    }

    /// Decodes the value at `place`.
    fn decode(
        &mut self,
        place: Place,
        encoding: Option<Encoding>,
        error: &mut dyn ErrorSink,
    ) -> Result<(NodeKind, Style), &'static str> {
        let raw = raw(self.source, place, encoding);
        let mut decoded = Decoded::default();
        let kind = raw.decode_scalar(&mut decoded, error);
        let text = decoded.as_str();
        let kind = match kind {
            ScalarKind::String => NodeKind::Text(self.text(&decoded, place)),
            ScalarKind::Boolean(flag) => NodeKind::Boolean(flag),
            ScalarKind::Integer(radix) => match i64::from_str_radix(text, radix.value()) {
                Ok(number) => NodeKind::Integer(number),
                Err(_) => return Err("the integer does not fit into 64 bits with sign"),
            },
            ScalarKind::Float => match text.parse::<f64>() {
                Ok(number) if number.is_finite() || text.ends_with(['f', 'n']) => {
                    NodeKind::Float(number)
                }
                _ => return Err("the number does not fit into a float of 64 bits"),
            },
            // SOPS has a type for times with an offset alone; rops seals all dates as texts.
            ScalarKind::DateTime => {
                let date: Datetime = text.parse().map_err(|_| "invalid date or time")?;
                let normal = Zeroizing::new(date.to_string());
                NodeKind::Text(if *normal == raw.as_str() {
                    TextRef::Source(span(place))
                } else {
                    self.builder.intern(normal.as_bytes())
                })
            }
        };
        let style = match encoding {
            None => Style::Plain,
            Some(Encoding::BasicString) => Style::DoubleQuoted,
            Some(Encoding::LiteralString) => Style::SingleQuoted,
            Some(Encoding::MlBasicString) => Style::TripleQuoted,
            Some(Encoding::MlLiteralString) => Style::TripleSingleQuoted,
        };
        Ok((kind, style))
    }

    /// Returns where a text stands, or else puts it into the tree's pool.
    fn text(&mut self, decoded: &Decoded<'s>, place: Place) -> TextRef {
        match (&decoded.made, decoded.source) {
            (Some(text), _) => self.builder.intern(text),
            (None, "") => TextRef::Source(Span::new(place.start(), place.start())),
            (None, text) => {
                let start = text.as_ptr().addr() - self.source.input().as_ptr().addr();
                TextRef::Source(Span::new(start, start + text.len()))
            }
        }
    }

    /// Makes the tree.
    fn finish(mut self) -> Tree {
        self.place_comments(self.section, usize::MAX);
        let Reader { items, mut builder, .. } = self;
        // Each open container, and which of its members is next.
        let mut open: Vec<(ItemId, usize)> = vec![(ROOT, 0)];
        builder.open(None, NodeKind::Map, None, Site::default());
        while let Some((container, next)) = open.last_mut() {
            let Some(&id) = items[*container as usize].members.get(*next) else {
                builder.close(None);
                open.pop();
                continue;
            };
            *next += 1;
            if id == MOVED {
                continue;
            }
            let &Item { key, kind, span, site, .. } = &items[id as usize];
            if kind.is_container() {
                builder.open(key, kind, span, site);
                open.push((id, 0));
            } else {
                builder.leaf(key, kind, span, site);
            }
        }
        builder.finish()
    }
}

impl EventReceiver for Reader<'_> {
    fn std_table_open(&mut self, place: Place, _: &mut dyn ErrorSink) {
        self.header = place.start();
        self.line_is_blank = false;
    }

    fn std_table_close(&mut self, place: Place, error: &mut dyn ErrorSink) {
        let header = Span::new(self.header, place.end());
        self.define(header, false).unwrap_or_else(|message| report(error, place, message));
    }

    fn array_table_open(&mut self, place: Place, error: &mut dyn ErrorSink) {
        self.std_table_open(place, error);
    }

    fn array_table_close(&mut self, place: Place, error: &mut dyn ErrorSink) {
        let header = Span::new(self.header, place.end());
        self.define(header, true).unwrap_or_else(|message| report(error, place, message));
    }

    fn inline_table_open(&mut self, place: Place, error: &mut dyn ErrorSink) -> bool {
        self.open(NodeKind::Map, place, error)
    }

    fn inline_table_close(&mut self, place: Place, _: &mut dyn ErrorSink) {
        self.close(place);
    }

    fn array_open(&mut self, place: Place, error: &mut dyn ErrorSink) -> bool {
        self.open(NodeKind::List, place, error)
    }

    fn array_close(&mut self, place: Place, _: &mut dyn ErrorSink) {
        self.close(place);
    }

    fn simple_key(&mut self, place: Place, kind: Option<Encoding>, error: &mut dyn ErrorSink) {
        self.line_is_blank = false;
        let mut decoded = Decoded::default();
        raw(self.source, place, kind).decode_key(&mut decoded, error);
        let text = self.text(&decoded, place);
        let name = match decoded.made {
            Some(name) => Cow::Owned(name.to_vec()),
            None => Cow::Borrowed(decoded.source.as_bytes()),
        };
        let key = Key { text, kind: KeyType::Text, span: Some(span(place)) };
        self.path.push(Part { name, key });
    }

    fn scalar(&mut self, place: Place, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        self.line_is_blank = false;
        let added = self
            .decode(place, encoding, error)
            .and_then(|(kind, style)| self.add(kind, span(place), style));
        if let Err(message) = added {
            report(error, place, message);
        }
    }

    fn comment(&mut self, place: Place, _: &mut dyn ErrorSink) {
        self.line_is_blank = false;
        match self.beside.take() {
            Some(id) => self.place_beside(span(place), id),
            None => self.comments.push(span(place)),
        }
    }

    fn newline(&mut self, _: Place, _: &mut dyn ErrorSink) {
        if self.line_is_blank {
            self.apart = self.comments.len();
        }
        self.line_is_blank = true;
        self.beside = None;
    }
}

/// Returns whether an item is the metadata.
fn is_metadata(items: &[Item], builder: &TreeBuilder, id: ItemId) -> bool {
    let item = &items[id as usize];
    item.kind == NodeKind::Map
        && item.parent == ROOT
        && item.key.is_some_and(|key| builder.text(key.text) == METADATA)
}

/// Returns the node of the comment at `span`.
fn comment(span: Span, inline: bool) -> NodeKind {
    let text = TextRef::Source(Span { start: span.start + 1, end: span.end });
    NodeKind::Comment { text, inline }
}

fn span(place: Place) -> Span {
    Span::new(place.start(), place.end())
}

fn raw(source: Source<'_>, place: Place, encoding: Option<Encoding>) -> Raw<'_> {
    let text = source.input().get(place.start()..place.end()).unwrap_or_default();
    Raw::new_unchecked(text, encoding, place)
}

fn report(error: &mut dyn ErrorSink, place: Place, message: &'static str) {
    error.report_error(ParseError::new(message).with_unexpected(place));
}

/// A decoded text: a part of the source if it can be.
#[derive(Default)]
struct Decoded<'s> {
    source: &'s str,
    /// The whole text, where it had to be made.
    made: Option<SecretBytes>,
}

impl Decoded<'_> {
    fn as_str(&self) -> &str {
        match &self.made {
            // It is made of characters and texts.
            Some(text) => std::str::from_utf8(text).unwrap_or_default(),
            None => self.source,
        }
    }

    fn append(&mut self, text: &str) {
        let made = self.made.get_or_insert_with(|| SecretBytes::from(self.source));
        made.extend_from_slice(text.as_bytes());
    }
}

impl<'s> StringBuilder<'s> for Decoded<'s> {
    fn clear(&mut self) {
        *self = Decoded::default();
    }

    /// Line breaks count as LF, as in rops. Only those of the source can be CRLF here: what is
    /// escaped comes as characters.
    fn push_str(&mut self, append: &'s str) -> bool {
        let has_crlf = append.contains("\r\n");
        if self.made.is_none() && self.source.is_empty() && !has_crlf {
            self.source = append;
            return true;
        }
        for part in append.split_inclusive("\r\n") {
            match part.strip_suffix("\r\n") {
                Some(line) => {
                    self.append(line);
                    self.append("\n");
                }
                None => self.append(part),
            }
        }
        true
    }

    fn push_char(&mut self, append: char) -> bool {
        self.append(append.encode_utf8(&mut [0; 4]));
        true
    }
}
