//! Datagrams as an observer between the nodes sees them, and the little forgery an attacker without keys is capable of.

use std::net::SocketAddr;
use std::time::Duration;

use blake2::digest::{FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac, Digest};
use proto::PublicKey;

use crate::node::NodeId;

/// What a datagram is, by its type and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A handshake initiation, 148 bytes.
    Initiation,
    /// A handshake response, 92 bytes.
    Response,
    /// A cookie reply, 64 bytes.
    CookieReply,
    /// Transport data without content, 32 bytes.
    Keepalive,
    /// Transport data with content.
    Data,
    /// None of these.
    Other,
}

/// A datagram that a node sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// When, since the start of the simulation.
    pub at: Duration,
    /// Who sent it.
    pub from: NodeId,
    /// Where it came from, as the network sees it.
    pub source: SocketAddr,
    /// Where it was sent.
    pub destination: SocketAddr,
    /// The type of service or traffic class.
    pub tos: u8,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

impl Datagram {
    /// Returns what it is.
    pub fn kind(&self) -> Kind {
        kind(&self.payload)
    }

    /// Returns the sender index of an initiation or response.
    pub fn sender(&self) -> u32 {
        word(&self.payload, 4)
    }

    /// Returns the receiver index of anything but an initiation.
    pub fn receiver(&self) -> u32 {
        word(&self.payload, if self.kind() == Kind::Response { 8 } else { 4 })
    }

    /// Returns the counter of transport data.
    pub fn counter(&self) -> u64 {
        u64::from_le_bytes(self.payload[8..16].try_into().expect("eight bytes"))
    }

    /// Returns the ephemeral key of an initiation or response.
    pub fn ephemeral(&self) -> [u8; 32] {
        let at = if self.kind() == Kind::Response { 12 } else { 8 };
        self.payload[at..at + 32].try_into().expect("32 bytes")
    }

    /// Tells whether an initiation or response carries a mac2.
    pub fn has_mac2(&self) -> bool {
        self.payload[self.payload.len() - 16..] != [0; 16]
    }
}

/// Returns what a payload is.
pub fn kind(payload: &[u8]) -> Kind {
    match (payload.get(..4), payload.len()) {
        (Some([1, 0, 0, 0]), 148) => Kind::Initiation,
        (Some([2, 0, 0, 0]), 92) => Kind::Response,
        (Some([3, 0, 0, 0]), 64) => Kind::CookieReply,
        (Some([4, 0, 0, 0]), 32) => Kind::Keepalive,
        (Some([4, 0, 0, 0]), 33..) => Kind::Data,
        _ => Kind::Other,
    }
}

/// Writes the mac1 that anyone who knows the receiver's public key can make, and no mac2.
pub fn write_mac1(message: &mut [u8], receiver: &PublicKey) {
    let key = Blake2s256::new()
        .chain_update(b"mac1----")
        .chain_update(receiver.as_bytes())
        .finalize();
    let at = message.len() - 32;
    let mut mac =
        <Blake2sMac<blake2::digest::consts::U16> as KeyInit>::new_from_slice(&key).expect("a key of 32 bytes");
    mac.update(&message[..at]);
    message[at..at + 16].copy_from_slice(&mac.finalize_fixed());
    message[at + 16..].fill(0);
}

fn word(payload: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(payload[at..at + 4].try_into().expect("four bytes"))
}
