use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::key_text;
use crate::wg::file::{Dialect, Reading};
use proto::PrivateKey;

/// A path, a mode and a text, in which `{K}` and `{L}` stand for private keys, `{P}` for the public key of `{K}`, `{A}` and `{B}`
/// for those of peers, and `{0}` for a key of zeros.
type Text = (&'static str, u32, &'static str);

fn filled(text: &str) -> String {
    let key = |n: u8| key_text::base64(&[n; 32]);
    let public_key = PrivateKey::from_bytes([8; 32]).public_key();
    text.replace("{K}", &key(8))
        .replace("{L}", &key(16))
        .replace("{P}", &key_text::base64(public_key.as_bytes()))
        .replace("{A}", &key(1))
        .replace("{B}", &key(2))
        .replace("{0}", &key(0))
}

/// The problems of files on a machine with a LAN, each as `path:line:column code`.
fn problems(texts: &[Text]) -> Vec<(String, Problem)> {
    let networks = [Network {
        interface: "eth0".to_owned(),
        prefix: "192.168.1.0/24".parse().unwrap(),
    }];
    let read = |(path, mode, text): &Text| {
        let reading = Reading::of(filled(text).as_bytes(), Dialect::Quick);
        let (quick, problems) = Quick::of(&reading.config.quick);
        assert!(
            !reading.has_errors() && problems.is_empty(),
            "{text}: {:?}",
            reading.problems
        );
        (*path, *mode, reading.config, quick)
    };
    let known: Vec<_> = texts.iter().map(read).collect();
    let files: Vec<_> = known
        .iter()
        .map(|(path, mode, config, quick)| File {
            path,
            config,
            quick,
            is_whole: true,
            mode: Some(*mode),
            networks: &networks,
        })
        .collect();
    let named = |(path, problems): (&str, Vec<Problem>)| {
        let path = path.to_owned();
        problems
            .into_iter()
            .map(move |p| (format!("{path}:{} {}", p.at, p.code), p))
    };
    files
        .iter()
        .map(|file| file.path)
        .zip(check(&files))
        .flat_map(named)
        .collect()
}

/// A rule, where it is broken, by what, and what all but breaks it.
struct Case {
    place: &'static str,
    code: &'static str,
    broken: Vec<Text>,
    kept: Vec<Text>,
}

fn case(place: &'static str, code: &'static str, broken: &'static str, kept: &'static str) -> Case {
    Case {
        place,
        code,
        broken: vec![("c", 0o600, broken)],
        kept: vec![("c", 0o600, kept)],
    }
}

