//! `adit reload` and `adit plan`: a running tunnel becomes what its file says, and nothing else is touched.

use super::filled;
use super::firewall::Internet;
use super::world::{Tool, World};

pub(crate) const FILES: [&str; 11] = [
    "Address = 10.9.0.2/24\nListenPort = 777",
    "Address = 10.9.0.3/24, fd09::2/64\nListenPort = 777\nMTU = 1300",
    "Address = 10.9.0.2/24\nListenPort = 778\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16, fd01::/16",
    "Address = 10.9.0.2/24\nListenPort = 778\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/16\nEndpoint = 192.0.2.9:5\nPersistentKeepalive = 25",
    "Address = 10.9.0.2/24, fd09::2/64\nListenPort = 777\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16",
    "Address = 10.9.0.2/24, fd09::4/64\nListenPort = 777\n[Peer]\nPublicKey = {A}\nAllowedIPs = ::/0\n[Peer]\nPublicKey = {B}\nAllowedIPs = 0.0.0.0/0\nEndpoint = 192.0.2.9:5",
    "Address = 10.9.0.2/24\nListenPort = 777\nTable = 1234\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, 10.1.0.0/16",
    "Address = 10.9.0.2/24\nListenPort = 777\nTable = off\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, 10.1.0.0/16",
    "Address = fd09::2/64\nListenPort = 777\n[Peer]\nPublicKey = {B}\nAllowedIPs = ::/0\nEndpoint = 192.0.2.9:5",
    "Address = 10.9.0.2/24, fd09::2/64\nListenPort = 777\nGateway = true\nKillSwitch = lan\n[Peer]\nPublicKey = {A}\nAllowedIPs = ::/0, 10.1.0.0/16",
    "Address = 10.9.0.2/24\nListenPort = 777\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.3.0.0/16\nEndpoint = 192.0.2.9:5\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.2.0.0/16",
];

/// The state without what `reload` leaves alone: the mark that the file does not name, and the order of allowed IPs.
pub(crate) fn comparable(state: &str) -> String {
    let lines = state.lines().filter(|line| !line.starts_with("resolvconf"));
    let sorted = |field: &str| {
        let mut list: Vec<&str> = field.split(',').collect();
        list.sort_unstable();
        list.join(",")
    };
    let line = |line: &str| line.split('\t').map(sorted).collect::<Vec<_>>().join("\t");
    lines
        .map(|text| line(text).replace("\t0xca6c", "\toff") + "\n")
        .collect()
}

#[test]
fn a_reloaded_tunnel_is_the_one_that_the_file_makes_anew() {
    let Some(fresh) = World::new() else { return };
    let states: Vec<String> = FILES
        .iter()
        .map(|file| {
            fresh.write(&filled(file));
            fresh.ok(Tool::Ours, "up wg0");
            let state = fresh.state();
            fresh.ok(Tool::Ours, "down wg0");
            fresh.settled();
            state
        })
        .collect();
    let world = World::new().unwrap();
    let nothing = world.state();
    for (first, step) in [(0, 1), (4, 3), (2, 7), (8, 9)] {
        world.write(&filled(FILES[first]));
        world.ok(Tool::Ours, "up wg0");
        for number in (0..FILES.len()).map(|n| (first + n * step) % FILES.len()) {
            world.write(&filled(FILES[number]));
            let plan = world.run(Tool::Ours, "plan wg0");
            world.ok(Tool::Ours, "reload wg0");
            let [ours, fresh] = [&world.state(), &states[number]].map(|state| comparable(state));
            assert_eq!(
                ours,
                fresh,
                "{}\n{}",
                FILES[number],
                String::from_utf8_lossy(&plan.stdout)
            );
            // There is nothing left to do.
            assert_eq!(world.plan(), "wg0: nothing to change\n");
        }
        world.ok(Tool::Ours, "down wg0");
        assert_eq!(world.settled(), nothing);
    }
}

#[test]
fn a_mark_that_somebody_cleared_comes_back_and_nothing_around_it_changes() {
    let Some(world) = World::new() else { return };
    for lines in ["", "FwMark = off", "KillSwitch = true"] {
        let file = format!("Address = 10.9.0.2/24\n{lines}\n[Peer]\nPublicKey = {{A}}\nAllowedIPs = 0.0.0.0/0");
        world.write(&filled(&file));
        world.ok(Tool::Ours, "up wg0");
        let (before, plan) = (world.state(), || world.run(Tool::Ours, "plan wg0").stdout);
        assert_eq!(plan(), b"wg0: nothing to change\n", "{lines}");
        world.sh("wg set wg0 fwmark 0");
        assert_eq!(plan(), b"wg0: ~ fwmark: 0xca6c\n", "{lines}");
        world.ok(Tool::Ours, "reload wg0");
        assert_eq!(world.state(), before, "{lines}");
        world.ok(Tool::Ours, "down wg0");
    }
}

