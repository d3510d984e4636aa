//! `save` and `SaveConfig = true`: as the stock tool, the state survives; unlike there, all else of the file does, too.

use super::files::{A, B, filled};
use super::world::{Tool, World};

const FILE: &str = "# mine\nAddress = 10.9.0.2/24, fd09::2/64\nListenPort = 777\nDNS = 10.9.0.1, corp.example\nMTU = 1380\n\
                    PostUp = echo up # %i >> /run/wireguard/log\n\n# Name = alice\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16 # home\n\
                    PersistentKeepalive = 25\n";

/// What is done to a running tunnel; `{A}` and `{B}` are public keys of peers.
const CHANGES: [&str; 7] = [
    "true",
    "wg set wg0 peer {A} persistent-keepalive 5 allowed-ips 10.1.0.0/16,fd01::/16",
    "wg set wg0 peer {A} endpoint 192.0.2.9:5 peer {B} allowed-ips 10.2.0.0/16",
    "wg set wg0 peer {A} remove peer {B} endpoint [2001:db8::9]:5 persistent-keepalive 9 preshared-key /etc/wireguard/psk",
    "wg set wg0 listen-port 778 fwmark 0x77",
    "ip addr del fd09::2/64 dev wg0; ip addr add 10.8.0.1/32 dev wg0; ip link set mtu 1300 dev wg0",
    "wg set wg0 private-key /etc/wireguard/psk",
];

fn world(file: &str) -> Option<World> {
    let world = World::new()?;
    world.write(&filled(file));
    world.sh(&format!("echo {} > /etc/wireguard/psk", super::KEY.replace('y', "x")));
    Some(world)
}

fn change(world: &World, line: &str) {
    world.sh(&line.replace("{A}", A).replace("{B}", B));
}

fn file(world: &World) -> String {
    world.sh("cat /etc/wireguard/wg0.conf; echo x")
}

/// What the interface is, without the order of anything.
fn shown(world: &World) -> String {
    world.sh("wg showconf wg0 | sort; ip -o addr show dev wg0 | awk '{print $3, $4}' | grep -v fe80 | sort; ip -o link show dev wg0 | grep -o 'mtu [0-9]*'")
}

#[test]
fn what_was_changed_at_run_time_is_there_again_as_with_the_stock_tool() {
    for line in CHANGES {
        let states = [Tool::Ours, Tool::Stock].map(|tool| {
            let world = world(FILE)?;
            world.ok(tool, "up wg0");
            change(&world, line);
            let before = shown(&world);
            world.ok(tool, "save wg0");
            world.ok(tool, "down wg0");
            world.settled();
            world.ok(tool, "up wg0");
            let after = shown(&world);
            if tool == Tool::Ours {
                assert_eq!(after, before, "{line}");
            }
            Some(after)
        });
        let [Some(ours), Some(stock)] = states else { return };
        assert_eq!(ours, stock, "{line}");
    }
}

#[test]
fn each_tool_saves_what_the_other_brought_up() {
    for (first, second) in [(Tool::Ours, Tool::Stock), (Tool::Stock, Tool::Ours)] {
        let Some(world) = world(&format!("SaveConfig = true\n{FILE}")) else {
            return;
        };
        world.ok(first, "up wg0");
        change(&world, CHANGES[2]);
        let before = shown(&world);
        world.ok(second, "down wg0");
        world.settled();
        world.ok(first, "up wg0");
        assert_eq!(shown(&world), before, "{first:?} up, {second:?} down");
    }
}

#[test]
fn all_else_of_the_file_stays_its_mode_and_owner_too() {
    let Some(world) = world(FILE) else { return };
    world.ok(Tool::Ours, "up wg0");
    world.sh("chmod 640 /etc/wireguard/wg0.conf; chown 1234:4321 /etc/wireguard/wg0.conf");
    let before = file(&world);
    let inode = "stat -c %i:%Y /etc/wireguard/wg0.conf";
    let same = world.sh(inode);
    world.ok(Tool::Ours, "save wg0");
    assert_eq!((file(&world), world.sh(inode)), (before.clone(), same));
    change(&world, CHANGES[1]);
    world.ok(Tool::Ours, "save wg0");
    let expected = before
        .replace("10.1.0.0/16 # home", "10.1.0.0/16, fd01::/16 # home")
        .replace("= 25", "= 5");
    assert_eq!(file(&world), expected);
    assert_eq!(
        world.sh("stat -c %a:%u:%g /etc/wireguard/wg0.conf; ls -A /etc/wireguard"),
        "640:1234:4321\npsk\nwg0.conf"
    );
}

