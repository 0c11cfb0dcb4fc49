//! Numbers and times as texts: the spellings that SOPS uses, one for each purpose.
//!
//! SOPS prints through Go's `strconv.FormatFloat` and `time.Format`; a reader that computes a MAC
//! over other digits does not get the same MAC, so these are exact.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::tree::{Timestamp, Value};

/// Returns the text of a float that is encrypted and enters the MAC: the shortest digits that read
/// back as the same number, without exponent and without a trailing `.0`; `NaN`, `+Inf`, `-Inf`,
/// `-0`.
pub fn canonical_float(number: f64) -> String {
    infinity(number, "+Inf").unwrap_or_else(|| number.to_string())
}

/// Returns the text of a float in YAML: as [`canonical_float`], but in exponent form (`1e+06`)
/// when the decimal exponent is below -4 or above 5, and `.nan`, `.inf`, `-.inf`.
///
/// A whole number reads back as an integer, as it does in SOPS.
pub fn yaml_float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    match infinity(number, ".inf") {
        Some(text) if number > 0.0 => text,
        Some(_) => "-.inf".to_owned(),
        None => general(number, 'e'),
    }
}

/// Returns the text of a float in JSON: without exponent unless the number is below 1e-6 or from
/// 1e21 on; `None` for what JSON cannot hold.
pub fn json_float(number: f64) -> Option<String> {
    if !number.is_finite() {
        return None;
    }
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let (digits, exponent) = scientific(number);
        return Some(format!("{digits}e{exponent:+}"));
    }
    Some(number.to_string())
}

/// Returns the text of a float in dotenv and INI files: as [`yaml_float`] with a capital `E`, but
/// a whole number keeps one decimal (`3.0`); `NaN`, `+Inf`, `-Inf`.
pub fn flat_float(number: f64) -> String {
    if let Some(text) = infinity(number, "+Inf") {
        return text;
    }
    let text = general(number, 'E');
    if text.contains(['.', 'E']) { text } else { format!("{number:.1}") }
}

