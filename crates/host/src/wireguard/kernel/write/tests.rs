//! However a change is cut, applying its messages one after the other is applying the change.

use std::net::SocketAddrV6;

use conf::prefix::Prefix;
use netlink_packet_core::NetlinkBuffer;
use proptest::prelude::*;
use proto::{PresharedKey, PrivateKey};

use super::super::attribute::{Attribute, attributes};
use super::*;

const NAME: &str = "0123456789abcde";
/// The least in which the name, the device and one peer have room.
const LEAST: usize = 20 + attribute_len(16) + attribute_len(32) + 3 * attribute_len(4) + attribute_len(0) + PEER_ROOM;

fn messages(request: &SetRequest, limit: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    change(NAME, request, &mut Request::new(limit), &mut |message| {
        messages.push(message.finish(1, 0, 0).to_vec());
        Ok(())
    })
    .unwrap();
    messages
}

/// Reads a message as the kernel does.
fn decode(message: &[u8]) -> SetRequest {
    let payload = NetlinkBuffer::new_checked(message).unwrap().payload();
    assert_eq!(payload[..4], [WG_CMD_SET_DEVICE, WG_GENL_VERSION, 0, 0]);
    let mut request = SetRequest::default();
    for attribute in attributes(&payload[4..]) {
        let attribute = attribute.unwrap();
        match attribute.kind {
            WGDEVICE_A_IFNAME => assert_eq!(attribute.value, b"0123456789abcde\0"),
            WGDEVICE_A_PRIVATE_KEY => {
                let key = PrivateKey::from_bytes(attribute.array().unwrap());
                request.private_key = Some(Some(key).filter(|key| !key.is_zero()));
            }
            WGDEVICE_A_LISTEN_PORT => request.listen_port = Some(u16::from_ne_bytes(attribute.array().unwrap())),
            WGDEVICE_A_FWMARK => request.fwmark = Some(u32::from_ne_bytes(attribute.array().unwrap())),
            WGDEVICE_A_FLAGS => request.replace_peers = attribute.array().unwrap() == 1u32.to_ne_bytes(),
            WGDEVICE_A_PEERS => request
                .peers
                .extend(attribute.nested().map(|peer| decode_peer(&peer.unwrap()))),
            kind => panic!("attribute {kind}"),
        }
    }
    request
}

fn decode_peer(peer: &Attribute<'_>) -> PeerChange {
    let mut change = PeerChange::new(PublicKey::from_bytes([0; 32]));
    for attribute in peer.nested() {
        let attribute = attribute.unwrap();
        match attribute.kind {
            WGPEER_A_PUBLIC_KEY => change.public_key = PublicKey::from_bytes(attribute.array().unwrap()),
            WGPEER_A_FLAGS => {
                let flags = u32::from_ne_bytes(attribute.array().unwrap());
                change.remove = flags & WGPEER_F_REMOVE_ME != 0;
                change.replace_allowed_ips = flags & WGPEER_F_REPLACE_ALLOWEDIPS != 0;
                change.update_only = flags & WGPEER_F_UPDATE_ONLY != 0;
            }
            WGPEER_A_PRESHARED_KEY => {
                let key = PresharedKey::from_bytes(attribute.array().unwrap());
                change.preshared_key = Some(Some(key).filter(|key| !key.is_zero()));
            }
            WGPEER_A_ENDPOINT => change.endpoint = Some(decode_endpoint(attribute.value)),
            WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL => {
                change.persistent_keepalive = Some(u16::from_ne_bytes(attribute.array().unwrap()));
            }
            WGPEER_A_ALLOWEDIPS => {
                let list = attribute.nested().map(|element| decode_allowed_ip(&element.unwrap()));
                change.allowed_ips.extend(list);
            }
            kind => panic!("attribute {kind}"),
        }
    }
    change
}

fn decode_endpoint(bytes: &[u8]) -> SocketAddr {
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match bytes.len() {
        16 => SocketAddr::new(<[u8; 4]>::try_from(&bytes[4..8]).unwrap().into(), port),
        28 => {
            let scope = u32::from_ne_bytes(bytes[24..].try_into().unwrap());
            let address = <[u8; 16]>::try_from(&bytes[8..24]).unwrap();
            SocketAddrV6::new(address.into(), port, 0, scope).into()
        }
        len => panic!("an endpoint of {len} bytes"),
    }
}

fn decode_allowed_ip(element: &Attribute<'_>) -> AllowedIpChange {
    let (mut address, mut len, mut remove) = (IpAddr::from([0; 4]), 0, false);
    for attribute in element.nested() {
        let attribute = attribute.unwrap();
        match (attribute.kind, attribute.value.len()) {
            (WGALLOWEDIP_A_FAMILY, 2) => {}
            (WGALLOWEDIP_A_IPADDR, 4) => address = attribute.array::<4>().unwrap().into(),
            (WGALLOWEDIP_A_IPADDR, 16) => address = attribute.array::<16>().unwrap().into(),
            (WGALLOWEDIP_A_CIDR_MASK, 1) => len = attribute.value[0],
            (WGALLOWEDIP_A_FLAGS, 4) => remove = attribute.value == WGALLOWEDIP_F_REMOVE_ME.to_ne_bytes(),
            other => panic!("attribute and length {other:?}"),
        }
    }
    let prefix = Prefix::new(address, len).unwrap();
    AllowedIpChange { prefix, remove }
}

