//! Where the headers of a TCP or UDP packet end, read from the packet alone.
//!
//! Nothing the kernel says beside the packet is used. The accessors read zero and write nothing outside the slice,
//! so no offset, however wrong, can panic; [`Headers::parse`] makes sure that this does not happen to its callers.

use super::checksum;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// TCP flag bits, at [`TCP_FLAGS`].
pub(crate) const FIN: u8 = 0x01;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const CWR: u8 = 0x80;
/// Offset of the flags in a TCP header.
pub(crate) const TCP_FLAGS: usize = 13;

/// The longest headers there are without IPv6 extension headers: IPv4 and TCP, both with all options.
pub(crate) const MAX_PLAIN_HEADERS: usize = 120;

/// The headers of an unfragmented TCP or UDP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Headers {
    /// Whether the packet is IPv6.
    pub(crate) v6: bool,
    /// [`TCP`] or [`UDP`].
    pub(crate) protocol: u8,
    /// Where the transport header starts.
    pub(crate) transport: usize,
    /// Where the payload starts; never past the end of the packet.
    pub(crate) payload: usize,
}

impl Headers {
    /// Reads the headers; `None` for fragments, other protocols, unknown extension headers and cut-off packets.
    ///
    /// IPv6 hop-by-hop and destination options are stepped over, and so is a routing header that has been used up.
    #[inline]
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let (v6, protocol, transport) = match packet.first()? >> 4 {
            4 => {
                let header_len = usize::from(packet.first()? & 0x0f) * 4;
                let fragment = read_u16(packet, 6) & 0x3fff;
                if header_len < 20 || packet.len() < header_len || fragment != 0 {
                    return None;
                }
                (false, *packet.get(9)?, header_len)
            }
            6 => {
                let (protocol, transport) = skip_extensions(packet)?;
                (true, protocol, transport)
            }
            _ => return None,
        };
        let header_len = match protocol {
            TCP => usize::from(packet.get(transport + 12)? >> 4) * 4,
            UDP => 8,
            _ => return None,
        };
        let shortest = if protocol == TCP { 20 } else { 8 };
        let payload = transport + header_len;
        (header_len >= shortest && payload <= packet.len()).then_some(Self {
            v6,
            protocol,
            transport,
            payload,
        })
    }

    /// Offset of the checksum field from the start of the transport header.
    pub(crate) fn checksum_offset(&self) -> usize {
        if self.protocol == TCP { 16 } else { 6 }
    }

    /// The source and destination addresses in `packet`.
    pub(crate) fn addresses<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let range = if self.v6 { 8..40 } else { 12..20 };
        packet.get(range).unwrap_or_default()
    }

    /// The partial sum of the pseudo-header for `len` bytes of transport header and payload.
    pub(crate) fn pseudo_header(&self, packet: &[u8], len: usize) -> u64 {
        checksum::pseudo_header(self.addresses(packet), self.protocol, len)
    }

    /// Writes the lengths of a packet of `len` bytes, and the IPv4 header checksum, into its headers.
    pub(crate) fn set_len(&self, headers: &mut [u8], len: usize) {
        if self.v6 {
            write_u16(headers, 4, len.saturating_sub(40) as u16);
        } else {
            write_u16(headers, 2, len as u16);
            self.finish_ipv4(headers);
        }
        if self.protocol == UDP {
            write_u16(headers, self.transport + 4, len.saturating_sub(self.transport) as u16);
        }
    }

    fn finish_ipv4(&self, headers: &mut [u8]) {
        write(headers, 10, [0, 0]);
        let field = checksum::finish(checksum::sum(headers.get(..self.transport).unwrap_or_default()));
        write(headers, 10, field);
    }
}

/// Returns the payload of a UDP packet, or of the first fragment of one.
pub(crate) fn udp_payload(packet: &[u8]) -> Option<&[u8]> {
    const FRAGMENT: u8 = 44;
    const OFFSET: u16 = 0x1fff;
    let (protocol, transport) = match packet.first()? >> 4 {
        4 if read_u16(packet, 6) & OFFSET == 0 => (*packet.get(9)?, usize::from(packet.first()? & 0x0f) * 4),
        6 => match skip_extensions(packet)? {
            (FRAGMENT, at) if read_u16(packet, at + 2) & !7 == 0 => (*packet.get(at)?, at + 8),
            other => other,
        },
        _ => return None,
    };
    packet.get(transport + 8..).filter(|_| protocol == UDP)
}

/// Returns the protocol and the offset of what follows the IPv6 extension headers.
fn skip_extensions(packet: &[u8]) -> Option<(u8, usize)> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;

    let mut protocol = *packet.get(6)?;
    let mut at = 40;
    loop {
        match protocol {
            HOP_BY_HOP | DESTINATION => {}
            // With segments left, the pseudo-header would need the last address of the list.
            ROUTING if *packet.get(at + 3)? == 0 => {}
            _ => return (at <= packet.len()).then_some((protocol, at)),
        }
        protocol = *packet.get(at)?;
        at += (usize::from(*packet.get(at + 1)?) + 1) * 8;
    }
}

pub(crate) fn read<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

pub(crate) fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(read(bytes, at))
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(read(bytes, at))
}

pub(crate) fn write<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = value;
    }
}

pub(crate) fn write_u16(bytes: &mut [u8], at: usize, value: u16) {
    write(bytes, at, value.to_be_bytes());
}

pub(crate) fn write_u32(bytes: &mut [u8], at: usize, value: u32) {
    write(bytes, at, value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_of_a_first_fragment_is_found_and_that_of_others_is_not() {
        let mut v4 = vec![0; 40];
        v4[0] = 0x46;
        v4[9] = UDP;
        v4[32..].fill(7);
        assert_eq!(udp_payload(&v4), Some(&[7; 8][..]));
        v4[6] = 0x20;
        assert_eq!(udp_payload(&v4), Some(&[7; 8][..]), "more fragments");
        v4[7] = 1;
        assert_eq!(udp_payload(&v4), None, "not the first");
        let mut v6 = vec![0; 64];
        v6[0] = 0x60;
        v6[6] = UDP;
        assert_eq!(udp_payload(&v6).map(<[u8]>::len), Some(16));
        (v6[6], v6[40], v6[43]) = (44, UDP, 1);
        assert_eq!(udp_payload(&v6).map(<[u8]>::len), Some(8), "more fragments");
        v6[43] = 8;
        assert_eq!(udp_payload(&v6), None, "not the first");
        for len in 0..64 {
            let _ = (udp_payload(&v4[..len.min(40)]), udp_payload(&v6[..len]));
        }
    }
}