/// Returns the text of a value in dotenv and INI files and in an environment. A text is itself.
pub fn flat_text(value: Value<'_>) -> Cow<'_, [u8]> {
    let text = match value {
        Value::Text(text) => return Cow::Borrowed(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => flat_float(number),
        Value::Boolean(flag) => flag.to_string(),
        Value::Time(time) => rfc3339_seconds(time),
    };
    Cow::Owned(text.into_bytes())
}

/// Returns the text of a float in TOML: the shortest digits that read back as the same number,
/// with a point or an exponent (`5.0`, `1e-7`), by which TOML knows floats; `nan`, `inf`, `-inf`.
pub fn toml_float(number: f64) -> String {
    if number.is_nan() { "nan".to_owned() } else { format!("{number:?}") }
}

/// Returns a time in RFC 3339 with up to nine decimals of a second and no trailing zeros; the
/// offset is `Z` where it is zero.
pub fn rfc3339(time: Timestamp) -> String {
    let mut text = local_time(time);
    if time.nanosecond() != 0 {
        // Writing to a `String` cannot fail.
        let _ = write!(text, ".{:09}", time.nanosecond());
        text.truncate(text.trim_end_matches('0').len());
    }
    push_offset(&mut text, time);
    text
}

/// Returns a time in RFC 3339 without decimals.
pub fn rfc3339_seconds(time: Timestamp) -> String {
    let mut text = local_time(time);
    push_offset(&mut text, time);
    text
}

/// Returns a time in UTC in the basic form of ISO 8601, without decimals: `20261122T095443Z`.
pub fn basic_seconds(time: Timestamp) -> String {
    rfc3339_seconds(time.to_offset(time::UtcOffset::UTC)).replace(['-', ':'], "")
}

/// Returns the text of a number that is not finite.
fn infinity(number: f64, positive: &str) -> Option<String> {
    if number.is_nan() {
        Some("NaN".to_owned())
    } else if number == f64::INFINITY {
        Some(positive.to_owned())
    } else if number == f64::NEG_INFINITY {
        Some("-Inf".to_owned())
    } else {
        None
    }
}

/// Returns a finite number in Go's `'g'` format with the shortest digits.
fn general(number: f64, letter: char) -> String {
    let (digits, exponent) = scientific(number);
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{letter}{sign}{:02}", exponent.abs())
}

/// Returns the shortest digits, with a point after the first, and the decimal exponent of a
/// finite number.
fn scientific(number: f64) -> (String, i32) {
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_owned(), exponent.parse().unwrap_or(0))
}

fn local_time(time: Timestamp) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn push_offset(text: &mut String, time: Timestamp) {
    let offset = time.offset();
    if offset.is_utc() {
        text.push('Z');
        return;
    }
    let sign = if offset.is_negative() { '-' } else { '+' };
    let (hours, minutes, _) = offset.as_hms();
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{sign}{:02}:{:02}", hours.abs(), minutes.abs());
}

#[cfg(test)]
mod tests {
    use time::{Date, Month, Time, UtcOffset};

    use super::*;

    #[test]
    fn canonical_floats_have_no_exponent() {
        for (number, text) in [
            (1.1, "1.1"),
            (1e3, "1000"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (18_446_744_073_709_551_616.0, "18446744073709552000"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(canonical_float(number), text);
        }
        assert_eq!(canonical_float(5e-324).len(), "0.".len() + 324);
    }

    #[test]
    fn yaml_floats_change_to_exponents_as_go_does() {
        for (number, text) in [
            (5.0, "5"),
            (-0.0, "-0"),
            (100_000.0, "100000"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (12_345_678.5, "1.23456785e+07"),
            (0.0001, "0.0001"),
            (1e-5, "1e-05"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, ".nan"),
            (f64::INFINITY, ".inf"),
            (f64::NEG_INFINITY, "-.inf"),
        ] {
            assert_eq!(yaml_float(number), text);
        }
    }

    #[test]
    fn json_floats_change_to_exponents_later() {
        for (number, text) in [
            (0.0, Some("0")),
            (1e20, Some("100000000000000000000")),
            (1e21, Some("1e+21")),
            (-1.5e300, Some("-1.5e+300")),
            (1e-6, Some("0.000001")),
            (1e-7, Some("1e-7")),
            (1.25e-10, Some("1.25e-10")),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(json_float(number).as_deref(), text);
        }
    }

    #[test]
    fn flat_floats_keep_a_decimal() {
        for (number, text) in [
            (1.5, "1.5"),
            (3.0, "3.0"),
            (1e21, "1E+21"),
            (100_000_000.0, "1E+08"),
            (1e-5, "1E-05"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(flat_float(number), text);
        }
    }

    #[test]
    fn toml_floats_are_no_integers() {
        for (number, text) in [
            (5.0, "5.0"),
            (-0.0, "-0.0"),
            (1.1, "1.1"),
            (1e21, "1e21"),
            (6.626e-34, "6.626e-34"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(toml_float(number), text);
        }
    }

    #[test]
    fn basic_times_are_in_utc() {
        let east = time::UtcOffset::from_hms(2, 0, 0).unwrap();
        let time = Timestamp::from_unix_timestamp(1_795_302_123).unwrap();
        assert_eq!(basic_seconds(time), "20261121T230203Z");
        assert_eq!(basic_seconds(time.to_offset(east)), basic_seconds(time));
    }

    #[test]
    fn times_drop_trailing_zeros_and_keep_the_offset() {
        let date = Date::from_calendar_date(2001, Month::December, 4).unwrap();
        let time = Time::from_hms_nano(1, 2, 3, 120_000_000).unwrap();
        let east = Timestamp::new_in_offset(date, time, UtcOffset::from_hms(2, 30, 0).unwrap());
        let west = Timestamp::new_in_offset(date, time, UtcOffset::from_hms(0, -30, 0).unwrap());
        assert_eq!(rfc3339(east), "2001-12-04T01:02:03.12+02:30");
        assert_eq!(rfc3339(west), "2001-12-04T01:02:03.12-00:30");
        assert_eq!(rfc3339_seconds(east), "2001-12-04T01:02:03+02:30");
        let utc = Timestamp::new_utc(date, Time::MIDNIGHT);
        assert_eq!(rfc3339(utc), "2001-12-04T00:00:00Z");
    }
}
