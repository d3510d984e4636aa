//! Attributes as the kernel sends them: length, kind, value, padded to four bytes.

use std::io;

use netlink_packet_core::{NLA_ALIGNTO, NLA_HEADER_SIZE, NLA_TYPE_MASK};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::numbers::WG_KEY_LEN;

/// One attribute.
pub(super) struct Attribute<'a> {
    /// Without the flags of the header.
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Returns a value of a fixed size.
    ///
    /// # Errors
    /// `EPROTO` for one of another size.
    pub(super) fn array<const N: usize>(&self) -> io::Result<[u8; N]> {
        self.value.try_into().map_err(|_| Errno::PROTO.into())
    }

    /// Returns a key that may be secret.
    ///
    /// # Errors
    /// Like [`Attribute::array`].
    pub(super) fn key(&self) -> io::Result<Zeroizing<[u8; WG_KEY_LEN]>> {
        self.array().map(Zeroizing::new)
    }

    /// Returns the attributes inside this one.
    pub(super) fn nested(&self) -> impl Iterator<Item = io::Result<Attribute<'a>>> + use<'a> {
        attributes(self.value)
    }
}

/// Cuts bytes into attributes. Ends after the first error, which is `EPROTO`.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = io::Result<Attribute<'_>>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let attribute = split(&mut rest);
        if attribute.is_none() {
            rest = &[];
        }
        Some(attribute.ok_or_else(|| Errno::PROTO.into()))
    })
}

/// Takes the first attribute off; `None` where its header or its value is cut short.
fn split<'a>(rest: &mut &'a [u8]) -> Option<Attribute<'a>> {
    let [len_low, len_high, kind_low, kind_high] = *rest.first_chunk::<NLA_HEADER_SIZE>()?;
    let len = usize::from(u16::from_ne_bytes([len_low, len_high]));
    let attribute = Attribute {
        kind: u16::from_ne_bytes([kind_low, kind_high]) & NLA_TYPE_MASK,
        value: rest.get(NLA_HEADER_SIZE..len)?,
    };
    *rest = rest.get(len.next_multiple_of(NLA_ALIGNTO)..).unwrap_or_default();
    Some(attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8]) -> Vec<Option<(u16, Vec<u8>)>> {
        let attribute = |attribute: io::Result<Attribute<'_>>| attribute.ok().map(|a| (a.kind, a.value.to_vec()));
        attributes(bytes).map(attribute).collect()
    }

    fn header(len: u16, kind: u16) -> Vec<u8> {
        [len.to_ne_bytes(), kind.to_ne_bytes()].concat()
    }

    #[test]
    fn padding_and_flags_belong_to_no_attribute() {
        let bytes = [header(5, 7), vec![9, 0, 0, 0], header(4, 0x8000 | 3)].concat();
        assert_eq!(cut(&bytes), [Some((7, vec![9])), Some((3, vec![]))]);
        assert_eq!(
            cut(&bytes[..5]),
            [Some((7, vec![9]))],
            "padding at the end may be missing"
        );
    }

    #[test]
    fn lengths_that_lie_end_the_list_with_an_error() {
        for len in [0, 3, 9, u16::MAX] {
            assert_eq!(cut(&[header(len, 1), vec![0; 4]].concat()), [None], "{len}");
        }
        assert_eq!(cut(&[header(4, 1), vec![0; 3]].concat()), [Some((1, vec![])), None]);
    }
}
