//! Random YAML as people write it, and some that nobody should. It is long because each way to
//! write a thing is a few lines, and they share the writer's state.

use crate::chance::Random;

/// Returns a stream of one or more documents.
pub(super) fn stream(random: &mut Random) -> String {
    let step = [2, 2, 2, 4, 4, 1, 3, 6, 8][random.below(9)];
    let comments = [0, 10, 25, 50][random.below(4)];
    let blanks = [0, 0, 15, 40][random.below(4)];
    let odd = [0, 5, 20, 50][random.below(4)];
    let flush = random.percent(40);
    let left = 5 + random.below(40);
    let mut writer = Writer {
        random,
        out: String::new(),
        step,
        flush,
        comments,
        blanks,
        odd,
        left,
        anchors: Vec::new(),
    };
    writer.documents();
    let out = std::mem::take(&mut writer.out);
    finish(random, out)
}

/// Gives a text other line ends, a byte order mark, or no line break at its end.
#[expect(clippy::same_functions_in_if_condition, reason = "a die is thrown twice")]
fn finish(random: &mut Random, mut text: String) -> String {
    if random.percent(8) {
        text = text.trim_end_matches('\n').to_owned();
    } else if random.percent(8) {
        text.push_str(["\n", "\n\n\n", "  \n", "# the end", "\n# the end\n"][random.below(5)]);
    }
    if random.percent(8) {
        text = text.replace('\n', "\r\n");
    }
    if random.percent(2) {
        text.insert(0, '\u{FEFF}');
    }
    text
}

struct Writer<'r> {
    random: &'r mut Random,
    out: String,
    /// Columns a level.
    step: usize,
    /// Whether lists stand in the column of their key.
    flush: bool,
    /// How likely comments and blank lines are, in percent.
    comments: usize,
    blanks: usize,
    /// How likely it is that a thing is spelled as few people would.
    odd: usize,
    /// The values that may still come.
    left: usize,
    anchors: Vec<String>,
}

const WORDS: &[&str] = &[
    "alpha", "bravo", "db", "host", "name", "password", "port", "region", "replicas", "secret",
    "server", "service", "timeout", "token", "url", "user", "value", "version", "zone", "größe",
];

/// Plain scalars, in any context.
const PLAIN: &[&str] = &[
    "10",
    "0",
    "-5",
    "8080",
    "+12",
    "1_000",
    "0x1F",
    "0o17",
    "0777",
    "08",
    "0b101",
    "1.5",
    "1.10",
    "1.0",
    "-0.0",
    "1e3",
    "1E-7",
    ".5",
    "5.",
    "1_0.5",
    "123456789.125",
    "1e22",
    ".inf",
    "-.INF",
    ".NaN",
    "9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "0x",
    "0o8",
    "true",
    "True",
    "FALSE",
    "yes",
    "no",
    "On",
    "off",
    "y",
    "N",
    "null",
    "~",
    "Null",
    "nil",
    "2001-12-14",
    "2001-1-2",
    "2001-02-30",
    "2001-12-14T21:59:43.10-05:00",
    "2001-12-14 21:59:43",
    "2001-12-14t21:59:43Z",
    "2001-12-14 21:59:43.10 -5",
    "12:30:45",
    "190:20:30",
    "1:99",
    "1.2.3",
    "v1.2.3",
    "10.0.0.1",
    "10.0.0.0/8",
    "a@b.example",
    "/usr/bin/env",
    "C:\\Windows",
    "https://example.org/x?y=z&a=b#frag",
    "key=value;other=2",
    "it's",
    "say\"what\"",
    "50%",
    "<<",
    "=",
    "-x",
    "?x",
    ":x",
    "a:b",
    "a#b",
    "x]y",
    "x}y",
    "...x",
    "--",
    "---x",
    "ENC",
    "ENC[x]",
    "naïve café",
    "日本語",
    "😀 smile",
    "\u{a0}x",
    "a\tb",
    "$(VAR)",
    "${VAR:-x}",
    "AKIAIOSFODNN7EXAMPLE",
    "c2VjcmV0LXZhbHVlLXdpdGgtcGFkZGluZw==",
    "!x",
    "*nobody",
    "%x",
    "@x",
    "`x`",
    "- x",
    "a: b",
    "x #y",
];

