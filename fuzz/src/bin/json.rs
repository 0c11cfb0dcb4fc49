//! See `encfile_fuzz::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| encfile_fuzz::json(data));
