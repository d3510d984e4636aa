//! Several full tunnels at once: they come and go in any order under traffic, and nothing leaves in the clear while one has a kill switch.
//! Tunnels whose commands bring up and take down tunnels.

use super::firewall::{Internet, TRAFFIC};
use super::world::{Tool, World};
use super::{KEY, filled};

/// Where the client finds each server: by its own default route.
const ENDPOINTS: [&str; 3] = ["203.0.113.1:51820", "[2001:db8:99::1]:51821", "203.0.113.1:51822"];

/// Far more than is sent here, and far less than packets that go round make.
const MUCH: u64 = 20_000_000;

/// A client of servers, each with a file that says one of these beside all else.
fn internet(lines: &[&str]) -> Option<Internet> {
    let net = Internet::new()?;
    let (client, server) = (&net.client, &net.server);
    let key = server.sh("cat /run/wireguard/key");
    let client_key = client.sh(&format!("echo {KEY} | wg pubkey"));
    let server_key = &net.server_key;
    for (n, (line, endpoint)) in lines.iter().zip(ENDPOINTS).enumerate() {
        server.write_to(
            &format!("wg{n}"),
            &format!(
                "[Interface]\nPrivateKey = {key}\nAddress = 10.9.{n}.1/24, fd09:{n}::1/64\nListenPort = 5182{n}\nGateway = true\n\
                 [Peer]\nPublicKey = {client_key}\nAllowedIPs = 10.9.{n}.2/32, fd09:{n}::2/128\n"
            ),
        );
        client.write_to(
            &format!("wg{n}"),
            &filled(&format!(
                "Address = 10.9.{n}.2/24, fd09:{n}::2/64\n{line}\n\
                 [Peer]\nPublicKey = {server_key}\nEndpoint = {endpoint}\nAllowedIPs = 0.0.0.0/0, ::/0"
            )),
        );
        server.ok(Tool::Ours, &format!("up wg{n}"));
    }
    Some(net)
}

impl World {
    fn sent(&self) -> u64 {
        let sent = self.sh("wg show all transfer | cut -f 4");
        sent.lines().map(|bytes| bytes.parse::<u64>().unwrap()).sum()
    }

    fn is_as_planned(&self, n: usize) {
        assert_eq!(self.plan_of(&format!("wg{n}")), format!("wg{n}: nothing to change\n"));
    }

    /// By which interface the encrypted packets of a tunnel leave.
    fn way_of(&self, n: usize) -> String {
        self.sh(&format!(
            "ip -o route get 203.0.113.1 mark $(wg show wg{n} fwmark) | grep -o 'dev [^ ]*'"
        ))
    }
}

#[test]
fn full_tunnels_come_and_go_in_any_order_and_those_that_are_left_carry_all() {
    let Some(net) = internet(&["KillSwitch = true\nMTU = 1300"; 3]) else {
        return;
    };
    let client = &net.client;
    let before = client.state();
    net.watch();
    client.sh(TRAFFIC);
    assert!(net.leaked() > 0);
    let go = |action: &str, n: usize| client.ok(Tool::Ours, &format!("{action} wg{n}"));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut up = vec![];
        let carry = |up: &[usize]| {
            for target in ["203.0.113.9", "2001:db8:99::9"] {
                for n in up {
                    client.reaches(&format!("-I wg{n} {target}"));
                }
                client.reaches(target);
            }
            assert_eq!(net.reset("watch clear"), 0, "{order:?}: {up:?}");
            assert!(client.sent() < MUCH, "{order:?}: {up:?}");
            up.iter().for_each(|n| client.is_as_planned(*n));
        };
        for n in 0..3 {
            go("up", n);
            up.push(n);
            if n == 0 {
                net.reset("watch clear");
            }
            carry(&up);
        }
        // The first to go comes back, before the others.
        go("down", order[0]);
        up.retain(|n| *n != order[0]);
        carry(&up);
        go("up", order[0]);
        up.push(order[0]);
        carry(&up);
        for n in &order[..2] {
            go("down", *n);
            up.retain(|left| left != n);
            carry(&up);
        }
        go("down", order[2]);
    }
    assert!(net.leaked() > 0);
    assert_eq!(client.settled(), before);
}

