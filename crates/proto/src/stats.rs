//! Counters of one tunnel.

use crate::error::DropReason;

/// What a tunnel did since it was made.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Drops by [`DropReason::index`].
    pub drops: [u64; DropReason::COUNT],
    /// Initiations made, whether or not there was an endpoint to send them to.
    pub initiations_sent: u64,
    /// Responses sent.
    pub responses_sent: u64,
    /// Cookie replies sent.
    pub cookie_replies_sent: u64,
    /// Cookie replies accepted.
    pub cookies_received: u64,
    /// Handshakes completed, in either role.
    pub handshakes_completed: u64,
    /// Events lost because nobody fetched them.
    pub events_lost: u64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            drops: [0; DropReason::COUNT],
            initiations_sent: 0,
            responses_sent: 0,
            cookie_replies_sent: 0,
            cookies_received: 0,
            handshakes_completed: 0,
            events_lost: 0,
        }
    }
}

impl Stats {
    /// Returns how often something was dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.get(reason.index()).copied().unwrap_or(0)
    }

    pub(crate) fn count_drop(&mut self, reason: DropReason, n: u64) {
        if let Some(count) = self.drops.get_mut(reason.index()) {
            *count = count.saturating_add(n);
        }
    }
}
