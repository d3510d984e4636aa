//! Dumps as the kernel writes them, and as it never would.

use std::time::Duration;

use conf::prefix::Prefix;
use conf::uapi;
use netlink_packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR};
use proptest::prelude::*;

use super::super::message::{Request, attribute_len};
use super::super::numbers::*;
use super::*;

const FAMILY: u16 = 0x1c;
const SEQUENCE: u32 = 7;

/// Writes a dump as the kernel does: a new message where the next allowed IP or peer does not fit.
fn dump(status: &DeviceStatus, limit: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut message = Request::new(limit);
    let next = |message: &mut Request, messages: &mut Vec<Vec<u8>>| {
        messages.push(message.finish(FAMILY, 0, SEQUENCE).to_vec());
        message.start(WG_CMD_GET_DEVICE, WG_GENL_VERSION);
        message.attribute(WGDEVICE_A_IFNAME, b"wg0\0");
        message.open(WGDEVICE_A_PEERS);
    };
    message.start(WG_CMD_GET_DEVICE, WG_GENL_VERSION);
    message.attribute(WGDEVICE_A_LISTEN_PORT, &status.listen_port.to_ne_bytes());
    message.attribute(WGDEVICE_A_FWMARK, &status.fwmark.to_ne_bytes());
    message.attribute(WGDEVICE_A_IFNAME, b"wg0\0");
    if let Some(key) = &status.private_key {
        message.attribute(WGDEVICE_A_PRIVATE_KEY, key.as_bytes());
    }
    message.open(WGDEVICE_A_PEERS);
    for peer in &status.peers {
        if !message.has_room(260) {
            next(&mut message, &mut messages);
        }
        message.open(ELEMENT);
        message.attribute(WGPEER_A_PUBLIC_KEY, peer.public_key.as_bytes());
        values(&mut message, peer);
        message.open(WGPEER_A_ALLOWEDIPS);
        for &prefix in &peer.allowed_ips {
            if !message.has_room(48) {
                next(&mut message, &mut messages);
                message.open(ELEMENT);
                message.attribute(WGPEER_A_PUBLIC_KEY, peer.public_key.as_bytes());
                message.open(WGPEER_A_ALLOWEDIPS);
            }
            allowed_ip(&mut message, prefix.address(), prefix.prefix_len());
        }
        message.close();
        message.close();
    }
    messages.push(message.finish(FAMILY, 0, SEQUENCE).to_vec());
    messages.push(end(NLMSG_DONE, 0, 0));
    messages
}

fn values(message: &mut Request, peer: &PeerStatus) {
    let key = peer.preshared_key.as_ref().map_or(&[0; 32], |key| key.as_bytes());
    message.attribute(WGPEER_A_PRESHARED_KEY, key);
    let time = peer.last_handshake.unwrap_or_default();
    let time = [time.as_secs(), u64::from(time.subsec_nanos())].map(u64::to_ne_bytes);
    message.attribute(WGPEER_A_LAST_HANDSHAKE_TIME, time.as_flattened());
    let interval = peer.persistent_keepalive.to_ne_bytes();
    message.attribute(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &interval);
    message.attribute(WGPEER_A_TX_BYTES, &peer.tx_bytes.to_ne_bytes());
    message.attribute(WGPEER_A_RX_BYTES, &peer.rx_bytes.to_ne_bytes());
    // WGPEER_A_PROTOCOL_VERSION, which tells nothing.
    message.attribute(10, &1u32.to_ne_bytes());
    match peer.endpoint {
        Some(SocketAddr::V4(v4)) => {
            let bytes = [&[2, 0], &v4.port().to_be_bytes()[..], &v4.ip().octets(), &[0; 8]].concat();
            message.attribute(WGPEER_A_ENDPOINT, &bytes);
        }
        Some(SocketAddr::V6(v6)) => {
            let scope = v6.scope_id().to_ne_bytes();
            let bytes = [
                &[10, 0],
                &v6.port().to_be_bytes()[..],
                &[0; 4],
                &v6.ip().octets(),
                &scope,
            ]
            .concat();
            message.attribute(WGPEER_A_ENDPOINT, &bytes);
        }
        None => {}
    }
}

fn allowed_ip(message: &mut Request, address: IpAddr, len: u8) {
    message.open(ELEMENT);
    message.attribute(WGALLOWEDIP_A_CIDR_MASK, &[len]);
    message.attribute(WGALLOWEDIP_A_FAMILY, &[if address.is_ipv4() { 2 } else { 10 }, 0]);
    match address {
        IpAddr::V4(address) => message.attribute(WGALLOWEDIP_A_IPADDR, &address.octets()),
        IpAddr::V6(address) => message.attribute(WGALLOWEDIP_A_IPADDR, &address.octets()),
    }
    message.close();
}

