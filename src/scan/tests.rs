//! What is found, and what is left out.

use super::*;

use proptest::prelude::*;

const KEY: &[u8] = b"xK9#mP2q/\"e\xc3\xa9\"";

fn searcher(values: &[&[u8]]) -> Searcher {
    let mut secrets = Secrets::new(DEFAULT_LENGTH);
    for value in values {
        assert!(secrets.add(value).is_some());
    }
    secrets.into_searcher()
}

fn hits(searcher: &Searcher, haystack: &[u8]) -> Vec<(usize, Encoding, usize, usize)> {
    let mut hits = Vec::new();
    searcher.search(haystack, |hit| {
        hits.push((hit.secret.index(), hit.encoding, hit.start, hit.end));
    });
    hits.sort_by_key(|&(secret, _, start, end)| (start, end, secret));
    hits
}

#[test]
fn values_that_follow_from_themselves_are_left_out() {
    for value in [
        "",
        "true",
        "5432",
        "20240131",
        "production",
        "Production",
        "LOCALHOST",
        "db.internal",
        "us-east-1",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "short1!",
    ] {
        assert!(!is_strong(value.as_bytes(), DEFAULT_LENGTH), "{value}");
    }
    for value in [
        "xK9#mP2q",
        "4929123412345678",
        "correct-horse-battery",
        "AKIAIOSFODNN7EXAMPLE",
        "postgres://app:pw@db.internal/app",
        "8d7f3b1a9c",
    ] {
        assert!(is_strong(value.as_bytes(), DEFAULT_LENGTH), "{value}");
    }
    assert!(is_strong(b"p4s5", 4));
}

#[test]
fn equal_values_are_one_secret_and_weak_ones_are_counted() {
    let mut secrets = Secrets::new(DEFAULT_LENGTH);
    let first = secrets.add(b"xK9#mP2q").unwrap();
    assert_eq!(secrets.add(b" xK9#mP2q\n"), Some(first));
    assert_eq!(secrets.add(b"weak"), None);
    assert_eq!((secrets.len(), secrets.left_out()), (1, 1));
    assert_eq!(format!("{secrets:?}"), "Secrets(1 secrets)");
}

#[test]
fn a_value_that_is_an_encoding_of_another_one_counts_as_itself() {
    // The second is the first in base64.
    let searcher = searcher(&[b"xK9#mP2qaaa", b"eEs5I21QMnFhYW"]);
    assert_eq!(hits(&searcher, b"eEs5I21QMnFhYW"), [(1, Encoding::Plain, 0, 14)]);
}

#[test]
fn nothing_to_search_for_finds_nothing() {
    let searcher = Secrets::new(DEFAULT_LENGTH).into_searcher();
    assert_eq!(hits(&searcher, b"anything at all"), []);
}

#[test]
fn a_secret_is_found_in_base64_of_a_text_around_it() {
    use base64::Engine as _;
    let searcher = searcher(&[KEY]);
    for before in 0..6 {
        for behind in 0..4 {
            let text = [&b"prefix"[..before], KEY, &b"tail"[..behind]].concat();
            for engine in [
                &base64::engine::general_purpose::STANDARD,
                &base64::engine::general_purpose::URL_SAFE,
            ] {
                let found = hits(&searcher, engine.encode(&text).as_bytes());
                assert_eq!(found.len(), 1, "{before} {behind}");
                assert_eq!(found[0].1, Encoding::Base64);
            }
        }
    }
}

#[test]
fn a_secret_is_found_as_it_is_escaped() {
    let searcher = searcher(&[KEY]);
    for (text, encoding) in [
        ("xK9#mP2q/\"é\"", Encoding::Plain),
        ("xK9%23mP2q%2F%22%C3%A9%22", Encoding::Url),
        ("xK9%23mP2q/%22%c3%a9%22", Encoding::Url),
        (r#"xK9#mP2q/\"é\""#, Encoding::Json),
        (r#"xK9#mP2q/\"\u00e9\""#, Encoding::Json),
        (r#"xK9#mP2q\/\"é\""#, Encoding::Json),
    ] {
        let text = text.replace('é', "eé").replace("%C3", "e%C3").replace("%c3", "e%c3");
        let text = text.replace(r"\u00e9", r"e\u00e9");
        assert_eq!(hits(&searcher, text.as_bytes()), [(0, encoding, 0, text.len())], "{text}");
    }
}

#[test]
fn a_line_of_a_key_is_found_where_the_copy_is_indented() {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let key = format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n");
    let searcher = searcher(&[key.as_bytes()]);
    let copy = format!("  key: |\n    -----BEGIN PRIVATE KEY-----\n    {line}\n");
    let at = copy.find(line).unwrap();
    assert_eq!(hits(&searcher, copy.as_bytes()), [(0, Encoding::Line, at, at + line.len())]);
    assert_eq!(hits(&searcher, b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"), []);
}

#[test]
fn texts_that_begin_alike_are_told_apart_by_their_ends() {
    let values: Vec<Vec<u8>> = (0..500)
        .map(|number: u32| format!("postgres://app:{:08x}@db", number.wrapping_mul(0x9E37_79B1)))
        .map(String::into_bytes)
        .collect();
    let searcher = searcher(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let text = [b"x ", &values[77][..], b" ", &values[312][..]].concat();
    let length = values[77].len();
    assert_eq!(
        hits(&searcher, &text),
        [(77, Encoding::Plain, 2, 2 + length), (312, Encoding::Plain, 3 + length, 3 + 2 * length)]
    );
}

proptest! {
    /// What is found is what a naive search finds.
    #[test]
    fn the_search_is_that_of_every_place(
        values in proptest::collection::vec("[ab1-3/]{6,14}", 1..20),
        haystack in "[ab1-3/]{0,300}",
        chosen in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut secrets = Secrets::new(MIN_LENGTH);
        let values: Vec<Vec<u8>> = values
            .into_iter()
            .map(String::into_bytes)
            .filter(|value| secrets.add(value).is_some())
            .collect();
        let mut text = haystack.into_bytes();
        for index in chosen.iter().filter(|_| !values.is_empty()) {
            text.extend_from_slice(&values[index.index(values.len())]);
        }
        let searcher = secrets.into_searcher();
        let mut found: Vec<(usize, usize)> = hits(&searcher, &text)
            .into_iter()
            .filter(|hit| hit.1 == Encoding::Plain)
            .map(|(_, _, start, end)| (start, end))
            .collect();
        let mut expected: Vec<(usize, usize)> = values
            .iter()
            .flat_map(|value| {
                let length = value.len();
                text.windows(length)
                    .enumerate()
                    .filter(move |(_, window)| *window == &value[..])
                    .map(move |(at, _)| (at, at + length))
            })
            .collect();
        expected.sort_unstable();
        expected.dedup();
        found.dedup();
        prop_assert_eq!(found, expected);
    }
}
