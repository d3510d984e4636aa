//! Programs of others that may be there or not.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::say;

/// How long a program may take: all tunnels of the machine wait for it.
const TIME: Duration = Duration::from_secs(20);

/// Finds a program on the search path.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Runs a program with a text to read. One that hangs is ended with all that it started.
pub(super) fn run(program: &str, words: &[&str], input: &str) -> Result<(), String> {
    say(format_args!("[#] {program} {}", words.join(" ")));
    run_within(TIME, Command::new(program).args(words), input).map(drop)
}

/// Runs a program that reads nothing, and returns what it prints. One that hangs is ended like those of [`run`].
pub(super) fn output(program: &str) -> Result<Vec<u8>, String> {
    run_within(TIME, Command::new(program).stdout(Stdio::piped()), "")
}

/// Runs a command within a time, and returns what it prints if it has a pipe for it.
pub(super) fn run_within(time: Duration, command: &mut Command, input: &str) -> Result<Vec<u8>, String> {
    let output = end_within(time, command, input)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let program = command.get_program().display();
    Err(format!("{program} failed: {}", output.status))
}

/// Like [`run_within`], whatever the status at its end.
pub(super) fn end_within(time: Duration, command: &mut Command, input: &str) -> Result<Output, String> {
    let program = command.get_program().display().to_string();
    let mut run = || -> io::Result<Option<Output>> {
        let mut child = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        let group = Pid::from_child(&child);
        let (tell, told) = mpsc::channel();
        let input = input.as_bytes().to_vec();
        thread::spawn(move || {
            if let Some(mut stdin) = child.stdin.take() {
                // Who does not read says why by its status.
                let _ = stdin.write_all(&input);
            }
            let _ = tell.send(child.wait_with_output());
        });
        if let Ok(output) = told.recv_timeout(time) {
            return output.map(Some);
        }
        kill_process_group(group, Signal::KILL)?;
        Ok(None)
    };
    match run() {
        Ok(Some(output)) => Ok(output),
        Ok(None) => Err(format!("{program} did not end within {} s", time.as_secs())),
        Err(error) => Err(format!("{program} cannot be run: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reads_its_text_and_prints_or_fails_by_its_status() {
        let long = "x".repeat(1 << 20);
        let shell = |line| {
            run_within(
                TIME,
                Command::new("sh").args(["-c", line]).stdout(Stdio::piped()),
                &long,
            )
        };
        assert_eq!(shell("wc -c"), Ok(b"1048576\n".to_vec()));
        assert!(shell("exit 3").unwrap_err().contains("exit status: 3"));
        let nowhere = run_within(TIME, &mut Command::new("/nowhere"), "");
        assert!(nowhere.unwrap_err().contains("/nowhere cannot be run"));
    }

    #[test]
    fn one_that_hangs_is_ended_with_what_it_started() {
        let folder = std::env::temp_dir().join(format!("adit-program-{}", std::process::id()));
        let pid = folder.to_string_lossy();
        let line = format!("sleep 1000 & echo $! > {pid}; cat; wait");
        let hangs = run_within(Duration::from_millis(500), Command::new("sh").args(["-c", &line]), "");
        assert!(hangs.unwrap_err().contains("did not end"));
        let started: i32 = std::fs::read_to_string(&folder).unwrap().trim().parse().unwrap();
        let is_there = || {
            let state = std::fs::read_to_string(format!("/proc/{started}/stat")).unwrap_or_default();
            state.contains("(sleep)") && !state.contains(") Z ")
        };
        while is_there() {
            thread::sleep(Duration::from_millis(5));
        }
        std::fs::remove_file(&folder).unwrap();
    }
}
