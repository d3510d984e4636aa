//! Why something was refused: one small `Copy` value per cause, split by whose fault it is.
//!
//! Every refused datagram or packet has exactly one [`DropReason`], and each reason has a counter in the statistics, so that
//! an operator sees why traffic vanishes. Nothing here is ever sent to the other side: the protocol is silent.

use core::fmt;

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// The reason why a datagram (inbound) or packet (outbound) was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DropReason { $($(#[$doc])* $variant,)* }

        impl DropReason {
            /// Every reason, in the order of [`DropReason::index`].
            pub const ALL: &[DropReason] = &[$(DropReason::$variant,)*];

            /// Returns the stable kebab-case name, for counters and logs.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)* }
            }
        }
    };
}

drop_reasons! {
    // Any datagram, before its content is looked at.
    /// The datagram is shorter than a type word, or its length does not fit its type.
    BadLength => "bad-length",
    /// The type word is unknown, or a reserved byte is not zero.
    BadType => "bad-type",
    /// This side has no private key, so no handshake can be made.
    NoPrivateKey => "no-private-key",
    /// The interface is down.
    InterfaceDown => "interface-down",
    // Handshake messages.
    /// The handshake queue is full, or randomness is not available.
    HandshakeOverload => "handshake-overload",
    /// mac1 is wrong: the sender does not know our public key.
    BadMac1 => "bad-mac1",
    /// Under load and without a valid mac2; a cookie reply was made, unless there were too many.
    CookieRequired => "cookie-required",
    /// Under load, mac2 is right, but the source sends too much.
    RateLimited => "rate-limited",
    /// A Diffie-Hellman result was zero: a low-order ephemeral or static key.
    LowOrderKey => "low-order-key",
    /// The encrypted static key does not authenticate.
    BadStatic => "bad-static",
    /// The static key is none of our peers.
    UnknownPeer => "unknown-peer",
    /// The encrypted timestamp does not authenticate.
    BadTimestampTag => "bad-timestamp-tag",
    /// The timestamp is not newer than the greatest accepted from this peer.
    OldTimestamp => "old-timestamp",
    /// Less than 20 ms since this peer's last accepted initiation.
    InitiationFlood => "initiation-flood",
    /// The receiver index of a response names no handshake.
    UnknownHandshake => "unknown-handshake",
    /// The response names a handshake that does not await one.
    UnexpectedResponse => "unexpected-response",
    /// The response does not authenticate: forged, for another initiation, or another preshared key.
    BadResponse => "bad-response",
    /// The receiver index of a cookie reply is unknown, or no mac1 awaits one.
    UnexpectedCookie => "unexpected-cookie",
    /// The cookie reply does not authenticate.
    BadCookie => "bad-cookie",
    // Transport data.
    /// The receiver index names no keypair.
    UnknownIndex => "unknown-index",
    /// The keypair is too old, was invalidated, or its counter is exhausted.
    KeyExpired => "key-expired",
    /// The transport tag is wrong.
    BadTag => "bad-tag",
    /// The counter was seen before, is too far behind, or is beyond the limit.
    Replay => "replay",
    // Inner packets, after authentication.
    /// The inner packet is neither IPv4 nor IPv6, or is shorter than its header.
    InnerNotIp => "inner-not-ip",
    /// The length inside the inner packet does not fit.
    InnerBadLength => "inner-bad-length",
    /// The inner source address does not belong to this peer.
    SourceNotAllowed => "source-not-allowed",
    // Outgoing packets.
    /// The outgoing packet is neither IPv4 nor IPv6, or is shorter than its header.
    NotIp => "not-ip",
    /// No peer's allowed IPs contain the destination.
    NoPeer => "no-peer",
    /// The peer has no endpoint.
    NoEndpoint => "no-endpoint",
    /// The outgoing packet is a datagram of the tunnel itself, which routing has led back into it.
    RoutingLoop => "routing-loop",
    /// The oldest staged packet gave way to a newer one.
    StagedOverflow => "staged-overflow",
    /// The peer did not answer 20 initiations; its staged packets were dropped.
    HandshakeTimeout => "handshake-timeout",
    /// The interface went down or the peer was removed while packets were staged or datagrams waited to be sent.
    StagedPurged => "staged-purged",
    /// Sending the datagram failed.
    TransmitFailed => "transmit-failed",
}

impl DropReason {
    /// The number of reasons: the length of a table of counters.
    pub const COUNT: usize = Self::ALL.len();

    /// Returns the position in [`DropReason::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for DropReason {}

/// Why a configuration call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The public key is this interface's own.
    #[error("the public key is this interface's own key")]
    OwnKey,
    /// The device already holds as many peers as it can.
    #[error("too many peers")]
    TooManyPeers,
    /// The peer does not exist, or was removed.
    #[error("no such peer")]
    NoSuchPeer,
    /// The prefix length is beyond 32 (IPv4) or 128 (IPv6).
    #[error("prefix length out of range")]
    BadPrefix,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_indices_match() {
        let mut names = std::collections::BTreeSet::new();
        for (position, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), position);
            assert!(names.insert(reason.name()));
            assert!(
                reason
                    .name()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
            );
        }
        assert_eq!(names.len(), DropReason::COUNT);
    }
}