#[test]
fn the_stock_tool_takes_a_third_one_down_and_no_packet_of_the_others_goes_round() {
    let Some(net) = internet(&["MTU = 1300"; 3]) else {
        return;
    };
    let client = &net.client;
    let before = client.state();
    for (tool, command) in [
        (Tool::Ours, "up wg0"),
        (Tool::Ours, "up wg1"),
        (Tool::Stock, "up wg2"),
        (Tool::Stock, "down wg2"),
    ] {
        client.ok(tool, command);
    }
    for is_mended in [false, true] {
        client.reaches("203.0.113.9");
        client.reaches("2001:db8:99::9");
        assert!(client.sent() < MUCH, "{is_mended}");
        // It took rules of theirs with it.
        for n in 0..2 {
            client.ok(Tool::Ours, &format!("reload wg{n}"));
        }
    }
    for n in 0..2 {
        client.ok(Tool::Ours, &format!("down wg{n}"));
    }
    assert_eq!(client.settled(), before);
}

#[test]
fn one_that_leads_packets_of_an_earlier_one_past_itself_is_not_handed_back() {
    let Some(net) = internet(&["MTU = 1300"; 2]) else {
        return;
    };
    let client = &net.client;
    let before = client.state();
    client.ok(Tool::Ours, "up wg0");
    client.ok(Tool::Ours, "up wg1");
    let both = client.state();
    assert!(!client.run(Tool::Ours, "release wg1").status.success());
    assert!(client.errors().contains("(mark 0xca6c)"), "{}", client.errors());
    assert_eq!(client.state(), both);
    client.is_as_planned(1);
    client.ok(Tool::Ours, "down wg0");
    client.ok(Tool::Ours, "release wg1");
    client.ok(Tool::Stock, "down wg1");
    assert_eq!(client.settled(), before);
}

#[test]
fn down_of_a_tunnel_of_the_stock_tool_leaves_the_rules_of_a_later_one() {
    let Some(net) = internet(&["MTU = 1300"; 2]) else {
        return;
    };
    let client = &net.client;
    // With its second one the stock tool takes a rule of the first.
    for command in ["up wg0", "up wg1", "down wg1", "up wg1"] {
        client.ok(Tool::Stock, command);
    }
    let near = || client.sh("for v in 4 6; do ip -$v rule | grep suppress_prefixlength; done");
    let before = near();
    client.ok(Tool::Ours, "down wg0");
    assert_eq!(near(), before);
}

#[test]
fn one_for_which_no_priority_is_left_does_not_come_up_and_the_others_stay_as_they_are() {
    let Some(net) = internet(&["MTU = 1300"; 3]) else {
        return;
    };
    let client = &net.client;
    client.sh("ip rule add pref 7 from 198.18.0.1 table 7; ip -6 rule add pref 7 from 2001:db8:7::1 table 7");
    client.ok(Tool::Ours, "up wg0");
    client.ok(Tool::Ours, "up wg1");
    let before = client.state();
    assert!(!client.run(Tool::Ours, "up wg2").status.success());
    assert!(client.errors().contains("no priority is left"), "{}", client.errors());
    assert_eq!(client.state(), before);
    assert_eq!(client.way_of(1), "dev wg0");
    assert_eq!(client.way_of(0), "dev v0");
}

#[test]
fn the_first_of_two_that_is_brought_up_anew_is_the_later_one() {
    let Some(net) = internet(&[""; 2]) else {
        return;
    };
    let client = &net.client;
    client.ok(Tool::Ours, "up wg0");
    client.ok(Tool::Ours, "up wg1");
    for (first, later) in [(0, 1), (1, 0)] {
        assert_eq!(client.way_of(later), format!("dev wg{first}"));
        assert_eq!(client.way_of(first), "dev v0");
        // It has the MTU for that way.
        client.is_as_planned(later);
        client.reaches("203.0.113.9");
        client.ok(Tool::Ours, &format!("down wg{first}"));
        client.reaches("203.0.113.9");
        client.ok(Tool::Ours, &format!("up wg{first}"));
    }
}

