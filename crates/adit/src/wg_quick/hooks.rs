//! The commands of PreUp, PostUp, PreDown and PostDown.

use std::env;
use std::io;
use std::process::{Command, ExitStatus, Stdio};

use zeroize::Zeroizing;

use super::{Failure, say};
use crate::config_file;

/// Runs commands one after the other, `%i` in them being the interface. The first that fails ends it.
pub(super) fn run<'a>(interface: &str, hooks: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    for hook in hooks {
        let line = hook.replace("%i", interface);
        say(format_args!("[#] {line}"));
        check(&line, shell(&line, Command::status)?)?;
    }
    Ok(())
}

/// Runs a command, `%i` in it being the interface, and returns what it prints.
pub(super) fn output(interface: &str, command: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let line = command.replace("%i", interface);
    say(format_args!("[#] {line}"));
    let (text, status) = shell(&line, |command| {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let text = match &mut child.stdout {
            Some(stdout) => config_file::all(stdout, 0)?,
            None => Zeroizing::default(),
        };
        Ok((text, child.wait()?))
    })?;
    check(&line, status).map(|()| text)
}

/// The stock tool has its commands read by bash; what is written for another shell works there, too.
fn shell<T>(line: &str, run: impl Fn(&mut Command) -> io::Result<T>) -> Result<T, Failure> {
    let mut failure = None;
    for shell in ["bash", "sh"] {
        let mut command = Command::new(shell);
        command.args(["-c", line]).env("LC_ALL", "C");
        if let Some(path) = path_with_us_first() {
            command.env("PATH", path);
        }
        match run(&mut command) {
            Ok(ended) => return Ok(ended),
            Err(error) => failure = Some(Failure::new(format!("cannot run {shell}: {error}"))),
        }
    }
    Err(failure.unwrap_or_else(|| Failure::new("there is no shell")))
}

fn check(line: &str, status: ExitStatus) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    Err(Failure {
        message: format!("the command failed: {line}"),
        status: status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
    })
}

/// So that `wg` in a command is the one beside this program.
fn path_with_us_first() -> Option<std::ffi::OsString> {
    let own = env::args_os().next().map(std::path::PathBuf::from)?;
    let own = own.parent().filter(|folder| folder.is_absolute())?.to_owned();
    let path = env::var_os("PATH")?;
    env::join_paths(std::iter::once(own).chain(env::split_paths(&path))).ok()
}
