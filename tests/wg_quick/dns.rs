//! Name servers: who takes them, and what becomes of a tunnel where nobody does.

use std::os::unix::net::UnixListener;

use super::filled;
use super::world::{Tool, World};

/// As later versions of the stock tool do; that of Debian 12 runs these commands before there is an interface.
#[test]
fn name_servers_are_used_without_a_resolvconf() {
    let Some(world) = World::new() else { return };
    world.has_resolv_conf("nameserver 192.0.2.1\\noptions rotate\\n", true);
    let before = world.sh("cat /etc/resolv.conf");
    world.write(&filled("DNS = 10.9.0.1, corp.example"));
    world.ok(Tool::Ours, "up wg0");
    let during = "# by adit, while a tunnel is up\nnameserver 10.9.0.1\nsearch corp.example\noptions rotate";
    assert_eq!(world.sh("cat /etc/resolv.conf"), during);
    world.write(&filled("DNS = 10.9.0.2"));
    world.ok(Tool::Ours, "reload wg0");
    assert!(
        world
            .sh("cat /etc/resolv.conf")
            .contains("nameserver 10.9.0.2\noptions rotate")
    );
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(world.sh("cat /etc/resolv.conf"), before);
    world.ok(Tool::Ours, "up wg0");
    // As a DHCP client does.
    world.sh("echo nameserver 192.0.2.9 > /etc/resolv.conf");
    assert_eq!(world.plan(), "wg0: ~ name servers\n");
    world.ok(Tool::Ours, "reload wg0");
    assert!(world.sh("cat /etc/resolv.conf").ends_with("nameserver 10.9.0.2"));
    assert_eq!(world.plan(), "wg0: nothing to change\n");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(world.sh("cat /etc/resolv.conf"), "nameserver 192.0.2.9");
    // What it has no words for is told.
    world.write(&filled(
        "DNS = 10.9.0.1, 10.9.0.2, 10.9.0.3, 10.9.0.4, ~corp.example, ~., lan",
    ));
    world.ok(Tool::Ours, "up wg0");
    let errors = world.errors();
    for limit in [
        ": ~corp.example left out: only systemd-resolved asks servers for one domain",
        "the first 3 servers are asked",
    ] {
        assert_eq!(errors.matches(limit).count(), 1, "{errors}");
    }
    assert!(
        world
            .sh("cat /etc/resolv.conf")
            .ends_with("nameserver 10.9.0.4\nsearch lan")
    );
    world.ok(Tool::Ours, "down wg0");
    let left = world.sh("ls /etc/resolv.conf.* 2> /dev/null || true");
    assert_eq!(
        (world.sh("cat /etc/resolv.conf").as_str(), left.as_str()),
        ("nameserver 192.0.2.9", "")
    );
}

/// As in a container whose root is read-only, but for the files that its engine mounts.
#[test]
fn a_resolv_conf_of_which_no_copy_can_be_kept_stays_as_it_is() {
    let Some(world) = World::new() else { return };
    world.has_resolv_conf("nameserver 192.0.2.1\\n", true);
    world.write(&filled("DNS = 10.9.0.1"));
    world.sh("mount -o remount,bind,ro /etc");
    for command in ["up wg0", "reload wg0"] {
        world.ok(Tool::Ours, command);
        let errors = world.errors();
        let why = "cannot be kept in `/etc/resolv.conf.before-adit': Read-only file system";
        assert!(errors.contains(why), "{command}: {errors}");
        assert_eq!(world.sh("cat /etc/resolv.conf"), "nameserver 192.0.2.1");
    }
    world.ok(Tool::Ours, "down wg0");
    assert!(!world.errors().contains("Warning"), "{}", world.errors());
}

