//! The answer to a local sender whose packet has no way out: ICMP "unreachable" (spec §12.2, RFC 1122, RFC 4443).
//!
//! The answer comes from the address that could not be reached. Nothing answers an ICMP error, a multicast or a
//! broadcast, or a fragment other than the first; [`RateLimiter`] bounds the rest.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::offload::{checksum, header};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const HOP_LIMIT: u8 = 64;

/// The longest ICMPv4 error (RFC 1812 §4.3.2.3) and ICMPv6 error (RFC 4443 §2.4 c) in bytes, IP header included.
const MAX_V4_LEN: usize = 576;
const MAX_V6_LEN: usize = 1280;

/// Builds the IP packet that tells the sender of `packet` that its destination cannot be reached.
///
/// It is "host unreachable" (3/1) for IPv4 and "address unreachable" (1/3) for IPv6; `None` where no answer is due.
#[must_use]
pub fn unreachable(packet: &[u8]) -> Option<Vec<u8>> {
    match packet.first()? >> 4 {
        4 => unreachable_v4(packet),
        6 => unreachable_v6(packet),
        _ => None,
    }
}

/// A token bucket over a clock in nanoseconds.
#[derive(Debug)]
pub struct RateLimiter {
    /// Credit in nanoseconds; one answer costs [`RateLimiter::COST`].
    credit: u64,
    last: u64,
}

impl RateLimiter {
    /// Nanoseconds per answer: 1000 a second, as Linux has it for all ICMP of a machine.
    const COST: u64 = 1_000_000;
    /// Answers at once.
    const BURST: u64 = 50;

    /// Returns a full bucket.
    #[must_use]
    pub fn new() -> Self {
        Self {
            credit: Self::BURST * Self::COST,
            last: 0,
        }
    }

    /// Takes a token at `now`, in nanoseconds since any fixed origin; false when there is none.
    pub fn allow(&mut self, now: u64) -> bool {
        let earned = now.saturating_sub(self.last);
        self.last = self.last.max(now);
        self.credit = self.credit.saturating_add(earned).min(Self::BURST * Self::COST);
        match self.credit.checked_sub(Self::COST) {
            Some(left) => {
                self.credit = left;
                true
            }
            None => false,
        }
    }
}

impl Default for RateLimiter {
    fn default() -> Self {
        Self::new()
    }
}

fn unreachable_v4(packet: &[u8]) -> Option<Vec<u8>> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    if header_len < 20 || packet.len() < header_len {
        return None;
    }
    let source = Ipv4Addr::from(header::read::<4>(packet, 12));
    let destination = Ipv4Addr::from(header::read::<4>(packet, 16));
    let first_fragment = header::read_u16(packet, 6) & 0x1fff == 0;
    if !first_fragment || !is_host_v4(source) || !is_host_v4(destination) {
        return None;
    }
    if packet.get(9) == Some(&ICMP) && is_error_v4(*packet.get(header_len)?) {
        return None;
    }
    let quote = packet.get(..packet.len().min(MAX_V4_LEN - 28))?;
    let len = 28 + quote.len();
    // Precedence "internetwork control", DF clear, identification zero.
    let mut answer = vec![0x45, 0xc0, 0, 0, 0, 0, 0, 0, HOP_LIMIT, ICMP, 0, 0];
    answer.reserve_exact(len - answer.len());
    answer.extend_from_slice(&destination.octets());
    answer.extend_from_slice(&source.octets());
    header::write_u16(&mut answer, 2, len as u16);
    let field = checksum::finish(checksum::sum(&answer));
    header::write(&mut answer, 10, field);
    answer.extend_from_slice(&[3, 1, 0, 0, 0, 0, 0, 0]);
    answer.extend_from_slice(quote);
    let field = checksum::finish(checksum::sum(answer.get(20..)?));
    header::write(&mut answer, 22, field);
    Some(answer)
}

fn unreachable_v6(packet: &[u8]) -> Option<Vec<u8>> {
    if packet.len() < 40 {
        return None;
    }
    let source = Ipv6Addr::from(header::read::<16>(packet, 8));
    let destination = Ipv6Addr::from(header::read::<16>(packet, 24));
    let hosts = [source, destination]
        .iter()
        .all(|address| !address.is_multicast() && !address.is_unspecified());
    if !hosts || !may_answer_v6(packet) {
        return None;
    }
    let quote = packet.get(..packet.len().min(MAX_V6_LEN - 48))?;
    let icmp_len = 8 + quote.len();
    let mut answer = Vec::with_capacity(40 + icmp_len);
    answer.extend_from_slice(&[0x60, 0, 0, 0, 0, 0, ICMPV6, HOP_LIMIT]);
    answer.extend_from_slice(&destination.octets());
    answer.extend_from_slice(&source.octets());
    header::write_u16(&mut answer, 4, icmp_len as u16);
    answer.extend_from_slice(&[1, 3, 0, 0, 0, 0, 0, 0]);
    answer.extend_from_slice(quote);
    let pseudo = checksum::pseudo_header(answer.get(8..40)?, ICMPV6, icmp_len);
    let field = checksum::finish(pseudo + checksum::sum(answer.get(40..)?));
    header::write(&mut answer, 42, field);
    Some(answer)
}

fn is_host_v4(address: Ipv4Addr) -> bool {
    // 0/8 and 240/4 name no host that could ask or be asked; 240/4 holds the limited broadcast.
    let [first, ..] = address.octets();
    first != 0 && first < 224
}

fn is_error_v4(icmp_type: u8) -> bool {
    // All but the queries and answers of RFC 792, 950, 1256 and 8335.
    !matches!(icmp_type, 0 | 8 | 9 | 10 | 13..=18 | 42 | 43)
}

/// Tells whether the packet is neither a later fragment nor an ICMPv6 error or redirect.
fn may_answer_v6(packet: &[u8]) -> bool {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;
    const REDIRECT: u8 = 137;

    let mut next = packet.get(6).copied();
    let mut at = 40;
    loop {
        let [follows, len, word0, word1] = header::read(packet, at);
        match next {
            Some(ICMPV6) => {
                return packet
                    .get(at)
                    .is_some_and(|icmp_type| *icmp_type >= 128 && *icmp_type != REDIRECT);
            }
            Some(HOP_BY_HOP | ROUTING | DESTINATION) => at += (usize::from(len) + 1) * 8,
            Some(AUTHENTICATION) => at += (usize::from(len) + 2) * 4,
            Some(FRAGMENT) if u16::from_be_bytes([word0, word1]) & !0b111 == 0 => at += 8,
            Some(FRAGMENT) | None => return false,
            Some(_) => return true,
        }
        if at >= packet.len() {
            return false;
        }
        next = Some(follows);
    }
}

#[cfg(test)]
mod tests;
