//! Two whole tunnels with a null cipher, driven by any sequence of events, against a small model.
//!
//! The simulation itself checks that no counter is used twice, that nothing is delivered twice, and that what is delivered was
//! sent. The model here keeps the books of each side: a packet that a tunnel takes is sent once, dropped and counted, or still
//! staged, and no more than 129 are for each peer. After a change of key a side may have the other as a peer twice.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use proto::{DropReason, Endpoint, PresharedKey};
use simnet::{A, B, Kind, Link, NodeId, Sim, ms};

#[derive(Arbitrary, Debug)]
struct Input {
    seed: u8,
    actions: Vec<Action>,
}

#[derive(Arbitrary, Debug)]
enum Action {
    Send {
        first: bool,
        len: u16,
        times: u8,
    },
    Wait {
        milliseconds: u16,
    },
    WaitLong {
        seconds: u16,
    },
    Link {
        first: bool,
        loss: u8,
        duplicate: u8,
        delay: u8,
        spread: u16,
    },
    Rebind {
        first: bool,
    },
    Replay {
        first: bool,
        which: u16,
        from_elsewhere: bool,
    },
    Down {
        first: bool,
    },
    Up {
        first: bool,
    },
    PresharedKey {
        first: bool,
        key: Option<u8>,
    },
    PrivateKey {
        first: bool,
        key: u8,
    },
    Keepalive {
        first: bool,
        seconds: u16,
    },
    Endpoint {
        first: bool,
    },
    Remove {
        first: bool,
    },
    Introduce {
        first: bool,
    },
    Suspend {
        first: bool,
        seconds: u16,
    },
    JumpMono {
        first: bool,
        seconds: u16,
    },
    JumpWall {
        first: bool,
        back: bool,
        seconds: u16,
    },
    Mtu {
        first: bool,
        mtu: u16,
    },
    AllowedIp {
        first: bool,
        prefix_len: u8,
        add: bool,
    },
    Mute {
        first: bool,
        mute: bool,
    },
}

fuzz_target!(|input: Input| {
    let mut sim = Sim::pair(input.seed.into());
    let mut taken = [0u64; 2];
    for action in input.actions.into_iter().take(200) {
        act(&mut sim, &mut taken, action);
        for node in [A, B] {
            check_books(&sim, node, taken[node.0]);
        }
    }
});

fn check_books(sim: &Sim, node: NodeId, taken: u64) {
    let tunnel = sim.tunnel(node);
    let sent = sim.count(node, Kind::Data) as u64;
    let dropped: u64 = [
        DropReason::StagedOverflow,
        DropReason::HandshakeTimeout,
        DropReason::StagedPurged,
        DropReason::TransmitFailed,
    ]
    .map(|r| sim.drops(node, r))
    .iter()
    .sum();
    let (mut peers, mut staged) = (0, 0);
    for peer in tunnel.peers().filter_map(|id| tunnel.peer(id)) {
        assert!(
            peer.staged_packets() <= 129,
            "{} packets are staged",
            peer.staged_packets()
        );
        peers += 1;
        staged += peer.staged_packets() as u64;
    }
    // Keepalives and handshake messages that were dropped or wait are in these numbers too; a peer never has more than one waiting.
    assert!(
        taken <= sent + dropped + staged,
        "of {taken} packets {sent} went out, {dropped} were dropped and {staged} wait"
    );
    assert!(
        sent + staged <= taken + peers,
        "of {taken} packets {sent} went out and {staged} wait, for {peers} peers"
    );
}

