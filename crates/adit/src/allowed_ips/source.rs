//! Where the allowed IPs of peers are read.

use std::path::Path;

use conf::key_text;
use conf::prefix::Prefix;
use conf::problem::Severity;
use conf::wg::file::{Dialect, Reading};
use host::wireguard;
use proto::PublicKey;

use super::Failure;
use super::peers::Peers;
use crate::config_file;

/// Reads the peers of an interface, or of a file: whatever has a `/` or ends in `.conf`.
pub(super) fn peers(source: &str) -> Result<Peers, Failure> {
    if source.contains('/') || source.ends_with(".conf") {
        in_file(source)
    } else {
        of_interface(source)
    }
}

fn of_interface(name: &str) -> Result<Peers, Failure> {
    let status = wireguard::open(name).and_then(|mut device| device.status());
    let status = status.map_err(|error| Failure::new(name, error))?;
    let mut peers = Peers::default();
    for peer in status.peers {
        add(&mut peers, peer.public_key, peer.allowed_ips);
    }
    Ok(peers)
}

fn in_file(path: &str) -> Result<Peers, Failure> {
    let text = config_file::read(Path::new(path)).map_err(|error| Failure::new(path, error))?;
    let reading = Reading::of(&text, Dialect::Quick);
    // Who gets what cannot be told from half a file.
    if let Some(problem) = reading
        .problems
        .iter()
        .find(|problem| problem.severity == Severity::Error)
    {
        return Err(Failure(format!("{path}:{problem}")));
    }
    let mut peers = Peers::default();
    for peer in reading.config.peers {
        add(&mut peers, peer.public_key.value, peer.allowed_ips.added());
    }
    Ok(peers)
}

fn add(peers: &mut Peers, key: PublicKey, allowed_ips: impl IntoIterator<Item = Prefix>) {
    peers.add(key_text::base64(key.as_bytes()).to_string(), allowed_ips);
}
