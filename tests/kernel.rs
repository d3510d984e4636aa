//! Against the kernel's own WireGuard, in a guest.

use std::net::SocketAddr;
use std::thread;

use e2e::transfer::{accept_and_hash, compare, connect_and_send, listen};
use e2e::tunnel::{inner_v4, inner_v6};
use e2e::{Engine, Guest, Node, Outer, Result, Running, Side, Tunnel, command, needs};

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
    thread::sleep(std::time::Duration::from_millis(1100));
    tunnel.restart(2)?;
    tunnel.ping(2)?;
    if tunnel.latest_handshake(1)? <= before {
        return Err("the guest's initiation made no new handshake".into());
    }
    Ok(())
}

fn to_guest(side: &Side, guest: &Guest, bytes: u64) -> Result<()> {
    guest.sh(
        "rm -f /tmp/sum; nc -l -p 5001 | tee /dev/null | sha256sum > /tmp/sum.part && mv /tmp/sum.part /tmp/sum &",
    )?;
    guest.sh("for i in 1 2 3 4 5 6 7 8 9 10; do netstat -ltn | grep -q :5001 && break; sleep 0.2; done")?;
    let sent = connect_and_send(side, SocketAddr::new(inner_v4(2).into(), 5001), bytes)?;
    let sum = command::until(std::time::Duration::from_secs(60), || guest.sh("cat /tmp/sum"))?;
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
