//! Datagrams of any content, at a tunnel that is in the middle of its life.
//!
//! Two tunnels get as far as the input says (idle, initiation sent, session). Then each datagram of the input goes to the
//! second one: as it is, with a fresh mac1, or laid over a genuine message. Nothing may panic, and
//! no counter may be used twice.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use proto::{Endpoint, Message};
use simnet::{A, B, Link, Sim, ms, wire};

#[derive(Arbitrary, Debug)]
struct Input {
    progress: u8,
    datagrams: Vec<Hostile>,
}

#[derive(Arbitrary, Debug)]
struct Hostile {
    wait: u16,
    to_first: bool,
    from_elsewhere: bool,
    mac1: bool,
    /// Which genuine message to lay the bytes over, if there is one.
    genuine: Option<u8>,
    at: u8,
    bytes: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let mut sim = Sim::pair(u64::from(input.progress));
    match input.progress % 4 {
        0 => {}
        1 => {
            sim.set_link(A, B, Link::dead());
            sim.send(A, B);
        }
        2 => {
            sim.set_link(B, A, Link::dead());
            sim.send(A, B);
            sim.run_for(ms(50));
        }
        _ => sim.connect(A, B),
    }
    for hostile in input.datagrams {
        sim.run_for(ms(hostile.wait.into()));
        let (to, from) = if hostile.to_first { (A, B) } else { (B, A) };
        let mut bytes = hostile.bytes;
        if let Some(choice) = hostile.genuine.filter(|_| !sim.wire().is_empty()) {
            let log = sim.wire();
            let mut genuine = log[usize::from(choice) % log.len()].payload.clone();
            for (place, byte) in genuine.iter_mut().skip(hostile.at.into()).zip(&bytes) {
                *place ^= byte;
            }
            bytes = genuine;
        }
        if hostile.mac1 && bytes.len() >= 36 {
            wire::write_mac1(&mut bytes, &sim.public_key(to));
        }
        let _ = Message::parse(&bytes);
        let source = if hostile.from_elsewhere {
            "203.0.113.9:9".parse().unwrap()
        } else {
            sim.address(from)
        };
        // Past the books of the simulation: under the null cipher, forged data is delivered.
        sim.with(to, |tunnel, now| {
            let _ = tunnel.handle_datagram(now, Endpoint::new(source), &mut bytes);
        });
    }
    sim.run_for(ms(500));
});
