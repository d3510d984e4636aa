//! Explicit congestion notification across the tunnel (RFC 6040, spec §14).
//!
//! The DSCP of the inner packet never shows outside. Packets that the control plane sends and bulk data follow the same rule,
//! keepalives are not ECN-capable.

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
            [*sum0, *sum1] = updated([*sum0, *sum1], old, [*first, *second]);
        }
        [_, second, ..] => *second = *second & !(ECN << 4) | ecn << 4,
        _ => {}
    }
}

/// Returns the checksum field after a 16-bit word that it covers changed (RFC 1624, equation 3); all big-endian.
fn updated(field: [u8; 2], old: [u8; 2], new: [u8; 2]) -> [u8; 2] {
    let [field, old, new] = [field, old, new].map(|word| u32::from(u16::from_be_bytes(word)));
    let sum = (0xffff - field) + (0xffff - old) + new;
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The plain Internet checksum, before its complement.
    fn sum(header: &[u8]) -> u16 {
        let words = header
            .chunks(2)
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
        let sum: u32 = words.sum();
        let sum = (sum >> 16) + (sum & 0xffff);
        ((sum >> 16) + (sum & 0xffff)) as u16
    }

    fn packet(v6: bool, tos: u8) -> Vec<u8> {
        let mut packet = vec![7; 48];
        if v6 {
            packet[..2].copy_from_slice(&[0x60 | tos >> 4, tos << 4 | 0x05]);
        } else {
            packet[..2].copy_from_slice(&[0x45, tos]);
            packet[10..12].fill(0);
            let field = !sum(&packet[..20]);
            packet[10..12].copy_from_slice(&field.to_be_bytes());
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
        fn a_marked_header_has_a_valid_checksum(mut header: [u8; 20], outer: u8) {
            header[0] = 0x45;
            header[10..12].fill(0);
            let field = !sum(&header);
            header[10..12].copy_from_slice(&field.to_be_bytes());
            decapsulate(outer, &mut header);
            prop_assert_eq!(sum(&header), 0xffff);
        }

        #[test]
        fn any_bytes_are_taken(tos: u8, mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = encapsulate(&bytes);
            decapsulate(tos, &mut bytes);
        }
    }
}
