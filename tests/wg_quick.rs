//! `wg-quick` of adit beside the stock one: the same file makes the same machine, and leaves the same machine.

#[path = "wg_quick/adopt.rs"]
mod adopt;
#[path = "wg_quick/bare.rs"]
mod bare;
#[path = "wg_quick/collisions.rs"]
mod collisions;
#[path = "wg_quick/confirm.rs"]
mod confirm;
#[path = "wg_quick/differences.rs"]
mod differences;
#[path = "wg_quick/dns.rs"]
mod dns;
#[path = "wg_quick/firewall.rs"]
mod firewall;
#[path = "wg_quick/firewalls.rs"]
mod firewalls;
#[path = "wg_quick/iptables.rs"]
mod iptables;
#[path = "wg_quick/ipv6_off.rs"]
mod ipv6_off;
#[path = "wg_quick/keeper.rs"]
mod keeper;
#[path = "wg_quick/kills.rs"]
mod kills;
#[path = "wg_quick/leaks.rs"]
mod leaks;
#[path = "wg_quick/mtu.rs"]
mod mtu;
#[path = "wg_quick/ports.rs"]
mod ports;
#[path = "wg_quick/private_key.rs"]
mod private_key;
#[path = "wg_quick/reload.rs"]
mod reload;
#[path = "wg_quick/resolved.rs"]
mod resolved;
#[path = "wg_quick/save.rs"]
mod save;
#[path = "wg_quick/world.rs"]
mod world;
#[path = "wg_quick/writers.rs"]
mod writers;

use world::{Tool, World};

const A: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const B: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

/// The lines of a file after `[Interface]` with a private key; `{A}` and `{B}` are public keys of peers.
const FILES: [&str; 42] = [
    "",
    "Address = 10.9.0.2/24",
    "Address = 10.9.0.2",
    "Address = 10.9.0.2/24, fd09::2/64",
    "Address = 10.9.0.2/24 10.9.1.2/32,fd09::2",
    "Address = 10.9.0.2/24\nAddress = fd09::2/64\nListenPort = 12345\nFwMark = 0x77",
    "address=10.9.0.2/24\nMTU = 1300",
    "Address = 10.9.0.2/24\nMTU = 1300\nmtu = 1380",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.9.0.1/32",
    "Address = 10.9.0.2/32\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.9.0.1/32, 10.0.0.0/8, 172.16.0.0/12",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/16, fd01::/16",
    "Address = fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = fd09::/16, fd09::1/128",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0\nEndpoint = 192.0.2.77:51820",
    "Address = fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = ::/0\nEndpoint = [2001:db8::77]:51820",
    "Address = 10.9.0.2/24, fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = 192.0.2.77:51820",
    "Address = 10.9.0.2/24, fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16\nPersistentKeepalive = 25",
    "Address = 10.9.0.2/24\nFwMark = 1234\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0",
    "Address = 10.9.0.2/24\nTable = off\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, 10.1.0.0/16",
    "Address = 10.9.0.2/24\nTable = auto\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/1, 128.0.0.0/1",
    "Address = 10.9.0.2/24\nTable = 1234\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16",
    "Address = 10.9.0.2/24\nTable = 0x4d2\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16, fd01::/16",
    "Address = 10.9.0.2/24\nTable = main\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16",
    "Address = 10.9.0.2/24\nDNS = 10.9.0.1",
    "Address = 10.9.0.2/24\nDNS = 10.9.0.1, fd09::1\nDNS = corp.example, example.com",
    "Address = 10.9.0.2/24\nPreUp = echo a %i >> /run/wireguard/log\nPostUp = echo b %i%i >> /run/wireguard/log\nPreDown = echo c >> /run/wireguard/log\nPostDown = echo d >> /run/wireguard/log",
    "Address = 10.9.0.2/24\nPostUp = echo one >> /run/wireguard/log\nPostUp = echo two >> /run/wireguard/log\nPostUp = ip -4 addr show dev %i | grep -c inet >> /run/wireguard/log",
    "Address = 10.9.0.2/24\nPostUp = [[ %i == wg* ]] && echo bash >> /run/wireguard/log",
    "Address = 10.9.0.2/24\nPostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o v0 -j MASQUERADE\nPostDown = iptables -D FORWARD -i %i -j ACCEPT; iptables -t nat -D POSTROUTING -o v0 -j MASQUERADE",
    "Address = 10.9.0.2/24\nPostUp = false",
    "Address = 10.9.0.2/24\nDNS = 10.9.0.1\nPostUp = exit 3\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0",
    "Address = 10.9.0.2/24\nPreDown = exit 5",
    "Address = nonsense",
    "Address = 10.9.0.2/33",
    "Nonsense = 1",
    "Address = 10.9.0.2/24\nSaveConfig = maybe",
    "Address = 10.9.0.2/24\n[Peer]\nAllowedIPs = 10.1.0.0/16",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 192.0.2.0/24",
    "Address = 10.9.0.2/24 # comment\n# Address = 10.9.9.9\n  DNS=10.9.0.1#x\n[peer]\npublickey={A}\nallowedips=10.1.0.0/16",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16\nEndpoint = localhost:51820",
    "Address = 10.9.0.2/24\nSaveConfig = false\nTable = off\nDNS = 10.9.0.1\nMTU = 9000",
    "Address = 10.9.0.2/24, fd09::2/64\nMTU = 1200\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16",
    "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.3.0.0/16\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.2.0.0/16",
];

