//! The four datagrams of the protocol as checked views (paper §5.4.1 to §5.4.7).
//!
//! [`Message::parse`] checks type, reserved bytes and length, and cuts the fields; it authenticates nothing. A view cannot
//! have a wrong length, so no later step needs to look at lengths again. All integers are little-endian on the wire.

use crate::error::DropReason;
use crate::index::{LocalIndex, RemoteIndex};

/// The length of a handshake initiation, in bytes.
pub const INITIATION_LEN: usize = 148;
/// The length of a handshake response, in bytes.
pub const RESPONSE_LEN: usize = 92;
/// The length of a cookie reply, in bytes.
pub const COOKIE_REPLY_LEN: usize = 64;
/// The length of the header of transport data: type, receiver index, counter.
pub const DATA_HEADER_LEN: usize = 16;
/// The length of an authentication tag.
pub const TAG_LEN: usize = crate::crypto::TAG_LEN;
/// What transport data adds to a padded packet: header and tag.
pub const DATA_OVERHEAD: usize = DATA_HEADER_LEN + TAG_LEN;

/// The length of mac1 and mac2 together, at the end of both handshake messages.
pub(crate) const MACS_LEN: usize = 32;
/// The length of an initiation before its macs.
pub(crate) const INITIATION_BODY_LEN: usize = INITIATION_LEN - MACS_LEN;
/// The length of a response before its macs.
pub(crate) const RESPONSE_BODY_LEN: usize = RESPONSE_LEN - MACS_LEN;

/// The type word of a handshake initiation.
pub(crate) const TYPE_INITIATION: [u8; 4] = 1u32.to_le_bytes();
/// The type word of a handshake response.
pub(crate) const TYPE_RESPONSE: [u8; 4] = 2u32.to_le_bytes();
/// The type word of a cookie reply.
pub(crate) const TYPE_COOKIE_REPLY: [u8; 4] = 3u32.to_le_bytes();
/// The type word of transport data.
pub(crate) const TYPE_DATA: [u8; 4] = 4u32.to_le_bytes();

/// The first byte of transport data, and where in it the receiver index begins: its low byte.
pub const DATA_RECEIVER: (u8, u8) = (TYPE_DATA[0], 4);

/// A datagram whose type and length are right. Nothing in it is authentic yet.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// The first message of a handshake.
    Initiation(HandshakeInitiation<'a>),
    /// The second message of a handshake.
    Response(HandshakeResponse<'a>),
    /// The answer of a peer under load.
    CookieReply(CookieReply<'a>),
    /// An encrypted packet or a keepalive.
    Data(TransportData<'a>),
}

/// A handshake initiation, 148 bytes.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeInitiation<'a> {
    /// The index the initiator chose.
    pub sender: RemoteIndex,
    /// The ephemeral public key.
    pub ephemeral: &'a [u8; 32],
    /// The encrypted static public key and its tag.
    pub encrypted_static: &'a [u8; 48],
    /// The encrypted TAI64N stamp and its tag.
    pub encrypted_timestamp: &'a [u8; 28],
    /// mac1 and mac2, with what they cover.
    pub macs: Macs<'a>,
}

/// A handshake response, 92 bytes.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeResponse<'a> {
    /// The index the responder chose.
    pub sender: RemoteIndex,
    /// The index of the handshake that is answered.
    pub receiver: LocalIndex,
    /// The ephemeral public key.
    pub ephemeral: &'a [u8; 32],
    /// The tag of the encrypted empty string.
    pub encrypted_nothing: &'a [u8; 16],
    /// mac1 and mac2, with what they cover.
    pub macs: Macs<'a>,
}

/// A cookie reply, 64 bytes.
#[derive(Clone, Copy, Debug)]
pub struct CookieReply<'a> {
    /// The index that the answered handshake message carried as its sender.
    pub receiver: LocalIndex,
    /// The random nonce.
    pub nonce: &'a [u8; 24],
    /// The encrypted cookie and its tag.
    pub encrypted_cookie: &'a [u8; 32],
}

