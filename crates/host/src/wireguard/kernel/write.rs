//! A change, cut into as many messages as it needs.
//!
//! The first one carries what concerns the device. A peer that continues in the next message is named again without the
//! flags that would undo what came before, and with the one that keeps it from coming back if it has gone meanwhile.
//!
//! A kernel that cannot take away a single allowed IP refuses the message, but keeps what it has read of it. So that it keeps
//! nothing, the first such removal goes ahead alone. Where it is possible, the outcome is the same.

use std::io;
use std::net::{IpAddr, SocketAddr};

use conf::uapi::{AllowedIpChange, PeerChange, SetRequest};
use proto::PublicKey;
use rustix::net::AddressFamily;

use super::message::{Request, attribute_len};
use super::numbers::{
    ELEMENT, WG_CMD_SET_DEVICE, WG_GENL_VERSION, WG_KEY_LEN, WGALLOWEDIP_A_CIDR_MASK, WGALLOWEDIP_A_FAMILY,
    WGALLOWEDIP_A_FLAGS, WGALLOWEDIP_A_IPADDR, WGALLOWEDIP_F_REMOVE_ME, WGDEVICE_A_FLAGS, WGDEVICE_A_FWMARK,
    WGDEVICE_A_IFNAME, WGDEVICE_A_LISTEN_PORT, WGDEVICE_A_PEERS, WGDEVICE_A_PRIVATE_KEY, WGDEVICE_F_REPLACE_PEERS,
    WGPEER_A_ALLOWEDIPS, WGPEER_A_ENDPOINT, WGPEER_A_FLAGS, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
    WGPEER_A_PRESHARED_KEY, WGPEER_A_PUBLIC_KEY, WGPEER_F_REMOVE_ME, WGPEER_F_REPLACE_ALLOWEDIPS, WGPEER_F_UPDATE_ONLY,
};

/// Length of `struct sockaddr_in6`, the longer one.
const ENDPOINT_LEN: usize = 28;
/// Most that one allowed IP takes: the element, and in it family, address, length and flags.
const ALLOWED_IP_ROOM: usize =
    attribute_len(0) + attribute_len(2) + attribute_len(16) + attribute_len(1) + attribute_len(4);
/// Most that a peer takes: the element, and in it keys, flags, endpoint, interval and the first allowed IP.
const PEER_ROOM: usize = attribute_len(0)
    + 2 * attribute_len(WG_KEY_LEN)
    + attribute_len(4)
    + attribute_len(ENDPOINT_LEN)
    + attribute_len(2)
    + attribute_len(0)
    + ALLOWED_IP_ROOM;

/// Writes a change to the interface `name` into `request`, and has it sent whenever it is full, and at the end.
///
/// # Errors
/// The first one of `send`; nothing is sent after it.
pub(super) fn change(
    name: &str,
    change: &SetRequest,
    request: &mut Request,
    send: &mut dyn FnMut(&mut Request) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = Writer {
        name: [name.as_bytes(), b"\0"].concat(),
        request,
        send,
    };
    if let Some(removal) = first_removal(change) {
        writer.start();
        writer.request.open(WGDEVICE_A_PEERS);
        writer.peer(&removal)?;
        (writer.send)(writer.request)?;
    }
    writer.start();
    writer.device(change);
    if !change.peers.is_empty() {
        writer.request.open(WGDEVICE_A_PEERS);
    }
    for peer in &change.peers {
        writer.peer(peer)?;
    }
    (writer.send)(writer.request)
}

struct Writer<'a> {
    name: Vec<u8>,
    request: &'a mut Request,
    send: &'a mut dyn FnMut(&mut Request) -> io::Result<()>,
}

