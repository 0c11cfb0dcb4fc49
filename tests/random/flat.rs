//! Random dotenv and INI files.

use crate::chance::Random;

const NAMES: &[&str] = &[
    "API_KEY",
    "DATABASE_URL",
    "DEBUG",
    "HOST",
    "PORT",
    "SECRET_KEY_BASE",
    "TZ",
    "x",
    "app.name",
    "export TOKEN",
    "A_unencrypted",
    "MAIL__FROM",
    "größe",
    " PADDED ",
    "with space",
    "",
];

const VALUES: &[&str] = &[
    "",
    "x",
    "1",
    "0x1F",
    "1.50",
    "true",
    "null",
    "two words",
    "\"quoted text\"",
    "'single'",
    "\"it's\"",
    "a=b=c",
    "a#b",
    "a # b",
    "a;b",
    "a ; b",
    " lead",
    "trail ",
    "line\\nbreak",
    "back\\\\slash",
    "\\n",
    "\\",
    "é日本😀",
    "postgres://u:p@h:5432/d?x=y",
    "$HOME/${X:-y}",
    "`cmd`",
    "\"open",
    "ENC[x]",
    "sops",
    "\t tab",
    "-----BEGIN KEY-----\\nabc\\n-----END KEY-----",
    "c2VjcmV0==",
    "{\"a\": [1, 2]}",
    "%d %s",
    "[x]",
];

const COMMENTS: &[&str] = &[
    "#",
    "# words",
    "#words",
    "# KEY=value",
    "## banner ##",
    "#\ttab",
    "# trailing ",
    "# é日本😀",
    "# a\\nb",
    "#ENC[x]",
    "# 'quoted \"text\"",
];

/// Returns a dotenv file.
pub(super) fn dotenv(random: &mut Random) -> String {
    let mut out = String::new();
    for _ in 0..=random.below(15) {
        match random.below(10) {
            0 => {}
            1..3 => out.push_str(random.pick(COMMENTS)),
            _ => {
                let name = if random.percent(70) { "KEY" } else { random.pick(NAMES) };
                let number = random.below(100);
                let value = random.pick(VALUES);
                out.push_str(&format!("{name}{number}={value}"));
            }
        }
        out.push('\n');
    }
    finish(random, out)
}

/// Returns an INI file.
pub(super) fn ini(random: &mut Random) -> String {
    let mut out = String::new();
    let quotes = ["", "", "", "", "\"", "'", "`", "\"\"\""];
    for _ in 0..2 + random.below(20) {
        if random.percent(15) {
            out.push_str([" ", "\t", "    "][random.below(3)]);
        }
        match random.below(12) {
            0 => {}
            1..3 => {
                let comment = random.pick(COMMENTS);
                let marker = if random.percent(50) { ";" } else { "#" };
                out.push_str(&format!("{marker}{}", &comment[1..]));
            }
            3..5 => {
                let name = [
                    "section",
                    "a.b",
                    "remote \"origin\"",
                    "DEFAULT",
                    " spaced ",
                    "größe",
                    "x_unencrypted",
                ][random.below(7)];
                out.push_str(&format!("[{name}]"));
                if random.percent(20) {
                    out.push_str([" ; why", "# x", "  # why"][random.below(3)]);
                }
            }
            _ => {
                let name = random.pick(NAMES).trim();
                let name = if name.is_empty() || random.percent(50) {
                    format!("key{}", random.below(30))
                } else {
                    name.to_owned()
                };
                let equals = ["=", " = ", "  =  ", ": ", ":", " =", "= "][random.below(7)];
                let quote = quotes[random.below(quotes.len())];
                let value = random.pick(VALUES);
                out.push_str(&format!("{name}{equals}{quote}{value}{quote}"));
                match random.below(12) {
                    0 => out.push_str(" ; inline"),
                    1 => out.push_str(" # inline"),
                    2 => out.push_str(";inline"),
                    3 => out.push_str(" \\\n  continued"),
                    _ => {}
                }
            }
        }
        out.push('\n');
    }
    finish(random, out)
}

/// Returns the text with other line ends, or without the last one.
fn finish(random: &mut Random, mut text: String) -> String {
    if random.percent(10) {
        text.truncate(text.trim_end_matches('\n').len());
    }
    if random.percent(10) {
        text = text.replace('\n', "\r\n");
    }
    text
}
