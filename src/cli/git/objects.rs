//! The contents of blobs, from one process that is asked for each of them.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::cli::git::GitError;
use crate::secret::SecretBytes;

/// A running `git cat-file --batch`.
#[derive(Debug)]
pub struct Objects {
    process: Child,
    /// Taken when it ends, so that the process sees the end of its input.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Objects {
    pub(super) fn start(mut command: Command) -> Result<Objects, GitError> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(failed)?;
        let questions = process.stdin.take();
        let Some(answers) = process.stdout.take() else {
            return Err(failed(io::Error::other("it has no output")));
        };
        Ok(Objects { process, questions, answers: BufReader::with_capacity(1 << 16, answers) })
    }

    /// Returns the content of the object called `name`, such as a blob's hash or `REV:path`; `None`
    /// if there is none.
    ///
    /// # Errors
    /// If git ends, or does not answer as it should.
    pub fn read(&mut self, name: &[u8]) -> Result<Option<SecretBytes>, GitError> {
        // A line break would be another question.
        if name.contains(&b'\n') {
            return Ok(None);
        }
        let Some(questions) = &mut self.questions else { return Ok(None) };
        let mut question = name.to_vec();
        question.push(b'\n');
        questions.write_all(&question).and_then(|()| questions.flush()).map_err(failed)?;
        let mut head = Vec::new();
        self.answers.read_until(b'\n', &mut head).map_err(failed)?;
        let unclear = || GitError::Answer { command: "cat-file".to_owned() };
        let head = head.strip_suffix(b"\n").ok_or_else(unclear)?;
        if [&b" missing"[..], b" ambiguous"].iter().any(|end| head.ends_with(end)) {
            return Ok(None);
        }
        // `HASH TYPE LENGTH`.
        let mut words = head.rsplit(|&byte| byte == b' ');
        let length = words.next().and_then(|word| std::str::from_utf8(word).ok());
        let length: usize = length.and_then(|word| word.parse().ok()).ok_or_else(unclear)?;
        let mut content = SecretBytes::new();
        content.resize(length);
        self.answers.read_exact(content.as_mut_slice()).map_err(failed)?;
        let mut end = [0];
        self.answers.read_exact(&mut end).map_err(failed)?;
        Ok((words.next() == Some(b"blob")).then_some(content))
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // Without questions it ends by itself.
        self.questions = None;
        let _ = self.process.wait();
    }
}

fn failed(source: io::Error) -> GitError {
    GitError::Io { command: "cat-file".to_owned(), source }
}
