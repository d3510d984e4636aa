use proto::Tunnel;

use super::*;
use crate::datapath::help::Crew;
use crate::datapath::testing::Device;

fn shared() -> Arc<Shared<Device>> {
    Arc::new(
        Shared::new(
            vec![Device::new(u8::MAX)],
            Tunnel::new([1; 32]),
            Crew::new(1, false).unwrap(),
        )
        .unwrap(),
    )
}

#[test]
fn the_port_is_free_once_the_interface_is_down() {
    let shared = shared();
    let Workers { queues, helpers } = workers(&shared).unwrap();
    let lanes = Arc::clone(&queues[0].lanes);
    std::thread::scope(|scope| {
        queues.into_iter().for_each(|worker| drop(scope.spawn(|| worker.run())));
        helpers
            .into_iter()
            .for_each(|helper| drop(scope.spawn(|| helper.run())));
        for round in 0..50 {
            shared.up().unwrap();
            if round % 2 == 0 && lanes[0].offer() {
                shared.crew.call();
            }
            shared.down();
        }
        shared.stop.notify();
    });
}

#[test]
fn a_helper_returns_the_inbound_direction_when_nothing_comes() {
    let shared = shared();
    let Workers { queues, helpers } = workers(&shared).unwrap();
    shared.up().unwrap();
    let changed = &shared.queues()[0].changed;
    changed.drain();
    std::thread::scope(|scope| {
        let lane = &queues[0].lanes[0];
        assert!(lane.offer() && !lane.is_lent());
        helpers
            .into_iter()
            .for_each(|helper| drop(scope.spawn(|| helper.run())));
        // The worker is told, so that it watches the sockets again.
        assert!(sys::poll::readable(changed.fd(), Duration::from_secs(10)).unwrap());
        assert!(!lane.is_lent() && lane.offer());
        shared.stop.notify();
    });
}
