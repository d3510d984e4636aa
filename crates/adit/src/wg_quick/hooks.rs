//! The commands of PreUp, PostUp, PreDown and PostDown.

use std::env;
use std::process::{Child, Command, Stdio};

use zeroize::Zeroizing;

use super::{Failure, say};
use crate::config_file;

/// Runs commands one after the other, `%i` in them being the interface. The first that fails ends it.
pub(super) fn run<'a>(interface: &str, hooks: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    for hook in hooks {
        Running::start(interface, hook, Stdio::inherit)?.end()?;
    }
    Ok(())
}

/// Runs commands that undo what others may have done or not: each of them, with a warning for one that fails.
pub(super) fn run_each(interface: &str, hooks: &[String]) {
    for hook in hooks {
        if let Err(failure) = run(interface, [hook.as_str()]) {
            say(format_args!("Warning: {}", failure.message));
        }
    }
}

/// Runs a command, `%i` in it being the interface, and returns what it prints.
pub(super) fn output(interface: &str, command: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut running = Running::start(interface, command, Stdio::piped)?;
    let text = match running.child.stdout.take() {
        Some(mut stdout) => config_file::all(&mut stdout, 0),
        None => Ok(Zeroizing::default()),
    };
    running.end()?;
    text.map_err(|error| Failure::new(format!("cannot read what the command prints: {error}")))
}

/// Returns a command as it is run.
pub(super) fn line(interface: &str, command: &str) -> String {
    command.replace("%i", interface)
}

/// A command that runs.
struct Running {
    line: String,
    child: Child,
}

impl Running {
    /// The stock tool has its commands read by bash; what is written for another shell works there, too.
    fn start(interface: &str, command: &str, stdout: fn() -> Stdio) -> Result<Self, Failure> {
        let line = line(interface, command);
        say(format_args!("[#] {line}"));
        let mut failure = None;
        for shell in ["bash", "sh"] {
            let mut command = Command::new(shell);
            command.args(["-c", &line]).env("LC_ALL", "C").stdout(stdout());
            if let Some(path) = path_with_us_first() {
                command.env("PATH", path);
            }
            match command.spawn() {
                Ok(child) => return Ok(Self { line, child }),
                Err(error) => failure = Some(Failure::new(format!("cannot run {shell}: {error}"))),
            }
        }
        Err(failure.unwrap_or_else(|| Failure::new("there is no shell")))
    }

    fn end(mut self) -> Result<(), Failure> {
        let status = self.child.wait();
        let status = status.map_err(|error| Failure::new(format!("cannot wait for the command: {error}")))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure {
            message: format!("the command failed: {}", self.line),
            status: status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        })
    }
}

/// So that `wg` in a command is the one beside this program.
fn path_with_us_first() -> Option<std::ffi::OsString> {
    let own = env::args_os().next().map(std::path::PathBuf::from)?;
    let own = own.parent().filter(|folder| folder.is_absolute())?.to_owned();
    let path = env::var_os("PATH")?;
    env::join_paths(std::iter::once(own).chain(env::split_paths(&path))).ok()
}
