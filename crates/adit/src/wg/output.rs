//! What goes to standard output, whole or not at all: a disk that is full is an error, not a lost key.

use std::io;

use rustix::fs::{FileType, Mode, fstat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{Failure, Outcome};

/// Writes a key and a line end.
pub(super) fn key(key: &str) -> Outcome {
    // At once, and past the buffer of standard output, which would keep a copy.
    let line = Zeroizing::new([key.as_bytes(), b"\n"].concat());
    bytes(&line)
}

/// Writes text that may hold keys.
pub(super) fn text(text: &str) -> Outcome {
    bytes(text.as_bytes())
}

/// Warns where standard output is a file that others have any right to.
pub(super) fn warn_if_others_can_read() {
    let Ok(status) = fstat(io::stdout()) else { return };
    let regular = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    if regular && Mode::from_raw_mode(status.st_mode).intersects(Mode::RWXO) {
        eprintln!("Warning: writing to world accessible file.\nConsider setting the umask to 077 and trying again.");
    }
}

/// Writes all of it.
///
/// # Errors
/// `EPIPE` where the reader has gone, or what else the system says.
pub(super) fn write(mut rest: &[u8]) -> Result<(), Errno> {
    while !rest.is_empty() {
        match rustix::io::write(io::stdout(), rest) {
            Ok(len) => rest = rest.get(len..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Says that standard output cannot be written. Where its reader has gone, as in `wg show | head`, nobody is left to tell.
pub(super) fn failure(error: Errno) -> Failure {
    match error {
        Errno::PIPE => Failure(String::new()),
        error => Failure(format!("cannot write to standard output: {}", io::Error::from(error))),
    }
}

fn bytes(bytes: &[u8]) -> Outcome {
    write(bytes).map_err(failure)
}
