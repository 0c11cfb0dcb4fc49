//! What a plain scalar means: null, boolean, number, time or text.
//!
//! The rules are those of yaml.v3, the library that SOPS reads with, which are neither YAML 1.1
//! nor 1.2: `yes` is text, `017` is fifteen, `08` is the float eight, `1_000` is a thousand and
//! `2001-01-01` is a time. A value that resolved to another type here would enter the MAC with
//! other bytes there.

use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

use crate::tree::Timestamp;

/// What a plain scalar without a tag is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Resolved {
    /// `~`, `null` or nothing at all.
    Null,
    /// `true` or `false` in one of three spellings.
    Boolean(bool),
    /// An integer in any base.
    Integer(i64),
    /// An integer above `i64::MAX`, which SOPS refuses.
    Unsigned(u64),
    /// A decimal number, infinity or NaN.
    Float(f64),
    /// A date, or a date and a time.
    Time(Timestamp),
    /// Anything else.
    Text,
}

/// Returns what the plain scalar `text` is.
pub(super) fn resolve_plain(text: &str) -> Resolved {
    if let Some(word) = resolve_word(text) {
        return word;
    }
    match text.as_bytes().first() {
        Some(b'.') => go_float(text).map_or(Resolved::Text, Resolved::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => resolve_number(text),
        _ => Resolved::Text,
    }
}

/// Returns whether the plain scalar `text` can be anything but text, by its first byte.
pub(super) fn may_be_typed(text: &[u8]) -> bool {
    matches!(
        text.first(),
        None | Some(
            b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'.' | b'+' | b'-' | b'0'..=b'9'
        )
    )
}

/// Resolves the texts that are listed one by one.
fn resolve_word(text: &str) -> Option<Resolved> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "true" | "True" | "TRUE" => Resolved::Boolean(true),
        "false" | "False" | "FALSE" => Resolved::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// Resolves a text that starts with a digit or a sign.
fn resolve_number(text: &str) -> Resolved {
    if let Some(time) = timestamp(text) {
        return Resolved::Time(time);
    }
    // Underscores count nowhere, not even at the end.
    let stripped;
    let plain = if text.contains('_') {
        stripped = text.replace('_', "");
        &stripped
    } else {
        text
    };
    if let Some(integer) = integer(plain) {
        return integer;
    }
    if is_decimal(plain)
        && let Ok(number) = plain.parse::<f64>()
        && number.is_finite()
    {
        return Resolved::Float(number);
    }
    signed_behind_prefix(plain).map_or(Resolved::Text, Resolved::Integer)
}

/// Parses an integer as a Go literal: base prefixes, and octal after a bare zero.
fn integer(text: &str) -> Option<Resolved> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // `from_str_radix` takes a sign, which is one too many here.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(size).map(Resolved::Integer);
    }
    // A sign makes it a signed number: `+` with more than 63 bits is no integer at all.
    match i64::try_from(size) {
        Ok(number) => Some(Resolved::Integer(number)),
        Err(_) if unsigned.len() == text.len() => Some(Resolved::Unsigned(size)),
        Err(_) => None,
    }
}

/// Parses `0b-101` and `0o+17`: the library reads what follows these two prefixes once more, sign
/// and all.
fn signed_behind_prefix(text: &str) -> Option<i64> {
    let (base, digits) = if let Some(digits) = text.strip_prefix("0b") {
        (2, digits)
    } else {
        (8, text.strip_prefix("0o")?)
    };
    i64::from_str_radix(digits, base).ok()
}

/// Returns whether `text` is a decimal number: digits with at most one point and an exponent.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    (!whole.is_empty() || !decimals.is_empty())
        && digits(whole)
        && digits(decimals)
        && exponent_fits
}

/// Parses a number that starts with a point as Go's `ParseFloat` does: underscores stand between
/// digits only.
fn go_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    for (at, &byte) in bytes.iter().enumerate() {
        // A run of underscores has another underscore beside it, which is no digit.
        if byte == b'_' && !(at > 0 && digit(at - 1) && digit(at + 1)) {
            return None;
        }
    }
    let plain = text.replace('_', "");
    let number: f64 = if is_decimal(&plain) {
        plain.parse().ok()?
    } else {
        return None;
    };
    number.is_finite().then_some(number)
}

