use proto::Tunnel;

use super::*;
use crate::datapath::testing::Device;

const MS: u64 = 1_000_000;

fn shared() -> Arc<Shared<Device>> {
    Arc::new(Shared::new(Device::new(u8::MAX), Tunnel::new([1; 32])).unwrap())
}

#[test]
fn the_port_is_free_once_the_interface_is_down() {
    let shared = shared();
    let (first, second) = workers(&shared).unwrap();
    let lane = Arc::clone(&first.lane);
    std::thread::scope(|scope| {
        scope.spawn(move || first.run());
        scope.spawn(move || second.run());
        for round in 0..50 {
            shared.up().unwrap();
            if round % 2 == 0 {
                lane.lend();
            }
            shared.down();
        }
        shared.stop.notify();
    });
}

#[test]
fn the_second_worker_returns_the_inbound_direction_when_nothing_comes() {
    let shared = shared();
    let (first, second) = workers(&shared).unwrap();
    shared.up().unwrap();
    shared.changed.drain();
    std::thread::scope(|scope| {
        scope.spawn(move || second.run());
        first.lane.lend();
        assert!(first.lane.is_lent());
        // The first worker is told, so that it watches the sockets again.
        assert!(sys::poll::readable(shared.changed.fd(), Duration::from_secs(10)).unwrap());
        assert!(!first.lane.is_lent());
        shared.stop.notify();
    });
}

/// Feeds a window with turns a millisecond apart and returns how many of them were told to be saturated.
fn saturated(turns: u64, cpu_per_ms: u64, two_way: impl Fn(u64) -> bool) -> usize {
    let mut window = Window::default();
    let start = 5000 * MS;
    window.is_saturated(start, || 0, false);
    (1..=turns)
        .filter(|&turn| window.is_saturated(start + turn * MS, || turn * cpu_per_ms, two_way(turn)))
        .count()
}

#[test]
fn a_worker_that_never_rests_with_work_both_ways_is_saturated() {
    assert_eq!(saturated(200, MS, |_| true), 4);
    assert_eq!(saturated(200, MS, |turn| turn % 3 == 0), 4);
}

#[test]
fn a_worker_that_sleeps_or_waits_for_a_processor_is_not_saturated() {
    assert_eq!(saturated(200, MS * 9 / 10, |_| true), 0);
}

#[test]
fn a_worker_with_one_direction_is_not_saturated() {
    assert_eq!(saturated(200, MS, |turn| turn % 10 == 0), 0);
}

#[test]
fn a_window_after_a_long_sleep_does_not_count() {
    let mut window = Window::default();
    window.is_saturated(MS, || 0, true);
    assert!(!window.is_saturated(200 * MS, || 200 * MS, true));
}
