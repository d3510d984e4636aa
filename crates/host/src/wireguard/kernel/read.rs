//! The status of a device, put together from the messages of a dump.
//!
//! The kernel cuts a long answer anywhere between two allowed IPs. A peer that continues in the next message has its key
//! again and more allowed IPs, nothing else. Attributes that are not known here are passed over: newer kernels have more.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use conf::prefix::Prefix;
use conf::uapi::{DeviceStatus, PeerStatus};
use proto::{PresharedKey, PrivateKey, PublicKey};
use rustix::io::Errno;
use rustix::net::AddressFamily;

use super::super::MAX_ANSWER;
use super::attribute::{Attribute, attributes};
use super::message;
use super::numbers::{
    WGALLOWEDIP_A_CIDR_MASK, WGALLOWEDIP_A_FAMILY, WGALLOWEDIP_A_IPADDR, WGDEVICE_A_FWMARK, WGDEVICE_A_LISTEN_PORT,
    WGDEVICE_A_PEERS, WGDEVICE_A_PRIVATE_KEY, WGPEER_A_ALLOWEDIPS, WGPEER_A_ENDPOINT, WGPEER_A_LAST_HANDSHAKE_TIME,
    WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, WGPEER_A_PRESHARED_KEY, WGPEER_A_PUBLIC_KEY, WGPEER_A_RX_BYTES,
    WGPEER_A_TX_BYTES,
};

/// The answer to the question for a status, as far as it has come.
#[derive(Debug)]
pub struct Dump {
    family: u16,
    sequence: u32,
    status: DeviceStatus,
    /// In bytes.
    taken: usize,
    interrupted: bool,
}

impl Dump {
    /// Expects messages of this family that answer the request with this sequence number.
    pub fn new(family: u16, sequence: u32) -> Self {
        Self {
            family,
            sequence,
            status: DeviceStatus::default(),
            taken: 0,
            interrupted: false,
        }
    }

    /// Takes the next datagram; true if it was the last.
    ///
    /// # Errors
    /// The kernel's refusal, `EPROTO` for what is malformed, `EFBIG` for an answer without end.
    pub fn take(&mut self, datagram: &[u8]) -> io::Result<bool> {
        self.taken = self.taken.saturating_add(datagram.len());
        if self.taken > MAX_ANSWER {
            return Err(Errno::FBIG.into());
        }
        let status = &mut self.status;
        let progress = message::read(datagram, self.family, self.sequence, &mut |bytes| device(status, bytes))?;
        self.interrupted |= progress.interrupted;
        Ok(progress.complete)
    }

    /// Returns the status; `None` if a change came in between, so that the dump must be made again.
    pub fn finish(self) -> Option<DeviceStatus> {
        (!self.interrupted).then_some(self.status)
    }
}

