//! The parts of encfile by themselves, through the library: parsing, sealing, opening, the MAC,
//! and writing changed values into a text.
//!
//! ```text
//! cargo bench --bench micro                 # everything
//! cargo bench --bench micro -- parse        # what has this in its name
//! ```
//!
//! The clock is the CPU time of this thread, so that a busy machine changes little; a figure is
//! the median of at least five runs.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod corpus;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use corpus::Shape;
use encfile::crypt::canonical::ValueType;
use encfile::crypt::data_key::DataKey;
use encfile::crypt::mac::Mac;
use encfile::crypt::value::{Sealed, Sealer};
use encfile::format::{Change, by_name};
use encfile::scan::{DEFAULT_LENGTH, Secrets};
use encfile::secret::SecretBytes;
use encfile::tree::NodeKind;
use rustix::time::{ClockId, clock_gettime};

/// How many values a text has.
const KEYS: usize = 10_000;

/// How long one part is measured.
const BUDGET: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match run(&Micro { wanted }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("micro: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(micro: &Micro) -> Result<(), Box<dyn Error>> {
    for (format, shape) in [
        ("yaml", Shape::Flat),
        ("yaml", Shape::Nested),
        ("json", Shape::Flat),
        ("json", Shape::Nested),
        ("dotenv", Shape::Flat),
    ] {
        texts(micro, format, shape)?;
    }
    values(micro)?;
    let piece = [b'x'; 28];
    search(micro);
    micro.measure("mac of 28-byte values", Unit::Each(KEYS), || {
        let mut mac = Mac::new(false);
        for _ in 0..KEYS {
            mac.update(black_box(&piece));
        }
        mac.finish().len()
    });
    Ok(())
}

/// Parses a plain and a sealed text, and splices the one into the other.
/// The search for 5,000 secrets in a text that has none of them.
fn search(micro: &Micro) {
    let mut secrets = Secrets::new(DEFAULT_LENGTH);
    let mut state: u64 = 1;
    for _ in 0..5_000 {
        // Knuth's generator: the same secrets in each run.
        let mut number = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32
        };
        secrets.add(format!("p{:x}-{:X}/{:x}", number(), number(), number()).as_bytes());
    }
    let searcher = secrets.into_searcher();
    let text = include_str!("micro.rs").repeat(200);
    micro.measure("scan for 5000 secrets", Unit::Bytes(text.len()), || {
        let mut hits = 0;
        searcher.search(text.as_bytes(), |_| hits += 1);
        hits
    });
}

fn texts(micro: &Micro, format: &str, shape: Shape) -> Result<(), Box<dyn Error>> {
    let name = format!("{format} {}", shape.name());
    let format = by_name(format).ok_or("no such format")?;
    let text = corpus::text(format.name(), shape, KEYS).ok_or("no such text")?;
    micro.measure(&format!("parse {name}, plain"), Unit::Bytes(text.len()), || {
        format.parse(SecretBytes::from(text.as_str())).map_or(0, |tree| tree.nodes().len())
    });

    let mut tree = format.parse(SecretBytes::from(text.as_str()))?;
    let data_key = DataKey::generate()?;
    let cipher = data_key.cipher();
    let mut sealer = Sealer::new(&cipher);
    let mut changes = Vec::new();
    for index in 0..tree.nodes().len() {
        let Some(id) = tree.id_at(index) else { break };
        let NodeKind::Text(plain) = tree.node(id).kind else { continue };
        let mut out = SecretBytes::new();
        sealer.seal(ValueType::Text, tree.text(plain), b"key:", &mut out)?;
        let ciphertext = tree.intern(&out);
        tree.set(id, NodeKind::Text(ciphertext));
        changes.push(Change { id, verbatim: None });
    }
    micro.measure(&format!("splice {name}"), Unit::Each(changes.len()), || {
        format.splice(&tree, &changes).map_or(0, |edits| edits.apply(tree.source()).len())
    });
    let text = format.splice(&tree, &changes)?.apply(tree.source());
    micro.measure(&format!("parse {name}, sealed"), Unit::Bytes(text.len()), || {
        format.parse(SecretBytes::from(&*text)).map_or(0, |tree| tree.nodes().len())
    });
    Ok(())
}

fn values(micro: &Micro) -> Result<(), Box<dyn Error>> {
    const PATH: &[u8] = b"service:database:password:";
    let data_key = DataKey::generate()?;
    let cipher = data_key.cipher();
    for length in [28, 1 << 20] {
        let count = if length > 1000 { 1 } else { KEYS };
        let unit = if count == 1 { Unit::Bytes(length) } else { Unit::Each(count) };
        let plain = vec![b'x'; length];
        let mut sealer = Sealer::new(&cipher);
        let mut out = SecretBytes::new();
        micro.measure(&format!("seal {length}-byte values"), unit, || {
            for _ in 0..count {
                out.resize(0);
                if sealer.seal(ValueType::Text, black_box(&plain), PATH, &mut out).is_err() {
                    return 0;
                }
            }
            out.len()
        });
        out.resize(0);
        sealer.seal(ValueType::Text, &plain, PATH, &mut out)?;
        let mut pool = SecretBytes::new();
        micro.measure(&format!("open {length}-byte values"), unit, || {
            for _ in 0..count {
                pool.resize(0);
                let opened = Sealed::parse(black_box(&out))
                    .and_then(|sealed| sealed.open(&cipher, PATH, &mut pool));
                if opened.is_err() {
                    return 0;
                }
            }
            pool.len()
        });
    }
    Ok(())
}

/// What a figure is given in.
#[derive(Clone, Copy)]
enum Unit {
    /// MB/s, for so many bytes a run.
    Bytes(usize),
    /// ns for each of so many things a run.
    Each(usize),
}

struct Micro {
    /// Parts of names; empty for everything.
    wanted: Vec<String>,
}

impl Micro {
    /// Prints how long `work` takes. It returns some number that depends on all of its work.
    fn measure(&self, name: &str, unit: Unit, mut work: impl FnMut() -> usize) {
        if !self.wanted.is_empty() && !self.wanted.iter().any(|part| name.contains(part)) {
            return;
        }
        let mut times = Vec::new();
        let mut spent = Duration::ZERO;
        while times.len() < 5 || spent < BUDGET {
            let before = cpu();
            black_box(work());
            let time = cpu().saturating_sub(before);
            spent += time;
            times.push(time);
        }
        times.sort_unstable();
        let median = times[times.len() / 2].as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
        let figure = match unit {
            Unit::Bytes(bytes) => format!("{:>10.0} MB/s", bytes as f64 / median / 1e6),
            Unit::Each(count) => format!("{:>10.0} ns each", median * 1e9 / count as f64),
        };
        println!("{name:<32}{figure}   {} runs", times.len());
    }
}

/// Returns the CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
