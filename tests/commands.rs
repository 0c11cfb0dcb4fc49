//! End-to-end tests of the commands: one behaviour a test, compared exactly where it is specified.

mod as_sops;
mod config;
mod decrypt;
mod default_file;
mod edit;
mod encrypt;
mod exec_env;
mod exec_file;
mod exports;
mod rekey;
mod toml;
mod writes;
