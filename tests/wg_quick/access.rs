//! `Allow` and `DefaultAllow`: what a client reaches of a server and of a host behind that.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use e2e::{Side, needs};

use super::files::{A, B};
use super::firewall::Internet;
use super::world::{Tool, World};
use super::{KEY, filled};

const A_WHILE: Duration = Duration::from_millis(500);
const V4: &str = "203.0.113.9";
const V6: &str = "2001:db8:99::9";

/// A client, a server that is up with these lines about the peers, and a host that listens.
fn net(lines: &str) -> Option<Internet> {
    let net = Internet::new()?;
    net.allow(lines);
    net.server.ok(Tool::Ours, "up wg0");
    net.connect("");
    net.client.ok(Tool::Ours, "up wg0");
    // Whatever it may reach, there is a session.
    net.server.reaches("10.9.0.2");
    Some(net)
}

impl Internet {
    fn allow(&self, lines: &str) {
        let (of_all, of_peer) = lines.split_once('|').unwrap();
        self.serve(&format!("Gateway = true\n{of_all}"));
        self.server.sh(&format!("echo '{of_peer}' >> /etc/wireguard/wg0.conf"));
    }

    fn reload(&self, lines: &str) {
        self.allow(lines);
        let plan = self.server.plan();
        self.server.ok(Tool::Ours, "reload wg0");
        let said = self.server.errors();
        for line in plan.lines().filter(|line| line.contains('~')) {
            assert!(said.lines().any(|told| told == line), "{line}: {said}");
        }
        assert_eq!(self.server.plan(), "wg0: nothing to change\n");
    }

    fn connects(&self, host: &str, port: u16) -> Result<TcpStream, ErrorKind> {
        let address = SocketAddr::new(host.parse().unwrap(), port);
        let connect = || Ok(TcpStream::connect_timeout(&address, Duration::from_secs(5)));
        let stream = self
            .client
            .side()
            .inside(connect)
            .unwrap()
            .map_err(|error| error.kind())?;
        stream.set_read_timeout(Some(A_WHILE)).unwrap();
        Ok(stream)
    }
}

fn listen<T: Send>(side: &Side, bind: impl FnOnce() -> std::io::Result<T> + Send) -> T {
    side.inside(|| bind().map_err(|error| error.to_string())).unwrap()
}