fn cases() -> Vec<Case> {
    vec![
        case(
            "c:4:13",
            "duplicate-peer",
            "[Peer]\nPublicKey = {A}\n[Peer]\nPublicKey = {A}",
            "[Peer]\nPublicKey = {A}\n[Peer]\nPublicKey = {B}",
        ),
        case(
            "c:4:13",
            "own-public-key",
            "[Interface]\nPrivateKey = {K}\n[Peer]\nPublicKey = {P}",
            "[Interface]\nPrivateKey = {L}\n[Peer]\nPublicKey = {P}",
        ),
        case(
            "c:2:14",
            "zero-private-key",
            "[Interface]\nPrivateKey = {0}",
            "[Interface]\nPrivateKey = {K}\n[Peer]\nPublicKey = {A}\nPresharedKey = {0}",
        ),
        case(
            "c:1:1",
            "missing-private-key",
            "[Interface]\nListenPort = 1\nPostDown = wg set %i private-key k",
            "[Interface]\nPostUp = wg set %i private-key k",
        ),
        Case {
            place: "c:2:14",
            code: "readable-by-others",
            broken: vec![("c", 0o640, "[Interface]\nPrivateKey = {K}")],
            kept: vec![
                ("c", 0o644, "[Peer]\nPublicKey = {A}"),
                ("d", 0o100_600, "[Interface]\nPrivateKey = {K}"),
            ],
        },
        case(
            "c:3:26",
            "taken-allowed-ip",
            "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8, fd00::/8\n[Peer]\nPublicKey = {B}\nAllowedIPs = fd00::/8",
            "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8, 10.0.0.0/8\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.0.0.0/9, -10.0.0.0/8",
        ),
        case(
            "c:6:14",
            "nested-allowed-ip",
            "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/16",
            "[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/16",
        ),
        case(
            "c:1:2",
            "missing-allowed-ips",
            "[Peer]\nPublicKey = {A}",
            "[Peer]\nPublicKey = {A}\nAllowedIPs = ::1",
        ),
        case(
            "c:3:12",
            "missing-keepalive",
            "[Peer]\nPublicKey = {A}\nEndpoint = vpn.example.com:5",
            "[Peer]\nPublicKey = {A}\nEndpoint = vpn.example.com:5\nPersistentKeepalive = off\n[Peer]\nPublicKey = {B}",
        ),
        case(
            "c:4:12",
            "endpoint-in-tunnel",
            "[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, 192.0.2.0/24\nEndpoint = 192.0.2.1:5",
            "[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, 192.0.2.0/24, !192.0.2.1\nEndpoint = 192.0.2.1:5",
        ),
        case(
            "c:5:12",
            "endpoint-in-tunnel",
            "[Interface]\nAddress = 10.0.0.2/24\n[Peer]\nPublicKey = {A}\nEndpoint = 10.0.0.1:5",
            "[Interface]\nAddress = 10.0.0.2/32\n[Peer]\nPublicKey = {A}\nEndpoint = 10.0.0.1:5\nAllowedIPs = 0.0.0.0/0",
        ),
        // The other peer carries it there.
        case(
            "c:6:12",
            "endpoint-in-tunnel",
            "[Interface]\nAddress = 10.0.0.2/24\nTable = 5\n[Peer]\nPublicKey = {A}\nEndpoint = 10.0.0.5:5\nAllowedIPs = 10.0.0.5",
            "[Interface]\nAddress = 10.0.0.2/24\n[Peer]\nPublicKey = {A}\nEndpoint = 10.0.0.5:5\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.0.0.0/24",
        ),
        // Its routes are not in the main table.
        case(
            "c:6:12",
            "endpoint-in-tunnel",
            "[Interface]\nTable = auto\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8\nEndpoint = 10.0.0.1:5",
            "[Interface]\nTable = off\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8\nEndpoint = 10.0.0.1:5",
        ),
        // The other peer carries it.
        case(
            "c:7:12",
            "endpoint-in-tunnel",
            "[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8\nEndpoint = 10.1.1.1:5",
            "[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/16\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8\nEndpoint = 10.1.1.1:5",
        ),
        case(
            "c:2:7",
            "unusual-mtu",
            "[Interface]\nMTU = 9001",
            "[Interface]\nMTU = 1280\n",
        ),
        case(
            "c:3:7",
            "mtu-below-ipv6",
            "[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\nMTU = 1279",
            "[Interface]\nAddress = 10.0.0.1/24\nMTU = 1279",
        ),
        case(
            "c:2:7",
            "mtu-below-ipv6",
            "[Interface]\nMTU = 1279\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8, fd00::/8",
            "[Interface]\nMTU = 1279\nTable = off\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8, fd00::/8",
        ),
        case(
            "c:3:11",
            "gateway-without-address",
            "[Interface]\nGateway = false\nGateway = true",
            "[Interface]\nGateway = true\nAddress = fd00::1\nGateway = true",
        ),
        case(
            "c:2:7",
            "search-domain-only",
            "[Interface]\nDNS = corp.example",
            "[Interface]\nDNS = corp.example, 10.0.0.1",
        ),
        case(
            "c:2:7",
            "empty-value",
            "[Interface]\nDNS = # none",
            "[Interface]\nTable =\n",
        ),
        case(
            "c:5:14",
            "own-address",
            "[Interface]\nAddress = 10.0.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.2",
            "[Interface]\nAddress = 10.0.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/24",
        ),
        case(
            "c:3:14",
            "lan-overlap",
            "[Peer]\nPublicKey = {A}\nAllowedIPs = 192.168.0.0/16, 10.0.0.0/8",
            "[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, 192.168.1.128/25, 192.168.2.0/24",
        ),
        Case {
            place: "b/d:2:14",
            code: "duplicate-private-key",
            broken: vec![
                ("a/c", 0o600, "[Interface]\nPrivateKey = {K}"),
                ("b/d", 0o600, "[Interface]\nPrivateKey = {K}"),
            ],
            kept: vec![
                ("a/c", 0o600, "[Interface]\nPrivateKey = {0}"),
                ("b/d", 0o600, "[Interface]\nPrivateKey = {0}"),
                ("b/e", 0o600, "[Interface]\nPrivateKey = {K}"),
            ],
        },
        Case {
            place: "a/d:2:14",
            code: "duplicate-listen-port",
            broken: vec![
                ("a/c", 0o600, "[Interface]\nListenPort = 5"),
                ("a/d", 0o600, "[Interface]\nListenPort = 5"),
            ],
            kept: vec![
                ("a/c", 0o600, "[Interface]\nListenPort = 5"),
                ("b/c", 0o600, "[Interface]\nListenPort = 5"),
                ("a/d", 0o600, "[Interface]\nListenPort = 0"),
                ("a/e", 0o600, "[Interface]\nListenPort = 0"),
            ],
        },
        Case {
            place: "d:2:11",
            code: "duplicate-address",
            broken: vec![
                ("c", 0o600, "[Interface]\nAddress = 10.0.0.1/24, fd00::1"),
                ("d", 0o600, "[Interface]\nAddress = fd00::1/64"),
            ],
            kept: vec![
                ("c", 0o600, "[Interface]\nAddress = 10.0.0.1/24"),
                ("d", 0o600, "[Interface]\nAddress = 10.0.0.2/24"),
            ],
        },
    ]
}

