//! SIGKILL before each step of `up`, `reload`, `apply` and `down`: nothing of it is lost, and nothing stays. Signals that end, and those
//! that do not.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use e2e::kill::{self, Place};
use e2e::needs;
use rustix::process::Signal;

use super::filled;
use super::reload::comparable;
use super::world::{Tool, World};

/// Servers are kept as a state: the last word of resolvconf is to be seen, not the way to it.
const RESOLVCONF: &str = "cat > /run/wireguard/bin/resolvconf <<'END'
#!/bin/sh
case $1 in -a) cat > /run/wireguard/log ;; -d) rm -f /run/wireguard/log ;; esac
END";

/// Two full tunnels that have little in common.
const FILES: [&str; 2] = [
    "Address = 10.9.0.2/24, 10.8.0.2/24, fd09::2/64\nListenPort = 777\nFwMark = 0x88\nDNS = 10.9.0.1, corp.example\n\
     PostUp = ip route replace blackhole 198.51.100.0/24\nPreDown = wg show %i\nPostDown = ip route flush 198.51.100.0/24\n\
     [Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16, fd01::/16\n",
    "Address = 10.9.0.3/24, fd09::3/64, fd09::4/64\nListenPort = 778\nDNS = 10.9.0.9\nMTU = 1300\nFwMark = 0x99\nGateway = true\nKillSwitch = lan\n\
     PostUp = ip route replace blackhole 198.51.100.0/24\nPreDown = wg show %i\nPostDown = ip route flush 198.51.100.0/24\n\
     [Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, 10.1.0.0/16, 10.2.0.0/16\n\
     [Peer]\nPublicKey = {B}\nAllowedIPs = ::/0\nEndpoint = 192.0.2.9:5\nAllow = 10.0.0.9:443/tcp, fd00::/64\n",
];

fn world() -> Option<World> {
    if !needs::available(&["strace"]) {
        return None;
    }
    let world = World::new()?;
    world.sh(RESOLVCONF);
    Some(world)
}

/// Runs a command to its end, and returns the places on its way.
fn places(world: &World, words: &str) -> Vec<Place> {
    places_of(kill::STEPS, world, words)
}

/// The same for some calls.
pub(crate) fn places_of(calls: &str, world: &World, words: &str) -> Vec<Place> {
    let output = world.traced(&kill::options("/run/wireguard/calls", calls), words);
    assert!(output.status.success(), "{words}: {}", world.errors());
    kill::places(&world.sh("cat /run/wireguard/calls"))
}

/// Runs a command that is killed at a place, and waits for what it called.
pub(crate) fn kill(world: &World, words: &str, place: &Place) {
    let status = world.traced(&place.options(), words).status;
    assert_eq!(status.signal(), Some(9), "{words}, {place}: {}", world.errors());
    world.commands_end();
}

/// Whether there is something for `down`.
fn is_left(world: &World) -> bool {
    !world
        .sh("ls -d /run/adit/*/wg0.json /sys/class/net/wg0 2> /dev/null; true")
        .is_empty()
}

pub(crate) fn down_if_left(world: &World) {
    if is_left(world) {
        world.ok(Tool::Ours, "down wg0");
    }
}

#[test]
fn an_up_killed_at_any_step_is_undone() {
    let Some(world) = world() else { return };
    let before = world.state();
    for file in FILES {
        world.write(&filled(file));
        let places = places(&world, "up wg0");
        world.ok(Tool::Ours, "down wg0");
        for (place, again) in places.iter().zip([false, true].into_iter().cycle()) {
            kill(&world, "up wg0", place);
            // It stands in the way of another one as any tunnel does.
            if again && world.run(Tool::Ours, "up wg0").status.success() {
                world.ok(Tool::Ours, "down wg0");
            } else {
                down_if_left(&world);
            }
            assert_eq!(world.settled(), before, "{place}");
        }
        eprintln!("up: {} kills", places.len());
    }
}

