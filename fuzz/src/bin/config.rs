//! See `encfile_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| encfile_fuzz::config(data));
