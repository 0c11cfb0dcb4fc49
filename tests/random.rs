//! Random files of every format, both ways between encfile and the real SOPS.
//!
//! Encrypting with encfile goes through the library, since programs cost time; all files that it
//! has written are given to `check.py` at once. `PROPTEST_RNG_SEED` sets the seed, and
//! `ENCFILE_RANDOM_DOCUMENTS` the number of files.

mod flat;
mod json;
mod minimise;
mod yaml;

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::SystemTime;

use encfile::document::Document;
use encfile::file::{EncryptedFile, FileError, Plan, encrypt};
use encfile::format::{FileFormat, Layout, by_name};
use encfile::keys::age::{Identities, Source};
use encfile::keys::{self, Credentials, Host};
use encfile::secret::SecretBytes;

use crate::chance::Random;
use crate::files::{ALICE, Keys};
use crate::peers;
use crate::sandbox::Sandbox;

/// Files a run.
const DOCUMENTS: u64 = 2000;

/// Failures that each worker makes small and shows; the first ones tell enough.
const REPORTS: usize = 4;

/// What is allowed to differ from SOPS, and why.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// SOPS moves a comment to another place when it writes its file, so that it cannot decrypt it
    /// there, or loses it. Of encfile's file, which keeps the layout, it prints what it prints
    /// for the plain text.
    CommentMoved,
    /// SOPS drops a comment when it reads the plain text. In encfile's file it is encrypted, and
    /// stands where SOPS reads it.
    CommentDropped,
    /// SOPS prints what it does not read back as the original: an indentation indicator in a list,
    /// nothing for an empty list with a comment, quotes of INI that it takes off. What encfile
    /// prints for the same file, SOPS reads as the original.
    Misspelled,
    /// SOPS prints the text `<<` with the tag of a merge, which other readers refuse on a scalar:
    /// see [`is_respelled`].
    Respelled,
    /// SOPS cannot read what it wrote, or reads something else.
    UnreadableForSops,
    /// SOPS fails with a stack trace.
    PanicOfSops,
    /// encfile refuses what SOPS would damage: see [`STRICTER`].
    Stricter,
}

/// What encfile says of texts that SOPS takes, and reads as something else than they say.
const STRICTER: &[&str] = &[
    // SOPS keeps one of the values.
    "the key stands twice in its section",
];

impl Known {
    fn name(self) -> &'static str {
        match self {
            Known::CommentMoved => "comment moved by SOPS",
            Known::CommentDropped => "comment dropped by SOPS",
            Known::Misspelled => "misspelled by SOPS",
            Known::Respelled => "spelled otherwise",
            Known::UnreadableForSops => "unreadable for SOPS",
            Known::PanicOfSops => "panic of SOPS",
            Known::Stricter => "refused by encfile on purpose",
        }
    }
}

/// What came of a file.
enum Verdict {
    Same,
    BothRefuse,
    Known(Known),
    Wrong(Wrong),
}

/// What is wrong with a file.
struct Wrong {
    what: &'static str,
    /// Texts that show it.
    detail: String,
}

/// A random file.
struct Sample {
    number: u64,
    /// Of the format.
    name: &'static str,
    text: String,
}

impl Sample {
    /// Returns the file with a number; it depends on the seed and the number alone.
    fn new(seed: u64, number: u64) -> Sample {
        let mut random = Random::new(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let (name, text) = match number % 10 {
            0 => ("json", json::object(&mut random)),
            1 => ("dotenv", flat::dotenv(&mut random)),
            2 => ("ini", flat::ini(&mut random)),
            _ => ("yaml", yaml::stream(&mut random)),
        };
        Sample { number, name, text }
    }

    fn format(&self) -> &'static dyn FileFormat {
        by_name(self.name).unwrap()
    }

    fn ending(&self) -> &'static str {
        if self.name == "dotenv" { "env" } else { self.name }
    }
}

/// What keys may do here: read files, and nothing else.
struct Machine;

impl Host for Machine {
    fn read_file(&self, path: &Path, _limit: usize) -> std::io::Result<SecretBytes> {
        fs::read(path).map(SecretBytes::from)
    }
}