#[test]
fn each_rule_is_broken_in_its_place_and_kept_by_a_near_miss() {
    for Case {
        place,
        code,
        broken,
        kept,
    } in cases()
    {
        let codes = |texts: &[Text]| {
            let found = problems(texts).into_iter().filter(|(_, problem)| problem.code == code);
            found.map(|(place, _)| place).collect::<Vec<_>>()
        };
        assert_eq!(codes(&broken), [format!("{place} {code}")]);
        assert_eq!(codes(&kept), [""; 0]);
    }
}

#[test]
fn each_rule_has_a_case_and_rules_are_in_order() {
    assert!(RULES.is_sorted_by(|a, b| a.code < b.code));
    for rule in RULES {
        assert!(cases().iter().any(|case| case.code == rule.code), "{}", rule.code);
    }
}

#[test]
fn a_sound_set_of_files_breaks_no_rule() {
    let server = "[Interface]\nPrivateKey = {K}\nAddress = 10.8.0.1/24, fd00:8::1/64\nListenPort = 51820\n\
                  [Peer]\nPublicKey = {A}\nAllowedIPs = 10.8.0.2/32, fd00:8::2/128\n\
                  [Peer]\nPublicKey = {B}\nAllowedIPs = 10.8.0.3/32, fd00:8::3/128\n";
    let client = "[Interface]\nPrivateKey = {L}\nAddress = 10.8.0.2/24, fd00:8::2/64\nDNS = 10.8.0.1, corp.example\nMTU = 1420\n\
                  [Peer]\nPublicKey = {P}\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = 192.0.2.1:51820\nPersistentKeepalive = 25\n";
    assert_eq!(
        problems(&[("a/wg0.conf", 0o600, server), ("b/wg0.conf", 0o600, client)]),
        []
    );
}

