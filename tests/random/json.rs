//! Random JSON objects in random layouts.

use crate::chance::Random;

/// How an object is laid out.
struct Layout {
    indent: &'static str,
    newline: &'static str,
    colon: &'static str,
    comma: &'static str,
}

const LAYOUTS: &[Layout] = &[
    Layout { indent: "\t", newline: "\n", colon: ": ", comma: "," },
    Layout { indent: "  ", newline: "\n", colon: ": ", comma: "," },
    Layout { indent: "    ", newline: "\r\n", colon: ": ", comma: "," },
    Layout { indent: "", newline: "", colon: ":", comma: "," },
    Layout { indent: "", newline: " ", colon: ": ", comma: "," },
    Layout { indent: " ", newline: "\n", colon: " :\t", comma: " ," },
    Layout { indent: "", newline: "\n\n", colon: ":\n", comma: "\n," },
];

/// SOPS up to 3.13.1 reads all numbers as doubles, so that integers beyond 2^53 and `-0` are
/// others there: they are not among these.
const SCALARS: &[&str] = &[
    "0",
    "1",
    "-1",
    "42",
    "9007199254740991",
    "1.0",
    "1.50",
    "-0.5",
    "1e3",
    "1E+2",
    "1e-7",
    "1e21",
    "1e300",
    "0.1e-6",
    "123456789.123456789",
    "true",
    "false",
    "null",
    "\"\"",
    "\"x\"",
    "\"two words\"",
    "\"10\"",
    "\"true\"",
    "\"\\u00e9\\n\\t\\\"\\\\\\/\"",
    "\"\\ud83d\\ude00\"",
    "\"<b>&amp;</b>\"",
    "\"é日本😀\"",
    "\"\\u0000\\u001f\\u007f\"",
    "\"\\u2028\"",
    "\" lead\"",
    "\"#x\"",
    "\"ENC[x]\"",
    "\"line\\n\\nbreak\\n\"",
    "{}",
    "[]",
    "{ }",
    "[\n]",
    "\"-----BEGIN KEY-----\\nabc\\n\"",
    "\"${x}\"",
    "\"ENC[AES256_GCM,data:x]\"",
];

const NAMES: &[&str] = &[
    "name",
    "password",
    "port",
    "a b",
    "",
    "é",
    "a:b",
    "\\u0041",
    "<k>",
    "x_unencrypted",
    "\\n",
    "10",
    "true",
    "aws_instance",
    "tags",
    "null",
    "#",
    "\\\"",
];

/// Returns an object.
pub(super) fn object(random: &mut Random) -> String {
    let layout = &LAYOUTS[random.below(LAYOUTS.len())];
    let mut out = String::new();
    let mut left = 3 + random.below(40);
    if random.percent(5) {
        out.push_str("\n  ");
    }
    collection(random, layout, 0, &mut left, true, &mut out);
    if random.percent(80) {
        out.push('\n');
    }
    out
}

fn collection(
    random: &mut Random,
    layout: &Layout,
    depth: usize,
    left: &mut usize,
    is_map: bool,
    out: &mut String,
) {
    out.push(if is_map { '{' } else { '[' });
    let count = 1 + random.below(6);
    for number in 0..count {
        *left = left.saturating_sub(1);
        if number > 0 {
            out.push_str(layout.comma);
        }
        out.push_str(layout.newline);
        out.push_str(&layout.indent.repeat(depth + 1));
        if is_map {
            let name = random.pick(NAMES);
            // SOPS keeps keys that are there twice, and so does encfile.
            let number = if random.percent(3) { 0 } else { number };
            out.push_str(&format!("\"{name}{number}\"{}", layout.colon));
        }
        if depth < 5 && *left > 0 && random.percent(30) {
            let is_map = random.percent(60);
            collection(random, layout, depth + 1, left, is_map, out);
        } else {
            out.push_str(random.pick(SCALARS));
        }
    }
    out.push_str(layout.newline);
    out.push_str(&layout.indent.repeat(depth));
    out.push(if is_map { '}' } else { ']' });
}
