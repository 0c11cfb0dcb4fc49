//! PGP keys, with the real `gpg` and its agent, and both ways with SOPS.

use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Stdio as Streams};

use rustix::process::Signal;

use crate::files::{self, ALICE, BOB};
use crate::keys::assert_both_serve_both;
use crate::peers;
use crate::sandbox::{Run, Sandbox, Stdin};

/// The key of `testdata/keys/pgp.asc`, which has no passphrase.
const GOLDEN: &str = "79B9C524987B106360C9A2D4E11EE9D209191A03";

const PLAIN: &str = "a: canary\n";

/// A sandbox with key rings for `gpg`, whose agent ends with it.
struct Gnupg(Sandbox);

impl Gnupg {
    /// Returns one with the golden key, and a file to encrypt.
    fn new() -> Gnupg {
        let gnupg = Gnupg::empty();
        let key = files::repository().join("testdata/keys/pgp.asc");
        gnupg.gpg(["--import", &key.to_string_lossy()]);
        gnupg
    }

    /// Returns one without any key.
    fn empty() -> Gnupg {
        let sandbox = Sandbox::new();
        let home = sandbox.home().join("gnupg");
        private_directory(&home);
        sandbox.env("GNUPGHOME", home);
        sandbox.write("app.yaml", PLAIN);
        let gnupg = Gnupg(sandbox);
        // The first call makes the key rings, and says so.
        gnupg.gpg(["--list-keys"]);
        gnupg
    }

    /// Returns the path of a file in the home directory of `gpg`.
    fn file(&self, name: &str) -> PathBuf {
        self.home().join("gnupg").join(name)
    }

    /// Runs `gpg --batch`, which must succeed, and returns what it prints.
    fn gpg<const N: usize>(&self, arguments: [&str; N]) -> String {
        let arguments = ["--batch", "--quiet", "--no-tty"].into_iter().chain(arguments);
        let run = self.run(&peers::system("gpg"), arguments).go().success();
        String::from_utf8(run.into_stdout()).unwrap()
    }

    /// Makes a key for encryption and returns its fingerprint.
    fn make_key(&self, name: &str, more: &[&str], passphrase: &str, expires: &str) -> String {
        let arguments = ["--batch", "--quiet", "--pinentry-mode", "loopback"].iter().chain(more);
        let arguments = arguments.copied().chain(["--passphrase", passphrase, "--quick-gen-key"]);
        let arguments = arguments.chain([name, "default", "default", expires]);
        self.run(&peers::system("gpg"), arguments).go().success();
        let listed = self.gpg(["--list-keys", "--with-colons", name]);
        let line = listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap();
        line.trim_matches(':').to_owned()
    }

    /// Encrypts `app.yaml` for the golden key.
    fn encrypt(&self) -> &Gnupg {
        self.encfile(["encrypt", "-i", "--pgp", GOLDEN, "app.yaml"]).go().success();
        self
    }

    /// Forgets all keys, and the agent that knows them.
    fn forget_keys(&self) {
        self.kill_agent();
        std::fs::remove_dir_all(self.home().join("gnupg")).unwrap();
        private_directory(&self.home().join("gnupg"));
        self.gpg(["--list-keys"]);
    }

    fn kill_agent(&self) {
        let _ = Command::new("/usr/bin/gpgconf")
            .args(["--kill", "all"])
            .env("GNUPGHOME", self.home().join("gnupg"))
            .stdout(Streams::null())
            .stderr(Streams::null())
            .status();
    }
}

impl Deref for Gnupg {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        self.kill_agent();
    }
}

fn private_directory(path: &std::path::Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

/// Checks that both programs decrypt `app.yaml`.
fn assert_both_decrypt(gnupg: &Gnupg) {
    gnupg.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN).no_stderr();
    gnupg.real_sops(["decrypt", "app.yaml"]).secrets_in_messages().go().success().stdout(PLAIN);
}

/// Returns the fingerprints in a file, in order.
fn fingerprints(gnupg: &Gnupg, name: &str) -> Vec<String> {
    let text = gnupg.read(name);
    let found =
        text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("fp: "));
    found.map(str::to_owned).collect()
}

