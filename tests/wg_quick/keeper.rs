//! Engines that are killed where no systemd looks after them: they come back, with all around them, for as long as the tunnel is to be up.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::filled;
use super::firewall::Internet;
use super::world::{Tool, World};

/// Longer than a keeper waits before it first tries.
pub(super) const AGAIN: Duration = Duration::from_millis(1800);

pub(super) const FILE: &str = "Address = 10.9.0.2/24";

impl World {
    /// Kills the engine, and leaves its keeper alone.
    pub(super) fn kill_engine_only(&self) {
        let engines = self.running("aditd wg0");
        assert_eq!(engines.len(), 1);
        e2e::side::end(engines[0], Signal::KILL);
        self.becomes("gone", |world| {
            world.sh("ip link show wg0 > /dev/null 2>&1 || echo gone")
        });
    }

    /// Waits until as many engines run, and as many keepers.
    pub(super) fn runs(&self, number: usize) {
        self.becomes(&format!("{number} {number}"), |world| {
            let [engines, keepers] = ["aditd wg0", "wg-quick keep"].map(|program| world.running(program).len());
            format!("{engines} {keepers}")
        });
    }

    /// Nothing of ours runs, nor begins to.
    pub(super) fn rests(&self) {
        self.becomes("[]", |world| format!("{:?}", world.engines()));
        sleep(AGAIN);
        assert!(self.engines().is_empty());
        assert!(self.sh("ip link").lines().all(|line| !line.contains("wg0")));
    }
}

#[test]
fn a_killed_engine_comes_back_with_all_around_it() {
    let Some(net) = Internet::new() else { return };
    let client = &net.client;
    let before = client.state();
    net.serve("Gateway = true");
    net.server.ok(Tool::Ours, "up wg0");
    let hooks = "PostUp = echo up >> /run/wireguard/log\nPostDown = echo down >> /run/wireguard/log";
    net.connect(&format!("{hooks}\nDNS = 10.9.0.1"));
    // A lock that the caller has is not kept.
    client.sh("touch /run/wireguard/lock");
    let locked = "flock /run/wireguard/lock";
    assert!(client.under(locked, "up wg0").status.success(), "{}", client.errors());
    net.reaches_the_host();
    client.sh("flock -n /run/wireguard/lock true");
    client.sh("rm /run/wireguard/lock /run/wireguard/log");
    // Of a peer the time of the last handshake is to be seen, too.
    let around = || -> Vec<String> {
        let state = client.state();
        state
            .lines()
            .filter(|line| !line.contains("(none)"))
            .map(str::to_owned)
            .collect()
    };
    let up = around();
    for _ in 0..2 {
        client.runs(1);
        let keeper = client.running("wg-quick keep")[0];
        let memory = client.sh(&format!("grep VmRSS /proc/{keeper}/status | grep -o '[0-9]*'"));
        assert!(memory.parse::<u32>().unwrap() < 2048, "{memory} KiB");
        client.kill_engine_only();
        net.reaches_the_host();
        client.runs(1);
        assert_eq!(client.sh("grep -x 'up\\|down' /run/wireguard/log"), "down\nup");
        client.sh("rm /run/wireguard/log");
        assert_eq!(around(), up);
    }
    client.ok(Tool::Ours, "reload wg0");
    client.ok(Tool::Ours, "down wg0");
    client.rests();
    client.sh("rm /run/wireguard/log");
    assert_eq!(client.settled(), before);
}

#[test]
fn an_engine_comes_back_after_the_program_was_upgraded() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILE));
    let copied = "sh -c 'cp $0 /run/wireguard/wg-quick; exec /run/wireguard/wg-quick \"$@\"'";
    let up = world.under(copied, "up wg0 --backend adit");
    assert!(up.status.success(), "{}", world.errors());
    world.sh("cd /run/wireguard; cp wg-quick new; mv new wg-quick");
    let of_old = |program: &str| {
        let mut all = world.side().processes();
        all.retain(|pid| {
            let about = |name| format!("/proc/{pid}/{name}");
            std::fs::read_link(about("exe")).is_ok_and(|path| path.ends_with("wg-quick (deleted)"))
                && std::fs::read(about("cmdline")).is_ok_and(|line| line.starts_with(program.as_bytes()))
        });
        all
    };
    let engine = of_old("aditd");
    assert_eq!((engine.len(), of_old("wg-quick").len()), (1, 1));
    e2e::side::end(engine[0], Signal::KILL);
    // Its keeper runs the old program still, and so does what that starts.
    world.becomes("1 1", |_| {
        let others = of_old("aditd").iter().filter(|pid| **pid != engine[0]).count();
        format!("{others} {}", of_old("wg-quick").len())
    });
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn an_interface_that_is_deleted_does_not_come_back() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILE));
    world.ok(Tool::Ours, "up wg0 --backend adit");
    world.runs(1);
    world.sh("ip link del wg0");
    world.rests();
    world.ok(Tool::Ours, "up wg0 --backend adit");
    world.ok(Tool::Ours, "release wg0");
    world.kill_engine_only();
    world.rests();
}

