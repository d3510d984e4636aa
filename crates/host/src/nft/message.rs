//! Messages to nf_tables, byte by byte (`linux/netfilter/nfnetlink.h`, `linux/netfilter/nf_tables.h`).
//!
//! Numbers in attributes are big-endian; numbers that packets are compared with are as the kernel holds them.

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLA_F_NESTED, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable, Nla,
    NlasIterator,
};

use super::expression::{NFTA_DATA_VALUE, NFTA_LIST_ELEM};
use super::{Base, Chain, Expression, Hook, Kind, Policy, Table, TableName, Verdict, VerdictMap};
use crate::Family;

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_SUBSYS_NFTABLES: u16 = 10;

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_GETRULE: u16 = 7;
const NFT_MSG_NEWSET: u16 = 9;
const NFT_MSG_GETSET: u16 = 10;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_GETSETELEM: u16 = 13;

const NFPROTO_UNSPEC: u8 = 0;
pub(super) const NFPROTO_INET: u8 = 1;
pub(super) const NFPROTO_IPV4: u8 = 2;
pub(super) const NFPROTO_IPV6: u8 = 10;

pub(super) const NFTA_TABLE_NAME: u16 = 1;
pub(super) const NFTA_TABLE_FLAGS: u16 = 2;

pub(super) const NFTA_CHAIN_TABLE: u16 = 1;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
pub(super) const NF_INET_PRE_ROUTING: u32 = 0;
pub(super) const NF_INET_LOCAL_IN: u32 = 1;
pub(super) const NF_INET_FORWARD: u32 = 2;
const NF_INET_LOCAL_OUT: u32 = 3;
const NF_INET_POST_ROUTING: u32 = 4;

/// Verdicts.
pub(super) const NF_DROP: u32 = 0;
pub(super) const NF_ACCEPT: u32 = 1;

const NFTA_RULE_TABLE: u16 = 1;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;

const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
pub(super) const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_ID: u16 = 10;
const NFT_SET_MAP: u32 = 8;
const NFT_DATA_VERDICT: u32 = 0xffff_ff00;
/// The types that the program `nft` calls `ipv4_addr` and `ipv6_addr`: the kernel takes any.
const IPV4_ADDRESS: u32 = 7;
const IPV6_ADDRESS: u32 = 8;

pub(super) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
pub(super) const NFTA_SET_ELEM_KEY: u16 = 1;
pub(super) const NFTA_SET_ELEM_DATA: u16 = 2;
/// How many elements a message has at most: an attribute is shorter than 64 KiB.
const MOST_ELEMENTS: usize = 256;

/// Length of `struct nfgenmsg`.
const HEADER_LEN: usize = 4;

/// A message with its `struct nfgenmsg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    kind: u16,
    pub(super) family: u8,
    resource: u16,
    pub(super) attributes: Vec<DefaultNla>,
}

impl Message {
    /// Opens a batch of changes to nf_tables.
    pub(super) fn batch_begin() -> Self {
        Self::batch_edge(NFNL_MSG_BATCH_BEGIN)
    }

    /// Closes a batch, which commits it.
    pub(super) fn batch_end() -> Self {
        Self::batch_edge(NFNL_MSG_BATCH_END)
    }

    /// Creates a table, or leaves the one that is there.
    pub(super) fn new_table(table: &Table) -> Self {
        Self::of_table(NFT_MSG_NEWTABLE, table.family, &table.name)
    }

    /// Deletes a table with all that is in it.
    pub(super) fn delete_table(family: Family, name: &TableName) -> Self {
        Self::of_table(NFT_MSG_DELTABLE, family, name)
    }

    /// Asks for a table.
    pub(super) fn get_table(family: Family, name: &TableName) -> Self {
        Self::of_table(NFT_MSG_GETTABLE, family, name)
    }

    /// Asks for the tables of all families.
    pub(super) fn get_tables() -> Self {
        Self::of_family(NFT_MSG_GETTABLE, NFPROTO_UNSPEC, Vec::new())
    }

    /// Asks for the chains of all families.
    pub(super) fn get_chains() -> Self {
        Self::of_family(NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, Vec::new())
    }

    /// Asks for the rules of a table, those of one chain if it is named; families are of the kernel (`NFPROTO_*`) here.
    pub(super) fn get_rules(family: u8, table: &str, chain: Option<&str>) -> Self {
        let mut attributes = vec![string(NFTA_RULE_TABLE, table)];
        attributes.extend(chain.map(|chain| string(NFTA_RULE_CHAIN, chain)));
        Self::of_family(NFT_MSG_GETRULE, family, attributes)
    }

