//! One deadline on `CLOCK_BOOTTIME` as a descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{read, retry_on_intr};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// A timer that polls readable once its deadline has passed.
#[derive(Debug)]
pub struct TimerFd(OwnedFd);

impl TimerFd {
    /// Makes a timer without a deadline.
    ///
    /// # Errors
    /// That of `timerfd_create(2)`: out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        Ok(Self(timerfd_create(
            TimerfdClockId::Boottime,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?))
    }

    /// Returns the descriptor to poll for reading.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sets the deadline, in nanoseconds of [`crate::clock::boottime_nanos`], or takes it away.
    ///
    /// A deadline in the past rings at once. An earlier ring that has not been drained is forgotten.
    pub fn arm(&self, deadline: Option<u64>) {
        const NANOS: u64 = 1_000_000_000;
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A deadline of zero would disarm; one beyond the range of the kernel (292 years) never rings anyway.
        let it_value = deadline.map_or(zero, |nanos| {
            let nanos = nanos.clamp(1, u64::try_from(i64::MAX).unwrap_or(u64::MAX));
            Timespec {
                tv_sec: (nanos / NANOS) as _,
                tv_nsec: (nanos % NANOS) as _,
            }
        });
        let value = Itimerspec {
            it_interval: zero,
            it_value,
        };
        let outcome = timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &value);
        debug_assert!(
            outcome.is_ok(),
            "a valid time on a valid timer is never refused: {outcome:?}"
        );
    }

    /// Takes the ring, if there is one, and returns whether there was.
    pub fn drain(&self) -> bool {
        retry_on_intr(|| read(&self.0, &mut [0; 8])).is_ok()
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::boottime_nanos;
    use crate::poll::readable;

    const NOT_LONG: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(5);

    #[test]
    fn it_rings_once_at_its_deadline() {
        let timer = TimerFd::new().unwrap();
        assert!(!readable(timer.fd(), NOT_LONG).unwrap());
        let deadline = boottime_nanos() + 20_000_000;
        timer.arm(Some(deadline));
        assert!(readable(timer.fd(), LONG).unwrap());
        assert!(boottime_nanos() >= deadline);
        assert!(timer.drain());
        assert!(!timer.drain());
        assert!(!readable(timer.fd(), NOT_LONG).unwrap());
    }

    #[test]
    fn a_deadline_in_the_past_rings_at_once_and_none_not_at_all() {
        let timer = TimerFd::new().unwrap();
        timer.arm(Some(0));
        assert!(readable(timer.fd(), LONG).unwrap());
        timer.arm(None);
        assert!(!readable(timer.fd(), NOT_LONG).unwrap());
        timer.arm(Some(u64::MAX));
        assert!(!readable(timer.fd(), NOT_LONG).unwrap());
    }
}