#[test]
fn a_plan_tells_the_difference_and_changes_nothing() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILES[2]));
    world.ok(Tool::Ours, "up wg0");
    let before = world.state();
    let next = "Address = 10.9.0.2/24\nListenPort = 779\n# Name = alice\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16, 10.2.0.0/16\nPresharedKey = {A}";
    world.write(&filled(next));
    let plan = world.plan();
    let alice = format!("alice ({})", super::A);
    assert_eq!(
        plan,
        format!(
            "wg0: ~ listening port: 779\n\
             wg0: ~ peer {alice}: preshared key (hidden), allowed ips 10.1.0.0/16 10.2.0.0/16\n\
             wg0: - ip -6 route add fd01::/16 dev wg0\n\
             wg0: + ip -4 route add 10.2.0.0/16 dev wg0\n"
        )
    );
    let json = String::from_utf8(world.run(Tool::Ours, "plan wg0 --json").stdout).unwrap();
    assert!(
        json.starts_with("{\"interface\":\"wg0\",\"steps\":[{\"action\":\"change\",\"what\":\"listening port: 779\"}"),
        "{json}"
    );
    assert!(
        json.ends_with(
            "{\"action\":\"add\",\"what\":\"ip -4 route add 10.2.0.0/16 dev wg0\"}],\"up\":true,\"version\":1}\n"
        ),
        "{json}"
    );
    assert_eq!(world.state(), before);
    world.ok(Tool::Ours, "reload wg0");
    let said = world.errors();
    for line in plan.lines().filter(|line| line.contains('~')) {
        assert!(said.lines().any(|told| told == line), "{line}: {said}");
    }
}

#[test]
fn a_reload_that_fails_half_way_goes_back() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILES[4]));
    world.ok(Tool::Ours, "up wg0");
    let before = world.state();
    // The last route is there already, by another interface.
    world.write(&filled("Address = 10.9.0.7/24\nDNS = 10.9.0.1\nMTU = 1300\nListenPort = 70\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.7.0.0/16, 192.0.2.0/24"));
    assert_eq!(
        world.run(Tool::Ours, "reload wg0").status.code(),
        Some(2),
        "{}",
        world.errors()
    );
    assert_eq!(world.state(), before);
    world.write("nonsense");
    assert_eq!(world.run(Tool::Ours, "reload wg0").status.code(), Some(1));
    assert_eq!(world.state(), before);
    world.write(&filled(FILES[4]));
    for tool in [Tool::Stock, Tool::Ours] {
        world.ok(tool, "down wg0");
        world.settled();
        assert_eq!(world.run(Tool::Ours, "reload wg0").status.code(), Some(1));
        let errors = world.errors();
        assert!(errors.contains("`wg0' is not up: `adit up wg0' makes"), "{errors}");
        world.ok(Tool::Ours, "up wg0");
    }
}

