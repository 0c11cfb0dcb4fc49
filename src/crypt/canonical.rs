//! The one text form of a value that is sealed and that enters the MAC.
//!
//! Both must be SOPS' form and nothing else: SOPS keeps the IV of a value that it decrypted and
//! uses it again for the *canonical* text of the same value, so that another spelling under the
//! same key, place and IV would give two texts away.

use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

use crate::number;
use crate::secret::SecretBytes;
use crate::tree::{Timestamp, Value};

/// The `type:` of a sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// `str`
    Text,
    /// `int`
    Integer,
    /// `float`
    Float,
    /// `bool`
    Boolean,
    /// `time`, since SOPS 3.10
    Time,
    /// `comment`
    Comment,
}

impl ValueType {
    /// Returns the type of a value.
    pub fn of(value: &Value<'_>) -> ValueType {
        match value {
            Value::Text(_) => ValueType::Text,
            Value::Integer(_) => ValueType::Integer,
            Value::Float(_) => ValueType::Float,
            Value::Boolean(_) => ValueType::Boolean,
            Value::Time(_) => ValueType::Time,
        }
    }

    /// Returns the word behind `type:`.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::Text => "str",
            ValueType::Integer => "int",
            ValueType::Float => "float",
            ValueType::Boolean => "bool",
            ValueType::Time => "time",
            ValueType::Comment => "comment",
        }
    }

    /// Returns the type with that word. `bytes`, which SOPS crashes on, is read as a string.
    pub fn from_name(name: &[u8]) -> Option<ValueType> {
        Some(match name {
            b"str" | b"bytes" => ValueType::Text,
            b"int" => ValueType::Integer,
            b"float" => ValueType::Float,
            b"bool" => ValueType::Boolean,
            b"time" => ValueType::Time,
            b"comment" => ValueType::Comment,
            _ => return None,
        })
    }
}

/// Appends the canonical bytes of `value`.
pub fn write(value: &Value<'_>, out: &mut SecretBytes) {
    match value {
        Value::Text(text) => out.extend_from_slice(text),
        Value::Integer(number) => write_integer(*number, out),
        Value::Float(number) => out.extend_from_slice(number::canonical_float(*number).as_bytes()),
        Value::Boolean(true) => out.extend_from_slice(b"True"),
        Value::Boolean(false) => out.extend_from_slice(b"False"),
        Value::Time(time) => out.extend_from_slice(number::rfc3339(*time).as_bytes()),
    }
}

/// Returns the canonical bytes of `value`: those of a text as they stand there, others in `scratch`.
pub fn bytes<'a>(value: &Value<'a>, scratch: &'a mut SecretBytes) -> &'a [u8] {
    if let Value::Text(text) = value {
        return text;
    }
    scratch.resize(0);
    write(value, scratch);
    scratch
}

fn write_integer(number: i64, out: &mut SecretBytes) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Reads a decrypted text as a value of its type, as leniently as SOPS does; `None` if it is
/// none. A comment is a text.
pub fn read(kind: ValueType, text: &[u8]) -> Option<Value<'_>> {
    Some(match kind {
        ValueType::Text | ValueType::Comment => Value::Text(text),
        ValueType::Integer => Value::Integer(std::str::from_utf8(text).ok()?.parse().ok()?),
        ValueType::Float => Value::Float(read_float(std::str::from_utf8(text).ok()?)?),
        ValueType::Boolean => Value::Boolean(read_boolean(text)?),
        ValueType::Time => Value::Time(read_time(text)?),
    })
}

/// Reads a boolean in the spellings of Go's `strconv.ParseBool`.
pub fn read_boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"t" | b"T" | b"TRUE" | b"true" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"FALSE" | b"false" | b"False" => Some(false),
        _ => None,
    }
}

/// Reads a number in the spellings of Go's `strconv.ParseFloat`: hexadecimal floats and `_`
/// between digits are allowed, what is too large is not.
fn read_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(hex) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let number = read_hex_float(hex)?;
        return Some(if text.starts_with('-') { -number } else { number });
    }
    let plain;
    let mut digits = text;
    if text.contains('_') {
        let bytes = text.as_bytes();
        let digit =
            |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        if bytes
            .iter()
            .enumerate()
            .any(|(at, &byte)| byte == b'_' && !(digit(at.checked_sub(1)) && digit(Some(at + 1))))
        {
            return None;
        }
        plain = zeroize::Zeroizing::new(text.replace('_', ""));
        digits = &plain;
    }
    let number: f64 = digits.parse().ok()?;
    let named = unsigned.starts_with(['i', 'I']);
    (number.is_finite() || number.is_nan() || named).then_some(number)
}

fn read_hex_float(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = zeroize::Zeroizing::new(format!("{whole}{fraction}"));
    // 13 digits are exact in a float's 53 bits; no writer needs more.
    if all.is_empty() || all.len() > 13 || !all.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mantissa = u64::from_str_radix(&all, 16).ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    #[allow(clippy::cast_precision_loss, reason = "at most 52 bits, see above")]
    let number = mantissa as f64 * 2f64.powi(exponent.checked_sub(4 * places)?);
    number.is_finite().then_some(number)
}