/// The message that ends an answer.
fn end(kind: u16, flags: u16, code: i32) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend_from_slice(&20u32.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&SEQUENCE.to_ne_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&code.to_ne_bytes());
    message
}

fn read(datagrams: &[Vec<u8>]) -> Result<Option<DeviceStatus>, Option<i32>> {
    let mut dump = Dump::new(FAMILY, SEQUENCE);
    for datagram in datagrams {
        if dump.take(datagram).map_err(|error| error.raw_os_error())? {
            return Ok(dump.finish());
        }
    }
    panic!("the dump does not end");
}

/// Reads a dump of a single peer whose attributes `write` puts down.
fn read_peer(write: &dyn Fn(&mut Request)) -> Result<PeerStatus, Option<i32>> {
    let mut message = Request::new(1024);
    message.start(WG_CMD_GET_DEVICE, WG_GENL_VERSION);
    message.open(WGDEVICE_A_PEERS);
    message.open(ELEMENT);
    write(&mut message);
    let datagrams = [message.finish(FAMILY, 0, SEQUENCE).to_vec(), end(NLMSG_DONE, 0, 0)];
    Ok(read(&datagrams)?.unwrap().peers.remove(0))
}

fn with_key(kind: u16, value: &[u8]) -> Result<PeerStatus, Option<i32>> {
    read_peer(&|message| {
        message.attribute(WGPEER_A_PUBLIC_KEY, &[1; 32]);
        message.attribute(kind, value);
    })
}

fn peer_status() -> impl Strategy<Value = PeerStatus> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ];
    let endpoint = (address.clone(), any::<(u16, u32)>()).prop_map(|(address, (port, scope))| match address {
        IpAddr::V4(_) => SocketAddr::new(address, port),
        IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, scope).into(),
    });
    let allowed_ip = (address, any::<u8>()).prop_map(|(address, len)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        Prefix::new(address, len % (most + 1)).unwrap()
    });
    let handshake = proptest::option::of((0..=i64::MAX as u64, 1..1_000_000_000u32));
    (
        any::<([u8; 32], Option<[u8; 32]>, u64, u64, u16)>(),
        proptest::option::of(endpoint),
        handshake,
        proptest::collection::vec(allowed_ip, 0..30),
    )
        .prop_map(
            |((key, psk, rx, tx, keepalive), endpoint, handshake, allowed_ips)| PeerStatus {
                public_key: PublicKey::from_bytes(key),
                preshared_key: psk.map(PresharedKey::from_bytes),
                endpoint,
                last_handshake: handshake.map(|(seconds, nanos)| Duration::new(seconds, nanos)),
                tx_bytes: tx,
                rx_bytes: rx,
                persistent_keepalive: keepalive,
                allowed_ips,
            },
        )
}

fn device_status() -> impl Strategy<Value = DeviceStatus> {
    let peers = proptest::collection::vec(peer_status(), 0..6);
    (any::<(Option<[u8; 32]>, u16, u32)>(), peers).prop_map(|((key, listen_port, fwmark), peers)| DeviceStatus {
        private_key: key.map(PrivateKey::from_bytes),
        listen_port,
        fwmark,
        peers,
    })
}

proptest! {
    #[test]
    fn what_the_kernel_writes_is_read_wherever_it_is_cut(status in device_status(), limit in 400..4000usize) {
        let datagrams = dump(&status, limit);
        let again = read(&datagrams).unwrap().unwrap();
        prop_assert_eq!(uapi::get_answer(&again), uapi::get_answer(&status));
        // Several messages may come in one datagram, as the last one and the end do.
        let again = read(&[datagrams.concat()]).unwrap().unwrap();
        prop_assert_eq!(uapi::get_answer(&again), uapi::get_answer(&status));
    }

    #[test]
    fn broken_dumps_are_survived(
        status in device_status(),
        limit in 400..4000usize,
        changes in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4),
    ) {
        let mut bytes = dump(&status, limit).concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Dump::new(FAMILY, SEQUENCE).take(&bytes);
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = Dump::new(FAMILY, SEQUENCE).take(&bytes);
    }
}

#[test]
fn a_dump_that_a_change_interrupts_yields_nothing() {
    let whole = dump(&DeviceStatus::default(), 400);
    let mut first = whole.clone();
    first[0][6..8].copy_from_slice(&NLM_F_DUMP_INTR.to_ne_bytes());
    assert!(read(&first).unwrap().is_none());
    let last = [whole[0].clone(), end(NLMSG_DONE, NLM_F_DUMP_INTR, 0)];
    assert!(read(&last).unwrap().is_none());
    assert!(read(&whole).unwrap().is_some());
}

#[test]
fn a_refusal_counts_in_whatever_message_it_comes() {
    let first = dump(&DeviceStatus::default(), 400).swap_remove(0);
    assert_eq!(read(&[end(NLMSG_ERROR, 0, -1)]).err(), Some(Some(1)));
    assert_eq!(read(&[first, end(NLMSG_DONE, 0, -19)]).err(), Some(Some(19)));
}

