//! A flood of handshake messages with a right mac1: nobody is served before returning a cookie, and real peers do that.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use e2e::tunnel::{endpoint, inner_v4};
use e2e::{Engine, Lab, Outer, Result, Running, Tunnel, command, needs};

mod flood;

use flood::{flood, key};

/// Two retransmissions at most: the first message earns the cookie, the next one carries it.
const PATIENCE: Duration = Duration::from_secs(14);

#[test]
fn wireguard_go_gets_in_while_adit_is_flooded() {
    check(&Engine::wireguard_go(), &Engine::adit());
}

#[test]
fn boringtun_gets_in_while_adit_is_flooded() {
    check(&Engine::boringtun(), &Engine::adit());
}

#[test]
fn gotatun_gets_in_while_adit_is_flooded() {
    check(&Engine::gotatun(), &Engine::adit());
}

#[test]
fn adit_gets_in_while_adit_is_flooded() {
    check(&Engine::adit(), &Engine::adit());
}

#[test]
fn adit_gets_in_while_boringtun_is_flooded() {
    check(&Engine::adit(), &Engine::boringtun());
}

fn check(client: &Engine, flooded: &Engine) {
    if !needs::available(&[client.program(), flooded.program(), "wg", "ip", "ping"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let left = Running::start(client, &lab.left).unwrap();
    let right = Running::start(flooded, &lab.right).unwrap();
    let work = || {
        let tunnel = Tunnel::configure(&lab.left, &lab.right, Outer::V4, true)?;
        let key = key(tunnel.key(2))?;
        let stop = AtomicBool::new(false);
        let (answers, outcome) = thread::scope(|scope| {
            let flooder = scope.spawn(|| lab.left.inside(|| flood(&key, endpoint(2, Outer::V4), &stop)));
            thread::sleep(Duration::from_secs(1));
            let address = inner_v4(2);
            let outcome = command::until(PATIENCE, || lab.left.sh(&format!("ping -c 1 -W 1 {address}")));
            stop.store(true, Relaxed);
            (flooder.join().unwrap(), outcome)
        });
        outcome?;
        let answers = answers?;
        if answers.cookies == 0 || answers.others > 0 {
            return Err(format!("the flooder got {answers:?}"));
        }
        Ok(())
    };
    let result: Result<()> = work();
    let names = format!("{} against {}", client.name, flooded.name);
    result.unwrap_or_else(|error| panic!("{names}: {error}\n--- left\n{}\n--- right\n{}", left.log(), right.log()));
}