#[test]
fn a_tunnel_that_cannot_come_back_is_tried_again_until_down() {
    let Some(world) = World::new() else { return };
    let broken = filled(&format!(
        "KillSwitch = true\nPreUp = echo >> /run/wireguard/tries; false\n{FILE}"
    ));
    let good = filled(&format!("KillSwitch = true\n{FILE}"));
    let fails = || {
        world.write(&broken);
        world.sh("rm -f /run/wireguard/tries");
        world.kill_engine_only();
        world.becomes("2", |world| world.sh("wc -l < /run/wireguard/tries || true"));
        assert!(
            world.sh("nft list ruleset").contains("kill-switch"),
            "it holds meanwhile"
        );
    };
    world.write(&good);
    world.ok(Tool::Ours, "up wg0 --backend adit");
    fails();
    world.write("nonsense");
    sleep(AGAIN);
    world.write(&good);
    // The third and the fourth wait.
    sleep(Duration::from_secs(8));
    world.runs(1);

    fails();
    world.write(&good);
    world.ok(Tool::Ours, "up wg0");
    // That one's keeper is the only one in the end.
    sleep(Duration::from_secs(4));
    world.runs(1);

    fails();
    world.ok(Tool::Ours, "down wg0");
    world.sh("rm /etc/wireguard/wg0.conf");
    sleep(Duration::from_secs(4));
    world.rests();
    assert!(!world.sh("nft list ruleset").contains("kill-switch"));
}

#[test]
fn there_is_no_keeper_where_systemd_waits_for_the_tunnel() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILE));
    let output = world.with("NOTIFY_SOCKET=/run/wireguard/nobody", "up wg0 --backend adit");
    assert!(output.status.success(), "{}", world.errors());
    assert!(world.running("wg-quick").is_empty());
    world.kill_engine_only();
    world.rests();
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn a_tunnel_that_a_command_of_another_brings_up_has_a_keeper() {
    let Some(world) = World::new() else { return };
    world.write_to("wg1", &filled("Address = 10.8.0.2/24\nBackend = adit"));
    world.write(&filled(&format!("{FILE}\nPostUp = wg-quick up wg1")));
    let service = r#"sh -c 'NOTIFY_SOCKET=/run/wireguard/nobody SYSTEMD_EXEC_PID=$$ exec "$0" "$@"'"#;
    let output = world.under(service, "up wg0 --backend adit");
    assert!(output.status.success(), "{}", world.errors());
    let keepers = world.running("wg-quick keep");
    assert_eq!(keepers.len(), 1);
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", keepers[0])).unwrap();
    assert!(line.contains("wg1"), "{line}");
}

#[test]
fn a_tunnel_whose_port_is_taken_does_not_come_up() {
    let Some(world) = World::new() else { return };
    let file = filled("Address = 10.9.0.2/24\nListenPort = 777");
    world.write(&file);
    world.write_to("wg1", &file.replace("10.9.0.2", "10.8.0.2"));
    world.ok(Tool::Ours, "up wg0");
    let before = world.state();
    let refused = world.run(Tool::Ours, "up wg1");
    assert!(!refused.status.success());
    assert!(world.errors().contains("Address already in use"), "{}", world.errors());
    assert_eq!(world.settled(), before);
    // Nor does a journal that nobody understands stand in the way of another tunnel.
    world.sh("for folder in /run/adit/netns-*; do echo nonsense > $folder/wg7.json; done");
    world.ok(Tool::Ours, "down wg0");
    assert!(world.errors().contains("wg7.json"), "{}", world.errors());
}

#[test]
fn a_tunnel_that_is_about_to_go_does_not_come_back() {
    let Some(world) = World::new() else { return };
    world.write(&filled(&format!("PostDown = sleep 2\n{FILE}")));
    world.ok(Tool::Ours, "up wg0 --backend adit");
    world.kill_engine_only();
    world.ok(Tool::Ours, "down wg0");
    world.rests();
}
