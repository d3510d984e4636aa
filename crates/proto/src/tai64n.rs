//! The TAI64N stamp of an initiation: the replay protection of the handshake (paper §5.1).
//!
//! Nanoseconds are rounded down to a multiple of 2^24 (16.8 ms), so that the stamp does not reveal the clock of the sender
//! finely. Invariant: stamps order like the time they were made from, compared byte by byte.

use core::time::Duration;

/// The length of a stamp, in bytes.
pub(crate) const TAI64N_LEN: usize = 12;

/// TAI64 label of the UNIX epoch: 2^62, and the 10 leap seconds that TAI was ahead in 1970.
const EPOCH_LABEL: u64 = 0x4000_0000_0000_000a;

/// The bits of the nanoseconds that are hidden: 2^24 ns is the largest power of two within 1/50 s.
const WHITENED_NANOS: u32 = (1 << 24) - 1;

/// A stamp: 8 bytes of seconds, then 4 bytes of nanoseconds, both big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tai64n([u8; TAI64N_LEN]);

impl Tai64n {
    /// The stamp that every other one is greater than.
    pub(crate) const ZERO: Self = Self([0; TAI64N_LEN]);

    /// Makes the stamp of a wall-clock time, given as the time since the UNIX epoch.
    pub(crate) fn from_wall(wall: Duration) -> Self {
        let seconds = EPOCH_LABEL.saturating_add(wall.as_secs());
        let nanos = wall.subsec_nanos() & !WHITENED_NANOS;
        let mut bytes = [0; TAI64N_LEN];
        bytes[..8].copy_from_slice(&seconds.to_be_bytes());
        bytes[8..].copy_from_slice(&nanos.to_be_bytes());
        Self(bytes)
    }

    pub(crate) const fn from_bytes(bytes: [u8; TAI64N_LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; TAI64N_LEN] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector() {
        let stamp = Tai64n::from_wall(Duration::new(1_700_000_000, 123_456_789));
        assert_eq!(
            stamp.as_bytes(),
            &[0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x07, 0, 0, 0]
        );
    }

    #[test]
    fn times_within_one_slot_are_equal_and_later_slots_are_greater() {
        let at = |nanos| Tai64n::from_wall(Duration::new(5, nanos));
        assert_eq!(at(0), at((1 << 24) - 1));
        assert!(at(1 << 24) > at(0));
        assert!(Tai64n::from_wall(Duration::new(6, 0)) > at(999_999_999));
        assert!(Tai64n::from_wall(Duration::ZERO) > Tai64n::ZERO);
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        assert!(Tai64n::from_wall(Duration::MAX) > Tai64n::from_wall(Duration::new(1 << 40, 0)));
    }
}
