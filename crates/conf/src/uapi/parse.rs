//! One line of a set request: its keys, their values, and where each may stand.
//!
//! Values are strict: decimal digits only, numeric addresses only, exactly one spelling of true.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use proto::{PresharedKey, PrivateKey, PublicKey};

use super::{AllowedIpChange, Errno, PeerChange, SetRequest, Zones};
use crate::key_text;
use crate::prefix::Prefix;

/// The error of a line: a number, and a text without values.
pub(super) type LineError = (Errno, &'static str);

/// Adds one line to a request.
pub(super) fn set_line(request: &mut SetRequest, line: &[u8], zones: Zones<'_>) -> Result<(), LineError> {
    let (key, value) = split(line)?;
    match key {
        b"public_key" => {
            let key = key_text::parse_hex(value).ok_or(invalid("public_key: not 64 hexadecimal digits"))?;
            request.peers.push(PeerChange::new(PublicKey::from_bytes(*key)));
            Ok(())
        }
        b"private_key" | b"listen_port" | b"fwmark" | b"replace_peers" => {
            if !request.peers.is_empty() {
                return Err(invalid("a key of the device after the first public_key"));
            }
            device_line(request, key, value)
        }
        b"remove"
        | b"update_only"
        | b"preshared_key"
        | b"endpoint"
        | b"persistent_keepalive_interval"
        | b"replace_allowed_ips"
        | b"allowed_ip"
        | b"protocol_version" => {
            let peer = request
                .peers
                .last_mut()
                .ok_or(invalid("a key of a peer before any public_key"))?;
            peer_line(peer, key, value, zones)
        }
        // The name is not repeated: a key in base64 ends in `=` and would be taken for a name.
        _ => Err(invalid("unknown key")),
    }
}

/// Splits `key=value` at the first `=`.
pub(super) fn split(line: &[u8]) -> Result<(&[u8], &[u8]), LineError> {
    let at = line
        .iter()
        .position(|&c| c == b'=')
        .ok_or((Errno::PROTOCOL, "not key=value"))?;
    let (key, value) = line.split_at(at);
    Ok((key, value.get(1..).unwrap_or_default()))
}

fn device_line(request: &mut SetRequest, key: &[u8], value: &[u8]) -> Result<(), LineError> {
    match key {
        b"private_key" => {
            let key = key_text::parse_hex(value).ok_or(invalid("private_key: not 64 hexadecimal digits"))?;
            let key = PrivateKey::from_bytes(*key);
            request.private_key = Some(if key.is_zero() { None } else { Some(key) });
        }
        b"listen_port" => {
            request.listen_port = Some(decimal(value).ok_or(invalid("listen_port: not a number from 0 to 65535"))?);
        }
        b"fwmark" => {
            request.fwmark = Some(decimal(value).ok_or(invalid("fwmark: not a number from 0 to 4294967295"))?);
        }
        _ => {
            only_true(value)?;
            request.replace_peers = true;
        }
    }
    Ok(())
}

fn peer_line(peer: &mut PeerChange, key: &[u8], value: &[u8], zones: Zones<'_>) -> Result<(), LineError> {
    match key {
        b"remove" => {
            only_true(value)?;
            peer.remove = true;
        }
        b"update_only" => {
            only_true(value)?;
            peer.update_only = true;
        }
        b"preshared_key" => {
            let key = key_text::parse_hex(value).ok_or(invalid("preshared_key: not 64 hexadecimal digits"))?;
            let key = PresharedKey::from_bytes(*key);
            peer.preshared_key = Some(if key.is_zero() { None } else { Some(key) });
        }
        b"endpoint" => {
            peer.endpoint = Some(endpoint(value, zones).ok_or(invalid("endpoint: not a numeric address:port"))?);
        }
        b"persistent_keepalive_interval" => {
            let seconds =
                decimal(value).ok_or(invalid("persistent_keepalive_interval: not a number from 0 to 65535"))?;
            peer.persistent_keepalive = Some(seconds);
        }
        b"replace_allowed_ips" => {
            only_true(value)?;
            peer.replace_allowed_ips = true;
            // Lines apply in order: what was named before goes too.
            peer.allowed_ips.clear();
        }
        b"allowed_ip" => {
            let (remove, prefix) = value.strip_prefix(b"-").map_or((false, value), |rest| (true, rest));
            let prefix = prefix_of(prefix).ok_or(invalid("allowed_ip: not address/length"))?;
            peer.allowed_ips.push(AllowedIpChange { prefix, remove });
        }
        _ if value == b"1" => {}
        _ => return Err(invalid("protocol_version: not 1")),
    }
    Ok(())
}

const fn invalid(reason: &'static str) -> LineError {
    (Errno::INVALID, reason)
}

fn only_true(value: &[u8]) -> Result<(), LineError> {
    if value == b"true" {
        Ok(())
    } else {
        Err(invalid("a switch that is not true"))
    }
}

/// Reads decimal digits and nothing else.
pub(super) fn decimal<N: FromStr>(value: &[u8]) -> Option<N> {
    // The standard parser would also take a sign.
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if digits {
        str::from_utf8(value).ok()?.parse().ok()
    } else {
        None
    }
}

/// Reads `1.2.3.4:5`, `[::1]:5` or `[fe80::1%zone]:5`.
pub(super) fn endpoint(value: &[u8], zones: Zones<'_>) -> Option<SocketAddr> {
    let text = str::from_utf8(value).ok()?;
    let (address, port) = text.rsplit_once(':')?;
    let port = decimal(port.as_bytes())?;
    let Some(inner) = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return Some(SocketAddr::from((Ipv4Addr::from_str(address).ok()?, port)));
    };
    let (address, scope) = match inner.split_once('%') {
        None => (inner, 0),
        Some((address, zone)) => (address, scope_id(zone, zones)?),
    };
    let address = Ipv6Addr::from_str(address).ok()?;
    match address.to_ipv4_mapped() {
        Some(mapped) => Some(SocketAddr::from((mapped, port))),
        None => Some(SocketAddr::V6(SocketAddrV6::new(address, port, 0, scope))),
    }
}

/// Names come first because an interface may be called `7`.
fn scope_id(zone: &str, zones: Zones<'_>) -> Option<u32> {
    if zone.is_empty() {
        return None;
    }
    zones(zone)
        .or_else(|| decimal(zone.as_bytes()))
        .filter(|&index| index != 0)
}

/// Reads `address/length` and clears the bits beyond the prefix.
pub(super) fn prefix_of(value: &[u8]) -> Option<Prefix> {
    let (address, len) = str::from_utf8(value).ok()?.split_once('/')?;
    Prefix::new(IpAddr::from_str(address).ok()?, decimal(len.as_bytes())?)
}
