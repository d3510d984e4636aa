//! What is wrong with a file, and where: in words for people, with a code for programs.
//!
//! Invariant: no problem repeats a text that may be a key.

use std::fmt;

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// Of its first character.
    pub at: Position,
    /// What was written there.
    pub value: T,
}

/// How bad a problem is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works; something else may be meant or better.
    Hint,
    /// It works, but hardly as meant.
    Warning,
    /// It does not work.
    Error,
}

impl Severity {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Position,
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for this kind of problem, such as `unknown-key`.
    pub code: &'static str,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl Problem {
    /// Starts an error without a hint.
    pub fn error(at: Position, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(at, Severity::Error, code, message)
    }

    /// Starts a warning without a hint.
    pub fn warning(at: Position, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(at, Severity::Warning, code, message)
    }

    /// Starts a problem without a hint.
    pub fn new(at: Position, severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            at,
            severity,
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// Writes `LINE:COLUMN: SEVERITY: MESSAGE`, to go behind the name of the file and a colon, and the hint on a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.at, self.severity.word(), self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    {hint}"),
            None => Ok(()),
        }
    }
}
