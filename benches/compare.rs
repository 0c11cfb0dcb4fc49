//! Whole processes against the peers: CPU time and memory of `encfile`, `sops` and `rops` for the
//! same work on the same files.
//!
//! ```text
//! benches/peers.sh                                   # installs the peers, once
//! cargo bench --bench compare                        # everything: some minutes
//! cargo bench --bench compare -- --sizes 10,1k --formats yaml --peers sops
//! cargo bench --bench compare -- --check             # fails if a promise is not kept
//! ```
//!
//! CPU time is user and system time of the process. Runs of the programs take turns, and what
//! counts is the ratio of the medians: the machine's mood is in all of them. Every program
//! decrypts the file that encfile encrypted. Peak memory is what the kernel says; two or three MB
//! of it may be this program's, from which the others start.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod corpus;

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use corpus::Shape;
use wait4::Wait4 as _;

/// The recipient of `testdata/keys/alice.txt`.
const RECIPIENT: &str = "age1p425dg54alxas5ngyta05t8vms4gqs7ps52cfjd72wytc3q32awsh3mzqa";

/// The most runs of one program on one file.
const MOST_RUNS: usize = 41;

/// Above this many keys sops takes minutes for one file.
const MOST_KEYS_OF_SOPS: usize = 10_000;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, format, shape, keys, path] = &arguments[..]
        && word == "--write-corpus"
    {
        let text =
            corpus::text(format, shape_named(shape)?, keys.parse()?).ok_or("no such text")?;
        File::create_new(path)?.write_all(text.as_bytes())?;
        return Ok(true);
    }
    let options = Options::parse(&arguments)?;
    let programs = programs(&options)?;
    let directory = tempfile::tempdir()?;
    println!("CPU time in ms, peak memory in MB; medians of interleaved runs\n");
    print_heading(&programs);
    let mut results = Vec::new();
    for &(format, shape) in TEXTS {
        if !options.formats.iter().any(|f| f == format) || !options.shapes.contains(&shape) {
            continue;
        }
        for &keys in &options.sizes {
            let files = Files::make(directory.path(), format, shape, keys)?;
            for &operation in &options.operations {
                let case = Case { operation, format, shape, keys };
                let figures = measure(&case, &programs, &files, &options)?;
                print_row(&case, &figures);
                results.push((case, figures));
            }
        }
    }
    print_exponents(&results, &programs);
    Ok(!options.check || promises_are_kept(&results, &programs))
}

/// The texts that are compared.
const TEXTS: &[(&str, Shape)] = &[
    ("yaml", Shape::Flat),
    ("yaml", Shape::Nested),
    ("json", Shape::Flat),
    ("json", Shape::Nested),
    ("dotenv", Shape::Flat),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Decrypt,
    Encrypt,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Decrypt => "decrypt",
            Operation::Encrypt => "encrypt",
        }
    }
}

