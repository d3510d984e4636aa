//! What happens to datagrams on their way from one node to another.

use std::time::Duration;

/// The behaviour of one direction between two nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The probability that a datagram is lost; 1 is a partition.
    pub loss: f64,
    /// The probability that a datagram arrives twice.
    pub duplicate: f64,
    /// The least delay.
    pub min_delay: Duration,
    /// The greatest delay. Datagrams overtake each other if it differs from the least.
    pub max_delay: Duration,
}

impl Link {
    /// Loses nothing, and keeps the order.
    pub const fn perfect(delay: Duration) -> Self {
        Self {
            loss: 0.0,
            duplicate: 0.0,
            min_delay: delay,
            max_delay: delay,
        }
    }

    /// Loses everything.
    pub const fn dead() -> Self {
        let mut link = Self::perfect(Duration::ZERO);
        link.loss = 1.0;
        link
    }

    /// Loses, duplicates and reorders.
    pub const fn lossy(loss: f64, duplicate: f64, min_delay: Duration, max_delay: Duration) -> Self {
        Self {
            loss,
            duplicate,
            min_delay,
            max_delay,
        }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::perfect(Duration::from_millis(5))
    }
}
