//! Tunnels whose MTU would be too small for IPv6, which the kernel then takes away without a word.

use super::filled;
use super::world::{Tool, World};

const PEER: &str = "[Peer]\nPublicKey = {A}\nEndpoint = 192.0.2.77:5\nAllowedIPs = 10.1.0.0/16";

impl World {
    /// Brings a tunnel up by a file, after which there is nothing left to do, and a reload goes well. Returns what `up` said.
    fn is_what_the_file_says(&self, file: &str) -> String {
        self.write(&filled(file));
        self.ok(Tool::Ours, "up wg0");
        let said = self.errors();
        let up = self.state();
        assert_eq!(self.plan(), "wg0: nothing to change\n");
        self.ok(Tool::Ours, "reload wg0");
        assert_eq!(self.state(), up);
        said
    }

    fn mtu_and_ipv6(&self) -> String {
        self.sh("ip -o link show wg0 | grep -o 'mtu [0-9]*'; ip -6 -o address show dev wg0 | grep -o 'fd09[^ ]*' || true; ip -6 route show dev wg0 | grep -o '^fd01[^ ]*' || true")
    }
}

#[test]
fn one_that_is_computed_leaves_ipv6_what_it_needs() {
    let Some(world) = World::new() else { return };
    world.sh("ip route add 192.0.2.77 dev v0 mtu 1300");
    let warning = "Warning: 1220 is the MTU for the way to the peers, but IPv6 needs 1280";
    for (lines, mtu) in [
        ("Address = 10.9.0.2/24, fd09::2/64\n{}", "mtu 1280\nfd09::2/64"),
        ("{}, fd01::/16", "mtu 1280\nfd01::/16"),
        ("Address = 10.9.0.2/24\n{}", "mtu 1220"),
    ] {
        let said = world.is_what_the_file_says(&lines.replace("{}", PEER));
        assert_eq!(world.mtu_and_ipv6(), mtu, "{lines}");
        assert_eq!(said.contains(warning), mtu.contains("1280"), "{said}");
        world.ok(Tool::Ours, "down wg0");
    }
}

#[test]
fn one_of_the_file_leaves_ipv6_out_until_it_is_larger() {
    let Some(world) = World::new() else { return };
    let file = |mtu: &str| {
        format!("Address = 10.9.0.2/24, fd09::2/64\nMTU = {mtu}\nSaveConfig = true\nListenPort = 777\n{PEER}")
    };
    let said = world.is_what_the_file_says(&file("1200"));
    assert!(
        said.contains("wg0.conf:4:7: warning: an MTU of 1200 is too small for the IPv6 in line 3"),
        "{said}"
    );
    assert_eq!(world.mtu_and_ipv6(), "mtu 1200");
    let before = world.sh("cat /etc/wireguard/wg0.conf");
    world.ok(Tool::Ours, "save wg0");
    assert_eq!(world.sh("cat /etc/wireguard/wg0.conf"), before);
    for (mtu, seen) in [
        ("1280", "mtu 1280\nfd09::2/64"),
        ("1279", "mtu 1279"),
        ("1400", "mtu 1400\nfd09::2/64"),
    ] {
        world.write(&filled(&file(mtu)));
        world.ok(Tool::Ours, "reload wg0");
        assert_eq!(world.mtu_and_ipv6(), seen);
    }
    // Somebody else makes it too small.
    world.sh("ip link set mtu 1200 dev wg0");
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(world.mtu_and_ipv6(), "mtu 1400\nfd09::2/64");
}

#[test]
fn with_one_of_the_file_nothing_that_is_for_a_peer_goes_elsewhere() {
    let Some(world) = World::new() else { return };
    let before = world.state();
    let file = |more: &str| format!("Address = 10.9.0.2/24\nMTU = 1200\n{more}\n{PEER}, fd01::/16");
    world.write(&filled(&file("")));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    let said = world.errors();
    assert!(
        said.contains("wg0.conf:4:7: warning: an MTU of 1200") && said.contains("would go elsewhere"),
        "{said}"
    );
    assert_eq!(world.state(), before);
    for more in ["Table = off", "KillSwitch = true"] {
        world.is_what_the_file_says(&file(more));
        assert_eq!(world.mtu_and_ipv6(), "mtu 1200", "{more}");
        world.write(&filled(&file("")));
        assert_eq!(world.run(Tool::Ours, "reload wg0").status.code(), Some(1));
        world.ok(Tool::Ours, "down wg0");
    }
}

#[test]
fn one_that_is_computed_follows_the_names_that_are_known_later() {
    let Some(world) = World::new() else { return };
    world.sh("ip route add 192.0.2.77 dev v0 mtu 1300");
    let named = |name: &str, key: &str, n: u8| {
        format!("[Peer]\nPublicKey = {{{key}}}\nEndpoint = {name}.invalid:5\nAllowedIPs = 10.{n}.0.0/16\n")
    };
    world.write(&filled(&format!(
        "Address = 10.9.0.2/24\n{}{}",
        named("late", "A", 1),
        named("never", "B", 2)
    )));
    world.ok(Tool::Ours, "up wg0");
    assert_eq!(world.mtu_and_ipv6(), "mtu 1420");
    world.sh("cp /etc/hosts /run/wireguard/hosts; echo 192.0.2.77 late.invalid >> /run/wireguard/hosts; mount --bind /run/wireguard/hosts /etc/hosts");
    world.becomes("mtu 1220", World::mtu_and_ipv6);
    assert_eq!(world.plan(), "wg0: nothing to change\n");
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn one_that_is_a_guess_follows_the_network_that_comes_later() {
    let Some(world) = World::new() else { return };
    let waiting = |world: &World| world.running("wg-quick resolve").len().to_string();
    world.write(&filled(&format!("Address = 10.9.0.2/24\n{PEER}")));
    world.sh("ip route flush table main; ip -6 route flush table main; ip addr flush dev v0; ip link set v0 mtu 1400");
    world.ok(Tool::Ours, "up wg0");
    assert_eq!(
        (world.mtu_and_ipv6().as_str(), waiting(&world).as_str()),
        ("mtu 1420", "1")
    );
    world.sh("ip addr add 192.0.2.2/24 dev v0; ip route add default via 192.0.2.1");
    world.becomes("mtu 1320", World::mtu_and_ipv6);
    world.becomes("0", waiting);
    world.ok(Tool::Ours, "down wg0");
    // Nobody waits for a way out of a network that has none.
    world.sh("ip route del default");
    let server = PEER.replace("Endpoint = 192.0.2.77:5\n", "");
    world.write(&filled(&format!("Address = 10.9.0.2/24\n{server}")));
    world.ok(Tool::Ours, "up wg0");
    assert_eq!(
        (world.mtu_and_ipv6().as_str(), waiting(&world).as_str()),
        ("mtu 1420", "0")
    );
    world.ok(Tool::Ours, "down wg0");
}