#[test]
fn random_files_go_both_ways_between_encfile_and_sops() {
    let seed = number_from("PROPTEST_RNG_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos())
    });
    let documents = number_from("ENCFILE_RANDOM_DOCUMENTS").unwrap_or(DOCUMENTS);
    let keys = Keys::new();
    let written = tempfile::tempdir().unwrap();
    let next = AtomicU64::new(0);
    // Two processes at a time: other tests run beside this one.
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let work = || {
            let judge = Judge::new(&keys);
            let mut tally = Tally::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= documents {
                    return tally;
                }
                let sample = Sample::new(seed, number);
                if let Ok(sealed) = judge.seal(&sample) {
                    let name = format!("{number}.{}", sample.ending());
                    fs::write(written.path().join(name), &*sealed).unwrap();
                }
                tally.add(&judge, &sample);
            }
        };
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });

    let mut counts = BTreeMap::<&str, u64>::new();
    let mut reports = Vec::new();
    for tally in tallies {
        reports.extend(tally.reports);
        for (verdict, count) in tally.counts {
            *counts.entry(verdict).or_default() += count;
        }
    }
    let reports = reports.join("\n");
    assert!(reports.is_empty(), "seed {seed}: {counts:?}\n{reports}");
    // SOPS has opened each file with its MAC. The checker, which knows neither, reads the formats
    // whose values it resolves; in YAML it takes some spellings of null for texts.
    let files: Vec<PathBuf> = fs::read_dir(&written)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending != "yaml"))
        .collect();
    peers::assert_valid(&files);
    // Files that nobody reads, and differences that are excused, say nothing.
    let same = counts.get("same").copied().unwrap_or_default();
    assert!(same * 100 >= documents * 70, "seed {seed}: {counts:?}");
}

fn number_from(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number")))
}

/// What has come of files.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    reports: Vec<String>,
}

impl Tally {
    fn add(&mut self, judge: &Judge<'_>, sample: &Sample) {
        let name = match judge.judge(sample) {
            Verdict::Same => "same",
            Verdict::BothRefuse => "refused by both",
            Verdict::Known(known) => known.name(),
            Verdict::Wrong(wrong) => {
                if self.reports.len() < REPORTS {
                    self.reports.push(judge.report(sample, &wrong));
                }
                "wrong"
            }
        };
        *self.counts.entry(name).or_default() += 1;
    }
}

/// Compares what encfile and SOPS do with files.
struct Judge<'k> {
    keys: &'k Keys,
    sandbox: Sandbox,
    credentials: Credentials,
}

