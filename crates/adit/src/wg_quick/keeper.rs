//! Brings a tunnel up again whose engine was killed, where no systemd does: a small program beside each engine, the keeper.
//!
//! It reads from a pipe that the engine has the other end of, and so wakes with the end of the engine only. An engine that ends by itself,
//! as it does when its interface is removed, says so there first; then the keeper ends, too. The journal names the keeper: one that is
//! not named there any more, as after `down`, `release` or another `up`, does nothing.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::background::Patience;
use super::file::File;
use super::{Failure, Outcome, background};

/// Starts the keeper of that number, which has an end of the engine's pipe. `backend` is a word that comes before what the file says.
pub(super) fn start(file: &File, backend: Option<&str>, number: u128, engine: PipeReader) -> Outcome {
    let number = number.to_string();
    let path = file.absolute()?;
    let mut words: Vec<&OsStr> = vec!["keep".as_ref(), number.as_ref(), file.interface.as_ref(), path.as_ref()];
    words.extend(backend.map(OsStr::new));
    let started = background::start(words, OwnedFd::from(engine).into());
    started.map_err(|error| Failure::new(format!("cannot start what would look after the engine: {error}")))
}

/// Waits for the end of the engine, and brings the tunnel up again as often as it takes: the machine may have no other way in. `again`
/// are the words after `keep`.
///
/// Each `up` is a program of its own, so that this one stays small; one that comes to its end leaves a keeper of its own.
pub(super) fn keep(again: &[OsString]) -> Outcome {
    sys::program::forget_code();
    if io::stdin().read_exact(&mut [0]).is_ok() {
        return Ok(());
    }
    let mut patience = Patience::new();
    loop {
        patience.wait();
        let mut up = Command::new("/proc/self/exe");
        up.arg0("wg-quick").arg("again").args(again).stdin(Stdio::null());
        if up.status().is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
}
