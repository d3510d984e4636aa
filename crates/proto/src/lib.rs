//! The WireGuard protocol without any input or output.
//!
//! Two planes meet in this crate. The *control plane* is one deterministic, single-threaded machine for handshakes, timers,
//! key rotation and roaming. It is fed with datagrams, packets and the time, and asked what to send and when to wake it. The
//! *data plane* is the two halves of a keypair, which encrypt and decrypt by `&self` on any thread and decide nothing. They
//! meet at three small values: a key with reserved counters and where to send, the proof that a datagram decrypted, and the
//! summary of what a batch did.
//!
//! The crate has no clock, no socket and no source of randomness of its own. It is written along the WireGuard paper: each
//! module names its section.

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod admission;
mod allowed_ips;
mod cookie;
mod crypto;
pub mod ecn;
mod endpoint;
mod error;
mod event;
mod handshake;
mod index;
mod inner;
mod keypair;
mod keypairs;
mod keys;
mod message;
mod noise;
mod peer;
mod peer_id;
mod ratelimiter;
mod replay;
mod rng;
mod stats;
mod sync;
mod tai64n;
#[cfg(test)]
mod test_util;
mod time;
mod timers;
mod tunnel;

/// Who seals and opens transport data on this processor, for people: `avx512` or `avx2` (eight datagrams at once), or
/// `library`.
pub use ::crypto::backend as cipher_backend;
pub use admission::{Admitted, Mac1Checker};
pub use endpoint::{Endpoint, StickySource};
pub use error::{ConfigError, DropReason};
pub use event::Event;
pub use index::{LocalIndex, RemoteIndex};
pub use inner::{InnerPacket, destination, inner_packet};
pub use keypair::{Authenticated, Counters, RecvKey, SendKey};
pub use keys::{KEY_LEN, PresharedKey, PrivateKey, PublicKey};
pub use message::{
    COOKIE_REPLY_LEN, CookieReply, DATA_HEADER_LEN, DATA_OVERHEAD, DATA_RECEIVER, HandshakeInitiation,
    HandshakeResponse, INITIATION_LEN, Macs, Message, RESPONSE_LEN, TAG_LEN, TransportData, padded_len,
    parse_data_header, write_data_header,
};
pub use peer_id::{PeerId, SHARDS};
pub use replay::{REJECT_AFTER_MESSAGES, ReplayWindow};
pub use stats::Stats;
pub use time::{Instant, Now};
pub use timers::{REJECT_AFTER_TIME, Timer};
pub use tunnel::{Activity, Computed, Delivered, Exchange, MAX_PEERS, Outbound, PeerView, Route, Transmit, Tunnel};
