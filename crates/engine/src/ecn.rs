//! Explicit congestion notification across the tunnel (RFC 6040, spec §14).
//!
//! The DSCP of the inner packet never shows outside.

use crate::offload::checksum;

const ECN: u8 = 0b11;
const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;

/// Returns the TOS or traffic class of the datagram that will carry `inner`, an IP packet.
///
/// CE becomes ECT(0), since congestion inside is no congestion of the path outside. What is no IP packet gets zero.
#[must_use]
pub fn encapsulate(inner: &[u8]) -> u8 {
    match tos(inner).map(|tos| tos & ECN) {
        Some(CE) => ECT_0,
        Some(ecn) => ecn,
        None => NOT_ECT,
    }
}

/// Marks `inner`, an IP packet that arrived in a datagram with `outer_tos`, as congested if the path says so.
///
/// A packet that is not ECN-capable stays as it is and is not dropped. The IPv4 header checksum is kept right.
pub fn decapsulate(outer_tos: u8, inner: &mut [u8]) {
    let Some(ecn) = tos(inner).map(|tos| tos & ECN) else {
        return;
    };
    match (outer_tos & ECN, ecn) {
        (CE, ECT_0 | ECT_1) => set(inner, CE),
        (ECT_1, ECT_0) => set(inner, ECT_1),
        _ => {}
    }
}

fn tos(packet: &[u8]) -> Option<u8> {
    match *packet {
        [first, second, ..] if first >> 4 == 4 && packet.len() >= 20 => Some(second),
        [first, second, ..] if first >> 4 == 6 && packet.len() >= 40 => Some(first << 4 | second >> 4),
        _ => None,
    }
}

fn set(packet: &mut [u8], ecn: u8) {
    match packet {
        [first, second, _, _, _, _, _, _, _, _, sum0, sum1, ..] if *first >> 4 == 4 => {
            let old = [*first, *second];
            *second = *second & !ECN | ecn;
            [*sum0, *sum1] = checksum::update([*sum0, *sum1], old, [*first, *second]);
        }
        [_, second, ..] => *second = *second & !(ECN << 4) | ecn << 4,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(v6: bool, tos: u8) -> Vec<u8> {
        let mut packet = vec![7; 48];
        if v6 {
            packet[..2].copy_from_slice(&[0x60 | tos >> 4, tos << 4 | 0x05]);
        } else {
            packet[..2].copy_from_slice(&[0x45, tos]);
            packet[10..12].fill(0);
            let field = checksum::finish(checksum::sum(&packet[..20]));
            packet[10..12].copy_from_slice(&field);
        }
        packet
    }

    #[test]
    fn the_outer_header_shows_ecn_but_no_dscp_and_no_ce() {
        for v6 in [false, true] {
            for (inner, outer) in [(0xb8, 0), (0xb9, 1), (0xba, 2), (0xbb, 2)] {
                assert_eq!(encapsulate(&packet(v6, inner)), outer);
            }
        }
    }

    #[test]
    fn congestion_reaches_capable_packets_only() {
        let table = [
            (3, 0, 0),
            (3, 1, 3),
            (3, 2, 3),
            (3, 3, 3),
            (1, 2, 1),
            (0, 2, 2),
            (2, 1, 1),
            (0, 3, 3),
        ];
        for v6 in [false, true] {
            for (outer, inner, expected) in table {
                let mut marked = packet(v6, 0xb8 | inner);
                decapsulate(outer, &mut marked);
                assert_eq!(marked, packet(v6, 0xb8 | expected), "outer {outer}, inner {inner}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(tos: u8, mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = encapsulate(&bytes);
            decapsulate(tos, &mut bytes);
        }
    }
}
