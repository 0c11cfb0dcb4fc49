//! Who the program is: encfile, or a stand-in for SOPS.
//!
//! A copy of the program, or a link to it, that is called `sops` behaves as SOPS 3.13 does: exit
//! codes, streams, defaults. Every difference is decided here and stands in the README's table.

use crate::metadata::SOPS_VERSION;

/// How the program behaves where encfile and SOPS differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personality {
    /// As encfile.
    Encfile,
    /// As SOPS.
    Sops,
}

impl Personality {
    /// Returns the personality of a program called `name`.
    pub fn of(name: Option<&str>) -> Personality {
        match name {
            Some("sops") => Personality::Sops,
            _ => Personality::Encfile,
        }
    }

    /// Returns the name of the program in messages.
    pub fn program(self) -> &'static str {
        match self {
            Personality::Encfile => "encfile",
            Personality::Sops => "sops",
        }
    }

    /// Returns the version in `--version`. As SOPS it is that of the SOPS whose files and command
    /// line these are, and nothing else is printed: scripts compare it, and some take each number
    /// with two points for a version.
    pub fn version(self) -> &'static str {
        match self {
            Personality::Encfile => env!("CARGO_PKG_VERSION"),
            Personality::Sops => SOPS_VERSION,
        }
    }

    fn is_encfile(self) -> bool {
        self == Personality::Encfile
    }

    /// Whether the command line is read by SOPS' rules alone: a file without a command is edited,
    /// flags have Go's forms, and what looks like an unknown flag behind a file is a file.
    pub fn reads_flags_of_go(self) -> bool {
        !self.is_encfile()
    }

    /// Whether the completion scripts that SOPS prints get the answers that they ask for.
    pub fn answers_scripts_of_sops(self) -> bool {
        !self.is_encfile()
    }

    /// Whether compound and leading-dot names tell the format (`secrets.env.enc`,
    /// `.env.production`), and the content that of an encrypted file. SOPS looks at the ending
    /// alone.
    pub fn understands_names(self) -> bool {
        self.is_encfile()
    }

    /// Whether the config is searched from the file upwards; SOPS searches from the working
    /// directory.
    pub fn searches_config_from_file(self) -> bool {
        self.is_encfile()
    }

    /// Whether an unknown field in a creation rule is an error; SOPS ignores it, and here it is a
    /// warning then.
    pub fn refuses_unknown_fields(self) -> bool {
        self.is_encfile()
    }

    /// Whether a config that another user may have put above the file is refused; SOPS follows it,
    /// and here it is a warning then.
    pub fn refuses_planted_config(self) -> bool {
        self.is_encfile()
    }

    /// Whether encrypting a file that is encrypted and in order succeeds; SOPS exits with 203.
    pub fn accepts_encrypted_input(self) -> bool {
        self.is_encfile()
    }

    /// Whether an existing encrypted `--output` keeps its data key and unchanged ciphertexts; SOPS
    /// writes it anew.
    pub fn reuses_output(self) -> bool {
        self.is_encfile()
    }

    /// Whether a rule that covers none of a file's values is refused; as SOPS it is a warning.
    pub fn refuses_empty_selection(self) -> bool {
        self.is_encfile()
    }

    /// Whether an edit raises the version in the file to the one that is written, as SOPS does;
    /// encfile changes nothing but what the edit changes.
    pub fn raises_version(self) -> bool {
        !self.is_encfile()
    }

    /// Whether an edit that changes nothing succeeds; SOPS exits with 200.
    pub fn accepts_unchanged_edit(self) -> bool {
        self.is_encfile()
    }

    /// Whether `decrypt` without a file looks for one; SOPS reads standard input.
    pub fn finds_default_file(self) -> bool {
        self.is_encfile()
    }

    /// Whether a kind of keys that does not exist is refused in a decryption order; SOPS ignores it.
    pub fn refuses_unknown_kinds(self) -> bool {
        self.is_encfile()
    }

    /// Whether tree paths have the short form `a[0].b`; SOPS knows `["a"][0]["b"]` only.
    pub fn reads_short_tree_paths(self) -> bool {
        self.is_encfile()
    }

    /// Whether a bar shows at the terminal how far the work is.
    pub fn shows_progress(self) -> bool {
        self.is_encfile()
    }

    /// Whether commands take several files; SOPS uses the first one and warns.
    pub fn takes_several_files(self) -> bool {
        self.is_encfile()
    }

    /// Whether a result without any value is refused by `edit`.
    pub fn refuses_empty_edit(self) -> bool {
        self.is_encfile()
    }

    /// Whether a value is refused that the file's own rule leaves in clear and the config's would
    /// encrypt; SOPS stores it in clear.
    pub fn compares_rules(self) -> bool {
        self.is_encfile()
    }

    /// Whether a signal during an edit exits with 128 and its number; SOPS exits with 1.
    pub fn exits_with_signal(self) -> bool {
        self.is_encfile()
    }

    /// Whether wrapping a data key anew is refused where the file has recipients that its creation
    /// rule does not have, or a weaker threshold or rule; SOPS does not look, and here it is a
    /// warning then.
    pub fn refuses_weaker_than_rule(self) -> bool {
        self.is_encfile()
    }

    /// Whether removing a key that a file does not have is refused; SOPS removes nothing.
    pub fn refuses_unknown_removal(self) -> bool {
        self.is_encfile()
    }

    /// Whether `updatekeys` makes a new data key where a recipient is removed; SOPS keeps it, and
    /// so lets them read what is encrypted later.
    pub fn rotates_on_removal(self) -> bool {
        self.is_encfile()
    }

    /// Whether `updatekeys` takes the threshold of the creation rule; SOPS keeps that of the file.
    pub fn takes_threshold_of_rule(self) -> bool {
        self.is_encfile()
    }

    /// Whether the exit code of several failures is that of the first one; for `updatekeys`, SOPS
    /// exits with 1.
    pub fn exits_as_first_failure(self) -> bool {
        self.is_encfile()
    }

    /// Whether the paths of destination rules are relative to the config, as those of creation rules
    /// are; SOPS matches what was typed.
    pub fn matches_destinations_from_config(self) -> bool {
        self.is_encfile()
    }

    /// Whether `publish` says what it decrypts for Vault, and of a directory publishes what it can;
    /// SOPS stops at the first failure.
    pub fn publishes_carefully(self) -> bool {
        self.is_encfile()
    }

    /// Whether recipients are shown with the names that the config's comments give them.
    pub fn names_recipients(self) -> bool {
        self.is_encfile()
    }

    /// Whether the command of `exec-env` takes the place of the program; SOPS waits for it and
    /// says how it ended.
    pub fn gives_its_process_away(self) -> bool {
        self.is_encfile()
    }

    /// Whether a command that a signal ended gives 128 and its number; SOPS exits with 255.
    pub fn exits_as_a_shell_does(self) -> bool {
        self.is_encfile()
    }

    /// Whether keys for encrypted files are kept from a command unless it asks for them; SOPS
    /// passes its whole environment on.
    pub fn keeps_keys_to_itself(self) -> bool {
        self.is_encfile()
    }

    /// Whether `exec-env` reads values of dotenv files as programs do, checks names of variables,
    /// and refuses several documents; SOPS takes the first one and what stands there.
    pub fn exports_strictly(self) -> bool {
        self.is_encfile()
    }

    /// Whether plain text is kept off disks unless that is allowed; as SOPS it is a warning.
    pub fn refuses_disks(self) -> bool {
        self.is_encfile()
    }

    /// Whether there are output types that set variables; SOPS has file formats alone.
    pub fn writes_variables(self) -> bool {
        self.is_encfile()
    }

    /// Whether a missing file is an error of its own for all commands; for some, SOPS has it among
    /// those of reading.
    pub fn tells_missing_files_apart(self) -> bool {
        self.is_encfile()
    }

    /// Whether an address of a key service that is none is refused; SOPS warns and goes without it.
    pub fn refuses_bad_services(self) -> bool {
        self.is_encfile()
    }

    /// Whether a key service that is not on this machine is warned of; SOPS trusts the network.
    pub fn warns_of_open_services(self) -> bool {
        self.is_encfile()
    }

    /// Whether `keyservice` says where it listens; SOPS does with `--verbose`.
    pub fn says_where_it_listens(self) -> bool {
        self.is_encfile()
    }

    /// Whether the questions of `keyservice --prompt` are written on standard output, as SOPS does;
    /// else on standard error.
    pub fn asks_on_stdout(self) -> bool {
        !self.is_encfile()
    }

    /// Whether gpg-agent is asked for the passphrases of age's identity files, as SOPS does, before
    /// anybody is asked at the terminal. It may open a window to ask, and answers whoever may open its
    /// socket; encfile's own agent remembers data keys instead.
    pub fn asks_gpg_agent(self) -> bool {
        !self.is_encfile()
    }

    /// Whether there is an agent that remembers data keys.
    pub fn uses_agent(self) -> bool {
        self.is_encfile()
    }

    /// Whether an age plugin is started to encrypt for a recipient that only the metadata of a file
    /// names: SOPS does that, whoever wrote the file.
    pub fn starts_plugins_of_files(self) -> bool {
        !self.is_encfile()
    }

    /// Whether a server that only the metadata of a file names is asked, and so gets a token: SOPS
    /// does that, whoever wrote the file.
    pub fn asks_servers_of_files(self) -> bool {
        !self.is_encfile()
    }
}
