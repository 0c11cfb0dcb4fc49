//! Programs that may take only so long.

use super::*;

fn sh<'a>(arguments: &'a [&'a str; 2]) -> Run<'a> {
    Run { program: "/bin/sh", arguments, env: &[], input: &[] }
}

fn machine() -> Machine {
    Machine::new(Personality::Encfile, Ui::new(Personality::Encfile))
}

#[test]
fn a_program_that_ends_in_time_is_answered_for() {
    let limit = Duration::from_secs(60);
    let run = ["-c", "echo out; echo said >&2; exit 3"];
    let finished = machine().run_within(limit, &sh(&run)).unwrap().unwrap();
    assert_eq!((&*finished.output, &*finished.said), (&b"out\n"[..], "said"));
    assert_eq!(finished.failure.as_deref(), Some("exit status: 3"));
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_what_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
    let open = rustix::fs::open(&fifo, flags, rustix::fs::Mode::empty()).unwrap();
    rustix::fs::fcntl_setfl(&open, rustix::fs::OFlags::empty()).unwrap();
    let script = format!("exec 9>{}; (sleep 60; echo late >&9) & wait", fifo.display());
    let run = ["-c", &script];
    let limit = Duration::from_millis(500);
    assert!(machine().run_within(limit, &sh(&run)).unwrap().is_none());
    // It ends when nobody has the FIFO open for writing any more.
    let mut written = String::new();
    std::fs::File::from(open).read_to_string(&mut written).unwrap();
    assert_eq!(written, "");
}
