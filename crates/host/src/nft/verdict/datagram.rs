//! The datagram whose way is asked for, and what is known of the values in it.

use std::cmp::Ordering;

use netlink_packet_core::DefaultNla;

use super::Truth;
use crate::Family;
use crate::nft::expression::{
    NFT_CT_STATE, NFT_META_IIFNAME, NFT_META_L4PROTO, NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER,
    NFTA_CT_DREG, NFTA_CT_KEY, NFTA_CT_SREG, NFTA_META_DREG, NFTA_META_KEY, NFTA_META_SREG, NFTA_PAYLOAD_BASE,
    NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_LEN, NFTA_PAYLOAD_OFFSET, UDP,
};
use crate::nft::message::{NFPROTO_IPV4, NFPROTO_IPV6, read_number, read_text, value};

const NFT_META_PROTOCOL: u32 = 1;
const NFT_META_IIF: u32 = 4;
const NFT_META_NFPROTO: u32 = 15;
const NFT_CT_STATUS: u32 = 2;

const NFTA_MATCH_NAME: u16 = 1;
const NFTA_MATCH_REV: u16 = 2;
const NFTA_MATCH_INFO: u16 = 3;

/// The state of a flow of which nothing was seen yet, as nftables and iptables number it.
const NEW: u16 = 8;
/// The state of a datagram whose flow a rule has left untracked, as either numbers it.
const UNTRACKED: u32 = 1 << 6;
const UNTRACKED_OF_IPTABLES: u16 = 1 << 8;
/// Beside the state, for iptables: the address or the port it goes to was another.
const TRANSLATED: u16 = 1 << 7;
/// Of the loopback interface, whose number is always 1.
const LOOPBACK: &[u8] = b"lo\0";
const LOOPBACK_INDEX: u32 = 1;

/// The first one of a flow that comes in from elsewhere, to an address of this machine.
#[derive(Clone, Copy, Debug)]
pub(in crate::nft) struct Datagram {
    pub(in crate::nft) family: Family,
    /// To which it goes, if that is known.
    pub(in crate::nft) port: Option<u16>,
    pub(in crate::nft) flow: Flow,
}

/// What the kernel knows of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::nft) enum Flow {
    /// It is new.
    New,
    /// It is new, and went to another port or address of this machine, which a rule has changed.
    Translated,
    /// A rule has left it untracked.
    Untracked,
}

impl Flow {
    /// What rules make of a new one.
    pub(super) const CHANGED: [Self; 2] = [Self::Translated, Self::Untracked];
}

impl Datagram {
    /// Returns what a step loads, and into which register; none for a step that only stores. `None` for one that changes the datagram.
    pub(super) fn load(self, step: &str, data: &[DefaultNla]) -> Option<(Option<u32>, Value)> {
        let is_stored = |kind| read_number(data, kind).map(|_| (None, Value::default()));
        match step {
            "payload" => {
                let register = read_number(data, NFTA_PAYLOAD_DREG)?;
                Some((Some(register), self.payload(data).unwrap_or_default()))
            }
            "meta" => match read_number(data, NFTA_META_DREG) {
                Some(register) => Some((Some(register), self.meta(read_number(data, NFTA_META_KEY)?))),
                None => is_stored(NFTA_META_SREG),
            },
            _ => match read_number(data, NFTA_CT_DREG) {
                Some(register) => Some((Some(register), self.connection(read_number(data, NFTA_CT_KEY)?))),
                None => is_stored(NFTA_CT_SREG),
            },
        }
    }

    fn meta(self, key: u32) -> Value {
        let (protocol, ether_type): (u8, u16) = match self.family {
            Family::V4 => (NFPROTO_IPV4, 0x0800),
            Family::V6 => (NFPROTO_IPV6, 0x86dd),
        };
        match key {
            NFT_META_PROTOCOL => Value::known(&ether_type.to_be_bytes()),
            NFT_META_NFPROTO => Value::known(&[protocol]),
            NFT_META_L4PROTO => Value::known(&[UDP]),
            NFT_META_IIFNAME => Value::Not(LOOPBACK.to_vec()),
            NFT_META_IIF => Value::Not(LOOPBACK_INDEX.to_ne_bytes().to_vec()),
            _ => Value::default(),
        }
    }

    /// Of the headers the protocol and the port are known.
    fn payload(self, data: &[DefaultNla]) -> Option<Value> {
        let mut header = vec![None; usize::from(u8::MAX)];
        match read_number(data, NFTA_PAYLOAD_BASE)? {
            NFT_PAYLOAD_NETWORK_HEADER => {
                let protocol = if self.family == Family::V4 { 9 } else { 6 };
                *header.get_mut(protocol)? = Some(UDP);
            }
            NFT_PAYLOAD_TRANSPORT_HEADER => {
                let port = self.port.map(u16::to_be_bytes);
                let port = port.map_or([None; 2], |port| port.map(Some));
                header.get_mut(2..4)?.copy_from_slice(&port);
            }
            _ => return None,
        }
        let offset = usize::try_from(read_number(data, NFTA_PAYLOAD_OFFSET)?).ok()?;
        let len = usize::try_from(read_number(data, NFTA_PAYLOAD_LEN)?).ok()?;
        let loaded = header.get(offset..offset.checked_add(len)?)?;
        Some(Value::Bytes(loaded.to_vec()))
    }

