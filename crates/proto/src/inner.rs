//! What the tunnel must know of the IP packets inside it: version, length, source and destination.
//!
//! Not a parser of IP: options, extension headers and payload are none of its business. All arithmetic is done in `usize`,
//! so that an IPv6 payload length near 65535 cannot wrap. WireGuard paper, section 3 (cryptokey routing).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::DropReason;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// The facts about one decrypted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerPacket {
    /// 4 or 6.
    pub version: u8,
    /// The length in bytes that the header declares; at most the length of the plaintext.
    pub len: usize,
    /// The source address.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
}

/// Reads the header of a decrypted packet; bytes after its declared length are padding.
///
/// # Errors
/// [`DropReason::InnerNotIp`] if the version is neither 4 nor 6 or the header does not fit,
/// [`DropReason::InnerBadLength`] if the declared length is less than a header or more than there is.
pub fn inner_packet(plaintext: &[u8]) -> Result<InnerPacket, DropReason> {
    let (version, source, destination) = addresses(plaintext).ok_or(DropReason::InnerNotIp)?;
    let len = match version {
        4 => usize::from(word(plaintext, 2)),
        _ => IPV6_HEADER + usize::from(word(plaintext, 4)),
    };
    if len < IPV4_HEADER || len > plaintext.len() {
        return Err(DropReason::InnerBadLength);
    }
    Ok(InnerPacket {
        version,
        len,
        source,
        destination,
    })
}

/// Returns the destination of a packet that is about to leave through the tunnel.
///
/// # Errors
/// [`DropReason::NotIp`] if it is neither IPv4 nor IPv6 or shorter than its fixed header.
pub fn destination(packet: &[u8]) -> Result<IpAddr, DropReason> {
    addresses(packet)
        .map(|(_, _, destination)| destination)
        .ok_or(DropReason::NotIp)
}

fn addresses(packet: &[u8]) -> Option<(u8, IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let header = packet.first_chunk::<IPV4_HEADER>()?;
            let at = |from: usize| {
                header
                    .get(from..)?
                    .first_chunk::<4>()
                    .map(|b| IpAddr::V4(Ipv4Addr::from(*b)))
            };
            Some((4, at(12)?, at(16)?))
        }
        6 => {
            let header = packet.first_chunk::<IPV6_HEADER>()?;
            let at = |from: usize| {
                header
                    .get(from..)?
                    .first_chunk::<16>()
                    .map(|b| IpAddr::V6(Ipv6Addr::from(*b)))
            };
            Some((6, at(8)?, at(24)?))
        }
        _ => None,
    }
}

/// Reads a big-endian 16-bit word of a header already known to be there.
fn word(packet: &[u8], at: usize) -> u16 {
    packet
        .get(at..)
        .and_then(|rest| rest.first_chunk::<2>())
        .map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(total: u16, have: usize) -> Vec<u8> {
        let mut packet = vec![0; have.max(20)];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        packet[16..20].copy_from_slice(&[10, 0, 0, 2]);
        packet.truncate(have);
        packet
    }

    fn v6(payload: u16, have: usize) -> Vec<u8> {
        let mut packet = vec![0; have.max(40)];
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&payload.to_be_bytes());
        packet[23] = 1;
        packet[39] = 2;
        packet.truncate(have);
        packet
    }

    #[test]
    fn ipv4_lengths() {
        let len = |total, have| inner_packet(&v4(total, have)).map(|p| p.len);
        assert_eq!(len(21, 28), Ok(21));
        assert_eq!(len(20, 20), Ok(20));
        assert_eq!(len(10, 28), Err(DropReason::InnerBadLength));
        assert_eq!(len(0, 28), Err(DropReason::InnerBadLength));
        assert_eq!(len(29, 28), Err(DropReason::InnerBadLength));
        assert_eq!(len(19, 19), Err(DropReason::InnerNotIp));
    }

    #[test]
    fn ipv6_lengths_do_not_wrap() {
        let len = |payload, have| inner_packet(&v6(payload, have)).map(|p| p.len);
        assert_eq!(len(0, 48), Ok(40));
        assert_eq!(len(8, 48), Ok(48));
        assert_eq!(len(9, 48), Err(DropReason::InnerBadLength));
        assert_eq!(len(65500, 48), Err(DropReason::InnerBadLength));
        assert_eq!(len(0, 39), Err(DropReason::InnerNotIp));
    }

    #[test]
    fn addresses_and_strangers() {
        let packet = inner_packet(&v4(20, 20)).unwrap();
        assert_eq!((packet.version, packet.source), (4, "10.0.0.1".parse().unwrap()));
        assert_eq!(destination(&v4(20, 20)), Ok("10.0.0.2".parse().unwrap()));
        assert_eq!(
            inner_packet(&v6(0, 40)).unwrap().source,
            "::1".parse::<IpAddr>().unwrap()
        );
        assert_eq!(destination(&v6(0, 40)), Ok("::2".parse().unwrap()));
        for stranger in [&[][..], &[0x45], &[0x50; 64], &[0x45; 19], &[0x60; 39], &[0; 64]] {
            assert_eq!(inner_packet(stranger), Err(DropReason::InnerNotIp));
            assert_eq!(destination(stranger), Err(DropReason::NotIp));
        }
    }
}
