//! See `encfile_fuzz::yaml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| encfile_fuzz::yaml(data));
