use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proto::{PrivateKey, PublicKey};

use super::*;
use crate::uapi::PeerStatus;
use crate::wg::change::Addresses;
use crate::wg::file::{Dialect, Reading};

const A: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const B: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

const FILE: &str = "# the office\n[Interface]\nPrivateKey = {KEY} # do not share\nAddress = 10.9.0.1/24, fd09::1/64\nDNS = 10.9.0.53, corp.example\n\
    \tListenPort=51820\nMTU = 1400\nPostUp = echo '#' %i\nSaveConfig = true\n\n\
    # ---- phones ----\n\n\
    # Name = alice\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.9.0.2/32 # phone\nAllowedIPs = 10.1.0.0/16\nEndpoint = alice.example:5\n\n\
    # Name = bob\n# of sales\n[Peer]\nPublicKey = {B}\nallowedips = 0.0.0.0/0, !10.0.0.0/8\nPersistentKeepalive = 25\n# old: 30\n\n\
    # the end\n";

/// An interface, with the addresses and the MTU that belong to it.
struct State {
    device: DeviceStatus,
    addresses: Vec<Address>,
    mtu: u32,
    mark_is_chosen: bool,
}

fn filled(text: &str) -> String {
    text.replace("{A}", A).replace("{B}", B).replace("{KEY}", KEY)
}

fn read(text: &[u8]) -> (Config, Quick) {
    let reading = Reading::of(text, Dialect::Quick);
    assert!(!reading.has_errors(), "{:?}", reading.problems);
    let (quick, problems) = Quick::of(&reading.config.quick);
    assert_eq!(problems, []);
    (reading.config, quick)
}

/// What a file makes, brought up on an empty machine. Names of endpoints stand for 192.0.2.99.
fn up(text: &[u8]) -> State {
    let (config, quick) = read(text);
    let names = config.names().into_iter();
    let addresses: Addresses = names
        .map(|name| {
            let address = SocketAddr::new("192.0.2.99".parse().unwrap(), name.port);
            (name, address)
        })
        .collect();
    let request = config.addconf(&addresses);
    let mut device = DeviceStatus {
        private_key: request.private_key.flatten(),
        listen_port: request.listen_port.unwrap_or(0),
        fwmark: request.fwmark.unwrap_or(0),
        peers: Vec::new(),
    };
    for change in request.peers {
        let peers = &mut device.peers;
        let at = peers.iter().position(|peer| peer.public_key == change.public_key);
        let at = at.unwrap_or_else(|| {
            peers.push(PeerStatus::new(change.public_key));
            peers.len() - 1
        });
        if change.replace_allowed_ips {
            peers[at].allowed_ips.clear();
        }
        for ip in &change.allowed_ips {
            for (number, peer) in peers.iter_mut().enumerate() {
                if number == at || !ip.remove {
                    peer.allowed_ips.retain(|present| *present != ip.prefix);
                }
            }
            if !ip.remove {
                peers[at].allowed_ips.push(ip.prefix);
            }
        }
        let peer = &mut peers[at];
        if let Some(key) = change.preshared_key {
            peer.preshared_key = key;
        }
        peer.endpoint = change.endpoint.or(peer.endpoint);
        peer.persistent_keepalive = change.persistent_keepalive.unwrap_or(peer.persistent_keepalive);
    }
    State {
        device,
        addresses: quick.addresses.iter().map(|address| address.value).collect(),
        mtu: quick.mtu.map_or(1420, |mtu| mtu.value),
        mark_is_chosen: false,
    }
}

fn saved(file: &str, state: &State) -> Option<String> {
    let (config, quick) = read(file.as_bytes());
    let live = Live {
        device: &state.device,
        addresses: &state.addresses,
        mtu: state.mtu,
        mark_is_chosen: state.mark_is_chosen,
        endpoint_text: &|endpoint| endpoint.to_string(),
    };
    edit(file.as_bytes(), &config, &quick, &live).map(|text| String::from_utf8(text.to_vec()).unwrap())
}

