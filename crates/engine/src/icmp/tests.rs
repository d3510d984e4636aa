use proptest::prelude::*;

use super::*;

fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 9, 9, 9];
    packet.extend_from_slice(payload);
    packet
}

fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    packet.extend_from_slice(&[0xfd; 16]);
    packet.extend_from_slice(&[0xfc; 16]);
    packet.extend_from_slice(payload);
    packet
}

#[test]
fn the_unreachable_host_answers() {
    let packet = v4(17, &[1; 1400]);
    let answer = unreachable(&packet).unwrap();
    assert_eq!(answer.len(), 576);
    assert_eq!(header::read_u16(&answer, 2), 576);
    assert_eq!(answer[12..20], [10, 9, 9, 9, 10, 0, 0, 1]);
    assert_eq!((answer[9], answer[20], answer[21]), (1, 3, 1));
    assert!(checksum::verifies(checksum::sum(&answer[..20])));
    assert!(checksum::verifies(checksum::sum(&answer[20..])));
    assert_eq!(answer[28..], packet[..548]);
}

#[test]
fn the_unreachable_address_answers() {
    let packet = v6(17, &[1; 1401]);
    let answer = unreachable(&packet).unwrap();
    assert_eq!(answer.len(), 1280);
    assert_eq!(header::read_u16(&answer, 4), 1240);
    assert_eq!(answer[8..40], [[0xfc; 16], [0xfd; 16]].concat());
    assert_eq!((answer[6], answer[40], answer[41]), (58, 1, 3));
    let pseudo = checksum::pseudo_header(&answer[8..40], 58, 1240);
    assert!(checksum::verifies(pseudo + checksum::sum(&answer[40..])));
    assert_eq!(answer[48..], packet[..1232]);
}

#[test]
fn errors_are_not_answered_but_echoes_are() {
    for (icmp_type, answered) in [(8, true), (0, true), (3, false), (5, false), (11, false), (200, false)] {
        assert_eq!(
            unreachable(&v4(1, &[icmp_type, 0, 0, 0])).is_some(),
            answered,
            "ICMP type {icmp_type}"
        );
    }
    for (icmp_type, answered) in [(128, true), (129, true), (1, false), (127, false), (137, false)] {
        assert_eq!(
            unreachable(&v6(58, &[icmp_type, 0, 0, 0])).is_some(),
            answered,
            "ICMPv6 type {icmp_type}"
        );
        let behind_options = [&[58, 0, 1, 4, 0, 0, 0, 0], &[icmp_type, 0, 0, 0][..]].concat();
        assert_eq!(unreachable(&v6(0, &behind_options)).is_some(), answered);
    }
    assert_eq!(unreachable(&v4(1, &[])), None);
    assert_eq!(unreachable(&v6(58, &[])), None);
}

#[test]
fn only_the_first_fragment_is_answered() {
    let mut first = v4(17, &[0; 64]);
    first[6] = 0x20;
    assert!(unreachable(&first).is_some());
    first[7] = 1;
    assert_eq!(unreachable(&first), None);

    assert!(unreachable(&v6(44, &[17, 0, 0, 1, 0, 0, 0, 0, 1, 1])).is_some());
    assert_eq!(unreachable(&v6(44, &[17, 0, 0, 8, 0, 0, 0, 0, 1, 1])), None);
}

#[test]
fn groups_are_not_answered() {
    for at in [12, 16] {
        for address in [[224, 0, 0, 1], [255, 255, 255, 255], [0, 0, 0, 0]] {
            let mut packet = v4(17, &[0; 8]);
            packet[at..at + 4].copy_from_slice(&address);
            assert_eq!(unreachable(&packet), None);
        }
    }
    for at in [8, 24] {
        let mut packet = v6(17, &[0; 8]);
        packet[at] = 0xff;
        assert_eq!(unreachable(&packet), None);
        packet[at..at + 16].fill(0);
        assert_eq!(unreachable(&packet), None);
    }
}

#[test]
fn answers_are_limited_to_a_burst_and_a_rate() {
    const SECOND: u64 = 1_000_000_000;
    let mut limiter = RateLimiter::new();
    let now = 5 * SECOND;
    assert_eq!((0..100).filter(|_| limiter.allow(now)).count(), 50);
    assert!(!limiter.allow(now + 999_999));
    assert!(limiter.allow(now + 1_000_000));
    assert!(!limiter.allow(now));
    assert_eq!((0..100).filter(|_| limiter.allow(now + SECOND)).count(), 50);
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        first in prop::sample::select(vec![0x45u8, 0x4f, 0x60]),
        next in prop::sample::select(vec![0u8, 43, 44, 51, 58, 60, 1]),
        mut bytes in prop::collection::vec(any::<u8>(), 1..120),
    ) {
        bytes[0] = first;
        if let Some(place) = bytes.get_mut(6) {
            *place = next;
        }
        if let Some(answer) = unreachable(&bytes) {
            prop_assert!(answer.len() <= 1280);
        }
    }
}