#[test]
fn files_of_sops_decrypt() {
    let gnupg = Gnupg::new();
    for encrypted in files::below("testdata/pgp") {
        let name = encrypted.file_name().unwrap().to_str().unwrap();
        let Some(extension) = name.strip_prefix("encrypted.") else { continue };
        let plain = std::fs::read_to_string(encrypted.with_file_name(format!("plain.{extension}")));
        let printed = gnupg.real_sops(["decrypt".as_ref(), encrypted.as_os_str()]).go().success();
        gnupg
            .as_sops(["decrypt".as_ref(), encrypted.as_os_str()])
            .go()
            .success()
            .stdout(printed.into_stdout());
        let own = gnupg.encfile(["decrypt".as_ref(), encrypted.as_os_str()]).go().success();
        let own = String::from_utf8(own.into_stdout()).unwrap();
        let blanks = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(blanks(&own), blanks(&plain.unwrap()), "{name}");
    }
}

#[test]
fn sops_decrypts_for_every_spelling_of_a_fingerprint() {
    let gnupg = Gnupg::new();
    for (typed, stored) in [
        (GOLDEN, GOLDEN),
        ("79B9 C524 987B 1063 60C9  A2D4 E11E E9D2 0919 1A03", GOLDEN),
        ("79b9c524987b106360c9a2d4e11ee9d209191a03", "79b9c524987b106360c9a2d4e11ee9d209191a03"),
        (
            "0x79B9C524987B106360C9A2D4E11EE9D209191A03",
            "0x79B9C524987B106360C9A2D4E11EE9D209191A03",
        ),
        ("E11EE9D209191A03", "E11EE9D209191A03"),
        ("595E076E1B7BC02CF3DD37A9F956177C28BCCC38!", "595E076E1B7BC02CF3DD37A9F956177C28BCCC38!"),
    ] {
        gnupg.write("app.yaml", PLAIN);
        gnupg.encfile(["encrypt", "-i", "--pgp", typed, "app.yaml"]).go().success().no_stderr();
        assert_eq!(fingerprints(&gnupg, "app.yaml"), [stored]);
        assert_both_decrypt(&gnupg);
    }
}

#[test]
fn what_sops_encrypts_decrypts() {
    let gnupg = Gnupg::new();
    gnupg.real_sops(["encrypt", "-i", "--pgp", GOLDEN, "app.yaml"]).go().success();
    assert_both_decrypt(&gnupg);
}

#[test]
fn every_format_goes_both_ways() {
    let gnupg = Gnupg::new();
    for (name, plain) in [
        ("app.json", "{\n\t\"a\": \"canary\"\n}\n"),
        ("app.env", "A=canary\n"),
        ("app.ini", "[a]\nb = canary\n"),
        ("app.bin", "canary"),
    ] {
        gnupg.write(name, plain);
        gnupg.encfile(["encrypt", "-i", "--pgp", GOLDEN, name]).go().success();
        gnupg.real_sops(["decrypt", name]).secrets_in_messages().go().success().stdout(plain);
        gnupg.real_sops(["rotate", "-i", name]).go().success();
        gnupg.encfile(["decrypt", name]).go().success().stdout(plain);
    }
}

#[test]
fn the_entry_is_as_sops_writes_it() {
    let gnupg = Gnupg::new();
    gnupg.encrypt();
    let own = gnupg.read_masked("app.yaml");
    gnupg.write("app.yaml", PLAIN);
    gnupg.real_sops(["encrypt", "-i", "--pgp", GOLDEN, "app.yaml"]).go().success();
    // The lines of the armor differ, and have neither.
    let entry = |text: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| line.trim() != "pgp:");
        let entry = lines.take_while(|line| !line.contains("unencrypted_suffix"));
        let frame = |line: &&str| line.contains(':') || line.contains("---");
        entry.filter(frame).map(str::to_owned).collect()
    };
    let ours = entry(&own);
    assert_eq!(ours.len(), 6, "{ours:#?}");
    assert_eq!(ours, entry(&gnupg.read_masked("app.yaml")));
}

