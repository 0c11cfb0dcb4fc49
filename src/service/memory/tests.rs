//! What is remembered, and what is left of it.

use std::cell::Cell;

use super::*;
use crate::keys::remote::message::{AgeKey, Key, KeyType};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

fn now() -> Duration {
    Duration::from_secs(NOW.get())
}

fn memory() -> Memory {
    NOW.set(1000);
    Memory::new(Duration::from_secs(60), now)
}

fn question(recipient: &str, wrapped: &str) -> DecryptRequest {
    let key = KeyType::Age(AgeKey { recipient: recipient.to_owned() });
    DecryptRequest {
        key: Some(Key { key_type: Some(key) }),
        ciphertext: wrapped.as_bytes().to_vec(),
    }
}

fn recalled(memory: &Memory, question: &DecryptRequest) -> Option<Vec<u8>> {
    memory.recall(question).map(|part| part.to_vec())
}

#[test]
fn an_answer_is_given_to_the_same_question_alone() {
    let memory = memory();
    memory.remember(&question("age1a", "one"), b"key");
    assert_eq!(recalled(&memory, &question("age1a", "one")), Some(b"key".to_vec()));
    assert_eq!(recalled(&memory, &question("age1b", "one")), None);
    assert_eq!(recalled(&memory, &question("age1a", "two")), None);
    assert_eq!(memory.len(), 1);
}

#[test]
fn a_key_is_forgotten_and_wiped_after_its_time() {
    let memory = memory();
    let question = question("age1a", "one");
    memory.remember(&question, b"key");
    NOW.set(1059);
    // Asking again does not prolong it, nor does being told again.
    assert!(memory.recall(&question).is_some());
    memory.remember(&question, b"key");
    NOW.set(1060);
    assert_eq!(recalled(&memory, &question), None);
    memory.forget_old();
    assert!(memory.is_empty());
    assert!(memory.lock().slots.iter().all(|&byte| byte == 0));
}

#[test]
fn everything_is_wiped_at_once() {
    let memory = memory();
    (0..9).for_each(|number| memory.remember(&question("age1a", &number.to_string()), b"key"));
    assert_eq!(memory.len(), 9);
    memory.forget_all();
    assert!(memory.is_empty());
    assert!(memory.lock().slots.iter().all(|&byte| byte == 0));
}

#[test]
fn a_full_memory_forgets_the_oldest() {
    let memory = memory();
    memory.remember(&question("age1a", "first"), b"key");
    NOW.set(1001);
    (0..SLOTS).for_each(|number| memory.remember(&question("age1a", &number.to_string()), b"k"));
    assert_eq!(memory.len(), SLOTS);
    assert_eq!(recalled(&memory, &question("age1a", "first")), None);
    assert_eq!(recalled(&memory, &question("age1a", "0")), Some(b"k".to_vec()));
}

#[test]
fn what_is_no_key_or_no_question_is_not_kept() {
    let memory = memory();
    memory.remember(&question("age1a", "one"), b"");
    memory.remember(&question("age1a", "one"), &[1; SLOT + 1]);
    memory.remember(&question("age1a", ""), b"key");
    memory.remember(&DecryptRequest { key: None, ciphertext: b"one".to_vec() }, b"key");
    let no_type = DecryptRequest { key: Some(Key::default()), ciphertext: b"one".to_vec() };
    memory.remember(&no_type, b"key");
    assert!(memory.is_empty());
}

#[test]
fn nothing_of_it_is_shown() {
    let memory = memory();
    memory.remember(&question("age1a", "one"), b"key");
    assert_eq!(format!("{memory:?}"), "Memory { ttl: 60s, .. }");
}
