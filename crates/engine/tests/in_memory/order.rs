//! The order of each flow under load: one hub, several peers, all directions at once.

use std::thread;

use crate::node::{MTU, Node, introduce};
use crate::packet::{Flow, segments, udp_payload};
use crate::tun::{ALL, MemTun};

const PEERS: u8 = 3;
const ROUNDS: usize = 150;
/// Super-packets of a flow under way: together they fit the hub's socket buffer whatever the limit of the system.
const WINDOW: usize = 2;

/// What a flow sends in one round: super-packets of changing shape and single packets.
fn round(flow: &mut Flow, round: usize) -> (engine::offload::VnetHeader, Vec<u8>) {
    match round % 3 {
        0 => flow.super_packet(20 * 1200 + round, 1200),
        1 => (engine::offload::VnetHeader::default(), flow.packet(round)),
        _ => flow.super_packet(5 * 300, 300),
    }
}

/// Sends all rounds of a flow as the receipts allow.
fn send(tun: &MemTun, mut flow: Flow, receipts: &std::sync::mpsc::Receiver<()>) {
    for number in 0..ROUNDS {
        if number >= WINDOW {
            receipts.recv_timeout(crate::PATIENCE).expect("the flow stands still");
        }
        let (vnet, packet) = round(&mut flow, number);
        tun.push(vnet, &packet);
    }
}

/// Takes all that the flows bring to one node and checks each against what was sent, in order.
fn receive(tun: &MemTun, flows: Vec<(Flow, std::sync::mpsc::Sender<()>)>) {
    // Per flow: what is to come, the last first, with the receipt to give after each round.
    let mut expected: Vec<_> = flows
        .into_iter()
        .map(|(flow, receipt)| {
            let mut sent = flow.clone();
            let mut packets = Vec::new();
            for number in 0..ROUNDS {
                let (vnet, packet) = round(&mut sent, number);
                packets.extend(segments(&vnet, &packet).into_iter().map(|packet| (packet, false)));
                packets.last_mut().unwrap().1 = true;
            }
            packets.reverse();
            (flow.source, packets, receipt)
        })
        .collect();
    let total = expected.iter().map(|(_, packets, _)| packets.len()).sum();
    for _ in 0..total {
        let packet = tun.next();
        let (_, packets, receipt) = expected
            .iter_mut()
            .find(|(source, ..)| packet[12..16] == source_bytes(*source))
            .unwrap();
        let (next, ends_round) = packets.pop().unwrap();
        assert!(
            packet == next,
            "{} bytes out of order",
            udp_payload(&packet).unwrap().len()
        );
        if ends_round {
            // The sender may be done.
            let _ = receipt.send(());
        }
    }
}

fn source_bytes(address: std::net::IpAddr) -> [u8; 4] {
    match address {
        std::net::IpAddr::V4(address) => address.octets(),
        std::net::IpAddr::V6(_) => unreachable!("flows of this test are IPv4"),
    }
}

#[test]
fn every_flow_keeps_its_order_while_all_peers_send_both_ways() {
    let hub = Node::start(1, MTU, ALL);
    let peers: Vec<_> = (2..2 + PEERS).map(|number| Node::start(number, MTU, ALL)).collect();
    peers.iter().for_each(|peer| introduce(peer, &hub));
    thread::scope(|scope| {
        let mut to_hub = Vec::new();
        for peer in &peers {
            let (receipt, receipts) = std::sync::mpsc::channel();
            let flow = peer.udp_to(&hub);
            to_hub.push((flow.clone(), receipt));
            scope.spawn(move || send(&peer.tun, flow, &receipts));
            let (receipt, receipts) = std::sync::mpsc::channel();
            let flow = hub.udp_to(peer);
            let hub = &hub;
            scope.spawn({
                let flow = flow.clone();
                move || send(&hub.tun, flow, &receipts)
            });
            scope.spawn(move || receive(&peer.tun, vec![(flow, receipt)]));
        }
        receive(&hub.tun, to_hub);
    });
}