fn device(status: &mut DeviceStatus, bytes: &[u8]) -> io::Result<()> {
    for attribute in attributes(bytes) {
        let attribute = attribute?;
        match attribute.kind {
            WGDEVICE_A_PRIVATE_KEY => {
                status.private_key = Some(PrivateKey::from_bytes(*attribute.key()?)).filter(|key| !key.is_zero());
            }
            WGDEVICE_A_LISTEN_PORT => status.listen_port = u16::from_ne_bytes(attribute.array()?),
            WGDEVICE_A_FWMARK => status.fwmark = u32::from_ne_bytes(attribute.array()?),
            WGDEVICE_A_PEERS => {
                for element in attribute.nested() {
                    add_peer(&mut status.peers, &element?)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds a peer, or what more there is of the last one.
fn add_peer(peers: &mut Vec<PeerStatus>, element: &Attribute<'_>) -> io::Result<()> {
    let key = public_key(element)?;
    if peers.last().is_none_or(|last| last.public_key != key) {
        peers.push(PeerStatus::new(key));
    }
    match peers.last_mut() {
        Some(peer) => fill(peer, element),
        None => Ok(()),
    }
}

fn public_key(peer: &Attribute<'_>) -> io::Result<PublicKey> {
    for attribute in peer.nested() {
        let attribute = attribute?;
        if attribute.kind == WGPEER_A_PUBLIC_KEY {
            return attribute.array().map(PublicKey::from_bytes);
        }
    }
    Err(Errno::PROTO.into())
}

fn fill(peer: &mut PeerStatus, element: &Attribute<'_>) -> io::Result<()> {
    for attribute in element.nested() {
        let attribute = attribute?;
        match attribute.kind {
            WGPEER_A_PRESHARED_KEY => {
                peer.preshared_key = Some(PresharedKey::from_bytes(*attribute.key()?)).filter(|key| !key.is_zero());
            }
            WGPEER_A_ENDPOINT => peer.endpoint = Some(endpoint(attribute.value).ok_or(Errno::PROTO)?),
            WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL => {
                peer.persistent_keepalive = u16::from_ne_bytes(attribute.array()?);
            }
            WGPEER_A_LAST_HANDSHAKE_TIME => {
                let time = time(attribute.value).ok_or(Errno::PROTO)?;
                peer.last_handshake = Some(time).filter(|time| !time.is_zero());
            }
            WGPEER_A_RX_BYTES => peer.rx_bytes = u64::from_ne_bytes(attribute.array()?),
            WGPEER_A_TX_BYTES => peer.tx_bytes = u64::from_ne_bytes(attribute.array()?),
            WGPEER_A_ALLOWEDIPS => {
                for element in attribute.nested() {
                    peer.allowed_ips.push(allowed_ip(&element?)?);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads a `struct __kernel_timespec`: seconds and nanoseconds of 64 bits each.
fn time(bytes: &[u8]) -> Option<Duration> {
    let ([seconds, nanos], []) = bytes.as_chunks() else {
        return None;
    };
    let seconds = u64::try_from(i64::from_ne_bytes(*seconds)).ok()?;
    let nanos = u32::try_from(i64::from_ne_bytes(*nanos)).ok()?;
    (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}

/// Reads a `struct sockaddr_in` or `sockaddr_in6`.
fn endpoint(bytes: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = bytes.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let port = u16::from_be_bytes(*port);
    match AddressFamily::from_raw(u16::from_ne_bytes(*family)) {
        AddressFamily::INET => {
            // Eight bytes of nothing follow.
            let (address, [_, _, _, _, _, _, _, _]) = rest.split_first_chunk::<4>()? else {
                return None;
            };
            Some(SocketAddr::new(IpAddr::from(*address), port))
        }
        AddressFamily::INET6 => {
            let (_flow, rest) = rest.split_first_chunk::<4>()?;
            let (address, scope) = rest.split_first_chunk::<16>()?;
            let scope = u32::from_ne_bytes(scope.try_into().ok()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(*address), port, 0, scope).into())
        }
        _ => None,
    }
}

fn allowed_ip(element: &Attribute<'_>) -> io::Result<Prefix> {
    let (mut family, mut address, mut len) = (None, None, None);
    for attribute in element.nested() {
        let attribute = attribute?;
        match attribute.kind {
            WGALLOWEDIP_A_FAMILY => family = Some(AddressFamily::from_raw(u16::from_ne_bytes(attribute.array()?))),
            WGALLOWEDIP_A_IPADDR => address = Some(attribute),
            WGALLOWEDIP_A_CIDR_MASK => len = Some(u8::from_ne_bytes(attribute.array()?)),
            _ => {}
        }
    }
    let address = match (family, address) {
        (Some(AddressFamily::INET), Some(address)) => address.array::<4>().map(IpAddr::from)?,
        (Some(AddressFamily::INET6), Some(address)) => address.array::<16>().map(IpAddr::from)?,
        _ => return Err(Errno::PROTO.into()),
    };
    let prefix = len.and_then(|len| Prefix::new(address, len));
    prefix.ok_or_else(|| Errno::PROTO.into())
}

#[cfg(test)]
mod tests;
