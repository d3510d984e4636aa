//! Marks and tables that something else on the machine uses: what collides is refused before anything is changed, all else goes on.

use e2e::needs;

use super::filled;
use super::world::{Tool, World};

const PEER: &str = "[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, fd01::/16";

impl World {
    /// The codes that `adit check --host` has for a file.
    fn checked(&self, interface: &str) -> Vec<String> {
        let adit = needs::adit();
        let adit = adit.display();
        let json = self.sh(&format!(
            "{adit} check --host --json /etc/wireguard/{interface}.conf || true"
        ));
        let codes = json.split("\"code\":\"").skip(1);
        codes
            .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
            .collect()
    }

    fn has(&self, interface: &str, code: &str) -> bool {
        self.checked(interface).iter().any(|checked| checked == code)
    }
}

#[test]
fn a_route_of_another_interface_in_the_table_is_found_before_anything_is_changed() {
    let Some(world) = World::new() else { return };
    let file = |lines: &str| filled(&format!("Address = 10.9.0.2/24, fd09::2/64\n{lines}\n{PEER}"));
    for (route, held) in [
        (
            "ip route add default via 192.0.2.1 table 1000",
            "0.0.0.0/0 already, by v0",
        ),
        (
            "ip -6 route add fd01::/16 dev v0 table 1000",
            "fd01::/16 already, by v0",
        ),
        (
            "ip route add blackhole default table 1000",
            "0.0.0.0/0 already, by a route without an interface",
        ),
    ] {
        world.sh(route);
        let before = world.state();
        world.write(&file("Table = 1000\nPostUp = touch /run/wireguard/log"));
        let told = format!("error: the routing table 1000 has a route to {held}");
        for command in ["plan wg0", "up wg0"] {
            assert_eq!(world.run(Tool::Ours, command).status.code(), Some(1), "{route}");
            assert!(world.errors().contains(&told), "{route}: {}", world.errors());
        }
        assert_eq!(world.state(), before, "{route}");
        assert!(
            !world
                .sh("ls -d /run/adit/*/wg0.json 2> /dev/null || true")
                .contains("wg0")
        );
        assert!(world.has("wg0", "route-in-use"), "{route}");
        // Nor does a tunnel that is up change for it.
        world.write(&file("Table = 1001"));
        world.ok(Tool::Ours, "up wg0");
        let up = world.state();
        world.write(&file("Table = 1000\nMTU = 1300"));
        for command in ["plan wg0", "reload wg0"] {
            assert_eq!(world.run(Tool::Ours, command).status.code(), Some(1), "{route}");
            assert!(world.errors().contains(&told), "{route}: {}", world.errors());
            assert_eq!(world.state(), up, "{route}: {command}");
        }
        world.ok(Tool::Ours, "down wg0");
        // A command may make room.
        world.write(&file(
            "Table = 1000\nPreUp = ip route flush table 1000; ip -6 route flush table 1000 || true",
        ));
        world.ok(Tool::Ours, "up wg0");
        assert!(
            world.errors().contains("warning: the routing table 1000"),
            "{}",
            world.errors()
        );
        world.ok(Tool::Ours, "down wg0");
    }
    world.write(&file("Table = nowhere"));
    let before = world.state();
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    assert!(
        world.errors().contains("there is no routing table `nowhere'"),
        "{}",
        world.errors()
    );
    assert_eq!(world.state(), before);
    assert!(world.has("wg0", "unknown-table"));
}

#[test]
fn a_table_goes_by_any_name_that_iproute2_knows() {
    let Some(world) = World::new() else { return };
    world.sh(
        "mount -t tmpfs tmpfs /etc/iproute2; mkdir /etc/iproute2/rt_tables.d
        echo '1000 not-this' > /etc/iproute2/rt_tables.d/README; echo '1001 vpn # of us' > /etc/iproute2/rt_tables.d/vpn.conf
        printf '# 1 that\\n0x3eb hexadecimal\\n' > /etc/iproute2/rt_tables",
    );
    for (name, number) in [("vpn", 1001), ("hexadecimal", 1003)] {
        world.write(&filled(&format!("Address = 10.9.0.2/24\nTable = {name}\n{PEER}")));
        for tool in [Tool::Stock, Tool::Ours] {
            world.ok(tool, "up wg0");
            let routes = world.sh(&format!("ip route show table {number}"));
            assert!(routes.contains("default dev wg0"), "{tool:?} {name}");
            world.ok(tool, "down wg0");
        }
    }
    world.write(&filled("Table = not-this"));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
}

