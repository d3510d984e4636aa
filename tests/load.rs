//! A flood of handshake messages with a right mac1: nobody is served before returning a cookie, and real peers do that.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use conf::key_text::parse_base64;
use e2e::tunnel::{endpoint, inner_v4};
use e2e::{Engine, Lab, Outer, Result, Running, Tunnel, command, needs};
use proto::PublicKey;
use simnet::wire::{Kind, kind, write_mac1};

/// Messages a second; the kernel calls itself under load with 512 waiting, others earlier.
const FLOOD: u32 = 2000;
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

/// What the flooder got back.
#[derive(Debug, Default)]
struct Answers {
    cookies: usize,
    others: usize,
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
        let key = parse_base64(tunnel.key(2).as_bytes()).ok_or("no key")?;
        let key = PublicKey::from_bytes(*key);
        let stop = AtomicBool::new(false);
        let (answers, outcome) = thread::scope(|scope| {
            let flooder = scope.spawn(|| lab.left.inside(|| flood(&key, &stop)));
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

/// Sends junk with a right mac1 at a steady rate until told to stop, for 30 s at most.
fn flood(key: &PublicKey, stop: &AtomicBool) -> Result<Answers> {
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| error.to_string())?;
    socket
        .connect(endpoint(2, Outer::V4))
        .map_err(|error| error.to_string())?;
    socket.set_nonblocking(true).map_err(|error| error.to_string())?;
    let (start, mut sent, mut answers) = (Instant::now(), 0_u32, Answers::default());
    let mut buffer = [0; 2048];
    while !stop.load(Relaxed) && start.elapsed() < Duration::from_secs(30) {
        while f64::from(sent) < start.elapsed().as_secs_f64() * f64::from(FLOOD) {
            let mut message = [0x5a; 148];
            message[..4].copy_from_slice(&[1, 0, 0, 0]);
            message[4..8].copy_from_slice(&sent.to_le_bytes());
            write_mac1(&mut message, key);
            // A full queue on the way is part of a flood.
            let _ = socket.send(&message);
            sent += 1;
        }
        while let Ok(len) = socket.recv(&mut buffer) {
            match kind(&buffer[..len]) {
                Kind::CookieReply => answers.cookies += 1,
                _ => answers.others += 1,
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(answers)
}
