//! Running helper programs and waiting for conditions.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// Runs `command` to its end and returns its standard output.
///
/// # Errors
/// Says which command failed, how, and what it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!(
        "{shown}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// Calls `attempt` every 20 ms until it succeeds; after `limit` returns its last error.
///
/// # Errors
/// The last error of `attempt`, with the time waited.
pub fn until<T>(limit: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() >= limit => return Err(format!("after {limit:?}: {error}")),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
