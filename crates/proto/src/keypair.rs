//! The data-plane half of a keypair: what encrypts and decrypts transport data, by `&self`, on any thread. Paper, section 5.4.6.
//!
//! No decisions are made here: which keypair is used, when it is replaced and whether it is too old is the business of
//! `keypairs.rs` and of the tunnel.
//!
//! Invariants: a counter is handed out once, by one atomic addition for a whole batch. [`Authenticated`] is made only by a
//! successful [`RecvKey::open`]; the replay window accepts nothing else.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::crypto::AeadKey;
use crate::error::DropReason;
use crate::handshake::TransportKeys;
use crate::index::{LocalIndex, RemoteIndex};
use crate::message::{DATA_HEADER_LEN, DATA_OVERHEAD, TAG_LEN, parse_data_header, write_data_header};
use crate::peer_id::PeerId;
use crate::replay::{REJECT_AFTER_MESSAGES, ReplayWindow};
use crate::time::Instant;
use crate::timers::{REJECT_AFTER_TIME, REKEY_AFTER_MESSAGES};

/// The sending half of a keypair.
pub struct SendKey {
    key: AeadKey,
    next_counter: AtomicU64,
    revoked: AtomicBool,
    peer: PeerId,
    remote: RemoteIndex,
    is_initiator: bool,
    born: Instant,
}

/// The receiving half of a keypair, with its replay window.
pub struct RecvKey {
    key: AeadKey,
    window: Mutex<ReplayWindow>,
    revoked: AtomicBool,
    peer: PeerId,
    local: LocalIndex,
    born: Instant,
}

/// The proof that a datagram of a peer decrypted. Says nothing of replay: that is [`RecvKey::commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticated {
    peer: PeerId,
    counter: u64,
    index: LocalIndex,
}

/// Consecutive counters reserved for one batch. A copy must not be used to seal twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    next: u64,
    left: u32,
}

impl SendKey {
    /// Reserves `n` consecutive counters with one atomic operation.
    ///
    /// Returns `None` if that would pass the limit of 2^64 − 2^13 − 1, or if the key was revoked; the key is then of no
    /// further use for sending.
    pub fn reserve(&self, n: u32) -> Option<Counters> {
        if self.revoked.load(Ordering::Relaxed) {
            return None;
        }
        let reserved = self
            .next_counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                next.checked_add(u64::from(n))
                    .filter(|&end| end <= REJECT_AFTER_MESSAGES)
            });
        match reserved {
            Ok(next) => Some(Counters { next, left: n }),
            Err(_) => {
                self.revoke();
                None
            }
        }
    }

    /// Makes a datagram of `buf`: 16 bytes for the header, the padded plaintext, 16 bytes for the tag.
    ///
    /// Header and tag are written, the plaintext is encrypted in place. `counter` comes from [`SendKey::reserve`] and is used
    /// once. A buffer shorter than 32 bytes is left alone.
    pub fn seal(&self, counter: u64, buf: &mut [u8]) {
        debug_assert!(buf.len() >= DATA_OVERHEAD, "no room for header and tag");
        let Some((header, rest)) = buf.split_first_chunk_mut::<DATA_HEADER_LEN>() else {
            return;
        };
        let Some((plaintext, tag)) = rest.split_last_chunk_mut::<TAG_LEN>() else {
            return;
        };
        write_data_header(header, self.remote, counter);
        *tag = self.key.seal_transport(counter, plaintext);
    }

    /// Returns the peer this key sends to.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Tells whether this side began the handshake that made the key.
    pub fn is_initiator(&self) -> bool {
        self.is_initiator
    }

    /// Returns when the key was made.
    pub fn born(&self) -> Instant {
        self.born
    }

    /// Returns the index that the peer gave to the keypair.
    pub fn remote_index(&self) -> RemoteIndex {
        self.remote
    }

    /// Forbids further use.
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::Relaxed);
    }

    /// Tells whether the key may still send: not revoked, younger than 180 s, counters left.
    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        !self.revoked.load(Ordering::Relaxed)
            && self.born + REJECT_AFTER_TIME > now
            && self.next_counter.load(Ordering::Relaxed) < REJECT_AFTER_MESSAGES
    }

    /// Tells whether so many counters are used that the key should be replaced.
    pub(crate) fn is_worn(&self) -> bool {
        self.next_counter.load(Ordering::Relaxed) > REKEY_AFTER_MESSAGES
    }

    #[cfg(test)]
    pub(crate) fn set_next_counter(&self, counter: u64) {
        self.next_counter.store(counter, Ordering::Relaxed);
    }
}