/// Parses a date, or a date and a time, by the four patterns that the library knows.
fn timestamp(text: &str) -> Option<Timestamp> {
    let mut rest = text.as_bytes();
    // Exactly four digits and a dash: nothing else is looked at further.
    let (year, after) = rest.split_at_checked(4)?;
    if !year.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let year = year.iter().fold(0, |year, digit| year * 10 + i32::from(digit - b'0'));
    rest = after;
    expect(&mut rest, b'-')?;
    let month = Month::try_from(one_or_two_digits(&mut rest)?).ok()?;
    expect(&mut rest, b'-')?;
    let day = one_or_two_digits(&mut rest)?;
    let date = Date::from_calendar_date(year, month, day).ok()?;
    match rest.first() {
        None => Some(Timestamp::new_utc(date, Time::MIDNIGHT)),
        Some(b'T' | b't') => {
            rest = &rest[1..];
            let time = time_of_day(&mut rest)?;
            let offset = offset(&mut rest)?;
            rest.is_empty().then(|| PrimitiveDateTime::new(date, time).assume_offset(offset))
        }
        Some(b' ') => {
            while let Some(after) = rest.strip_prefix(b" ") {
                rest = after;
            }
            let time = time_of_day(&mut rest)?;
            rest.is_empty().then(|| Timestamp::new_utc(date, time))
        }
        Some(_) => None,
    }
}

/// Parses `h:m:s` with an optional fraction, of which nine digits count.
fn time_of_day(rest: &mut &[u8]) -> Option<Time> {
    let hour = one_or_two_digits(rest)?;
    expect(rest, b':')?;
    let minute = one_or_two_digits(rest)?;
    expect(rest, b':')?;
    let second = one_or_two_digits(rest)?;
    let mut nanosecond = 0;
    if let [b'.' | b',', digit, ..] = rest
        && digit.is_ascii_digit()
    {
        *rest = &rest[1..];
        let mut unit = 100_000_000;
        while let Some(digit) = rest.first().filter(|byte| byte.is_ascii_digit()) {
            nanosecond += u32::from(digit - b'0') * unit;
            unit /= 10;
            *rest = &rest[1..];
        }
    }
    Time::from_hms_nano(hour, minute, second, nanosecond).ok()
}

/// Parses `Z` or `+hh:mm`. As Go does, it takes 24 hours and 60 minutes.
fn offset(rest: &mut &[u8]) -> Option<UtcOffset> {
    let (&sign, after) = rest.split_first()?;
    *rest = after;
    if sign == b'Z' {
        return Some(UtcOffset::UTC);
    }
    if sign != b'+' && sign != b'-' {
        return None;
    }
    let hours = two_digits(rest)?;
    expect(rest, b':')?;
    let minutes = two_digits(rest)?;
    if hours > 24 || minutes > 60 {
        return None;
    }
    let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
    UtcOffset::from_whole_seconds(if sign == b'-' { -seconds } else { seconds }).ok()
}

fn expect(rest: &mut &[u8], byte: u8) -> Option<()> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    (*first == byte).then_some(())
}

fn two_digits(rest: &mut &[u8]) -> Option<u8> {
    match rest {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', after @ ..] => {
            *rest = after;
            Some((tens - b'0') * 10 + (ones - b'0'))
        }
        _ => None,
    }
}