/// What a device has, as far as requests change it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    private_key: Option<[u8; 32]>,
    listen_port: u16,
    fwmark: u32,
    peers: Vec<Peer>,
}

#[derive(Clone, Debug, PartialEq)]
struct Peer {
    key: PublicKey,
    preshared_key: Option<[u8; 32]>,
    endpoint: Option<SocketAddr>,
    persistent_keepalive: u16,
    allowed_ips: Vec<Prefix>,
}

impl Model {
    fn apply(&mut self, request: &SetRequest) {
        if request.replace_peers {
            self.peers.clear();
        }
        if let Some(key) = &request.private_key {
            self.private_key = key.as_ref().map(|key| *key.as_bytes());
        }
        self.listen_port = request.listen_port.unwrap_or(self.listen_port);
        self.fwmark = request.fwmark.unwrap_or(self.fwmark);
        for change in &request.peers {
            self.apply_peer(change);
        }
    }

    fn apply_peer(&mut self, change: &PeerChange) {
        let there = self.peers.iter().position(|peer| peer.key == change.public_key);
        let index = match there {
            None if change.remove || change.update_only => return,
            None => {
                self.peers.push(Peer {
                    key: change.public_key,
                    preshared_key: None,
                    endpoint: None,
                    persistent_keepalive: 0,
                    allowed_ips: Vec::new(),
                });
                self.peers.len() - 1
            }
            Some(index) if change.remove => {
                self.peers.remove(index);
                return;
            }
            Some(index) => index,
        };
        let peer = &mut self.peers[index];
        if let Some(key) = &change.preshared_key {
            peer.preshared_key = key.as_ref().map(|key| *key.as_bytes());
        }
        peer.endpoint = change.endpoint.or(peer.endpoint);
        peer.persistent_keepalive = change.persistent_keepalive.unwrap_or(peer.persistent_keepalive);
        if change.replace_allowed_ips {
            peer.allowed_ips.clear();
        }
        for allowed in &change.allowed_ips {
            let prefix = allowed.prefix;
            if allowed.remove {
                self.peers[index].allowed_ips.retain(|there| *there != prefix);
                continue;
            }
            for peer in &mut self.peers {
                peer.allowed_ips.retain(|there| *there != prefix);
            }
            self.peers[index].allowed_ips.push(prefix);
        }
    }
}

fn allowed_ip() -> impl Strategy<Value = AllowedIpChange> {
    (0..12u8, any::<bool>(), 0..5u8).prop_map(|(number, v6, remove)| AllowedIpChange {
        prefix: if v6 {
            IpAddr::from([number; 16])
        } else {
            IpAddr::from([number; 4])
        }
        .into(),
        remove: remove == 0,
    })
}

fn peer_change() -> impl Strategy<Value = PeerChange> {
    let endpoint = prop_oneof![
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        any::<([u8; 16], u16, u32)>().prop_map(|(ip, port, scope)| SocketAddrV6::new(ip.into(), port, 0, scope).into()),
    ];
    (
        0..4u8,
        prop::sample::select(vec![(false, false), (false, false), (false, true), (true, false)]),
        any::<(Option<Option<[u8; 32]>>, Option<u16>, bool)>(),
        prop::option::of(endpoint),
        prop::collection::vec(allowed_ip(), 0..25),
    )
        .prop_map(
            |(key, (remove, update_only), (psk, persistent_keepalive, replace), endpoint, allowed_ips)| PeerChange {
                public_key: PublicKey::from_bytes([key; 32]),
                remove,
                update_only,
                preshared_key: psk.map(|key| key.map(PresharedKey::from_bytes)),
                endpoint,
                persistent_keepalive,
                replace_allowed_ips: replace,
                allowed_ips,
            },
        )
}

fn set_request() -> impl Strategy<Value = SetRequest> {
    let device = any::<(Option<Option<[u8; 32]>>, Option<u16>, Option<u32>, bool)>();
    (device, prop::collection::vec(peer_change(), 0..6)).prop_map(|((key, listen_port, fwmark, replace), peers)| {
        SetRequest {
            private_key: key.map(|key| key.map(PrivateKey::from_bytes)),
            listen_port,
            fwmark,
            replace_peers: replace,
            peers,
        }
    })
}

proptest! {
    #[test]
    fn the_messages_of_a_change_do_what_the_change_does(
        before in set_request(),
        request in set_request(),
        limit in LEAST..LEAST + 1000,
    ) {
        let mut whole = Model::default();
        whole.apply(&before);
        let mut cut = whole.clone();
        whole.apply(&request);
        for message in messages(&request, limit) {
            prop_assert!(message.len() <= limit, "{} bytes in {limit}", message.len());
            cut.apply(&decode(&message));
        }
        prop_assert_eq!(cut, whole);
    }
}

