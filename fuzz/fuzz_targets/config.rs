//! The file that configures an interface: any bytes.
//!
//! The lines together are the file; what is read without an error, made an interface by `setconf` and printed, reads as the
//! same; and `syncconf` finds nothing left to do then. A file that was saved says what the interface is. Problems are told in the
//! order of their places.

#![no_main]

use std::net::SocketAddr;

use conf::check::{File, check};
use conf::lexer;
use conf::quick::Quick;
use conf::uapi::{DeviceStatus, PeerStatus, SetRequest, set_request};
use conf::wg::change::Addresses;
use conf::wg::file::edit::{Live, edit};
use conf::wg::file::{Config, Dialect, Reading};
use libfuzzer_sys::fuzz_target;
use proto::PublicKey;

/// The key of a peer that comes.
const NEW: PublicKey = PublicKey::from_bytes([1; 32]);

fuzz_target!(|data: &[u8]| {
    let lines: Vec<u8> = lexer::lines(data).flat_map(|line| line.raw.to_vec()).collect();
    assert_eq!(lines, data, "a line lost something");
    let quick = Reading::of(data, Dialect::Quick);
    for problem in &quick.problems {
        assert!(!problem.message.is_empty() && problem.at.line > 0 && problem.at.column > 0);
    }
    rules(&quick);
    saved(data, &quick);
    if let Some(config) = read(data) {
        let addresses = addresses(&config);
        let status = device(config.setconf(&addresses));
        let printed = conf::wg::config(&status, &|endpoint| endpoint.to_string());
        let again = device(
            read(printed.as_bytes())
                .expect("what is printed is right")
                .setconf(&addresses),
        );
        let reprinted = conf::wg::config(&again, &|endpoint| endpoint.to_string());
        assert_eq!(*printed, *reprinted, "printing and reading is the identity");
        let same = read(printed.as_bytes())
            .expect("what is printed is right")
            .syncconf(&addresses, &status);
        assert_eq!(*set_request(&same), *b"set=1\n\n", "something is left to do");
    }
    if let Some(config) = read(data) {
        let addresses = addresses(&config);
        config.addconf(&addresses);
    }
});

fn rules(reading: &Reading) {
    let (quick, _) = Quick::of(&reading.config.quick);
    let file = File {
        path: "wg0.conf",
        config: &reading.config,
        quick: &quick,
        is_whole: !reading.has_errors(),
        mode: Some(0o644),
        networks: &[],
    };
    for problems in check(&[file, file]) {
        assert!(problems.is_sorted_by_key(|problem| problem.at));
    }
}

/// Saves another interface over the file: what comes out reads well, and has nothing to save.
fn saved(data: &[u8], reading: &Reading) {
    let (quick, problems) = Quick::of(&reading.config.quick);
    if reading.has_errors() || !problems.is_empty() {
        return;
    }
    let same = Reading::of(data, Dialect::Quick).config;
    let mut status = device(same.setconf(&addresses(&reading.config)));
    if status.peers.iter().all(|peer| peer.public_key != NEW) && !status.peers.is_empty() {
        let gone = status.peers.remove(0);
        let mut new = PeerStatus::new(NEW);
        new.allowed_ips = gone.allowed_ips;
        new.persistent_keepalive = 7;
        status.peers.push(new);
    }
    if let Some(first) = status.peers.first_mut() {
        first.endpoint = None;
        first.persistent_keepalive = 9;
        first.allowed_ips.truncate(1);
    }
    status.listen_port = 9;
    let live = Live {
        device: &status,
        addresses: &[],
        mtu: 1400,
        mark_is_chosen: false,
        endpoint_text: &|endpoint| endpoint.to_string(),
    };
    if let Some(text) = edit(data, &reading.config, &quick, &live) {
        let again = Reading::of(&text, Dialect::Quick);
        let (quick, problems) = Quick::of(&again.config.quick);
        assert!(!again.has_errors() && problems.is_empty(), "what is saved is right");
        assert!(
            edit(&text, &again.config, &quick, &live).is_none(),
            "something is left to save"
        );
    }
}

fn read(data: &[u8]) -> Option<Config> {
    let reading = Reading::of(data, Dialect::Wg);
    (!reading.has_errors()).then_some(reading.config)
}

fn addresses(config: &Config) -> Addresses {
    let address: SocketAddr = "192.0.2.1:5".parse().expect("an address");
    config.names().into_iter().map(|name| (name, address)).collect()
}

/// What a device is after a request that replaces everything.
fn device(request: SetRequest) -> DeviceStatus {
    let mut status = DeviceStatus {
        private_key: request.private_key.flatten(),
        listen_port: request.listen_port.unwrap_or(0),
        fwmark: request.fwmark.unwrap_or(0),
        peers: Vec::new(),
    };
    for change in request.peers {
        let at = match status
            .peers
            .iter()
            .position(|peer| peer.public_key == change.public_key)
        {
            Some(at) => at,
            None => {
                status.peers.push(PeerStatus::new(change.public_key));
                status.peers.len() - 1
            }
        };
        if let Some(key) = change.preshared_key {
            status.peers[at].preshared_key = key;
        }
        status.peers[at].endpoint = change.endpoint.or(status.peers[at].endpoint);
        if let Some(seconds) = change.persistent_keepalive {
            status.peers[at].persistent_keepalive = seconds;
        }
        if change.replace_allowed_ips {
            status.peers[at].allowed_ips.clear();
        }
        for allowed in change.allowed_ips {
            for peer in &mut status.peers {
                peer.allowed_ips.retain(|prefix| *prefix != allowed.prefix);
            }
            if !allowed.remove {
                status.peers[at].allowed_ips.push(allowed.prefix);
            }
        }
    }
    status
}