impl RecvKey {
    /// Decrypts a datagram in place and returns its plaintext, padding included: the bytes from 16 to 16 before the end.
    ///
    /// The caller found this key by the receiver index of the datagram.
    ///
    /// # Errors
    /// [`DropReason::BadLength`] if it is no transport data, [`DropReason::BadTag`] if it does not authenticate; its content
    /// is then undefined.
    pub fn open<'a>(&self, datagram: &'a mut [u8]) -> Result<(Authenticated, &'a mut [u8]), DropReason> {
        let (_, counter) = parse_data_header(datagram).ok_or(DropReason::BadLength)?;
        let body = datagram.get_mut(DATA_HEADER_LEN..).ok_or(DropReason::BadLength)?;
        let (plaintext, tag) = body.split_last_chunk_mut::<TAG_LEN>().ok_or(DropReason::BadLength)?;
        if !self.key.open_transport(counter, plaintext, tag) {
            return Err(DropReason::BadTag);
        }
        Ok((
            Authenticated {
                peer: self.peer,
                counter,
                index: self.local,
            },
            plaintext,
        ))
    }

    /// Offers a batch of opened datagrams to the replay window, in order, under one lock.
    ///
    /// `verdict` gets each position in the batch and whether the datagram is fresh. Proofs of another key are not fresh.
    pub fn commit(&self, batch: &mut dyn Iterator<Item = &Authenticated>, verdict: &mut dyn FnMut(usize, bool)) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        for (position, proof) in batch.enumerate() {
            let fresh = proof.index == self.local && proof.peer == self.peer && window.accept(proof.counter);
            verdict(position, fresh);
        }
    }

    /// Offers one opened datagram to the replay window; returns whether it is fresh.
    pub fn commit_one(&self, proof: &Authenticated) -> bool {
        let mut fresh = false;
        self.commit(&mut std::iter::once(proof), &mut |_, verdict| fresh = verdict);
        fresh
    }

    /// Returns the peer this key receives from.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Returns the index by which datagrams name this key.
    pub fn local_index(&self) -> LocalIndex {
        self.local
    }

    /// Returns when the key was made.
    pub fn born(&self) -> Instant {
        self.born
    }

    /// Tells whether the key may still receive; one found too old is revoked for good.
    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        if self.born + REJECT_AFTER_TIME <= now {
            self.revoked.store(true, Ordering::Relaxed);
        }
        !self.revoked.load(Ordering::Relaxed)
    }
}

impl Authenticated {
    /// Returns the peer that sent the datagram.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Returns the counter of the datagram.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// Returns the index of the keypair that decrypted it.
    pub fn index(&self) -> LocalIndex {
        self.index
    }
}

impl Iterator for Counters {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let counter = self.next;
        self.next += 1;
        Some(counter)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Counters {}

impl fmt::Debug for SendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendKey")
            .field("peer", &self.peer)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RecvKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvKey")
            .field("peer", &self.peer)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// Splits what a handshake made into the two shared halves. Both counters start at 0.
pub(crate) fn split(keys: TransportKeys, peer: PeerId, born: Instant) -> (Arc<SendKey>, Arc<RecvKey>) {
    let TransportKeys {
        send,
        receive,
        local,
        remote,
        is_initiator,
    } = keys;
    let send = SendKey {
        key: send,
        next_counter: AtomicU64::new(0),
        revoked: AtomicBool::new(false),
        peer,
        remote,
        is_initiator,
        born,
    };
    let receive = RecvKey {
        key: receive,
        window: Mutex::new(ReplayWindow::new()),
        revoked: AtomicBool::new(false),
        peer,
        local,
        born,
    };
    (Arc::new(send), Arc::new(receive))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::timers::REKEY_AFTER_TIME;

    /// A sending key and the receiving key of the other side.
    pub(crate) fn pair() -> (Arc<SendKey>, Arc<RecvKey>) {
        let keys = TransportKeys {
            send: AeadKey::new(&[7; 32]),
            receive: AeadKey::new(&[7; 32]),
            local: LocalIndex(1),
            remote: RemoteIndex(2),
            is_initiator: true,
        };
        split(keys, PeerId::new(0, 0), Instant::ZERO)
    }

    #[test]
    fn sealed_opens_and_commits_once() {
        let (send, receive) = pair();
        let counters: Vec<_> = send.reserve(3).unwrap().collect();
        assert_eq!(counters, [0, 1, 2]);
        let mut datagram = [b'x'; 64];
        send.seal(2, &mut datagram);
        let mut forged = datagram;
        forged[20] ^= 1;
        if !cfg!(feature = "null-cipher") {
            assert_eq!(receive.open(&mut forged).unwrap_err(), DropReason::BadTag);
        }
        let (proof, plaintext) = receive.open(&mut datagram).unwrap();
        assert_eq!((proof.counter(), &plaintext[..]), (2, &[b'x'; 32][..]));
        assert!(receive.commit_one(&proof));
        assert!(!receive.commit_one(&proof));
        assert_eq!(receive.open(&mut [0; 31]).unwrap_err(), DropReason::BadLength);
    }

    #[test]
    fn counters_end_at_the_limit() {
        let (send, _) = pair();
        send.set_next_counter(REJECT_AFTER_MESSAGES - 2);
        assert!(send.is_worn());
        assert_eq!(send.reserve(2).unwrap().last(), Some(REJECT_AFTER_MESSAGES - 1));
        assert!(!send.is_usable(Instant::ZERO));
        assert_eq!(send.reserve(1), None);
        let (send, _) = pair();
        send.set_next_counter(REJECT_AFTER_MESSAGES - 2);
        assert_eq!(send.reserve(3), None, "a batch does not fit in part");
        assert_eq!(send.reserve(1), None, "the key is of no further use");
    }

    #[test]
    fn usable_until_180_seconds() {
        let (send, receive) = pair();
        let limit = Instant::ZERO + REJECT_AFTER_TIME;
        let before = Instant::from_nanos(limit.as_nanos() - 1);
        assert!(send.is_usable(before) && receive.is_usable(before));
        assert!(!send.is_usable(limit) && !receive.is_usable(limit));
        assert!(!receive.is_usable(Instant::ZERO + REKEY_AFTER_TIME), "revoked for good");
    }
}
