//! `adit apply --confirm`: what nobody confirms goes back, whatever is killed meanwhile.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::filled;
use super::keeper::{AGAIN, FILE};
use super::reload::FILES;
use super::world::{Tool, World};

const CHANGED: &str = "Address = 10.9.0.2/24, 10.9.1.2/24\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.9.1.0/24";

/// The file of the change that waits, if there is one.
fn pending(world: &World) -> String {
    world.sh("ls /run/adit/*/*~before.json 2> /dev/null || true")
}

#[test]
fn a_change_that_nobody_confirms_goes_back_and_one_that_is_confirmed_stays() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILES[5]));
    world.ok(Tool::Ours, "up wg0");
    let before = world.state();
    world.write(&filled(FILES[1]));
    world.ok(Tool::Ours, "apply wg0 --confirm 2s");
    let after = world.state();
    assert_ne!(after, before);
    assert!(
        !world.run(Tool::Ours, "reload wg0").status.success(),
        "a change on top of one that may go back"
    );
    world.becomes(&before, World::state);
    assert!(
        !world.run(Tool::Ours, "confirm wg0").status.success(),
        "there is nothing to confirm"
    );
    world.ok(Tool::Ours, "apply wg0 --confirm 2s");
    world.ok(Tool::Ours, "confirm wg0");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert_eq!(world.state(), after);
    // A change that waits goes with its interface.
    world.write(&filled(FILES[5]));
    world.ok(Tool::Ours, "apply wg0 --confirm 1440m");
    world.ok(Tool::Ours, "down wg0");
    world.ok(Tool::Ours, "up wg0");
    assert!(!world.run(Tool::Ours, "apply wg0 --confirm 1h").status.success());
    world.ok(Tool::Ours, "apply wg0 --confirm 5m");
}

#[test]
fn what_cannot_go_back_keeps_nothing_else_from_it() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILES[2]));
    world.ok(Tool::Ours, "up wg0");
    let before = world.state();
    let peers = "wg show wg0 allowed-ips";
    let had = world.sh(peers);
    world.write(&filled(FILES[0]));
    world.ok(Tool::Ours, "apply wg0 --confirm 1s");
    // By then its place is taken.
    world.sh("ip route add 10.1.0.0/16 dev v0");
    world.becomes(&had, |world| world.sh(peers));
    // Nobody can say yes to a mixture.
    assert!(!world.run(Tool::Ours, "confirm wg0").status.success());
    assert!(world.errors().contains("too late"), "{}", world.errors());
    assert!(!world.run(Tool::Ours, "reload wg0").status.success());
    // It is tried again.
    world.sh("ip route del 10.1.0.0/16 dev v0");
    world.becomes(&before, World::state);
    world.becomes("", pending);
}

#[test]
fn a_change_that_nobody_confirmed_goes_back_also_after_a_new_start() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILE));
    world.ok(Tool::Ours, "up wg0 --backend adit");
    world.runs(1);
    let before = world.state();
    let change = || {
        world.write(&filled(CHANGED));
        world.ok(Tool::Ours, "apply wg0 --confirm 3s");
    };
    change();
    let changed = world.state();
    world.kill_engine_only();
    world.becomes(&before, World::state);
    // The keeper of the new engine is so still.
    world.runs(1);
    world.kill_engine_only();
    world.becomes(&changed, World::state);
    world.write(&filled(FILE));
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(world.state(), before);
    // It waits until the tunnel is there again.
    world.runs(1);
    change();
    world.write("nonsense");
    world.kill_engine_only();
    sleep(2 * AGAIN);
    world.write(&filled(FILE));
    world.becomes(&before, World::state);
    world.becomes("", pending);
    world.ok(Tool::Ours, "down wg0");
    world.rests();
}

#[test]
fn a_change_that_nobody_confirmed_goes_back_also_after_a_new_start_by_systemd() {
    let Some(world) = World::new() else { return };
    let up = || {
        let outcome = world.with("NOTIFY_SOCKET=/run/nobody", "up wg0 --backend adit");
        assert!(outcome.status.success(), "{}", world.errors());
        assert!(world.running("wg-quick keep").is_empty());
    };
    world.write(&filled(FILE));
    up();
    let before = world.state();
    let change = |time: &str| {
        world.write(&filled(CHANGED));
        world.ok(Tool::Ours, &format!("apply wg0 --confirm {time}"));
    };
    change("3s");
    world.kill_engine_only();
    up();
    assert_ne!(world.state(), before);
    world.becomes(&before, World::state);
    world.becomes("", pending);
    // It is no such start if the file was changed meanwhile.
    change("5m");
    world.kill_engine_only();
    let newer = CHANGED.replace("10.9.1.2/24", "10.9.2.2/24");
    world.write(&filled(&newer));
    up();
    assert_eq!(pending(&world), "");
    // Nor if the tunnel was taken down.
    change("5m");
    world.ok(Tool::Ours, "down wg0");
    up();
    assert_eq!(pending(&world), "");
}

#[test]
fn who_waits_is_not_missed_if_it_is_killed() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILES[2]));
    world.ok(Tool::Ours, "up wg0");
    let before = world.state();
    world.write(&filled(FILES[0]));
    world.ok(Tool::Ours, "apply wg0 --confirm 2s");
    let waits = |world: &World| {
        let waiting = world.running("wg-quick revert");
        waiting
            .iter()
            .map(|pid| world.sh(&format!("cat /proc/{pid}/oom_score_adj")))
            .collect::<String>()
    };
    // Some containers do not let root do this.
    let spared =
        world.sh("{ echo -1000 > /proc/self/oom_score_adj; } 2> /dev/null || true; cat /proc/self/oom_score_adj");
    world.becomes(&spared, waits);
    let watcher = world.running("wg-quick revert")[0];
    e2e::side::end(watcher, Signal::KILL);
    sleep(Duration::from_millis(2500));
    assert_ne!(world.state(), before);
    // The next command finds it out.
    let refused = world.run(Tool::Ours, "reload wg0");
    assert_eq!(refused.status.code(), Some(1));
    world.becomes(&before, World::state);
    world.becomes("", pending);
    world.ok(Tool::Ours, "reload wg0");
}

#[test]
fn a_change_that_has_no_room_to_begin_waits_for_nobody() {
    let Some(world) = World::new() else { return };
    let file = |allowed: &str| {
        filled(&format!(
            "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {{A}}\nAllowedIPs = {allowed}"
        ))
    };
    world.write(&file("10.1.0.0/16"));
    world.ok(Tool::Ours, "up wg0");
    let before = world.state();
    let many: Vec<String> = (0..=255).map(|n| format!("10.2.{n}.0/24")).collect();
    world.write(&file(&many.join(", ")));
    world.sh("mount -o remount,size=20k /run/adit");
    assert_eq!(world.run(Tool::Ours, "apply wg0 --confirm 5m").status.code(), Some(1));
    assert!(world.errors().contains("No space left on device"), "{}", world.errors());
    assert_eq!(world.state(), before);
    world.sh("mount -o remount,size=10m /run/adit");
    world.ok(Tool::Ours, "reload wg0");
}