#[test]
fn one_that_gets_a_default_route_of_another_family_by_reload_is_as_planned_then() {
    let Some(net) = internet(&["MTU = 1300"; 2]) else {
        return;
    };
    let client = &net.client;
    let file = "/etc/wireguard/wg0.conf";
    client.sh(&format!("sed -i.both 's|, ::/0||' {file}"));
    client.ok(Tool::Ours, "up wg0");
    client.ok(Tool::Ours, "up wg1");
    client.sh(&format!("mv {file}.both {file}"));
    client.ok(Tool::Ours, "reload wg0");
    for n in 0..2 {
        client.is_as_planned(n);
    }
    for target in ["203.0.113.9", "2001:db8:99::9"] {
        client.reaches(target);
        client.reaches(&format!("-I wg0 {target}"));
        client.reaches(&format!("-I wg1 {target}"));
    }
    assert!(client.sent() < MUCH);
}

#[test]
fn a_tunnel_without_a_kill_switch_is_no_way_out_beside_one_that_has_it() {
    let Some(net) = internet(&["KillSwitch = true", ""]) else {
        return;
    };
    let client = &net.client;
    net.watch();
    client.sh(TRAFFIC);
    client.ok(Tool::Ours, "up wg0");
    net.reaches_the_host();
    net.leaked();
    // Traffic goes by the later one.
    for (command, host) in [
        ("up wg1", false),
        ("down wg1", true),
        ("up wg1", false),
        ("reload wg0", false),
    ] {
        client.ok(Tool::Ours, command);
        match host {
            true => net.reaches_the_host(),
            false => client.does_not_reach("203.0.113.9"),
        }
        client.reaches("-I wg0 203.0.113.9");
        assert_eq!(net.reset("watch clear"), 0, "{command}");
    }
    client.ok(Tool::Ours, "down wg0");
    net.reaches_the_host();
    client.ok(Tool::Ours, "down wg1");
    assert!(net.leaked() > 0);
}

/// Writes down that it runs, which is not to be without end.
const ONCE_MORE: &str = "echo >> /run/wireguard/log; test $(wc -l < /run/wireguard/log) -lt 9";

#[test]
fn a_command_for_after_the_end_may_bring_its_own_tunnel_up() {
    let Some(world) = World::new() else { return };
    world.write(&filled(&format!(
        "Address = 10.9.0.2/24\nPostDown = {ONCE_MORE} && wg-quick up wg0"
    )));
    world.ok(Tool::Ours, "up wg0");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(world.sh("wc -l < /run/wireguard/log; wg show interfaces"), "1\nwg0");
    // What a killed engine left is cleared away by an `up`.
    world.kill_engine();
    world.sh("rm /run/wireguard/log");
    assert!(!world.run(Tool::Ours, "up wg0").status.success());
    assert!(world.errors().contains("was brought up or taken down meanwhile"));
    assert_eq!(world.sh("wc -l < /run/wireguard/log; wg show interfaces"), "1\nwg0");
}

#[test]
fn tunnels_that_take_each_other_down_come_to_an_end() {
    let Some(world) = World::new() else { return };
    for (one, other) in [(0, 1), (1, 0)] {
        let file = format!("Address = 10.{one}.9.2/24\nPostDown = {ONCE_MORE} && wg-quick down wg{other} || true");
        world.write_to(&format!("wg{one}"), &filled(&file));
        world.ok(Tool::Ours, &format!("up wg{one}"));
    }
    world.ok(Tool::Ours, "down wg0");
    assert!(
        world.errors().contains("`wg0' is being taken down"),
        "{}",
        world.errors()
    );
    assert_eq!(
        world.sh("wc -l < /run/wireguard/log; wg show interfaces; find /run/adit -name '*.json'"),
        "2"
    );
}
