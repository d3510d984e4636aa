//! The steps of a rule: loading, comparing, storing, deciding.

use netlink_packet_core::DefaultNla;

use super::message::{nested, number, string};

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;

const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;

const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;
const NFTA_META_SREG: u16 = 3;
const NFT_META_MARK: u32 = 3;
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_L4PROTO: u32 = 16;

const NFTA_CT_DREG: u16 = 1;
const NFTA_CT_KEY: u16 = 2;
const NFTA_CT_SREG: u16 = 4;
const NFT_CT_MARK: u32 = 3;

const NFTA_PAYLOAD_DREG: u16 = 1;
const NFTA_PAYLOAD_BASE: u16 = 2;
const NFTA_PAYLOAD_OFFSET: u16 = 3;
const NFTA_PAYLOAD_LEN: u16 = 4;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;

const NFTA_FIB_DREG: u16 = 1;
const NFTA_FIB_RESULT: u16 = 2;
const NFTA_FIB_FLAGS: u16 = 3;
const NFT_FIB_RESULT_ADDRTYPE: u32 = 3;
const NFTA_FIB_F_SADDR: u32 = 1;

const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;
const NFT_CMP_EQ: u32 = 0;
const NFT_CMP_NEQ: u32 = 1;

const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NF_DROP: u32 = 0;

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
    /// Stores the loaded value.
    Store(Mark),
    /// Drops the packet.
    Drop,
}

/// A value that a packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The name of the interface it came in by: 16 bytes, the rest zero.
    InputName,
    /// The protocol above IP, behind extension headers too: one byte.
    Protocol,
    /// A mark: four bytes, native order.
    Mark(Mark),
    /// What the source address is to this host (`RTN_*`): four bytes, native order.
    SourceType,
    /// Bytes of the IP header.
    Header {
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
    /// Returns the expression as an element of a list.
    pub(super) fn element(&self) -> DefaultNla {
        let (name, data) = match self {
            Self::Load(source) => source.load(),
            Self::Equals(value) => compare(NFT_CMP_EQ, value),
            Self::Differs(value) => compare(NFT_CMP_NEQ, value),
            Self::Store(Mark::Packet) => meta(NFT_META_MARK, NFTA_META_SREG),
            Self::Store(Mark::Connection) => connection(NFT_CT_MARK, NFTA_CT_SREG),
            Self::Drop => verdict(NF_DROP),
        };
        nested(
            NFTA_LIST_ELEM,
            &[string(NFTA_EXPR_NAME, name), nested(NFTA_EXPR_DATA, &data)],
        )
    }
}

/// The name of a kind of expressions, and the attributes of one.
type Named = (&'static str, Vec<DefaultNla>);

impl Source {
    fn load(self) -> Named {
        match self {
            Self::InputName => meta(NFT_META_IIFNAME, NFTA_META_DREG),
            Self::Protocol => meta(NFT_META_L4PROTO, NFTA_META_DREG),
            Self::Mark(Mark::Packet) => meta(NFT_META_MARK, NFTA_META_DREG),
            Self::Mark(Mark::Connection) => connection(NFT_CT_MARK, NFTA_CT_DREG),
            Self::SourceType => {
                let attributes = vec![
                    number(NFTA_FIB_DREG, NFT_REG_1),
                    number(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE),
                    number(NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR),
                ];
                ("fib", attributes)
            }
            Self::Header { offset, len } => {
                let attributes = vec![
                    number(NFTA_PAYLOAD_DREG, NFT_REG_1),
                    number(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER),
                    number(NFTA_PAYLOAD_OFFSET, offset),
                    number(NFTA_PAYLOAD_LEN, len),
                ];
                ("payload", attributes)
            }
        }
    }
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

fn verdict(code: u32) -> Named {
    let verdict = nested(NFTA_DATA_VERDICT, &[number(NFTA_VERDICT_CODE, code)]);
    let attributes = vec![
        number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT),
        nested(NFTA_IMMEDIATE_DATA, &[verdict]),
    ];
    ("immediate", attributes)
}
