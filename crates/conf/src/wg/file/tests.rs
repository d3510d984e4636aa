use super::*;
use crate::key_text;
use proptest::prelude::*;

const A: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

fn read(text: &str) -> Reading {
    Reading::of(text.as_bytes(), Dialect::Wg)
}

fn good(text: &str) -> Config {
    let reading = read(text);
    assert_eq!(reading.problems, [], "{text}");
    reading.config
}

/// The problems of a file, each as `line:column code`.
fn problems(text: &str) -> Vec<String> {
    let problems = read(text).problems;
    problems.iter().map(|p| format!("{} {}", p.at, p.code)).collect()
}

/// The peer of a section with these lines beside its key.
fn peer(lines: &str) -> Peer {
    good(&format!("[Peer]\nPublicKey = {A}\n{lines}")).peers.remove(0)
}

fn allowed(lines: &str) -> String {
    let list = peer(lines).allowed_ips;
    let changes = list.changes.iter().map(|change| {
        let sign = if change.value.remove { "-" } else { "" };
        format!("{sign}{}", change.value.prefix)
    });
    changes.collect::<Vec<_>>().join(" ")
}

#[test]
fn everything_that_a_file_may_say_is_read() {
    let config = good(&format!(
        "# a comment\n[Interface]\nPrivateKey = {KEY}\nListenPort = 51820\nFwMark = 0xca6c # x\n\n\
         [Peer]\nPublicKey = {A}\nPresharedKey = {KEY}\nAllowedIPs = 10.0.0.1/32, fd00::/64\n\
         Endpoint = vpn.example.com:51820\nPersistentKeepalive = 25\n"
    ));
    assert!(config.private_key.is_some_and(|key| key.value.is_some()));
    assert_eq!(config.listen_port.map(|port| port.value), Some(51820));
    assert_eq!(config.fwmark.map(|mark| mark.value), Some(0xca6c));
    let peer = &config.peers[0];
    assert_eq!((peer.at.line, peer.public_key.at.line), (7, 8));
    assert_eq!(*key_text::base64(peer.public_key.value.as_bytes()), A);
    assert!(peer.preshared_key.as_ref().is_some_and(Option::is_some));
    assert_eq!(
        peer.allowed_ips.added().map(|p| p.to_string()).collect::<Vec<_>>(),
        ["10.0.0.1/32", "fd00::/64"]
    );
    assert_eq!(
        peer.endpoint.as_ref().map(|e| e.value.to_string()).as_deref(),
        Some("vpn.example.com:51820")
    );
    assert_eq!(peer.persistent_keepalive.map(|seconds| seconds.value), Some(25));
}

#[test]
fn white_space_and_case_count_nowhere() {
    let key: String = KEY.chars().flat_map(|c| [c, ' ']).collect();
    let config = good(&format!(
        "\t[ inter FACE ]\r\nPRIVATE key\t= {key}\r\nlistenport=5 1\x0b8 2 0\r\n"
    ));
    assert!(config.private_key.is_some_and(|key| key.value.is_some()));
    assert_eq!(config.listen_port.map(|port| port.value), Some(51820));
}

#[test]
fn later_values_win_and_allowed_ips_add_up() {
    let config = good("[Interface]\nListenPort = 1\n[Interface]\nListenPort = 2\nFwMark = off");
    assert_eq!(config.listen_port.map(|port| port.value), Some(2));
    assert_eq!(config.fwmark.map(|mark| mark.value), Some(0));
    let zero = "A".repeat(43) + "=";
    assert!(matches!(
        good(&format!("[Interface]\nPrivateKey = {zero}")).private_key,
        Some(At { value: None, .. })
    ));
    assert!(matches!(
        peer(&format!("PresharedKey = {zero}")).preshared_key,
        Some(None)
    ));
    assert_eq!(
        allowed("AllowedIPs = 10.0.0.0/8\nAllowedIPs = 11.0.0.0/8"),
        "10.0.0.0/8 11.0.0.0/8"
    );
    let list = peer("AllowedIPs = 10.0.0.0/8\nAllowedIPs = +11.0.0.0/8, -12.0.0.0/8").allowed_ips;
    assert!(list.named && list.incremental);
    assert!(!peer("").allowed_ips.named);
}

