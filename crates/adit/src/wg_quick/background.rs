//! Programs of ours that go on when the command that started them has ended, and the terminal that it ran on.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sys::daemon;

/// Starts `wg-quick` with words. It holds no terminal, folder or file of who starts it.
pub(super) fn start(words: impl IntoIterator<Item = impl AsRef<OsStr>>, stdin: Stdio) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("wg-quick").args(words).current_dir("/");
    command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null());
    daemon::detach(&mut command);
    daemon::close_from(&mut command, daemon::FIRST_FD);
    command.spawn().map(drop)
}

/// Waits between one try and the next: a second, then twice as long each time, a minute at most.
pub(super) struct Patience(Duration);

impl Patience {
    const LONGEST: Duration = Duration::from_secs(60);

    pub(super) const fn new() -> Self {
        Self(Duration::from_secs(1))
    }

    pub(super) fn wait(&mut self) {
        thread::sleep(self.0);
        self.0 = (self.0 * 2).min(Self::LONGEST);
    }
}

/// Returns a number that tells what is begun from what was begun earlier.
pub(super) fn number() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}
