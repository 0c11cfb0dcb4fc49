//! Tokens, their answers and signatures.

use std::cell::Cell;

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use serde_json::json;

use super::*;
use crate::keys::testing::Machine;

const PEM: &str = include_str!("../../../testdata/keys/rsa.pem");

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn what_is_signed_can_be_verified() {
    let key = rsa_key(PEM.as_bytes()).unwrap();
    let header = json!({"alg": "RS256"});
    let token = jwt(&header, &json!({"iss": "me"}), &key, &RSA_PKCS1_SHA256).unwrap();

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let parts: Vec<Vec<u8>> =
        signed.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    assert_eq!(parts, [br#"{"alg":"RS256"}"#.to_vec(), br#"{"iss":"me"}"#.to_vec()]);
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public());
    public.verify(signed.as_bytes(), &signature).unwrap();
    public.verify(b"something else", &signature).unwrap_err();
}

#[test]
fn what_is_no_rsa_key_is_refused_without_its_text() {
    let ed25519 = include_str!("../../../testdata/keys/ssh-ed25519.txt");
    for text in ["", "canary", ed25519] {
        let error = rsa_key(text.as_bytes()).unwrap_err();
        assert_eq!(error, "it is not an RSA key in PEM without a passphrase");
    }
}

/// Asks for the token of one thing, and returns whether it was made.
fn is_made(tokens: &Tokens<&'static str>, now: Instant, life: Option<Duration>) -> bool {
    let made = Cell::new(false);
    let make = || {
        made.set(true);
        Ok(Token::new("secret", now, life))
    };
    assert_eq!(tokens.get("x", now, make).unwrap().header(), "Bearer secret");
    made.get()
}

#[test]
fn a_token_is_kept_until_shortly_before_its_end() {
    let (tokens, start) = (Tokens::default(), Instant::now());
    assert!(is_made(&tokens, start, Some(HOUR)));
    let end = HOUR.checked_sub(MARGIN).unwrap();
    assert!(!is_made(&tokens, start + end.mul_f32(0.99), Some(HOUR)));
    assert!(is_made(&tokens, start + end, Some(HOUR)));
}

#[test]
fn a_token_with_less_than_that_to_live_is_used_once() {
    let (tokens, now) = (Tokens::default(), Instant::now());
    assert!(is_made(&tokens, now, Some(MARGIN)));
    assert!(is_made(&tokens, now, Some(MARGIN)));
}

#[test]
fn a_token_that_was_not_taken_is_made_anew() {
    let (tokens, now) = (Tokens::default(), Instant::now());
    assert!(is_made(&tokens, now, None));
    let token = tokens.get("x", now, || Err("not asked")).unwrap();
    tokens.forget(&token);
    assert!(is_made(&tokens, now, None));
}

#[test]
fn a_failure_is_not_repeated_at_once() {
    let (tokens, now) = (Tokens::default(), Instant::now());
    assert_eq!(tokens.get("x", now, || Err("why")).unwrap_err(), "why");
    assert_eq!(tokens.get("x", now, || Err("not asked")).unwrap_err(), "why");
    assert!(is_made(&tokens, now + PAUSE, None));
}

#[test]
fn tokens_are_told_apart_by_what_they_are_for() {
    let (tokens, now) = (Tokens::<()>::default(), Instant::now());
    let get = |what| {
        let token = tokens.get(what, now, || Ok(Token::lasting(what))).unwrap();
        token.header().to_owned()
    };
    assert_eq!([get("a"), get("b"), get("a")], ["Bearer a", "Bearer b", "Bearer a"]);
}

#[test]
fn forms_are_written_as_browsers_write_them() {
    let form = form(&[("a", "1 2"), ("b", "x+/=&é"), ("", "")]);
    assert_eq!(&*form, b"a=1+2&b=x%2B%2F%3D%26%C3%A9&=");
    let fields = [("resource", "https://v")];
    assert_eq!(with_query("http://h/p", &fields), "http://h/p?resource=https%3A%2F%2Fv");
    assert_eq!(with_query("http://h/p?a=b", &fields), "http://h/p?a=b&resource=https%3A%2F%2Fv");
}

#[test]
fn an_empty_variable_is_none() {
    let machine = Machine::with(&[("A", ""), ("B", "b")]);
    assert!(setting(&machine, "A").is_none() && setting(&machine, "C").is_none());
    assert_eq!(setting(&machine, "B").unwrap().as_str(), "b");
}

#[test]
fn a_refusal_has_what_the_server_says_and_nothing_else_of_the_body() {
    for (body, expected) in [
        ("canary", "status 400"),
        (r#"{"canary":"canary"}"#, "status 400"),
        (r#"{"error":"invalid_grant"}"#, "status 400: invalid_grant"),
        (r#"{"error":"a","error_description":"b\r\nc"}"#, "status 400: a: b"),
        (r#"{"error":{"code":400,"message":"m\u001b[1m","status":"S"}}"#, "status 400: m[1m"),
        (r#"{"error":{"code":"Forbidden","message":"m"}}"#, "status 400: Forbidden: m"),
    ] {
        assert_eq!(refusal(&Answer::of(400, body)), expected, "{body}");
    }
    let long = json!({"error": "x", "error_description": "y".repeat(1000)}).to_string();
    assert_eq!(refusal(&Answer::of(400, &long)), format!("status 400: x: {}", "y".repeat(300)));
}
