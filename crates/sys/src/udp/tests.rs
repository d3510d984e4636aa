use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::*;
use crate::poll::readable;
use crate::testing::in_namespace;

const SEGMENT: usize = 1452;
const SEGMENTS: usize = 45;

fn receive(socket: &UdpSocket, batch: &mut RecvBatch) -> usize {
    assert!(
        readable(socket.fd(), Duration::from_secs(5)).unwrap(),
        "nothing arrived"
    );
    socket.recv(batch).unwrap()
}

fn pair(family: Family) -> (UdpSocket, UdpSocket, IpAddr) {
    let local = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    (
        UdpSocket::bind(family, 0).unwrap(),
        UdpSocket::bind(family, 0).unwrap(),
        local,
    )
}

fn payload() -> Vec<u8> {
    (0..SEGMENTS * SEGMENT).map(|i| (i / SEGMENT) as u8).collect()
}

fn one_send_is_received_as_one_row(family: Family) {
    let (sender, receiver, local) = pair(family);
    if !(sender.features().gso && receiver.features().gro) {
        return eprintln!(
            "SKIPPED: this kernel has no UDP_SEGMENT or UDP_GRO: {:?}",
            sender.features()
        );
    }
    let payload = payload();
    let meta = SendMeta {
        remote: SocketAddr::new(local, receiver.port()),
        source: Some((local, 1)),
        tos: 0x8a,
        segment: Some(SEGMENT as u16),
    };
    let parts: Vec<_> = payload.chunks(SEGMENT).map(IoSlice::new).collect();
    assert_eq!(sender.send(&meta, &parts).unwrap(), payload.len());
    sender
        .send(
            &SendMeta {
                tos: 0,
                segment: None,
                source: None,
                ..meta
            },
            &[IoSlice::new(b"alone")],
        )
        .unwrap();

    let mut batch = RecvBatch::new(4).unwrap();
    assert_eq!(receive(&receiver, &mut batch), 2);
    let origin = Origin {
        remote: SocketAddr::new(local, sender.port()),
        local: Some(local),
        interface: 1,
        tos: 0x8a,
    };
    let mut expected = payload.chunks(SEGMENT).enumerate();
    let mut datagrams = batch.datagrams_mut(0, 0);
    for datagram in datagrams.by_ref().take(SEGMENTS) {
        let (at, bytes) = expected.next().unwrap();
        assert_eq!((datagram.origin, &*datagram.bytes), (&origin, bytes));
        assert_eq!((datagram.slot, datagram.range), (0, at * SEGMENT..(at + 1) * SEGMENT));
    }
    let last = datagrams.next().unwrap();
    assert_eq!((last.slot, last.range, &*last.bytes), (1, 0..5, &b"alone"[..]));
    assert_eq!((last.origin.tos, last.origin.local), (0, Some(local)));
    assert!(datagrams.next().is_none());
    drop(datagrams);
    let from = batch.datagrams_mut(0, 44 * SEGMENT).map(|datagram| datagram.slot);
    assert_eq!(from.collect::<Vec<_>>(), [0, 1]);
    assert_eq!(batch.datagrams_mut(1, 0).count(), 1);
    assert!(batch.bytes(0) == payload && batch.bytes_mut(1) == b"alone" && batch.bytes(2).is_empty());
    assert_eq!((batch.truncated(), batch.total_len()), (0, payload.len() + 5));
    assert_eq!(receiver.recv(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(batch.datagrams_mut(0, 0).next().is_none());
}

#[test]
fn one_segmented_send_is_received_as_one_row_over_ipv4() {
    in_namespace(|| one_send_is_received_as_one_row(Family::V4));
}

#[test]
fn one_segmented_send_is_received_as_one_row_over_ipv6() {
    in_namespace(|| one_send_is_received_as_one_row(Family::V6));
}

#[test]
fn a_short_last_segment_ends_a_row() {
    let (sender, receiver, local) = pair(Family::V4);
    let meta = SendMeta {
        remote: SocketAddr::new(local, receiver.port()),
        source: None,
        tos: 0,
        segment: Some(100),
    };
    sender.send(&meta, &[IoSlice::new(&[1; 250])]).unwrap();
    let mut batch = RecvBatch::new(8).unwrap();
    receive(&receiver, &mut batch);
    let lengths: Vec<_> = batch.datagrams_mut(0, 0).map(|datagram| datagram.bytes.len()).collect();
    assert_eq!(lengths, [100, 100, 50]);
}

#[test]
fn more_than_fits_a_datagram_is_refused() {
    let (sender, receiver, local) = pair(Family::V4);
    let remote = SocketAddr::new(local, receiver.port());
    let meta = SendMeta {
        remote,
        source: None,
        tos: 0,
        segment: Some(SEGMENT as u16),
    };
    let error = sender.send(&meta, &[IoSlice::new(&vec![0; 46 * SEGMENT])]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    assert!(sender.features().gso);
    sender.disable_gso();
    assert!(!sender.features().gso);
}

#[test]
fn families_do_not_mix() {
    let (v4, _, _) = pair(Family::V4);
    let v6 = UdpSocket::bind(Family::V6, v4.port()).unwrap();
    assert_eq!((v6.port(), v6.family()), (v4.port(), Family::V6));
    let meta = SendMeta {
        remote: "127.0.0.1:9".parse().unwrap(),
        source: None,
        tos: 0,
        segment: None,
    };
    let error = v6.send(&meta, &[IoSlice::new(b"x")]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EAFNOSUPPORT));
    let meta = SendMeta {
        source: Some((Ipv6Addr::LOCALHOST.into(), 0)),
        ..meta
    };
    assert_eq!(
        v4.send(&meta, &[IoSlice::new(b"x")]).unwrap_err().raw_os_error(),
        Some(libc::EAFNOSUPPORT)
    );
}

#[test]
fn a_port_is_bound_once() {
    let first = UdpSocket::bind(Family::V4, 0).unwrap();
    assert_ne!(first.port(), 0);
    assert_eq!(
        UdpSocket::bind(Family::V4, first.port()).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
}

#[test]
fn a_source_that_the_host_lacks_is_refused() {
    in_namespace(|| {
        let (sender, receiver, local) = pair(Family::V4);
        let source = Some(("192.0.2.77".parse().unwrap(), 0));
        let meta = SendMeta {
            remote: SocketAddr::new(local, receiver.port()),
            source,
            tos: 0,
            segment: None,
        };
        let errno = sender
            .send(&meta, &[IoSlice::new(b"x")])
            .unwrap_err()
            .raw_os_error()
            .unwrap();
        assert!(
            [libc::EINVAL, libc::ENETUNREACH, libc::EADDRNOTAVAIL].contains(&errno),
            "{errno}"
        );
        sender.set_mark(7).unwrap();
    });
}

#[test]
fn released_slots_are_empty_and_can_be_filled_again() {
    let (sender, receiver, local) = pair(Family::V4);
    let meta = SendMeta {
        remote: SocketAddr::new(local, receiver.port()),
        source: None,
        tos: 0,
        segment: None,
    };
    let mut batch = RecvBatch::new(2).unwrap();
    for _ in 0..2 {
        sender.send(&meta, &[IoSlice::new(b"again")]).unwrap();
        assert_eq!(receive(&receiver, &mut batch), 1);
        assert_eq!(batch.bytes(0), b"again");
        batch.release();
        assert!(batch.bytes(0).is_empty() && batch.datagrams_mut(0, 0).next().is_none());
    }
}

#[test]
fn datagrams_that_come_one_by_one_fill_more_slots() {
    const FEW: usize = 2;
    let (sender, receiver, local) = pair(Family::V4);
    let meta = SendMeta {
        remote: SocketAddr::new(local, receiver.port()),
        source: None,
        tos: 0,
        segment: None,
    };
    let mut batch = RecvBatch::new(FEW).unwrap();
    let send = |count: u8| {
        for n in 0..count {
            // Lengths that change keep the kernel from joining them.
            sender
                .send(&meta, &[IoSlice::new(&vec![n; 1 + usize::from(n % 2)])])
                .unwrap();
        }
    };
    let mut seen = Vec::new();
    let mut slots = Vec::new();
    send(100);
    while seen.len() < 100 {
        slots.push(receive(&receiver, &mut batch));
        seen.extend(batch.datagrams_mut(0, 0).map(|datagram| datagram.bytes[0]));
    }
    assert!(seen.into_iter().eq(0..100));
    assert_eq!(slots, [FEW, MAX_SLOTS, 100 - FEW - MAX_SLOTS]);
}