/// Transport data, at least 32 bytes.
#[derive(Clone, Copy, Debug)]
pub struct TransportData<'a> {
    /// The index of the receiving keypair.
    pub receiver: LocalIndex,
    /// The counter, which is also the nonce.
    pub counter: u64,
    /// The encrypted packet and its tag.
    pub encrypted_packet: &'a [u8],
}

/// The two macs at the end of a handshake message, with the bytes that each one covers.
#[derive(Clone, Copy, Debug)]
pub struct Macs<'a> {
    /// All bytes before mac1.
    pub before_mac1: &'a [u8],
    /// The first mac, over `before_mac1`.
    pub mac1: &'a [u8; 16],
    /// All bytes before mac2, mac1 included.
    pub before_mac2: &'a [u8],
    /// The second mac, over `before_mac2`.
    pub mac2: &'a [u8; 16],
}

impl<'a> Message<'a> {
    /// Checks type, reserved bytes and length of a datagram and cuts its fields.
    ///
    /// # Errors
    /// [`DropReason::BadType`] for an unknown type word, [`DropReason::BadLength`] when the length does not fit the type.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, DropReason> {
        let kind: [u8; 4] = *datagram.first_chunk().ok_or(DropReason::BadLength)?;
        let message = match kind {
            TYPE_INITIATION => HandshakeInitiation::parse(datagram).map(Message::Initiation),
            TYPE_RESPONSE => HandshakeResponse::parse(datagram).map(Message::Response),
            TYPE_COOKIE_REPLY => CookieReply::parse(datagram).map(Message::CookieReply),
            TYPE_DATA => TransportData::parse(datagram).map(Message::Data),
            _ => return Err(DropReason::BadType),
        };
        message.ok_or(DropReason::BadLength)
    }
}

impl<'a> HandshakeInitiation<'a> {
    fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(datagram);
        fields.take::<4>()?;
        let sender = RemoteIndex(fields.index()?);
        let ephemeral = fields.take()?;
        let encrypted_static = fields.take()?;
        let encrypted_timestamp = fields.take()?;
        let macs = fields.macs(datagram)?;
        Some(Self {
            sender,
            ephemeral,
            encrypted_static,
            encrypted_timestamp,
            macs,
        })
    }
}

impl<'a> HandshakeResponse<'a> {
    fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(datagram);
        fields.take::<4>()?;
        let sender = RemoteIndex(fields.index()?);
        let receiver = LocalIndex(fields.index()?);
        let ephemeral = fields.take()?;
        let encrypted_nothing = fields.take()?;
        let macs = fields.macs(datagram)?;
        Some(Self {
            sender,
            receiver,
            ephemeral,
            encrypted_nothing,
            macs,
        })
    }
}

impl<'a> CookieReply<'a> {
    fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(datagram);
        fields.take::<4>()?;
        let receiver = LocalIndex(fields.index()?);
        let nonce = fields.take()?;
        let encrypted_cookie = fields.take()?;
        fields.0.is_empty().then_some(Self {
            receiver,
            nonce,
            encrypted_cookie,
        })
    }
}

impl<'a> TransportData<'a> {
    fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(datagram);
        fields.take::<4>()?;
        let receiver = LocalIndex(fields.index()?);
        let counter = u64::from_le_bytes(*fields.take()?);
        (fields.0.len() >= TAG_LEN).then_some(Self {
            receiver,
            counter,
            encrypted_packet: fields.0,
        })
    }
}

/// Writes the 16-byte header of transport data.
pub fn write_data_header(out: &mut [u8; DATA_HEADER_LEN], receiver: RemoteIndex, counter: u64) {
    out[..4].copy_from_slice(&TYPE_DATA);
    out[4..8].copy_from_slice(&receiver.0.to_le_bytes());
    out[8..].copy_from_slice(&counter.to_le_bytes());
}

/// Reads receiver index and counter of transport data; `None` when the datagram is none or shorter than 32 bytes.
pub fn parse_data_header(datagram: &[u8]) -> Option<(LocalIndex, u64)> {
    if *datagram.first_chunk()? != TYPE_DATA {
        return None;
    }
    TransportData::parse(datagram).map(|data| (data.receiver, data.counter))
}