#[test]
fn a_down_killed_at_any_step_goes_on_from_there() {
    let Some(world) = world() else { return };
    let before = world.state();
    for file in FILES {
        world.write(&filled(file));
        world.ok(Tool::Ours, "up wg0");
        let places = places(&world, "down wg0");
        for place in &places {
            world.ok(Tool::Ours, "up wg0");
            kill(&world, "down wg0", place);
            down_if_left(&world);
            assert_eq!(world.settled(), before, "{place}");
        }
        eprintln!("down: {} kills", places.len());
    }
}

/// What a `reload` makes. Rules of another mark stand before those of the one that goes, and the order of addresses is that in which they
/// came at last, as of tables. Left out is the anycast address of a router: where forwarding is switched on within a millisecond of a new address the kernel
/// keeps it when forwarding is off again (seen with 6.18: 99 of 100 times, and never 20 ms later).
pub(crate) fn reloaded(world: &World) -> String {
    let state = comparable(&world.state());
    let without_priority = |line: &str| match line.split_once(":\t") {
        Some((priority, rule)) if priority.parse::<u32>().is_ok() => rule.to_owned(),
        _ => line.to_owned(),
    };
    let lines = state.lines().filter(|line| !line.starts_with("anycast "));
    let (mut addresses, others): (Vec<String>, Vec<String>) =
        lines.map(without_priority).partition(|line| line.starts_with("inet"));
    addresses.sort_unstable();
    let mut tables: Vec<Vec<String>> = Vec::new();
    for line in others {
        if line.starts_with("table ") {
            tables.push(Vec::new());
        }
        match tables.last_mut() {
            Some(table) if table.last().is_none_or(|last| last != "}") => table.push(line),
            _ => addresses.push(line),
        }
    }
    tables.sort_unstable();
    [addresses, tables.concat()].concat().join("\n")
}

#[test]
fn a_reload_killed_at_any_step_is_made_up_for_by_the_next() {
    let Some(world) = world() else { return };
    let before = world.state();
    let states = FILES.map(|file| {
        world.write(&filled(file));
        world.ok(Tool::Ours, "up wg0");
        let state = reloaded(&world);
        world.ok(Tool::Ours, "down wg0");
        world.settled();
        state
    });
    let reload = |file: usize| {
        world.write(&filled(FILES[file]));
        world.ok(Tool::Ours, "reload wg0");
        reloaded(&world)
    };
    world.write(&filled(FILES[0]));
    world.ok(Tool::Ours, "up wg0");
    for (from, to) in [(0, 1), (1, 0)] {
        world.write(&filled(FILES[to]));
        let places = places(&world, "reload wg0");
        for (number, place) in places.iter().enumerate() {
            reload(from);
            world.write(&filled(FILES[to]));
            kill(&world, "reload wg0", place);
            if number % 4 == 3 {
                world.ok(Tool::Ours, "down wg0");
                assert_eq!(world.settled(), before, "down, {from} to {to}, {place}");
                world.ok(Tool::Ours, "up wg0");
                continue;
            }
            if number % 2 == 1 {
                assert_eq!(reload(from), states[from], "back, {from} to {to}, {place}");
            }
            let state = reload(to);
            let differing: Vec<_> = state
                .lines()
                .zip(states[to].lines())
                .filter(|(one, two)| one != two)
                .collect();
            assert_eq!(state, states[to], "{from} to {to}, {place}: {differing:?}");
        }
        reload(to);
        eprintln!("reload: {} kills", places.len());
    }
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(world.settled(), before);
}

/// What waits to be confirmed goes back by itself; it may be confirmed, half as it is, and the tunnel go down.
#[test]
fn an_apply_killed_at_any_step_goes_back_is_completed_or_goes_down() {
    let workers = 4;
    let kills = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || kill_applies(worker, workers)))
            .collect();
        let kills = threads.into_iter().map(|thread| thread.join().unwrap());
        kills.flatten().sum::<usize>()
    });
    eprintln!("apply: {kills} kills");
}

