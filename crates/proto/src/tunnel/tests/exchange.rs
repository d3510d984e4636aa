//! An initiation whose Diffie-Hellman is done elsewhere while the tunnel goes on.

use super::*;
use crate::message::RESPONSE_LEN;

fn initiation(pair: &mut Pair) -> Vec<u8> {
    pair.stage(A, 100, 1);
    pair.drain(A).remove(0)
}

fn begin(pair: &mut Pair, initiation: &[u8]) -> Exchange {
    let source = Endpoint::new(address(A));
    let admitted = pair.tunnels[B].mac1_checker().unwrap().admit(source, initiation);
    let now = pair.now();
    let exchange = pair.tunnels[B].handle_admitted(now, admitted.unwrap());
    exchange.unwrap().unwrap()
}

fn proceed(pair: &mut Pair, exchange: Exchange) -> Result<Option<Exchange>, DropReason> {
    let now = pair.now();
    pair.tunnels[B].handle_computed(now, exchange.compute())
}

/// The exchange once the peer is known.
fn named(pair: &mut Pair, initiation: &[u8]) -> Exchange {
    let exchange = begin(pair, initiation);
    proceed(pair, exchange).unwrap().unwrap()
}

#[test]
fn two_steps_lead_to_the_response_and_a_session() {
    let mut pair = Pair::new();
    let message = initiation(&mut pair);
    let exchange = named(&mut pair, &message);
    assert!(pair.drain(B).is_empty() && pair.view(B).endpoint().is_none());
    assert!(proceed(&mut pair, exchange).unwrap().is_none());
    let response = pair.drain(B).remove(0);
    assert_eq!(response.len(), RESPONSE_LEN);
    pair.arrive(A, &response).unwrap();
    pair.pump();
    assert_eq!(pair.delivered[B].len(), 1);
}

#[test]
fn of_two_exchanges_with_one_message_the_second_is_refused() {
    let mut pair = Pair::new();
    let message = initiation(&mut pair);
    let (first, second) = (named(&mut pair, &message), named(&mut pair, &message));
    assert!(proceed(&mut pair, first).is_ok());
    assert_eq!(proceed(&mut pair, second).err(), Some(DropReason::OldTimestamp));
    let late = named(&mut pair, &message);
    assert_eq!(proceed(&mut pair, late).err(), Some(DropReason::OldTimestamp));
    assert_eq!(pair.drain(B).len(), 1);
    assert_eq!(pair.drops(B, DropReason::OldTimestamp), 2);
}

#[test]
fn what_is_configured_meanwhile_counts() {
    type Change = fn(&mut Pair);
    let changes: [(Change, DropReason); 4] = [
        (
            |pair| {
                let (now, tunnel) = (pair.now(), &mut pair.tunnels[B]);
                tunnel.set_private_key(now, Some(private(9)));
            },
            DropReason::BadMac1,
        ),
        (
            |pair| {
                let (now, tunnel) = (pair.now(), &mut pair.tunnels[B]);
                tunnel.set_private_key(now, None);
            },
            DropReason::BadMac1,
        ),
        (
            |pair| {
                let (now, tunnel) = (pair.now(), &mut pair.tunnels[B]);
                tunnel.set_down(now);
            },
            DropReason::InterfaceDown,
        ),
        (
            |pair| {
                let (now, id) = (pair.now(), pair.ids[B]);
                let key = pair.view(B).public_key();
                pair.tunnels[B].remove_peer(id);
                pair.ids[B] = pair.tunnels[B].add_peer(now, key).unwrap();
            },
            DropReason::UnknownPeer,
        ),
    ];
    for (change, reason) in changes {
        let mut pair = Pair::new();
        let message = initiation(&mut pair);
        let exchange = named(&mut pair, &message);
        change(&mut pair);
        assert_eq!(proceed(&mut pair, exchange).err(), Some(reason));
        assert!(pair.drain(B).is_empty());
        assert_eq!((pair.tunnels[B].indices.len(), pair.drops(B, reason)), (0, 1));
    }
}

#[test]
fn a_message_admitted_under_another_key_is_refused() {
    let mut pair = Pair::new();
    let message = initiation(&mut pair);
    let source = Endpoint::new(address(A));
    let admitted = pair.tunnels[B].mac1_checker().unwrap().admit(source, &message).unwrap();
    let (now, tunnel) = (pair.now(), &mut pair.tunnels[B]);
    tunnel.set_private_key(now, Some(private(9)));
    let refusal = tunnel.handle_admitted(now, admitted).err();
    assert_eq!(refusal, Some(DropReason::BadMac1));
}
