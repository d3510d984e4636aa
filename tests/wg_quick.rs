//! `wg-quick` of adit beside the stock one: the same file makes the same machine, and leaves the same machine.

#[path = "wg_quick/access.rs"]
mod access;
#[path = "wg_quick/adopt.rs"]
mod adopt;
#[path = "wg_quick/bare.rs"]
mod bare;
#[path = "wg_quick/collisions.rs"]
mod collisions;
#[path = "wg_quick/confirm.rs"]
mod confirm;
#[path = "wg_quick/dhcp.rs"]
mod dhcp;
#[path = "wg_quick/differences.rs"]
mod differences;
#[path = "wg_quick/dns.rs"]
mod dns;
#[path = "wg_quick/docker.rs"]
mod docker;
#[path = "wg_quick/file_kills.rs"]
mod file_kills;
#[path = "wg_quick/files.rs"]
mod files;
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
#[path = "wg_quick/several.rs"]
mod several;
#[path = "wg_quick/world.rs"]
mod world;
#[path = "wg_quick/writers.rs"]
mod writers;

use files::{A, CHANGE, EDIT, FILES, KEY, can_be_saved, filled};
use world::{Tool, World};

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
        if can_be_saved(file) {
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