/// The file that a change at run time makes of [`FILE`].
fn after(change: impl FnOnce(&mut State)) -> String {
    let file = filled(FILE);
    let mut state = up(file.as_bytes());
    change(&mut state);
    let text = saved(&file, &state).unwrap_or(file);
    assert_eq!(saved(&text, &state), None, "{text}");
    text.replace(A, "{A}").replace(B, "{B}").replace(KEY, "{KEY}")
}

fn prefixes(list: &[&str]) -> Vec<crate::prefix::Prefix> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn what_is_as_the_file_says_changes_no_byte() {
    assert_eq!(after(|_| {}), FILE);
    assert_eq!(after(|state| state.device.peers[0].endpoint = None), FILE);
    let roamed = Some("198.51.100.7:6".parse().unwrap());
    assert_eq!(after(|state| state.device.peers[0].endpoint = roamed), FILE);
    let chosen = |state: &mut State| {
        state.device.fwmark = 51820;
        state.mark_is_chosen = true;
    };
    assert_eq!(after(chosen), FILE);
    assert_eq!(after(|state| state.device.private_key = None), FILE);
    for text in [
        "",
        "# nothing\n",
        "[Interface]\nListenPort = 0",
        "[Peer]\nPublicKey = {A}\nEndpoint = 192.0.2.1:5\r\n",
        "[Peer]\nPublicKey = {A}\nAllowedIPs = ::/0\n[Peer]\nPublicKey = {B}\nAllowedIPs = ::/0\n",
    ] {
        let file = filled(text);
        let mut state = up(file.as_bytes());
        if file.contains("ListenPort") {
            state.device.listen_port = 33_333;
        }
        assert_eq!(saved(&file, &state), None, "{text}");
    }
}

#[test]
fn a_changed_value_is_changed_where_it_stands() {
    let key = Some(PrivateKey::from_bytes([8; 32]));
    let new = key_text::base64(PrivateKey::from_bytes([8; 32]).as_bytes());
    assert_eq!(
        after(|state| state.device.private_key = key),
        FILE.replace("{KEY} # do", &format!("{} # do", *new))
    );
    assert_eq!(
        after(|state| state.device.listen_port = 7),
        FILE.replace("\tListenPort=51820", "\tListenPort=7")
    );
    assert_eq!(after(|state| state.mtu = 1300), FILE.replace("1400", "1300"));
    assert_eq!(
        after(|state| state.device.peers[1].persistent_keepalive = 5),
        FILE.replace("25", "5")
    );
    assert_eq!(
        after(|state| state.device.peers[1].persistent_keepalive = 0),
        FILE.replace("PersistentKeepalive = 25\n", "")
    );
    assert_eq!(
        after(|state| state.device.fwmark = 16),
        FILE.replace("SaveConfig = true\n", "SaveConfig = true\nFwMark = 0x10\n")
    );
}

#[test]
fn elements_of_lists_come_and_go_one_by_one() {
    assert_eq!(
        after(|state| state.addresses.truncate(1)),
        FILE.replace("10.9.0.1/24, fd09::1/64", "10.9.0.1/24")
    );
    assert_eq!(
        after(|state| state.device.peers[0].allowed_ips = prefixes(&["10.9.0.2/32", "fd01::/16"])),
        FILE.replace("10.1.0.0/16", "fd01::/16")
    );
    assert_eq!(
        after(|state| state.device.peers[0].allowed_ips = prefixes(&["10.1.0.0/16"])),
        FILE.replace("AllowedIPs = 10.9.0.2/32 # phone\n", "")
    );
    assert_eq!(
        after(|state| state.device.peers[1].allowed_ips = prefixes(&["10.2.0.0/16", "::/0"])),
        FILE.replace("0.0.0.0/0, !10.0.0.0/8", "10.2.0.0/16, ::/0")
    );
}

