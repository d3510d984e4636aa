//! The protocol core: handshakes, routing, receiver indices, allowed IPs, the replay window.

use std::hint::black_box;

use benches::tunnels::{Handshake, INNER, NOW, Prefixes, Session};
use divan::Bencher;
use divan::counter::ItemsCount;
use proto::ReplayWindow;

/// Counters in a run: datagrams of one full send.
const RUN: u64 = 45;

fn main() {
    divan::main();
}

/// Makes an initiation.
#[divan::bench]
fn handshake_initiate(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(Handshake::new)
        .bench_local_values(Handshake::initiate);
}

/// Takes an initiation and makes the response.
#[divan::bench]
fn handshake_respond(bencher: Bencher<'_, '_>) {
    let initiated = || Handshake::new().initiate();
    bencher.with_inputs(initiated).bench_local_values(Handshake::respond);
}

/// Takes a response and seals the packet that waited.
#[divan::bench]
fn handshake_finish(bencher: Bencher<'_, '_>) {
    let responded = || Handshake::new().initiate().respond();
    bencher.with_inputs(responded).bench_local_values(Handshake::finish);
}

#[divan::bench]
fn route(bencher: Bencher<'_, '_>) {
    let mut session = Session::new();
    bencher.bench_local(|| session.initiator.route(NOW, black_box(INNER[1]), 45));
}

#[divan::bench]
fn receiver(bencher: Bencher<'_, '_>) {
    let mut session = Session::new();
    bencher.bench_local(|| session.responder.receiver(NOW, black_box(session.index)));
}

/// So many at a time that the table is in the caches as far as it fits there.
#[divan::bench(args = [1, 100, 10_000, 100_000], sample_size = 4096)]
fn allowed_ips(bencher: Bencher<'_, '_>, prefixes: usize) {
    let mut prefixes = Prefixes::new(prefixes);
    bencher.bench_local(|| prefixes.lookup());
}

#[divan::bench]
fn replay_window(bencher: Bencher<'_, '_>) {
    let (mut window, mut counter) = (ReplayWindow::new(), 0);
    bencher.counter(ItemsCount::new(RUN)).bench_local(|| {
        counter += RUN;
        (counter - RUN..counter).all(|counter| window.accept(counter))
    });
}
