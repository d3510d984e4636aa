//! Points in time as the caller sees them.
//!
//! The protocol never asks a clock: every input carries a [`Now`]. Ages and timers use the monotonic part, which must also
//! advance while the machine sleeps (CLOCK_BOOTTIME on Linux); the wall clock serves only TAI64N stamps and the
//! "latest handshake" time shown to people.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// A point on a monotonic clock, in nanoseconds since an arbitrary origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// Makes an instant from nanoseconds since the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time from `earlier` to `self`, or zero if `earlier` is the later one.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Adds a duration and stays at the end of time (2^64 − 1 ns, 584 years) on overflow.
    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// The time at which an input happens, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock, for ages and timers.
    pub mono: Instant,
    /// The wall clock, as the time since the UNIX epoch.
    pub wall: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(
            Instant::from_nanos(u64::MAX - 1) + Duration::from_secs(1),
            Instant::from_nanos(u64::MAX)
        );
        assert_eq!(Instant::ZERO + Duration::MAX, Instant::from_nanos(u64::MAX));
        assert_eq!(
            Instant::ZERO.saturating_duration_since(Instant::from_nanos(5)),
            Duration::ZERO
        );
        assert_eq!(
            Instant::from_nanos(7).saturating_duration_since(Instant::from_nanos(5)),
            Duration::from_nanos(2)
        );
    }
}
