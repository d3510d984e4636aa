//! The life of `aditd`: ready, in front or in the background, and a clean end for every reason to end.

use std::time::Duration;

use e2e::{Engine, Result, Running, Side, command, engine, needs, side};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(5);

fn ready() -> bool {
    needs::available(&[Engine::adit().program(), "wg", "ip"])
}

fn start() -> (Side, Running) {
    let side = Side::new().unwrap();
    let running = Running::start(&Engine::adit(), &side).unwrap();
    (side, running)
}

/// Checks that neither socket nor link is left.
fn gone(side: &Side) {
    let check = || match side.sh("test ! -e /run/wireguard/wg0.sock && ! ip link show wg0 2>/dev/null") {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("something is left: {error}")),
    };
    command::until(SOON, check).unwrap();
}

fn background(side: &Side, name: &str) -> Result<String> {
    let program = engine::aditd();
    command::output(side.enter().args([
        "sh",
        "-c",
        &format!("timeout 20 {} {name} >/dev/null 2>&1", program.display()),
    ]))
}

/// What a container usually has: `CAP_NET_ADMIN`, but no way into other namespaces.
#[test]
fn no_other_privilege_than_net_admin_is_needed() {
    if !ready() {
        return;
    }
    let side = Side::new().unwrap();
    let line = format!(
        "setpriv --bounding-set=-all,+net_admin --inh-caps=-all,+net_admin {} -f",
        engine::aditd().display()
    );
    let _running = Running::start(&Engine::other("adit", &line), &side).unwrap();
    side.sh("ip link set wg0 up mtu 1300").unwrap();
    command::until(SOON, || {
        side.sh("wg set wg0 listen-port 0 && test $(wg show wg0 listen-port) != 0")
    })
    .unwrap();
}

/// Of all its threads: no way to more rights, and none but for marks, sockets and low ports.
#[test]
fn an_engine_gives_up_the_rights_of_root_that_it_does_not_need() {
    if !ready() {
        return;
    }
    let side = Side::new().unwrap();
    background(&side, "wg0").unwrap();
    side.sh("ip link set wg0 up; wg set wg0 listen-port 53 fwmark 7")
        .unwrap();
    let is_engine = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == needs::adit());
    let engines: Vec<u32> = side.processes().into_iter().filter(is_engine).collect();
    let mut threads = 0;
    for thread in engines
        .iter()
        .flat_map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).unwrap())
    {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        let rights = u64::from_str_radix(value("CapPrm:"), 16).unwrap();
        // CAP_NET_BIND_SERVICE and CAP_NET_ADMIN.
        assert_eq!(rights & !(1 << 10 | 1 << 12), 0, "{status}");
        assert_eq!((value("CapEff:"), value("NoNewPrivs:")), (value("CapPrm:"), "1"));
        threads += 1;
    }
    assert!(threads > 1, "{engines:?}");
}

#[test]
fn background_start_returns_when_the_socket_answers() {
    if !ready() {
        return;
    }
    let side = Side::new().unwrap();
    background(&side, "wg0").unwrap();
    side.sh("wg show wg0").unwrap();
    let processes = side.processes();
    assert_eq!(processes.len(), 1, "one daemon stays: {processes:?}");
    side::end(processes[0], Signal::TERM);
    gone(&side);
    command::until(SOON, || {
        if side.processes().is_empty() {
            Ok(())
        } else {
            Err("still running".into())
        }
    })
    .unwrap();
}

#[test]
fn sigterm_ends_it_cleanly() {
    if !ready() {
        return;
    }
    let (side, mut running) = start();
    running.terminate();
    let status = running.wait(SOON).unwrap();
    assert!(status.success(), "{status}");
    gone(&side);
}

#[test]
fn sigint_ends_it_cleanly() {
    if !ready() {
        return;
    }
    let (side, mut running) = start();
    side::end(running.pid(), Signal::INT);
    let status = running.wait(SOON).unwrap();
    assert!(status.success(), "{status}");
    gone(&side);
}

#[test]
fn deleting_the_link_ends_it() {
    if !ready() {
        return;
    }
    let (side, mut running) = start();
    side.sh("ip link del wg0").unwrap();
    running.wait(SOON).unwrap();
    gone(&side);
}

#[test]
fn removing_the_socket_ends_it() {
    if !ready() {
        return;
    }
    let (side, mut running) = start();
    side.sh("rm /run/wireguard/wg0.sock").unwrap();
    running.wait(SOON).unwrap();
    gone(&side);
}

#[test]
fn a_second_engine_with_the_same_name_fails_and_the_first_lives_on() {
    if !ready() {
        return;
    }
    let (side, _running) = start();
    assert!(background(&side, "wg0").is_err());
    side.sh("wg show wg0 && ip link show wg0").unwrap();
}

#[test]
fn a_socket_left_by_a_killed_engine_is_replaced() {
    if !ready() {
        return;
    }
    let (side, running) = start();
    drop(running);
    side.sh("test -e /run/wireguard/wg0.sock").unwrap();
    let _again = Running::start(&Engine::adit(), &side).unwrap();
}

#[test]
fn a_name_with_percent_d_takes_the_next_free_number() {
    if !ready() {
        return;
    }
    let (side, _running) = start();
    background(&side, "wg%d").unwrap();
    side.sh("wg show wg1 && ip link show wg1").unwrap();
}

#[test]
fn names_that_cannot_be_an_interface_are_refused() {
    if !ready() {
        return;
    }
    let side = Side::new().unwrap();
    for name in ["a/b", "far-too-long-name", ".."] {
        assert!(
            background(&side, &format!("'{name}'")).is_err(),
            "{name:?} was accepted"
        );
    }
    assert!(side.processes().is_empty());
}

#[test]
fn the_link_may_go_down_and_up() {
    if !ready() {
        return;
    }
    let (side, mut running) = start();
    for _ in 0..20 {
        side.sh("ip link set wg0 up && ip link set wg0 down").unwrap();
    }
    side.sh("ip link set wg0 up && wg show wg0").unwrap();
    assert!(running.wait(Duration::from_millis(200)).is_err(), "it ended");
}
