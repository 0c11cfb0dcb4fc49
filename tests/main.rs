//! The integration tests: one binary.
//!
//! Tests that start the program do so in a [`sandbox::Sandbox`]. What they are compared with (the
//! real SOPS, age, Python) is found by [`peers`]; a peer that is missing is a failure, never a
//! test that is skipped. `tests/peers.sh` installs them.

// The functions that are disallowed in the program are what a sandbox is made of, and a test
// stops where something cannot be done.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod chance;
mod commands;
mod errors;
mod files;
mod growth;
mod keys;
mod memory;
mod peers;
mod random;
mod readme;
mod replay;
mod repository;
mod roundtrip;
mod sandbox;
mod strace;
mod team;
mod tidy;
mod users;
mod vectors;
