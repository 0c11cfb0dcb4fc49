//! See `encfile_fuzz::binary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| encfile_fuzz::binary(data));