#[test]
fn encrypting_for_somebody_does_not_make_their_key_vouch_for_others() {
    let gnupg = Gnupg::new();
    gnupg.encrypt();
    let lines = gnupg.gpg(["--export-ownertrust"]);
    assert_eq!(lines.lines().filter(|line| !line.starts_with('#')).count(), 0, "{lines}");
}

#[test]
fn rotate_adds_and_removes_keys() {
    let gnupg = Gnupg::new();
    let other = gnupg.make_key("Other", &[], "", "never");
    gnupg.encrypt();
    let before = gnupg.read("app.yaml");
    gnupg.encfile(["rotate", "-i", "app.yaml"]).go().success();
    assert_ne!(before, gnupg.read("app.yaml"));
    gnupg.encfile(["rotate", "-i", "--add-pgp", &other, "app.yaml"]).go().success();
    assert_eq!(fingerprints(&gnupg, "app.yaml"), [GOLDEN, &other]);
    assert_both_decrypt(&gnupg);
    gnupg.encfile(["rotate", "-i", "--rm-pgp", GOLDEN, "app.yaml"]).go().success();
    assert_eq!(fingerprints(&gnupg, "app.yaml"), [&other[..]]);
    assert_both_decrypt(&gnupg);
    gnupg.real_sops(["rotate", "-i", "--add-pgp", GOLDEN, "app.yaml"]).go().success();
    assert_eq!(fingerprints(&gnupg, "app.yaml"), [&other, GOLDEN]);
    assert_both_decrypt(&gnupg);
}

#[test]
fn updatekeys_gives_a_file_the_keys_of_its_rule() {
    let gnupg = Gnupg::new();
    let alice = ALICE.recipient();
    gnupg.env("SOPS_AGE_KEY_FILE", ALICE.path());
    gnupg.encfile(["encrypt", "-i", "--age", &alice, "app.yaml"]).go().success();
    let rule = format!("creation_rules:\n  - pgp: {GOLDEN}\n    age: {alice}\n");
    gnupg.write(".sops.yaml", rule);
    gnupg.encfile(["updatekeys", "-y", "app.yaml"]).go().success();
    assert_eq!(fingerprints(&gnupg, "app.yaml"), [GOLDEN]);
    gnupg.no_env("SOPS_AGE_KEY_FILE");
    assert_both_decrypt(&gnupg);
    gnupg.real_sops(["updatekeys", "-y", "app.yaml"]).go().success().says(["already up to date"]);
    gnupg.write(".sops.yaml", format!("creation_rules:\n  - pgp: {GOLDEN}\n"));
    gnupg.encfile(["updatekeys", "-y", "app.yaml"]).go().success();
    assert!(!gnupg.read("app.yaml").contains(&alice));
    assert_both_decrypt(&gnupg);
}

/// A config with three groups, two of which are needed: the PGP key, Alice, Bob.
fn two_of_three() -> String {
    format!(
        "creation_rules:
  - shamir_threshold: 2
    key_groups:
      - pgp:
          - {GOLDEN} # the build machine
      - age:
          - {} # Alice
      - age:
          - {}
",
        ALICE.recipient(),
        BOB.recipient()
    )
}

#[test]
fn the_report_of_several_groups_says_what_was_tried_and_who_could_help() {
    let gnupg = Gnupg::new();
    gnupg.write(".sops.yaml", two_of_three());
    gnupg.encfile(["encrypt", "-i", "app.yaml"]).go().success();
    gnupg.forget_keys();
    let run = gnupg.encfile(["decrypt", "app.yaml"]).env("SOPS_AGE_KEY_FILE", BOB.path());
    let expected = format!(
        "error[data-key]: Failed to get the data key required to decrypt the SOPS file.
  --> app.yaml

Group 0: FAILED
  {GOLDEN} (the build machine): FAILED
    - | failed to decrypt sops data key with pgp: gpg: encrypted with RSA key, ID F956177C28BCCC38
      | gpg: decryption failed: No secret key

Group 1: FAILED
  {} (Alice): FAILED
    - | no identity for it was found

Group 2: SUCCESS

Recovery failed because 2 groups are needed, and 1 could be recovered.
What could unwrap them was looked for in:
  SOPS_AGE_KEY_FILE ({}): 1 usable identities
  <sandbox>/home/.config/sops/age/keys.txt: no such file
  gpg: GNUPGHOME=<sandbox>/home/gnupg
help: set SOPS_AGE_KEY_FILE to the file with your age identity, or ask one of the recipients above \
to add yours
help: import your secret key into gpg, or set GNUPGHOME to where gpg has it; `gpg \
--list-secret-keys` shows what is there
help: or ask one of these to add your key: the build machine, Alice
      they add it to one of the failed groups in the creation rule, and run: encfile updatekeys \
app.yaml
",
        ALICE.recipient(),
        BOB.path().display()
    );
    run.go().code(128).no_stdout().stderr(&expected);
}