struct Options {
    sizes: Vec<usize>,
    formats: Vec<String>,
    shapes: Vec<Shape>,
    operations: Vec<Operation>,
    peers: Vec<String>,
    /// CPU time for one program on one file; it is run once at least.
    budget: Duration,
    check: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options, Box<dyn Error>> {
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut options = Options {
            sizes: vec![10, 1000, 10_000, 100_000],
            formats: list("yaml,json,dotenv"),
            shapes: vec![Shape::Flat, Shape::Nested],
            operations: vec![Operation::Decrypt, Operation::Encrypt],
            peers: list("sops,rops"),
            budget: Duration::from_secs(1),
            check: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                // cargo says this to every benchmark.
                "--bench" => {}
                "--check" => options.check = true,
                "--sizes" => {
                    options.sizes = value()?.split(',').map(size).collect::<Result<_, _>>()?;
                    options.sizes.sort_unstable();
                }
                "--formats" => options.formats = list(value()?),
                "--shapes" => {
                    options.shapes =
                        value()?.split(',').map(shape_named).collect::<Result<_, _>>()?;
                }
                "--operations" => {
                    let all = [Operation::Decrypt, Operation::Encrypt];
                    let names = list(value()?);
                    let is_asked = |o: &Operation| names.iter().any(|name| name == o.name());
                    options.operations = all.into_iter().filter(is_asked).collect();
                }
                "--peers" => options.peers = list(value()?),
                "--budget" => options.budget = Duration::from_secs_f64(value()?.parse()?),
                other => {
                    return Err(format!(
                        "unknown argument `{other}`; there are --sizes 10,1k,10k,100k, --formats \
                         yaml,json,dotenv, --shapes flat,nested, --operations decrypt,encrypt, \
                         --peers sops,rops, --budget SECONDS, --check"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }
}

fn size(text: &str) -> Result<usize, Box<dyn Error>> {
    Ok(match text.strip_suffix('k') {
        Some(thousands) => thousands.parse::<usize>()? * 1000,
        None => text.parse()?,
    })
}

fn shape_named(name: &str) -> Result<Shape, Box<dyn Error>> {
    let all = [Shape::Flat, Shape::Nested];
    all.into_iter().find(|shape| shape.name() == name).ok_or_else(|| "no such shape".into())
}

/// A program that is compared.
struct Program {
    name: &'static str,
    path: PathBuf,
}

impl Program {
    /// Returns whether the program can do the work, and in bearable time.
    fn takes_part(&self, case: &Case) -> bool {
        match self.name {
            "sops" => case.keys <= MOST_KEYS_OF_SOPS,
            "rops" => case.format != "dotenv",
            _ => true,
        }
    }

    fn command(&self, operation: Operation, file: &Path) -> std::io::Result<Command> {
        let mut command = Command::new(&self.path);
        command.arg(operation.name());
        if operation == Operation::Encrypt {
            command.args(["--age", RECIPIENT]);
        }
        let identities = repository().join("testdata/keys/alice.txt");
        if self.name == "rops" {
            // Without a terminal it always reads standard input, and does not see the name.
            let format = file.extension().unwrap_or_default();
            command.arg("--format").arg(format).stdin(File::open(file)?);
        } else {
            command.arg(file).stdin(Stdio::null());
        }
        command
            .current_dir(file.parent().unwrap_or(Path::new(".")))
            .env_clear()
            .env("HOME", file.parent().unwrap_or(Path::new(".")))
            .env("SOPS_AGE_KEY_FILE", &identities)
            // rops understands no comments in such a file.
            .env("ROPS_AGE", fs::read_to_string(&identities)?.lines().last().unwrap_or_default());
        Ok(command)
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn programs(options: &Options) -> Result<Vec<Program>, Box<dyn Error>> {
    let mut programs =
        vec![Program { name: "encfile", path: PathBuf::from(env!("CARGO_BIN_EXE_encfile")) }];
    for (name, path) in
        [("sops", "target/peers/venv/bin/sops"), ("rops", "target/peers/rops/bin/rops")]
    {
        if options.peers.iter().any(|peer| peer == name) {
            let path = repository().join(path);
            if !path.is_file() {
                let path = path.display();
                return Err(format!("{path} is missing: run benches/peers.sh").into());
            }
            programs.push(Program { name, path });
        }
    }
    Ok(programs)
}

/// A plain text and what encfile made of it.
struct Files {
    plain: PathBuf,
    encrypted: PathBuf,
}

impl Files {
    fn make(
        directory: &Path,
        format: &str,
        shape: Shape,
        keys: usize,
    ) -> Result<Files, Box<dyn Error>> {
        let ending = if format == "dotenv" { "env" } else { format };
        let name = format!("{}_{keys}.{ending}", shape.name());
        let plain = directory.join(&name);
        // Another process: the memory that it takes would be counted for those started from here.
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--write-corpus", format, shape.name(), &keys.to_string()]).arg(&plain);
        succeed(command)?;
        let encfile = Program { name: "encfile", path: env!("CARGO_BIN_EXE_encfile").into() };
        let encrypted = directory.join("encrypted").join(&name);
        fs::create_dir_all(directory.join("encrypted"))?;
        let mut command = encfile.command(Operation::Encrypt, &plain)?;
        command.stdout(File::create_new(&encrypted)?);
        succeed(command)?;
        let again = directory.join("again");
        let mut command = encfile.command(Operation::Decrypt, &encrypted)?;
        command.stdout(File::create_new(&again)?);
        succeed(command)?;
        if !same_content(&plain, &again)? {
            return Err(format!("encfile did not give {name} back as it was").into());
        }
        fs::remove_file(again)?;
        Ok(Files { plain, encrypted })
    }
}

fn succeed(mut command: Command) -> Result<(), Box<dyn Error>> {
    let status = command.status()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(())
}

fn same_content(one: &Path, other: &Path) -> std::io::Result<bool> {
    if fs::metadata(one)?.len() != fs::metadata(other)?.len() {
        return Ok(false);
    }
    let mut bytes = BufReader::new(File::open(one)?).bytes();
    for byte in BufReader::new(File::open(other)?).bytes() {
        if bytes.next().transpose()? != Some(byte?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is measured.
struct Case {
    operation: Operation,
    format: &'static str,
    shape: Shape,
    keys: usize,
}

/// What one program needed for it.
#[derive(Clone, Copy)]
struct Figure {
    /// Median CPU time in ms.
    cpu: f64,
    /// Peak memory in MB.
    memory: f64,
    runs: usize,
}

/// Returns the figures of the programs, in their order; `None` for one that does not take part.
fn measure(
    case: &Case,
    programs: &[Program],
    files: &Files,
    options: &Options,
) -> Result<Vec<Option<Figure>>, Box<dyn Error>> {
    let file = match case.operation {
        Operation::Decrypt => &files.encrypted,
        Operation::Encrypt => &files.plain,
    };
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); programs.len()];
    let mut memory = vec![0; programs.len()];
    for _ in 0..MOST_RUNS {
        for (at, program) in programs.iter().enumerate() {
            let spent: Duration = times[at].iter().sum();
            if !program.takes_part(case) || spent >= options.budget {
                continue;
            }
            let mut command = program.command(case.operation, file)?;
            let used = command.stdout(Stdio::null()).spawn()?.wait4()?;
            if !used.status.success() {
                return Err(format!("{command:?}: {}", used.status).into());
            }
            times[at].push(used.rusage.utime + used.rusage.stime);
            memory[at] = memory[at].max(used.rusage.maxrss);
        }
    }
    let figure = |(mut times, memory): (Vec<Duration>, u64)| {
        times.sort_unstable();
        let cpu = times.get(times.len() / 2)?.as_secs_f64() * 1e3;
        #[allow(clippy::cast_precision_loss, reason = "a few MB")]
        let memory = memory as f64 / 1e6;
        Some(Figure { cpu, memory, runs: times.len() })
    };
    Ok(times.into_iter().zip(memory).map(figure).collect())
}

fn print_heading(programs: &[Program]) {
    print!("{:<8}{:<8}{:<7}{:>7} |", "", "format", "shape", "keys");
    for program in programs {
        print!("{:>10}{:>8}{:>6}", program.name, "MB", "runs");
    }
    for peer in &programs[1..] {
        print!(" | {:>12}", format!("{}/encfile", peer.name));
    }
    println!();
}

fn print_row(case: &Case, figures: &[Option<Figure>]) {
    let Case { operation, format, shape, keys } = case;
    print!("{:<8}{format:<8}{:<7}{keys:>7} |", operation.name(), shape.name());
    for figure in figures {
        match figure {
            Some(Figure { cpu, memory, runs }) => print!("{cpu:>10.1}{memory:>8.1}{runs:>6}"),
            None => print!("{:>10}{:>8}{:>6}", "-", "-", "-"),
        }
    }
    for peer in &figures[1..] {
        match ratio(*peer, figures[0]) {
            Some(ratio) => print!(" | {ratio:>12.1}"),
            None => print!(" | {:>12}", "-"),
        }
    }
    println!();
}

fn ratio(peer: Option<Figure>, ours: Option<Figure>) -> Option<f64> {
    Some(peer?.cpu / ours?.cpu)
}

type Results = [(Case, Vec<Option<Figure>>)];

/// Returns by which power of the number of keys the cost of the program `at` grows, and between
/// which two sizes: the widest from 1,000 keys. What the smallest file costs is start-up.
fn exponent(
    results: &Results,
    at: usize,
    (operation, format, shape): (Operation, &str, Shape),
) -> Option<(f64, usize, usize)> {
    let rows: Vec<(usize, f64)> = results
        .iter()
        .filter(|(case, _)| {
            case.operation == operation && case.format == format && case.shape == shape
        })
        .filter_map(|(case, figures)| Some((case.keys, figures[at]?.cpu)))
        .collect();
    let start = rows.iter().find(|(keys, _)| *keys < 100).map_or(0.0, |(_, cpu)| *cpu);
    let &(few, low) = rows.iter().find(|(keys, _)| *keys >= 1000)?;
    let &(many, high) = rows.last().filter(|(keys, _)| *keys > few)?;
    #[allow(clippy::cast_precision_loss, reason = "numbers of keys are small")]
    let factor = many as f64 / few as f64;
    Some((((high - start) / (low - start)).ln() / factor.ln(), few, many))
}

fn all_kinds() -> impl Iterator<Item = (Operation, &'static str, Shape)> {
    TEXTS.iter().flat_map(|&(format, shape)| {
        [Operation::Decrypt, Operation::Encrypt].map(|operation| (operation, format, shape))
    })
}

fn print_exponents(results: &Results, programs: &[Program]) {
    println!("\nexponents of the cost above start-up (1 is linear)\n");
    for kind in all_kinds() {
        let (operation, format, shape) = kind;
        let mut line = String::new();
        for (at, program) in programs.iter().enumerate() {
            if let Some((exponent, few, many)) = exponent(results, at, kind) {
                let _ = write!(line, "   {} {exponent:.2} ({few} to {many})", program.name);
            }
        }
        if !line.is_empty() {
            println!("{:<8}{format:<8}{:<7}{line}", operation.name(), shape.name());
        }
    }
}

/// Prints what encfile promises and whether it holds, as far as it was measured.
fn promises_are_kept(results: &Results, programs: &[Program]) -> bool {
    let mut kept = true;
    let mut promise = |text: String, holds: bool| {
        println!("{} {text}", if holds { "kept:  " } else { "BROKEN:" });
        kept &= holds;
    };
    println!();
    for (case, figures) in results {
        let name = format!("{} {} {}", case.operation.name(), case.shape.name(), case.format);
        let share = |peer: &str| {
            let at = programs.iter().position(|program| program.name == peer)?;
            ratio(figures[at], figures[0])
        };
        match (case.operation, case.format, case.keys) {
            (Operation::Decrypt, _, 10) => {
                if let Some(share) = share("sops") {
                    promise(format!("{name}, 10 keys: 1/6 of sops (1/{share:.1})"), share >= 6.0);
                }
            }
            (Operation::Decrypt, "yaml", 100_000) => {
                if let Some(share) = share("rops") {
                    let text = format!("{name}, 100,000 keys: 1/3 of rops (1/{share:.1})");
                    promise(text, share >= 3.0);
                }
            }
            _ => {}
        }
    }
    for kind in all_kinds() {
        if let Some((exponent, few, many)) = exponent(results, 0, kind) {
            let (operation, format, shape) = kind;
            let name = format!("{} {} {format}", operation.name(), shape.name());
            let text = format!("{name}, {few} to {many} keys: linear ({exponent:.2})");
            promise(text, exponent <= 1.1);
        }
    }
    kept
}
