//! Steps of a run: each is announced, timed, counted and, at the end, listed.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::tally::Tally;

/// What became of a step.
pub(crate) enum Outcome {
    /// A check that is one unit.
    Passed,
    /// A check that failed, and why.
    Failed(String),
    /// A tier that counted its own tests.
    Counted(Tally),
    /// What was missing; in CI the same as a failure.
    Skipped(String),
}

/// Why a task has no good result.
pub(crate) enum Failure {
    /// Something is missing on this machine.
    Missing(String),
    /// It was done, and went wrong.
    Failed(String),
}

impl Failure {
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Missing(text) | Self::Failed(text) => text,
        }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// Runs a task as a step, which prints what it has to say.
pub(crate) fn task(result: Result<String, Failure>) -> Outcome {
    match result {
        Ok(text) => {
            println!("{text}");
            Outcome::Passed
        }
        Err(Failure::Missing(what)) => Outcome::Skipped(what),
        Err(Failure::Failed(why)) => Outcome::Failed(why),
    }
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Steps {
    total: Tally,
    lines: Vec<String>,
}

/// True where skipping is not allowed.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

impl Steps {
    /// Runs and records one step.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = match work() {
            Outcome::Skipped(why) if in_ci() => Outcome::Failed(why),
            outcome => outcome,
        };
        let (tally, word) = match outcome {
            Outcome::Passed => (Tally { passed: 1, failed: 0 }, "passed".to_string()),
            Outcome::Failed(why) => (Tally { passed: 0, failed: 1 }, format!("FAILED: {why}")),
            Outcome::Counted(tally) => (tally, format!("{} passed, {} failed", tally.passed, tally.failed)),
            Outcome::Skipped(why) => (Tally::default(), format!("SKIPPED: {why}")),
        };
        self.total = self.total + tally;
        let line = format!("{:>7.1} s  {name}: {word}", start.elapsed().as_secs_f64());
        println!("{line}");
        self.lines.push(line);
    }

    /// Lists the steps and closes with the count, alone on the last line.
    pub(crate) fn finish(self, elapsed: Duration) -> ExitCode {
        println!("\n=== {:.1} s in all", elapsed.as_secs_f64());
        for line in &self.lines {
            println!("{line}");
        }
        println!("{} passed, {} failed", self.total.passed, self.total.failed);
        if self.total.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Runs a command whose exit code is the result.
pub(crate) fn check(mut command: Command) -> Outcome {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("{command:?}: {status}")),
        Err(error) => Outcome::Failed(format!("{command:?}: {error}")),
    }
}

/// Runs a command that counts tests; a bad exit without a failed test, as after a build error, is one failure.
pub(crate) fn count(mut command: Command) -> Outcome {
    let (output, success) = match watch(&mut command) {
        Ok(result) => result,
        Err(error) => return Outcome::Failed(format!("{command:?}: {error}")),
    };
    match Tally::parse(&output) {
        Some(tally) if success || tally.failed > 0 => Outcome::Counted(tally),
        Some(tally) => Outcome::Counted(tally + Tally { passed: 0, failed: 1 }),
        None if success => Outcome::Failed("no test was counted".into()),
        None => Outcome::Failed("it did not come to a count".into()),
    }
}

/// Runs a command, passes its lines on as they come, and returns them all with its success.
fn watch(command: &mut Command) -> std::io::Result<(String, bool)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let text = Mutex::new(String::new());
    let forward = |stream: Option<Box<dyn Read + Send>>| {
        for line in stream
            .into_iter()
            .flat_map(|s| BufReader::new(s).split(b'\n'))
            .map_while(Result::ok)
        {
            let line = String::from_utf8_lossy(&line).into_owned();
            println!("{line}");
            if let Ok(mut text) = text.lock() {
                text.push_str(&line);
                text.push('\n');
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| forward(stdout.map(|stream| Box::new(stream) as Box<dyn Read + Send>)));
        scope.spawn(|| forward(stderr.map(|stream| Box::new(stream) as Box<dyn Read + Send>)));
    });
    let success = child.wait()?.success();
    Ok((text.into_inner().unwrap_or_default(), success))
}