fn one_or_two_digits(rest: &mut &[u8]) -> Option<u8> {
    two_digits(rest).or_else(|| {
        let (digit, after) = rest.split_first()?;
        *rest = after;
        digit.is_ascii_digit().then(|| digit - b'0')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::{canonical_float, rfc3339};

    /// Writes a result in one line, so that tables stay readable.
    fn show(text: &str) -> String {
        let resolved = resolve_plain(text);
        assert!(resolved == Resolved::Text || may_be_typed(text.as_bytes()), "{text:?}");
        match resolved {
            Resolved::Null => "null".to_owned(),
            Resolved::Boolean(flag) => format!("bool {flag}"),
            Resolved::Integer(number) => format!("int {number}"),
            Resolved::Unsigned(number) => format!("uint {number}"),
            Resolved::Float(number) => format!("float {}", canonical_float(number)),
            Resolved::Time(time) => format!("time {}", rfc3339(time)),
            Resolved::Text => "text".to_owned(),
        }
    }

    fn check(table: &[(&str, &str)]) {
        for (text, expected) in table {
            assert_eq!(show(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn words_resolve_in_three_spellings() {
        check(&[
            ("", "null"),
            ("~", "null"),
            ("null", "null"),
            ("Null", "null"),
            ("NULL", "null"),
            ("nUll", "text"),
            ("true", "bool true"),
            ("True", "bool true"),
            ("FALSE", "bool false"),
            ("fALSE", "text"),
            ("yes", "text"),
            ("on", "text"),
            ("y", "text"),
            ("~x", "text"),
            ("<<", "text"),
            ("=", "text"),
        ]);
    }

    #[test]
    fn integers_resolve_in_four_bases() {
        check(&[
            ("0", "int 0"),
            ("-0", "int 0"),
            ("+12", "int 12"),
            ("-12", "int -12"),
            ("1_000", "int 1000"),
            ("1_", "int 1"),
            ("+_1", "int 1"),
            ("0x1F", "int 31"),
            ("0X1f", "int 31"),
            ("-0x1F", "int -31"),
            ("0o17", "int 15"),
            ("0O17", "int 15"),
            ("017", "int 15"),
            ("00", "int 0"),
            ("0b101", "int 5"),
            ("-0b101", "int -5"),
            ("0b-101", "int -5"),
            ("0o+17", "int 15"),
            ("-0b-1", "text"),
            ("0x-1", "text"),
            ("0x", "text"),
            ("0b", "text"),
            ("0o8", "text"),
            ("0b2", "text"),
            ("++1", "text"),
            ("+-1", "text"),
            ("-", "text"),
            ("+", "text"),
            ("9223372036854775807", "int 9223372036854775807"),
            ("9223372036854775808", "uint 9223372036854775808"),
            ("18446744073709551615", "uint 18446744073709551615"),
            ("+9223372036854775808", "float 9223372036854776000"),
            ("-9223372036854775808", "int -9223372036854775808"),
            ("-9223372036854775809", "float -9223372036854776000"),
            ("18446744073709551616", "float 18446744073709552000"),
        ]);
    }

    #[test]
    fn floats_resolve_when_they_are_finite() {
        check(&[
            ("1.50", "float 1.5"),
            ("1.0", "float 1"),
            ("5.", "float 5"),
            (".5", "float 0.5"),
            ("+.5", "float 0.5"),
            ("1e3", "float 1000"),
            ("1.e3", "float 1000"),
            ("1E+3", "float 1000"),
            ("1_0.5", "float 10.5"),
            (".1_0", "float 0.1"),
            (".1__0", "text"),
            ("._10", "text"),
            (".10_", "text"),
            (".1e1_0", "float 1000000000"),
            ("08", "float 8"),
            ("09", "float 9"),
            ("0888", "float 888"),
            ("-0.0", "float -0"),
            (".inf", "float +Inf"),
            ("+.INF", "float +Inf"),
            ("-.Inf", "float -Inf"),
            (".nan", "float NaN"),
            ("inf", "text"),
            ("+inf", "text"),
            ("nan", "text"),
            ("1e400", "text"),
            (".1e400", "text"),
            ("1e", "text"),
            ("1e+", "text"),
            (".", "text"),
            ("-.", "text"),
            (".e1", "text"),
            ("1.2.3", "text"),
            ("0x1p3", "text"),
            ("1:30", "text"),
            ("1,000", "text"),
            ("1 2", "text"),
            ("٣", "text"),
            ("1٣", "text"),
        ]);
    }

    #[test]
    fn times_resolve_by_four_patterns() {
        check(&[
            ("2001-12-14", "time 2001-12-14T00:00:00Z"),
            ("2001-1-2", "time 2001-01-02T00:00:00Z"),
            ("0000-02-29", "time 0000-02-29T00:00:00Z"),
            ("2001-12-14t21:59:43.10-05:00", "time 2001-12-14T21:59:43.1-05:00"),
            ("2001-12-14 21:59:43.10", "time 2001-12-14T21:59:43.1Z"),
            ("2001-12-14   1:2:3", "time 2001-12-14T01:02:03Z"),
            ("2001-12-14 \t1:2:3", "text"),
            ("2001-12-15T2:59:43,1Z", "time 2001-12-15T02:59:43.1Z"),
            ("2001-12-14T21:59:43.1234567899Z", "time 2001-12-14T21:59:43.123456789Z"),
            ("2001-12-14T21:59:43-00:00", "time 2001-12-14T21:59:43Z"),
            ("2001-12-14T21:59:43+24:60", "time 2001-12-14T21:59:43+25:00"),
            ("2001-12-14T21:59:43", "text"),
            ("2001-12-14 21:59:43Z", "text"),
            ("2001-12-14 21:59:43.10 -5", "text"),
            ("2001-12-14T21:59:43z", "text"),
            ("2001-12-14T21:59:43.Z", "text"),
            ("2001-12-14T21:59:43+5:00", "text"),
            ("2001-12-14T24:00:00Z", "text"),
            ("2001-12-14T21:60:00Z", "text"),
            ("2001-12-14T21:59:60Z", "text"),
            ("2001-02-30", "text"),
            ("2001-13-01", "text"),
            ("2001-00-01", "text"),
            ("2001-1-", "text"),
            ("2001-1-2x", "text"),
            ("2001-", "text"),
            ("10000-01-01", "text"),
            ("-2001-01-01", "text"),
        ]);
    }

    #[test]
    fn fractions_of_any_length_resolve() {
        let text = format!("2001-12-14 1:2:3.{}", "9".repeat(100));
        assert_eq!(show(&text), "time 2001-12-14T01:02:03.999999999Z");
    }
}
