//! The steps of a rule: loading, comparing, storing, deciding.

use std::borrow::Cow;
use std::net::IpAddr;

use netlink_packet_core::DefaultNla;

use super::Verdict;
use super::message::{NF_ACCEPT, NF_DROP, nested, number, string};
use crate::Family;

pub(super) const NFTA_LIST_ELEM: u16 = 1;
pub(super) const NFTA_EXPR_NAME: u16 = 1;
pub(super) const NFTA_EXPR_DATA: u16 = 2;
pub(super) const NFTA_DATA_VALUE: u16 = 1;
pub(super) const NFTA_DATA_VERDICT: u16 = 2;

pub(super) const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;

pub(super) const NFTA_META_DREG: u16 = 1;
pub(super) const NFTA_META_KEY: u16 = 2;
pub(super) const NFTA_META_SREG: u16 = 3;
const NFT_META_MARK: u32 = 3;
pub(super) const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
pub(super) const NFT_META_L4PROTO: u32 = 16;

pub(super) const NFTA_CT_DREG: u16 = 1;
pub(super) const NFTA_CT_KEY: u16 = 2;
pub(super) const NFTA_CT_SREG: u16 = 4;
pub(super) const NFT_CT_STATE: u32 = 0;
const NFT_CT_DIRECTION: u32 = 1;
const NFT_CT_MARK: u32 = 3;

pub(super) const NFTA_PAYLOAD_DREG: u16 = 1;
pub(super) const NFTA_PAYLOAD_BASE: u16 = 2;
pub(super) const NFTA_PAYLOAD_OFFSET: u16 = 3;
pub(super) const NFTA_PAYLOAD_LEN: u16 = 4;
pub(super) const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
pub(super) const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;

const NFTA_FIB_DREG: u16 = 1;
const NFTA_FIB_RESULT: u16 = 2;
const NFTA_FIB_FLAGS: u16 = 3;
const NFT_FIB_RESULT_ADDRTYPE: u32 = 3;
const NFTA_FIB_F_SADDR: u32 = 1;

const NFTA_RT_DREG: u16 = 1;
const NFTA_RT_KEY: u16 = 2;
const NFT_RT_TCPMSS: u32 = 3;

pub(super) const NFTA_BITWISE_SREG: u16 = 1;
pub(super) const NFTA_BITWISE_DREG: u16 = 2;
const NFTA_BITWISE_LEN: u16 = 3;
pub(super) const NFTA_BITWISE_MASK: u16 = 4;
pub(super) const NFTA_BITWISE_XOR: u16 = 5;

const NFTA_BYTEORDER_SREG: u16 = 1;
const NFTA_BYTEORDER_DREG: u16 = 2;
const NFTA_BYTEORDER_OP: u16 = 3;
const NFTA_BYTEORDER_LEN: u16 = 4;
const NFTA_BYTEORDER_SIZE: u16 = 5;
const NFT_BYTEORDER_HTON: u32 = 1;

const NFTA_EXTHDR_TYPE: u16 = 2;
const NFTA_EXTHDR_OFFSET: u16 = 3;
const NFTA_EXTHDR_LEN: u16 = 4;
const NFTA_EXTHDR_OP: u16 = 6;
const NFTA_EXTHDR_SREG: u16 = 7;
const NFT_EXTHDR_OP_TCPOPT: u32 = 1;
/// `TCPOPT_MAXSEG`: its value is two bytes after kind and length.
const MAXSEG: u8 = 2;

pub(super) const NFTA_CMP_SREG: u16 = 1;
pub(super) const NFTA_CMP_OP: u16 = 2;
pub(super) const NFTA_CMP_DATA: u16 = 3;
pub(super) const NFT_CMP_EQ: u32 = 0;
pub(super) const NFT_CMP_NEQ: u32 = 1;
const NFT_CMP_LTE: u32 = 3;
const NFT_CMP_GTE: u32 = 5;

pub(super) const NFTA_LOOKUP_SET: u16 = 1;
pub(super) const NFTA_LOOKUP_SREG: u16 = 2;
pub(super) const NFTA_LOOKUP_DREG: u16 = 3;

const NFTA_REJECT_TYPE: u16 = 1;
const NFTA_REJECT_ICMP_CODE: u16 = 2;
const NFT_REJECT_ICMP_UNREACH: u32 = 0;
/// `ICMP_PKT_FILTERED`
const FILTERED: u8 = 13;
/// `ICMPV6_ADM_PROHIBITED`
const PROHIBITED: u8 = 1;