/// What stands between double quotes. Of several lines none begins with a tab: SOPS prints `null`
/// for such a text.
const DOUBLE: &[&str] = &[
    "",
    "x",
    "10",
    "true",
    "null",
    "two words",
    " lead",
    "trail ",
    "a: b",
    "a #b",
    "it's",
    "\\\"q\\\"",
    "tab\\there",
    "line\\nbreak",
    "line\\n",
    "\\n",
    "\\u00e9\\x41\\U0001F600",
    "\\0\\a\\e\\_\\N\\L\\P",
    "back\\\\slash",
    "\\/",
    "# x",
    "{a}",
    "[b]",
    "%d",
    "é日本",
    "\\r\\n",
    "cr\\rx",
    "1:30",
    "<<",
    "-",
    "\\ x",
    "~",
    "\\x7f",
    "\\uFEFFx",
    "x\\n y\\n",
    "x\\n\\n",
    "0x1F",
    "2001-12-14",
    "ENC[AES256_GCM,data:x]",
    "-----BEGIN KEY-----\\nabc\\n",
];

/// What stands between single quotes.
const SINGLE: &[&str] = &[
    "",
    "x",
    "10",
    "true",
    "two words",
    " lead",
    "trail ",
    "a: b",
    "a #b",
    "it''s",
    "\"q\"",
    "\\n",
    "# x",
    "{a}",
    "[b]",
    "''",
    "é日本😀",
    "$(x)",
    "1.10",
    "null",
    "2001-12-14",
    "-",
    ": ",
    "a\tb",
];

/// Lines of block scalars.
const LINES: &[&str] = &[
    "x",
    "two words",
    "  deeper",
    "    deepest",
    "",
    "",
    "# no comment",
    "key: value",
    "- item",
    "\ttab",
    "trailing  ",
    "#!/bin/sh",
    "set -euo pipefail",
    "é日本",
    "\"quoted\"",
    "---x",
    "[section]",
    "a\tb",
    "-----BEGIN CERTIFICATE-----",
    "MIIBszCCAVmgAwIBAgIUQ2x",
    "if x; then",
    "fi",
];

