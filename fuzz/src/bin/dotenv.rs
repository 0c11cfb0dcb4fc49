//! See `encfile_fuzz::dotenv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| encfile_fuzz::dotenv(data));
