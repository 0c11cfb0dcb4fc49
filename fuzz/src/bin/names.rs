//! See `encfile_fuzz::names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| encfile_fuzz::names(data));
