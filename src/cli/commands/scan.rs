//! `scan`: copies of the values of encrypted files, where they stand in clear.
//!
//! The encrypted files are opened first, as far as the keys at hand go; then everything is searched
//! for all their values in one pass.

mod hits;
mod place;
mod secrets;

use std::collections::HashSet;

use crate::check::{Code, Finding, Severity};
use crate::cli::args::ScanArgs;
use crate::cli::commands::scan::place::{Place, Places, Reader, on_threads};
use crate::cli::commands::scan::secrets::{Known, open_all};
use crate::cli::context::{Context, decryption_order};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::report::{Located, Scanned, Summary, print};
use crate::cli::ui::one_line;
use crate::file;
use crate::format;
use crate::scan::{Encoding, Hit, Searcher};
use crate::span::Position;

/// How many hits of one file are shown.
const HITS_SHOWN: usize = 100;

/// Runs the command.
pub fn run(context: &Context, arguments: &ScanArgs) -> Result<Exit, CliError> {
    // 1 says that something was found: what cannot be searched is 2.
    scanned(context, arguments).map_err(|error| error.with_exit(Exit::Input))
}

fn scanned(context: &Context, arguments: &ScanArgs) -> Result<Exit, CliError> {
    let order =
        decryption_order(context.personality, arguments.opening.order.decryption_order.as_deref())?;
    let places = Places::find(context, arguments)?;
    let (secrets, known) = open_all(context, &places, &order, arguments)?;
    if known.is_locked() {
        let message = format!(
            "none of the {} encrypted files could be decrypted: there is nothing to search for",
            known.encrypted()
        );
        return Err(CliError::new(Exit::Input, "scan", message)
            .help("which keys they need: encfile status"));
    }
    for path in &known.unopened {
        let path = one_line(path);
        context.ui.warn(format_args!("{path}: not decrypted, so its values are not searched for"));
    }
    let scanned = Scanned {
        secrets: secrets.len(),
        left_out: secrets.left_out(),
        unopened: known.unopened.len(),
    };
    let found = search_all(context, &places, &secrets.into_searcher(), &known)?;
    let summary = Summary {
        files: places.wanted.len(),
        encrypted: known.encrypted(),
        scanned: Some(scanned),
    };
    print(context, arguments.format, &found.located, &summary)?;
    Ok(match (found.located.is_empty(), found.is_complete) {
        (false, _) => Exit::Generic,
        (true, true) => Exit::Success,
        (true, false) => Exit::Input,
    })
}

/// What a search has found.
struct Found {
    located: Vec<Located>,
    /// Whether everything could be read.
    is_complete: bool,
}

fn search_all(
    context: &Context,
    places: &Places,
    searcher: &Searcher,
    known: &Known,
) -> Result<Found, CliError> {
    let mut found = Found { located: Vec::new(), is_complete: true };
    let results = on_threads(places, places.wanted.len(), |reader, number| {
        let place = &places.wanted[number];
        let hits = match reader.search(place, searcher) {
            Ok(hits) if hits.is_empty() => return None,
            Ok(hits) => hits,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(without_metadata(reader, places, number, hits)))
    })?;
    for (number, result) in results {
        let place = &places.wanted[number];
        match result {
            Ok(hits) => found.located.extend(findings(place, hits, known)),
            Err(error) => {
                context.ui.line(error.render(context.personality));
                found.is_complete = false;
            }
        }
    }
    Ok(found)
}

/// Leaves out what stands in the metadata of an encrypted file: keys and times are no secrets.
fn without_metadata(
    reader: &mut Reader,
    places: &Places,
    number: usize,
    hits: Vec<(Hit, Position)>,
) -> Vec<(Hit, Position)> {
    let place = &places.wanted[number];
    let Ok(Some(text)) = reader.read_encrypted(place) else { return hits };
    let Some(format) = format::by_content(&text, &place.shown) else { return hits };
    let spans = file::metadata_spans(format, text);
    let is_metadata = |hit: &Hit| {
        spans.iter().any(|span| span.start as usize <= hit.start && hit.end <= span.end as usize)
    };
    hits.into_iter().filter(|(hit, _)| !is_metadata(hit)).collect()
}

fn findings(place: &Place, mut hits: Vec<(Hit, Position)>, known: &Known) -> Vec<Located> {
    distinct(&mut hits);
    let located = |finding| Located {
        path: place.shown.clone(),
        commit: place.commit.clone(),
        finding,
        severity: Severity::Error,
    };
    let mut findings = Vec::new();
    for (hit, position) in hits.iter().take(HITS_SHOWN) {
        let origin = known.origin(hit.secret);
        let mut message =
            format!("the value of `{}` in {} stands here in clear", origin.path, origin.file);
        if let Some(how) = hit.encoding.description() {
            message = format!("{message}, {how}");
        }
        if let Some(commit) = &place.commit {
            message = format!("{message}, since commit {}", &commit[..commit.len().min(12)]);
        }
        let mut finding =
            Finding::new(Code::SecretInClear, message).at(Some(*position)).about(&origin.path);
        finding.secret_file = Some(origin.file);
        findings.push(located(finding));
    }
    if hits.len() > HITS_SHOWN {
        let message =
            format!("{} more values stand in this file in clear", hits.len() - HITS_SHOWN);
        findings.push(located(Finding::new(Code::SecretInClear, message)));
    }
    findings
}

/// Leaves one of the hits that are inside of each other, and one of the lines of each secret.
fn distinct(hits: &mut Vec<(Hit, Position)>) {
    hits.sort_by_key(|(hit, _)| (hit.start, usize::MAX - hit.end, hit.secret));
    let mut end = 0;
    let mut lines = HashSet::new();
    hits.retain(|(hit, _)| {
        let is_inside = hit.end <= end;
        end = end.max(hit.end);
        !is_inside && (hit.encoding != Encoding::Line || lines.insert(hit.secret))
    });
}
