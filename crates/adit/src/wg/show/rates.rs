//! How fast the counters of peers grow between two looks at them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use conf::uapi::DeviceStatus;
use proto::PublicKey;

/// Bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// The last look at each interface.
#[derive(Default)]
pub(super) struct Rates(HashMap<String, Look>);

struct Look {
    at: Instant,
    /// Bytes received and sent.
    counts: HashMap<PublicKey, (u64, u64)>,
}

impl Rates {
    /// Takes a look, and returns the rates since the last one: of peers that were there, unless their counters began anew.
    pub(super) fn look(&mut self, interface: &str, status: &DeviceStatus) -> HashMap<PublicKey, Rate> {
        self.look_at(Instant::now(), interface, status)
    }

    fn look_at(&mut self, at: Instant, interface: &str, status: &DeviceStatus) -> HashMap<PublicKey, Rate> {
        let peers = status.peers.iter();
        let counts = peers.map(|peer| (peer.public_key, (peer.rx_bytes, peer.tx_bytes)));
        let new = Look {
            at,
            counts: counts.collect(),
        };
        let rates = self.0.get(interface).map_or_else(HashMap::new, |old| new.since(old));
        self.0.insert(interface.to_owned(), new);
        rates
    }
}

impl Look {
    fn since(&self, old: &Look) -> HashMap<PublicKey, Rate> {
        let time = self.at.saturating_duration_since(old.at);
        let rate = |(key, new): (&PublicKey, &(u64, u64))| {
            let old = old.counts.get(key)?;
            let rate = Rate {
                received: per_second(new.0.checked_sub(old.0)?, time)?,
                sent: per_second(new.1.checked_sub(old.1)?, time)?,
            };
            Some((*key, rate))
        };
        self.counts.iter().filter_map(rate).collect()
    }
}

/// `None` where no time has passed.
fn per_second(bytes: u64, time: Duration) -> Option<u64> {
    let rate = u128::from(bytes)
        .checked_mul(1_000_000_000)?
        .checked_div(time.as_nanos())?;
    u64::try_from(rate).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use conf::uapi::PeerStatus;

    #[test]
    fn rates_are_those_since_the_last_look() {
        let status = |counts: &[(u8, u64, u64)]| DeviceStatus {
            peers: counts
                .iter()
                .map(|&(key, rx_bytes, tx_bytes)| PeerStatus {
                    rx_bytes,
                    tx_bytes,
                    ..PeerStatus::new(PublicKey::from_bytes([key; 32]))
                })
                .collect(),
            ..DeviceStatus::default()
        };
        let start = Instant::now();
        let mut rates = Rates::default();
        let mut look = |millis, counts: &[(u8, u64, u64)]| {
            let seen = rates.look_at(start + Duration::from_millis(millis), "wg0", &status(counts));
            let mut seen: Vec<(u8, u64, u64)> = seen
                .iter()
                .map(|(key, rate)| (key.as_bytes()[0], rate.received, rate.sent))
                .collect();
            seen.sort_unstable();
            seen
        };
        assert_eq!(look(0, &[(1, 1000, 0), (2, 500, 500)]), []);
        assert_eq!(look(500, &[(1, 2000, 7), (2, 500, 500)]), [(1, 2000, 14), (2, 0, 0)]);
        assert_eq!(look(500, &[(1, 9000, 7)]), [], "no time has passed");
        // Peer 1 was removed and made again, peer 3 is new.
        assert_eq!(look(1500, &[(1, 10, 0), (2, 1, 1), (3, 4, 4)]), []);
        assert_eq!(look(2500, &[(1, 10, u64::MAX)]), [(1, 0, u64::MAX)]);
    }
}
