use super::*;
use crate::key_text;
use crate::prefix::Prefix;
use crate::uapi::{PeerStatus, set_request};
use crate::wg::file::{Dialect, Reading};
use proto::{PresharedKey, PrivateKey, PublicKey};

const KEYS: [&str; 3] = [
    "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
    "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=",
    "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
];

fn key(n: usize) -> [u8; 32] {
    *key_text::parse_base64(KEYS[n].as_bytes()).unwrap()
}

/// A file, in which `A`, `B` and `C` after `= ` stand for keys.
fn config(text: &str) -> Config {
    let mut text = text.to_owned();
    for (letter, key) in ["A", "B", "C"].iter().zip(KEYS) {
        text = text.replace(&format!("= {letter}\n"), &format!("= {key}\n"));
    }
    let reading = Reading::of(text.as_bytes(), Dialect::Wg);
    assert!(!reading.has_errors(), "{:?}", reading.problems);
    reading.config
}

/// The lines of a request, keys by their letters.
fn lines(request: &SetRequest) -> Vec<String> {
    let mut text = String::from_utf8(set_request(request).to_vec()).unwrap();
    for (letter, n) in ["A", "B", "C"].iter().zip(0..) {
        text = text.replace(std::str::from_utf8(&key_text::hex(&key(n))[..]).unwrap(), letter);
    }
    text.lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn live() -> DeviceStatus {
    let mut a = PeerStatus::new(PublicKey::from_bytes(key(0)));
    a.preshared_key = Some(PresharedKey::from_bytes(key(2)));
    a.endpoint = Some("192.0.2.1:5".parse().unwrap());
    a.persistent_keepalive = 25;
    a.allowed_ips = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let mut b = PeerStatus::new(PublicKey::from_bytes(key(1)));
    b.allowed_ips = vec!["11.0.0.0/8".parse().unwrap()];
    DeviceStatus {
        private_key: Some(PrivateKey::from_bytes(key(2))),
        listen_port: 51820,
        fwmark: 7,
        peers: vec![a, b],
    }
}

const SAME: &str = "[Interface]\nPrivateKey = C\nListenPort = 51820\nFwMark = 7\n\
    [Peer]\nPublicKey = A\nPresharedKey = C\nEndpoint = 192.0.2.1:5\nPersistentKeepalive = 25\nAllowedIPs = 10.0.0.0/8, fd00::/8\n\
    [Peer]\nPublicKey = B\nAllowedIPs = 11.0.0.0/8\n";

fn sync(text: &str) -> Vec<String> {
    lines(&config(text).syncconf(&Addresses::default(), &live()))
}

#[test]
fn what_is_as_the_file_says_is_left_alone() {
    assert_eq!(sync(SAME), [""; 0]);
    assert_eq!(
        sync(&SAME.replace("10.0.0.0/8, fd00::/8", "fd00::/8, 10.0.0.0/8")),
        [""; 0]
    );
    assert_eq!(sync(&SAME.replace("Endpoint = 192.0.2.1:5\n", "")), [""; 0]);
}

#[test]
fn what_the_file_leaves_out_of_the_interface_stays() {
    assert_eq!(
        sync(&SAME.replace("PrivateKey = C\nListenPort = 51820\nFwMark = 7\n", "")),
        [""; 0]
    );
    assert_eq!(sync(&SAME.replace("51820", "0")), [""; 0]);
    assert_eq!(
        sync(&SAME.replace("51820", "5").replace("= 7", "= off")),
        ["listen_port=5", "fwmark=0"]
    );
}

#[test]
fn only_the_difference_of_a_peer_is_sent() {
    for (from, to, expected) in [
        (
            "PresharedKey = C\n",
            "",
            &["public_key=A", &format!("preshared_key={}", "0".repeat(64))][..],
        ),
        (
            "PersistentKeepalive = 25\n",
            "",
            &["public_key=A", "persistent_keepalive_interval=0"],
        ),
        ("192.0.2.1:5", "192.0.2.1:6", &["public_key=A", "endpoint=192.0.2.1:6"]),
        ("fd00::/8", "fd00::/8, ::/0", &["public_key=A", "allowed_ip=::/0"]),
        (
            ", fd00::/8",
            "",
            &["public_key=A", "replace_allowed_ips=true", "allowed_ip=10.0.0.0/8"],
        ),
        (
            "AllowedIPs = 11.0.0.0/8\n",
            "",
            &["public_key=B", "replace_allowed_ips=true"],
        ),
        (
            "AllowedIPs = 10.0.0.0/8, fd00::/8",
            "AllowedIPs = +12.0.0.0/8",
            &["public_key=A", "allowed_ip=12.0.0.0/8"],
        ),
        (
            "PublicKey = B",
            "PublicKey = C",
            &["public_key=B", "remove=true", "public_key=C", "allowed_ip=11.0.0.0/8"],
        ),
        (
            "PublicKey = B\nAllowedIPs = 11.0.0.0/8\n",
            "PublicKey = B\nAllowedIPs = 11.0.0.0/8\n[Peer]\nPublicKey = C\n",
            &["public_key=C"],
        ),
    ] {
        assert!(SAME.contains(from));
        assert_eq!(sync(&SAME.replace(from, to)), expected, "{from} {to}");
    }
}

#[test]
fn a_prefix_moves_between_peers_without_a_gap() {
    let moved = SAME.replace("AllowedIPs = 11.0.0.0/8", "AllowedIPs = 11.0.0.0/8, fd00::/8");
    // The file names it in both; the last one has it.
    assert_eq!(sync(&moved), ["public_key=B", "allowed_ip=fd00::/8"]);
    let swapped = SAME
        .replace("11.0.0.0/8", "X")
        .replace("10.0.0.0/8, fd00::/8", "11.0.0.0/8")
        .replace('X', "10.0.0.0/8, fd00::/8");
    assert_eq!(
        sync(&swapped),
        [
            "public_key=A",
            "allowed_ip=11.0.0.0/8",
            "public_key=B",
            "allowed_ip=10.0.0.0/8",
            "allowed_ip=fd00::/8"
        ]
    );
}

#[test]
fn sections_of_one_key_go_one_over_the_other() {
    let twice = format!("{SAME}[Peer]\nPublicKey = A\nPersistentKeepalive = 7\nAllowedIPs = 10.0.0.0/8\n");
    assert_eq!(
        sync(&twice),
        [
            "public_key=A",
            "persistent_keepalive_interval=7",
            "replace_allowed_ips=true",
            "allowed_ip=10.0.0.0/8"
        ]
    );
}

#[test]
fn sections_of_one_key_make_the_same_of_a_new_interface_by_addconf_and_syncconf() {
    let prefixes = |list: &[&str]| -> Vec<Prefix> { list.iter().map(|text| text.parse().unwrap()).collect() };
    for (first, second, left) in [
        (
            "AllowedIPs = 10.1.0.0/16",
            "AllowedIPs = 10.2.0.0/16",
            &["10.2.0.0/16"][..],
        ),
        ("AllowedIPs = 10.1.0.0/16", "", &["10.1.0.0/16"]),
        ("", "AllowedIPs = 10.1.0.0/16", &["10.1.0.0/16"]),
        (
            "AllowedIPs = 10.1.0.0/16",
            "AllowedIPs = +10.2.0.0/16",
            &["10.1.0.0/16", "10.2.0.0/16"],
        ),
    ] {
        let text = format!("[Peer]\nPublicKey = A\n{first}\n[Peer]\nPublicKey = A\n{second}\n");
        let new = DeviceStatus::default();
        let of_file = config(&text).owners(&new);
        assert_eq!(of_file.prefixes().collect::<Vec<_>>(), prefixes(left), "{text}");
        let requests = [
            config(&text).addconf(&Addresses::default()),
            config(&text).syncconf(&Addresses::default(), &new),
        ];
        for request in requests {
            let mut table = Table::default();
            for peer in request.peers {
                let at = crate::problem::Position::default();
                let changes = peer
                    .allowed_ips
                    .into_iter()
                    .map(|value| crate::problem::At { at, value });
                table.apply(peer.public_key, peer.replace_allowed_ips, &changes.collect::<Vec<_>>());
            }
            assert_eq!(table.owners(), of_file, "{text}");
        }
    }
}

#[test]
fn a_file_without_peers_removes_them_all() {
    assert_eq!(sync(""), ["public_key=B", "remove=true", "public_key=A", "remove=true"]);
}

#[test]
fn set_replaces_everything_and_add_only_what_is_named() {
    let text = "[Peer]\nPublicKey = A\n[Peer]\nPublicKey = B\nAllowedIPs = ::/0\nEndpoint = localhost:5\n";
    let addresses = |config: &Config| -> Addresses {
        let names = config.names();
        assert_eq!(names.len(), 1);
        names
            .into_iter()
            .map(|name| (name, "[::1]:5".parse().unwrap()))
            .collect()
    };
    let set = config(text);
    let found = addresses(&set);
    assert_eq!(
        lines(&set.setconf(&found)),
        [
            &format!("private_key={}", "0".repeat(64)),
            "listen_port=0",
            "fwmark=0",
            "replace_peers=true",
            "public_key=A",
            "replace_allowed_ips=true",
            "public_key=B",
            "endpoint=[::1]:5",
            "replace_allowed_ips=true",
            "allowed_ip=::/0"
        ]
    );
    assert_eq!(
        lines(&config(text).addconf(&found)),
        [
            "public_key=A",
            "public_key=B",
            "endpoint=[::1]:5",
            "replace_allowed_ips=true",
            "allowed_ip=::/0"
        ]
    );
}
