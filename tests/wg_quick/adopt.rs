//! `adit adopt` and `release`: a tunnel goes from the stock tool to adit and back, and nothing of it changes.

use super::filled;
use super::reload::FILES;
use super::world::{Tool, World};

#[test]
fn a_tunnel_of_the_stock_tool_is_taken_over_in_place_and_handed_back() {
    let Some(world) = World::new() else { return };
    let nothing = world.state();
    // Not those with keys that the stock tool does not know.
    for file in FILES.iter().filter(|file| !file.contains("Gateway")) {
        world.write(&filled(&format!("DNS = 10.9.0.1, corp.example\n{file}")));
        world.ok(Tool::Stock, "up wg0");
        let stock = world.state();
        world.ok(Tool::Ours, "adopt wg0");
        assert_eq!(world.state(), stock, "{file}");
        let plan = world.run(Tool::Ours, "plan wg0");
        assert_eq!(
            String::from_utf8_lossy(&plan.stdout),
            "wg0: nothing to change\n",
            "{file}"
        );
        assert!(
            !world.run(Tool::Ours, "adopt wg0").status.success(),
            "it is ours already"
        );
        world.ok(Tool::Ours, "release wg0");
        assert_eq!(world.state(), stock, "{file}");
        world.ok(Tool::Stock, "down wg0");
        assert_eq!(world.settled(), with_log(&world, &nothing), "{file}");
        assert!(
            !world.run(Tool::Ours, "release wg0").status.success(),
            "there is nothing to release"
        );
    }
}

/// The state with all that resolvconf has been told by now.
fn with_log(world: &World, state: &str) -> String {
    let log = world.sh("cat /run/wireguard/log");
    format!("{state}{log}\n")
}

#[test]
fn a_tunnel_that_was_taken_over_is_reloaded_and_taken_down() {
    let Some(world) = World::new() else { return };
    let nothing = world.state();
    for (first, second) in [(4, 5), (5, 2), (6, 4), (8, 9)] {
        world.write(&filled(FILES[first]));
        world.ok(Tool::Stock, "up wg0");
        world.ok(Tool::Ours, "adopt wg0");
        world.write(&filled(FILES[second]));
        world.ok(Tool::Ours, "reload wg0");
        assert_eq!(world.plan(), "wg0: nothing to change\n");
        world.ok(Tool::Ours, "down wg0");
        assert_eq!(world.settled(), nothing, "{first} to {second}");
    }
}

#[test]
fn what_the_stock_tool_cannot_undo_is_not_handed_back() {
    let Some(world) = World::new() else { return };
    world.write(&filled("Address = 10.9.0.2/24"));
    world.ok(Tool::Ours, "up wg0");
    for (line, key) in [
        ("KillSwitch = lan", "KillSwitch"),
        ("DefaultAllow = any", "Allow"),
        ("Gateway = true", "Gateway"),
    ] {
        world.write(&filled(&format!("Address = 10.9.0.2/24\n{line}")));
        world.ok(Tool::Ours, "reload wg0");
        assert!(!world.run(Tool::Ours, "release wg0").status.success(), "{line}");
        assert!(world.errors().contains(&format!("`wg0': {key};")), "{}", world.errors());
    }
    world.write(&filled("Address = 10.9.0.2/24"));
    world.ok(Tool::Ours, "reload wg0");
    world.ok(Tool::Ours, "release wg0");
    world.ok(Tool::Stock, "down wg0");
}

#[test]
fn what_is_not_of_the_tunnel_stays_as_it_is() {
    let Some(world) = World::new() else { return };
    world.write(&filled(
        "Address = 10.9.0.2/24\nPostUp = ip addr add 10.7.0.1/24 dev wg0; ip route add 10.6.0.0/16 dev wg0 proto static metric 50; ip route add 10.5.0.0/16 dev wg0\n\
         [Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16, 10.2.0.0/16",
    ));
    world.ok(Tool::Stock, "up wg0");
    world.sh("ip route replace 10.2.0.0/16 dev wg0 src 10.9.0.2 mtu 1300");
    let routes = "ip route show dev wg0 | sed 's/ proto 108//'";
    let before = world.sh(routes);
    world.ok(Tool::Ours, "adopt wg0");
    assert_eq!(world.sh(routes), before);
    assert_eq!(world.plan(), "wg0: nothing to change\n");
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(world.sh(routes), before);
}

#[test]
fn a_kernel_parameter_that_others_need_stays() {
    let Some(world) = World::new() else { return };
    let full = |address: &str| {
        filled(&format!(
            "Address = {address}/24\n[Peer]\nPublicKey = {{A}}\nAllowedIPs = 0.0.0.0/0"
        ))
    };
    world.write(&full("10.9.0.2"));
    world.write_to("wg1", &full("10.8.0.2"));
    let mark = |world: &World| world.sh("cat /proc/sys/net/ipv4/conf/all/src_valid_mark");
    world.ok(Tool::Ours, "up wg1");
    world.ok(Tool::Stock, "up wg0");
    world.ok(Tool::Ours, "adopt wg0");
    world.ok(Tool::Ours, "down wg1");
    assert_eq!(mark(&world), "1");
    world.ok(Tool::Ours, "up wg1");
    world.ok(Tool::Ours, "release wg0");
    world.ok(Tool::Ours, "down wg1");
    assert_eq!(mark(&world), "1");
}

