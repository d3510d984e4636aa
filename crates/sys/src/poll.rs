//! Waiting for descriptors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::errno::check;

/// The most descriptors one [`Poller::wait`] takes.
pub const MAX_FDS: usize = 64;

/// Waits for several descriptors to become readable; keeps its memory between calls.
#[derive(Default)]
pub struct Poller {
    fds: Vec<libc::pollfd>,
}

/// Which descriptors of one [`Poller::wait`] are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready(u64);

impl Ready {
    /// Whether the descriptor at `position` is readable, or has an error or hang-up that a read will report.
    #[must_use]
    pub fn is(self, position: usize) -> bool {
        position < MAX_FDS && self.0 >> position & 1 == 1
    }

    /// Whether any is; `false` means that the time ran out.
    #[must_use]
    pub fn any(self) -> bool {
        self.0 != 0
    }
}

impl Poller {
    /// Makes a poller.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until a descriptor is readable, or for `patience` (`None`: for ever). Signals do not end the wait.
    ///
    /// # Errors
    /// `InvalidInput` for more than [`MAX_FDS`] descriptors, `OutOfMemory` from the kernel.
    pub fn wait(&mut self, fds: impl IntoIterator<Item = impl AsFd>, patience: Option<Duration>) -> io::Result<Ready> {
        self.fds.clear();
        self.fds
            .extend(fds.into_iter().map(|fd| pollfd(fd.as_fd(), libc::POLLIN)));
        if self.fds.len() > MAX_FDS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        wait(&mut self.fds, patience)?;
        let ready = self.fds.iter().enumerate().filter(|(_, fd)| fd.revents != 0);
        Ok(Ready(ready.fold(0, |bits, (position, _)| bits | 1 << position)))
    }
}

/// Waits until `fd` is readable; `false` when `patience` ends first.
///
/// # Errors
/// That of `ppoll(2)`.
pub fn readable(fd: BorrowedFd<'_>, patience: Duration) -> io::Result<bool> {
    wait(&mut [pollfd(fd, libc::POLLIN)], Some(patience))
}

/// Waits until `fd` takes data; `false` when `patience` ends first.
///
/// # Errors
/// That of `ppoll(2)`.
pub fn writable(fd: BorrowedFd<'_>, patience: Duration) -> io::Result<bool> {
    wait(&mut [pollfd(fd, libc::POLLOUT)], Some(patience))
}

fn pollfd(fd: BorrowedFd<'_>, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    }
}

/// Waits and returns whether any entry is ready.
fn wait(fds: &mut [libc::pollfd], patience: Option<Duration>) -> io::Result<bool> {
    let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
    let mut rest = patience;
    loop {
        let timeout = rest.map(|rest| libc::timespec {
            tv_sec: rest.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: rest.subsec_nanos() as _,
        });
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the array is borrowed exclusively and its length given; the timeout lives across the call or is null.
        let outcome =
            check(unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout, std::ptr::null()) });
        match outcome {
            Ok(count) => return Ok(count > 0),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Err(_) => rest = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake::EventFd;

    #[test]
    fn only_the_events_that_were_rung_are_ready_until_they_are_drained() {
        let events = [
            EventFd::new().unwrap(),
            EventFd::new().unwrap(),
            EventFd::new().unwrap(),
        ];
        let fds = events.each_ref().map(EventFd::fd);
        let mut poller = Poller::new();
        let nothing = poller.wait(fds, Some(Duration::from_millis(5))).unwrap();
        assert!(!nothing.any());
        events[1].notify();
        events[1].notify();
        let ready = poller.wait(fds, None).unwrap();
        assert!(ready.any() && !ready.is(0) && ready.is(1) && !ready.is(2) && !ready.is(200));
        assert!(events[1].drain() && !events[1].drain());
        assert!(!poller.wait(fds, Some(Duration::ZERO)).unwrap().any());
    }

    #[test]
    fn an_event_wakes_another_thread() {
        let event = EventFd::new().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(readable(event.fd(), Duration::from_secs(10)).unwrap()));
            event.notify();
        });
        assert!(writable(event.fd(), Duration::ZERO).unwrap());
    }
}
