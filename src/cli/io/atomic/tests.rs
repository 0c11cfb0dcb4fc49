//! Tests of writing files.

use std::process::Stdio;

use super::*;
use crate::cli::io::read_with_stamp;
use crate::cli::os::testing::{child, is_child, names_in, wait_until};

fn put(path: &Path, content: &[u8]) {
    fs::remove_file(path).ok();
    File::create_new(path).unwrap().write_all(content).unwrap();
}

#[cfg(unix)]
fn mode_of(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o7777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_is_created_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.yaml");
    for content in [b"one".as_slice(), b"", &vec![7; 3_000_000]] {
        let written = write_atomic(&path, content, Mode::Keep).unwrap();
        assert_eq!(written.path, path);
        assert_eq!(written.notes, []);
        assert!(fs::read(&path).unwrap() == content);
        assert_eq!(names_in(directory.path()), ["f.yaml"]);
    }
}

#[cfg(unix)]
#[test]
fn modes_are_kept_or_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    write_atomic(&path, b"x", Mode::Private).unwrap();
    assert_eq!(mode_of(&path), 0o600);
    for mode in [0o640, 0o755, 0o664] {
        set_mode(&path, mode);
        write_atomic(&path, b"y", Mode::Keep).unwrap();
        assert_eq!(mode_of(&path), mode);
    }
    write_atomic(&path, b"z", Mode::Private).unwrap();
    assert_eq!(mode_of(&path), 0o600);
}

#[cfg(unix)]
#[test]
fn new_files_follow_the_umask_unless_private() {
    let directory = tempfile::tempdir().unwrap();
    let status = child("cli::io::atomic::tests::child_with_umask", directory.path()).status();
    assert!(status.unwrap().success());
}

#[cfg(unix)]
#[test]
#[ignore = "the work of another test"]
fn child_with_umask() {
    if !is_child() {
        return;
    }
    for (umask, expected) in [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664), (0, 0o666)] {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        fs::remove_file("f").ok();
        write_atomic(Path::new("f"), b"x", Mode::Keep).unwrap();
        assert_eq!(mode_of(Path::new("f")), expected);
        fs::remove_file("f").ok();
        write_atomic(Path::new("f"), b"x", Mode::Private).unwrap();
        assert_eq!(mode_of(Path::new("f")), 0o600);
    }
}

#[cfg(unix)]
#[test]
fn links_stay_and_what_they_lead_to_is_replaced() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("below");
    fs::create_dir(&below).unwrap();
    put(&below.join("f"), b"old");
    symlink("below/second", directory.path().join("first")).unwrap();
    symlink("f", below.join("second")).unwrap();
    let link = directory.path().join("first");
    let written = write_atomic(&link, b"new", Mode::Keep).unwrap();
    assert_eq!(written.path, below.join("f"));
    assert!(link.is_symlink() && below.join("second").is_symlink());
    assert!(!below.join("f").is_symlink());
    assert_eq!(fs::read(below.join("f")).unwrap(), b"new");

    symlink("below/new", directory.path().join("dangling")).unwrap();
    write_atomic(&directory.path().join("dangling"), b"x", Mode::Keep).unwrap();
    assert_eq!(fs::read(below.join("new")).unwrap(), b"x");

    symlink("circle", directory.path().join("circle")).unwrap();
    assert!(matches!(
        write_atomic(&directory.path().join("circle"), b"x", Mode::Keep),
        Err(IoError::SymlinkLoop { .. })
    ));
}

#[cfg(unix)]
#[test]
fn other_hard_links_keep_the_old_content_and_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let other = directory.path().join("other");
    put(&path, b"old");
    fs::hard_link(&path, &other).unwrap();
    let written = write_atomic(&path, b"new", Mode::Keep).unwrap();
    assert_eq!(written.notes, [WriteNote::OtherNamesKeepOldContent { others: 1 }]);
    assert_eq!(fs::read(&other).unwrap(), b"old");
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[cfg(unix)]
#[test]
fn a_write_protected_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    put(&path, b"old");
    set_mode(&path, 0o444);
    for mode in [Mode::Keep, Mode::Private] {
        assert!(matches!(write_atomic(&path, b"new", mode), Err(IoError::ReadOnly { .. })));
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names_in(directory.path()), ["f"]);
}

#[test]
fn what_is_no_file_is_refused_or_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let into = |target: &Path| write_atomic(target, b"x", Mode::Keep);
    assert!(matches!(into(directory.path()), Err(IoError::IsDirectory { .. })));
    assert!(matches!(into(&directory.path().join("missing/f")), Err(IoError::NoDirectory { .. })));
    #[cfg(unix)]
    {
        into(Path::new("/dev/null")).unwrap();
        assert!(!Path::new("/dev/null").is_file());
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(matches!(into(&socket), Err(IoError::NotAFile { .. })));
    }
    #[cfg(target_os = "linux")]
    assert!(matches!(into(Path::new("/dev/full")), Err(IoError::Write { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn a_stream_named_by_a_path_is_appended_to() {
    use std::os::fd::AsRawFd;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    put(&path, b"before\n");
    let open = File::options().append(true).open(&path).unwrap();
    let name = PathBuf::from(format!("/dev/fd/{}", open.as_raw_fd()));
    write_atomic(&name, b"after\n", Mode::Private).unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&name, &link).unwrap();
    write_atomic(&link, b"last\n", Mode::Private).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"before\nafter\nlast\n");
}

#[test]
fn a_change_by_somebody_else_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    put(&path, b"old");
    let (_, stamp) = read_with_stamp(&path).unwrap();
    let write = |stamp: &Stamp| write_atomic_if_unchanged(&path, b"new", Mode::Keep, stamp);
    let is_changed = |result| matches!(result, Err(IoError::ChangedMeanwhile { .. }));
    for by in [b"theirs".as_slice(), b"olD", b""] {
        put(&path, by);
        assert!(is_changed(write(&stamp)));
        assert_eq!(fs::read(&path).unwrap(), by);
    }
    fs::remove_file(&path).unwrap();
    assert!(is_changed(write(&stamp)));
    assert!(!path.exists());
    // The same content under another inode is no change.
    put(&path, b"old");
    write(&stamp).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert!(is_changed(write(&Stamp::absent())));
    fs::remove_file(&path).unwrap();
    write(&Stamp::absent()).unwrap();
    assert_eq!(names_in(directory.path()), ["f"]);
}

#[test]
fn an_unusual_name_gets_a_temporary_file() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["ü".repeat(127), "-x".to_owned(), "a\nb".to_owned()] {
        let path = directory.path().join(&name);
        write_atomic(&path, b"x", Mode::Keep).unwrap();
        write_atomic(&path, b"y", Mode::Keep).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"y");
    }
}

