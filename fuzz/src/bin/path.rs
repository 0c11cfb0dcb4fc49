//! See `encfile_fuzz::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| encfile_fuzz::path(data));
