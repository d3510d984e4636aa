//! Runs each hot stage a fixed number of times, for `cargo xtask instructions` to count under callgrind.
//!
//! Callgrind writes down its count whenever [`boundary`] is called, so every second interval is a stage. Standard output names the
//! stages in order, each with its number of runs. The first does nothing: it is what measuring itself costs.
//!
//! A count must not depend on chance, so inputs are the same on every run and all is made ready before the first boundary.

use std::hint::black_box;

use benches::cipher::{Row, backends, key, name};
use benches::offload::{self, SuperPacket};
use benches::tunnels::{Handshake, INNER, NOW, Prefixes, Session};
use engine::offload::checksum;
use engine::offload::coalesce::Coalescer;
use proto::ReplayWindow;

/// Runs of a stage, and of one that takes long.
const MANY: usize = 500;
const FEW: usize = 10;

fn main() {
    measure("nothing", 1, || ());
    cipher();
    offloads();
    handshakes();
    lookups();
}

fn cipher() {
    for kernel in backends() {
        let (key, name) = (key(kernel), name(kernel));
        for text in [64, 1420] {
            let mut row = Row::new(8, text);
            match kernel {
                Some(_) => measure(&format!("seal {text} bytes, {name}, 8"), MANY, || row.seal::<8>(&key)),
                None => measure(&format!("seal {text} bytes, {name}, 8"), MANY, || row.seal::<1>(&key)),
            }
            let mut row = Row::new(8, text);
            row.seal::<1>(&key);
            let mut rows = vec![row; FEW + 1].into_iter();
            let stage = || {
                let mut row = rows.next().unwrap_or_else(|| Row::new(0, text));
                match kernel {
                    Some(_) => row.open::<8>(&key),
                    None => row.open::<1>(&key),
                }
            };
            measure(&format!("open {text} bytes, {name}, 8"), FEW, stage);
        }
    }
}

fn offloads() {
    let packet = SuperPacket::new();
    let mut out = vec![0; 1 << 16];
    measure("split, 45 segments", FEW, || {
        black_box(packet.split(&mut out));
    });
    let row = offload::Row::new();
    let mut coalescer = Coalescer::new();
    measure("coalesce, 45 packets", FEW, || {
        black_box(row.coalesce(&mut coalescer));
    });
    for bytes in [20, 1420] {
        let bytes = vec![0xa5; bytes];
        measure(&format!("checksum, {} bytes", bytes.len()), MANY, || {
            black_box(checksum::sum(black_box(&bytes)));
        });
    }
}

fn handshakes() {
    let each = |name: &str, before: &dyn Fn() -> Handshake, stage: fn(Handshake) -> Handshake| {
        let mut handshakes: Vec<_> = (0..=FEW).map(|_| before()).collect();
        let mut done = Vec::with_capacity(handshakes.len());
        measure(name, FEW, || done.extend(handshakes.pop().map(stage)));
    };
    each("make an initiation", &Handshake::new, Handshake::initiate);
    let initiated = || Handshake::new().initiate();
    each("take an initiation, make the response", &initiated, Handshake::respond);
    let responded = || initiated().respond();
    each("take a response", &responded, Handshake::finish);
}

fn lookups() {
    let mut session = Session::new();
    measure("route 45 packets", MANY, || {
        drop(black_box(session.initiator.route(NOW, black_box(INNER[1]), 45)));
    });
    measure("receiver index", MANY, || {
        drop(black_box(session.responder.receiver(NOW, black_box(session.index))));
    });
    for count in [1, 100, 10_000, 100_000] {
        let mut prefixes = Prefixes::new(count);
        measure(&format!("allowed IP among {count}"), 4096, || {
            black_box(prefixes.lookup());
        });
    }
    let (mut window, mut counter) = (ReplayWindow::new(), 0);
    measure("replay window, 45 counters", MANY, || {
        counter += 45;
        black_box((counter - 45..counter).all(|counter| window.accept(counter)));
    });
}

/// Counts `runs` runs of `stage`, after one that settles what happens once.
fn measure(name: &str, runs: usize, mut stage: impl FnMut()) {
    stage();
    boundary();
    for _ in 0..runs {
        stage();
    }
    boundary();
    println!("{runs}\t{name}");
}

/// Where callgrind writes its count down and begins again.
#[inline(never)]
fn boundary() {
    black_box(());
}
