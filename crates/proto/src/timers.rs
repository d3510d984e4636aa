//! The five timers of a peer, as a table of deadlines. Paper, section 6.
//!
//! 1. Retransmit handshake: every initiation arms it for 5 s plus jitter; it sends another until the twentieth is unanswered.
//! 2. Send keepalive: data received arms it for 10 s; sending anything authenticated stops it, so that a side with nothing
//!    to say still answers. Data that arrives while it is armed asks for one more.
//! 3. New handshake: data sent arms it for 15 s plus jitter; receiving anything authenticated stops it, so that a dead peer
//!    is noticed.
//! 4. Zero key material: every new keypair restarts it; after 540 s all secrets of the peer are erased.
//! 5. Persistent keepalive: everything authenticated, sent or received, restarts it while an interval is configured.
//!
//! This table only stores; who arms, stops and obeys the timers is `tunnel/timers.rs`.

use core::time::Duration;

use crate::time::Instant;

/// A keypair is replaced by its initiator from this age on, when it sends.
pub(crate) const REKEY_AFTER_TIME: Duration = Duration::from_secs(120);
/// A keypair is neither used nor accepted from this age on.
pub const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);
/// The least time between two handshake messages to a peer, and the base of the retransmission timer.
pub(crate) const REKEY_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest jitter added to the retransmission and new-handshake timers, in milliseconds (a third of a second).
pub(crate) const REKEY_TIMEOUT_JITTER_MAX_MS: u32 = 333;
/// The retry counter beyond which a handshake is given up: 20 initiations in all, about the paper's 90 s.
pub(crate) const MAX_HANDSHAKE_ATTEMPTS: u32 = 18;
/// After data arrives, silence of this length is broken by a keepalive.
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// After data is sent, silence of this length (plus jitter) starts a handshake.
pub(crate) const NEW_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// The initiator replaces a keypair of this age also when it only receives: 180 − 10 − 5 s.
pub(crate) const REKEY_ON_RECEIVE_TIME: Duration = Duration::from_secs(165);
/// All secrets of a peer are erased when no new keypair was made for this long: three times 180 s.
pub(crate) const ZERO_KEY_TIME: Duration = Duration::from_secs(540);
/// The sender replaces its keypair once it used more counters than this.
pub(crate) const REKEY_AFTER_MESSAGES: u64 = 1 << 60;
/// The least time between two accepted initiations of a peer.
pub(crate) const INITIATION_GAP: Duration = Duration::from_millis(20);

/// One of the five timers of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Sends the initiation again, or gives up.
    RetransmitHandshake,
    /// Sends a keepalive because data arrived and nothing was answered.
    SendKeepalive,
    /// Starts a handshake because data was sent and nothing came back.
    NewHandshake,
    /// Erases handshake and keypairs.
    ZeroKeyMaterial,
    /// Sends the configured keepalive.
    PersistentKeepalive,
}

impl Timer {
    /// Every timer, in the order in which simultaneous ones expire.
    pub const ALL: [Timer; 5] = [
        Timer::RetransmitHandshake,
        Timer::SendKeepalive,
        Timer::NewHandshake,
        Timer::ZeroKeyMaterial,
        Timer::PersistentKeepalive,
    ];
}

/// The deadlines of one peer's timers.
#[derive(Clone, Debug)]
pub(crate) struct TimerTable {
    deadlines: [Instant; Timer::ALL.len()],
}

/// The end of time stands for "not armed".
const NEVER: Instant = Instant::from_nanos(u64::MAX);

impl Default for TimerTable {
    fn default() -> Self {
        Self {
            deadlines: [NEVER; Timer::ALL.len()],
        }
    }
}

impl TimerTable {
    /// Arms `timer`, replacing an earlier deadline.
    pub(crate) fn arm(&mut self, timer: Timer, deadline: Instant) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = deadline;
        }
    }

    /// Stops `timer`.
    pub(crate) fn stop(&mut self, timer: Timer) {
        self.arm(timer, NEVER);
    }

    /// Stops all timers.
    pub(crate) fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// Returns when `timer` expires, or `None` if it is not armed.
    pub(crate) fn deadline(&self, timer: Timer) -> Option<Instant> {
        self.deadlines
            .get(timer as usize)
            .copied()
            .filter(|&deadline| deadline != NEVER)
    }

    /// Tells whether `timer` is armed.
    pub(crate) fn is_armed(&self, timer: Timer) -> bool {
        self.deadline(timer).is_some()
    }

    /// Returns the timer that expires first.
    pub(crate) fn next(&self) -> Option<(Instant, Timer)> {
        Timer::ALL
            .into_iter()
            .filter_map(|timer| Some((self.deadline(timer)?, timer)))
            .min()
    }

    /// Takes one timer that expired at `now` or before; it is then no longer armed.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        let (deadline, timer) = self.next()?;
        (deadline <= now).then(|| {
            self.stop(timer);
            timer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_first_and_each_once() {
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        let mut table = TimerTable::default();
        assert_eq!(table.next(), None);
        table.arm(Timer::ZeroKeyMaterial, at(9));
        table.arm(Timer::SendKeepalive, at(3));
        table.arm(Timer::NewHandshake, at(3));
        assert_eq!(table.next(), Some((at(3), Timer::SendKeepalive)));
        assert_eq!(table.take_expired(at(2)), None);
        assert_eq!(table.take_expired(at(4)), Some(Timer::SendKeepalive));
        assert_eq!(table.take_expired(at(4)), Some(Timer::NewHandshake));
        assert_eq!(table.take_expired(at(4)), None);
        table.arm(Timer::ZeroKeyMaterial, at(20));
        assert_eq!(table.take_expired(at(10)), None);
        table.stop_all();
        assert!(!table.is_armed(Timer::ZeroKeyMaterial));
    }
}