#[test]
fn the_report_advises_on_the_groups_that_failed() {
    let gnupg = Gnupg::new();
    let (alice, bob) = (ALICE.recipient(), BOB.recipient());
    let config = format!(
        "creation_rules:\n  - key_groups:\n      - age: [{alice}, {bob}]\n      - pgp: [{GOLDEN}]\n"
    );
    gnupg.write(".sops.yaml", config);
    gnupg.encfile(["encrypt", "-i", "app.yaml"]).go().success();
    gnupg.forget_keys();
    let run = gnupg.encfile(["decrypt", "app.yaml"]).env("SOPS_AGE_KEY_FILE", BOB.path());
    run.go().code(128).no_stdout().says([
        "Group 0: SUCCESS\n",
        "\
Recovery failed because 2 groups are needed, and 1 could be recovered.
What could unwrap them was looked for in:
  gpg: GNUPGHOME=<sandbox>/home/gnupg
help: import your secret key into gpg",
    ]);
}

#[test]
fn groups_of_different_kinds_go_both_ways() {
    let gnupg = Gnupg::new();
    gnupg.write(".sops.yaml", two_of_three());
    for encrypt in [
        gnupg.encfile(["encrypt", "-i", "app.yaml"]),
        gnupg.real_sops(["encrypt", "-i", "app.yaml"]),
    ] {
        gnupg.write("app.yaml", PLAIN);
        encrypt.go().success();
        for decrypt in
            [gnupg.encfile(["decrypt", "app.yaml"]), gnupg.real_sops(["decrypt", "app.yaml"])]
        {
            let decrypt = decrypt.secrets_in_messages().env("SOPS_AGE_KEY_FILE", BOB.path());
            decrypt.go().success().stdout(PLAIN);
        }
        gnupg.encfile(["decrypt", "app.yaml"]).go().code(128);
        gnupg
            .encfile(["rotate", "-i", "app.yaml"])
            .env("SOPS_AGE_KEY_FILE", ALICE.path())
            .go()
            .success();
        assert_eq!(fingerprints(&gnupg, "app.yaml"), [GOLDEN]);
        let decrypt = gnupg.real_sops(["decrypt", "app.yaml"]).secrets_in_messages();
        decrypt.env("SOPS_AGE_KEY_FILE", BOB.path()).go().success().stdout(PLAIN);
    }
}

#[test]
fn gpg_is_asked_when_its_turn_comes_in_the_decryption_order() {
    let gnupg = Gnupg::new();
    let alice = ALICE.recipient();
    gnupg.encfile(["encrypt", "-i", "--pgp", GOLDEN, "--age", &alice, "app.yaml"]).go().success();
    gnupg.program("my-gpg", "#!/bin/sh\necho asked >> \"$HOME/asked\"\nexec /usr/bin/gpg \"$@\"\n");
    gnupg.env("SOPS_GPG_EXEC", "my-gpg").env("SOPS_AGE_KEY_FILE", ALICE.path());
    for (order, asked) in [("age,pgp", false), ("", false), ("pgp,age", true), ("pgp", true)] {
        gnupg
            .encfile(["decrypt", "--decryption-order", order, "app.yaml"])
            .go()
            .success()
            .stdout(PLAIN);
        let log = gnupg.home().join("asked");
        assert_eq!(log.exists(), asked, "{order:?}");
        let _ = std::fs::remove_file(log);
    }
}

