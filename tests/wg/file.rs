//! `wg setconf`, `addconf` and `syncconf`: the same file makes the same request, or is refused by both.

use e2e::{Engine, Running, Side};

use super::fake::Fake;
use super::{available, both, run};

const A: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const B: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

/// What both make of a file: `None` for the request if it was refused.
struct Told {
    request: Option<String>,
    text: String,
    status: Option<i32>,
}

fn write(side: &Side, file: &[u8]) {
    std::fs::write(format!("/proc/{}/root/run/wireguard/c", side.pid()), file).unwrap();
}

/// Stands for the keys in a file of a test.
fn filled(file: &str) -> String {
    let zero = "A".repeat(43) + "=";
    file.replace("{A}", A)
        .replace("{B}", B)
        .replace("{K}", KEY)
        .replace("{0}", &zero)
}

/// Runs a command on `f0` with the file; first ours, then the stock tool.
fn told(side: &Side, fake: &Fake, command: &str, file: &str) -> [Told; 2] {
    write(side, filled(file).as_bytes());
    both().map(|wg| {
        let mut line = side.command(wg);
        line.args([command, "f0", "/run/wireguard/c"]);
        line.env("WG_ENDPOINT_RESOLUTION_RETRIES", "0");
        let output = run(line, b"");
        Told {
            request: if output.status.success() { fake.next() } else { None },
            text: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
            status: output.status.code(),
        }
    })
}

fn start() -> Option<(Side, Fake)> {
    if !available() {
        return None;
    }
    let side = Side::new().unwrap();
    let fake = Fake::start(&side, "f0", "errno=0\n\n");
    Some((side, fake))
}

const GOOD: [&str; 21] = [
    "",
    "\n\n# nothing\n",
    "[Interface]",
    "[Interface]\nPrivateKey = {K}\nListenPort = 51820\nFwMark = 0xca6c\n",
    "[Interface]\r\nPrivateKey = {K}\r\nListenPort = 51820\r\n",
    "\t[ INTER face ] # x\n private KEY={K}# y\nLISTENPORT = 5 1 8 2 0\n",
    "[Interface]\nFwMark = 5\n[Interface]\nFwMark = off\nListenPort = 0\n",
    "[Interface]\nPrivateKey = {0}\n",
    "[Peer]\nPublicKey = {A}\nAllowedIPs = ::/0",
    "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8, 11.0.0.1,fd00::/8\nAllowedIPs = 12.0.0.0/08\n",
    "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0. 0.0 / 8\n",
    "[Peer]\nPublicKey = {A}\nPresharedKey = {K}\nEndpoint = [fd00::1]:5\nPersistentKeepalive = 25\nAllowedIPs = ::/0\n",
    "[Peer]\nPublicKey = {A}\nPresharedKey = {0}\nEndpoint = 192.0.2.1:0\nPersistentKeepalive = off\nAllowedIPs = ::/0\n",
    "[Peer]\nPublicKey = {A}\nEndpoint = localhost:51820\nAllowedIPs = ::/0\n",
    "[Peer]\nPublicKey = {A}\nEndpoint = ::1:53\nAllowedIPs = ::/0\n",
    "[Peer]\nPublicKey = {A}\nEndpoint = [::ffff:192.0.2.1]:5\nAllowedIPs = ::/0\n",
    "[Peer]\nPublicKey = {A}\nPublicKey = {B}\nAllowedIPs = ::/0\n",
    "[Peer]\nPublicKey = {A}\nPersistentKeepalive = 3\nAllowedIPs = 1.0.0.0/8\n[Peer]\nPublicKey = {A}\nAllowedIPs = 2.0.0.0/8\n",
    "[Peer]\nAllowedIPs = ::/0\nPublicKey = {B}\n[Interface]\nListenPort = 7\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0\n",
    "# Name = alice\n[Peer]\n# friendly_name=alice\nPublicKey = {A}\nAllowedIPs = ::/0\n",
    "[Peer]\nPublicKey = {A}\nAllowedIPs = ::/0\n# \u{fffd}\n",
];

