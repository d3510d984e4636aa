use proptest::prelude::*;

use super::*;

/// A stream of numbers for tests, the same on every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }

    /// Small ones, and those that need the high word of the nonce.
    fn counter(&mut self) -> u64 {
        self.next() >> self.below(64)
    }
}

/// A message somewhere in a buffer, with bytes around it that nobody may touch.
#[derive(Clone, Debug, PartialEq)]
struct Slot {
    counter: u64,
    buffer: Vec<u8>,
    offset: usize,
    length: usize,
}

impl Slot {
    /// `length` is that of the text.
    fn new(numbers: &mut Numbers, length: usize, offset: usize) -> Self {
        let seed = numbers.next();
        let buffer = (0..offset + length + TAG_LEN + 64).map(|i| (seed >> (i % 57)) as u8 ^ i as u8);
        Self {
            counter: numbers.counter(),
            buffer: buffer.collect(),
            offset,
            length,
        }
    }

    fn body(&mut self) -> &mut [u8] {
        &mut self.buffer[self.offset..][..self.length + TAG_LEN]
    }

    fn text(&self) -> &[u8] {
        &self.buffer[self.offset..][..self.length]
    }

    fn message(&mut self) -> Message<'_> {
        Message {
            counter: self.counter,
            body: self.body(),
        }
    }
}

fn slots(numbers: &mut Numbers, lengths: &[usize]) -> Vec<Slot> {
    let slot = |&length| {
        let offset = numbers.below(64);
        Slot::new(numbers, length, offset)
    };
    lengths.iter().map(slot).collect()
}

fn messages(slots: &mut [Slot]) -> Vec<Message<'_>> {
    slots.iter_mut().map(Slot::message).collect()
}

fn sealed_by_library(key: &Key, slots: &[Slot]) -> Vec<Slot> {
    let mut slots = slots.to_vec();
    for slot in &mut slots {
        key.seal(slot.message());
    }
    slots
}

/// Who does the work.
#[derive(Clone, Copy, Debug)]
enum By {
    /// The batch functions, which choose between a kernel and the library.
    Batch(Option<Kernel>),
    /// A kernel, even where it does not pay; at most eight messages.
    Walk(Kernel),
}

impl By {
    fn all() -> Vec<Self> {
        let batches = Kernel::all().map(Some).chain([None]).map(Self::Batch);
        batches.chain(walks()).collect()
    }

    fn key(self, numbers: &mut Numbers) -> Key {
        match self {
            Self::Batch(kernel) => Key::with_kernel(&numbers.bytes(), kernel),
            Self::Walk(_) => Key::new(&numbers.bytes()),
        }
    }

    fn seal(self, key: &Key, slots: &mut [Slot]) {
        match self {
            Self::Batch(_) => key.seal_batch(&mut messages(slots)),
            Self::Walk(kernel) => kernel.seal(&key.words, &mut messages(slots)),
        }
    }

    fn open(self, key: &Key, slots: &mut [Slot]) -> Vec<bool> {
        let count = slots.len();
        let mut verdicts = Vec::new();
        match self {
            Self::Batch(_) => key.open_batch(&mut messages(slots), &mut |index, authentic| {
                assert_eq!(index, verdicts.len());
                verdicts.push(authentic);
            }),
            Self::Walk(kernel) => verdicts.extend(kernel.open(&key.words, &mut messages(slots))),
        }
        verdicts.truncate(count);
        assert_eq!(verdicts.len(), count);
        verdicts
    }
}

/// Every kernel of this CPU.
fn walks() -> Vec<By> {
    let walks: Vec<_> = Kernel::all().map(By::Walk).collect();
    if walks.len() < 2 {
        eprintln!("SKIPPED in part: the CPU can run {walks:?} alone");
    }
    walks
}

