//! The fuzz targets on stable Rust: replayed over testdata and over small changes of it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::time::{ClockId, clock_gettime};

use crate::chance::{Random, seed};
use crate::files::{below, short};
use targets::Target;

#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod targets;

/// Changed inputs for each file.
const MUTANTS: u64 = 20;

/// Runs `body` and says which input it was when it fails.
fn run(name: &str, body: fn(&[u8]), data: &[u8], what: &str) {
    let result = catch_unwind(AssertUnwindSafe(|| body(data)));
    assert!(
        result.is_ok(),
        "{name} failed for {what}: {}",
        data[..data.len().min(2000)].escape_ascii()
    );
}

#[test]
fn every_target_stands_every_file_of_its_corpus_and_changes_of_it() {
    for &Target { name, body, inputs } in targets::TARGETS {
        for folder in inputs {
            for path in below(&format!("testdata/{folder}")) {
                let data = fs::read(&path).unwrap();
                let what = short(&path);
                run(name, body, &data, &what);
                // Changes of large files say no more than those of small ones, and take longer.
                if data.len() < 20_000 {
                    let mut random = Random::new(seed(&what));
                    for number in 0..MUTANTS {
                        let mutant = change(&mut random, &data);
                        run(name, body, &mutant, &format!("{what}, change {number}"));
                    }
                }
            }
        }
    }
}

#[test]
fn every_target_stands_small_inputs() {
    let alphabet = b"\0\t\n\r \"#%&'()*,-.:=>?@AZ[\\]_`az{|}~\x7f\x80\xc3\xa9\xef\xbb\xbf\xff09";
    for &Target { name, body, .. } in targets::TARGETS {
        run(name, body, b"", "nothing");
        for &first in alphabet {
            run(name, body, &[first], "one byte");
            for &second in alphabet {
                run(name, body, &[first, second], "two bytes");
            }
        }
    }
}

#[test]
fn every_target_stands_deep_and_wide_inputs() {
    let lines = |count: usize, line: fn(usize) -> String| -> String {
        let lines: Vec<String> = (0..count).map(line).collect();
        lines.concat()
    };
    let hostile = [
        ("open lists", "[".repeat(100_000)),
        ("open maps", "{\"a\":".repeat(50_000)),
        ("lists", "[".repeat(50_000) + &"]".repeat(50_000)),
        ("indented maps", lines(2000, |depth| " ".repeat(depth) + "a:\n")),
        ("indented lists", "- ".repeat(50_000)),
        ("one long line", "a".repeat(1_000_000)),
        ("many keys", lines(20_000, |key| format!("key{key}=x\n"))),
        ("many entries", lines(20_000, |key| format!("key{key}: x\n"))),
        ("many comments", "# comment\n".repeat(20_000)),
        ("unclosed quotes", "\"".repeat(50_001)),
        ("anchors", "&a ".repeat(20_000)),
    ];
    for &Target { name, body, .. } in targets::TARGETS {
        for (what, data) in &hostile {
            // Of this thread: others run at the same time.
            let clock = || clock_gettime(ClockId::ThreadCPUTime).tv_sec;
            let started = clock();
            run(name, body, data.as_bytes(), what);
            let seconds = clock() - started;
            // Far above what is needed without optimisation; what is quadratic takes minutes.
            assert!(seconds < 60, "{name} took {seconds} s for {what}");
        }
    }
}

/// Returns `data` with one to three changes: bytes set, removed, doubled, or syntax put in.
fn change(random: &mut Random, data: &[u8]) -> Vec<u8> {
    let tokens: &[&[u8]] = &[
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b": ",
        b"- ",
        b"#",
        b"\"",
        b"'",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"&a ",
        b"*a",
        b"!!int ",
        b"|\n",
        b">-\n",
        b"---\n",
        b"...\n",
        b"=",
        b"\\",
        b"\0",
        b"\xff",
        b"sops",
        b"ENC[AES256_GCM,data:",
        b",type:str]",
    ];
    let mut changed = data.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(changed.len());
        let to = (at + 1 + random.below(40)).min(changed.len());
        match random.below(4) {
            0 => {
                if let Some(byte) = changed.get_mut(at) {
                    *byte = random.next().to_le_bytes()[0];
                }
            }
            1 => {
                changed.drain(at..to.max(at));
            }
            2 => {
                let piece = changed[at..to.max(at)].to_vec();
                changed.splice(at..at, piece);
            }
            _ => {
                let token = tokens[random.below(tokens.len())];
                changed.splice(at..at, token.iter().copied());
            }
        }
    }
    changed
}
