//! See `encfile_fuzz::value`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| encfile_fuzz::value(data));
