//! Emulated peers, thousands of them: each has keys, an address inside the tunnel and one outside, and a whole `proto::Tunnel`.
//!
//! All follow from the number of the peer, so that the configuration of the engine can be made without asking the peers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use conf::key_text::parse_base64;
use proto::{Endpoint, Instant, Now, PrivateKey, PublicKey, Transmit, Tunnel};
use sys::clock;

/// The first address inside the tunnel: RFC 2544's range for benchmarks, which has room for 131,072.
const INNER: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// The first address outside: RFC 6598's shared range. The sending side must own it, the other one have a route to it.
const OUTER: u32 = u32::from_be_bytes([100, 64, 0, 0]);
/// The most peers there are inner addresses for.
pub(crate) const MOST: u32 = 1 << 17;

/// Which peers there are, and who answers them.
#[derive(Args)]
pub(crate) struct Crowd {
    /// The responder's address and port
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// The responder's public key, in base64
    #[arg(long)]
    key: String,
    /// Number of peers
    #[arg(long)]
    peers: u32,
}

impl Crowd {
    /// Makes the peers.
    pub(crate) fn clients(&self, now: Now) -> Result<Vec<Client>, String> {
        let key = parse_base64(self.key.as_bytes()).ok_or_else(|| format!("no key: {}", self.key))?;
        let responder = PublicKey::from_bytes(*key);
        let clients = (0..self.peers).map(|number| Client::new(now, number, responder, self.target));
        clients.collect()
    }
}

/// One emulated peer.
pub(crate) struct Client {
    pub(crate) tunnel: Tunnel,
    /// The address its datagrams come from.
    pub(crate) outer: Ipv4Addr,
}

impl Client {
    /// Makes peer `number`, ready to shake hands with `responder` at `target`.
    pub(crate) fn new(now: Now, number: u32, responder: PublicKey, target: SocketAddr) -> Result<Client, String> {
        let mut tunnel = Tunnel::new(bytes(number, 2));
        tunnel.set_private_key(now, Some(private_key(number)));
        let peer = tunnel.add_peer(now, responder).map_err(|error| error.to_string())?;
        tunnel.set_endpoint(peer, Endpoint::new(target));
        let all = tunnel.add_allowed_ip(peer, Ipv4Addr::UNSPECIFIED.into(), 0);
        all.map_err(|error| error.to_string())?;
        tunnel.set_up(now);
        Ok(Client {
            tunnel,
            outer: outer(number),
        })
    }

    /// Stages a packet, which starts a handshake, and returns the initiation.
    pub(crate) fn initiate(&mut self, now: Now) -> Result<Transmit, String> {
        // The shortest IPv4 packet; nobody reads it.
        let mut packet = [0; 20];
        (packet[0], packet[3]) = (0x45, 20);
        packet[16..20].copy_from_slice(&[10, 0, 0, 1]);
        self.tunnel
            .handle_packet(now, &packet)
            .map_err(|error| error.to_string())?;
        self.tunnel
            .poll_transmit()
            .ok_or_else(|| "no initiation was made".into())
    }
}

/// The public key of peer `number`.
pub(crate) fn public_key(number: u32) -> PublicKey {
    private_key(number).public_key()
}

/// The address of peer `number` inside the tunnel.
pub(crate) fn inner(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(INNER + number)
}

/// The address of peer `number` outside.
pub(crate) fn outer(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(OUTER + number)
}

/// The peer that has the outer address `address`.
pub(crate) fn number_of(address: IpAddr) -> Option<u32> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_sub(OUTER),
        IpAddr::V6(_) => None,
    }
}

/// The time on both clocks.
pub(crate) fn now() -> Now {
    Now {
        mono: Instant::from_nanos(clock::boottime_nanos()),
        wall: clock::realtime(),
    }
}

/// `now`, later by `duration`.
pub(crate) fn later(now: Now, duration: Duration) -> Now {
    Now {
        mono: now.mono + duration,
        wall: now.wall + duration,
    }
}

fn private_key(number: u32) -> PrivateKey {
    PrivateKey::from_bytes(bytes(number, 1))
}

/// 32 bytes that differ for each number and purpose; splitmix64. They protect nothing.
fn bytes(number: u32, purpose: u64) -> [u8; 32] {
    let mut state = u64::from(number) | purpose << 32;
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        part.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_differ_and_stay_the_same() {
        assert_eq!(public_key(7), public_key(7));
        assert_ne!(public_key(7), public_key(8));
        assert_ne!(bytes(7, 1), bytes(7, 2));
        assert_eq!(number_of(outer(70_000).into()), Some(70_000));
        assert_eq!(inner(256).to_string(), "198.18.1.0");
    }

    #[test]
    fn a_client_initiates_with_a_message_of_the_right_length() {
        let target = SocketAddr::from(([192, 0, 2, 2], 51_821));
        let mut client = Client::new(now(), 1, public_key(2), target).unwrap();
        let transmit = client.initiate(now()).unwrap();
        assert_eq!(transmit.payload.len(), proto::INITIATION_LEN);
        assert_eq!(transmit.endpoint.remote, target);
    }
}
