//! What an engine says about itself: active offloads and counters that are not the protocol's.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::transport::Offloads;

/// Counters of the datapath. Each is written by one thread mostly; readers see them a little late.
#[derive(Default)]
pub(crate) struct Counters {
    /// Segmented sends and plain sends.
    pub(crate) sends: AtomicU64,
    pub(crate) datagrams_sent: AtomicU64,
    pub(crate) receives: AtomicU64,
    pub(crate) datagrams_received: AtomicU64,
    pub(crate) tun_reads: AtomicU64,
    pub(crate) tun_writes: AtomicU64,
    pub(crate) tun_write_errors: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Traffic {
            sends: read(&self.sends),
            datagrams_sent: read(&self.datagrams_sent),
            receives: read(&self.receives),
            datagrams_received: read(&self.datagrams_received),
            tun_reads: read(&self.tun_reads),
            tun_writes: read(&self.tun_writes),
            tun_write_errors: read(&self.tun_write_errors),
        }
    }
}

/// How much the datapath has moved, and in how many calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// `sendmsg` calls for transport data.
    pub sends: u64,
    /// Datagrams of transport data sent.
    pub datagrams_sent: u64,
    /// `recvmmsg` calls that brought something.
    pub receives: u64,
    /// Datagrams received, of any type.
    pub datagrams_received: u64,
    /// Reads from the TUN that brought a packet.
    pub tun_reads: u64,
    /// Writes to the TUN.
    pub tun_writes: u64,
    /// Writes that the TUN refused.
    pub tun_write_errors: u64,
}

/// A snapshot of an engine.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Super-packets on the TUN side.
    pub tun: Offloads,
    /// Whether several datagrams leave in one send (UDP GSO).
    pub udp_gso: bool,
    /// Whether several datagrams arrive in one receive (UDP GRO).
    pub udp_gro: bool,
    /// Who seals and opens transport data: [`proto::cipher_backend`].
    pub cipher: &'static str,
    /// What the datapath has moved.
    pub traffic: Traffic,
    /// Drops by reason, in the order of [`proto::DropReason::ALL`].
    pub drops: Vec<(proto::DropReason, u64)>,
}
