//! How an engine begins and ends, and follows its device.

use std::net::UdpSocket;
use std::sync::mpsc::channel;
use std::thread;

use engine::{Engine, Options};
use sys::errno::{EBADFD, EIO};

use crate::PATIENCE;
use crate::node::{MTU, Node, greet, options, pair};
use crate::packet::Flow;
use crate::tun::{ALL, MemTun};

/// Binds `port` in both families, as the engine does.
pub(crate) fn bind(port: u16) -> std::io::Result<()> {
    UdpSocket::bind(("0.0.0.0", port))?;
    match UdpSocket::bind(("::", port)) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    }
}

/// Waits until the engine has ended by itself.
fn ends(engine: Engine<MemTun>) {
    let (ended, end) = channel();
    thread::spawn(move || {
        engine.wait();
        let _ = ended.send(());
    });
    end.recv_timeout(PATIENCE).expect("the engine goes on");
}

#[test]
fn a_stopped_engine_leaves_no_thread_and_no_socket() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    let (tun, port) = (left.tun.clone(), left.port());
    assert!(bind(port).is_err(), "the port is in use");
    let mut flow = left.udp_to(&right);
    for _ in 0..100 {
        tun.push_packet(&flow.packet(1000));
    }
    let Node { engine, tun: other, .. } = left;
    drop(other);
    assert!(tun.holders() > 1);
    drop(engine);
    // Every thread holds the device.
    assert_eq!(tun.holders(), 1);
    bind(port).unwrap();
}

#[test]
fn a_stopper_ends_an_idle_engine() {
    let engine = Engine::start(options(&MemTun::new(MTU, ALL))).unwrap();
    engine.stopper().stop();
    ends(engine);
}

#[test]
fn an_engine_ends_with_its_device() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    let port = left.port();
    left.tun.remove();
    ends(left.engine);
    bind(port).unwrap();
}

#[test]
fn a_failed_read_from_a_device_that_is_still_there_ends_nothing() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    for errno in [EIO, EBADFD] {
        left.tun.fail_read(errno);
        let packet = left.udp_to(&right).packet(10);
        left.tun.push_packet(&packet);
        assert_eq!(right.tun.next(), packet);
    }
}

#[test]
fn the_mtu_is_told_at_the_start_and_bounds_padding() {
    let (told, mtus) = channel();
    let tun = MemTun::new(1299, ALL);
    let engine = Engine::start(Options {
        on_mtu: Some(Box::new(move |mtu| told.send(mtu).unwrap())),
        ..options(&tun)
    })
    .unwrap();
    assert_eq!(mtus.recv_timeout(PATIENCE), Ok(1299));
    tun.set_mtu(1400);
    assert_eq!(mtus.recv_timeout(PATIENCE), Ok(1400));
    drop(engine);
}

#[test]
fn down_closes_the_port_and_up_opens_the_same_one() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    let port = left.port();
    for _ in 0..20 {
        left.tun.set_up(false);
        bind(port).expect("the port is free while the interface is down");
        left.tun.set_up(true);
        assert!(bind(port).is_err());
        assert_eq!(left.port(), port);
    }
    let status = left.peer();
    assert!(status.last_handshake.is_some() && status.tx_bytes > 0 && status.endpoint.is_some());
}

#[test]
fn what_waited_for_a_session_is_gone_after_down() {
    let left = Node::start(1, MTU, ALL);
    let right = Node::start(2, MTU, ALL);
    // The right node does not know the left one yet.
    left.add_peer(&right, right.endpoint());
    let mut flow = left.udp_to(&right);
    left.tun.push_packet(&flow.packet(10));
    let nobody = Flow::udp(left.v4(), crate::node::inner_v4(99)).packet(1);
    left.tun.push_packet(&nobody);
    assert_eq!(left.tun.next()[28..], nobody[..], "what came before is staged");
    left.tun.set_up(false);
    right.add_peer(&left, left.endpoint());
    left.tun.set_up(true);
    let packet = flow.packet(20);
    left.tun.push_packet(&packet);
    assert_eq!(right.tun.next(), packet);
}

/// A device that is gone before the engine starts: either it does not start, or it ends at once.
#[test]
fn an_engine_on_a_device_that_is_gone_does_not_stay() {
    let tun = MemTun::new(MTU, ALL);
    tun.remove();
    if let Ok(engine) = Engine::start(options(&tun)) {
        ends(engine);
    }
}
