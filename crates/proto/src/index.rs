//! Session indices: the 32-bit names that the two sides give to a handshake or keypair.
//!
//! Each side picks its own; the types keep the two apart. Zero is a legal index. On the wire both are little-endian.

/// An index chosen by this side: the receiver field of datagrams that arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalIndex(pub u32);

/// An index chosen by the other side: the receiver field of datagrams sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteIndex(pub u32);