#[test]
fn a_table_is_shared_with_all_that_is_not_for_the_same() {
    let Some(world) = World::new() else { return };
    world.sh(
        "ip route add blackhole default metric 32767 table 1000; ip -6 route add blackhole default metric 4096 table 1000
        ip route add default via 192.0.2.1 metric 5 table 1000; ip route add 10.1.0.0/16 dev v0 table 1000
        ip route add 10.1.2.0/24 via 192.0.2.1 proto bird table 1000; ip -6 route add fd01::/17 dev v0 table 1000
        ip rule add fwmark 7 table 1000; ip rule add from 10.9.0.2 table 1000",
    );
    let nothing = world.state();
    world.write(&filled(&format!(
        "Address = 10.9.0.2/24, fd09::2/64\nTable = 1000\nPostUp = ip rule add iif lo table 1000\nPostDown = ip rule del iif lo table 1000\n{PEER}"
    )));
    let other = "Address = 10.8.0.2/24\nTable = 1000\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.3.0.0/16";
    world.write_to("wg1", &filled(other));
    for interface in ["wg0", "wg1"] {
        world.ok(Tool::Ours, &format!("up {interface}"));
        // Routes of its own are in nobody's way.
        for command in ["plan", "reload", "plan"] {
            world.ok(Tool::Ours, &format!("{command} {interface}"));
            assert_eq!(world.errors(), "", "{command} {interface}");
        }
        let codes = world.checked(interface);
        let collides = |code: &&String| code.contains("in-use") || code.contains("table") || code.contains("rule");
        assert_eq!(codes.iter().find(collides), None, "{interface}");
    }
    assert!(world.sh("ip route show table 1000").contains("default dev wg0"));
    // Another one for the same is refused, and touches neither.
    let both = world.state();
    world.write_to("wg2", &filled(&other.replace("10.8.0.2/24", "10.7.0.2/24")));
    assert_eq!(world.run(Tool::Ours, "up wg2").status.code(), Some(1));
    assert!(
        world.errors().contains("10.3.0.0/16 already, by wg1"),
        "{}",
        world.errors()
    );
    assert_eq!(world.state(), both);
    for interface in ["wg1", "wg0"] {
        world.ok(Tool::Ours, &format!("down {interface}"));
    }
    assert_eq!(world.settled(), nothing);
}

#[test]
fn marks_and_tables_of_other_tunnels_are_told() {
    let Some(world) = World::new() else { return };
    world.write_to(
        "wg1",
        &filled("Address = 10.8.0.2/24\n[Peer]\nPublicKey = {B}\nAllowedIPs = 0.0.0.0/0"),
    );
    world.ok(Tool::Ours, "up wg1");
    assert!(!world.has("wg1", "table-of-tunnel") && !world.has("wg1", "mark-table-in-use"));
    let table = "Address = 10.9.0.2/24\nTable = 51820\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16";
    world.write(&filled(table));
    world.ok(Tool::Ours, "up wg0");
    let told = "warning: the routing table 51820 is that of the default route of wg1";
    assert!(world.errors().contains(told), "{}", world.errors());
    assert!(world.has("wg0", "table-of-tunnel"));
    world.ok(Tool::Ours, "down wg0");

    let default = |prefix| {
        filled(&format!(
            "FwMark = 51820\n[Peer]\nPublicKey = {{A}}\nAllowedIPs = {prefix}"
        ))
    };
    world.write(&default("0.0.0.0/0"));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    let told = "error: the routing table 51820 has a route to 0.0.0.0/0 already, by wg1";
    assert!(world.errors().contains(told), "{}", world.errors());
    assert!(world.has("wg0", "route-in-use") && !world.has("wg0", "mark-table-in-use"));
    world.sh("ip rule add fwmark 0x80000/0xff0000 lookup 52");
    world.write(&filled("FwMark = 0x80001\n[Peer]\nPublicKey = {A}\nAllowedIPs = ::/0"));
    assert!(world.has("wg0", "mark-in-rule"));
    // Its own table is not in use by others once it is up; nor by a mark that changes.
    world.ok(Tool::Ours, "up wg0");
    world.ok(Tool::Ours, "reload wg0");
    assert!(!world.has("wg0", "mark-table-in-use"));
}

#[test]
fn a_default_route_shares_the_table_of_its_mark_with_routes_of_commands_and_of_the_other_family() {
    let Some(world) = World::new() else { return };
    world.write_to(
        "wg1",
        &filled("FwMark = 51820\nAddress = fd08::2/64\n[Peer]\nPublicKey = {B}\nAllowedIPs = ::/0"),
    );
    world.ok(Tool::Ours, "up wg1");
    world.write(&filled(
        "FwMark = 51820\nAddress = 10.9.0.2/24\nPostUp = ip route replace 10.1.0.0/16 dev v0 table 51820\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0",
    ));
    for (command, holder) in [
        ("up wg0", "wg1"),
        ("reload wg0", "v0"),
        ("down wg0", ""),
        // The route of the command is left, as it is where the engine is killed.
        ("up wg0", "v0"),
    ] {
        world.ok(Tool::Ours, command);
        let told = format!("has routes already, the first by {holder}: packets go by them, too");
        assert_eq!(
            world.errors().contains(&told),
            !holder.is_empty(),
            "{command}: {}",
            world.errors()
        );
    }
    assert!(world.has("wg0", "mark-table-in-use"));
    let routes = world.sh("ip route show table 51820; ip -6 route show table 51820");
    for route in ["default dev wg0", "10.1.0.0/16 dev v0", "default dev wg1"] {
        assert!(routes.contains(route), "{routes}");
    }
}