impl Writer<'_> {
    fn documents(&mut self) {
        if self.chance_of_comment() {
            self.comment_lines(0);
            if self.random.percent(50) {
                self.out.push('\n');
            }
        }
        if self.random.percent(2) {
            self.out.push_str("%YAML 1.1\n---\n");
        } else if self.random.percent(25) {
            self.out.push_str("---");
            self.line_comment();
            self.out.push('\n');
        }
        self.document();
        while self.random.percent(15) {
            if self.random.percent(10) {
                self.out.push_str("...\n");
            }
            self.out.push_str("---");
            self.line_comment();
            self.out.push('\n');
            self.left = self.left.max(5);
            self.document();
        }
        if self.random.percent(2) {
            self.out.push_str("...\n");
        }
    }

    fn document(&mut self) {
        if self.odd() && self.random.percent(15) {
            self.flow(0, 0);
            self.out.push('\n');
            return;
        }
        let column = if self.odd() && self.random.percent(10) { 2 } else { 0 };
        self.map(column, 0, false);
        if self.chance_of_comment() && self.random.percent(40) {
            self.blank_lines();
            self.comment_lines(0);
        }
    }

    fn odd(&mut self) -> bool {
        self.random.percent(self.odd)
    }

    fn chance_of_comment(&mut self) -> bool {
        self.random.percent(self.comments)
    }

    /// Writes the entries of a block map; the first one where the text is, if `inline`.
    fn map(&mut self, column: usize, depth: usize, inline: bool) {
        let entries = 1 + self.random.below(5);
        let mut used: Vec<String> = Vec::new();
        for number in 0..entries {
            if number > 0 && self.left == 0 {
                break;
            }
            if number > 0 || !inline {
                self.between(column);
                self.indent(column);
            }
            let mut key = self.key();
            // Only people's mistakes have two.
            let bare = key.trim_matches(['\'', '"']).to_owned();
            if used.contains(&bare) {
                key = format!("key{number}");
            }
            used.push(bare);
            self.out.push_str(&key);
            if self.odd() && self.random.percent(10) {
                self.out.push(' ');
            }
            self.out.push(':');
            self.value(column, depth, true);
        }
        self.behind(column);
    }

    /// Writes the members of a block list.
    fn list(&mut self, column: usize, depth: usize, inline: bool) {
        let members = 1 + self.random.below(4);
        for number in 0..members {
            if number > 0 && self.left == 0 {
                break;
            }
            if number > 0 || !inline {
                self.between(column);
                self.indent(column);
            }
            self.out.push('-');
            self.value(column, depth, false);
        }
        self.behind(column);
    }

    /// Writes comments and blank lines behind the last entry of a block.
    fn behind(&mut self, column: usize) {
        if self.chance_of_comment() && self.random.percent(30) {
            if self.random.percent(30) {
                self.blank_lines();
            }
            self.comment_lines(column);
            if self.random.percent(40) {
                self.out.push('\n');
            }
        }
    }

    /// Writes what may stand between two entries.
    fn between(&mut self, column: usize) {
        if self.random.percent(self.blanks) {
            self.blank_lines();
        }
        if self.chance_of_comment() {
            let column = if self.odd() && self.random.percent(30) {
                self.random.below(column + 4)
            } else {
                column
            };
            self.comment_lines(column);
            if self.random.percent(20) {
                self.blank_lines();
            }
        }
    }

    fn blank_lines(&mut self) {
        for _ in 0..=self.random.below(2) {
            if self.odd() && self.random.percent(20) {
                self.out.push_str("  ");
            }
            self.out.push('\n');
        }
    }

    fn comment_lines(&mut self, column: usize) {
        for _ in 0..=self.random.below(3) {
            self.indent(column);
            self.comment();
            self.out.push('\n');
        }
    }

    fn comment(&mut self) {
        let word = self.random.pick(WORDS);
        let kinds = if self.odd() { 14 } else { 6 };
        let text = match self.random.below(kinds) {
            0..4 => format!("# the {word} is here"),
            4 => format!("#{word}: old"),
            5 => format!("# - {word} # again"),
            // Not `#` alone, of which SOPS makes an empty member where it stands in a list.
            6 => "#x".to_owned(),
            7 => format!("##### {word} #####"),
            8 => format!("#\t{word}"),
            9 => format!("# {word}  "),
            10 => format!("# größer als 10 € 😀 {word}"),
            11 => "# ".to_owned(),
            12 => format!("#ENC[{word}]"),
            _ => format!("#!{word} \"quoted\" 'too' {{a: [b]}}"),
        };
        self.out.push_str(&text);
    }

    /// Perhaps writes a comment behind what stands on the line.
    fn line_comment(&mut self) {
        if self.chance_of_comment() && self.random.percent(50) {
            self.out.push_str(["  ", " ", "\t", "        "][self.random.below(4)]);
            self.comment();
        } else if self.odd() && self.random.percent(10) {
            self.out.push(' ');
        }
    }

    fn indent(&mut self, column: usize) {
        self.out.extend(std::iter::repeat_n(' ', column));
    }

    fn key(&mut self) -> String {
        let word = self.random.pick(WORDS).to_owned();
        if self.odd() {
            return match self.random.below(14) {
                0 => format!("\"{word}\""),
                1 => format!("'{word}'"),
                2 => format!("{word}_unencrypted"),
                3 => format!("{word} with spaces"),
                4 => format!("{word}.example.org/{word}"),
                5 => "\"\"".to_owned(),
                6 => "\"10\"".to_owned(),
                7 => "'true'".to_owned(),
                8 => format!("\"{word}: \\n x\""),
                9 => format!("{word}:{word}"),
                10 => format!("{word}#{word}"),
                11 => "-x".to_owned(),
                12 => "on".to_owned(),
                _ => format!("{word} 日本"),
            };
        }
        match self.random.below(5) {
            0 => format!("{word}{}", self.random.below(100)),
            1 => format!("{word}-{}", self.random.pick(WORDS)),
            2 => word.to_uppercase(),
            _ => word,
        }
    }

    /// Writes what stands behind a `:` or a `-`, with the line break.
    fn value(&mut self, column: usize, depth: usize, in_map: bool) {
        self.left = self.left.saturating_sub(1);
        let nested = depth < 6 && self.left > 0;
        match self.random.below(100) {
            0..20 if nested => {
                let child = column + if in_map { self.step } else { 2 };
                if in_map {
                    self.properties();
                    self.line_comment();
                    self.out.push('\n');
                    self.map(child, depth + 1, false);
                } else {
                    self.out.push(' ');
                    self.map(child, depth + 1, true);
                }
            }
            20..36 if nested => {
                let child = match (in_map, self.flush) {
                    (true, true) => column,
                    (true, false) => column + self.step,
                    (false, _) => column + 2,
                };
                if in_map {
                    self.properties();
                    self.line_comment();
                    self.out.push('\n');
                    self.list(child, depth + 1, false);
                } else {
                    self.out.push(' ');
                    self.list(child, depth + 1, true);
                }
            }
            36..42 if nested => {
                self.out.push(' ');
                self.flow(column + self.step, depth + 1);
                self.line_comment();
                self.out.push('\n');
            }
            42..45 => {
                self.out.push_str([" {}", " []", " { }", " [ ]"][self.random.below(4)]);
                self.line_comment();
                self.out.push('\n');
            }
            45..49 => {
                self.line_comment();
                self.out.push('\n');
            }
            49..57 => self.block_scalar(column),
            57..60 if !self.anchors.is_empty() => {
                let anchor = self.anchors[self.random.below(self.anchors.len())].clone();
                self.out.push_str(&format!(" *{anchor}"));
                self.line_comment();
                self.out.push('\n');
            }
            60..63 if self.odd() => {
                // A value over several lines.
                let word = self.random.pick(WORDS);
                let deeper = " ".repeat(column + 1 + self.random.below(4));
                let quote = ["", "'", "\""][self.random.below(3)];
                let first =
                    if self.random.percent(30) { format!("\n{deeper}") } else { " ".to_owned() };
                let blank = if self.random.percent(30) { "\n" } else { "" };
                self.out.push_str(&format!(
                    "{first}{quote}{word} one\n{blank}{deeper}two {word}{quote}"
                ));
                self.line_comment();
                self.out.push('\n');
            }
            _ => {
                self.properties();
                self.out.push_str([" ", " ", " ", "  "][self.random.below(4)]);
                let scalar = self.scalar();
                self.out.push_str(&scalar);
                self.line_comment();
                self.out.push('\n');
            }
        }
    }

    /// Perhaps writes an anchor or a tag.
    fn properties(&mut self) {
        if !self.odd() {
            return;
        }
        match self.random.below(12) {
            0..3 => {
                let anchor = format!("a{}", self.anchors.len());
                self.out.push_str(&format!(" &{anchor}"));
                // One that stands around its own alias would be a loop.
                if self.random.percent(70) {
                    self.anchors.push(anchor);
                }
            }
            3 => self.out.push_str(" !custom"),
            _ => {}
        }
    }

    fn scalar(&mut self) -> String {
        if self.odd() {
            return match self.random.below(10) {
                0..4 => self.random.pick(PLAIN).to_owned(),
                4..6 => format!("\"{}\"", self.random.pick(DOUBLE)),
                6..8 => format!("'{}'", self.random.pick(SINGLE)),
                8 => [
                    "!!str 12",
                    "!!int \"3\"",
                    "!!float 3",
                    "!!bool 'true'",
                    "!!binary aGVsbG8=",
                    "!!binary //8=",
                    "!!null ''",
                    "! 12",
                    "!!timestamp '2001-01-01'",
                    "!x y",
                ][self.random.below(10)]
                .to_owned(),
                _ => "long words ".repeat(5 + self.random.below(40)).trim_end().to_owned(),
            };
        }
        let word = self.random.pick(WORDS);
        match self.random.below(10) {
            0 => self.random.below(100_000).to_string(),
            1 => ["true", "false", "null", "1.5"][self.random.below(4)].to_owned(),
            2 => format!("\"{word} {word}\""),
            3 => format!("'{word}'"),
            4 => format!("{word} and {}", self.random.pick(WORDS)),
            5 => format!("https://{word}.example.org:8443/{word}"),
            6 => format!("{word}-{:016x}", self.random.next()),
            _ => word.to_owned(),
        }
    }

    fn block_scalar(&mut self, column: usize) {
        let style = ["|", "|", "|", ">"][self.random.below(4)];
        let keep = ["", "", "-", "+"][self.random.below(4)];
        let deeper = column + 1 + self.random.below(self.step.max(2));
        let digit = if self.odd() && self.random.percent(20) && deeper - column < 10 {
            // In a list within a list the parent is another; such documents may be refused.
            (deeper - column).to_string()
        } else {
            String::new()
        };
        self.out.push_str(&format!(" {style}{digit}{keep}"));
        self.line_comment();
        self.out.push('\n');
        let count = 1 + self.random.below(5);
        for number in 0..count {
            let line = self.random.pick(LINES);
            // The first line says how deep the text is indented.
            let line = match (number, digit.is_empty()) {
                (0, true) => line.trim_start(),
                (0, false) => line.trim_start_matches('\t'),
                _ => line,
            };
            if !line.is_empty() {
                self.indent(deeper);
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }

    /// Writes a flow collection, perhaps over several lines; `column` is where those begin.
    fn flow(&mut self, column: usize, depth: usize) {
        let is_map = depth == 0 || self.random.percent(50);
        let broken = self.random.percent(25);
        self.out.push(if is_map { '{' } else { '[' });
        let count = 1 + self.random.below(4);
        for number in 0..count {
            self.left = self.left.saturating_sub(1);
            if broken {
                self.line_comment();
                self.out.push('\n');
                if self.chance_of_comment() && self.random.percent(30) {
                    self.comment_lines(column + self.step);
                }
                self.indent(column + self.step);
            } else if number > 0 || self.random.percent(20) {
                self.out.push(' ');
            }
            if is_map {
                self.out.push_str(&format!("{}{number}: ", self.random.pick(WORDS)));
            }
            if depth < 4 && self.left > 0 && self.random.percent(20) {
                self.flow(column + self.step, depth + 1);
            } else {
                let scalar = match self.random.below(5) {
                    0 => format!("\"{}\"", self.random.pick(DOUBLE)),
                    1 => format!("'{}'", self.random.pick(SINGLE)),
                    2 => self.random.below(1000).to_string(),
                    3 => ["null", "true", "1.50", "~", "{}", "[]", "2001-01-02"]
                        [self.random.below(7)]
                    .to_owned(),
                    _ => self.random.pick(WORDS).to_owned(),
                };
                self.out.push_str(&scalar);
            }
            if number + 1 < count || self.random.percent(10) {
                self.out.push(',');
            }
        }
        if broken {
            self.line_comment();
            self.out.push('\n');
            self.indent(column);
        }
        self.out.push(if is_map { '}' } else { ']' });
    }
}