#[test]
fn peers_go_with_the_comments_above_and_come_at_the_end() {
    let alice = FILE.find("# Name = alice").unwrap()..FILE.find("# Name = bob").unwrap();
    let mut file = FILE.to_owned();
    file.replace_range(alice, "");
    assert_eq!(after(|state| drop(state.device.peers.remove(0))), file);
    let bob = FILE.find("# Name = bob").unwrap()..FILE.find("# the end").unwrap();
    let mut file = FILE.to_owned();
    file.replace_range(bob, "");
    assert_eq!(after(|state| drop(state.device.peers.remove(1))), file);
    let new = |state: &mut State| {
        let mut peer = PeerStatus::new(PublicKey::from_bytes([4; 32]));
        peer.endpoint = Some("[2001:db8::1]:5".parse().unwrap());
        peer.allowed_ips = prefixes(&["10.3.0.0/16", "10.4.0.0/16"]);
        state.device.peers.push(peer);
    };
    let key = key_text::base64(&[4; 32]);
    assert_eq!(
        after(new),
        format!(
            "{FILE}\n[Peer]\nPublicKey = {}\nAllowedIPs = 10.3.0.0/16, 10.4.0.0/16\nEndpoint = [2001:db8::1]:5\n",
            *key
        )
    );
}

#[test]
fn a_section_that_takes_a_prefix_and_gives_it_up_leaves_it_to_whom_it_belongs() {
    let [first, second] = [1, 2].map(|n| key_text::base64(&[n; 32]).to_string());
    let section = |key: &str, lines: &str| format!("[Peer]\nPublicKey = {key}\n{lines}");
    let last = section(&second, "AllowedIPs = 10.2.0.0/16\n");
    let taking = section(&second, "AllowedIPs = +10.0.0.0/16\n");
    let live = up((section(&first, "AllowedIPs = 10.0.0.0/16\n") + &last).as_bytes());
    let text = saved(&(section(&first, "") + &taking + &last), &live).unwrap();
    assert_eq!(peers(&up(text.as_bytes())), peers(&live), "{text}");
    assert_eq!(saved(&text, &live), None);
}

#[test]
fn what_is_new_gets_the_line_ends_of_the_file_and_a_section_where_there_is_none() {
    let mut state = up(b"");
    state.device.listen_port = 7;
    assert_eq!(saved("", &state).as_deref(), Some("[Interface]\nListenPort = 7\n\n"));
    // What gave the interface its key keeps it.
    state.device.private_key = Some(PrivateKey::from_bytes([1; 32]));
    let file = "[Interface]\r\nMTU = 1420";
    assert_eq!(
        saved(file, &state).as_deref(),
        Some("[Interface]\r\nMTU = 1420\r\nListenPort = 7\r\n")
    );
}

/// A section or some lines of a file; numbers choose values.
fn piece() -> impl Strategy<Value = String> {
    let blanks = prop_oneof![Just(""), Just("\n"), Just("# a comment\n"), Just("\n# aside\n\n")];
    let key = |n: u8| key_text::base64(&[n; 32]).to_string();
    let line = prop_oneof![
        (0..5_u8).prop_map(|n| format!("AllowedIPs = 10.{n}.0.0/16, fd0{n}::/16\n")),
        (0..5_u8).prop_map(|n| format!("AllowedIPs=10.{n}.0.1/16 # {n}\n")),
        (0..5_u8).prop_map(|n| format!("AllowedIPs = 10.{n}.0.0/16, !10.{n}.3.0/24\n")),
        (0..5_u8).prop_map(|n| format!("AllowedIPs = +10.{n}.0.0/16, -fd0{n}::/16\n")),
        (1..5_u8).prop_map(|n| format!("Endpoint = 192.0.2.{n}:{n}\n")),
        (1..5_u8).prop_map(|n| format!("endpoint = name{n}.example:{n} # {n}\n")),
        (0..3_u8).prop_map(|n| format!("PersistentKeepalive={n}\n")),
        (0..3_u8).prop_map(move |n| format!("PresharedKey = {}\n", key(n))),
    ];
    let peer = (0..4_u8, blanks.clone(), proptest::collection::vec(line, 0..5), blanks).prop_map(
        move |(n, above, lines, below)| {
            let signed = lines.iter().any(|line| line.contains('+'));
            let lines: String = lines
                .into_iter()
                .filter(|line| !(signed && line.contains('!')))
                .collect();
            format!("{above}[Peer]\nPublicKey = {}\n{lines}{below}", key(n))
        },
    );
    let interface = proptest::collection::vec(
        prop_oneof![
            (0..4_u8).prop_map(|n| format!("ListenPort = {n}\n")),
            (0..4_u8).prop_map(|n| format!("FwMark=0x{n} # {n}\n")),
            (1..4_u8).prop_map(move |n| format!("PrivateKey = {}\n", key(n))),
            (1..4_u8).prop_map(|n| format!("Address = 10.0.0.{n}/24, fd00::{n}\n")),
            (1..4_u8).prop_map(|n| format!("MTU = 130{n} # {n}\n")),
            Just("PostUp = echo # b\n".to_owned()),
            Just("\n".to_owned()),
        ],
        0..5,
    );
    prop_oneof![
        3 => peer,
        1 => interface.prop_map(|lines| format!("[Interface]\n{}", lines.concat())),
    ]
}

