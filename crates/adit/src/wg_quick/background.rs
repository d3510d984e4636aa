//! Programs of ours that go on when the command that started them has ended, and the terminal that it ran on.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sys::notify::{Event, Notify};
use sys::{daemon, poll};

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
        self.lengthen();
    }

    fn lengthen(&mut self) {
        self.0 = (self.0 * 2).min(Self::LONGEST);
    }

    /// Waits, but begins anew when the machine gets an address: it may have a network then, and routes and name servers follow.
    pub(super) fn wait_for_address(&mut self, news: &mut Notify) {
        let until = Instant::now() + self.0;
        let mut is_there = false;
        while !is_there {
            let left = until.saturating_duration_since(Instant::now());
            if !poll::readable(news.fd(), left).is_ok_and(|is_readable| is_readable) {
                thread::sleep(until.saturating_duration_since(Instant::now()));
                return self.lengthen();
            }
            let read = news.read(|event| is_there |= is_address(&event));
            is_there |= read.is_err();
        }
        *self = Self::new();
        self.wait();
    }
}

fn is_address(news: &Event) -> bool {
    match news {
        Event::Address(change) => !change.deleted,
        Event::Lost => true,
        Event::Link(_) | Event::Route(_) => false,
    }
}

/// Returns a number that tells what is begun from what was begun earlier.
pub(super) fn number() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}
