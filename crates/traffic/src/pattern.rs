//! Numbered datagrams whose contents follow from the number, and the tally of what arrives.

/// Bytes of the number at the start of each datagram, little-endian.
const NUMBER_LEN: usize = 8;
/// How much later in the template each content begins than the one before.
const STRIDE: usize = 7;

/// The contents of datagrams of one length.
///
/// There are as many different ones as a send has slots, so that a sender fills in numbers only, and yet a datagram with
/// the content of a neighbour is found out.
pub(crate) struct Pattern {
    template: Vec<u8>,
    len: usize,
    period: u64,
}

impl Pattern {
    /// `len` is the length of a datagram, at least that of its number; `period` the number of different contents.
    pub(crate) fn new(len: usize, period: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        Self {
            template: (0..len + period * STRIDE).map(|_| byte()).collect(),
            len,
            period: period as u64,
        }
    }

    /// How many slots a send has.
    pub(crate) fn period(&self) -> u64 {
        self.period
    }

    /// The slots of one send, with contents but without numbers.
    pub(crate) fn slots(&self) -> Vec<u8> {
        let slot = |number: u64| [&[0; NUMBER_LEN], self.content(number)].concat();
        (0..self.period).flat_map(slot).collect()
    }

    /// Numbers all slots, beginning with `first`, a multiple of the period.
    pub(crate) fn number(&self, slots: &mut [u8], first: u64) {
        for (slot, number) in slots.chunks_exact_mut(self.len).zip(first..) {
            slot[..NUMBER_LEN].copy_from_slice(&number.to_le_bytes());
        }
    }

    fn content(&self, number: u64) -> &[u8] {
        let start = (number % self.period) as usize * STRIDE;
        &self.template[start..start + self.len - NUMBER_LEN]
    }

    /// The number of a datagram; `None` when its content does not belong to it.
    fn read(&self, datagram: &[u8]) -> Option<u64> {
        let (number, content) = datagram.split_first_chunk()?;
        let number = u64::from_le_bytes(*number);
        (content == self.content(number)).then_some(number)
    }
}

/// What arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Datagrams, good or not.
    pub(crate) received: u64,
    /// Those with the wrong length or content.
    pub(crate) corrupt: u64,
    /// Those that came after one with a higher number, or twice.
    pub(crate) late: u64,
    /// One more than the highest number so far.
    pub(crate) next: u64,
}

impl Tally {
    /// Takes in what one slot of a receive holds: one datagram, or several of the pattern's length.
    pub(crate) fn take(&mut self, pattern: &Pattern, slot: &[u8]) {
        for datagram in slot.chunks(pattern.len) {
            self.received += 1;
            match pattern.read(datagram) {
                None => self.corrupt += 1,
                Some(number) if number < self.next => self.late += 1,
                Some(number) => self.next = number + 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pattern: &Pattern, first: u64) -> Vec<Vec<u8>> {
        let mut slots = pattern.slots();
        pattern.number(&mut slots, first);
        slots.chunks(pattern.len).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn what_was_sent_is_read_in_order() {
        let pattern = Pattern::new(64, 4);
        let mut tally = Tally::default();
        for first in [0, 4, 12] {
            tally.take(&pattern, &sent(&pattern, first).concat());
        }
        let expected = Tally {
            received: 12,
            next: 16,
            ..Tally::default()
        };
        assert_eq!(tally, expected);
    }

    #[test]
    fn late_doubled_and_wrong_datagrams_are_told_apart() {
        let pattern = Pattern::new(64, 4);
        let mut datagrams = sent(&pattern, 0);
        let mut tally = Tally::default();
        for index in [0, 2, 1, 2] {
            tally.take(&pattern, &datagrams[index]);
        }
        assert_eq!((tally.late, tally.corrupt), (2, 0));
        // The content of a neighbour, a flipped bit, a short one.
        let mut swapped = datagrams[3].clone();
        swapped[8..].copy_from_slice(&datagrams[2][8..]);
        datagrams[3][63] ^= 1;
        for datagram in [&swapped[..], &datagrams[3], &datagrams[0][..40]] {
            tally.take(&pattern, datagram);
        }
        assert_eq!((tally.received, tally.late, tally.corrupt), (7, 2, 3));
    }
}
