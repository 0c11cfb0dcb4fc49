//! End-to-end tests of the commands: one behaviour a test, compared exactly where it is specified.

mod age;
mod any_arguments;
mod as_sops;
mod catalogue;
mod completion;
mod config;
mod decrypt;
mod default_file;
mod edit;
mod encrypt;
mod exec_env;
mod exec_file;
mod exports;
mod filestatus;
mod rekey;
mod scan;
mod set;
mod status;
mod toml;
mod writes;
