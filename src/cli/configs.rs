//! The config of each file, from the same snapshot as the file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check::{Code, Finding};
use crate::cli::config_file;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::git::Objects;
use crate::cli::targets::{Snapshot, Target, Targets};
use crate::config::{
    Config, ConfigError, CreationRule, FILE_NAME, Strictness, candidates, relative,
};
use crate::secret::SecretBytes;
use crate::span::Position;

/// The configs that were met.
pub struct Configs {
    root: PathBuf,
    /// Where configs are read that are not on the disk, and what stands before their path there.
    objects: Option<(Objects, String)>,
    /// The config for the files of a directory, from the root.
    by_directory: HashMap<PathBuf, Option<Arc<Loaded>>>,
    /// The one that was asked for.
    given: Option<Arc<Loaded>>,
    loaded: Vec<Arc<Loaded>>,
}

/// A config that was read.
#[derive(Debug)]
struct Loaded {
    /// `None` if it is not usable.
    config: Option<Config>,
    /// The directory that it stands in.
    directory: PathBuf,
    shown: String,
    findings: Vec<Finding>,
}

/// The config of one file.
pub struct Found {
    loaded: Arc<Loaded>,
    /// The path by which rules know the file.
    path: String,
}

impl Found {
    /// Returns the config; `None` if it is not usable.
    pub fn config(&self) -> Option<&Config> {
        self.loaded.config.as_ref()
    }

    /// Returns where it is, for people.
    pub fn shown(&self) -> &str {
        &self.loaded.shown
    }

    /// Returns the rule for the file.
    pub fn rule(&self) -> Option<&CreationRule> {
        self.loaded.config.as_ref()?.rule_for(&self.path)
    }
}

impl Configs {
    /// Returns no configs yet but the `given` one, for the files that `targets` are.
    ///
    /// # Errors
    /// If that one cannot be read.
    pub fn new(
        context: &Context,
        given: Option<&Path>,
        targets: &Targets,
    ) -> Result<Configs, CliError> {
        let root = targets.root().to_owned();
        let objects = match targets.snapshot() {
            Snapshot::Disk => None,
            Snapshot::Index => Some((targets.objects()?, ":".to_owned())),
            Snapshot::Commit(commit) => Some((targets.objects()?, format!("{commit}:"))),
        };
        let mut configs = Configs {
            root,
            objects,
            by_directory: HashMap::new(),
            given: None,
            loaded: Vec::new(),
        };
        if let Some(path) = given {
            let path = context.env.absolute(path);
            let text = config_file::read(&path)?;
            configs.given = Some(configs.load(&path, &text));
        }
        Ok(configs)
    }

    /// Returns the config for a file.
    ///
    /// # Errors
    /// If it cannot be read, or somebody else may have put it there.
    pub fn find(&mut self, context: &Context, target: &Target) -> Result<Option<Found>, CliError> {
        let file = self.root.join(&target.path);
        let loaded = match &self.given {
            Some(given) => Some(Arc::clone(given)),
            None => self.above(context, &file)?,
        };
        Ok(loaded.map(|loaded| {
            let path = relative(&loaded.directory, &file);
            Found { loaded, path }
        }))
    }

    /// Returns what is wrong with the configs that were met.
    pub fn findings(&self) -> Vec<(String, Finding)> {
        self.loaded
            .iter()
            .flat_map(|loaded| {
                loaded.findings.iter().map(|finding| (loaded.shown.clone(), finding.clone()))
            })
            .collect()
    }

    /// Returns the nearest config above a file.
    fn above(&mut self, context: &Context, file: &Path) -> Result<Option<Arc<Loaded>>, CliError> {
        let mut missed = Vec::new();
        let mut found = None;
        for path in candidates(file.parent().unwrap_or(Path::new("/"))) {
            let directory = path.parent().unwrap_or(Path::new("/"));
            if let Some(known) = self.by_directory.get(directory) {
                found.clone_from(known);
                break;
            }
            missed.push(directory.to_owned());
            if let Some(text) = self.read(&path)? {
                found = Some(self.load(&path, &text));
                break;
            }
        }
        // What is in a snapshot is what the project has.
        if let Some(found) = &found
            && self.objects.is_none()
            && !missed.is_empty()
        {
            config_file::trusted(context, &found.directory.join(FILE_NAME), file)?;
        }
        for directory in missed {
            self.by_directory.insert(directory, found.clone());
        }
        Ok(found)
    }

    fn read(&mut self, path: &Path) -> Result<Option<SecretBytes>, CliError> {
        let Some((objects, prefix)) = &mut self.objects else {
            if fs::symlink_metadata(path).is_err() {
                return Ok(None);
            }
            return Ok(Some(SecretBytes::from(config_file::read_found(path)?)));
        };
        // A snapshot has nothing above the top of the work tree.
        let Ok(inside) = path.strip_prefix(&self.root) else { return Ok(None) };
        let name = [prefix.as_bytes(), inside.as_os_str().as_encoded_bytes()].concat();
        Ok(objects.read(&name)?)
    }

    fn load(&mut self, path: &Path, text: &[u8]) -> Arc<Loaded> {
        let shown = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        let (config, findings) = of_config(text, &shown);
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let loaded = Arc::new(Loaded { config, directory, shown, findings });
        self.loaded.push(Arc::clone(&loaded));
        loaded
    }
}

/// Returns the findings of a config that is not usable, or not as it looks.
fn of_config(text: &[u8], origin: &str) -> (Option<Config>, Vec<Finding>) {
    let place = |error: &ConfigError| {
        let (line, column) = (error.line?, error.column.unwrap_or(1));
        Some(Position { line, column })
    };
    match Config::parse(text, origin, Strictness::Strict) {
        Err(error) => {
            let message = error.problem.to_string();
            (None, vec![Finding::new(Code::ConfigInvalid, message).at(place(&error))])
        }
        Ok((config, warnings)) => {
            let lints = config.lints();
            let findings = warnings
                .iter()
                .chain(&lints)
                .map(|warning| {
                    let message = warning.0.problem.to_string();
                    Finding::new(Code::ConfigSuspicious, message).at(place(&warning.0))
                })
                .collect();
            (Some(config), findings)
        }
    }
}
