//! A stretch of network between two nodes that conveys nothing by itself: a test takes each datagram and passes it on,
//! or not, or twice, or changed.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr};

use proto::Message;
use sys::poll::readable;
use sys::udp::{Family, RecvBatch, SendMeta, UdpSocket};

use crate::PATIENCE;
use crate::node::{MTU, Node};
use crate::tun::ALL;

/// The wire: both nodes take its address for that of the other.
pub(crate) struct Wire {
    socket: UdpSocket,
    batch: RecvBatch,
    /// Datagrams that were received and not yet taken, with the port of their sender.
    waiting: VecDeque<(u16, Vec<u8>)>,
}

impl Wire {
    /// Makes a wire between two new nodes.
    pub(crate) fn between() -> (Node, Self, Node) {
        let wire = Self {
            socket: UdpSocket::bind(Family::V4, 0).unwrap(),
            batch: RecvBatch::new(4).unwrap(),
            waiting: VecDeque::new(),
        };
        let (left, right) = (Node::start(1, MTU, ALL), Node::start(2, MTU, ALL));
        left.add_peer(&right, wire.address());
        right.add_peer(&left, wire.address());
        (left, wire, right)
    }

    /// Makes a wire between two new nodes that have a session.
    pub(crate) fn with_session() -> (Node, Self, Node) {
        let (left, mut wire, right) = Self::between();
        let packet = left.udp_to(&right).packet(1);
        left.tun.push_packet(&packet);
        wire.convey(&left, &right);
        wire.convey(&right, &left);
        wire.convey(&left, &right);
        assert_eq!(right.tun.next(), packet);
        (left, wire, right)
    }

    /// Where the wire is.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.socket.port()).into()
    }

    /// Takes the next datagram, which must be of `node`. Keepalives, which come by time alone, are passed over.
    pub(crate) fn take(&mut self, node: &Node) -> Vec<u8> {
        loop {
            while self.waiting.is_empty() {
                self.receive();
            }
            let (port, datagram) = self.waiting.pop_front().unwrap();
            if datagram.len() > proto::DATA_OVERHEAD {
                assert_eq!(port, node.port(), "a datagram of another node");
                return datagram;
            }
        }
    }

    /// Takes the next `count` datagrams, which must be of `node`.
    pub(crate) fn take_row(&mut self, node: &Node, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.take(node)).collect()
    }

    /// Hands `node` a datagram.
    pub(crate) fn give(&self, node: &Node, datagram: &[u8]) {
        give_from(&self.socket, node, datagram);
    }

    /// Hands `node` datagrams of one length, but for the last, in one go: where the kernel can, it hands them on as one.
    pub(crate) fn give_joined(&self, node: &Node, datagrams: &[Vec<u8>]) {
        if !self.socket.features().gso {
            return datagrams.iter().for_each(|datagram| self.give(node, datagram));
        }
        let meta = SendMeta {
            segment: Some(datagrams[0].len() as u16),
            ..meta(node)
        };
        let parts: Vec<_> = datagrams.iter().map(|datagram| IoSlice::new(datagram)).collect();
        self.socket.send(&meta, &parts).unwrap();
    }

    /// Passes the next datagram on.
    pub(crate) fn convey(&mut self, from: &Node, to: &Node) {
        let datagram = self.take(from);
        self.give(to, &datagram);
    }

    fn receive(&mut self) {
        assert!(readable(self.socket.fd(), PATIENCE).unwrap(), "no datagram came");
        if self.socket.recv(&mut self.batch).is_ok() {
            let datagrams = self.batch.datagrams_mut(0, 0);
            self.waiting
                .extend(datagrams.map(|datagram| (datagram.origin.remote.port(), datagram.bytes.to_vec())));
        }
    }
}

/// Sends `node` a datagram from any socket.
pub(crate) fn give_from(socket: &UdpSocket, node: &Node, datagram: &[u8]) {
    socket.send(&meta(node), &[IoSlice::new(datagram)]).unwrap();
}

/// Whether a datagram is transport data.
pub(crate) fn is_data(datagram: &[u8]) -> bool {
    matches!(Message::parse(datagram), Ok(Message::Data(_)))
}

fn meta(node: &Node) -> SendMeta {
    SendMeta {
        remote: node.endpoint(),
        source: None,
        tos: 0,
        segment: None,
    }
}