/// What is around a default route by policy.
fn policy(world: &World) -> String {
    world.sh("for v in 4 6; do ip -$v rule; ip -$v route show table all dev wg0 default; done; nft list tables")
}

#[test]
fn a_default_route_goes_also_where_the_file_wants_none_any_more() {
    let Some(world) = World::new() else { return };
    let nothing = world.state();
    let full = "[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16";
    let part = "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16";
    let syncconf = "wg syncconf wg0 /run/wireguard/stripped";
    let no_mark = format!("{syncconf}; wg set wg0 fwmark 0");
    let other_mark = format!("{syncconf}; wg set wg0 fwmark 7");
    let edits = [
        ("Table = off\n", full, "true"),
        ("Table = off\n", part, syncconf),
        ("", part, "true"),
        ("", part, &no_mark),
        ("", part, &other_mark),
        ("", part, "nft delete table ip6 wg-quick-wg0"),
        ("", part, "ip route flush table 51820; ip -6 route flush table 51820"),
    ];
    for (table, peer, live) in edits {
        for (before, commands) in [
            ("", "adopt;down"),
            ("", "adopt;reload;down"),
            ("", "down"),
            // The routes have adit's name then.
            ("adopt;release", "adopt;down"),
            ("adopt;release", "down"),
        ] {
            let address = "Address = 10.9.0.2/24, fd09::2/64\n";
            world.write(&filled(&format!("{address}{full}")));
            world.ok(Tool::Stock, "up wg0");
            for command in before.split_terminator(';') {
                world.ok(Tool::Ours, &format!("{command} wg0"));
            }
            world.write(&filled(&format!("{address}{table}{peer}")));
            world.sh("wg-quick strip wg0 > /run/wireguard/stripped");
            world.sh(live);
            let stock = world.state();
            let case = format!("{table}{peer} {live} {before} {commands}");
            for command in commands.split(';') {
                world.ok(Tool::Ours, &format!("{command} wg0"));
                match command {
                    "adopt" => assert_eq!(world.state(), stock, "{case}"),
                    "reload" => {
                        let left = policy(&world);
                        assert!(!left.contains("51820") && !left.contains("wg-quick"), "{case}: {left}");
                        assert_eq!(world.plan(), "wg0: nothing to change\n");
                    }
                    _ => assert_eq!(world.settled(), nothing, "{case}"),
                }
            }
        }
    }
}

#[test]
fn a_change_that_takes_an_old_default_route_away_goes_back() {
    let Some(world) = World::new() else { return };
    let file = "Address = 10.9.0.2/24, fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0";
    world.write(&filled(file));
    world.ok(Tool::Stock, "up wg0");
    world.write(&filled(&format!("Table = off\n{file}")));
    world.ok(Tool::Ours, "adopt wg0");
    let before = world.state();
    world.ok(Tool::Ours, "apply wg0 --confirm 1s");
    assert_ne!(world.state(), before);
    world.becomes(&before, World::state);
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn an_address_that_the_file_names_later_is_protected_once() {
    let Some(world) = World::new() else { return };
    let file = |addresses: &str| {
        filled(&format!(
            "Address = {addresses}\n[Peer]\nPublicKey = {{A}}\nAllowedIPs = 0.0.0.0/0, ::/0"
        ))
    };
    world.write(&file("10.9.0.2/24"));
    world.ok(Tool::Stock, "up wg0");
    world.ok(Tool::Ours, "adopt wg0");
    world.sh("ip addr add 10.7.0.2/24 dev wg0");
    world.write(&file("10.9.0.2/24, 10.7.0.2/24"));
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(world.plan(), "wg0: nothing to change\n");
    assert_eq!(world.sh("nft list table ip wg-quick-wg0 | grep -c 10.7.0.2"), "1");
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn rules_of_commands_stay_as_they_are() {
    let Some(world) = World::new() else { return };
    world.write(&filled(
        "Address = 10.9.0.2/24\nTable = off\nFwMark = 77\nPostUp = ip rule add table main suppress_prefixlength 0; ip rule add not fwmark 77 table 77; ip route add default dev wg0 table 77\n\
         [Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0",
    ));
    world.ok(Tool::Stock, "up wg0");
    let before = policy(&world);
    world.ok(Tool::Ours, "adopt wg0");
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(policy(&world), before);
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(world.sh("ip rule | grep -c 'suppress_prefixlength\\|lookup 77'"), "2");
}

#[test]
fn a_reload_takes_a_tunnel_of_the_stock_tool_over_and_a_plan_tells_how() {
    let Some(world) = World::new() else { return };
    let nothing = world.state();
    world.write(&filled(FILES[4]));
    world.ok(Tool::Stock, "up wg0");
    let plan = world.run(Tool::Ours, "plan wg0");
    assert_eq!(plan.status.code(), Some(1));
    assert!(world.errors().contains("`adit adopt wg0'"), "{}", world.errors());
    world.write(&filled(FILES[5]));
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(world.plan(), "wg0: nothing to change\n");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(world.settled(), nothing);
}
