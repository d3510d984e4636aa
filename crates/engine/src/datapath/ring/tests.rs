use std::convert::Infallible;

use super::*;

/// A granule that tells how often it was worked on.
#[derive(Default)]
struct Toy {
    number: usize,
    worked: usize,
}

impl Granule for Toy {
    fn work(&mut self) {
        self.worked += 1;
    }
}

fn ring(places: usize) -> Ring<Toy> {
    Ring::with_places(places, || Ok::<_, Infallible>(Toy::default())).unwrap()
}

/// Sends `count` granules round and checks that each comes out once, worked on once, in order.
fn send_round(ring: &Ring<Toy>, count: usize) {
    let mut line = Line::new(ring);
    let mut next = 0;
    let mut check = |mut done: Done<'_, Toy>| {
        assert_eq!((done.number, done.worked), (next, 1));
        next += 1;
        *done = Toy::default();
    };
    for number in 0..count {
        if line.is_full() {
            check(line.next().unwrap());
        }
        line.push(&mut Toy { number, worked: 0 });
    }
    while let Some(done) = line.next() {
        check(done);
    }
    assert_eq!(next, count);
}

#[cfg(not(feature = "loom"))]
#[test]
fn granules_leave_in_order_without_help() {
    let ring = ring(PLACES);
    assert!(!ring.work_on_one());
    send_round(&ring, 3 * PLACES + 1);
    assert!(!ring.work_on_one());
}

#[cfg(not(feature = "loom"))]
#[test]
fn granules_leave_in_order_whoever_works_on_them() {
    let ring = ring(PLACES);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    if !ring.work_on_one() {
                        std::thread::yield_now();
                    }
                }
            });
        }
        for _ in 0..2000 {
            send_round(&ring, 21);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[cfg(feature = "loom")]
#[test]
fn loom_granules_leave_in_order_whoever_works_on_them() {
    loom::model(|| {
        let ring = std::sync::Arc::new(ring(2));
        let helper = loom::thread::spawn({
            let ring = std::sync::Arc::clone(&ring);
            move || {
                ring.work_on_one();
                ring.work_on_one();
            }
        });
        send_round(&ring, 3);
        helper.join().unwrap();
        assert!(!ring.work_on_one());
    });
}