fn filled(lines: &str) -> String {
    let lines = lines.replace("{A}", A).replace("{B}", B);
    format!("[Interface]\nPrivateKey = {KEY}\n{lines}\n")
}

/// What somebody writes into the file of a tunnel that is up: what the stock tool can reload.
const EDIT: &str = "sed -i 's/^PrivateKey.*/&\\nListenPort = 4242/' /etc/wireguard/wg0.conf
if grep -qi '^PublicKey' /etc/wireguard/wg0.conf; then echo 'PersistentKeepalive = 33' >> /etc/wireguard/wg0.conf; fi";

/// What somebody changes of the tunnel itself, to be saved.
const CHANGE: &str = "wg set wg0 listen-port 4343 peer {A} persistent-keepalive 44
ip addr add 10.66.0.1/24 dev wg0; ip link set mtu 1333 dev wg0";

/// All parameters of the network, without what is counted or drawn by lot. The stock tool leaves the switch for marks on.
const PARAMETERS: &str =
    "sysctl -a -r '^net[.]' 2> /dev/null | grep -v 'nf_conntrack_count\\|stable_secret\\|src_valid_mark'";

/// What a tool makes of a file, step by step: the machine, and what it told commands and resolvconf by then.
fn story(tool: Tool, file: &str) -> Option<Vec<String>> {
    let world = World::new()?;
    world.write(&filled(file));
    let mut story = Vec::new();
    let mut tell = |command: &str, status: Option<i32>| {
        let is_up = command != "down" && status == Some(0);
        let state = if is_up { world.state() } else { world.settled() };
        story.push(format!("{command}: {status:?}\n{state}{}\n", world.sh(PARAMETERS)));
        is_up
    };
    let run = |command: &str| world.run(tool, &format!("{command} wg0")).status.code();
    if tell("up", run("up")) {
        world.sh(EDIT);
        tell(
            "reload",
            if tool == Tool::Ours {
                run("reload")
            } else {
                world.syncconf()
            },
        );
        // The stock tool saves commands with a pattern in them as what that matches, of this resolvconf no search domains, and no addresses of IPv6
        // that are not there because the MTU was too small for them.
        if !["[[", "corp.example", "MTU = 1200"]
            .iter()
            .any(|what| file.contains(what))
        {
            world.sh(&CHANGE.replace("{A}", A));
            tell("save", run("save"));
            tell("down", run("down"));
            tell("up", run("up"));
        }
    }
    tell("down", run("down"));
    Some(story)
}

#[test]
fn a_file_makes_the_same_machine_and_leaves_the_same() {
    let stories = std::thread::scope(|scope| {
        let threads: Vec<_> = FILES
            .chunks(FILES.len().div_ceil(4))
            .map(|files| {
                scope.spawn(move || {
                    let both = |file: &&'static str| Some((*file, story(Tool::Ours, file)?, story(Tool::Stock, file)?));
                    files.iter().map(both).collect::<Option<Vec<_>>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Option<Vec<_>>>()
    });
    let mut wrong = String::new();
    for (file, ours, stock) in stories.unwrap_or_default().into_iter().flatten() {
        for (ours, stock) in ours.iter().zip(&stock) {
            if ours != stock {
                wrong += &format!("=== {file}\n--- ours, {ours}\n--- stock, {stock}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_tunnel_goes_down_where_nothing_can_be_written_down() {
    let Some(world) = World::new() else { return };
    let nothing = world.state();
    world.write(&filled(
        "Address = 10.9.0.2/24\nPostDown = echo end >> /run/wireguard/ends\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0",
    ));
    for up in [Tool::Ours, Tool::Stock] {
        world.ok(up, "up wg0");
        world.sh("mount -o remount,size=64k /run/adit; dd if=/dev/zero of=/run/adit/full 2> /dev/null || true");
        world.ok(Tool::Ours, "down wg0");
        assert!(world.errors().contains("No space left"), "{}", world.errors());
        assert_eq!(world.sh("cat /run/wireguard/ends"), "end");
        assert_eq!(world.settled(), nothing, "{up:?}");
        // Nor can a tunnel come up that nobody could take down.
        assert!(!world.run(Tool::Ours, "up wg0").status.success());
        assert_eq!(world.settled(), nothing);
        world.sh("rm /run/adit/full /run/wireguard/ends; ! ls /run/adit/*/*.json 2> /dev/null");
    }
}
