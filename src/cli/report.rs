//! How findings are shown: by `check` and by `scan`.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::check::{Code, Finding, Severity};
use crate::cli::args::check::ReportFormat;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::io;
use crate::cli::ui::one_line;

/// The version of the JSON report. Fields may be added within one.
const JSON_VERSION: u32 = 1;

/// A finding in a file.
#[derive(Debug)]
pub struct Located {
    /// The path as it is shown.
    pub path: String,
    /// The commit that it was found in, if it is not what is there now.
    pub commit: Option<String>,
    /// What is wrong.
    pub finding: Finding,
    /// How bad it is for this call.
    pub severity: Severity,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// How many files there were.
    pub files: usize,
    /// How many of them are encrypted.
    pub encrypted: usize,
    /// What was searched for, if something was.
    pub scanned: Option<Scanned>,
}

/// What was searched for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Scanned {
    /// How many values.
    pub secrets: usize,
    /// How many values of decrypted files were left out, because they say too little.
    pub left_out: usize,
    /// How many encrypted files could not be decrypted.
    pub unopened: usize,
}

/// Prints the findings on standard output.
pub fn print(
    context: &Context,
    format: ReportFormat,
    found: &[Located],
    summary: &Summary,
) -> Result<(), CliError> {
    let text = match format {
        ReportFormat::Text => text(found),
        ReportFormat::Json => json(found, summary),
        ReportFormat::Sarif => sarif(found),
        ReportFormat::Github => github(found),
    };
    io::write_stdout(text.as_bytes())?;
    if format == ReportFormat::Text {
        let errors = found.iter().filter(|located| located.severity == Severity::Error).count();
        if let Some(scanned) = &summary.scanned {
            context.ui.note(format_args!(
                "{} files searched for {} values of {} encrypted files, {} values left out: {errors} \
                 errors",
                summary.files,
                scanned.secrets,
                summary.encrypted - scanned.unopened,
                scanned.left_out
            ));
            return Ok(());
        }
        context.ui.note(format_args!(
            "{} files, {} encrypted: {errors} errors, {} warnings",
            summary.files,
            summary.encrypted,
            found.len() - errors
        ));
    }
    Ok(())
}

fn text(found: &[Located]) -> String {
    let mut text = String::new();
    for Located { path, finding, severity, .. } in found {
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "{}[{}]: {}\n  --> {}",
            severity.name(),
            finding.code.name(),
            one_line(&finding.message),
            one_line(path)
        );
        if let Some(place) = finding.position {
            let _ = write!(text, ":{}:{}", place.line, place.column);
        }
        text.push('\n');
        if let (Some(place), Some(shown)) = (finding.position, &finding.snippet) {
            let margin = " ".repeat(place.line.to_string().len());
            let _ = write!(text, "{margin} |\n{} | {}\n{margin} |\n", place.line, one_line(shown));
        }
    }
    text
}

#[derive(Serialize)]
struct JsonReport<'a> {
    version: u32,
    files: usize,
    encrypted: usize,
    #[serde(flatten)]
    scanned: Option<Scanned>,
    findings: Vec<JsonFinding<'a>>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    code: &'static str,
    severity: &'static str,
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    tree_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    message: &'a str,
}

fn json(found: &[Located], summary: &Summary) -> String {
    let findings = found
        .iter()
        .map(|Located { path, commit, finding, severity }| JsonFinding {
            code: finding.code.name(),
            severity: severity.name(),
            file: path,
            line: finding.position.map(|place| place.line),
            column: finding.position.map(|place| place.column),
            tree_path: finding.path.as_deref(),
            secret_file: finding.secret_file.as_deref(),
            commit: commit.as_deref(),
            message: &finding.message,
        })
        .collect();
    let report = JsonReport {
        version: JSON_VERSION,
        files: summary.files,
        encrypted: summary.encrypted,
        scanned: summary.scanned,
        findings,
    };
    lines(serde_json::to_string_pretty(&report))
}

fn sarif(found: &[Located]) -> String {
    use serde_json::json;
    let rules: Vec<_> = Code::ALL
        .iter()
        .map(|code| {
            json!({
                "id": code.name(),
                "shortDescription": { "text": code.description() },
                "defaultConfiguration": { "level": code.severity().name() },
            })
        })
        .collect();
    let results: Vec<_> = found
        .iter()
        .map(|Located { path, finding, severity, .. }| {
            let start = finding.position.map_or((1, 1), |place| (place.line, place.column));
            json!({
                "ruleId": finding.code.name(),
                "ruleIndex": Code::ALL.iter().position(|code| *code == finding.code),
                "level": severity.name(),
                "message": { "text": finding.message },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": uri(path), "uriBaseId": "%SRCROOT%" },
                    "region": { "startLine": start.0, "startColumn": start.1 },
                }}],
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "encfile",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    lines(serde_json::to_string_pretty(&log))
}

/// Returns a path as a relative URI.
fn uri(path: &str) -> String {
    /// What may not stand in one, or not mean itself there.
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    utf8_percent_encode(path, ESCAPED).to_string()
}

/// Workflow commands; their properties and data escape what would end them.
fn github(found: &[Located]) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let mut text = String::new();
    for Located { path, finding, severity, .. } in found {
        let _ = write!(text, "::{} file={}", severity.name(), property(path));
        if let Some(place) = finding.position {
            let _ = write!(text, ",line={},col={}", place.line, place.column);
        }
        let code = finding.code.name();
        let _ = writeln!(text, ",title=encfile {code}::{}", data(&finding.message));
    }
    text
}

fn lines(json: serde_json::Result<String>) -> String {
    // Maps with text keys, texts and numbers: this has a form in JSON.
    let mut text = json.unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_in_uris() {
        assert_eq!(uri("a b/ü%.yaml"), "a%20b/%C3%BC%25.yaml");
    }
}