#[test]
fn what_is_excluded_is_taken_out_of_what_is_allowed() {
    assert_eq!(
        allowed("AllowedIPs = 10.0.0.0/30, !10.0.0.1"),
        "10.0.0.0/32 10.0.0.2/31"
    );
    assert_eq!(
        allowed("ExcludedIPs = 128.0.0.0/1\nAllowedIPs = 0.0.0.0/0, ::/0"),
        "0.0.0.0/1 ::/0"
    );
    assert_eq!(allowed("AllowedIPs = 10.0.0.0/8, !10.0.0.0/7"), "");
    assert_eq!(allowed("AllowedIPs = 10.0.0.0/8\nExcludedIPs = fd00::/8"), "10.0.0.0/8");
    for (line, problem) in [
        ("ExcludedIPs = 10.0.0.0/8", "3:15 nothing-to-exclude-from"),
        ("ExcludedIPs = +10.0.0.0/8", "3:15 sign"),
        ("AllowedIPs = +10.0.0.0/8, !10.0.0.1", "3:27 sign"),
    ] {
        assert_eq!(problems(&format!("[Peer]\nPublicKey={A}\n{line}")), [problem]);
    }
}

#[test]
fn what_a_peer_may_reach_is_for_wg_quick() {
    let text = |line: &str| format!("[Peer]\nPublicKey={A}\n{line}");
    let read = |line: &str| Reading::of(text(line).as_bytes(), Dialect::Quick);
    let allowed = |line: &str| {
        let reading = read(line);
        assert_eq!(reading.problems, [], "{line}");
        let allow = reading.config.peers[0].allow.clone();
        allow.map(|allow| allow.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(allowed(""), None);
    assert_eq!(allowed("Allow = none"), Some(String::new()));
    assert_eq!(
        allowed("Allow = 10.0.0.5:443/tcp, [fd00::5]:53\nAllow = 10.1.0.0/16"),
        Some("10.0.0.5/32:443/tcp [fd00::5/128]:53 10.1.0.0/16".to_owned())
    );
    for (line, problem) in [
        ("Allow = 10.0.0.5:443, db.example.com", "3:23 wrong-value"),
        ("Allow =", "3:8 no-value"),
        ("Allow = none, 10.0.0.5", "3:15 wrong-value"),
        ("Allow = any\nAllow = NONE", "4:9 wrong-value"),
    ] {
        let problems = read(line).problems;
        let problems: Vec<_> = problems.iter().map(|p| format!("{} {}", p.at, p.code)).collect();
        assert_eq!(problems, [problem]);
    }
    assert_eq!(problems(&text("Allow = 10.0.0.5")), ["3:1 not-for-wg"]);
}

#[test]
fn exclusions_that_leave_too_many_prefixes_are_refused() {
    let excluded: Vec<String> = (0..1000).map(|n| format!("{:x}::1", 0x2000 + n)).collect();
    let text = format!(
        "[Peer]\nPublicKey={A}\nAllowedIPs = ::/0\nExcludedIPs = {}\n",
        excluded.join(",")
    );
    assert_eq!(problems(&text), ["4:15 too-many-prefixes"]);
}

#[test]
fn peers_have_names_from_comments_above_or_inside_or_from_a_line() {
    for (text, names) in [
        ("# Name = alice\n[Peer]\n{A}", "alice"),
        ("[Peer]\n# friendly_name=alice\n{A}", "alice"),
        ("[Peer] # Name = alice\n{A}", "alice"),
        ("[Peer]\n{A} # Name = alice", "alice"),
        ("[Peer]\n{A}\n# Name = alice", "alice"),
        ("[Peer]\nName = alice b\n{A}", "alice b"),
        ("# Name = alice\n# of sales\n[Peer]\n{A}", "alice"),
        ("# Name = alice\n\n[Peer]\n{A}", "-"),
        ("[Peer]\n{A}\n# Name = bob\n[Peer]\n{A}", "- bob"),
        ("[Peer]\n{A}\n# Name = alice\n\n[Peer]\n{A}", "alice -"),
        ("# Name = carol\n[Interface]\n[Peer]\n{A}", "-"),
        ("# Name = alice\n[Peer]\n# Name = bob\n{A}", "bob"),
    ] {
        let config = good(&text.replace("{A}", &format!("PublicKey = {A}")));
        let found: Vec<_> = config
            .peers
            .iter()
            .map(|peer| peer.name.as_deref().unwrap_or("-"))
            .collect();
        assert_eq!(found.join(" "), names, "{text}");
    }
}

#[test]
fn all_problems_are_found_at_once_each_with_its_place() {
    let text = format!(
        "ListenPort = 1\n[Interface]\nListenPort = 70000\n FwMark = 0X1\nAddress = 10.0.0.1/24\nPublicKey = {A}\n\
         PrivateKey = short\nFwMark =\n; hello\n[Peer]\nAllowedIPs = 10.0.0.0/33, 10.0.0.1/8,,::/0\nEndpoint = [::1\n\
         [Pear]\nwhatever = 1\n[Peer]\nPublicKey = x\nAllowedIP = ::/0\n[Peer"
    );
    assert_eq!(
        problems(&text),
        [
            "1:1 misplaced-key",
            "3:14 wrong-value",
            "4:11 wrong-value",
            "5:1 not-for-wg",
            "6:1 misplaced-key",
            "7:14 wrong-value",
            "8:9 no-value",
            "9:1 not-an-entry",
            "10:2 no-public-key",
            "11:14 wrong-value",
            "11:27 host-part",
            "11:38 wrong-value",
            "12:12 wrong-value",
            "13:2 unknown-section",
            "16:13 wrong-value",
            "17:1 unknown-key",
            "18:1 not-an-entry",
        ]
    );
}

#[test]
fn no_problem_repeats_what_may_be_a_key_or_moves_the_cursor() {
    let peer = ["AllowedIPs", "Endpoint", "PersistentKeepalive"];
    for key in ["ListenPort", "FwMark"].iter().chain(&peer) {
        let section = if peer.contains(key) { "[Peer]" } else { "[Interface]" };
        // A slash may be anywhere in a key.
        for value in [A, "PgGgX3/sNEBMW4feRgMaJoRiW1+lxRRGTkLPWWUc1ab=", "\u{1b}[2J"] {
            let reading = read(&format!("{section}\n{key} = {value}\n"));
            let told = reading
                .problems
                .iter()
                .map(ToString::to_string)
                .find(|told| told.contains(key));
            let told = told.unwrap();
            assert!(!told.contains(&value[..4]), "{told}");
        }
    }
}

#[test]
fn problems_say_what_is_wrong_and_what_to_do() {
    let text = |file: &str| {
        read(file)
            .problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(
        text("[Interface]\nListenPort = 70000"),
        "2:14: error: ListenPort: Port is not a number from 0 to 65535: `70000'\n    \
         write a number from 0 to 65535; the usual port is 51820"
    );
    assert_eq!(
        text("[Peer]\nAllowedIP = ::/0\n"),
        "1:2: error: this peer has no PublicKey\n    \
         add the line `PublicKey = ...': every peer is known by its key\n\
         2:1: error: there is no key `AllowedIP'\n    is it AllowedIPs?"
    );
    let host_part = text(&format!("[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.2.3/8"));
    assert_eq!(
        host_part,
        "3:14: warning: 10.1.2.3/8 has bits set beyond the length of its prefix\n    it counts as 10.0.0.0/8"
    );
    assert!(text("\u{feff}[Interface]").contains("byte order mark"));
    assert!(Reading::of(b"[Interface]\nFwMark = \xff", Dialect::Wg).has_errors());
}

#[test]
fn no_problem_repeats_what_may_be_a_key() {
    let bare = &KEY[..43];
    for line in [
        format!("PrivateKey = {KEY}x"),
        format!("PrivateKey {KEY}"),
        format!("PrivateKye = {KEY}"),
        format!("{bare}= 1"),
        format!("[{bare}]"),
        format!("FwMark {bare}"),
    ] {
        let text = format!("[Interface]\n{line}\n");
        let problems = read(&text).problems;
        assert!(!problems.is_empty(), "{line}");
        let told = format!("{problems:?}");
        assert!(!told.contains(&KEY[..20]), "{told}");
    }
}

#[test]
fn the_file_of_wg_quick_has_keys_of_its_own() {
    let text = b"[Interface]\nAddress = 10.0.0.1/24\nDNS=\nPostUp = echo %i # x\nMTU = 1420\n";
    let reading = Reading::of(text, Dialect::Quick);
    assert_eq!(reading.problems, []);
    let quick: Vec<_> = reading
        .config
        .quick
        .iter()
        .map(|(key, at)| (*key, at.value.as_str()))
        .collect();
    assert_eq!(
        quick,
        [
            (QuickKey::Address, "10.0.0.1/24"),
            (QuickKey::Dns, ""),
            (QuickKey::PostUp, "echo %i # x"),
            (QuickKey::Mtu, "1420")
        ]
    );
    // No command can be run with a NUL in it.
    for command in ["echo a\0b", "\0", "true # \0"] {
        let reading = Reading::of(
            format!("[Interface]\nPostDown = {command}\n").as_bytes(),
            Dialect::Quick,
        );
        assert!(reading.has_errors(), "{command:?}");
    }
}

proptest! {
    #[test]
    fn any_file_is_survived(lines in proptest::collection::vec(
        ("(\\[Peer\\]|\\[Interface\\]|PublicKey|AllowedIPs|ExcludedIPs|Endpoint|FwMark|# Name)?", "[ =#,!+-]{0,3}", "\\PC{0,20}"), 0..20)) {
        let text: String = lines.iter().map(|(a, b, c)| format!("{a}{b}{c}\n")).collect();
        for dialect in [Dialect::Wg, Dialect::Quick] {
            let _ = Reading::of(text.as_bytes(), dialect);
        }
    }
}