    /// Asks what a set is like.
    pub(super) fn get_set(family: u8, table: &str, name: &str) -> Self {
        Self::of_set(NFT_MSG_GETSET, family, table, name)
    }

    /// Asks for the elements of a set.
    pub(super) fn get_elements(family: u8, table: &str, set: &str) -> Self {
        Self::of_set(NFT_MSG_GETSETELEM, family, table, set)
    }

    /// Creates a chain, at its hook if it has one.
    pub(super) fn new_chain(table: &Table, chain: &Chain) -> Self {
        let mut attributes = vec![
            string(NFTA_CHAIN_TABLE, table.name.as_str()),
            string(NFTA_CHAIN_NAME, &chain.name),
        ];
        attributes.extend(chain.base.into_iter().flat_map(base));
        Self::of_nf_tables(NFT_MSG_NEWCHAIN, table.family, attributes)
    }

    /// Adds a rule to a chain.
    pub(super) fn new_rule(table: &Table, chain: &Chain, rule: &[Expression]) -> Self {
        let expressions: Vec<DefaultNla> = rule.iter().map(Expression::element).collect();
        let attributes = vec![
            string(NFTA_RULE_TABLE, table.name.as_str()),
            string(NFTA_RULE_CHAIN, &chain.name),
            nested(NFTA_RULE_EXPRESSIONS, &expressions),
        ];
        Self::of_nf_tables(NFT_MSG_NEWRULE, table.family, attributes)
    }

    /// Creates a map of addresses, which has a number of its own among those that are created at the same time.
    pub(super) fn new_map(table: &Table, map: &VerdictMap, id: u32) -> Self {
        let (key_type, key_len) = match table.family {
            Family::V4 => (IPV4_ADDRESS, 4),
            Family::V6 => (IPV6_ADDRESS, 16),
        };
        let attributes = vec![
            string(NFTA_SET_TABLE, table.name.as_str()),
            string(NFTA_SET_NAME, &map.name),
            number(NFTA_SET_FLAGS, NFT_SET_MAP),
            number(NFTA_SET_KEY_TYPE, key_type),
            number(NFTA_SET_KEY_LEN, key_len),
            number(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT),
            number(NFTA_SET_ID, id),
        ];
        Self::of_nf_tables(NFT_MSG_NEWSET, table.family, attributes)
    }

    /// Puts what a map has into it, some at a time.
    pub(super) fn new_elements(table: &Table, map: &VerdictMap) -> impl Iterator<Item = Self> {
        let elements: Vec<DefaultNla> = map
            .verdicts
            .iter()
            .map(|(value, verdict)| element(value, verdict))
            .collect();
        let message = |elements: &[DefaultNla]| {
            let attributes = vec![
                string(NFTA_SET_TABLE, table.name.as_str()),
                string(NFTA_SET_NAME, &map.name),
                nested(NFTA_SET_ELEM_LIST_ELEMENTS, elements),
            ];
            Self::of_nf_tables(NFT_MSG_NEWSETELEM, table.family, attributes)
        };
        let messages: Vec<Self> = elements.chunks(MOST_ELEMENTS).map(message).collect();
        messages.into_iter()
    }

    fn of_table(kind: u16, family: Family, name: &TableName) -> Self {
        Self::of_nf_tables(kind, family, vec![string(NFTA_TABLE_NAME, name.as_str())])
    }

    /// What asks for elements has the same numbers for table and set.
    fn of_set(kind: u16, family: u8, table: &str, name: &str) -> Self {
        let attributes = vec![string(NFTA_SET_TABLE, table), string(NFTA_SET_NAME, name)];
        Self::of_family(kind, family, attributes)
    }

    fn of_nf_tables(kind: u16, family: Family, attributes: Vec<DefaultNla>) -> Self {
        let family = match family {
            Family::V4 => NFPROTO_IPV4,
            Family::V6 => NFPROTO_IPV6,
        };
        Self::of_family(kind, family, attributes)
    }

    fn of_family(kind: u16, family: u8, attributes: Vec<DefaultNla>) -> Self {
        Self {
            kind: NFNL_SUBSYS_NFTABLES << 8 | kind,
            family,
            resource: 0,
            attributes,
        }
    }