impl Writer<'_> {
    fn start(&mut self) {
        self.request.start(WG_CMD_SET_DEVICE, WG_GENL_VERSION);
        self.request.attribute(WGDEVICE_A_IFNAME, &self.name);
    }

    fn device(&mut self, change: &SetRequest) {
        let request = &mut *self.request;
        if let Some(key) = &change.private_key {
            let key = key.as_ref().map_or(&[0; WG_KEY_LEN], |key| key.as_bytes());
            request.attribute(WGDEVICE_A_PRIVATE_KEY, key);
        }
        if let Some(port) = change.listen_port {
            request.attribute(WGDEVICE_A_LISTEN_PORT, &port.to_ne_bytes());
        }
        if let Some(mark) = change.fwmark {
            request.attribute(WGDEVICE_A_FWMARK, &mark.to_ne_bytes());
        }
        if change.replace_peers {
            request.attribute(WGDEVICE_A_FLAGS, &WGDEVICE_F_REPLACE_PEERS.to_ne_bytes());
        }
    }

    /// Sends what there is and goes on within the list of peers.
    fn next_message(&mut self) -> io::Result<()> {
        (self.send)(self.request)?;
        self.start();
        self.request.open(WGDEVICE_A_PEERS);
        Ok(())
    }

    fn peer(&mut self, change: &PeerChange) -> io::Result<()> {
        if !self.request.has_room(PEER_ROOM) {
            self.next_message()?;
        }
        self.open_peer(&change.public_key, flags(change));
        if !change.remove {
            self.values(change);
            self.allowed_ips(change)?;
        }
        self.request.close();
        Ok(())
    }

    fn open_peer(&mut self, key: &PublicKey, flags: u32) {
        self.request.open(ELEMENT);
        self.request.attribute(WGPEER_A_PUBLIC_KEY, key.as_bytes());
        if flags != 0 {
            self.request.attribute(WGPEER_A_FLAGS, &flags.to_ne_bytes());
        }
    }

    fn values(&mut self, change: &PeerChange) {
        let request = &mut *self.request;
        if let Some(key) = &change.preshared_key {
            let key = key.as_ref().map_or(&[0; WG_KEY_LEN], |key| key.as_bytes());
            request.attribute(WGPEER_A_PRESHARED_KEY, key);
        }
        if let Some(endpoint) = change.endpoint {
            request.attribute(WGPEER_A_ENDPOINT, &socket_address(endpoint));
        }
        if let Some(seconds) = change.persistent_keepalive {
            request.attribute(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &seconds.to_ne_bytes());
        }
    }

    fn allowed_ips(&mut self, change: &PeerChange) -> io::Result<()> {
        if change.allowed_ips.is_empty() {
            return Ok(());
        }
        self.request.open(WGPEER_A_ALLOWEDIPS);
        for allowed_ip in &change.allowed_ips {
            if !self.request.has_room(ALLOWED_IP_ROOM) {
                self.next_message()?;
                self.open_peer(&change.public_key, WGPEER_F_UPDATE_ONLY);
                self.request.open(WGPEER_A_ALLOWEDIPS);
            }
            self.allowed_ip(allowed_ip);
        }
        self.request.close();
        Ok(())
    }

    fn allowed_ip(&mut self, change: &AllowedIpChange) {
        let request = &mut *self.request;
        request.open(ELEMENT);
        let family = match change.prefix.address() {
            IpAddr::V4(_) => AddressFamily::INET,
            IpAddr::V6(_) => AddressFamily::INET6,
        };
        request.attribute(WGALLOWEDIP_A_FAMILY, &family.as_raw().to_ne_bytes());
        match change.prefix.address() {
            IpAddr::V4(address) => request.attribute(WGALLOWEDIP_A_IPADDR, &address.octets()),
            IpAddr::V6(address) => request.attribute(WGALLOWEDIP_A_IPADDR, &address.octets()),
        }
        request.attribute(WGALLOWEDIP_A_CIDR_MASK, &[change.prefix.prefix_len()]);
        if change.remove {
            request.attribute(WGALLOWEDIP_A_FLAGS, &WGALLOWEDIP_F_REMOVE_ME.to_ne_bytes());
        }
        request.close();
    }
}

/// Returns the first allowed IP that is taken from a peer, as a change of its own.
fn first_removal(change: &SetRequest) -> Option<PeerChange> {
    let peers = change.peers.iter().filter(|peer| !peer.remove);
    let mut removals = peers.filter_map(|peer| {
        let removal = peer.allowed_ips.iter().find(|allowed_ip| allowed_ip.remove)?;
        Some(PeerChange {
            update_only: true,
            allowed_ips: vec![*removal],
            ..PeerChange::new(peer.public_key)
        })
    });
    removals.next()
}

fn flags(change: &PeerChange) -> u32 {
    if change.remove {
        return WGPEER_F_REMOVE_ME;
    }
    let flag = |on, flag| if on { flag } else { 0 };
    flag(change.replace_allowed_ips, WGPEER_F_REPLACE_ALLOWEDIPS) | flag(change.update_only, WGPEER_F_UPDATE_ONLY)
}

/// Returns a `struct sockaddr_in` or `sockaddr_in6`.
fn socket_address(endpoint: SocketAddr) -> Vec<u8> {
    let port = endpoint.port().to_be_bytes();
    match endpoint {
        SocketAddr::V4(v4) => {
            let family = AddressFamily::INET.as_raw().to_ne_bytes();
            [&family[..], &port, &v4.ip().octets(), &[0; 8]].concat()
        }
        SocketAddr::V6(v6) => {
            let family = AddressFamily::INET6.as_raw().to_ne_bytes();
            let scope = v6.scope_id().to_ne_bytes();
            [&family[..], &port, &[0; 4], &v6.ip().octets(), &scope].concat()
        }
    }
}

#[cfg(test)]
mod tests;