/// Sends a byte by a connection, and waits for it at the other end.
fn arrives(mut from: &TcpStream, mut to: &TcpStream) -> bool {
    from.write_all(b"x").unwrap();
    to.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_peer_reaches_what_it_may_and_is_told_of_the_rest() {
    let Some(net) = net("|Allow = 203.0.113.9:443/tcp, 10.9.0.1\nAllow = [2001:db8:99::9]:8000-8100/udp") else {
        return;
    };
    let tcp = |port| listen(&net.host, move || TcpListener::bind(("::", port)));
    let [https, _http] = [443, 80].map(tcp);
    assert!(net.connects(V4, 443).is_ok());
    assert_eq!(net.connects(V4, 80).err(), Some(ErrorKind::HostUnreachable));
    assert_eq!(net.connects(V6, 443).err(), Some(ErrorKind::PermissionDenied));
    assert_eq!(net.connects("fd09::1", 443).err(), Some(ErrorKind::PermissionDenied));
    net.client.reaches("10.9.0.1");
    for target in [V4, V6, "fd09::1", "203.0.113.1"] {
        net.client.does_not_reach(target);
    }
    for (port, passes) in [(7999, false), (8000, true), (8100, true), (8101, false)] {
        let at_host = listen(&net.host, || UdpSocket::bind(("::", port)));
        let at_client = listen(net.client.side(), || UdpSocket::bind(("::", 0)));
        at_host.set_read_timeout(Some(A_WHILE)).unwrap();
        at_client.send_to(b"x", (V6, port)).unwrap();
        assert_eq!(at_host.recv(&mut [0]).is_ok(), passes, "port {port}");
    }

    // It answers others, whatever it may reach.
    net.host.sh("ip route add 10.9.0.0/24 via 203.0.113.1").unwrap();
    net.host.sh("ping -c 1 -W 5 10.9.0.2").unwrap();
    let caller = listen(&net.host, || UdpSocket::bind("0.0.0.0:0"));
    caller.set_read_timeout(Some(A_WHILE)).unwrap();
    caller.connect("10.9.0.2:9").unwrap();
    caller.send(b"x").unwrap();
    let answer = caller.recv(&mut [0]).map_err(|error| error.kind());
    assert_eq!(answer, Err(ErrorKind::ConnectionRefused));

    let near = net.connects(V4, 443).unwrap();
    let far = std::iter::repeat_with(|| https.accept().unwrap().0);
    let port = near.local_addr().unwrap().port();
    let far = far.take(9).find(|far| far.peer_addr().unwrap().port() == port).unwrap();
    far.set_read_timeout(Some(A_WHILE)).unwrap();
    assert!(arrives(&near, &far) && arrives(&far, &near));
    net.reload("|Allow = none");
    assert!(!arrives(&near, &far), "what is not allowed any more ends");
    net.reload("|Allow = 203.0.113.9");
    net.client.reaches(V4);
}

#[test]
fn a_plan_tells_whose_reach_becomes_another() {
    let Some(world) = World::new() else { return };
    let peers = |a: &str, b: &str| {
        let head =
            "Address = 10.9.0.1/24\n[Peer]\n# Name = alice\nPublicKey = {A}\nAllowedIPs = 10.9.0.2/32, fd09::2/128\n";
        let more = "[Peer]\nPublicKey = {B}\nAllowedIPs = 10.9.0.3/32\n";
        world.write(&filled(&format!("{head}{a}\n{more}{b}\n")));
        let told = world.plan();
        world.ok(Tool::Ours, "reload wg0");
        let reach = told.lines().filter_map(|line| line.split_once("~ peer "));
        let reach: Vec<String> = reach.map(|(_, line)| line.replace(B, "B")).collect();
        reach.join("; ")
    };
    world.write(&filled(
        "Address = 10.9.0.1/24\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.9.0.3/32",
    ));
    world.ok(Tool::Ours, "up wg0");
    let added = peers("Allow = 10.0.0.5:443/tcp, fd00::/64", "");
    let reach = "alice may reach 10.0.0.5/32:443/tcp, fd00::/64";
    let alice = format!("alice ({A}): added, allowed ips 10.9.0.2/32 fd09::2/128");
    assert_eq!(added, format!("{alice}; {reach}"));
    assert_eq!(peers("Allow = 10.0.0.5:443/tcp, fd00::/64", "Allow = any"), "");
    assert_eq!(
        peers("Allow = 10.0.0.5:443/tcp", "Allow = none"),
        "alice may reach 10.0.0.5/32:443/tcp; B may reach nothing"
    );
    assert_eq!(peers("", ""), "alice may reach any; B may reach any");
}

#[test]
fn access_rules_come_and_go_with_the_file() {
    let Some(net) = net("DefaultAllow = none|") else { return };
    let rules = || net.server.sh("nft list tables | grep adit-access || true");
    net.client.does_not_reach(V4);
    net.reload("DefaultAllow = none|Allow = any");
    net.reaches_the_host();
    net.reload("DefaultAllow = 203.0.113.9|Allow = 2001:db8:99::9");
    net.client.reaches(V6);
    net.client.does_not_reach(V4);
    net.reload("DefaultAllow = 203.0.113.9|");
    net.client.reaches(V4);
    net.client.does_not_reach(V6);
    // Another peer has rules; this one has none, and what comes from nobody's addresses goes nowhere.
    net.reload(&format!(
        "|[Peer]\nPublicKey = {A}\nAllowedIPs = 10.9.0.0/24\nAllow = none"
    ));
    net.reaches_the_host();

    net.server.sh("nft flush chain ip adit-access-wg0 peers");
    assert_eq!(net.server.plan(), "wg0: + nft -f - (access rules of peers)\n");
    net.server.ok(Tool::Ours, "reload wg0");
    assert_eq!(net.server.plan(), "wg0: nothing to change\n");

    net.reload("|");
    assert_eq!(rules(), "");
    net.reload("|Allow = none");
    assert_ne!(rules(), "");
    net.server.ok(Tool::Ours, "down wg0");
    assert_eq!(rules(), "");
}

#[test]
fn rules_stay_with_an_interface_that_cannot_be_deleted() {
    if !needs::available(&["strace"]) {
        return;
    }
    let Some(world) = World::new() else { return };
    let rules = || world.sh("nft list tables | grep -c adit-access || true");
    world.write(&filled(&format!(
        "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.9.0.3/32\nAllow = none"
    )));
    world.ok(Tool::Ours, "up wg0");
    world.traced("-o /run/wireguard/calls -e trace=sendto", "down wg0");
    assert_eq!(rules(), "0");
    let number = world.sh("grep -n RTM_DELLINK /run/wireguard/calls | cut -d: -f1");
    world.ok(Tool::Ours, "up wg0");
    let refused = format!("-o /dev/null -e trace=sendto -e inject=sendto:error=EPERM:when={number}");
    assert!(!world.traced(&refused, "down wg0").status.success());
    assert_eq!(rules(), "2");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(rules(), "0");
}

/// Where root has no rights over the whole machine.
const CONTAINER: &str = "unshare --user --map-root-user --net --mount --pid --fork --mount-proc";

#[test]
fn in_a_container_there_are_as_many_rules_as_the_machine_has_room_for() {
    let Some(world) = World::new() else { return };
    let limit: u32 = world.sh("cat /proc/sys/net/core/wmem_max").parse().unwrap();
    let up = |destinations: u32| {
        let list = (0..destinations).map(|n| Ipv4Addr::from(n).to_string());
        let list = list.collect::<Vec<_>>().join(", ");
        world.write(&filled(&format!(
            "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.9.0.3/32\nAllow = {list}"
        )));
        world.under(CONTAINER, "up wg0").status.success()
    };
    // A rule has 200 bytes, and there is room for 213 kB without a word.
    assert!(up(1500), "{}", world.errors());
    assert!(!up(limit / 50));
    let errors = world.errors();
    assert!(errors.contains("net.core.wmem_max leaves no room for "), "{errors}");
}

/// Each step of a command takes a while, so that what is between two of them is to be seen.
const SLOWLY: &str = "-f -o /dev/null -e trace=sendto,connect,rename -e inject=sendto,connect,rename:delay_exit=30000";

/// What a client that may reach nothing sends all the time: all of it, and what gets through.
const WATCH: &str = "table inet watch {
  counter sent {}
  counter passed {}
  chain comes { type filter hook prerouting priority -300; iifname wg0 udp dport 9 counter name sent; }
  chain goes { type filter hook postrouting priority 300; oifname v0 udp dport 9 counter name passed drop; }
}";

