//! The data-plane half of a keypair: what encrypts and decrypts transport data, by `&self`, on any thread. Paper, section 5.4.6.
//!
//! No decisions are made here: which keypair is used, when it is replaced and whether it is too old is the business of
//! `keypairs.rs` and of the tunnel.
//!
//! Invariants: a counter is handed out once, by one atomic addition for a whole batch. [`Authenticated`] is made only by a
//! successful [`RecvKey::open`]; the replay window accepts nothing else.

use core::fmt;
use std::sync::{Arc, PoisonError};

use zeroize::Zeroize;

use crate::crypto::{Message, TransportKey};
use crate::error::DropReason;
use crate::handshake::TransportKeys;
use crate::index::{LocalIndex, RemoteIndex};
use crate::message::{DATA_HEADER_LEN, DATA_OVERHEAD, TAG_LEN, parse_data_header, write_data_header};
use crate::peer_id::PeerId;
use crate::replay::{REJECT_AFTER_MESSAGES, ReplayWindow};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::time::Instant;
use crate::timers::{REJECT_AFTER_TIME, REKEY_AFTER_MESSAGES};

/// How many datagrams are encrypted or decrypted at once.
const GROUP: usize = 8;

/// The sending half of a keypair.
pub struct SendKey {
    key: TransportKey,
    next_counter: AtomicU64,
    revoked: AtomicBool,
    peer: PeerId,
    remote: RemoteIndex,
    is_initiator: bool,
    born: Instant,
}

/// The receiving half of a keypair, with its replay window.
pub struct RecvKey {
    key: TransportKey,
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
        let len = buf.len();
        self.seal_row(&[counter], buf, len);
    }

    /// [`SendKey::seal`] for datagrams of `segment` bytes that stand one behind the other in `row`; the last may be shorter.
    /// Each takes one of `counters`; what has none is wiped. Cheapest in eights.
    pub fn seal_row(&self, counters: &[u64], row: &mut [u8], segment: usize) {
        let segment = segment.max(1);
        let sealable = row.len().min(segment.saturating_mul(counters.len()));
        let (row, surplus) = row.split_at_mut(sealable);
        debug_assert!(surplus.is_empty(), "more datagrams than counters");
        surplus.zeroize();
        let groups = row.chunks_mut(segment.saturating_mul(GROUP));
        for (row, counters) in groups.zip(counters.chunks(GROUP)) {
            let datagrams = row.chunks_mut(segment).zip(counters);
            let (mut messages, count) = group(datagrams.filter_map(|(datagram, &counter)| {
                debug_assert!(datagram.len() >= DATA_OVERHEAD, "no room for header and tag");
                let (header, body) = datagram.split_first_chunk_mut()?;
                write_data_header(header, self.remote, counter);
                Some(Message { counter, body })
            }));
            self.key.seal(messages.get_mut(..count).unwrap_or_default());
        }
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
        let len = datagram.len();
        let mut outcome = Err(DropReason::BadLength);
        self.open_run(&mut std::iter::once(&mut *datagram), &mut |_, verdict| {
            outcome = verdict
        });
        let plaintext = datagram.get_mut(DATA_HEADER_LEN..len.saturating_sub(TAG_LEN));
        Ok((outcome?, plaintext.ok_or(DropReason::BadLength)?))
    }

    /// [`RecvKey::open`] for several datagrams, wherever they stand. `verdict` gets the position of each, in order, with its
    /// proof or the reason to drop it. Cheapest in eights of equal length.
    pub fn open_run(
        &self,
        datagrams: &mut dyn Iterator<Item = &mut [u8]>,
        verdict: &mut dyn FnMut(usize, Result<Authenticated, DropReason>),
    ) {
        for first in (0..).step_by(GROUP) {
            let mut counters = [None; GROUP];
            // In this order: what has no place is left for the next group.
            let placed = counters.iter_mut().zip(&mut *datagrams);
            let (mut messages, count) = group(placed.map(|(place, datagram)| {
                *place = parse_data_header(datagram).map(|(_, counter)| counter);
                let body = place.and_then(|_| datagram.get_mut(DATA_HEADER_LEN..));
                Message {
                    counter: place.unwrap_or(0),
                    body: body.unwrap_or_default(),
                }
            }));
            let messages = messages.get_mut(..count).unwrap_or_default();
            self.key.open(messages, &mut |position, authentic| {
                let proof = |counter| Authenticated {
                    peer: self.peer,
                    counter,
                    index: self.local,
                };
                let outcome = match counters.get(position).copied().flatten() {
                    None => Err(DropReason::BadLength),
                    Some(_) if !authentic => Err(DropReason::BadTag),
                    Some(counter) => Ok(proof(counter)),
                };
                verdict(first + position, outcome);
            });
            if count < GROUP {
                return;
            }
        }
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

/// Takes up to [`GROUP`] messages; returns them and how many there are.
fn group<'a>(mut messages: impl Iterator<Item = Message<'a>>) -> ([Message<'a>; GROUP], usize) {
    let mut count = 0;
    let group = std::array::from_fn(|_| match messages.next() {
        Some(message) => {
            count += 1;
            message
        }
        None => Message {
            counter: 0,
            body: &mut [],
        },
    });
    (group, count)
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

#[cfg(all(test, feature = "loom"))]
mod loom_tests;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::timers::REKEY_AFTER_TIME;

    /// A sending key and the receiving key of the other side.
    pub(crate) fn pair() -> (Arc<SendKey>, Arc<RecvKey>) {
        let keys = TransportKeys {
            send: TransportKey::new(&[7; 32]),
            receive: TransportKey::new(&[7; 32]),
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
    fn a_row_is_its_datagrams_one_by_one() {
        let (send, receive) = pair();
        for (segment, len) in [(64, 64 * 20), (64, 64 * 8 + 33), (1452, 1452 * 3 + 1), (32, 31), (0, 0)] {
            let counters: Vec<u64> = (5..).take(len).collect();
            let text: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut one_by_one = text.clone();
            let whole = |datagram: &[u8]| datagram.len() >= DATA_OVERHEAD;
            for (datagram, &counter) in one_by_one.chunks_mut(segment.max(1)).zip(&counters) {
                if whole(datagram) {
                    send.seal(counter, datagram);
                }
            }
            let mut row = text.clone();
            let end = len
                - if len % segment.max(1) < DATA_OVERHEAD {
                    len % segment.max(1)
                } else {
                    0
                };
            send.seal_row(&counters, &mut row[..end], segment);
            assert!(row == one_by_one, "{segment} {len}");
            // One in the middle is forged.
            let forged = (end > 4 * segment).then_some(3);
            if let Some(forged) = forged {
                row[forged * segment + 20] ^= 1;
            }
            let mut verdicts = Vec::new();
            receive.open_run(&mut row.chunks_mut(segment.max(1)), &mut |position, verdict| {
                assert_eq!(position, verdicts.len());
                verdicts.push(verdict.map(|proof| proof.counter()));
            });
            assert_eq!(verdicts.len(), len.div_ceil(segment.max(1)));
            for (position, verdict) in verdicts.into_iter().enumerate() {
                let datagram = &text[position * segment..len.min((position + 1) * segment)];
                let expected = match () {
                    () if !whole(datagram) => Err(DropReason::BadLength),
                    () if forged == Some(position) && !cfg!(feature = "null-cipher") => Err(DropReason::BadTag),
                    () => Ok(5 + position as u64),
                };
                assert_eq!(verdict, expected, "{segment} {len} {position}");
            }
        }
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