fn peer(number: u32, allowed_ips: u32) -> PeerChange {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_ne_bytes());
    let prefixes = (0..allowed_ips).map(|number| AllowedIpChange {
        prefix: IpAddr::from(number.to_be_bytes()).into(),
        remove: false,
    });
    PeerChange {
        replace_allowed_ips: true,
        allowed_ips: prefixes.collect(),
        ..PeerChange::new(PublicKey::from_bytes(key))
    }
}

#[test]
fn what_concerns_the_device_and_what_undoes_is_in_the_first_message_only() {
    let request = SetRequest {
        private_key: Some(None),
        listen_port: Some(5),
        fwmark: Some(6),
        replace_peers: true,
        peers: vec![PeerChange {
            endpoint: Some(([192, 0, 2, 1], 5).into()),
            preshared_key: Some(None),
            persistent_keepalive: Some(7),
            ..peer(1, 20)
        }],
    };
    let requests: Vec<SetRequest> = messages(&request, LEAST)
        .iter()
        .map(|message| decode(message))
        .collect();
    assert!(requests.len() > 3, "{}", requests.len());
    let first = &requests[0];
    assert!(first.private_key.is_some() && first.listen_port == Some(5) && first.fwmark == Some(6));
    assert!(first.replace_peers && first.peers[0].replace_allowed_ips && !first.peers[0].update_only);
    for request in &requests[1..] {
        assert!(request.private_key.is_none() && request.listen_port.is_none() && request.fwmark.is_none());
        let [peer] = &request.peers[..] else {
            panic!("{} peers", request.peers.len())
        };
        assert!(!request.replace_peers && !peer.replace_allowed_ips && peer.update_only);
        assert!(peer.preshared_key.is_none() && peer.endpoint.is_none() && peer.persistent_keepalive.is_none());
    }
}

#[test]
fn a_peer_that_goes_carries_nothing_else() {
    let request = SetRequest {
        peers: vec![PeerChange {
            remove: true,
            update_only: true,
            ..peer(1, 3)
        }],
        ..SetRequest::default()
    };
    let change = decode(&messages(&request, LEAST)[0]).peers.remove(0);
    assert!(change.remove && !change.update_only && !change.replace_allowed_ips && change.allowed_ips.is_empty());
}

#[test]
fn the_first_removal_of_an_allowed_ip_goes_ahead_alone() {
    let mut second = peer(2, 3);
    second.allowed_ips[1].remove = true;
    second.allowed_ips[2].remove = true;
    let request = SetRequest {
        listen_port: Some(5),
        peers: vec![peer(1, 2), second],
        ..SetRequest::default()
    };
    let messages = messages(&request, 1024);
    let ahead = decode(&messages[0]);
    assert!(ahead.listen_port.is_none());
    let change = &ahead.peers[0];
    assert!(change.update_only && !change.replace_allowed_ips);
    assert_eq!(change.public_key, request.peers[1].public_key);
    assert_eq!(change.allowed_ips, [request.peers[1].allowed_ips[1]]);
    assert_eq!(decode(&messages[1]).listen_port, Some(5));
    assert_eq!((messages.len(), ahead.peers.len()), (2, 1));
}

#[test]
fn a_hundred_thousand_of_each_arrive_in_their_order() {
    let limit = super::super::MAX_MESSAGE;
    let allowed_ips = SetRequest {
        peers: vec![peer(1, 100_000)],
        ..SetRequest::default()
    };
    let messages_of = |request| messages(request, limit).into_iter().map(|message| decode(&message));
    let arrived: Vec<AllowedIpChange> = messages_of(&allowed_ips)
        .flat_map(|request| request.peers)
        .flat_map(|peer| peer.allowed_ips)
        .collect();
    assert_eq!(arrived, allowed_ips.peers[0].allowed_ips);
    let peers = SetRequest {
        peers: (0..100_000).map(|number| peer(number, 1)).collect(),
        ..SetRequest::default()
    };
    let arrived: Vec<PublicKey> = messages_of(&peers)
        .flat_map(|request| request.peers)
        .map(|peer| peer.public_key)
        .collect();
    assert!(arrived.into_iter().eq(peers.peers.iter().map(|peer| peer.public_key)));
}

#[test]
fn nothing_follows_the_first_refusal() {
    let request = SetRequest {
        peers: (0..100).map(|number| peer(number, 5)).collect(),
        ..SetRequest::default()
    };
    let mut sent = 0;
    let error = change(NAME, &request, &mut Request::new(LEAST), &mut |_| {
        sent += 1;
        if sent == 2 {
            Err(rustix::io::Errno::NODEV.into())
        } else {
            Ok(())
        }
    })
    .unwrap_err();
    assert_eq!((error.raw_os_error(), sent), (Some(19), 2));
}

#[test]
fn a_change_without_peers_is_one_message() {
    assert_eq!(messages(&SetRequest::default(), LEAST).len(), 1);
}
