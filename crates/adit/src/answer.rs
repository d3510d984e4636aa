//! How a command ends that answers a question, for scripts: 0 for yes, 1 for no, 2 when there is no answer.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use serde::Serialize;

/// The exit status of a command that could not do its work, or did not understand its line.
pub(crate) const NO_ANSWER: u8 = 2;

/// Why there is no answer, for standard error. Empty where nobody is left to tell.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    /// What failed, and the error of it.
    pub(crate) fn new(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// Output that cannot be written.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Who reads has gone, as in `adit allowed-ips … | head`.
            io::ErrorKind::BrokenPipe => Self(String::new()),
            _ => Self::new("cannot write to standard output", error),
        }
    }
}

/// Ends `adit command`: says why there is no answer, if there is none.
pub(crate) fn exit(command: &str, answer: Result<bool, Failure>) -> ExitCode {
    match answer {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure(text)) => {
            if !text.is_empty() {
                eprintln!("adit {command}: {text}");
            }
            ExitCode::from(NO_ANSWER)
        }
    }
}

/// Writes to standard output, in large pieces and to the end.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)?;
    Ok(out.flush()?)
}

/// Writes an object, with the version of its schema, on a line.
pub(crate) fn json(out: &mut dyn Write, version: u32, answer: &impl Serialize) -> io::Result<()> {
    #[derive(Serialize)]
    struct Versioned<'a, T> {
        version: u32,
        #[serde(flatten)]
        answer: &'a T,
    }
    serde_json::to_writer(&mut *out, &Versioned { version, answer })?;
    writeln!(out)
}
