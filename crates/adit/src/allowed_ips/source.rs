//! Where the allowed IPs of peers are read.

use conf::key_text;
use host::wireguard;

use super::Failure;
use super::peers::Peers;

/// Reads the peers of an interface.
pub(super) fn peers(name: &str) -> Result<Peers, Failure> {
    let status = wireguard::open(name).and_then(|mut device| device.status());
    let status = status.map_err(|error| Failure::new(name, error))?;
    let mut peers = Peers::default();
    for peer in status.peers {
        let key = key_text::base64(peer.public_key.as_bytes()).to_string();
        peers.add(key, peer.allowed_ips);
    }
    Ok(peers)
}
