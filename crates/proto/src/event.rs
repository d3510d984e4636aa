//! What the tunnel tells whoever watches it: for logs and displays, never needed to run it.

use crate::endpoint::Endpoint;
use crate::peer_id::PeerId;

/// How many events wait at most; when one more comes, the oldest is dropped.
pub(crate) const MAX_EVENTS: usize = 1024;

/// Something that happened to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An initiation was sent; `attempt` counts from 1.
    HandshakeStarted {
        /// The peer it was sent to.
        peer: PeerId,
        /// 1 for the first, more for a retransmission.
        attempt: u32,
    },
    /// A keypair was confirmed and is used for sending.
    HandshakeCompleted {
        /// The peer it is shared with.
        peer: PeerId,
        /// Whether this side began the handshake.
        is_initiator: bool,
    },
    /// Twenty initiations went unanswered.
    HandshakeGaveUp {
        /// The silent peer.
        peer: PeerId,
        /// How many staged packets were dropped.
        dropped: u32,
    },
    /// The peer sent something authentic from a new address.
    EndpointChanged {
        /// The peer that moved.
        peer: PeerId,
        /// Where it is.
        endpoint: Endpoint,
    },
    /// All secrets of the peer were erased, because none was renewed for 540 s.
    KeysErased {
        /// The peer.
        peer: PeerId,
    },
}
