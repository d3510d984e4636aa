//! Who arms, stops and obeys the five timers of a peer. Paper, section 6; the rules are told in `timers.rs`.
//!
//! Timers run only while the interface is up. Each input that touches a peer ends with [`Tunnel::schedule`].

use core::time::Duration;

use rand_core::RngCore;

use super::Tunnel;
use crate::error::DropReason;
use crate::event::Event;
use crate::peer_id::PeerId;
use crate::time::{Instant, Now};
use crate::timers::{
    KEEPALIVE_TIMEOUT, MAX_HANDSHAKE_ATTEMPTS, NEW_HANDSHAKE_TIMEOUT, REKEY_TIMEOUT, REKEY_TIMEOUT_JITTER_MAX_MS,
    Timer, ZERO_KEY_TIME,
};

/// How much one [`Tunnel::handle_timeout`] does: this many peers of which little is asked, or two initiations, which take some
/// 50 µs. The timers of ten thousand peers may be due at once, and whoever shares the tunnel wants a turn in between.
pub(super) const WORK_PER_CALL: u64 = 32;
/// How many peers' cheap timers an initiation weighs.
const INITIATION_WORK: u64 = 16;

impl Tunnel {
    /// Lets timers expire whose time has come, the earliest first, as far as a call's share of work goes: while there are more,
    /// [`Tunnel::poll_timeout`] is not later than `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        let work = |tunnel: &Self, peers: u64| tunnel.stats.initiations_sent * INITIATION_WORK + peers;
        let (end, mut peers) = (work(self, WORK_PER_CALL), 0);
        while work(self, peers) < end
            && let Some(id) = self.deadlines.take_due(&mut self.peers, now.mono)
        {
            peers += 1;
            // An expiry may arm the same timer again, but always later than now.
            while let Some(timer) = self
                .peers
                .get_mut(id)
                .and_then(|peer| peer.timers.take_expired(now.mono))
            {
                self.expire(now, id, timer);
            }
            self.schedule(id);
        }
    }

    fn expire(&mut self, now: Now, id: PeerId, timer: Timer) {
        match timer {
            Timer::RetransmitHandshake => self.retransmit_or_give_up(now, id),
            Timer::SendKeepalive => {
                self.send_keepalive(now, id);
                if let Some(peer) = self.peers.get_mut(id)
                    && std::mem::take(&mut peer.needs_another_keepalive)
                {
                    self.arm(id, Timer::SendKeepalive, now.mono + KEEPALIVE_TIMEOUT);
                }
            }
            Timer::NewHandshake => {
                self.forget_source(id);
                self.request_handshake(now, id);
            }
            Timer::ZeroKeyMaterial => {
                self.erase_keys(id);
                self.report(Event::KeysErased { peer: id });
            }
            Timer::PersistentKeepalive => {
                if self.peers.get(id).is_some_and(|peer| peer.persistent_keepalive != 0) {
                    self.send_keepalive(now, id);
                }
            }
        }
    }

    fn retransmit_or_give_up(&mut self, now: Now, id: PeerId) {
        let jitter = self.jitter();
        let Some(peer) = self.peers.get_mut(id) else { return };
        if let Some(allowed) = peer.handshake_allowed().filter(|&allowed| allowed > now.mono) {
            // A response went out in between. Were the timer to end here, nothing would try again, or give up, when that
            // response and the other side's are both lost.
            return peer.timers.arm(Timer::RetransmitHandshake, allowed + jitter);
        }
        if peer.attempts <= MAX_HANDSHAKE_ATTEMPTS {
            peer.attempts += 1;
            peer.forget_source();
            self.send_initiation(now, id);
            return;
        }
        peer.timers.stop(Timer::SendKeepalive);
        if !peer.timers.is_armed(Timer::ZeroKeyMaterial) {
            peer.timers.arm(Timer::ZeroKeyMaterial, now.mono + ZERO_KEY_TIME);
        }
        let dropped = peer.purge_staged();
        self.stats.count_drop(DropReason::HandshakeTimeout, dropped.into());
        self.report(Event::HandshakeGaveUp { peer: id, dropped });
    }

    /// An initiation was made, whether or not it could be sent.
    pub(super) fn note_initiation_sent(&mut self, now: Now, id: PeerId) {
        let deadline = now.mono + REKEY_TIMEOUT + self.jitter();
        self.arm(id, Timer::RetransmitHandshake, deadline);
    }

    /// Anything authenticated goes out: a handshake message, data or a keepalive.
    pub(super) fn note_sent(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.timers.stop(Timer::SendKeepalive);
        self.note_traversal(now, id);
    }

    /// Non-empty data went out.
    pub(super) fn note_data_sent(&mut self, now: Now, id: PeerId) {
        if self
            .peers
            .get(id)
            .is_some_and(|peer| !peer.timers.is_armed(Timer::NewHandshake))
        {
            let deadline = now.mono + NEW_HANDSHAKE_TIMEOUT + self.jitter();
            self.arm(id, Timer::NewHandshake, deadline);
        }
    }

    /// Anything authenticated came in.
    pub(super) fn note_received(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.timers.stop(Timer::NewHandshake);
        self.note_traversal(now, id);
    }

    /// Non-empty data came in.
    pub(super) fn note_data_received(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.timers.is_armed(Timer::SendKeepalive) {
            peer.needs_another_keepalive = true;
        } else {
            self.arm(id, Timer::SendKeepalive, now.mono + KEEPALIVE_TIMEOUT);
        }
    }

    /// A handshake gave a new keypair.
    pub(super) fn note_keys_derived(&mut self, now: Now, id: PeerId) {
        self.arm(id, Timer::ZeroKeyMaterial, now.mono + ZERO_KEY_TIME);
    }

    /// The peer proved that it holds the new keypair.
    pub(super) fn note_handshake_complete(&mut self, now: Now, id: PeerId, is_initiator: bool) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.timers.stop(Timer::RetransmitHandshake);
        peer.attempts = 0;
        peer.sent_last_minute_handshake = false;
        peer.last_handshake = Some(now.wall);
        self.stats.handshakes_completed += 1;
        // The other one, if initiations crossed.
        self.drop_handshake(id);
        self.report(Event::HandshakeCompleted { peer: id, is_initiator });
    }

    fn note_traversal(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.get(id) else { return };
        if peer.persistent_keepalive != 0 {
            let interval = Duration::from_secs(peer.persistent_keepalive.into());
            self.arm(id, Timer::PersistentKeepalive, now.mono + interval);
        }
    }

    fn arm(&mut self, id: PeerId, timer: Timer, deadline: Instant) {
        if self.up
            && let Some(peer) = self.peers.get_mut(id)
        {
            peer.timers.arm(timer, deadline);
        }
    }

    /// Brings the wake-up in line with the timers of a peer.
    pub(super) fn schedule(&mut self, id: PeerId) {
        self.deadlines.schedule(&mut self.peers, id);
    }

    fn jitter(&mut self) -> Duration {
        Duration::from_millis((self.rng.next_u32() % (REKEY_TIMEOUT_JITTER_MAX_MS + 1)).into())
    }
}
