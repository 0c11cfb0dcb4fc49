//! Seeded plain texts for the benchmarks: the same bytes on every run and every machine.
//!
//! - *flat*: one map of `n` entries, strings of 8 to 48 characters (in dotenv there is nothing else)
//! - *nested*: services with databases and tokens, four to six levels deep, some values numbers and
//!   booleans, and in YAML some comments

use std::fmt::Write as _;

/// How the values are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One map.
    Flat,
    /// Maps and lists in maps.
    Nested,
}

impl Shape {
    /// Returns the name in arguments and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Flat => "flat",
            Shape::Nested => "nested",
        }
    }
}

/// Returns a text of about `keys` values; `None` if the format has no such shape.
pub(crate) fn text(format: &str, shape: Shape, keys: usize) -> Option<String> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ keys as u64);
    match (format, shape) {
        ("yaml", Shape::Flat) => Some(flat(&mut random, keys, ("", ": \"", "\"\n"))),
        ("json", Shape::Flat) => {
            let mut text = flat(&mut random, keys, ("\t\"", "\": \"", "\",\n"));
            text.truncate(text.len() - 2);
            Some(format!("{{\n{text}\n}}\n"))
        }
        ("dotenv", Shape::Flat) => Some(flat(&mut random, keys, ("", "=", "\n")).to_uppercase()),
        ("yaml", Shape::Nested) => Some(nested(&mut random, keys, &mut Yaml::default())),
        ("json", Shape::Nested) => Some(nested(&mut random, keys, &mut Json::default())),
        _ => None,
    }
}

/// Writes `keys` entries, each with `before` the key, between key and value, and behind.
fn flat(random: &mut Random, keys: usize, (before, between, behind): (&str, &str, &str)) -> String {
    let mut text = String::with_capacity(keys * 56);
    for number in 0..keys {
        let (key, value) = (random.word(4, 12), random.word(8, 48));
        // Writing to a `String` cannot fail, here and below.
        let _ = write!(text, "{before}key_{number:06}_{key}{between}{value}{behind}");
    }
    text
}

/// Something that writes maps and lists.
trait Writer {
    /// Opens the map or list under a key.
    fn open(&mut self, key: &str, list: bool);
    /// Adds a scalar; list members have no key.
    fn scalar(&mut self, key: Option<&str>, text: &str, quoted: bool);
    /// Adds a comment, where the format has them.
    fn comment(&mut self, text: &str);
    /// Closes the innermost map or list.
    fn close(&mut self);
    /// Returns the text.
    fn finish(&mut self) -> String;
}

#[derive(Default)]
struct Yaml {
    text: String,
    depth: usize,
}

impl Yaml {
    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
    }
}

impl Writer for Yaml {
    fn open(&mut self, key: &str, _list: bool) {
        self.indent();
        let _ = writeln!(self.text, "{key}:");
        self.depth += 1;
    }

    fn scalar(&mut self, key: Option<&str>, text: &str, quoted: bool) {
        self.indent();
        let _ = match key {
            Some(key) => write!(self.text, "{key}: "),
            None => write!(self.text, "- "),
        };
        let quote = if quoted { "\"" } else { "" };
        let _ = writeln!(self.text, "{quote}{text}{quote}");
    }

    fn comment(&mut self, text: &str) {
        self.indent();
        let _ = writeln!(self.text, "# {text}");
    }

    fn close(&mut self) {
        self.depth -= 1;
    }

    fn finish(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

#[derive(Default)]
struct Json {
    text: String,
    closing: Vec<char>,
    filled: bool,
}

impl Json {
    fn next(&mut self, key: Option<&str>) {
        if self.text.is_empty() {
            self.text.push('{');
        }
        self.text.push_str(if self.filled { ",\n" } else { "\n" });
        for _ in 0..=self.closing.len() {
            self.text.push('\t');
        }
        self.filled = true;
        if let Some(key) = key {
            let _ = write!(self.text, "\"{key}\": ");
        }
    }
}

impl Writer for Json {
    fn open(&mut self, key: &str, list: bool) {
        self.next(Some(key));
        self.text.push(if list { '[' } else { '{' });
        self.closing.push(if list { ']' } else { '}' });
        self.filled = false;
    }

    fn scalar(&mut self, key: Option<&str>, text: &str, quoted: bool) {
        self.next(key);
        let quote = if quoted { "\"" } else { "" };
        let _ = write!(self.text, "{quote}{text}{quote}");
    }

    fn comment(&mut self, _text: &str) {}

    fn close(&mut self) {
        if let Some(closing) = self.closing.pop() {
            self.text.push('\n');
            for _ in 0..=self.closing.len() {
                self.text.push('\t');
            }
            self.text.push(closing);
        }
        self.filled = true;
    }

    fn finish(&mut self) -> String {
        self.text.push_str("\n}\n");
        std::mem::take(&mut self.text)
    }
}

fn nested(random: &mut Random, keys: usize, out: &mut dyn Writer) -> String {
    let mut left = keys;
    let mut service = 0;
    while left > 0 {
        out.open(&format!("service_{service:05}"), false);
        service += 1;
        for stage in ["dev", "prod"] {
            out.open(stage, false);
            out.open("database", false);
            out.open("primary", false);
            for key in ["username", "password", "host"] {
                if random.below(5) == 0 {
                    out.comment(&random.word(5, 20));
                }
                out.scalar(Some(key), &random.word(8, 48), true);
            }
            out.scalar(Some("port"), &random.below(65536).to_string(), false);
            out.scalar(Some("tls"), if random.below(2) == 0 { "true" } else { "false" }, false);
            out.close();
            out.open("replicas", true);
            for _ in 0..3 {
                out.scalar(None, &random.word(10, 30), true);
            }
            out.close();
            out.close();
            out.open("api", false);
            out.open("tokens", false);
            for client in 0..4 {
                out.scalar(Some(&format!("client_{client}")), &random.word(32, 40), true);
            }
            out.close();
            out.close();
            out.close();
            left = left.saturating_sub(12);
        }
        out.close();
    }
    out.finish()
}

/// A small generator (xorshift*): the bytes need to be the same everywhere, not to be random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 32) % limit
    }

    fn word(&mut self, least: u64, most: u64) -> String {
        const LETTERS: &[u8; 62] =
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let length = least + self.below(most - least + 1);
        (0..length).map(|_| char::from(LETTERS[self.below(62) as usize])).collect()
    }
}