pub(super) const NFTA_IMMEDIATE_DREG: u16 = 1;
pub(super) const NFTA_IMMEDIATE_DATA: u16 = 2;
pub(super) const NFTA_VERDICT_CODE: u16 = 1;
pub(super) const NFTA_VERDICT_CHAIN: u16 = 2;
/// -3
pub(super) const NFT_JUMP: u32 = 0xffff_fffd;
/// -4
pub(super) const NFT_GOTO: u32 = 0xffff_fffc;

/// Protocols above IP.
pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;

/// A step of a rule. The steps are taken in order, until a comparison does not hold.
///
/// The kernel's machine has several registers. All steps use the first: a value is compared or stored right after it is
/// loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Loads a value.
    Load(Source),
    /// Goes on if the loaded value is this one, byte for byte.
    Equals(Vec<u8>),
    /// Goes on if it is not.
    Differs(Vec<u8>),
    /// Goes on if the loaded value, in network order, is not less.
    AtLeast(Vec<u8>),
    /// Goes on if it is not more.
    AtMost(Vec<u8>),
    /// Clears all bits of the loaded value that are not set in this one.
    Mask(Vec<u8>),
    /// Stores the loaded value.
    Store(Mark),
    /// Turns a loaded number of two bytes from native to network order.
    NetworkOrder,
    /// Lowers the largest segment that a packet of TCP asks for (MSS) to the loaded one: two bytes, network order.
    LowerLargestSegment,
    /// Puts the address of the outgoing interface in the place of the source address, for the whole connection.
    Masquerade,
    /// Goes on in another chain, and comes back if nothing is decided there.
    Jump(Cow<'static, str>),
    /// Does what the map of this name has for the loaded value, or goes on.
    LookUp(String),
    /// Counts the packet and its bytes.
    Count,
    /// Lets the packet pass this table.
    Accept,
    /// Drops the packet.
    Drop,
    /// Drops it, and tells its sender by ICMP that a rule forbids it.
    Reject(Family),
}

/// A value that a packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The name of the interface it came in by: 16 bytes, the rest zero.
    InputName,
    /// The name of the interface it goes out by: 16 bytes, the rest zero.
    OutputName,
    /// The protocol above IP, behind extension headers too: one byte.
    Protocol,
    /// A mark: four bytes, native order.
    Mark(Mark),
    /// What the packet is to a connection: four bytes, native order, of which one bit is set.
    ConnectionState,
    /// Whether it goes the way of the first packet of its connection (0) or comes back (1): one byte. There is none without a connection.
    Direction,
    /// What the source address is to this host (`RTN_*`): four bytes, native order.
    SourceType,
    /// The largest segment of TCP (MSS) that fits on the way of the packet, there and back: two bytes, native order.
    LargestSegment,
    /// Bytes of the IP header.
    Header {
        /// Where they begin.
        offset: u32,
        /// How many there are, at most 16.
        len: u32,
    },
    /// Bytes of the header of TCP, UDP or ICMP, which one must be known.
    Transport {
        /// Where they begin.
        offset: u32,
        /// How many there are, at most 16.
        len: u32,
    },
}

/// A firewall mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// That of the packet.
    Packet,
    /// That of the connection it belongs to.
    Connection,
}

impl Expression {
    /// `meta l4proto PROTOCOL`: goes on if the packet is of this protocol.
    pub(super) fn is_of(protocol: u8) -> Vec<Self> {
        vec![Self::Load(Source::Protocol), Self::Equals(vec![protocol])]
    }

    /// `ip saddr NETWORK`: goes on if the packet comes from these addresses.
    pub(super) fn comes_from(network: IpAddr, prefix_len: u8) -> Vec<Self> {
        Self::is_in(source_address(Family::of(network)).0, network, prefix_len)
    }

    /// `ip daddr NETWORK`: goes on if the packet goes to these addresses.
    pub(super) fn goes_to(network: IpAddr, prefix_len: u8) -> Vec<Self> {
        let offset = if network.is_ipv4() { 16 } else { 24 };
        Self::is_in(offset, network, prefix_len)
    }

