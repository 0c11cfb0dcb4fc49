//! The data keys of many files, asked for together before the files have their turn.
//!
//! A key service answers in a tenth of a second or so: file after file, two hundred of them take half a
//! minute, for most of which nothing happens. So the commands for many files first collect what is
//! wrapped for key services, and ask for all of it at the same time; the credentials keep the
//! answers. A file that cannot be read or parsed is left out: its own turn says so.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::cli::context::{Context, decryption_order};
use crate::cli::os;
use crate::file::EncryptedFile;
use crate::format::FileFormat;
use crate::keys::{KINDS, KeyGroup, Progress, unwrap_ahead};
use crate::metadata::Metadata;
use crate::secret::SecretBytes;

/// Wrapped data keys of files.
#[derive(Debug)]
pub struct Ahead {
    /// What there is to say of a file is said when it has its turn.
    silent: Context,
    files: Vec<(Vec<KeyGroup>, usize)>,
}

impl Ahead {
    /// Returns those of no file.
    pub fn new(context: &Context) -> Ahead {
        Ahead { silent: context.without_voice(), files: Vec::new() }
    }

    /// Returns the surroundings, without a voice.
    pub fn silent(&self) -> &Context {
        &self.silent
    }

    /// Adds the keys of a file.
    pub fn add(&mut self, metadata: &Metadata, path: &Path) {
        let groups = self.silent.groups_to_open(metadata, path).into_owned();
        self.files.push((groups, metadata.shamir_threshold));
    }

    /// Adds the keys of an encrypted text at a path; nothing if it is none.
    pub fn add_text(&mut self, text: &[u8], path: &Path, given: Option<&'static dyn FileFormat>) {
        if !may_have_remote_keys(text) {
            return;
        }
        let format = self.silent.format_of_encrypted(text, path, given);
        if let Ok(file) = EncryptedFile::parse(format, SecretBytes::from(text)) {
            self.add(file.metadata(), path);
        }
    }

    /// Asks, and shows at the terminal how far that is.
    pub fn ask(self, order: &[&str]) {
        if self.files.len() < 2 {
            return;
        }
        let files: Vec<_> =
            self.files.iter().map(|(groups, threshold)| (&groups[..], *threshold)).collect();
        let mut bar = None;
        let mut show = |Progress { done, total }: Progress| {
            if done == 0 {
                bar = Some(new_bar(total));
            }
            if let Some(bar) = &bar {
                bar.set_position(done as u64);
            }
        };
        let is_shown = os::stderr_is_terminal() && self.silent.personality.shows_progress();
        let progress: Option<&mut dyn FnMut(Progress)> =
            if is_shown { Some(&mut show) } else { None };
        unwrap_ahead(&files, order, &self.silent.credentials, progress);
    }
}

/// Asks for the data keys of the files that a command is about to open, if they are several.
pub fn of_files(
    context: &Context,
    files: &[PathBuf],
    order: Option<&str>,
    given: Option<&'static dyn FileFormat>,
) {
    // What is wrong with the order is said for the first file.
    let Ok(order) = decryption_order(context.personality, order) else { return };
    if files.len() < 2 {
        return;
    }
    let mut ahead = Ahead::new(context);
    for path in files {
        // A pipe can be read once.
        if context.env.absolute(path).is_file()
            && let Ok(text) = context.read(path)
        {
            ahead.add_text(&text, path, given);
        }
    }
    ahead.ask(&order);
}

/// Returns whether a text can have metadata with keys of a service: the name of one stands in it.
fn may_have_remote_keys(text: &[u8]) -> bool {
    KINDS
        .iter()
        .filter(|kind| kind.is_remote && kind.code.is_some())
        .any(|kind| memchr::memmem::find(text, kind.name.as_bytes()).is_some())
}

/// Returns a bar on standard error, which is gone when all is done.
fn new_bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr())
        .with_finish(ProgressFinish::AndClear);
    if let Ok(style) = ProgressStyle::with_template("data keys [{bar:30}] {pos}/{len}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