impl Judge<'_> {
    fn new(keys: &Keys) -> Judge<'_> {
        let source = Source::file("alice", ALICE.path());
        let identities = Identities::new(vec![source], Arc::new(Machine));
        let credentials = Credentials::none().with(identities);
        Judge { keys, sandbox: Sandbox::with_identity(ALICE), credentials }
    }

    /// Encrypts a file with encfile.
    fn seal(&self, sample: &Sample) -> Result<SecretBytes, FileError> {
        let document = Document::parse(sample.format(), SecretBytes::from(sample.text.as_bytes()))?;
        let plan = Plan {
            metadata: self.keys.metadata.clone(),
            data_key: &self.keys.data_key,
            output: sample.format(),
            layout: Layout::default(),
            previous: None,
            allow_nothing_selected: true,
        };
        encrypt(document, plan)
    }

    /// Decrypts a file with encfile, whoever encrypted it.
    fn open(&self, sample: &Sample, sealed: &[u8]) -> Result<String, FileError> {
        let file = EncryptedFile::parse(sample.format(), SecretBytes::from(sealed))?;
        let key = file.data_key(&self.credentials, keys::DEFAULT_DECRYPTION_ORDER)?;
        let text = file.decrypt(&key)?.text()?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs SOPS on a text; returns what it printed and how many comments it warned of, or its
    /// message.
    fn sops(&self, sample: &Sample, verb: &[&str], text: &[u8]) -> Result<(String, usize), String> {
        let name = format!("file.{}", sample.ending());
        self.sandbox.write(&name, text);
        let outcome = self.sandbox.real_sops(verb.iter().chain(&[name.as_str()])).go();
        let warnings = outcome.messages().matches("unencrypted comment").count();
        if outcome.has_succeeded() {
            Ok((String::from_utf8_lossy(&outcome.into_stdout()).into_owned(), warnings))
        } else {
            Err(outcome.messages().to_owned())
        }
    }

    fn judge(&self, sample: &Sample) -> Verdict {
        let recipient = ALICE.recipient();
        let text = sample.text.as_bytes();
        let ours = self.seal(sample);
        if let Ok(sealed) = &ours {
            match self.open(sample, sealed) {
                Err(error) => return wrong("encfile does not read its own file", &[&error]),
                Ok(again) if again != sample.text => {
                    return wrong("it does not come back to the byte", &[&again]);
                }
                Ok(_) => {}
            }
        }
        let theirs = self.sops(sample, &["encrypt", "--age", &recipient], text);
        let (ours, theirs) = match (ours, theirs) {
            (Ok(ours), Ok((theirs, _))) => (ours, theirs),
            (Err(_), Err(_)) => return Verdict::BothRefuse,
            (Err(error), Ok(_)) if STRICTER.iter().any(|part| error.to_string().contains(part)) => {
                return Verdict::Known(Known::Stricter);
            }
            (Err(error), Ok(_)) => return wrong("encfile alone refuses", &[&error]),
            (Ok(_), Err(error)) if error.starts_with("panic:") => {
                return Verdict::Known(Known::PanicOfSops);
            }
            (Ok(_), Err(error)) => return wrong("SOPS alone refuses", &[&error]),
        };
        let (printed, warnings) = match self.sops(sample, &["decrypt"], &ours) {
            Ok(result) => result,
            Err(error) => {
                let ours = without_metadata(&String::from_utf8_lossy(&ours));
                return wrong("SOPS does not read encfile's file", &[&error, &ours]);
            }
        };
        if warnings > 0 {
            let ours = without_metadata(&String::from_utf8_lossy(&ours));
            return wrong("SOPS warns of a comment of encfile's file", &[&ours]);
        }
        let Ok((expected, _)) = self.sops(sample, &["decrypt"], theirs.as_bytes()) else {
            return Verdict::Known(Known::UnreadableForSops);
        };
        let mut known = None;
        // What SOPS makes of a text that it only reads and writes.
        let nothing = ["encrypt", "--age", &recipient, "--encrypted-regex", "^nothing at all$"];
        let normal = |text: &str| {
            let (text, _) = self.sops(sample, &nothing, text.as_bytes()).ok()?;
            Some(without_metadata(&text))
        };
        if printed != expected {
            let plain = normal(&sample.text).unwrap_or_default();
            let same = without_comments(&printed) == without_comments(&plain);
            known = if printed == plain {
                Some(Known::CommentMoved)
            } else if same
                && has_comments_of(&printed, &plain)
                && invents_no_comment(&printed, &(sample.text.clone() + &plain))
            {
                Some(Known::CommentDropped)
            } else {
                let ours = without_metadata(&String::from_utf8_lossy(&ours));
                return wrong("SOPS prints another text", &[&printed, &expected, &plain, &ours]);
            };
        }
        match self.open(sample, theirs.as_bytes()) {
            Err(error) => {
                let theirs = without_metadata(&theirs);
                return wrong("encfile does not read the file of SOPS", &[&error, &theirs]);
            }
            Ok(opened) if opened != expected => {
                let (read, plain) = (normal(&opened), normal(&sample.text));
                let again = normal(&expected);
                let fails = read.is_none() || again.is_none();
                if fails && again != plain && has_same_values(sample, &opened, &sample.text) {
                    return Verdict::Known(Known::UnreadableForSops);
                }
                let [read, plain, again] = [read, plain, again].map(Option::unwrap_or_default);
                // `-0.0` is written as `-0`, and read as 0: by SOPS of both.
                let zero = |word| if word == "-0" { "0" } else { word };
                let values = |text| words(text).map(zero).collect::<Vec<_>>();
                let (data, original) = (values(&read), values(&plain));
                let reread = values(&again);
                // In a block scalar there may be lines that look like comments.
                let comments =
                    has_comments_of(&opened, &expected) || has_comments_of(&read, &plain);
                // A comment at a nested list, which SOPS moves, moves the list's dashes as well.
                let moved = words(&opened).eq(words(&expected));
                known = if moved && comments && has_same_values(sample, &opened, &expected) {
                    Some(Known::CommentMoved)
                } else if reread != original && data == original
                    // The blanks that a text begins with are no words.
                    || again != plain && read == plain
                {
                    Some(Known::Misspelled)
                } else if reread == data && is_respelled(sample.name, &expected) {
                    Some(Known::Respelled)
                } else {
                    let theirs = without_metadata(&theirs);
                    let all: [&dyn fmt::Display; 5] = [&opened, &expected, &read, &plain, &theirs];
                    return wrong("encfile prints another text", &all);
                };
            }
            Ok(_) => {}
        }
        known.map_or(Verdict::Same, Verdict::Known)
    }

    /// Describes what is wrong with the smallest part of a file that has the same thing wrong.
    fn report(&self, sample: &Sample, wrong: &Wrong) -> String {
        let text = minimise::lines(&sample.text, |text| {
            let part = Sample { text: text.to_owned(), ..*sample };
            matches!(self.judge(&part), Verdict::Wrong(found) if found.what == wrong.what)
        });
        let part = Sample { text, ..*sample };
        let detail = match self.judge(&part) {
            Verdict::Wrong(found) => found.detail,
            _ => wrong.detail.clone(),
        };
        format!(
            "== file {} ({}): {}\n{:?}\n{}{detail}",
            sample.number, sample.name, wrong.what, part.text, part.text
        )
    }
}