/// Returns the length of a packet once zero bytes pad it to a multiple of 16, but never beyond the MTU.
///
/// A packet longer than the MTU (it will be cut into MTU-sized pieces elsewhere) is padded as its last piece would be. An
/// MTU of 0 means unknown. The result is never less than `len`.
pub fn padded_len(len: usize, mtu: usize) -> usize {
    let last = match mtu {
        0 => len,
        _ if len > mtu => len % mtu,
        _ => len,
    };
    let rounded = last.checked_next_multiple_of(16).unwrap_or(last);
    let padded = if mtu == 0 { rounded } else { rounded.min(mtu) };
    len.saturating_add(padded - last)
}

/// What is left of a datagram while its fields are cut off from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(field)
    }

    fn index(&mut self) -> Option<u32> {
        self.take().copied().map(u32::from_le_bytes)
    }

    /// Takes both macs, which must end the datagram.
    fn macs(&mut self, datagram: &'a [u8]) -> Option<Macs<'a>> {
        let mac1 = self.take()?;
        let mac2 = self.take()?;
        let (before_mac2, _) = datagram.split_last_chunk::<16>()?;
        let (before_mac1, _) = before_mac2.split_last_chunk::<16>()?;
        self.0.is_empty().then_some(Macs {
            before_mac1,
            mac1,
            before_mac2,
            mac2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_lengths_are_accepted() {
        for (kind, len) in [(1u32, INITIATION_LEN), (2, RESPONSE_LEN), (3, COOKIE_REPLY_LEN)] {
            for try_len in 0..200 {
                let mut datagram = vec![0; try_len];
                if let Some(word) = datagram.first_chunk_mut() {
                    *word = kind.to_le_bytes();
                }
                assert_eq!(
                    Message::parse(&datagram).is_ok(),
                    try_len == len,
                    "type {kind}, {try_len} bytes"
                );
            }
        }
    }

    #[test]
    fn data_needs_header_and_tag_only() {
        for len in 4..100 {
            let mut datagram = vec![0; len];
            datagram[0] = 4;
            assert_eq!(matches!(Message::parse(&datagram), Ok(Message::Data(_))), len >= 32);
            assert_eq!(parse_data_header(&datagram).is_some(), len >= 32);
        }
    }

    #[test]
    fn reserved_bytes_and_unknown_types_are_refused() {
        for word in [0u32, 5, 255, 0x0000_0101, 0x0100_0001, 0x0001_0004] {
            let mut datagram = vec![0; INITIATION_LEN];
            datagram[..4].copy_from_slice(&word.to_le_bytes());
            assert_eq!(Message::parse(&datagram).err(), Some(DropReason::BadType), "{word:#x}");
            assert_eq!(parse_data_header(&datagram), None);
        }
    }

    #[test]
    fn data_header_round_trip() {
        let mut datagram = [0; 32];
        write_data_header(
            datagram.first_chunk_mut().unwrap(),
            RemoteIndex(0x0a0b_0c0d),
            0x1122_3344_5566_7788,
        );
        assert_eq!(datagram[..8], [4, 0, 0, 0, 0x0d, 0x0c, 0x0b, 0x0a]);
        assert_eq!(
            parse_data_header(&datagram),
            Some((LocalIndex(0x0a0b_0c0d), 0x1122_3344_5566_7788))
        );
    }

    #[test]
    fn padding_stops_at_the_mtu() {
        for (len, padded) in [
            (0, 0),
            (1, 16),
            (16, 16),
            (17, 32),
            (1408, 1408),
            (1409, 1420),
            (1419, 1420),
            (1420, 1420),
        ] {
            assert_eq!(padded_len(len, 1420), padded, "{len}");
        }
        assert_eq!(padded_len(1297, 1299), 1299);
        assert_eq!(padded_len(33, 0), 48);
        // Beyond the MTU: 1421 = 1420 + 1, so the last piece of 1 byte is padded to 16.
        assert_eq!(padded_len(1421, 1420), 1436);
        assert_eq!(padded_len(2840, 1420), 2840);
        assert_eq!(padded_len(usize::MAX, 0), usize::MAX);
    }
}