    /// Loads the network of this length that the packet comes from: its address, the bits beyond cleared.
    pub(super) fn source_network(family: Family, prefix_len: u8) -> Vec<Self> {
        let (offset, len) = source_address(family);
        let mut steps = vec![Self::Load(Source::Header { offset, len })];
        steps.extend((u32::from(prefix_len) < 8 * len).then(|| Self::Mask(mask(prefix_len, len))));
        steps
    }

    /// As `nft` does it: whole bytes are compared alone, others under a mask of the whole address.
    fn is_in(offset: u32, network: IpAddr, prefix_len: u8) -> Vec<Self> {
        let mut bytes = Self::bytes(network);
        let is_whole = prefix_len.is_multiple_of(8);
        if is_whole {
            bytes.truncate(usize::from(prefix_len / 8));
        }
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut steps = vec![Self::Load(Source::Header { offset, len })];
        steps.extend((!is_whole).then(|| Self::Mask(mask(prefix_len, len))));
        steps.push(Self::Equals(bytes));
        steps
    }

    /// Returns an address as a header holds it.
    pub(super) fn bytes(address: IpAddr) -> Vec<u8> {
        match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }
    }

    /// Returns the expression as an element of a list.
    pub(super) fn element(&self) -> DefaultNla {
        let (name, data) = match self {
            Self::Load(source) => source.load(),
            Self::Equals(value) => compare(NFT_CMP_EQ, value),
            Self::Differs(value) => compare(NFT_CMP_NEQ, value),
            Self::AtLeast(value) => compare(NFT_CMP_GTE, value),
            Self::AtMost(value) => compare(NFT_CMP_LTE, value),
            Self::Mask(mask) => bitwise(mask),
            Self::NetworkOrder => network_order(),
            Self::Store(Mark::Packet) => meta(NFT_META_MARK, NFTA_META_SREG),
            Self::Store(Mark::Connection) => connection(NFT_CT_MARK, NFTA_CT_SREG),
            Self::LowerLargestSegment => lower_largest_segment(),
            Self::Masquerade => ("masq", Vec::new()),
            Self::Jump(chain) => decide(NFT_JUMP, Some(chain)),
            Self::LookUp(map) => look_up(map),
            Self::Count => ("counter", Vec::new()),
            Self::Accept => decide(NF_ACCEPT, None),
            Self::Drop => decide(NF_DROP, None),
            Self::Reject(family) => reject(*family),
        };
        nested(
            NFTA_LIST_ELEM,
            &[string(NFTA_EXPR_NAME, name), nested(NFTA_EXPR_DATA, &data)],
        )
    }
}

/// Returns where the source address begins in the header of IP, and how many bytes it has.
const fn source_address(family: Family) -> (u32, u32) {
    match family {
        Family::V4 => (12, 4),
        Family::V6 => (8, 16),
    }
}

/// Returns so many bytes with the first bits set.
fn mask(bits: u8, len: u32) -> Vec<u8> {
    let set = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    set.to_be_bytes().into_iter().take(len as usize).collect()
}

/// The name of a kind of expressions, and the attributes of one.
type Named = (&'static str, Vec<DefaultNla>);

impl Source {
    fn load(self) -> Named {
        match self {
            Self::InputName => meta(NFT_META_IIFNAME, NFTA_META_DREG),
            Self::OutputName => meta(NFT_META_OIFNAME, NFTA_META_DREG),
            Self::Protocol => meta(NFT_META_L4PROTO, NFTA_META_DREG),
            Self::Mark(Mark::Packet) => meta(NFT_META_MARK, NFTA_META_DREG),
            Self::Mark(Mark::Connection) => connection(NFT_CT_MARK, NFTA_CT_DREG),
            Self::ConnectionState => connection(NFT_CT_STATE, NFTA_CT_DREG),
            Self::Direction => connection(NFT_CT_DIRECTION, NFTA_CT_DREG),
            Self::SourceType => {
                let attributes = vec![
                    number(NFTA_FIB_DREG, NFT_REG_1),
                    number(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE),
                    number(NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR),
                ];
                ("fib", attributes)
            }
            Self::LargestSegment => {
                let attributes = vec![number(NFTA_RT_KEY, NFT_RT_TCPMSS), number(NFTA_RT_DREG, NFT_REG_1)];
                ("rt", attributes)
            }
            Self::Header { offset, len } => payload(NFT_PAYLOAD_NETWORK_HEADER, offset, len),
            Self::Transport { offset, len } => payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset, len),
        }
    }
}

