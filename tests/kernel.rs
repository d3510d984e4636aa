//! Against the kernel's own WireGuard, in a guest.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use e2e::transfer::{accept_and_hash, compare, connect_and_send, listen};
use e2e::tunnel::{endpoint, inner_v4, inner_v6};
use e2e::{Engine, Guest, Node, Outer, Result, Running, Side, Tunnel, command, needs};

mod flood;

use flood::{flood, key};

const FULL: u64 = 100 << 20;
/// Software emulation moves one to three MB a second through the guest, so one pass at full length must do.
const SHORT: u64 = 4 << 20;

#[test]
fn adit_and_the_kernel_work_together() {
    let engine = &Engine::adit();
    let mut programs = Guest::NEEDS.to_vec();
    programs.push(engine.program());
    if !needs::available(&programs) {
        return;
    }
    let side = Side::new().unwrap();
    let guest = Guest::boot(&side).unwrap();
    for (outer, psk) in [(Outer::V4, true), (Outer::V6, false)] {
        let running = Running::start(engine, &side).unwrap();
        let result = exchange(&side, &guest, outer, psk, if outer == Outer::V4 { FULL } else { SHORT });
        if let Err(error) = result {
            panic!(
                "{outer:?}, psk {psk}: {error}\n--- log\n{}\n--- console\n{}",
                running.log(),
                guest.console()
            );
        }
        drop(running);
        guest.sh("ip link del wg0 && ip link add wg0 type wireguard").unwrap();
    }
    guest.power_off().unwrap();
}

fn exchange(side: &Side, guest: &Guest, outer: Outer, psk: bool, bytes: u64) -> Result<()> {
    let tunnel = Tunnel::configure(side, guest, outer, psk)?;
    tunnel.ping(1)?;
    tunnel.ping(2)?;
    to_guest(side, guest, bytes)?;
    from_guest(side, guest, bytes)?;
    // The other role: the guest forgets its session and must initiate.
    let before = tunnel.latest_handshake(1)?;
    thread::sleep(Duration::from_millis(1100));
    tunnel.restart(2)?;
    tunnel.ping(2)?;
    if tunnel.latest_handshake(1)? <= before {
        return Err("the guest's initiation made no new handshake".into());
    }
    if outer == Outer::V4 {
        flooded(side, &tunnel)?;
        roams(side, guest, &tunnel)?;
        renewed(&tunnel)?;
    }
    Ok(())
}

/// The kernel gets in by its cookie while adit is flooded.
fn flooded(side: &Side, tunnel: &Tunnel<'_>) -> Result<()> {
    let key = key(tunnel.key(1))?;
    let stop = AtomicBool::new(false);
    let (answers, outcome) = thread::scope(|scope| {
        let flooder = scope.spawn(|| side.inside(|| flood(&key, endpoint(1, Outer::V4), &stop)));
        thread::sleep(Duration::from_secs(1));
        let outcome = tunnel
            .restart(2)
            .and_then(|()| command::until(Duration::from_secs(25), || tunnel.ping(2)));
        stop.store(true, Relaxed);
        (flooder.join(), outcome)
    });
    outcome?;
    let answers = answers.map_err(|_| "the flooder panicked".to_string())??;
    if answers.cookies == 0 || answers.others > 0 {
        return Err(format!("the flooder got {answers:?}"));
    }
    Ok(())
}

/// Each follows the other to a new port.
fn roams(side: &Side, guest: &Guest, tunnel: &Tunnel<'_>) -> Result<()> {
    let follows = |node: &dyn Node, port: &str| {
        let endpoints = node.sh("wg show wg0 endpoints")?;
        if endpoints.contains(port) {
            Ok(())
        } else {
            Err(format!("the endpoint did not follow to {port}: {endpoints}"))
        }
    };
    side.sh("wg set wg0 listen-port 51999")?;
    tunnel.ping(1)?;
    follows(guest, ":51999")?;
    guest.sh("wg set wg0 listen-port 51998")?;
    tunnel.ping(2)?;
    follows(side, ":51998")
}

/// Whoever initiated makes a new handshake after 120 s (paper, section 6.1).
fn renewed(tunnel: &Tunnel<'_>) -> Result<()> {
    let before = tunnel.latest_handshake(1)?;
    command::until(Duration::from_secs(150), || {
        tunnel.ping(1)?;
        tunnel.ping(2)?;
        if tunnel.latest_handshake(1)? > before {
            Ok(())
        } else {
            Err("no new handshake".into())
        }
    })
}

fn to_guest(side: &Side, guest: &Guest, bytes: u64) -> Result<()> {
    guest.sh(
        "rm -f /tmp/sum; nc -l -p 5001 | tee /dev/null | sha256sum > /tmp/sum.part && mv /tmp/sum.part /tmp/sum &",
    )?;
    guest.sh("for i in 1 2 3 4 5 6 7 8 9 10; do netstat -ltn | grep -q :5001 && break; sleep 0.2; done")?;
    let sent = connect_and_send(side, SocketAddr::new(inner_v4(2).into(), 5001), bytes)?;
    let sum = command::until(Duration::from_secs(60), || guest.sh("cat /tmp/sum"))?;
    let hash = sum.split_whitespace().next().unwrap_or("").to_string();
    compare((bytes, sent.1), (bytes, hash), bytes)
}

fn from_guest(side: &Side, guest: &Guest, bytes: u64) -> Result<()> {
    let blocks = bytes >> 20;
    guest.sh(&format!(
        "dd if=/dev/urandom of=/tmp/data bs=1M count={blocks} 2>/dev/null"
    ))?;
    let sum = guest.sh("sha256sum /tmp/data")?;
    let listener = listen(side, inner_v6(1).into())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let received = thread::scope(|scope| {
        let receiver = scope.spawn(|| accept_and_hash(&listener));
        let sent = guest.sh(&format!("nc {} {port} < /tmp/data; rm /tmp/data", inner_v6(1)));
        let received = receiver.join().map_err(|_| "the receiver panicked".to_string())?;
        sent.and(received)
    })?;
    let hash = sum.split_whitespace().next().unwrap_or("").to_string();
    compare((bytes, hash), received, bytes)
}