    /// Tells whether an extension of iptables matches; its values are those of structures of the kernel.
    pub(super) fn matches(self, data: &[DefaultNla]) -> Truth {
        let info = value(data, NFTA_MATCH_INFO)?;
        match (&*read_text(data, NFTA_MATCH_NAME)?, read_number(data, NFTA_MATCH_REV)?) {
            ("comment", _) => Some(true),
            ("udp", 0) => self.matches_udp(&info),
            ("multiport", 1) => self.matches_ports(&info),
            ("conntrack", 3) => self.matches_connection(&info),
            _ => None,
        }
    }

    /// `struct xt_udp`: ports from and to, which of both are meant to be others.
    fn matches_udp(self, info: &[u8]) -> Truth {
        let inverse = info.get(8)?;
        let from = match (half(info, 0)?, half(info, 2)?) {
            (0, u16::MAX) => Some(inverse & 1 == 0),
            _ => None,
        };
        let to = (half(info, 4)?, half(info, 6)?);
        let is_in = match self.port {
            _ if to == (0, u16::MAX) => Some(true),
            port => port.map(|port| (to.0..=to.1).contains(&port)),
        };
        match is_in.map(|is_in| is_in != (inverse & 2 != 0)) {
            Some(true) => from,
            other => other,
        }
    }

    /// `struct xt_multiport_v1`: which ports are meant, how many there are, the ports, which of them begin a range, whether others are meant.
    fn matches_ports(self, info: &[u8]) -> Truth {
        const DESTINATION: u8 = 1;
        let (&[DESTINATION, count], rest) = info.split_first_chunk::<2>()? else {
            return None;
        };
        let port = self.port?;
        let mut is_in = false;
        let mut places = 0..usize::from(count);
        while let Some(place) = places.next() {
            let begins_range = *rest.get(30 + place)? != 0;
            let last = if begins_range { places.next()? } else { place };
            is_in |= (half(rest, 2 * place)?..=half(rest, 2 * last)?).contains(&port);
        }
        Some(is_in != (*rest.get(45)? != 0))
    }

    /// Tells whether it has nothing of what a step loads of its connection: of one that is not tracked there is the state only.
    pub(super) fn lacks(self, data: &[DefaultNla]) -> bool {
        let is_loaded = read_number(data, NFTA_CT_DREG).is_some();
        let key = read_number(data, NFTA_CT_KEY);
        self.flow == Flow::Untracked && is_loaded && key.is_some_and(|key| key != NFT_CT_STATE)
    }

    fn connection(self, key: u32) -> Value {
        match (key, self.flow) {
            (NFT_CT_STATE, Flow::Untracked) => Value::known(&UNTRACKED.to_ne_bytes()),
            (NFT_CT_STATE, _) => Value::known(&u32::from(NEW).to_ne_bytes()),
            // Neither translated nor answered.
            (NFT_CT_STATUS, Flow::New) => Value::known(&[0; 4]),
            _ => Value::default(),
        }
    }

    /// `struct xt_conntrack_mtinfo3`: after addresses and ports what is looked at, what of it is meant to be other, and the states.
    fn matches_connection(self, info: &[u8]) -> Truth {
        const STATE: u16 = 1;
        let (looks_at, inverse, states) = (half(info, 146)?, half(info, 148)?, half(info, 150)?);
        if looks_at & STATE == 0 {
            return None;
        }
        let state = match self.flow {
            Flow::New => NEW,
            Flow::Translated => NEW | TRANSLATED,
            Flow::Untracked => UNTRACKED_OF_IPTABLES,
        };
        let is_in_state = (states & state != 0) != (inverse & STATE != 0);
        if is_in_state && looks_at != STATE {
            None
        } else {
            Some(is_in_state)
        }
    }
}

fn half(info: &[u8], offset: usize) -> Option<u16> {
    let bytes = info.get(offset..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

/// What is known of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Some of its bytes; of those behind them nothing.
    Bytes(Vec<Option<u8>>),
    /// What it does not begin with.
    Not(Vec<u8>),
}

impl Default for Value {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Value {
    pub(super) fn known(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.iter().copied().map(Some).collect())
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.iter().all(Option::is_none))
    }

    /// Tells whether it begins with bytes, which are all that is compared.
    pub(super) fn equals(&self, other: &[u8]) -> Truth {
        match self {
            Self::Not(bytes) => (other.starts_with(bytes)).then_some(false),
            Self::Bytes(bytes) => {
                let known = bytes
                    .iter()
                    .zip(other)
                    .filter_map(|(byte, other)| Some(((*byte)?, *other)));
                let mut count = 0;
                for (byte, other) in known {
                    if byte != other {
                        return Some(false);
                    }
                    count += 1;
                }
                (count == other.len()).then_some(true)
            }
        }
    }

    /// Compares it with bytes, if it is known that far.
    pub(super) fn order(&self, other: &[u8]) -> Option<Ordering> {
        let Self::Bytes(bytes) = self else { return None };
        let known: Option<Vec<u8>> = bytes.get(..other.len())?.iter().copied().collect();
        Some(known?.as_slice().cmp(other))
    }

    /// Keeps the bits that are set in a mask, then turns some over.
    pub(super) fn masked(&self, mask: &[u8], flip: &[u8]) -> Self {
        let Self::Bytes(bytes) = self else {
            return Self::default();
        };
        let loaded = bytes.iter().copied().chain(std::iter::repeat(None));
        let masked = loaded
            .zip(mask.iter().zip(flip))
            .map(|(byte, (mask, flip))| match mask {
                0 => Some(*flip),
                mask => byte.map(|byte| byte & mask ^ flip),
            });
        Self::Bytes(masked.collect())
    }
}