#[test]
fn what_is_repeated_names_the_other_place() {
    let message = |texts: &[Text], code| {
        let found = problems(texts).into_iter().find(|(_, problem)| problem.code == code);
        found.unwrap().1.message
    };
    let text = "[Interface]\nAddress = 10.0.0.1/24\nAddress = 10.0.0.1/32";
    assert_eq!(
        message(&[("c", 0o600, text)], "duplicate-address"),
        "the address is that of line 2"
    );
    let text = "[Interface]\nListenPort = 5";
    assert_eq!(
        message(&[("a/c", 0o600, text), ("a/d", 0o600, text)], "duplicate-listen-port"),
        "the port is that of a/c:2: only one of the two can be up"
    );
}

#[test]
fn a_rule_is_broken_once_in_a_place() {
    let text = "[Peer]\nPublicKey = {A}\nAllowedIPs = ::/0, !::1\n[Peer]\nPublicKey = {B}\nAllowedIPs = ::/0, !::1";
    let taken = problems(&[("c", 0o600, text)])
        .into_iter()
        .filter(|(_, problem)| problem.code == "taken-allowed-ip");
    assert_eq!(taken.count(), 1);
}

#[test]
fn no_problem_repeats_a_secret() {
    let text = "[Interface]\nPrivateKey = {K}\nPrivateKey = {K}\n[Peer]\nPublicKey = {P}\nPresharedKey = {K}";
    let secret = filled("{K}");
    let found = problems(&[("c", 0o666, text), ("d", 0o666, text)]);
    assert!(found.len() >= 5);
    assert!(!format!("{found:?}").contains(&secret[..20]));
}

#[test]
fn nothing_is_missing_from_a_file_that_was_not_understood_whole() {
    let text = b"[Interface]\nPrivateKey = x\nDNS = 1.1.1, corp.example\n[Peer]\nPublicKey = AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\nEndpoint = a:5\nAllowedIPs = x";
    let reading = Reading::of(text, Dialect::Quick);
    let (quick, _) = Quick::of(&reading.config.quick);
    let file = |is_whole| File {
        path: "c",
        config: &reading.config,
        quick: &quick,
        is_whole,
        mode: None,
        networks: &[],
    };
    assert_eq!(check(&[file(false)]), [[]]);
    assert_eq!(check(&[file(true)])[0].len(), 4);
}

proptest! {
    #[test]
    fn any_file_is_survived(lines in vec(
        ("\\[Peer\\]\nPublicKey = \\{A\\}\n|\\[Interface\\]\n", "AllowedIPs|ExcludedIPs|Endpoint|Address|DNS|MTU|ListenPort", "[0-9a-f:./,!]{0,12}"), 0..12)) {
        let text: String = lines.iter().map(|(section, key, value)| format!("{section}{key} = {value}\n")).collect();
        let reading = Reading::of(filled(&text).as_bytes(), Dialect::Quick);
        let (quick, _) = Quick::of(&reading.config.quick);
        let file = File { path: "c", config: &reading.config, quick: &quick, is_whole: true, mode: Some(0), networks: &[] };
        let [alone, again, ..] = &check(&[file, file])[..] else { panic!("two files") };
        prop_assert!(alone.is_sorted_by_key(|problem| problem.at) && alone.len() <= again.len());
    }
}

#[test]
fn what_a_tunnel_silently_is_not_is_a_warning_and_all_else_is_for_check_alone() {
    let text = filled(
        "[Interface]\nGateway = true\nMTU = 9001\n[Peer]\nPublicKey = {A}\nAllowedIPs = fd00::/8\n\
         [Peer]\nPublicKey = {B}\nAllowedIPs = fd00::/8, 0.0.0.0/1, 128.0.0.0/1\nEndpoint = 192.0.2.9:51820",
    );
    let reading = Reading::of(text.as_bytes(), Dialect::Quick);
    let (quick, _) = Quick::of(&reading.config.quick);
    let told = silently_left_out(&reading.config, &quick);
    let told: Vec<_> = told.iter().map(|told| (told.code, told.severity)).collect();
    assert_eq!(
        told,
        ["gateway-without-address", "taken-allowed-ip", "endpoint-in-tunnel"].map(|code| (code, Severity::Warning))
    );
}
