//! The elements of a set, and which of them a value that is only partly known may be.

use netlink_packet_core::{DefaultNla, Nla as _};

use super::datagram::Value;
use crate::nft::expression::NFTA_DATA_VALUE;
use crate::nft::message::{
    Message, NFTA_SET_ELEM_DATA, NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_FLAGS, read_list,
    read_nested, read_number, value,
};

const NFT_SET_INTERVAL: u32 = 4;
/// Flags of what is not read here: elements that go by themselves, that rules add, of several parts with intervals, that are objects, or with steps
/// of their own, such as a limit.
const UNREADABLE: u32 = 0x10 | 0x20 | 0x80 | 0x40 | 0x100;

const NFTA_SET_ELEM_FLAGS: u16 = 3;
const NFT_SET_ELEM_INTERVAL_END: u32 = 1;
/// Steps of an element.
const NFTA_SET_ELEM_EXPR: u16 = 7;
const NFTA_SET_ELEM_EXPRESSIONS: u16 = 11;

/// A set, or a map.
pub(in crate::nft) struct Set {
    /// An element stands for all values from there to the next.
    has_intervals: bool,
    elements: Vec<Element>,
}

/// An element of a set.
pub(super) struct Element {
    /// `None` of what stands for all that the others do not.
    key: Option<Vec<u8>>,
    /// Here an interval ends, and none begins.
    is_end: bool,
    /// What it is mapped to.
    pub(super) data: Vec<DefaultNla>,
}

impl Set {
    /// Reads a set; its elements are asked for if it is of a kind that is understood. `None` if it is not.
    pub(in crate::nft) fn read(set: &Message, elements: impl FnOnce() -> Option<Vec<Message>>) -> Option<Self> {
        let flags = read_number(&set.attributes, NFTA_SET_FLAGS).unwrap_or_default();
        if flags & UNREADABLE != 0 {
            return None;
        }
        let lists: Option<Vec<Vec<Element>>> = elements()?.iter().map(Element::list).collect();
        Some(Self {
            has_intervals: flags & NFT_SET_INTERVAL != 0,
            elements: lists?.into_iter().flatten().collect(),
        })
    }

    /// Returns the elements that a value is or may be, with whether that is certain.
    pub(super) fn hits(&self, value: &Value) -> Vec<(&Element, bool)> {
        if self.has_intervals {
            return self.interval(value);
        }
        self.elements.iter().filter_map(|element| element.hit(value)).collect()
    }

    /// The interval of a value is that which begins last before it, unless one ends later.
    fn interval(&self, value: &Value) -> Vec<(&Element, bool)> {
        let order = |element: &Element| value.order(element.key.as_ref()?);
        let orders: Option<Vec<_>> = self.elements.iter().map(order).collect();
        let Some(orders) = orders else {
            let starts = self.elements.iter().filter(|element| !element.is_end);
            return starts.map(|element| (element, false)).collect();
        };
        let before = self.elements.iter().zip(orders).filter(|(_, order)| order.is_ge());
        let last = before.max_by_key(|(element, _)| (&element.key, !element.is_end));
        let last = last.filter(|(element, _)| !element.is_end);
        last.map(|(element, _)| (element, true)).into_iter().collect()
    }
}

impl Element {
    fn hit(&self, value: &Value) -> Option<(&Self, bool)> {
        let equals = self.key.as_ref().and_then(|key| value.equals(key));
        (equals != Some(false)).then_some((self, equals.is_some()))
    }

    fn list(message: &Message) -> Option<Vec<Self>> {
        let list = read_list(&message.attributes, NFTA_SET_ELEM_LIST_ELEMENTS)?;
        list.iter().map(|attributes| Self::read(attributes)).collect()
    }

    /// `None` if it has steps of its own.
    fn read(attributes: &[DefaultNla]) -> Option<Self> {
        let is_step =
            |attribute: &DefaultNla| [NFTA_SET_ELEM_EXPR, NFTA_SET_ELEM_EXPRESSIONS].contains(&attribute.kind());
        if attributes.iter().any(is_step) {
            return None;
        }
        let flags = read_number(attributes, NFTA_SET_ELEM_FLAGS).unwrap_or_default();
        Some(Self {
            key: read_nested(attributes, NFTA_SET_ELEM_KEY).and_then(|key| value(&key, NFTA_DATA_VALUE)),
            is_end: flags & NFT_SET_ELEM_INTERVAL_END != 0,
            data: read_nested(attributes, NFTA_SET_ELEM_DATA).unwrap_or_default(),
        })
    }
}