fn wrong(what: &'static str, details: &[&dyn fmt::Display]) -> Verdict {
    let detail = details.iter().fold(String::new(), |mut all, detail| {
        all.push_str(&format!("\n----\n{detail}"));
        all
    });
    Verdict::Wrong(Wrong { what, detail })
}

/// Cuts the metadata out of a text that SOPS printed, where it is the last entry.
fn without_metadata(text: &str) -> String {
    let mut within = false;
    let mut rest = String::new();
    for line in text.split_inclusive('\n') {
        within = match line {
            "sops:\n" | "\t\"sops\": {\n" | "[sops]\n" => true,
            // The next document.
            "---\n" => false,
            _ => within,
        };
        if !within && !line.starts_with("sops_") {
            rest.push_str(line);
        }
    }
    rest
}

/// Returns whether a text has what encfile puts in quotes: the text `<<` as a value, or as the key of
/// a scalar.
fn is_respelled(format: &str, text: &str) -> bool {
    let is_merge =
        |line: &str| line.trim_end().ends_with("!!merge <<") || line.contains("!!merge <<: ");
    format == "yaml" && text.lines().any(is_merge)
}

/// Splits a line of YAML or INI into what is no comment, and the comment without its marker.
fn parts(line: &str) -> (&str, Option<&str>) {
    let at = match line.find(" #").into_iter().chain(line.find("\t#")).min() {
        _ if line.trim_start().starts_with(['#', ';']) => Some(0),
        found => found,
    };
    let Some(at) = at else { return (line, None) };
    let comment = line[at..].trim_start_matches([' ', '\t', '#', ';']);
    (&line[..at], Some(comment.trim_end_matches([' ', '#'])))
}

/// Returns whether two plain texts have the same values in the same order.
fn has_same_values(sample: &Sample, one: &str, other: &str) -> bool {
    let parse = |text: &str| sample.format().parse(SecretBytes::from(text)).ok();
    match (parse(one), parse(other)) {
        (Some(one), Some(other)) => one.has_same_values(&other),
        _ => false,
    }
}

/// Returns the lines of a text without comments, and without the lines that only those have.
fn without_comments(text: &str) -> String {
    let mut rest = String::new();
    for line in text.lines().map(|line| parts(line).0.trim_end()).filter(|line| !line.is_empty()) {
        // An empty map with a comment in it stands on several lines.
        if line.trim_start().starts_with('}') && rest.ends_with("{\n") {
            rest.pop();
            rest.push_str(line.trim_start());
        } else {
            rest.push_str(line);
        }
        rest.push('\n');
    }
    rest
}

/// Returns the words of a text that are not in comments, however the lines are broken.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let values = text.lines().map(|line| parts(line).0);
    values.flat_map(|line| line.split_inclusive(['{', '}'])).flat_map(str::split_whitespace)
}

/// Returns whether the comments of a text that are not ciphertexts stand in `source`.
fn invents_no_comment(text: &str, source: &str) -> bool {
    text.lines()
        .filter_map(|line| parts(line).1)
        .all(|comment| comment.starts_with("ENC[AES256_GCM,") || source.contains(comment))
}

/// Returns whether `text` has all comments of `other` that are not ciphertexts, wherever they are.
fn has_comments_of(text: &str, other: &str) -> bool {
    let comments = |text: &str| {
        let mut counts = BTreeMap::<String, usize>::new();
        for comment in text.lines().filter_map(|line| parts(line).1) {
            if !comment.starts_with("ENC[AES256_GCM,") {
                *counts.entry(comment.to_owned()).or_default() += 1;
            }
        }
        counts
    };
    let found = comments(text);
    comments(other).iter().all(|(line, count)| found.get(line).is_some_and(|found| found >= count))
}
