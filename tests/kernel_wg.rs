//! `wg` of adit beside the stock one on interfaces that the kernel runs, in a guest.
//!
//! Each line of the tables below runs in the guest three times: with the stock tool, with ours, and with the stock one again,
//! because counters and ages grow meanwhile. Output on both streams and exit status must be the same.

use std::time::Duration;

use e2e::{Guest, Node, Result, Side, command, needs};

/// What `wg1` is, before each line of [`CHANGES`].
const START: &str = "[Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
ListenPort = 12912
FwMark = 0x20

[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=
AllowedIPs = 10.0.0.0/8, 192.168.0.0/16, fd00::/8
Endpoint = 192.0.2.1:51820
PersistentKeepalive = 25

[Peer]
PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
AllowedIPs = 172.16.0.0/12
";

/// Another: `A` stays but for its allowed IPs, `B` is not there, and one is new.
const OTHER: &str = "[Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
ListenPort = 12913
FwMark = 0x21
[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=
AllowedIPs = 10.0.0.0/8, fd00::/8, 172.16.0.0/12
PersistentKeepalive = 25
[Peer]
PublicKey = gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=
Endpoint = [2001:db8::1]:5
AllowedIPs = 192.168.0.0/16
";

/// Two peers of [`START`], and one that is new.
const KEYS: [(&str, &str); 3] = [
    ("{A}", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="),
    ("{B}", "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="),
    ("{C}", "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA="),
];

/// Words of `wg` that change `wg1`. What comes of it is compared too.
const CHANGES: &[&str] = &[
    "setconf wg1 /tmp/other",
    "addconf wg1 /tmp/other",
    "syncconf wg1 /tmp/other",
    "syncconf wg1 /tmp/start",
    "set wg1 listen-port 7",
    "set wg1 listen-port 0",
    "set wg1 fwmark 0xffffffff",
    "set wg1 fwmark off",
    "set wg1 private-key /tmp/key",
    "set wg1 private-key /dev/null",
    "set wg1 listen-port 9 fwmark 4 private-key /tmp/key",
    "set wg1 peer {C}",
    "set wg1 peer {C} remove",
    "set wg1 peer {A} remove",
    "set wg1 peer {A} remove peer {B} remove",
    "set wg1 peer {A} remove peer {A} allowed-ips 1.0.0.0/8",
    "set wg1 peer {A} remove endpoint 192.0.2.9:9 allowed-ips 1.0.0.0/8",
    "set wg1 peer {A} preshared-key /tmp/key",
    "set wg1 peer {A} preshared-key /dev/null",
    "set wg1 peer {A} endpoint 192.0.2.7:1",
    "set wg1 peer {B} endpoint '[2001:db8::1]:65535'",
    "set wg1 peer {B} endpoint '[fe80::1%lo]:5'",
    "set wg1 peer {B} endpoint '[::ffff:192.0.2.1]:5'",
    "set wg1 peer {A} persistent-keepalive off",
    "set wg1 peer {B} persistent-keepalive 65535",
    "set wg1 peer {A} allowed-ips ''",
    "set wg1 peer {A} allowed-ips 1.2.3.4,::1/128,0.0.0.0/0,::/0",
    "set wg1 peer {A} allowed-ips 1.2.3.4/8",
    "set wg1 peer {B} allowed-ips 10.0.0.0/8",
    "set wg1 peer {C} allowed-ips 10.0.0.0/8 peer {B} allowed-ips 10.0.0.0/8",
    "set wg1 peer {C} preshared-key /tmp/key endpoint 192.0.2.3:4 persistent-keepalive 5 allowed-ips ::/0 peer {A} remove",
];

/// Lines that tell what there is. `left` has a session with `right`; `wg1` is as the last change left it, `wg0` empty.
const QUESTIONS: &[&str] = &[
    "$wg",
    "$wg show",
    "$wg show all",
    "WG_COLOR_MODE=always $wg show left",
    "WG_HIDE_KEYS=never $wg show left",
    "$wg show wg0",
    "$wg show wg1",
    "$wg show interfaces",
    "$wg show all dump",
    "$wg show all allowed-ips",
    "$wg show left dump",
    "$wg show left public-key",
    "$wg show left private-key",
    "$wg show left listen-port",
    "$wg show left fwmark",
    "$wg show left peers",
    "$wg show left preshared-keys",
    "$wg show left endpoints",
    "$wg show left allowed-ips",
    "$wg show left latest-handshakes",
    "$wg show left transfer",
    "$wg show left persistent-keepalive",
    "$wg showconf left",
    "$wg showconf wg0",
    "$wg showconf wg1",
];

/// Lines that are refused, and why.
const REFUSALS: &[(&str, &str)] = &[
    ("$wg show nope", "No such device"),
    ("$wg show nope dump", "No such device"),
    ("$wg show a/b", "No such device"),
    ("$wg show ''", "No such device"),
    ("$wg show lo", "Operation not supported"),
    ("$wg showconf nope", "No such device"),
    ("$wg showconf lo", "Operation not supported"),
    ("$wg set nope fwmark 5", "No such device"),
    ("$wg set a/b fwmark 5", "No such device"),
    ("$wg set '' fwmark 5", "No such device"),
    ("$wg set lo fwmark 5", "Operation not supported"),
    ("$wg set right listen-port 7001", "Address already in use"),
    ("su nobody -c \"$wg show wg1\"", "Operation not permitted"),
    ("su nobody -c \"$wg set wg1 fwmark 5\"", "Operation not permitted"),
];

#[test]
fn the_kernel_is_shown_and_changed_as_by_the_stock_tool() {
    let adit = needs::adit();
    let mut programs = Guest::NEEDS.to_vec();
    let adit = adit.to_string_lossy();
    programs.push(&adit);
    if !needs::available(&programs) {
        return;
    }
    let side = Side::new().unwrap();
    let guest = Guest::boot(&side).unwrap();
    if let Err(error) = check(&guest) {
        panic!("{error}\n--- console\n{}", guest.console());
    }
    guest.power_off().unwrap();
}

fn check(guest: &Guest) -> Result<()> {
    prepare(guest)?;
    let mut wrong = Vec::new();
    for words in CHANGES {
        let line = format!("wg setconf wg1 /tmp/start; $wg {words}; echo $?; wg showconf wg1");
        wrong.extend(same(guest, &line).err());
    }
    for line in QUESTIONS {
        wrong.extend(same_end(guest, line, "exit 0").err());
    }
    for (line, why) in REFUSALS {
        let end = format!(" interface: {why}\nexit 1");
        wrong.extend(same_end(guest, line, &end).err());
    }
    wrong.extend(long_names(guest).err());
    wrong.extend(signs(guest).err());
    wrong.extend(many(guest).err());
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n\n"))
    }
}

/// Makes `wg1`, and `left` and `right` with a session.
fn prepare(guest: &Guest) -> Result<()> {
    for (name, text) in [("start", START), ("other", OTHER)] {
        guest.sh(&format!("printf '{}' > /tmp/{name}", text.replace('\n', "\\n")))?;
    }
    guest.sh("mkdir -p /etc; echo nobody:x:65534:65534::/:/bin/sh > /etc/passwd; wg genkey > /tmp/key")?;
    for name in ["wg1", "left", "right"] {
        guest.sh(&format!("ip link add {name} type wireguard"))?;
    }
    for (name, port, other, endpoint) in [
        ("left", 7001, "right", "127.0.0.1:7002"),
        ("right", 7002, "left", "[::1]:7001"),
    ] {
        guest.sh(&format!(
            "test -e /tmp/{other} || wg genkey > /tmp/{other}; test -e /tmp/{name} || wg genkey > /tmp/{name}; \
             wg set {name} listen-port {port} private-key /tmp/{name} peer $(wg pubkey < /tmp/{other}) \
             preshared-key /tmp/key endpoint {endpoint} persistent-keepalive 3725 allowed-ips 10.1.0.0/16,fd01::/16; \
             ip link set {name} up"
        ))?;
    }
    command::until(Duration::from_secs(20), || {
        guest.sh("wg show left latest-handshakes | grep -v '\t0$' && wg show right latest-handshakes | grep -v '\t0$'")
    })
    .map(drop)
}

/// Runs a line with either tool as `$wg` and returns what both say.
fn same(guest: &Guest, line: &str) -> Result<String> {
    let line = KEYS
        .iter()
        .fold(line.to_owned(), |line, (name, key)| line.replace(name, key));
    let run = |wg| format!("( wg='{wg}'; {line} ) 2>&1; echo \"exit $?\"; echo @@");
    let all = [run("wg"), run("adit wg"), run("wg")].join("; ");
    let mut last = String::new();
    for _ in 0..10 {
        let output = guest.sh(&all)?;
        let parts: Vec<&str> = output.split("@@").map(str::trim).collect();
        let [before, ours, after, _] = parts[..] else {
            return Err(format!("{line}: {output}"));
        };
        if before == after {
            return if ours == before {
                Ok(ours.to_owned())
            } else {
                Err(format!("{line}:\n--- ours\n{ours}\n--- stock\n{before}"))
            };
        }
        last = output;
    }
    Err(format!("{line}: the stock tool says something else every time: {last}"))
}

/// Like [`same`], and what both say must end so.
fn same_end(guest: &Guest, line: &str, end: &str) -> Result<()> {
    let text = same(guest, line)?;
    if text.ends_with(end) {
        Ok(())
    } else {
        Err(format!("{line}: {text}"))
    }
}

/// Here stock tools differ from one another: some take the first 15 characters for the name.
fn long_names(guest: &Guest) -> Result<()> {
    for (words, action) in [
        ("show 0123456789abcdef", "access"),
        ("set 0123456789abcdef fwmark 5", "modify"),
    ] {
        let said = guest.sh(&format!("adit wg {words} 2>&1; echo $?"))?;
        if said != format!("Unable to {action} interface: File name too long\n1") {
            return Err(format!("{words}: {said}"));
        }
    }
    Ok(())
}

/// Lists with signs, which older stock tools do not know. Older kernels cannot take away a single allowed IP: that must be
/// refused, and nothing of the list remain.
fn signs(guest: &Guest) -> Result<()> {
    let same = "10.0.0.0/8 192.168.0.0/16 fd00::/8";
    for (list, expected) in [
        ("+1.0.0.0/8", "0\n10.0.0.0/8 192.168.0.0/16 fd00::/8 1.0.0.0/8"),
        (
            "+1.0.0.0/8,2.0.0.0/8",
            "0\n10.0.0.0/8 192.168.0.0/16 fd00::/8 1.0.0.0/8 2.0.0.0/8",
        ),
        ("-10.0.0.0/8", "0\n192.168.0.0/16 fd00::/8"),
        ("-1.0.0.0/8", "0\n10.0.0.0/8 192.168.0.0/16 fd00::/8"),
        ("+1.0.0.0/8,-fd00::/8", "0\n10.0.0.0/8 192.168.0.0/16 1.0.0.0/8"),
    ] {
        let (_, key) = KEYS[0];
        let line = format!("wg setconf wg1 /tmp/start; adit wg set wg1 peer {key} allowed-ips {list} 2>&1; echo $?");
        let after = guest.sh(&format!("{line}; wg show wg1 allowed-ips | grep {key} | cut -f2"))?;
        let refused = format!("Unable to modify interface: Invalid argument\n1\n{same}");
        if after != expected && (!list.contains('-') || after != refused) {
            return Err(format!("{list}: {after}"));
        }
    }
    Ok(())
}

/// One peer with 100,000 allowed IPs, and 10,000 peers with one: set by ours, they are what the stock tool makes of them.
///
/// More peers have no room on a command line. Interfaces stay: the kernel takes minutes to delete one with so many.
fn many(guest: &Guest) -> Result<()> {
    let allowed_ips = "for (i = 0; i < 10; i++) { printf \"allowed-ips \"; \
                       for (j = 0; j < 10000; j++) printf \"%s10.%d.%d.%d\", j ? \",\" : \"\", i, j / 256, j % 256; print \"\" }";
    let peers = "for (i = 0; i < 10000; i++) \
                 printf \"peer %05dAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= allowed-ips fd00:%x::/32\\n\", i, i";
    for (first, words, count) in [
        (format!("peer {}", KEYS[0].1), allowed_ips, 100_000),
        (String::new(), peers, 10_000),
    ] {
        let (ours, stock) = (format!("ours{count}"), format!("stock{count}"));
        for line in [
            format!("awk 'BEGIN {{ {words} }}' > /tmp/words"),
            format!("ip link add {ours} type wireguard; ip link add {stock} type wireguard"),
            format!("adit wg set {ours} {first} $(cat /tmp/words)"),
            format!("wg set {stock} {first} $(cat /tmp/words)"),
            format!("adit wg show {ours} dump > /tmp/a; wg show {stock} dump > /tmp/b; cmp /tmp/a /tmp/b"),
            format!("adit wg showconf {stock} > /tmp/a; wg showconf {ours} > /tmp/b; cmp /tmp/a /tmp/b"),
            format!("test $(wg show {ours} allowed-ips | cut -f2 | wc -w) = {count}"),
        ] {
            guest.sh(&line)?;
        }
    }
    Ok(())
}
