//! End-to-end tests of the commands: one behaviour a test, compared exactly where it is specified.

mod age;
mod agent;
mod any_arguments;
mod as_sops;
mod catalogue;
mod check;
mod completion;
mod config;
mod decrypt;
mod default_file;
mod diff;
mod edit;
mod encrypt;
mod exec_env;
mod exec_file;
mod exports;
mod filestatus;
mod mergetool;
mod rekey;
mod repair;
mod scan;
mod set;
mod status;
mod textconv;
mod toml;
mod writes;