/// Reads a time as Go's RFC 3339 reader does: an hour of one digit and `,` for `.` are allowed,
/// digits beyond nanoseconds are cut; a date alone or lower-case letters are not.
pub fn read_time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let (date, clock) = text.split_once('T')?;
    let mut parts = date.split('-');
    let year = fixed(parts.next()?, 4)?;
    let month = fixed(parts.next()?, 2)?;
    let day = fixed(parts.next()?, 2)?;
    if parts.next().is_some() {
        return None;
    }
    let zone_at = clock.find(['Z', '+', '-'])?;
    let (clock, zone) = clock.split_at(zone_at);
    let mut parts = clock.split(':');
    let hour = parts.next()?;
    let hour = fixed(hour, if hour.len() == 1 { 1 } else { 2 })?;
    let minute = fixed(parts.next()?, 2)?;
    let seconds = parts.next()?;
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = match seconds.split_once(['.', ',']) {
        Some((second, fraction)) => (second, Some(fraction)),
        None => (seconds, None),
    };
    let second = fixed(second, 2)?;
    let mut nanosecond = 0;
    if let Some(fraction) = fraction {
        if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let kept = &fraction[..fraction.len().min(9)];
        nanosecond = kept.parse::<u32>().ok()? * 10u32.pow(9 - kept.len() as u32);
    }
    let offset = if zone == "Z" {
        UtcOffset::UTC
    } else {
        let (hours, minutes) = zone[1..].split_once(':')?;
        let (hours, minutes) = (fixed(hours, 2)?, fixed(minutes, 2)?);
        if hours > 23 || minutes > 59 {
            return None;
        }
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        let signed = if zone.starts_with('-') { -seconds } else { seconds };
        UtcOffset::from_whole_seconds(signed).ok()?
    };
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?);
    let time = Time::from_hms_nano(
        u8::try_from(hour).ok()?,
        u8::try_from(minute).ok()?,
        u8::try_from(second).ok()?,
        nanosecond,
    );
    Some(PrimitiveDateTime::new(date.ok()?, time.ok()?).assume_offset(offset))
}

/// Reads exactly `length` decimal digits.
fn fixed(text: &str, length: usize) -> Option<u32> {
    if text.len() != length || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(value: Value<'_>) -> String {
        let mut out = SecretBytes::new();
        write(&value, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn values_have_one_text() {
        for (value, text) in [
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Integer(0), "0"),
            (Value::Float(1.10), "1.1"),
            (Value::Float(1e21), "1000000000000000000000"),
            (Value::Float(1e-7), "0.0000001"),
            (Value::Float(5.0), "5"),
            (Value::Float(-0.0), "-0"),
            (Value::Float(f64::INFINITY), "+Inf"),
            (Value::Float(f64::NAN), "NaN"),
            (Value::Boolean(true), "True"),
            (Value::Text(b"x"), "x"),
        ] {
            assert_eq!(canonical(value), text);
        }
    }

    #[test]
    fn floats_are_read_as_go_reads_them() {
        for (text, number) in [
            ("1.50", 1.5),
            ("1e3", 1000.0),
            ("0x1p-2", 0.25),
            ("inf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("1_0", 10.0),
            (".5", 0.5),
            ("1.", 1.0),
        ] {
            assert_eq!(
                read(ValueType::Float, text.as_bytes()),
                Some(Value::Float(number)),
                "{text}"
            );
        }
        for text in ["1e400", " 1", "", "_1", "1_", "0x", "0x1", "x"] {
            assert_eq!(read(ValueType::Float, text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn integers_are_read_as_go_reads_them() {
        for (text, number) in [("007", 7), ("+5", 5), ("-0", 0)] {
            assert_eq!(read(ValueType::Integer, text.as_bytes()), Some(Value::Integer(number)));
        }
        for text in [" 5", "5.0", "1_000", "0x10", "9223372036854775808", ""] {
            assert_eq!(read(ValueType::Integer, text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_are_read_as_go_reads_them() {
        for (text, again) in [
            ("2001-12-14T21:59:43.10-05:00", "2001-12-14T21:59:43.1-05:00"),
            ("2001-12-14T1:59:43Z", "2001-12-14T01:59:43Z"),
            ("2001-12-14T21:59:43,1234567891Z", "2001-12-14T21:59:43.123456789Z"),
            ("0000-01-01T00:00:00+00:00", "0000-01-01T00:00:00Z"),
        ] {
            let time = read(ValueType::Time, text.as_bytes()).unwrap();
            assert_eq!(canonical(time), again, "{text}");
        }
        for text in [
            "2001-12-14",
            "2001-12-14t21:59:43Z",
            "2001-12-14T21:59:43z",
            "2001-12-14T24:00:00Z",
            "2001-12-14T21:59:60Z",
            "2001-1-14T21:59:43Z",
            "2001-02-30T21:59:43Z",
            "2001-12-14T21:59:43+24:00",
            "2001-12-14T21:59:43",
            "2001-12-14T21:59:43Zé",
            "2001-12-14T21:59:43+é",
        ] {
            assert_eq!(read(ValueType::Time, text.as_bytes()), None, "{text}");
        }
    }
}
