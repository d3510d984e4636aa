//! What protects the expensive part of the handshake: when we are under load, and how much one source may then ask for
//! (paper §5.3).
//!
//! There is no queue in this core, so load is measured as the rate of handshake messages with a right mac1: a flood by who
//! does not know our public key costs one hash per datagram and must not force cookies on real peers. The limiter is asked only for
//! messages whose mac2 proved their address, so its table cannot be filled from forged addresses. Cookie replies go to
//! addresses that nobody has proven, so they are limited all together.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::time::Instant;

/// Handshake messages within [`LOAD_SPAN`] from which on we are under load.
const LOAD_MESSAGES: usize = 512;
/// The span over which load is measured, and for which it lasts after it was last true.
const LOAD_SPAN: Duration = Duration::from_secs(1);

/// What one message costs: 20 per second.
const MESSAGE_COST: Duration = Duration::from_millis(50);
/// What a bucket holds: a burst of 5 messages.
const BUCKET_CAPACITY: Duration = Duration::from_millis(5 * 50);
/// What one cookie reply costs: 20,000 per second. Making and sending one takes some 4 µs, so they take less than a tenth of
/// a processor, and a real peer amid ten times as many forgeries still gets one within a few retransmissions.
const REPLY_COST: Duration = Duration::from_micros(50);
/// What the budget of cookie replies holds: a burst of 16,384, for peers that all begin at once after we were away.
const REPLY_CAPACITY: Duration = Duration::from_micros(16_384 * 50);
/// How long an idle source is remembered, and how often idle ones are collected.
const COLLECT_AFTER: Duration = Duration::from_secs(1);
/// How many sources are remembered at most.
const MAX_SOURCES: usize = 8 * 8192;

/// Tells from the arrival of handshake messages whether the device is under load.
pub(crate) struct LoadDetector {
    /// The last arrivals, oldest first; never more than [`LOAD_MESSAGES`].
    arrivals: VecDeque<Instant>,
    loaded_at: Option<Instant>,
}

impl LoadDetector {
    pub(crate) fn new() -> Self {
        Self {
            arrivals: VecDeque::new(),
            loaded_at: None,
        }
    }

    /// Counts a handshake message (one whose mac1 is right) and tells whether the device is under load.
    pub(crate) fn arrived(&mut self, now: Instant) -> bool {
        if self.arrivals.len() >= LOAD_MESSAGES {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now);
        let full = self.arrivals.len() == LOAD_MESSAGES;
        if full && self.arrivals.front().is_some_and(|oldest| *oldest + LOAD_SPAN > now) {
            self.loaded_at = Some(now);
        }
        self.is_under_load(now)
    }

    /// Tells whether the device is under load, without counting anything.
    pub(crate) fn is_under_load(&self, now: Instant) -> bool {
        self.loaded_at.is_some_and(|last| last + LOAD_SPAN > now)
    }
}

/// How many cookie replies may be made.
pub(crate) struct ReplyBudget(Bucket);

impl ReplyBudget {
    pub(crate) fn new() -> Self {
        Self(Bucket {
            tokens: REPLY_CAPACITY,
            last: Instant::ZERO,
        })
    }

    /// Takes the tokens for one reply and tells whether there were enough.
    #[must_use]
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        self.0.take(now, REPLY_COST, REPLY_CAPACITY)
    }
}

/// A token bucket per source: an IPv4 address, or the /64 of an IPv6 address.
pub(crate) struct Ratelimiter {
    sources: BTreeMap<Source, Bucket>,
    max_sources: usize,
    collected_at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    V4([u8; 4]),
    V6Prefix(u64),
}

struct Bucket {
    tokens: Duration,
    last: Instant,
}

impl Ratelimiter {
    pub(crate) fn new() -> Self {
        Self::with_max_sources(MAX_SOURCES)
    }

    fn with_max_sources(max_sources: usize) -> Self {
        Self {
            sources: BTreeMap::new(),
            max_sources,
            collected_at: Instant::ZERO,
        }
    }

    /// Takes the tokens for one message from `address` and tells whether there were enough.
    ///
    /// A source that is not remembered starts with a full bucket, but is refused while the table is full.
    #[must_use]
    pub(crate) fn allow(&mut self, now: Instant, address: IpAddr) -> bool {
        self.collect(now);
        let source = Source::new(address);
        let room = self.sources.len() < self.max_sources;
        match self.sources.get_mut(&source) {
            Some(bucket) => bucket.take(now, MESSAGE_COST, BUCKET_CAPACITY),
            None if room => {
                self.sources.insert(
                    source,
                    Bucket {
                        tokens: BUCKET_CAPACITY - MESSAGE_COST,
                        last: now,
                    },
                );
                true
            }
            None => false,
        }
    }

