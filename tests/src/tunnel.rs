//! A configured tunnel between two nodes and the checks every pair of engines must pass.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::{Result, Running, Side, command, side, transfer};

/// The UDP port of machine 1; machine 2 has the next one.
const PORT: u16 = 51_820;

/// The address family between the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outer {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A machine that runs a line of shell: a namespace or a guest.
pub trait Node {
    /// Runs `line` and returns its output.
    ///
    /// # Errors
    /// When it exits with anything but 0.
    fn sh(&self, line: &str) -> Result<String>;
}

impl Node for Side {
    fn sh(&self, line: &str) -> Result<String> {
        Side::sh(self, line)
    }
}

/// Two nodes with interface `wg0` up, addressed and peered. Node 1 knows the endpoint of node 2, not the other way round,
/// so node 1 is the first initiator.
pub struct Tunnel<'a> {
    nodes: [&'a dyn Node; 2],
    keys: [String; 2],
    outer: Outer,
    secret: String,
}

impl<'a> Tunnel<'a> {
    /// Configures `wg0`, which must exist, on both nodes with stock `wg` and `ip`.
    ///
    /// # Errors
    /// When a command fails.
    pub fn configure(first: &'a dyn Node, second: &'a dyn Node, outer: Outer, psk: bool) -> Result<Tunnel<'a>> {
        let nodes = [first, second];
        let mut keys = [String::new(), String::new()];
        for (number, (node, key)) in (1u8..).zip(nodes.iter().zip(&mut keys)) {
            let port = PORT + u16::from(number) - 1;
            node.sh(&format!("umask 077; wg genkey > /run/wireguard/key; wg set wg0 listen-port {port} private-key /run/wireguard/key"))?;
            *key = node.sh("wg pubkey < /run/wireguard/key")?.trim().to_string();
        }
        let secret = if psk { first.sh("wg genpsk")? } else { String::new() };
        let tunnel = Tunnel {
            nodes,
            keys,
            outer,
            secret: secret.trim().into(),
        };
        for number in [1u8, 2] {
            tunnel.peer(number, number == 1)?;
            let (v4, v6) = (inner_v4(number), inner_v6(number));
            tunnel.node(number).sh(&format!(
                "ip addr add {v4}/24 dev wg0 && ip addr add {v6}/64 dev wg0 nodad; ip link set mtu 1420 up dev wg0"
            ))?;
        }
        Ok(tunnel)
    }

    /// Adds the other node as the peer of node `number`.
    fn peer(&self, number: u8, with_endpoint: bool) -> Result<()> {
        let other = 3 - number;
        let mut line = format!("wg set wg0 peer {}", self.key(other));
        if !self.secret.is_empty() {
            let secret = &self.secret;
            line = format!("echo '{secret}' > /run/wireguard/psk && {line} preshared-key /run/wireguard/psk");
        }
        line += &format!(" allowed-ips {}/32,{}/128", inner_v4(other), inner_v6(other));
        if with_endpoint {
            line += &format!(" endpoint {}", endpoint(other, self.outer));
        }
        self.node(number).sh(&line).map(drop)
    }

    /// Pings from node `from` to the other one, both families; the first ping makes the handshake.
    ///
    /// # Errors
    /// When no answer comes within 8 s, or a later ping of three is lost.
    pub fn ping(&self, from: u8) -> Result<()> {
        let other = 3 - from;
        for address in [IpAddr::from(inner_v4(other)), IpAddr::from(inner_v6(other))] {
            let node = self.node(from);
            command::until(Duration::from_secs(8), || node.sh(&format!("ping -c 1 -W 1 {address}")))?;
            node.sh(&format!("ping -c 3 -i 0.2 -W 2 {address}"))?;
        }
        Ok(())
    }

    /// The time of the last handshake node `number` knows, in seconds since 1970; 0 for none.
    ///
    /// # Errors
    /// When `wg show` fails.
    pub fn latest_handshake(&self, number: u8) -> Result<u64> {
        let text = self.node(number).sh("wg show wg0 latest-handshakes")?;
        let word = text
            .split_whitespace()
            .nth(1)
            .ok_or_else(|| format!("no peer in {text:?}"))?;
        word.parse().map_err(|_| format!("not a time: {word}"))
    }

    /// Forgets the session of node `number` by setting its peer anew with an endpoint, so that it must initiate.
    ///
    /// # Errors
    /// When `wg set` fails.
    pub fn restart(&self, number: u8) -> Result<()> {
        self.node(number)
            .sh(&format!("wg set wg0 peer {} remove", self.key(3 - number)))?;
        self.peer(number, true)
    }

    /// The public key of node `number`.
    pub fn key(&self, number: u8) -> &str {
        &self.keys[usize::from(number - 1)]
    }

    /// Node 1 or 2.
    pub fn node(&self, number: u8) -> &dyn Node {
        self.nodes[usize::from(number - 1)]
    }
}

/// Runs the common checks between engines `first` and `second` in the two sides of a lab, `first` being the initiator.
///
/// # Errors
/// Says which check failed and ends with both engines' logs.
pub fn check_pair(first: &crate::Engine, second: &crate::Engine, outer: Outer, psk: bool, bytes: u64) -> Result<()> {
    let lab = crate::Lab::new()?;
    let left = Running::start(first, &lab.left)?;
    let right = Running::start(second, &lab.right)?;
    let work = || {
        let tunnel = Tunnel::configure(&lab.left, &lab.right, outer, psk)?;
        tunnel.ping(1)?;
        tunnel.ping(2)?;
        for number in [1, 2] {
            if tunnel.latest_handshake(number)? == 0 {
                return Err(format!("node {number} reports no handshake"));
            }
        }
        transfer::transfer(&lab.left, &lab.right, inner_v4(2).into(), bytes)?;
        transfer::transfer(&lab.right, &lab.left, inner_v6(1).into(), bytes)
    };
    work().map_err(|error| {
        let pair = format!("{} to {} over {outer:?}, psk {psk}", first.name, second.name);
        format!("{pair}: {error}\n--- log 1\n{}\n--- log 2\n{}", left.log(), right.log())
    })
}

/// The outer address and port of node `number`.
pub fn endpoint(number: u8, outer: Outer) -> SocketAddr {
    let address = if outer == Outer::V4 {
        side::outer_v4(number)
    } else {
        side::outer_v6(number)
    };
    SocketAddr::new(address, PORT + u16::from(number) - 1)
}

/// The address of node `number` inside the tunnel.
pub fn inner_v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 11, 12, number)
}

/// The address of node `number` inside the tunnel.
pub fn inner_v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xad17, 0, 0, 0, 0, 0, number.into())
}
