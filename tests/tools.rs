//! The stock tools against `aditd`: `wg` in all its sub-commands, and `wg-quick`.

use e2e::{Engine, Lab, Running, Side, engine, needs};

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
Endpoint = [2607:5300:60:6b0::c05f:543]:2468
PersistentKeepalive = 25
";

fn start() -> Option<(Side, Running)> {
    if !needs::available(&[Engine::adit().program(), "wg", "ip"]) {
        return None;
    }
    let side = Side::new().unwrap();
    let running = Running::start(&Engine::adit(), &side).unwrap();
    side.sh(&format!("cat > /run/wireguard/wg0.conf <<'END'\n{CONF}END"))
        .unwrap();
    Some((side, running))
}

#[test]
fn setconf_then_showconf_gives_the_configuration_back() {
    let Some((side, _running)) = start() else { return };
    side.sh("wg setconf wg0 /run/wireguard/wg0.conf").unwrap();
    let shown = side.sh("wg showconf wg0").unwrap();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| line.trim().to_lowercase())
            .filter(|l| !l.is_empty())
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&shown), sorted(CONF), "{shown}");
}

#[test]
fn peers_keep_the_order_they_came_in() {
    let Some((side, _running)) = start() else { return };
    let mut keys = Vec::new();
    for _ in 0..40 {
        let key = side.sh("wg genkey | wg pubkey").unwrap().trim().to_string();
        side.sh(&format!("wg set wg0 peer {key} allowed-ips 10.0.0.0/8"))
            .unwrap();
        keys.push(key);
    }
    let shown = side.sh("wg show wg0 peers").unwrap();
    assert_eq!(shown.lines().collect::<Vec<_>>(), keys);
    // An allowed IP has one owner: the last to claim it.
    let owners = side.sh("wg show wg0 allowed-ips | grep -c 10.0.0.0/8").unwrap();
    assert_eq!(owners.trim(), "1");
}

#[test]
fn syncconf_removes_and_changes_only_what_differs() {
    let Some((side, _running)) = start() else { return };
    side.sh("wg setconf wg0 /run/wireguard/wg0.conf").unwrap();
    // Lines 6 to 10 are the first peer.
    side.sh("sed -i '6,10d; s/= 25/= 17/' /run/wireguard/wg0.conf").unwrap();
    side.sh("wg syncconf wg0 /run/wireguard/wg0.conf").unwrap();
    assert_eq!(
        side.sh("wg show wg0 peers").unwrap().trim(),
        "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
    );
    assert!(
        side.sh("wg show wg0 persistent-keepalive")
            .unwrap()
            .trim()
            .ends_with("17")
    );
    assert_eq!(side.sh("wg show wg0 listen-port").unwrap().trim(), "12912");
}

#[test]
fn addconf_and_set_change_one_thing_at_a_time() {
    let Some((side, _running)) = start() else { return };
    side.sh("wg addconf wg0 /run/wireguard/wg0.conf").unwrap();
    let key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
    side.sh(&format!(
        "wg set wg0 fwmark 0 peer {key} preshared-key /dev/null persistent-keepalive 5"
    ))
    .unwrap();
    assert_eq!(side.sh("wg show wg0 fwmark").unwrap().trim(), "off");
    let line = |what: &str| {
        side.sh(&format!("wg show wg0 {what} | grep {key} | cut -f2-"))
            .unwrap()
            .trim()
            .to_string()
    };
    assert_eq!(line("preshared-keys"), "(none)");
    assert_eq!(line("persistent-keepalive"), "5");
    assert_eq!(line("endpoints"), "192.95.5.67:1234");
    side.sh(&format!("wg set wg0 peer {key} remove")).unwrap();
    assert!(!side.sh("wg show wg0 peers").unwrap().contains(key));
}

#[test]
fn show_dump_has_every_column() {
    let Some((side, _running)) = start() else { return };
    side.sh("wg setconf wg0 /run/wireguard/wg0.conf").unwrap();
    let dump = side.sh("wg show wg0 dump").unwrap();
    let rows: Vec<Vec<&str>> = dump.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [4, 8, 8], "{dump}");
    assert_eq!(rows[0][3], "0x20");
    assert_eq!(rows[1][4..], ["0", "0", "0", "off"]);
    assert_eq!(rows[2][7], "25");
}

#[test]
fn the_private_key_may_be_taken_away() {
    let Some((side, _running)) = start() else { return };
    side.sh("wg setconf wg0 /run/wireguard/wg0.conf && wg set wg0 private-key /dev/null")
        .unwrap();
    assert_eq!(side.sh("wg show wg0 private-key").unwrap().trim(), "(none)");
}

#[test]
fn the_listen_port_changes_while_up() {
    let Some((side, _running)) = start() else { return };
    side.sh("wg setconf wg0 /run/wireguard/wg0.conf && ip link set wg0 up && wg set wg0 listen-port 40404")
        .unwrap();
    assert_eq!(side.sh("wg show wg0 listen-port").unwrap().trim(), "40404");
    side.sh("ss -lun | grep -q :40404 && ! ss -lun | grep -q :12912")
        .unwrap();
}

