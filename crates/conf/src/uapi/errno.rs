//! Error numbers of the control protocol, and the reason why a request was refused.

use std::fmt;
use std::io;

/// A Linux error number as the control protocol sends it: always negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(i32);

impl Errno {
    /// `EIO`: the request could not be read.
    pub const INPUT_OUTPUT: Self = Self(-5);
    /// `EINVAL`: a key or value is not allowed, or not here.
    pub const INVALID: Self = Self(-22);
    /// `ENOSPC`: more peers than an interface can have.
    pub const NO_SPACE: Self = Self(-28);
    /// What has no better number.
    pub const OTHER: Self = Self(-55);
    /// `EPROTO`: a line that is not `key=value`.
    pub const PROTOCOL: Self = Self(-71);
    /// `EADDRINUSE`: the port is taken.
    pub const ADDRESS_IN_USE: Self = Self(-98);

    /// Returns the number of a system error, [`Errno::OTHER`] if it has none.
    pub fn from_io(error: &io::Error) -> Self {
        error
            .raw_os_error()
            .and_then(|number| Self::from_number(number.wrapping_neg()))
            .unwrap_or(Self::OTHER)
    }

    /// Takes a number as received, of either sign; `None` for 0, which means success.
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            0 | i32::MIN => None,
            number if number < 0 => Some(Self(number)),
            number => Some(Self(-number)),
        }
    }

    /// Returns the negative number.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.0.wrapping_neg()))
    }
}

impl std::error::Error for Errno {}

/// Why a request was refused: the line and a fixed text, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct UapiError {
    /// What the client is told.
    pub errno: Errno,
    /// The line in the request, counted from 1 for `get=1` or `set=1`.
    pub line: u32,
    /// What is wrong.
    pub reason: &'static str,
}