fn act(sim: &mut Sim, taken: &mut [u64; 2], action: Action) {
    let sides = |first| if first { (A, B) } else { (B, A) };
    let peer = |sim: &Sim, first| {
        let (node, other) = sides(first);
        sim.tunnel(node).peer_id(&sim.public_key(other))
    };
    match action {
        Action::Send { first, len, times } => {
            let (node, other) = sides(first);
            for _ in 0..=times {
                taken[node.0] += u64::from(sim.try_send(node, other, usize::from(len % 2000)).is_ok());
            }
        }
        Action::Wait { milliseconds } => sim.run_for(ms(milliseconds.into())),
        Action::WaitLong { seconds } => sim.run_for(simnet::s(u64::from(seconds) % 700)),
        Action::Link {
            first,
            loss,
            duplicate,
            delay,
            spread,
        } => {
            let (node, other) = sides(first);
            let low = ms(delay.into());
            let link = Link::lossy(
                f64::from(loss) / 255.0,
                f64::from(duplicate) / 255.0,
                low,
                low + ms(spread.into()),
            );
            sim.set_link(node, other, link);
        }
        Action::Rebind { first } => sim.rebind(sides(first).0),
        Action::Replay {
            first,
            which,
            from_elsewhere,
        } => {
            let to = sides(first).0;
            let log: Vec<_> = sim.wire().iter().filter(|d| d.from != to).collect();
            if let Some(old) = log.get(usize::from(which) % log.len().max(1)).map(|&d| d.clone()) {
                let source = if from_elsewhere {
                    "203.0.113.9:9".parse().unwrap()
                } else {
                    old.source
                };
                let _ = sim.inject(to, source, &old.payload);
            }
        }
        Action::Down { first } => sim.with(sides(first).0, |tunnel, now| tunnel.set_down(now)),
        Action::Up { first } => sim.with(sides(first).0, |tunnel, now| tunnel.set_up(now)),
        Action::PresharedKey { first, key } => {
            if let Some(peer) = peer(sim, first) {
                let key = key.map(|byte| PresharedKey::from_bytes([byte; 32]));
                sim.with(sides(first).0, |tunnel, _| tunnel.set_preshared_key(peer, key));
            }
        }
        Action::PrivateKey { first, key } => {
            sim.change_key(sides(first).0, [if first { key | 1 } else { key & 0xfe }; 32])
        }
        Action::Keepalive { first, seconds } => {
            if let Some(peer) = peer(sim, first) {
                sim.with(sides(first).0, |tunnel, now| {
                    tunnel.set_persistent_keepalive(now, peer, seconds)
                });
            }
        }
        Action::Endpoint { first } => {
            if let Some(peer) = peer(sim, first) {
                let endpoint = Endpoint::new(sim.address(sides(first).1));
                sim.with(sides(first).0, |tunnel, _| tunnel.set_endpoint(peer, endpoint));
            }
        }
        Action::Remove { first } => {
            if let Some(peer) = peer(sim, first) {
                sim.with(sides(first).0, |tunnel, _| tunnel.remove_peer(peer));
            }
        }
        Action::Introduce { first } => {
            let (node, other) = sides(first);
            if sim.tunnel(node).public_key() != Some(sim.public_key(other)) {
                sim.introduce(node, other);
            }
        }
        Action::Suspend { first, seconds } => sim.suspend(sides(first).0, simnet::s(seconds.into())),
        Action::JumpMono { first, seconds } => sim.jump_mono(sides(first).0, simnet::s(seconds.into())),
        Action::JumpWall {
            first,
            back: false,
            seconds,
        } => sim.jump_wall(sides(first).0, simnet::s(seconds.into())),
        Action::JumpWall {
            first,
            back: true,
            seconds,
        } => sim.jump_wall_back(sides(first).0, simnet::s(seconds.into())),
        Action::Mute { first, mute } => sim.set_mute(sides(first).0, mute),
        Action::Mtu { first, mtu } => sim.with(sides(first).0, |tunnel, _| tunnel.set_mtu(mtu.into())),
        Action::AllowedIp { first, prefix_len, add } => {
            if let Some(peer) = peer(sim, first) {
                sim.with(sides(first).0, |tunnel, _| {
                    let address = [10, 0, 0, 0].into();
                    if add {
                        let _ = tunnel.add_allowed_ip(peer, address, prefix_len);
                    } else {
                        tunnel.remove_allowed_ip(peer, address, prefix_len);
                    }
                });
            }
        }
    }
}