#[test]
fn the_mark_that_was_chosen_for_a_default_route_is_not_saved() {
    for tool in [Tool::Ours, Tool::Stock] {
        let Some(world) =
            world("ListenPort = 7\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, !192.168.0.0/16, ::/0\n")
        else {
            return;
        };
        if tool == Tool::Stock {
            world.write(&filled(
                "ListenPort = 7\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0\n",
            ));
        }
        let before = file(&world);
        world.ok(tool, "up wg0");
        world.ok(Tool::Ours, "save wg0");
        assert_eq!(file(&world), before);
    }
}

#[test]
fn an_edited_file_is_not_written_over() {
    let Some(world) = world(&format!("SaveConfig = true\n{FILE}")) else {
        return;
    };
    world.ok(Tool::Ours, "up wg0");
    change(&world, CHANGES[2]);
    world.sh("echo '# edited' >> /etc/wireguard/wg0.conf");
    let edited = file(&world);
    assert_eq!(world.run(Tool::Ours, "save wg0").status.code(), Some(1));
    assert!(world.errors().contains("was edited"), "{}", world.errors());
    assert_eq!(file(&world), edited);
    // From here on the file is in use.
    world.ok(Tool::Ours, "reload wg0");
    change(&world, CHANGES[2]);
    world.ok(Tool::Ours, "save wg0");
    assert_ne!(file(&world), edited);
    world.sh("echo nonsense >> /etc/wireguard/wg0.conf");
    let edited = file(&world);
    world.ok(Tool::Ours, "down wg0");
    assert!(world.errors().contains("Warning"), "{}", world.errors());
    assert_eq!(file(&world), edited);
    assert_eq!(world.run(Tool::Ours, "save wg0").status.code(), Some(1));
}

#[test]
fn what_is_wrong_with_the_file_is_told_once() {
    let Some(world) = world(
        &FILE
            .replace("10.1.0.0/16", "10.1.0.1/16")
            .replace("# mine", "SaveConfig = true"),
    ) else {
        return;
    };
    world.sh("chmod 755 /etc/wireguard");
    world.ok(Tool::Ours, "up wg0");
    for (number, command) in [(5, "save wg0"), (6, "down wg0")] {
        change(&world, &format!("wg set wg0 peer {{A}} persistent-keepalive {number}"));
        world.ok(Tool::Ours, command);
        assert!(file(&world).contains(&format!("PersistentKeepalive = {number}\n")));
        for told in ["is world accessible", "has bits set beyond"] {
            assert_eq!(world.errors().matches(told).count(), 1, "{}", world.errors());
        }
    }
}

#[test]
fn a_tunnel_that_did_not_come_up_to_its_end_is_not_saved() {
    let Some(world) = world(&format!("SaveConfig = true\nPreUp = kill -9 $PPID\n{FILE}")) else {
        return;
    };
    let before = file(&world);
    assert!(!world.run(Tool::Ours, "up wg0").status.success());
    assert_eq!(world.run(Tool::Ours, "save wg0").status.code(), Some(1));
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(file(&world), before);
}

#[test]
fn a_pipe_in_the_place_of_the_file_holds_nobody_up() {
    let Some(world) = world(&format!("SaveConfig = true\n{FILE}")) else {
        return;
    };
    world.ok(Tool::Ours, "up wg0");
    world.sh("rm /etc/wireguard/wg0.conf; mkfifo /etc/wireguard/wg0.conf");
    for (words, status) in [("save wg0", 1), ("down wg0", 0)] {
        let ended = world.under("timeout -s KILL 20", words);
        assert_eq!(ended.status.code(), Some(status), "{words}");
        assert!(world.errors().contains("is no regular file"), "{}", world.errors());
    }
}

#[test]
fn a_save_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let Some(world) = world(FILE) else { return };
    world.ok(Tool::Ours, "up wg0");
    let mut known = vec![file(&world)];
    let mut kept = 0;
    for microseconds in (500..10_500).step_by(250) {
        change(
            &world,
            &format!("wg set wg0 peer {{A}} persistent-keepalive {}", 100 + microseconds),
        );
        let old = known.pop().unwrap();
        let new = old
            .lines()
            .map(|line| match line.split_once("Keepalive = ") {
                Some((key, _)) => format!("{key}Keepalive = {}", 100 + microseconds),
                None => line.to_owned(),
            })
            .collect::<Vec<_>>()
            .join("\n");
        world.kill_after(Tool::Ours, "save wg0", std::time::Duration::from_micros(microseconds));
        let present = file(&world);
        assert!(present == old || present == new, "{present}");
        kept += usize::from(present == old);
        // The next save clears away what was left. The record of the file may be older than the file; bringing it up anew renews that.
        if world.run(Tool::Ours, "save wg0").status.success() {
            assert_eq!(file(&world), new);
        } else {
            assert_eq!(present, new);
            world.ok(Tool::Ours, "reload wg0");
        }
        assert_eq!(world.sh("ls -A /etc/wireguard"), "psk\nwg0.conf");
        known.push(file(&world));
    }
    assert!(kept > 0, "none was killed in time");
}