    fn batch_edge(kind: u16) -> Self {
        Self {
            kind,
            family: NFPROTO_UNSPEC,
            resource: NFNL_SUBSYS_NFTABLES,
            attributes: Vec::new(),
        }
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        HEADER_LEN + self.attributes.as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let (header, attributes) = buffer.split_at_mut(HEADER_LEN);
        let [high, low] = self.resource.to_be_bytes();
        header.copy_from_slice(&[self.family, 0, high, low]);
        self.attributes.as_slice().emit(attributes);
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let Some((&[family, _, high, low], attributes)) = payload.split_first_chunk::<HEADER_LEN>() else {
            return Err("shorter than its header".into());
        };
        Ok(Self {
            kind: header.message_type,
            family,
            resource: u16::from_be_bytes([high, low]),
            attributes: read_attributes(attributes)?,
        })
    }
}

/// Reads the attributes of a message, or those in an attribute.
pub(super) fn read_attributes(bytes: &[u8]) -> Result<Vec<DefaultNla>, DecodeError> {
    let attributes = NlasIterator::new(bytes);
    attributes
        .map(|attribute| attribute.map(|attribute| DefaultNla::new(attribute.kind(), attribute.value().to_vec())))
        .collect()
}

/// Returns the kind of an attribute, without the mark of those that have others in them: the kernel does not set it on what it lists.
pub(super) fn kind(attribute: &DefaultNla) -> u16 {
    attribute.kind() & !NLA_F_NESTED
}

/// Returns what an attribute holds.
pub(super) fn bytes(attribute: &DefaultNla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}

/// Returns what the attribute of a kind holds, if it is there.
pub(super) fn value(attributes: &[DefaultNla], wanted: u16) -> Option<Vec<u8>> {
    attributes.iter().find(|attribute| kind(attribute) == wanted).map(bytes)
}

/// Returns the text of an attribute, if it is there.
pub(super) fn read_text(attributes: &[DefaultNla], kind: u16) -> Option<String> {
    let value = value(attributes, kind)?;
    Some(String::from_utf8_lossy(&value).trim_end_matches('\0').to_owned())
}

/// Returns the number of an attribute, if it is there.
pub(super) fn read_number(attributes: &[DefaultNla], kind: u16) -> Option<u32> {
    let value = value(attributes, kind)?;
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// Returns the attributes in an attribute, if it is there and they can be read.
pub(super) fn read_nested(attributes: &[DefaultNla], kind: u16) -> Option<Vec<DefaultNla>> {
    read_attributes(&value(attributes, kind)?).ok()
}

/// Returns the attributes in each element of a list, if it is there and they can be read.
pub(super) fn read_list(attributes: &[DefaultNla], kind: u16) -> Option<Vec<Vec<DefaultNla>>> {
    let bytes = value(attributes, kind)?;
    let elements = NlasIterator::new(bytes.as_slice());
    elements
        .map(|element| read_attributes(element.ok()?.value()).ok())
        .collect()
}

fn element(value: &[u8], verdict: &Verdict) -> DefaultNla {
    let value = DefaultNla::new(NFTA_DATA_VALUE, value.to_vec());
    let attributes = [
        nested(NFTA_SET_ELEM_KEY, &[value]),
        nested(NFTA_SET_ELEM_DATA, &[verdict.data()]),
    ];
    nested(NFTA_LIST_ELEM, &attributes)
}

fn base(base: Base) -> [DefaultNla; 3] {
    let hook = match base.hook {
        Hook::Prerouting => NF_INET_PRE_ROUTING,
        Hook::Forward => NF_INET_FORWARD,
        Hook::Output => NF_INET_LOCAL_OUT,
        Hook::Postrouting => NF_INET_POST_ROUTING,
    };
    let kind = match base.kind {
        Kind::Filter => "filter",
        Kind::Nat => "nat",
    };
    let policy = match base.policy {
        Policy::Accept => NF_ACCEPT,
        Policy::Drop => NF_DROP,
    };
    let hook = [
        number(NFTA_HOOK_HOOKNUM, hook),
        number(NFTA_HOOK_PRIORITY, base.priority.cast_unsigned()),
    ];
    [
        string(NFTA_CHAIN_TYPE, kind),
        nested(NFTA_CHAIN_HOOK, &hook),
        number(NFTA_CHAIN_POLICY, policy),
    ]
}

/// Returns an attribute of text, which ends with a zero byte.
pub(super) fn string(kind: u16, text: &str) -> DefaultNla {
    let mut value = text.as_bytes().to_vec();
    value.push(0);
    DefaultNla::new(kind, value)
}

/// Returns an attribute of a number.
pub(super) fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

/// Returns an attribute of attributes.
pub(super) fn nested(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    let mut value = vec![0; attributes.buffer_len()];
    attributes.emit(&mut value);
    DefaultNla::new(kind | NLA_F_NESTED, value)
}