/// With a systemd-resolved that answers: `resolved.rs`.
#[test]
fn name_servers_that_nobody_takes_keep_no_tunnel_down() {
    let Some(world) = World::new() else { return };
    let nothing = world.state();
    world.sh("rm /run/wireguard/bin/resolvconf; mkdir -p /run/systemd");
    world.sh("mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/resolve");
    world.sh("echo 'nameserver 127.0.0.53' > /run/systemd/resolve/stub-resolv.conf");
    world.sh("mkdir /run/wireguard/etc; cp -a /etc/. /run/wireguard/etc; mount --bind /run/wireguard/etc /etc");
    world.sh("ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf; mkdir -pm 700 /etc/wireguard");
    world.write(&filled("DNS = 10.9.0.1, fd09::1, corp.example"));
    let bus = "env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/wireguard/bus";
    let warned = |why: &str| {
        assert!(world.under(bus, "up wg0").status.success(), "{}", world.errors());
        let errors = world.errors();
        let warning = format!("Warning: {why}");
        let warned = errors.lines().find(|line| line.starts_with(&warning));
        let warned = warned.unwrap_or_else(|| panic!("{errors}"));
        assert!(
            warned.ends_with(": the name servers of the file may NOT be in use"),
            "{warned}"
        );
        world.ok(Tool::Ours, "down wg0");
    };
    warned("systemd-resolved: failed to connect to `unix:path=/run/wireguard/bus`");
    // Nobody accepts what connects.
    let _bus = UnixListener::bind(format!("/proc/{}/root/run/wireguard/bus", world.pid())).unwrap();
    warned("systemd-resolved does not answer within 5 s");
    world.sh("ln -sf /run/somebody/resolv.conf /etc/resolv.conf");
    warned("there is no systemd-resolved that programs ask");
    world.write(&filled("DNS = 10.9.0.1\nDNSRequired = true"));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    assert_eq!(world.settled(), nothing);
}

#[test]
fn name_servers_that_are_required_decide_over_the_tunnel() {
    let Some(world) = World::new() else { return };
    let nothing = world.state();
    let refuse = "printf '#!/bin/sh\\nexit 1\\n' > /run/wireguard/bin/resolvconf";
    let accept = "printf '#!/bin/sh\\nexit 0\\n' > /run/wireguard/bin/resolvconf";
    world.sh(refuse);
    world.write(&filled("Address = 10.9.0.2/24\nDNS = 10.9.0.1\nDNSRequired = true"));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    assert!(world.errors().contains("are required"), "{}", world.errors());
    assert_eq!(world.settled(), nothing);

    world.write(&filled("Address = 10.9.0.2/24\nDNS = 10.9.0.1"));
    world.ok(Tool::Ours, "up wg0");
    assert!(world.errors().contains("may NOT be in use"), "{}", world.errors());
    // They are not in use, so the next reload tries again.
    assert_eq!(world.plan(), "wg0: ~ name servers\n");
    world.sh(accept);
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(world.plan(), "wg0: nothing to change\n");
    let before = world.state();
    world.sh(refuse);
    world.write(&filled("Address = 10.9.0.3/24\nDNS = 10.9.0.9\nDNSRequired = true"));
    assert_eq!(world.run(Tool::Ours, "reload wg0").status.code(), Some(1));
    assert_eq!(world.state(), before, "a reload goes back");
}

#[test]
fn a_resolvconf_that_hangs_keeps_no_tunnel_from_going() {
    let Some(world) = World::new() else { return };
    let nothing = world.state();
    world.write(&filled("Address = 10.9.0.2/24\nDNS = 10.9.0.1"));
    world.ok(Tool::Ours, "up wg0");
    world.sh("rm /run/wireguard/log; printf '#!/bin/sh\\nsleep 1234\\n' > /run/wireguard/bin/resolvconf");
    let down = world.under("timeout 60", "down wg0");
    assert!(down.status.success(), "{}", world.errors());
    let told = "resolvconf did not end within 20 s: the name servers of `wg0' may still be in use";
    assert!(world.errors().contains(told), "{}", world.errors());
    assert_eq!(world.settled(), nothing);
    assert_eq!(world.sh("pgrep -f '^sleep 1234' || true"), "");
}