#[test]
fn a_good_file_is_the_same_request() {
    let Some((side, fake)) = start() else { return };
    for file in GOOD {
        for command in ["setconf", "addconf"] {
            let [ours, stock] = told(&side, &fake, command, file);
            assert!(ours.request.is_some(), "{command} {file}: {}", ours.text);
            assert_eq!(
                (ours.request, ours.status),
                (stock.request, stock.status),
                "{command} {file}"
            );
        }
    }
}

const BAD: [&str; 36] = [
    "ListenPort = 5\n",
    "[Interfaces]\n",
    "[Peer\n",
    "[]\n",
    "Interface\n",
    "[Interface]\nListenPort\n",
    "[Interface]\nListenPort =\n",
    "[Interface]\nListenPort = x\n",
    "[Interface]\nListenPort = 0x10\n",
    "[Interface]\nListenPort = -1\n",
    "[Interface]\nFwMark = 0X10\n",
    "[Interface]\nFwMark = 4294967296\n",
    "[Interface]\nFwMark =\n",
    "[Interface]\nPrivateKey = short\n",
    "[Interface]\nPrivateKey = {K}{K}\n",
    "[Interface]\nPublicKey = {A}\n",
    "[Interface]\nAddress = 10.0.0.1/24\n",
    "[Interface]\nNonsense = 1\n",
    "[Interface]\n= 1\n",
    "[Interface]\n; a comment\n",
    "\u{feff}[Interface]\n",
    "[Peer]\n",
    "[Peer]\nAllowedIPs = ::/0\n[Peer]\nPublicKey = {A}\n",
    "[Peer]\nPublicKey = {A}\nListenPort = 5\n",
    "[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dh=\n",
    "[Peer]\nPublicKey = {A}\nAllowedIPs =\n",
    "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/33\n",
    "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8,\n",
    "[Peer]\nPublicKey = {A}\nAllowedIPs = localhost\n",
    "[Peer]\nPublicKey = {A}\nEndpoint = 192.0.2.1\n",
    "[Peer]\nPublicKey = {A}\nEndpoint = [::1\n",
    "[Peer]\nPublicKey = {A}\nEndpoint = nosuch.invalid:5\n",
    "[Peer]\nPublicKey = {A}\nPersistentKeepalive = 65536\n",
    "[Peer]\nPublicKey = {A}\nPersistentKeepalive = -1\n",
    "[Peer]\nPublicKey = {A}\nPresharedKey = {K}x\n",
    "[Peer]\nPublicKey = {A}\nRemove = true\n",
];

#[test]
fn a_bad_file_is_refused_by_both_and_changes_nothing() {
    let Some((side, fake)) = start() else { return };
    for file in BAD {
        for command in ["setconf", "addconf", "syncconf"] {
            let [ours, stock] = told(&side, &fake, command, file);
            assert_eq!((ours.status, stock.status), (Some(1), Some(1)), "{command} {file}");
            assert!(
                !ours.text.is_empty() && !ours.text.contains(&KEY[..20]),
                "{}",
                ours.text
            );
        }
    }
    assert!(fake.next().is_none());
}

#[test]
fn words_that_are_wrong_are_refused_alike() {
    let Some((side, _fake)) = start() else { return };
    write(&side, b"[Interface]\n");
    for command in ["setconf", "addconf", "syncconf"] {
        for words in [
            &[][..],
            &["f0"],
            &["f0", "/run/wireguard/c", "x"],
            &["f0", "/nowhere"],
            &["nope", "/run/wireguard/c"],
        ] {
            let [ours, stock] = both().map(|wg| {
                let mut line = side.command(wg);
                line.arg(command).args(words);
                let output = run(line, b"");
                // The stock tool has another word for a machine without the kernel's module.
                let text = String::from_utf8_lossy(&output.stderr).replace("Protocol not supported", "No such device");
                (text, output.stdout, output.status.code())
            });
            assert_eq!(ours, stock, "{command} {words:?}");
        }
    }
}