#[test]
fn a_hundred_thousand_allowed_ips_load_and_dump_in_seconds() {
    let Some((side, _running)) = start() else { return };
    side.sh(
        "{ echo '[Peer]'; echo 'PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg='; \
         for a in $(seq 0 129); do for b in $(seq 0 255); do echo \"AllowedIPs = 10.$a.$b.0/30, 10.$a.$b.4/30, \
         10.$a.$b.8/30, fd00:$a:$b::/48\"; done; done; } > /run/wireguard/many.conf",
    )
    .unwrap();
    let start = std::time::Instant::now();
    side.sh("wg addconf wg0 /run/wireguard/many.conf").unwrap();
    let count = side.sh("wg show wg0 allowed-ips | wc -w").unwrap();
    assert_eq!(count.trim(), (130 * 256 * 4 + 1).to_string());
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

/// One peer with 2^18 prefixes, and forty with 52: what `wg` shows, set again, is shown again to the byte.
#[test]
fn large_configurations_survive_the_way_through_wg() {
    let Some((side, _running)) = start() else { return };
    let hosts = (0..1u32 << 18).map(|n| format!("10.{}.{}.{}/32", n >> 16, (n >> 8) & 255, n & 255));
    let mut peers = vec![hosts.collect::<Vec<_>>().join(", ")];
    peers.extend((0..40).map(|peer| {
        let ips = (0..52).map(|n| match n % 2 {
            0 => format!("172.16.{peer}.{}/31", n * 2),
            _ => format!("fd00:{peer:x}:{n:x}::/48"),
        });
        ips.collect::<Vec<_>>().join(", ")
    }));
    let text: String = peers
        .iter()
        .zip(1u8..)
        .map(|(ips, number)| {
            let key = format!("[Peer]\nPublicKey = {}\n", side_key(number));
            format!("{key}AllowedIPs = {ips}\n\n")
        })
        .collect();
    let file = format!("/proc/{}/root/run/wireguard/large.conf", side.pid());
    std::fs::write(file, format!("[Interface]\nListenPort = 4242\n\n{text}")).unwrap();
    side.sh(
        "cd /run/wireguard && wg setconf wg0 large.conf && wg showconf wg0 > shown && wg setconf wg0 shown && \
         wg showconf wg0 > again && cmp shown again",
    )
    .unwrap();
    let shown = side
        .sh("grep AllowedIPs /run/wireguard/shown | sed 's/AllowedIPs = //'")
        .unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 41);
    for (shown, peer) in lines.iter().zip(&peers) {
        assert!(shown == peer, "{:.80} instead of {:.80}", shown, peer);
    }
}

/// A public key that differs by its first byte; which private key it belongs to matters to nobody here.
fn side_key(number: u8) -> String {
    let mut bytes = [9; 32];
    bytes[0] = number;
    conf::key_text::base64(&bytes).to_string()
}

/// A default route through the tunnel: mark, policy rules and a firewall line, all made by `wg-quick`.
#[test]
fn wg_quick_brings_a_default_route_up_and_down() {
    if !needs::available(&[Engine::adit().program(), "wg", "ip", "wg-quick", "ping"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    if lab.left.sh("ip link add probe type wireguard").is_ok() {
        eprintln!("SKIPPED: this kernel has WireGuard, so wg-quick does not ask for an engine.");
        return;
    }
    let keys: Vec<(String, String)> = (0..2)
        .map(|_| {
            let private = lab.left.sh("wg genkey").unwrap().trim().to_string();
            let public = lab
                .left
                .sh(&format!("echo {private} | wg pubkey"))
                .unwrap()
                .trim()
                .to_string();
            (private, public)
        })
        .collect();
    let left = format!(
        "[Interface]\nPrivateKey = {}\nAddress = 10.11.12.1/24, fd00:ad17::1/64\n\
         [Peer]\nPublicKey = {}\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = 192.0.2.2:51821\n",
        keys[0].0, keys[1].1
    );
    let right = format!(
        "[Interface]\nPrivateKey = {}\nListenPort = 51821\nAddress = 10.11.12.2/24, fd00:ad17::2/64\n\
         [Peer]\nPublicKey = {}\nAllowedIPs = 10.11.12.1/32, fd00:ad17::1/128\n",
        keys[1].0, keys[0].1
    );
    lab.right.sh("ip addr add 203.0.113.7/32 dev lo").unwrap();
    // The answering side first: an initiation that nobody hears is repeated only after five seconds.
    for (side, text) in [(&lab.right, right), (&lab.left, left)] {
        side.sh(&format!("umask 077; cat > /run/wireguard/wg0.conf <<'END'\n{text}END"))
            .unwrap();
        quick(side, "up").unwrap();
    }
    lab.left
        .sh("ping -c 3 -W 3 10.11.12.2 && ping -c 1 -W 3 203.0.113.7 && ping -c 1 -W 3 fd00:ad17::2")
        .unwrap();
    assert!(lab.right.sh("wg show wg0 endpoints").unwrap().contains("192.0.2.1:"));
    for side in [&lab.left, &lab.right] {
        quick(side, "down").unwrap();
        side.sh("test ! -e /run/wireguard/wg0.sock && ! ip link show wg0 2>/dev/null")
            .unwrap();
    }
}

fn quick(side: &Side, verb: &str) -> e2e::Result<String> {
    let program = engine::aditd();
    let folder = program.parent().unwrap().display().to_string();
    let line = format!(
        "PATH={folder}:$PATH WG_QUICK_USERSPACE_IMPLEMENTATION=aditd \
         wg-quick {verb} /run/wireguard/wg0.conf > /run/wireguard/log 2>&1 || {{ cat /run/wireguard/log; exit 1; }}"
    );
    side.sh(&line)
}
