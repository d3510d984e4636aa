//! The harness proves itself with engines that are known to work together.

use e2e::tunnel::check_pair;
use e2e::{Engine, Outer, needs};

const BYTES: u64 = 4 << 20;

#[test]
fn wireguard_go_and_boringtun_pass_the_common_checks() {
    let (first, second) = (Engine::wireguard_go(), Engine::boringtun());
    if needs::available(&[first.program(), second.program(), "wg", "ip", "ping"]) {
        check_pair(&first, &second, Outer::V4, true, BYTES).unwrap();
    }
}

#[test]
fn gotatun_and_wireguard_go_pass_the_common_checks() {
    let (first, second) = (Engine::gotatun(), Engine::wireguard_go());
    if needs::available(&[first.program(), second.program(), "wg", "ip", "ping"]) {
        check_pair(&first, &second, Outer::V6, false, BYTES).unwrap();
    }
}