#[test]
fn no_update_of_concurrent_processes_is_lost() {
    const CHILDREN: usize = 4;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    put(&path, b"");
    let mut children: Vec<_> = (0..CHILDREN)
        .map(|_| {
            child("cli::io::atomic::tests::child_appending", directory.path())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let text = fs::read(&path).unwrap();
    assert_eq!(text.split(|&byte| byte == b'\n').count() - 1, CHILDREN * 20);
    assert_eq!(names_in(directory.path()), ["f"]);
}

#[test]
#[ignore = "the work of another test"]
fn child_appending() {
    if !is_child() {
        return;
    }
    let path = Path::new("f");
    for _ in 0..20 {
        loop {
            let (content, stamp) = read_with_stamp(path).unwrap();
            let mut new = content.to_vec();
            new.extend_from_slice(b"line\n");
            match write_atomic_if_unchanged(path, &new, Mode::Keep, &stamp) {
                Ok(_) => break,
                Err(IoError::ChangedMeanwhile { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn a_killed_writer_leaves_the_old_file_or_the_new_one() {
    use std::os::unix::process::ExitStatusExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    put(&path, &vec![b'a'; 300_000]);
    for round in 0..12u64 {
        let mut writer = child("cli::io::atomic::tests::child_writing", directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let running = directory.path().join("running");
        wait_until("the writer runs", || running.exists());
        std::thread::sleep(Duration::from_millis(round * 3));
        let is_term = round % 2 == 0;
        if is_term {
            let pid = rustix::process::Pid::from_child(&writer);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        } else {
            writer.kill().unwrap();
        }
        let status = writer.wait().unwrap();
        assert_eq!(status.signal(), Some(if is_term { 15 } else { 9 }));
        fs::remove_file(running).unwrap();
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len(), 300_000);
        assert!(content.iter().all(|byte| *byte == content[0]));
        for name in names_in(directory.path()) {
            if name != "f" {
                assert!(!is_term, "SIGTERM leaves `{name}`");
                fs::remove_file(directory.path().join(name)).unwrap();
            }
        }
    }
}

#[test]
#[ignore = "the work of another test"]
fn child_writing() {
    if !is_child() {
        return;
    }
    for round in 0..u64::MAX {
        let letter = b'a' + (round % 26) as u8;
        write_atomic(Path::new("f"), &vec![letter; 300_000], Mode::Keep).unwrap();
        if round == 0 {
            put(Path::new("running"), b"");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_limit_of_the_system_leaves_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    put(&directory.path().join("f"), b"old");
    // Through pipes: a log file that is longer than the limit would not take what it prints.
    let output = child("cli::io::atomic::tests::child_with_limit", directory.path()).output();
    assert!(output.unwrap().status.success());
    assert_eq!(fs::read(directory.path().join("f")).unwrap(), b"old");
    assert_eq!(names_in(directory.path()), ["f"]);
}

#[cfg(unix)]
#[test]
#[ignore = "the work of another test"]
fn child_with_limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    if !is_child() {
        return;
    }
    let limit = Some(20_000);
    setrlimit(Resource::Fsize, Rlimit { current: limit, maximum: limit }).unwrap();
    for name in ["f", "new"] {
        let result = write_atomic(Path::new(name), &vec![7; 100_000], Mode::Keep);
        assert!(matches!(result, Err(IoError::Write { .. })));
    }
}

#[cfg(unix)]
#[test]
fn a_directory_that_is_not_writable_is_named() {
    use std::os::unix::process::CommandExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    put(&path, b"old");
    set_mode(&path, 0o666);
    let mut command = child("cli::io::atomic::tests::child_unprivileged", directory.path());
    set_mode(directory.path(), 0o555);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let status = command.status();
    set_mode(directory.path(), 0o700);
    assert!(status.unwrap().success());
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[cfg(unix)]
#[test]
#[ignore = "the work of another test"]
fn child_unprivileged() {
    if !is_child() {
        return;
    }
    // Nobody else can read this process, but it can still read itself.
    crate::cli::os::harden();
    for name in ["f", "new"] {
        match write_atomic(Path::new(name), b"new", Mode::Keep) {
            Err(IoError::DirectoryNotWritable { directory, .. }) => {
                assert_eq!(directory, Path::new("."));
            }
            other => panic!("{other:?}"),
        }
    }
    write_atomic(Path::new("/dev/stdout"), b"", Mode::Keep).unwrap();
    write_atomic(Path::new("/dev/fd/1"), b"\n", Mode::Keep).unwrap();
}
