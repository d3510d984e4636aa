//! `wg show` in all its forms, of a real engine and of answers that no real one gives.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::{Engine, Running, Side};

use super::fake::Fake;
use super::{available, compare};

const CONF: &str = "[Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
ListenPort = 12912
FwMark = 0x20

[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=
AllowedIPs = 10.192.122.3/32, 10.192.124.0/24
Endpoint = 192.95.5.67:1234

[Peer]
PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
AllowedIPs = 10.192.122.4/32, 192.168.0.0/16, fd00:4::/32
Endpoint = [fe80::1%lo]:2468
PersistentKeepalive = 3725

[Peer]
PublicKey = gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=
";

const FIELDS: [&str; 12] = [
    "public-key",
    "private-key",
    "listen-port",
    "fwmark",
    "peers",
    "preshared-keys",
    "endpoints",
    "allowed-ips",
    "latest-handshakes",
    "transfer",
    "persistent-keepalive",
    "dump",
];

fn same(side: &Side, line: &str) -> String {
    let [ours, stock] = compare(side, line);
    assert_eq!(ours, stock, "{line}");
    ours.0
}

#[test]
fn a_real_engine_is_shown_alike_in_every_form() {
    if !available() {
        return;
    }
    let side = Side::new().unwrap();
    let _running = Running::start(&Engine::adit(), &side).unwrap();
    side.sh(&format!(
        "printf '%s' '{CONF}' > /run/wireguard/c; wg setconf wg0 /run/wireguard/c"
    ))
    .unwrap();
    for line in ["$wg", "$wg show", "$wg show all", "$wg show wg0"] {
        for mode in ["", "always", "never", "other"] {
            let shown = same(&side, &format!("WG_COLOR_MODE={mode} {line}"));
            assert!(shown.contains("every 1"), "{shown}");
            assert_eq!(shown.contains('\x1b'), mode == "always");
        }
        let open = same(&side, &format!("WG_HIDE_KEYS=never {line}"));
        assert!(open.contains("yAnz5TF+"));
        assert!(!same(&side, &format!("WG_HIDE_KEYS=no {line}")).contains("yAnz5TF+"));
    }
    for field in FIELDS {
        assert!(!same(&side, &format!("$wg show wg0 {field}")).is_empty());
        // There the stock tool names the interface once.
        if field != "endpoints" {
            assert!(!same(&side, &format!("$wg show all {field}")).is_empty());
        }
    }
    assert_eq!(same(&side, "$wg show interfaces"), "wg0\n");
}

#[test]
fn wrong_words_fail_alike() {
    if !available() {
        return;
    }
    let side = Side::new().unwrap();
    for line in ["$wg", "$wg show interfaces", "$wg show all", "$wg show all nonsense"] {
        assert_eq!(same(&side, line), "", "no interface");
    }
    let _running = Running::start(&Engine::adit(), &side).unwrap();
    for words in [
        "wg0 nonsense",
        "all nonsense",
        "wg0 ''",
        "interfaces dump",
        "wg0 dump dump",
        "nope",
        "nope dump",
        "''",
        "a/b",
        "../wireguard/wg0",
        "0123456789abcdef",
        "lo",
        "-h",
        "--help",
        "help",
        "--help wg0",
    ] {
        assert_eq!(same(&side, &format!("$wg show {words}")), "", "{words}");
        same(&side, &format!("$wg show {words} 2>/dev/null"));
    }
    for words in ["wg0 nonsense", "-h", "interfaces dump", "wg0 dump dump"] {
        assert!(!same(&side, &format!("$wg show {words} 2>&1")).is_empty());
    }
}

#[test]
fn the_sockets_of_dead_engines_are_removed_and_other_files_stay() {
    if !available() {
        return;
    }
    let side = Side::new().unwrap();
    let _alive = Fake::start(&side, "alive", "errno=0\n\n");
    let folder = format!("/proc/{}/root/run/wireguard", side.pid());
    std::fs::write(format!("{folder}/file.sock"), "").unwrap();
    let line = |words: &str| format!("$wg {words}; ls /run/wireguard");
    for words in ["show interfaces", "show all dump", "show dead"] {
        let results = [0, 1].map(|which| {
            let dead = std::os::unix::net::UnixListener::bind(format!("{folder}/dead.sock")).unwrap();
            drop(dead);
            let mut command = side.command("sh");
            command.args(["-c", &line(words)]).env("wg", &super::both()[which]);
            let output = super::run(command, b"");
            (String::from_utf8(output.stdout).unwrap(), output.status)
        });
        assert!(!results[0].0.contains("dead"), "{results:?}");
        assert!(results[0].0.contains("file.sock"), "{results:?}");
        assert_eq!(results[0], results[1], "{words}");
    }
}

#[test]
fn answers_that_no_engine_here_gives_are_shown_alike() {
    if !available() {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let [a, b, c] = ["ab", "cd", "ef"].map(|byte| format!("public_key={}\n", byte.repeat(32)));
    let handshake = |age: u64| format!("last_handshake_time_sec={}\n", now - age);
    let side = Side::new().unwrap();
    let ages = format!(
        "{a}{}{b}rx_bytes=1\n{c}{}last_handshake_time_nsec=5\n",
        handshake(90_061),
        handshake(31_536_000 + 2 * 86_400 + 3_660)
    );
    let counts = format!(
        "{a}rx_bytes=1023\ntx_bytes=1024\n{b}rx_bytes=1048576\ntx_bytes=1073741823\n\
         {c}rx_bytes=1099511627776\ntx_bytes=18446744073709551615\n"
    );
    let future = format!("{a}last_handshake_time_sec={}\n", now + 3600);
    let zone = format!("{a}endpoint=[fe80::1%lo]:5\npersistent_keepalive_interval=65535\n");
    let unknown = format!("foo=1\nlisten_port=7\n{a}bar=2\nprotocol_version=1\n");
    let many = format!("{a}{}", "allowed_ip=10.1.2.0/24\nallowed_ip=fd00::/8\n".repeat(3000));
    let good = [
        ages,
        counts,
        future,
        zone,
        unknown,
        many,
        format!("{a}{a}"),
        String::new(),
        format!("{a}preshared_key={}\nlast_handshake_time_nsec=5\n", "00".repeat(32)),
    ];
    let bad = [
        "errno=13\n\n".to_owned(),
        String::new(),
        "garbage\n\n".to_owned(),
        a.clone(),
        format!("{a}allowed_ip=10.0.0.0\nerrno=0\n\n"),
        "listen_port=70000\nerrno=0\n\n".to_owned(),
        format!("{a}persistent_keepalive_interval=65536\nerrno=0\n\n"),
        "private_key=12\nerrno=0\n\n".to_owned(),
    ];
    let answers = good.iter().map(|lines| format!("{lines}errno=0\n\n")).chain(bad);
    let mut engines = Vec::new();
    for (number, answer) in answers.enumerate() {
        let name = format!("f{number}");
        engines.push(Fake::start(&side, &name, &answer));
        let shown = same(&side, &format!("WG_COLOR_MODE=always $wg show {name}"));
        assert_eq!(shown.is_empty(), number >= good.len(), "{answer}");
        for field in FIELDS {
            same(&side, &format!("$wg show {name} {field}"));
        }
    }
    // Those that can be read are shown, after a word about those that cannot.
    let shown = same(&side, "$wg show");
    assert_eq!(shown.matches("interface: ").count(), good.len());
    for field in FIELDS.into_iter().filter(|field| *field != "endpoints") {
        same(&side, &format!("$wg show all {field}"));
    }
}

/// The stock tool prints the name of an interface once, and for one without peers no line end.
#[test]
fn every_line_of_all_endpoints_names_its_interface() {
    if !available() {
        return;
    }
    let side = Side::new().unwrap();
    let _none = Fake::start(&side, "none", "errno=0\n\n");
    let peers = ["ab", "cd"].map(|byte| format!("public_key={}\n", byte.repeat(32)));
    let _two = Fake::start(&side, "two", &format!("{}errno=0\n\n", peers.concat()));
    let [(ours, status), _] = compare(&side, "$wg show all endpoints");
    assert_eq!(status, Some(0));
    let lines: Vec<&str> = ours.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("two\t") && line.ends_with("\t(none)"))
    );
}