fn payload(base: u32, offset: u32, len: u32) -> Named {
    let attributes = vec![
        number(NFTA_PAYLOAD_DREG, NFT_REG_1),
        number(NFTA_PAYLOAD_BASE, base),
        number(NFTA_PAYLOAD_OFFSET, offset),
        number(NFTA_PAYLOAD_LEN, len),
    ];
    ("payload", attributes)
}

/// Moves what `key` names to or from the register, which is the attribute `register`.
fn meta(key: u32, register: u16) -> Named {
    ("meta", vec![number(NFTA_META_KEY, key), number(register, NFT_REG_1)])
}

/// Like [`meta`], for what conntrack knows.
fn connection(key: u32, register: u16) -> Named {
    ("ct", vec![number(NFTA_CT_KEY, key), number(register, NFT_REG_1)])
}

fn compare(operation: u32, value: &[u8]) -> Named {
    let value = DefaultNla::new(NFTA_DATA_VALUE, value.to_vec());
    let attributes = vec![
        number(NFTA_CMP_SREG, NFT_REG_1),
        number(NFTA_CMP_OP, operation),
        nested(NFTA_CMP_DATA, &[value]),
    ];
    ("cmp", attributes)
}

fn bitwise(mask: &[u8]) -> Named {
    let value = |kind, bytes: Vec<u8>| nested(kind, &[DefaultNla::new(NFTA_DATA_VALUE, bytes)]);
    let attributes = vec![
        number(NFTA_BITWISE_SREG, NFT_REG_1),
        number(NFTA_BITWISE_DREG, NFT_REG_1),
        number(NFTA_BITWISE_LEN, u32::try_from(mask.len()).unwrap_or(u32::MAX)),
        value(NFTA_BITWISE_MASK, mask.to_vec()),
        value(NFTA_BITWISE_XOR, vec![0; mask.len()]),
    ];
    ("bitwise", attributes)
}

fn network_order() -> Named {
    let attributes = vec![
        number(NFTA_BYTEORDER_SREG, NFT_REG_1),
        number(NFTA_BYTEORDER_DREG, NFT_REG_1),
        number(NFTA_BYTEORDER_OP, NFT_BYTEORDER_HTON),
        number(NFTA_BYTEORDER_LEN, 2),
        number(NFTA_BYTEORDER_SIZE, 2),
    ];
    ("byteorder", attributes)
}

/// The kernel never raises the value.
fn lower_largest_segment() -> Named {
    let attributes = vec![
        number(NFTA_EXTHDR_SREG, NFT_REG_1),
        DefaultNla::new(NFTA_EXTHDR_TYPE, vec![MAXSEG]),
        number(NFTA_EXTHDR_OFFSET, 2),
        number(NFTA_EXTHDR_LEN, 2),
        number(NFTA_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT),
    ];
    ("exthdr", attributes)
}

fn look_up(map: &str) -> Named {
    let attributes = vec![
        string(NFTA_LOOKUP_SET, map),
        number(NFTA_LOOKUP_SREG, NFT_REG_1),
        number(NFTA_LOOKUP_DREG, NFT_REG_VERDICT),
    ];
    ("lookup", attributes)
}

fn reject(family: Family) -> Named {
    let code = match family {
        Family::V4 => FILTERED,
        Family::V6 => PROHIBITED,
    };
    let attributes = vec![
        number(NFTA_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH),
        DefaultNla::new(NFTA_REJECT_ICMP_CODE, vec![code]),
    ];
    ("reject", attributes)
}

fn decide(code: u32, chain: Option<&str>) -> Named {
    let attributes = vec![
        number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT),
        nested(NFTA_IMMEDIATE_DATA, &[verdict(code, chain)]),
    ];
    ("immediate", attributes)
}

fn verdict(code: u32, chain: Option<&str>) -> DefaultNla {
    let mut verdict = vec![number(NFTA_VERDICT_CODE, code)];
    verdict.extend(chain.map(|chain| string(NFTA_VERDICT_CHAIN, chain)));
    nested(NFTA_DATA_VERDICT, &verdict)
}

impl Verdict {
    /// Returns it as the value of an attribute.
    pub(super) fn data(&self) -> DefaultNla {
        match self {
            Self::Accept => verdict(NF_ACCEPT, None),
            Self::Goto(chain) => verdict(NFT_GOTO, Some(chain)),
        }
    }
}