#[test]
fn a_passphrase_is_asked_for_at_the_terminal_without_gpg_tty() {
    let gnupg = Gnupg::empty();
    let key = gnupg.make_key("Locked", &[], "open sesame", "never");
    gnupg.encfile(["encrypt", "-i", "--pgp", &key, "app.yaml"]).go().success();
    std::fs::write(gnupg.file("gpg-agent.conf"), "pinentry-program /usr/bin/pinentry-curses\n")
        .unwrap();
    gnupg.kill_agent();
    at_terminal(&gnupg).spawn().answer("Passphrase", "open sesame\r").wait().success();
    assert_eq!(gnupg.read("plain.yaml"), PLAIN);
}

/// Runs `encfile decrypt` of `app.yaml` to `plain.yaml` with a terminal of its own.
fn at_terminal(gnupg: &Gnupg) -> Run<'_> {
    let program = env!("CARGO_BIN_EXE_encfile");
    let arguments = ["--ctty", "--wait", program, "decrypt", "--output", "plain.yaml", "app.yaml"];
    gnupg
        .run(&peers::system("setsid"), arguments)
        .env("TERM", "xterm")
        .stdin(Stdin::Terminal(Vec::new()))
}

/// What `decrypt` says where `gpg` fails; `why` is indented as there.
fn not_opened(why: &str) -> String {
    format!(
        "error[data-key]: Failed to get the data key required to decrypt the SOPS file.
  --> app.yaml

Group 0: FAILED
  {GOLDEN}: FAILED
    - | failed to decrypt sops data key with pgp: {why}

Recovery failed because no master key was able to decrypt the file.
What could unwrap them was looked for in:
  gpg: GNUPGHOME=<sandbox>/home/gnupg
help: import your secret key into gpg, or set GNUPGHOME to where gpg has it; `gpg \
--list-secret-keys` shows what is there
"
    )
}

/// What `encrypt` says where `gpg` fails.
fn not_wrapped(key: &str, why: &str) -> String {
    format!(
        "error[wrap]: Could not generate data key: [failed to encrypt new data key with master key \
         \"{key}\": failed to encrypt sops data key with pgp: {why}]\n"
    )
}

/// What is said where there is no `gpg`.
const NO_GPG: &str = "there is no program `gpg` in `PATH`; install GnuPG, or set SOPS_GPG_EXEC to \
                      the program to use in place of gpg";

#[test]
fn a_missing_secret_key_is_told_in_the_words_of_gpg() {
    let gnupg = Gnupg::new();
    gnupg.encrypt().forget_keys();
    let why = "gpg: encrypted with RSA key, ID F956177C28BCCC38\n      \
               | gpg: decryption failed: No secret key";
    gnupg.encfile(["decrypt", "app.yaml"]).go().code(128).no_stdout().stderr(&not_opened(why));
}

#[test]
fn a_key_that_gpg_does_not_have_is_no_recipient() {
    let gnupg = Gnupg::empty();
    let why = format!(
        "gpg: {GOLDEN}: skipped: No public key\ngpg: [stdin]: encryption failed: No public key"
    );
    let run = gnupg.encfile(["encrypt", "--pgp", GOLDEN, "app.yaml"]).go().code(1).no_stdout();
    run.stderr(&not_wrapped(GOLDEN, &why));
}

#[test]
fn an_expired_key_is_no_recipient() {
    let gnupg = Gnupg::empty();
    let key = gnupg.make_key("Old", &["--faked-system-time", "20200101T000000"], "", "1d");
    let why = format!(
        "gpg: {key}: skipped: Unusable public key\n\
         gpg: [stdin]: encryption failed: Unusable public key"
    );
    let run = gnupg.encfile(["encrypt", "--pgp", &key, "app.yaml"]).go().code(1).no_stdout();
    run.stderr(&not_wrapped(&key, &why));
}

#[test]
fn a_machine_without_gpg_is_told_what_to_install() {
    let gnupg = Gnupg::new();
    gnupg.encrypt();
    let path = gnupg.home().join("nothing");
    let decrypt = gnupg.encfile(["decrypt", "app.yaml"]).env("PATH", &path);
    decrypt.go().code(128).no_stdout().stderr(&not_opened(NO_GPG));
    gnupg.write("app.yaml", PLAIN);
    let encrypt = gnupg.encfile(["encrypt", "--pgp", GOLDEN, "app.yaml"]).env("PATH", &path);
    encrypt.go().code(1).no_stdout().stderr(&not_wrapped(GOLDEN, NO_GPG));
}

