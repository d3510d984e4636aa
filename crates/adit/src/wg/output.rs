//! What goes to standard output, whole or not at all: a disk that is full is an error, not a lost key.

use std::io;

use rustix::fs::{FileType, Mode, fstat};
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

fn bytes(mut rest: &[u8]) -> Outcome {
    while !rest.is_empty() {
        match rustix::io::write(io::stdout(), rest) {
            Ok(len) => rest = rest.get(len..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            // Who reads has gone, as in `wg show | head`: nobody is left to tell.
            Err(rustix::io::Errno::PIPE) => return Err(Failure(String::new())),
            Err(error) => {
                return Err(Failure(format!(
                    "wg: cannot write to standard output: {}",
                    io::Error::from(error)
                )));
            }
        }
    }
    Ok(())
}
