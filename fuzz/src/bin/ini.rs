//! See `encfile_fuzz::ini`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| encfile_fuzz::ini(data));