#[test]
fn a_plan_of_a_tunnel_that_is_not_up_is_what_up_does_and_does_nothing() {
    let Some(world) = World::new() else { return };
    let before = world.state();
    let text = "Address = 10.9.0.2/24, fd09::2/64\nDNS = 10.9.0.1\nGateway = true\nKillSwitch = true\nFwMark = 77\nPreUp = echo up\nPostUp = echo %i\nPreDown = true\n                [Peer]\nPublicKey = {A}\nEndpoint = 192.0.2.9:7\nAllowedIPs = 0.0.0.0/0, fd01::/16";
    world.write(&filled(text));
    let plan = |interface: &str| String::from_utf8(world.run(Tool::Ours, &format!("plan {interface}")).stdout).unwrap();
    let planned = plan("wg0");
    assert!(
        world.errors().contains("`wg0' is not up: `adit up wg0' does this"),
        "{}",
        world.errors()
    );
    assert_eq!(world.state(), before);
    // The commands of `up` are those of the plan, in its order.
    world.ok(Tool::Ours, "up wg0");
    let done = world.errors();
    let done: Vec<&str> = done.lines().filter_map(|line| line.strip_prefix("[#] ")).collect();
    let added: Vec<&str> = planned
        .lines()
        .filter_map(|line| line.strip_prefix("wg0: + "))
        .collect();
    let mut rest = done.iter();
    for what in &added {
        let command = what.split_once(" = ").map_or(*what, |(_, command)| command);
        let command = command.split_once(", or ").map_or(command, |(command, _)| command);
        assert!(rest.any(|done| *done == command), "{command}: {planned}{done:#?}");
    }
    // The engine after all, keys and peers, and name servers.
    assert_eq!(added.len() + 3, done.len(), "{planned}{done:#?}");
    assert_eq!(plan("wg0"), "wg0: nothing to change\n");
    // With an engine that was killed it is so again; what `up` would refuse the plan refuses.
    for engine in world
        .running("aditd wg0")
        .into_iter()
        .chain(world.running("wg-quick keep"))
    {
        e2e::side::end(engine, rustix::process::Signal::KILL);
    }
    world.becomes("gone", |world| {
        world.sh("ip link show wg0 > /dev/null 2>&1 || echo gone")
    });
    assert!(plan("wg0").contains("+ ip link add dev wg0"));
    assert!(
        world
            .errors()
            .contains("What is left of an earlier `wg0' is undone first"),
        "{}",
        world.errors()
    );
    world.ok(Tool::Ours, "down wg0");
    world.write(&filled(&text.replace("PreUp = echo up\n", "")));
    world.sh("ip route add blackhole default table 77");
    assert_eq!(plan("wg0"), "");
    assert!(
        world.errors().contains("error: the routing table 77 has a route"),
        "{}",
        world.errors()
    );
}

#[test]
fn a_peer_that_has_moved_is_not_moved_back_unless_the_file_says_something_new() {
    let Some(net) = Internet::new() else { return };
    let (client, server) = (&net.client, &net.server);
    net.serve("");
    net.connect("");
    server.ok(Tool::Ours, "up wg0");
    client.ok(Tool::Ours, "up wg0");
    client.reaches("10.9.0.1");
    let endpoint = || client.sh("wg show wg0 endpoints | cut -f 2");
    assert_eq!(endpoint(), "192.0.2.1:51820");
    server.sh("wg set wg0 listen-port 999; ping -c 1 -W 5 10.9.0.2");
    assert_eq!(endpoint(), "192.0.2.1:999");
    net.connect("MTU = 1400");
    client.ok(Tool::Ours, "reload wg0");
    assert_eq!(endpoint(), "192.0.2.1:999");
    client.reaches("10.9.0.1");
    assert_eq!(client.plan(), "wg0: nothing to change\n");
    client.sh("sed -i s/51820/51821/ /etc/wireguard/wg0.conf");
    client.ok(Tool::Ours, "reload wg0");
    assert_eq!(endpoint(), "192.0.2.1:51821");
}

#[test]
fn a_signal_does_not_cut_a_reload_in_two() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILES[4]));
    world.ok(Tool::Ours, "up wg0");
    world.write(&filled(FILES[1]));
    world.ok(Tool::Ours, "reload wg0");
    let after = world.state();
    for signal in ["INT", "HUP", "TERM"] {
        world.write(&filled(FILES[4]));
        world.ok(Tool::Ours, "reload wg0");
        world.write(&filled(FILES[1]));
        let cut = world.traced(&format!("-f -e inject=sendto:signal={signal}:when=18"), "reload wg0");
        assert!(cut.status.success(), "{signal}");
        assert!(
            world.errors().contains(&format!("--- SIG{signal}")),
            "{}",
            world.errors()
        );
        assert_eq!(world.state(), after, "{signal}");
    }
}

#[test]
fn commands_that_changed_are_told_and_those_for_down_are_taken() {
    let Some(world) = World::new() else { return };
    world.write(&filled(&format!("{}\nPostUp = echo up", FILES[0])));
    world.ok(Tool::Ours, "up wg0");
    let plan = || {
        let plan = world.run(Tool::Ours, "plan wg0");
        String::from_utf8(plan.stdout).unwrap()
    };
    world.write(&filled(&format!(
        "{}\nPostUp = echo new\nPostDown = echo down > /run/wireguard/down",
        FILES[0]
    )));
    assert_eq!(plan(), "wg0: ~ commands for down (PreDown, PostDown)\n");
    assert!(world.errors().contains("PreUp or PostUp changed"), "{}", world.errors());
    world.ok(Tool::Ours, "reload wg0");
    assert!(world.errors().contains("PreUp or PostUp changed"), "{}", world.errors());
    assert_eq!(plan(), "wg0: nothing to change\n");
    assert_eq!(world.errors(), "");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(world.sh("cat /run/wireguard/down"), "down");
}