/// Where the stock tool takes nonsense, or does not know what adit does.
#[test]
fn differences_are_those_that_are_documented() {
    let Some((side, fake)) = start() else { return };
    for file in [
        "[Interface]\nListenPort = 70000\n",
        "[Peer]\nPublicKey = {A}\nEndpoint = 192.0.2.1:ntp\n",
    ] {
        let [ours, stock] = told(&side, &fake, "setconf", file);
        assert_eq!((ours.status, stock.status), (Some(1), Some(0)), "{file}");
    }
    for (lines, list) in [
        ("Name = alice\nAllowedIPs = ::/0", "allowed_ip=::/0\n"),
        (
            "AllowedIPs = 10.0.0.0/30, !10.0.0.1",
            "allowed_ip=10.0.0.0/32\nallowed_ip=10.0.0.2/31\n",
        ),
        (
            "AllowedIPs = 10.0.0.0/30\nExcludedIPs = 10.0.0.2/31",
            "allowed_ip=10.0.0.0/31\n",
        ),
    ] {
        let [ours, stock] = told(
            &side,
            &fake,
            "setconf",
            &format!("[Peer]\nPublicKey = {{A}}\n{lines}\n"),
        );
        assert!(ours.request.is_some_and(|request| request.contains(list)), "{lines}");
        assert_eq!(stock.status, Some(1));
    }
    // A peer that is added to keeps its allowed IPs.
    let [ours, stock] = told(
        &side,
        &fake,
        "addconf",
        "[Peer]\nPublicKey = {A}\nPersistentKeepalive = 5\n",
    );
    let replaces = |told: Told| told.request.unwrap().contains("replace_allowed_ips");
    assert!(!replaces(ours) && replaces(stock));
}

/// The state that a file makes out of another, by either; both as the stock tool shows them.
#[test]
fn a_real_engine_ends_in_the_same_state() {
    if !available() {
        return;
    }
    let side = Side::new().unwrap();
    let _running = Running::start(&Engine::adit(), &side).unwrap();
    let interface = "[Interface]\nPrivateKey = {K}\nListenPort = 12913\nFwMark = 7\n";
    let first = format!(
        "{interface}[Peer]\nPublicKey = {{A}}\nAllowedIPs = 10.0.0.0/8, fd00::/8\nEndpoint = 192.0.2.1:5\n\
         [Peer]\nPublicKey = {{B}}\nPresharedKey = {{K}}\nAllowedIPs = 11.0.0.0/8\nPersistentKeepalive = 25\n"
    );
    for then in [
        first.clone(),
        first.replace("{B}", "{K}"),
        first.replace("11.0.0.0/8", "10.0.0.0/8"),
        first.replace("11.0.0.0/8", "11.2.3.4/8, fe80::1/64"),
        first.replace("192.0.2.1:5", "192.0.2.2:6"),
        first.replace("10.0.0.0/8, fd00::/8", "fd00::/8, 12.0.0.0/8"),
        interface.to_owned(),
        format!("{interface}[Peer]\nPublicKey = {{A}}\n"),
    ] {
        for command in ["setconf", "addconf", "syncconf"] {
            if command == "addconf" && !then.contains("AllowedIPs") {
                continue;
            }
            let [ours, stock] = both().map(|wg| {
                write(&side, filled(&first).as_bytes());
                side.sh("wg setconf wg0 /run/wireguard/c").unwrap();
                write(&side, filled(&then).as_bytes());
                side.sh(&format!("{wg} {command} wg0 /run/wireguard/c")).unwrap();
                let dump = side.sh("wg show wg0 dump").unwrap();
                let mut lines: Vec<String> = dump.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            });
            assert_eq!(ours, stock, "{command} {then}");
        }
    }
    // What the file leaves out of the interface, the stock tool would change.
    let before = side.sh("wg show wg0 dump | head -1").unwrap();
    write(&side, b"");
    let [ours, _] = both();
    side.sh(&format!("{ours} syncconf wg0 /run/wireguard/c")).unwrap();
    assert_eq!(side.sh("wg show wg0 dump").unwrap(), before);
}
