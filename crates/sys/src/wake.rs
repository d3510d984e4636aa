//! A descriptor that one thread rings to wake another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, retry_on_intr, write};

/// An event: rung any number of times, it polls readable until it is drained.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Makes an event that has not been rung.
    ///
    /// # Errors
    /// That of `eventfd(2)`: out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
    }

    /// Returns the descriptor to poll for reading.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Rings.
    pub fn notify(&self) {
        // The only possible failure is a full counter: it has been rung then.
        let _ = retry_on_intr(|| write(&self.0, &1_u64.to_ne_bytes()));
    }

    /// Takes all rings at once and returns whether there was any.
    pub fn drain(&self) -> bool {
        retry_on_intr(|| read(&self.0, &mut [0; 8])).is_ok()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}
