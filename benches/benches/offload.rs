//! Segmentation, coalescing and checksums.

use std::hint::black_box;

use benches::offload::{Row, SEGMENTS, SuperPacket};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use engine::offload::checksum;
use engine::offload::coalesce::Coalescer;

const SIZES: [usize; 5] = [20, 64, 512, 1420, 9000];

fn main() {
    divan::main();
}

#[divan::bench]
fn split(bencher: Bencher<'_, '_>) {
    let packet = SuperPacket::new();
    let mut out = vec![0; 1 << 16];
    bencher
        .counter(ItemsCount::new(SEGMENTS))
        .bench_local(|| packet.split(black_box(&mut out)));
}

#[divan::bench]
fn coalesce(bencher: Bencher<'_, '_>) {
    let row = Row::new();
    let mut coalescer = Coalescer::new();
    bencher
        .counter(ItemsCount::new(SEGMENTS))
        .bench_local(|| black_box(&row).coalesce(&mut coalescer));
}

#[divan::bench(args = SIZES)]
fn sum(bencher: Bencher<'_, '_>, size: usize) {
    let bytes = vec![0xa5; size];
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| checksum::sum(black_box(&bytes)));
}

#[divan::bench(args = SIZES)]
fn copy_and_sum(bencher: Bencher<'_, '_>, size: usize) {
    let (bytes, mut out) = (vec![0xa5; size], vec![0; size]);
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| checksum::copy_and_sum(black_box(&mut out), black_box(&bytes)));
}
