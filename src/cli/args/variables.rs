//! Which values become variables, and their names.

use clap::Args;

use crate::export::Only;

/// Which values become variables, and their names.
#[derive(Debug, Args)]
pub struct VariableArgs {
    /// Make variables of nested values too, with this between the keys: with `_`, `a: {b: 1}` is `a_b`
    #[arg(long, value_name = "SEPARATOR")]
    pub flatten: Option<String>,

    /// Take these variables only, separated by commas; `*` stands for any text, `?` for a character
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
}

impl VariableArgs {
    /// Returns the choice of variables.
    pub fn only(&self) -> Only {
        Only::new(self.only.iter().cloned())
    }

    /// Returns whether any of the arguments is given.
    pub fn are_given(&self) -> bool {
        self.flatten.is_some() || !self.only.is_empty()
    }
}
