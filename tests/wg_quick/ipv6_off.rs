//! Machines with IPv6 off: a file that names it, too, is used as far as it goes.

use super::filled;
use super::world::{Tool, World};

const FILE: &str = "Address = 10.9.0.2/24, fd09::2/64\nListenPort = 777\nSaveConfig = true\nGateway = true\nKillSwitch = true\n\
    [Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0";

const WARNING: &str = "Warning: IPv6 is off on this machine";

impl World {
    fn turn_ipv6(&self, off: u8) {
        for what in ["all", "default"] {
            self.sh(&format!("sysctl -qw net.ipv6.conf.{what}.disable_ipv6={off}"));
        }
    }
}

/// The addresses of the file, and the routes and rules that have adit's name.
fn ours(world: &World) -> String {
    world.sh("{ ip -o address show dev wg0 | cut -d: -f2; ip route show table all; ip rule; ip -6 route show table all; ip -6 rule; } | grep 'proto 108\\|scope global' | sort")
}

#[test]
fn what_names_ipv6_is_left_out_where_it_is_off_and_comes_with_a_reload_when_it_is_on() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILE));
    world.ok(Tool::Ours, "up wg0");
    assert!(!world.errors().contains(WARNING));
    let with = ours(&world);
    world.ok(Tool::Ours, "down wg0");
    world.turn_ipv6(1);
    let before = world.state();
    world.ok(Tool::Ours, "up wg0");
    assert!(world.errors().contains(WARNING), "{}", world.errors());
    assert!(world.sh("ip route show table all").contains("default dev wg0"));
    assert_eq!(
        world.sh("ip -6 route show table all dev wg0; ip -6 address show dev wg0"),
        ""
    );
    world.ok(Tool::Ours, "plan wg0");
    let saved = world.sh("cat /etc/wireguard/wg0.conf");
    world.ok(Tool::Ours, "save wg0");
    assert_eq!(world.sh("cat /etc/wireguard/wg0.conf"), saved);
    world.turn_ipv6(0);
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(ours(&world), with);
    world.ok(Tool::Ours, "down wg0");
    world.turn_ipv6(1);
    assert_eq!(world.settled(), before);
}

#[test]
fn without_a_kill_switch_a_tunnel_that_would_leak_later_does_not_come_up() {
    let Some(world) = World::new() else { return };
    world.turn_ipv6(1);
    let before = world.state();
    world.write(&filled(&FILE.replace("KillSwitch = true\n", "")));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(2));
    assert_eq!(world.settled(), before);
}

#[test]
fn where_others_have_ipv6_it_is_not_left_out() {
    let Some(world) = World::new() else { return };
    world.sh("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    world.write(&filled(FILE));
    let before = world.state();
    let refused = world.run(Tool::Ours, "up wg0");
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(world.settled(), before);
}