/// Kills at every so manieth place: going back takes its time.
fn kill_applies(worker: usize, workers: usize) -> Option<usize> {
    let world = world()?;
    let nothing = world.state();
    let apply = "apply wg0 --confirm 1s";
    let up = |file: usize| {
        world.write(&filled(FILES[file]));
        world.ok(Tool::Ours, "up wg0");
        reloaded(&world)
    };
    let after = up(1);
    world.ok(Tool::Ours, "down wg0");
    let before = up(0);
    world.write(&filled(FILES[1]));
    let places = places(&world, apply);
    let watched = places.iter().position(Place::is_start).unwrap();
    goes_back_to(&world, &before);
    let mine = places.iter().enumerate().skip(worker).step_by(workers);
    let mut kills = 0;
    for (number, place) in mine {
        world.write(&filled(FILES[1]));
        kill(&world, apply, place);
        kills += 1;
        // Nobody watches yet, and nothing is changed yet.
        if number <= watched {
            assert_eq!(reloaded(&world), before, "{place}");
        }
        match (number / workers) % 3 {
            0 => {
                if number <= watched {
                    // Who comes next makes sure that somebody does.
                    world.write(&filled(FILES[0]));
                    world.run(Tool::Ours, "reload wg0");
                }
                goes_back_to(&world, &before);
            }
            1 => {
                // At the first places there is nothing to confirm, at the last ones nothing to reload.
                world.run(Tool::Ours, "confirm wg0");
                world.ok(Tool::Ours, "reload wg0");
                assert_eq!(reloaded(&world), after, "completed, {place}");
                world.write(&filled(FILES[0]));
                world.ok(Tool::Ours, "reload wg0");
                assert_eq!(reloaded(&world), before, "back by a reload, {place}");
            }
            _ => {
                world.ok(Tool::Ours, "down wg0");
                assert_eq!(world.settled(), nothing, "down, {place}");
                up(0);
            }
        }
    }
    // Nobody who waited wakes up to do harm.
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert_eq!(reloaded(&world), before);
    Some(kills)
}

fn goes_back_to(world: &World, before: &str) {
    for _ in 0..60 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        if reloaded(world) == before && !world.run(Tool::Ours, "confirm wg0").status.success() {
            return;
        }
    }
    panic!("it is {}, was {before}", reloaded(world));
}

/// The machine forwards as long as a journal says that another gateway needs it, and that one closes the others then.
#[test]
fn a_gateway_killed_while_it_comes_up_leaves_nothing_open() {
    let Some(world) = world() else { return };
    world.write_to("wg1", &filled("Address = 10.8.0.1/24\nGateway = true"));
    world.write(&filled("Address = 10.9.0.1/24\nGateway = true"));
    world.ok(Tool::Ours, "up wg0");
    let places = places(&world, "up wg1");
    world.ok(Tool::Ours, "down wg1");
    for place in places.iter().filter(|place| place.call == "sendto").skip(8) {
        kill(&world, "up wg1", place);
        world.ok(Tool::Ours, "down wg0");
        let is_on = world.sh("cat /proc/sys/net/ipv4/ip_forward") == "1";
        let is_closed = world.sh("nft list ruleset ip").contains("oifname \"v0\" drop");
        assert!(is_closed || !is_on, "{place}");
        world.ok(Tool::Ours, "down wg1");
        world.ok(Tool::Ours, "up wg0");
    }
}

#[test]
fn a_signal_ends_an_up_unless_its_caller_has_it_ignored() {
    let Some(world) = World::new() else { return };
    world.write(&filled(
        "Address = 10.9.0.2/24\nPostUp = kill -HUP $PPID; kill -INT $PPID",
    ));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(143));
    assert!(world.errors().contains("ended by a signal"), "{}", world.errors());
    // As nohup does.
    let ignoring = r#"sh -c 'trap "" HUP INT; exec "$0" "$@"'"#;
    let up = world.under(ignoring, "up wg0 --backend adit");
    assert!(up.status.success(), "{}", world.errors());
    for signal in [Signal::HUP, Signal::INT] {
        e2e::side::end(world.running("aditd wg0")[0], signal);
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(world.running("aditd wg0").len(), 1);
    world.ok(Tool::Ours, "down wg0");
}