#[test]
fn zero_stands_for_no_key_and_no_handshake() {
    let peer = with_key(WGPEER_A_PRESHARED_KEY, &[0; 32]).unwrap();
    assert!(peer.preshared_key.is_none());
    let peer = with_key(WGPEER_A_LAST_HANDSHAKE_TIME, &[0; 16]).unwrap();
    assert!(peer.last_handshake.is_none());
}

#[test]
fn attributes_of_newer_kernels_are_passed_over() {
    assert!(with_key(200, &[1, 2, 3]).is_ok());
}

#[test]
fn values_that_cannot_be_are_a_protocol_error() {
    let family = |number: u16| number.to_ne_bytes();
    let second = |nanos: i64| [1i64.to_ne_bytes(), nanos.to_ne_bytes()].concat();
    for (kind, value) in [
        (WGPEER_A_PUBLIC_KEY, vec![1; 31]),
        (WGPEER_A_PRESHARED_KEY, vec![1; 33]),
        (WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, vec![1; 4]),
        (WGPEER_A_RX_BYTES, vec![1; 4]),
        (WGPEER_A_LAST_HANDSHAKE_TIME, vec![0; 8]),
        (WGPEER_A_LAST_HANDSHAKE_TIME, second(1_000_000_000)),
        (WGPEER_A_LAST_HANDSHAKE_TIME, second(-1)),
        (WGPEER_A_LAST_HANDSHAKE_TIME, vec![0xff; 16]),
        (WGPEER_A_ENDPOINT, vec![]),
        (WGPEER_A_ENDPOINT, [&family(2)[..], &[0; 13]].concat()),
        (WGPEER_A_ENDPOINT, [&family(2)[..], &[0; 26]].concat()),
        (WGPEER_A_ENDPOINT, [&family(10)[..], &[0; 14]].concat()),
        (WGPEER_A_ENDPOINT, [&family(1)[..], &[0; 14]].concat()),
        (WGPEER_A_ALLOWEDIPS, vec![1; 3]),
    ] {
        let wrong = read_peer(&|message| {
            if kind != WGPEER_A_PUBLIC_KEY {
                message.attribute(WGPEER_A_PUBLIC_KEY, &[1; 32]);
            }
            message.attribute(kind, &value);
        });
        assert_eq!(
            wrong.err(),
            Some(Some(Errno::PROTO.raw_os_error())),
            "{kind}: {value:?}"
        );
    }
    let keyless = read_peer(&|message| message.attribute(WGPEER_A_TX_BYTES, &[0; 8]));
    assert_eq!(keyless.err(), Some(Some(Errno::PROTO.raw_os_error())));
}

#[test]
fn allowed_ips_are_whole_and_of_their_family() {
    let allowed_ip = |parts: &[(u16, &[u8])]| {
        read_peer(&|message| {
            message.attribute(WGPEER_A_PUBLIC_KEY, &[1; 32]);
            message.open(WGPEER_A_ALLOWEDIPS);
            message.open(ELEMENT);
            for (kind, value) in parts {
                message.attribute(*kind, value);
            }
        })
        .map(|peer| peer.allowed_ips)
    };
    let [v4, v6]: [(u16, &[u8]); 2] = [(WGALLOWEDIP_A_FAMILY, &[2, 0]), (WGALLOWEDIP_A_FAMILY, &[10, 0])];
    let [short, long]: [(u16, &[u8]); 2] = [(WGALLOWEDIP_A_IPADDR, &[10; 4]), (WGALLOWEDIP_A_IPADDR, &[10; 16])];
    let len = |len: &'static u8| (WGALLOWEDIP_A_CIDR_MASK, std::slice::from_ref(len));
    assert_eq!(
        allowed_ip(&[v4, short, len(&32)]),
        Ok(vec![IpAddr::from([10; 4]).into()])
    );
    assert_eq!(
        allowed_ip(&[len(&128), long, v6]),
        Ok(vec![IpAddr::from([10; 16]).into()])
    );
    for wrong in [
        &[v4, short][..],
        &[v4, len(&0)],
        &[short, len(&0)],
        &[v4, long, len(&0)],
        &[v6, short, len(&0)],
        &[v4, short, len(&33)],
        &[v6, long, len(&129)],
        &[(WGALLOWEDIP_A_FAMILY, &[1, 0]), short, len(&0)],
    ] {
        assert_eq!(allowed_ip(wrong), Err(Some(Errno::PROTO.raw_os_error())), "{wrong:?}");
    }
}

#[test]
fn an_answer_without_end_is_given_up() {
    let mut part = Dump::new(FAMILY, SEQUENCE);
    part.taken = MAX_ANSWER - attribute_len(0);
    let error = part.take(&dump(&DeviceStatus::default(), 400)[0]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::FBIG.raw_os_error()));
}
