//! Programs of others that may be there or not.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use super::say;

/// Finds a program on the search path.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Runs a program with a text to read.
pub(super) fn run(program: &str, words: &[&str], input: &str) -> Result<(), String> {
    say(format_args!("[#] {program} {}", words.join(" ")));
    let run = || -> io::Result<ExitStatus> {
        let mut child = Command::new(program).args(words).stdin(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read says why by its status.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait()
    };
    match run() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} failed: {status}")),
        Err(error) => Err(format!("{program} cannot be run: {error}")),
    }
}