    /// Forgets idle sources, at most once a second.
    fn collect(&mut self, now: Instant) {
        if self.collected_at + COLLECT_AFTER > now {
            return;
        }
        self.collected_at = now;
        self.sources.retain(|_, bucket| bucket.last + COLLECT_AFTER >= now);
    }
}

impl Source {
    fn new(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => Self::V6Prefix((ip.to_bits() >> 64) as u64),
        }
    }
}

impl Bucket {
    fn take(&mut self, now: Instant, cost: Duration, capacity: Duration) -> bool {
        let earned = now.saturating_duration_since(self.last);
        self.tokens = self.tokens.saturating_add(earned).min(capacity);
        self.last = now;
        let left = self.tokens.checked_sub(cost);
        if let Some(left) = left {
            self.tokens = left;
        }
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Instant {
        Instant::from_nanos(10_000_000_000 + millis * 1_000_000)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn allowed(limiter: &mut Ratelimiter, at: u64, address: &str, tries: usize) -> Vec<bool> {
        (0..tries).map(|_| limiter.allow(ms(at), ip(address))).collect()
    }

    #[test]
    fn bursts_of_five_then_twenty_a_second() {
        let mut limiter = Ratelimiter::new();
        assert_eq!(
            allowed(&mut limiter, 0, "192.0.2.1", 6),
            [true, true, true, true, true, false]
        );
        assert_eq!(allowed(&mut limiter, 50, "192.0.2.1", 2), [true, false]);
        assert_eq!(allowed(&mut limiter, 150, "192.0.2.1", 3), [true, true, false]);
        assert_eq!(
            allowed(&mut limiter, 150, "192.0.2.2", 6),
            [true, true, true, true, true, false]
        );
    }

    #[test]
    fn a_v6_prefix_shares_one_bucket() {
        let mut limiter = Ratelimiter::new();
        assert_eq!(allowed(&mut limiter, 0, "2001:db8:1:2::1", 3), [true, true, true]);
        assert_eq!(allowed(&mut limiter, 0, "2001:db8:1:2:ffff::9", 3), [true, true, false]);
        assert_eq!(allowed(&mut limiter, 0, "2001:db8:1:3::1", 1), [true]);
    }

    #[test]
    fn a_full_table_refuses_new_sources_until_idle_ones_are_collected() {
        let mut limiter = Ratelimiter::with_max_sources(2);
        assert!(limiter.allow(ms(0), ip("192.0.2.1")));
        assert!(limiter.allow(ms(0), ip("192.0.2.2")));
        assert!(!limiter.allow(ms(0), ip("192.0.2.3")));
        assert!(limiter.allow(ms(0), ip("192.0.2.2")));
        assert!(!limiter.allow(ms(1000), ip("192.0.2.3")));
        assert!(limiter.allow(ms(2001), ip("192.0.2.3")));
        assert_eq!(limiter.sources.len(), 1);
    }

    #[test]
    fn load_starts_at_512_messages_a_second_and_lasts_a_second() {
        let mut load = LoadDetector::new();
        for _ in 0..511 {
            assert!(!load.arrived(ms(0)));
        }
        assert!(load.arrived(ms(999)));
        assert!(load.is_under_load(ms(1998)));
        assert!(!load.is_under_load(ms(1999)));
        assert!(!load.arrived(ms(2500)));
    }

    #[test]
    fn replies_come_in_a_burst_of_16384_then_20_a_millisecond() {
        let mut budget = ReplyBudget::new();
        let mut allowed = |at, tries| (0..tries).filter(|_| budget.allow(ms(at))).count();
        assert_eq!(allowed(0, 20_000), 16_384);
        assert_eq!(allowed(1, 5000), 20);
        assert_eq!((2..1002).map(|at| allowed(at, 200)).sum::<usize>(), 20_000);
    }

    #[test]
    fn a_slow_stream_is_never_load() {
        let mut load = LoadDetector::new();
        assert!((0..2000).all(|i| !load.arrived(ms(i * 2))));
    }
}