/// Seals and opens, and compares everything with the library, the bytes around the messages included.
fn check(by: By, key: &Key, plain: &[Slot]) {
    let expected = sealed_by_library(key, plain);
    let mut slots = plain.to_vec();
    by.seal(key, &mut slots);
    assert!(slots == expected, "sealed otherwise than by the library");
    let verdicts = by.open(key, &mut slots);
    assert!(verdicts.iter().all(|authentic| *authentic));
    for ((mut opened, plain), sealed) in slots.into_iter().zip(plain).zip(&expected) {
        assert!(opened.text() == plain.text(), "opened to another text");
        // What is not text has not changed, the tag included.
        let length = opened.length;
        opened.body()[..length].copy_from_slice(sealed.text());
        assert!(opened == *sealed, "touched more than the text");
    }
}

#[test]
fn agrees_with_the_library_at_every_length() {
    let mut numbers = Numbers(1);
    for by in By::all() {
        let key = by.key(&mut numbers);
        for length in 0..=2048 {
            check(by, &key, &slots(&mut numbers, &[length; 8]));
        }
    }
}

#[test]
fn agrees_with_the_library_in_groups_of_every_size() {
    let mut numbers = Numbers(2);
    for by in By::all() {
        let most = if matches!(by, By::Walk(_)) { LANES } else { 20 };
        for count in 0..=most {
            for length in [0, 1, 15, 16, 17, 48, 63, 64, 65, 127, 128, 129, 192, 193, 576, 1420] {
                let key = by.key(&mut numbers);
                check(by, &key, &slots(&mut numbers, &vec![length; count]));
            }
        }
    }
}

#[test]
fn agrees_with_the_library_at_every_alignment() {
    let mut numbers = Numbers(3);
    for by in By::all() {
        let key = by.key(&mut numbers);
        for offset in 0..64 {
            for length in [5, 64, 200, 1000] {
                let slots: Vec<_> = (0..8)
                    .map(|i| Slot::new(&mut numbers, length, (offset + i) % 64))
                    .collect();
                check(by, &key, &slots);
            }
        }
    }
}

#[test]
fn agrees_with_the_library_on_the_longest_messages() {
    let mut numbers = Numbers(4);
    for by in By::all() {
        let lengths: &[usize] = match by {
            By::Batch(_) => &[65_535, 65_536, 100_000],
            By::Walk(_) => &[65_503, 65_519, 65_535],
        };
        for length in lengths {
            let key = by.key(&mut numbers);
            check(by, &key, &slots(&mut numbers, &[*length; 8]));
        }
    }
}

#[test]
fn agrees_with_the_library_on_batches_of_mixed_lengths() {
    let mut numbers = Numbers(5);
    for round in 0..300 {
        let kernel = Kernel::all().nth(round % 2);
        let by = By::Batch(kernel);
        let key = by.key(&mut numbers);
        let mut lengths = Vec::new();
        for _ in 0..numbers.below(6) {
            let (length, count) = (numbers.below(400), 1 + numbers.below(12));
            lengths.extend(std::iter::repeat_n(length, count));
        }
        check(by, &key, &slots(&mut numbers, &lengths));
    }
}

/// A long walk through everything at random; in a release build a much longer one.
#[test]
fn agrees_with_the_library_on_a_random_walk() {
    let mut numbers = Numbers(6);
    let all = By::all();
    for _ in 0..if cfg!(debug_assertions) { 200 } else { 20_000 } {
        let by = all[numbers.below(all.len())];
        let key = by.key(&mut numbers);
        let (bits, count) = (numbers.below(12), 1 + numbers.below(8));
        let lengths = vec![numbers.below(1 << bits); count];
        let plain = slots(&mut numbers, &lengths);
        let mut sealed = sealed_by_library(&key, &plain);
        check(by, &key, &plain);
        let broken = corrupt(&mut numbers, &mut sealed);
        expect_only(by, &key, &sealed, broken);
    }
}

/// Flips a bit of one message, and returns its index.
fn corrupt(numbers: &mut Numbers, slots: &mut [Slot]) -> usize {
    let index = numbers.below(slots.len());
    let body = slots[index].body();
    body[numbers.below(body.len())] ^= 1 << numbers.below(8);
    index
}

fn expect_only(by: By, key: &Key, slots: &[Slot], broken: usize) {
    let verdicts = by.open(key, &mut slots.to_vec());
    let expected: Vec<_> = (0..slots.len()).map(|index| index != broken).collect();
    assert_eq!(verdicts, expected);
}