fn file() -> impl Strategy<Value = String> {
    (proptest::collection::vec(piece(), 0..6), any::<[bool; 2]>()).prop_map(|(pieces, [returns, cut])| {
        let mut text = pieces.concat();
        if cut {
            text.pop();
        }
        if returns {
            text = text.replace('\n', "\r\n");
        }
        text
    })
}

/// The peers by their keys, without the order of anything.
#[derive(Debug, PartialEq)]
struct Peer {
    preshared_key: Option<[u8; 32]>,
    endpoint: Option<SocketAddr>,
    persistent_keepalive: u16,
    allowed_ips: BTreeSet<crate::prefix::Prefix>,
}

fn peers(state: &State) -> BTreeMap<PublicKey, Peer> {
    let peer = |peer: &PeerStatus| Peer {
        preshared_key: peer.preshared_key.as_ref().map(|key| *key.as_bytes()),
        endpoint: peer.endpoint,
        persistent_keepalive: peer.persistent_keepalive,
        allowed_ips: peer.allowed_ips.iter().copied().collect(),
    };
    state
        .device
        .peers
        .iter()
        .map(|status| (status.public_key, peer(status)))
        .collect()
}

proptest! {
    #[test]
    fn a_saved_file_makes_what_was_and_saving_again_changes_nothing(file in file(), other in file()) {
        let mut live = up(other.as_bytes());
        let text = saved(&file, &live).unwrap_or_else(|| file.clone());
        prop_assert_eq!(saved(&text, &live), None, "{}", text);
        let again = up(text.as_bytes());
        // A name in the file stays, wherever the peer is.
        let before = up(file.as_bytes());
        let (config, _) = read(text.as_bytes());
        for peer in &mut live.device.peers {
            let mut sections = config.peers.iter().filter(|section| section.public_key.value == peer.public_key);
            let named = sections.any(|section| section.endpoint.is_some() && section.numeric_endpoint().is_none());
            if named {
                let known = before.device.peers.iter().find(|known| known.public_key == peer.public_key);
                peer.endpoint = known.and_then(|known| known.endpoint);
            }
        }
        prop_assert_eq!(peers(&again), peers(&live), "{}\n---\n{}", file, text);
        let set = |state: &State| state.addresses.iter().copied().collect::<BTreeSet<_>>();
        prop_assert_eq!(set(&again), set(&live));
        prop_assert_eq!(again.device.fwmark, live.device.fwmark);
        if live.device.listen_port != 0 && again.device.listen_port != 0 {
            prop_assert_eq!(again.device.listen_port, live.device.listen_port);
        }
        let key = |state: &State| state.device.private_key.as_ref().map(|key| *key.as_bytes());
        if key(&live).is_some() && key(&again).is_some() {
            prop_assert_eq!(key(&again), key(&live));
        }
        prop_assert_eq!(key(&again).is_some(), key(&before).is_some());
    }

    #[test]
    fn what_is_not_about_the_interface_or_its_peers_stays(file in file(), other in file()) {
        let live = up(other.as_bytes());
        let text = saved(&file, &live).unwrap_or_else(|| file.clone());
        for line in ["PostUp = echo # b", "# aside"] {
            let count = |text: &str| text.lines().filter(|present| *present == line).count();
            prop_assert_eq!(count(&text), count(&file), "{}\n---\n{}", file, text);
        }
    }
}