#[test]
fn a_program_in_place_of_gpg_that_does_not_do_its_work_is_an_error() {
    let gnupg = Gnupg::new();
    gnupg.encrypt();
    let decrypt = |program: &str| {
        gnupg
            .encfile(["decrypt", "app.yaml"])
            .env("SOPS_GPG_EXEC", program)
            .go()
            .code(128)
            .no_stdout()
    };
    decrypt("/nowhere/gpg").says(["`/nowhere/gpg` could not be run: No such file or directory"]);
    decrypt("/bin/true").says(["failed to decrypt sops data key with pgp: zero bytes returned"]);
    decrypt("/bin/false").says(["`/bin/false` failed: exit status: 1"]);
    decrypt("/bin/echo").says(["what was unwrapped is 39 bytes long; a data key has 32"]);
    gnupg.write("app.yaml", PLAIN);
    gnupg
        .encfile(["encrypt", "--pgp", GOLDEN, "app.yaml"])
        .env("SOPS_GPG_EXEC", "/bin/echo")
        .go()
        .code(1)
        .no_stdout()
        .says(["failed to encrypt sops data key with pgp: gpg printed no message"]);
}

#[test]
fn a_message_that_is_broken_is_an_error() {
    let gnupg = Gnupg::new();
    gnupg.encrypt();
    let text =
        gnupg.read("app.yaml").replace("-----BEGIN PGP MESSAGE-----", "-----BEGIN NOTHING-----");
    gnupg.write("app.yaml", text);
    gnupg
        .encfile(["decrypt", "app.yaml"])
        .go()
        .code(128)
        .no_stdout()
        .says(["failed to decrypt sops data key with pgp: gpg: no valid OpenPGP data found."]);
}

#[test]
fn what_is_no_fingerprint_is_refused_before_gpg_runs() {
    let gnupg = Gnupg::new();
    gnupg.env("SOPS_GPG_EXEC", "/bin/false");
    for text in ["golden@example.com", "-o", "--output=app.yaml", "09191A03"] {
        let flag = format!("--pgp={text}");
        let run = gnupg.encfile(["encrypt", &flag, "app.yaml"]).go().failure();
        run.says([text, "is no fingerprint of a PGP key"]);
        gnupg.write(".sops.yaml", format!("creation_rules:\n  - pgp: '{text}'\n"));
        let run = gnupg.encfile(["encrypt", "app.yaml"]).go().failure();
        run.says([text, "is no fingerprint of a PGP key"]);
        std::fs::remove_file(gnupg.path(".sops.yaml")).unwrap();
    }
}

#[test]
fn waiting_for_a_card_ends_with_a_signal() {
    let gnupg = Gnupg::new();
    gnupg.encrypt();
    gnupg.program("slow-gpg", "#!/bin/sh\necho > waiting\nexec sleep 600\n");
    gnupg.env("SOPS_GPG_EXEC", "slow-gpg");
    for command in [&["decrypt", "app.yaml"][..], &["rotate", "-i", "app.yaml"]] {
        let before = gnupg.read("app.yaml");
        let running = gnupg.encfile(command).spawn();
        gnupg.wait_for_file("waiting");
        running.signal_group(Signal::INT);
        running.wait().no_success().no_stdout();
        assert_eq!(gnupg.read("app.yaml"), before);
        std::fs::remove_file(gnupg.path("waiting")).unwrap();
    }
}

#[test]
fn services_of_both_use_the_keys_that_they_have_for_the_clients_of_both() {
    let gnupg = Gnupg::new();
    let full = gnupg.file("");
    let empty = gnupg.path("empty");
    private_directory(&empty);
    gnupg.env("GNUPGHOME", &empty);
    assert_both_serve_both(&gnupg, &["--pgp", GOLDEN], &[("GNUPGHOME", &full)]);
}
