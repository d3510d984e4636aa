//! Handshake messages on their way from the network to the control worker.
//!
//! Whoever receives one looks at its length and mac1, which takes no lock. Most come by sockets of the control worker's own;
//! one that comes among data goes to it by a bounded queue. So neither junk nor Diffie-Hellman holds up data, and what comes
//! faster than it can be answered is dropped and counted.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, RwLock};

use proto::{Admitted, DropReason, Endpoint, Mac1Checker};
use sys::wake::EventFd;

/// How many messages wait at most (the value of the Linux module).
const MAX_WAITING: usize = 4096;

/// How many messages the control worker takes in one turn.
const PER_TURN: usize = 16;

/// The queue, what stands before it, and the bell of the control worker, who empties it.
pub(crate) struct Handshakes {
    checker: RwLock<Option<Mac1Checker>>,
    waiting: Mutex<VecDeque<Admitted>>,
    pub(crate) bell: EventFd,
    dropped: [AtomicU64; DropReason::COUNT],
}

impl Handshakes {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            checker: RwLock::new(None),
            waiting: Mutex::new(VecDeque::new()),
            bell: EventFd::new()?,
            dropped: [const { AtomicU64::new(0) }; DropReason::COUNT],
        })
    }

    /// Follows the private key.
    pub(crate) fn set_checker(&self, checker: Option<Mac1Checker>) {
        *self.checker.write().unwrap_or_else(PoisonError::into_inner) = checker;
    }

    /// Copies a handshake message or cookie reply; counts what is neither and what is not for us.
    pub(crate) fn admit(&self, source: Endpoint, datagram: &[u8]) -> Option<Admitted> {
        let checker = self.checker.read().unwrap_or_else(PoisonError::into_inner);
        let checker = checker.as_ref().ok_or(DropReason::NoPrivateKey);
        checker
            .and_then(|checker| checker.admit(source, datagram))
            .inspect_err(|&reason| self.drop(source, reason))
            .ok()
    }

    /// Queues a handshake message or cookie reply that came among data; counts what is neither, not for us, or too much.
    pub(crate) fn queue(&self, source: Endpoint, datagram: &[u8]) {
        let Some(admitted) = self.admit(source, datagram) else {
            return;
        };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING {
            return self.drop(source, DropReason::HandshakeOverload);
        }
        waiting.push_back(admitted);
        if waiting.len() == 1 {
            self.bell.notify();
        }
    }

    fn drop(&self, source: Endpoint, reason: DropReason) {
        tracing::debug!(remote = %source.remote, reason = reason.name(), "datagram dropped");
        if let Some(count) = self.dropped.get(reason.index()) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Takes the oldest messages, a turn's share; rings the bell again if there are more.
    pub(crate) fn take(&self) -> Vec<Admitted> {
        self.bell.drain();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let share = waiting.len().min(PER_TURN);
        let taken = waiting.drain(..share).collect();
        if waiting.is_empty() {
            // The memory of a flood goes with it.
            waiting.shrink_to(PER_TURN);
        } else {
            self.bell.notify();
        }
        taken
    }

    /// Returns how many datagrams were dropped before the control worker saw them.
    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason.index()).map_or(0, |count| count.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use proto::{PrivateKey, Tunnel};

    use super::*;

    #[test]
    fn the_queue_is_bounded_and_handed_out_in_shares_in_its_order() {
        let handshakes = Handshakes::new().unwrap();
        let source = |port| Endpoint::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let mut reply = [0; proto::COOKIE_REPLY_LEN];
        reply[0] = 3;
        handshakes.queue(source(1), &reply);
        assert_eq!(handshakes.dropped(DropReason::NoPrivateKey), 1);
        let mut tunnel = Tunnel::new([1; 32]);
        let now = crate::shared::now();
        tunnel.set_private_key(now, Some(PrivateKey::from_bytes([1; 32])));
        handshakes.set_checker(tunnel.mac1_checker());
        for port in 0..5000 {
            handshakes.queue(source(port), &reply);
        }
        handshakes.queue(source(1), &[1; proto::INITIATION_LEN]);
        assert_eq!(handshakes.dropped(DropReason::HandshakeOverload), 5000 - 4096);
        assert_eq!(handshakes.dropped(DropReason::BadType), 1);
        let mut next = 0;
        while handshakes.bell.drain() {
            let share = handshakes.take();
            assert!((1..=PER_TURN).contains(&share.len()));
            for message in share {
                assert_eq!(message.source(), source(next));
                next += 1;
            }
        }
        assert_eq!(next, 4096);
        assert!(handshakes.waiting.lock().unwrap().capacity() <= PER_TURN);
    }
}