#[test]
fn a_changed_bit_condemns_its_message_alone() {
    let mut numbers = Numbers(7);
    for by in By::all() {
        let key = by.key(&mut numbers);
        for length in [0, 1, 20, 64, 100] {
            let mut sealed = slots(&mut numbers, &[length; 8]);
            sealed = sealed_by_library(&key, &sealed);
            for broken in 0..8 {
                for byte in 0..length + TAG_LEN {
                    let bit = 1 << numbers.below(8);
                    sealed[broken].body()[byte] ^= bit;
                    expect_only(by, &key, &sealed, broken);
                    sealed[broken].body()[byte] ^= bit;
                }
                sealed[broken].counter ^= 1 << numbers.below(64);
                expect_only(by, &key, &sealed, broken);
                // Repair it, for the next one to be the only broken one.
                sealed[broken] = Slot::new(&mut numbers, length, 3);
                key.seal(sealed[broken].message());
            }
        }
    }
}

#[test]
fn a_body_without_room_for_a_tag_is_left_alone_and_never_authentic() {
    let key = Key::new(&Numbers(8).bytes());
    for length in 0..TAG_LEN {
        let mut bodies = vec![vec![7; length]; 8];
        let mut batch: Vec<_> = bodies.iter_mut().map(|body| Message { counter: 1, body }).collect();
        key.seal_batch(&mut batch);
        let mut refused = 0;
        key.open_batch(&mut batch, &mut |_, authentic| refused += usize::from(!authentic));
        assert_eq!(refused, 8);
        key.seal(Message {
            counter: 1,
            body: &mut bodies[0],
        });
        assert!(!key.open(Message {
            counter: 1,
            body: &mut bodies[0]
        }));
        assert_eq!(bodies, vec![vec![7; length]; 8]);
    }
}

#[test]
fn a_key_does_not_show_itself() {
    assert_eq!(format!("{:?}", Key::new(&[0x5a; 32])), "Key(..)");
    assert!(["avx512", "avx2", "library"].contains(&backend()));
}

/// RFC 8439 A.5 has additional data, so only its ciphertext applies: the same key and nonce, whose first four bytes are zero.
#[test]
fn rfc_8439_a_5_ciphertext() {
    let key = hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
    let ciphertext = hex(
        "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b\
         0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c1863\
         24e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c52\
         3eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e4\
         66dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b0270\
         9b",
    );
    let text = "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or \
        obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference material or \
        to cite them other than as /“work in progress./”";
    let counter = u64::from_le_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
    for kernel in Kernel::all().map(Some).chain([None]) {
        let key = Key::with_kernel(key.as_slice().try_into().unwrap(), kernel);
        let mut bodies = vec![[text.as_bytes(), &[0; TAG_LEN]].concat(); 8];
        let mut batch: Vec<_> = bodies.iter_mut().map(|body| Message { counter, body }).collect();
        key.seal_batch(&mut batch);
        for body in bodies {
            assert_eq!(body[..text.len()], ciphertext);
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().map(|c| (c as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

proptest! {
    #[test]
    fn any_batch_is_what_the_library_makes_of_it(
        seed: u64,
        kernel in 0_usize..3,
        lengths in prop::array::uniform3(0_usize..700),
        choice in prop::collection::vec((0_usize..3, any::<bool>()), 0..40),
    ) {
        let mut numbers = Numbers(seed);
        let by = By::Batch(Kernel::all().nth(kernel));
        let key = by.key(&mut numbers);
        let lengths: Vec<_> = choice.iter().map(|(which, _)| lengths[*which]).collect();
        let plain = slots(&mut numbers, &lengths);
        check(by, &key, &plain);
        let mut sealed = sealed_by_library(&key, &plain);
        for (slot, (_, broken)) in sealed.iter_mut().zip(&choice) {
            if *broken {
                corrupt(&mut numbers, std::slice::from_mut(slot));
            }
        }
        let verdicts = by.open(&key, &mut sealed);
        let expected: Vec<_> = choice.iter().map(|(_, broken)| !broken).collect();
        prop_assert_eq!(verdicts, expected);
    }
}
