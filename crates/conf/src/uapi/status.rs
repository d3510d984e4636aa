//! Answers as a client reads them.
//!
//! Lenient where other programs may differ: unknown keys are passed over, and device keys count only before the first
//! peer.

use std::time::Duration;

use proto::{PresharedKey, PrivateKey, PublicKey};

use super::parse::{self, decimal};
use super::{DeviceStatus, Errno, PeerStatus, Zones};
use crate::key_text::{self, KeyBytes};

/// Why an answer yields no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The other side refused the request.
    #[error("refused: {0}")]
    Refused(Errno),
    /// The other side said something that is not an answer.
    #[error("line {line} of the answer: {reason}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// What is wrong, without any value.
        reason: &'static str,
    },
    /// The answer stops before `errno` and the empty line: read on, or give up.
    #[error("the answer is cut short")]
    Incomplete,
}

/// Reads one whole answer; that to a set request gives an empty status.
///
/// # Errors
/// See [`AnswerError`]. No error contains a value.
pub fn parse_answer(text: &[u8], zones: Zones<'_>) -> Result<DeviceStatus, AnswerError> {
    let mut status = DeviceStatus::default();
    let mut errno = None;
    if !text.ends_with(b"\n\n") {
        return Err(AnswerError::Incomplete);
    }
    for (at, line) in text.split(|&c| c == b'\n').enumerate() {
        let malformed = |reason| AnswerError::Malformed { line: at + 1, reason };
        if line.is_empty() {
            break;
        }
        let (key, value) = parse::split(line).map_err(|(_, reason)| malformed(reason))?;
        if key == b"errno" {
            let digits = value.strip_prefix(b"-").unwrap_or(value);
            errno = Some(decimal::<i32>(digits).ok_or(malformed("errno: not a number"))?);
        } else {
            take(&mut status, key, value, zones).map_err(malformed)?;
        }
    }
    match errno.map(Errno::from_number) {
        None => Err(AnswerError::Incomplete),
        Some(None) => Ok(status),
        Some(Some(errno)) => Err(AnswerError::Refused(errno)),
    }
}

fn take(status: &mut DeviceStatus, key: &[u8], value: &[u8], zones: Zones<'_>) -> Result<(), &'static str> {
    if key == b"public_key" {
        status.peers.push(PeerStatus::new(PublicKey::from_bytes(*hex(value)?)));
        return Ok(());
    }
    let Some(peer) = status.peers.last_mut() else {
        match key {
            b"private_key" => status.private_key = Some(PrivateKey::from_bytes(*hex(value)?)).filter(|k| !k.is_zero()),
            b"listen_port" => status.listen_port = number(value)?,
            b"fwmark" => status.fwmark = number(value)?,
            _ => {}
        }
        return Ok(());
    };
    match key {
        b"preshared_key" => {
            peer.preshared_key = Some(PresharedKey::from_bytes(*hex(value)?)).filter(|key| !key.is_zero());
        }
        b"endpoint" => {
            peer.endpoint = Some(parse::endpoint(value, zones).ok_or("endpoint: not a numeric address:port")?)
        }
        b"last_handshake_time_sec" => {
            let nanos = peer.last_handshake.map_or(0, |time| time.subsec_nanos());
            peer.last_handshake = handshake(number(value)?, nanos);
        }
        b"last_handshake_time_nsec" => {
            let nanos = number(value)?;
            if nanos > 999_999_999 {
                return Err("more nanoseconds than a second has");
            }
            peer.last_handshake = handshake(peer.last_handshake.map_or(0, |time| time.as_secs()), nanos);
        }
        b"tx_bytes" => peer.tx_bytes = number(value)?,
        b"rx_bytes" => peer.rx_bytes = number(value)?,
        b"persistent_keepalive_interval" => peer.persistent_keepalive = number(value)?,
        b"allowed_ip" => peer
            .allowed_ips
            .push(parse::prefix_of(value).ok_or("allowed_ip: not address/length")?),
        _ => {}
    }
    Ok(())
}

fn hex(value: &[u8]) -> Result<KeyBytes, &'static str> {
    key_text::parse_hex(value).ok_or("a key that is not 64 hexadecimal digits")
}

fn number<N: std::str::FromStr>(value: &[u8]) -> Result<N, &'static str> {
    decimal(value).ok_or("a number out of range or not decimal")
}

/// A time of zero means never.
fn handshake(seconds: u64, nanos: u32) -> Option<Duration> {
    (seconds != 0 || nanos != 0).then(|| Duration::new(seconds, nanos))
}