#[test]
fn no_change_of_peers_lets_one_pass_that_may_not_before_or_after() {
    if !needs::available(&["strace"]) {
        return;
    }
    let Some(net) = Internet::new() else { return };
    net.connect("ListenPort = 51821");
    net.client.ok(Tool::Ours, "up wg0");
    net.server.sh(&format!("echo '{WATCH}' | nft -f -"));
    let key = net.server.sh("cat /run/wireguard/key");
    let client_key = net.client.sh(&format!("echo {KEY} | wg pubkey"));
    let client = |address| {
        format!(
            "[Peer]\nPublicKey = {client_key}\nEndpoint = 192.0.2.2:51821\nAllowedIPs = {address}/32\nAllow = none\n"
        )
    };
    let other = |lines: &str| format!("[Peer]\nPublicKey = {A}\nAllowedIPs = {lines}\n");
    let file = |peers: &str| {
        net.server.write(&format!(
            "[Interface]\nPrivateKey = {key}\nAddress = 10.9.0.1/24\nListenPort = 51820\nGateway = true\n{peers}"
        ));
    };
    let slowly = |words| {
        net.reset("watch sent");
        let output = net.server.traced(SLOWLY, words);
        assert!(output.status.success(), "{}", net.server.errors());
        assert!(net.reset("watch sent") > 0, "{words}");
        net.reset("watch passed")
    };
    let shut = client("10.9.0.2") + &other("10.9.0.0/24\nAllow = any");
    file(&shut);
    net.server.ok(Tool::Ours, "up wg0");
    net.server.sh("setsid ping -i 0.02 10.9.0.2 > /dev/null 2>&1 &");
    net.client
        .sh("setsid bash -c 'while sleep 0.003; do echo x > /dev/udp/203.0.113.9/9; done' > /dev/null 2>&1 &");
    for (change, peers) in [
        ("a peer goes", other("10.9.0.0/24\nAllow = any")),
        ("so do all rules", other("10.9.0.0/24")),
        (
            "an address moves",
            client("10.9.0.4") + &other("10.9.0.2/32\nAllow = any"),
        ),
    ] {
        net.server.reaches("10.9.0.2");
        file(&peers);
        assert_eq!(slowly("reload wg0"), 0, "{change}");
        // The way there, and back.
        file(&shut);
        assert_eq!(slowly("apply wg0 --confirm 1s"), 0, "{change}, back");
        net.server.ok(Tool::Ours, "reload wg0");
        assert_eq!(net.server.plan(), "wg0: nothing to change\n");
    }
}
