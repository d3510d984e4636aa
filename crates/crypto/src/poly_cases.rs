//! Cases that the Poly1305 of every kernel must pass, and a model to compare it with.

use crate::LANES;

/// The tags of equally long messages, from the keys' r and s.
type Tags<'a> = &'a dyn Fn(&[u128; LANES], &[u128; LANES], &[Vec<u8>; LANES]) -> [u128; LANES];

/// Checks all cases.
pub(crate) fn check_all(tags: Tags<'_>) {
    rfc_8439_a_3_vectors_on_text(tags);
    rfc_8439_a_3_vectors_near_p(tags);
    the_largest_keys_and_messages_agree_with_the_model(tags);
    the_last_reduction_is_right_around_p(tags);
}

/// A number as high · 2^128 + low; below 2^132.
pub(crate) type Number = (u128, u128);

/// 2^130 - 5
const P: Number = (3, u128::MAX - 4);

pub(crate) fn add((high, low): Number, other: Number) -> Number {
    let (low, carry) = low.overflowing_add(other.1);
    let mut sum = (high + other.0 + u128::from(carry), low);
    while sum >= P {
        let (low, borrow) = sum.1.overflowing_sub(P.1);
        sum = (sum.0 - P.0 - u128::from(borrow), low);
    }
    sum
}

/// a b modulo p, bit by bit.
pub(crate) fn times(a: Number, b: u128) -> Number {
    (0..128).rev().fold((0, 0), |sum, bit| {
        let doubled = add(sum, sum);
        if b >> bit & 1 == 1 { add(doubled, a) } else { doubled }
    })
}

/// RFC 8439 §2.5.1, word for word.
fn model(r: u128, s: u128, message: &[u8]) -> u128 {
    let r = r & CLAMP;
    let mut h = (0, 0);
    for part in message.chunks(16) {
        let mut block = [0; 17];
        block[..part.len()].copy_from_slice(part);
        block[part.len()] = 1;
        let (low, high) = block.split_first_chunk().unwrap();
        h = times(add(h, (high[0].into(), u128::from_le_bytes(*low))), r);
    }
    h.1.wrapping_add(s)
}

/// Of r, §2.5.
pub(crate) const CLAMP: u128 = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;

/// Checks one case in every lane by itself, among neighbours with other keys and messages, and the model as well.
fn check(tags: Tags<'_>, name: &str, r: u128, s: u128, message: &[u8], tag: u128) {
    assert_eq!(model(r, s, message), tag, "model, {name}");
    for lane in 0..LANES {
        let mut rs = [0x1234_5678_9abc_def0_u128 << lane; LANES];
        let mut ss = [!0; LANES];
        let mut messages = [const { Vec::new() }; LANES];
        messages.fill(vec![0xa5; message.len()]);
        (rs[lane], ss[lane], messages[lane]) = (r, s, message.to_vec());
        let tags = tags(&rs, &ss, &messages);
        assert_eq!(tags[lane], tag, "lane {lane}, {name}");
        let other = (lane + 1) % LANES;
        assert_eq!(
            tags[other],
            model(rs[other], !0, &messages[other]),
            "neighbour of lane {lane}, {name}"
        );
    }
}

fn number(hex: &str) -> u128 {
    u128::from_str_radix(hex, 16).unwrap().swap_bytes()
}

fn blocks(numbers: &[&str]) -> Vec<u8> {
    numbers.iter().flat_map(|hex| number(hex).to_le_bytes()).collect()
}

const ONES: &str = "ffffffffffffffffffffffffffffffff";

fn rfc_8439_a_3_vectors_on_text(tags: Tags<'_>) {
    let text = b"Any submission to the IETF intended by the Contributor for publication as all or part of an IETF \
        Internet-Draft or RFC and any statement made within the context of an IETF activity is considered an \
        \"IETF Contribution\". Such statements include oral statements in IETF sessions, as well as written and \
        electronic communications made at any time or place, which are addressed to";
    let key = number("36e5f6b5c5e06070f0efca96227a863e");
    check(tags, "1", 0, 0, &[0; 64], 0);
    check(tags, "2", 0, key, text, key);
    check(tags, "3", key, 0, text, number("f3477e7cd95417af89a6b8794c310cf0"));
    let text = b"'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\nAll mimsy were the \
        borogoves,\nAnd the mome raths outgrabe.";
    let (r, s) = (
        number("1c9240a5eb55d38af333888604f6b5f0"),
        number("473917c1402b80099dca5cbc207075c0"),
    );
    check(tags, "4", r, s, text, number("4541669a7eaaee61e708dc7cbcc5eb62"));
}

fn rfc_8439_a_3_vectors_near_p(tags: Tags<'_>) {
    check(tags, "5", 2, 0, &blocks(&[ONES]), 3);
    check(tags, "6", 2, !0, &2_u128.to_le_bytes(), 3);
    let f0 = "f0ffffffffffffffffffffffffffffff";
    let eleven = "11000000000000000000000000000000";
    check(tags, "7", 1, 0, &blocks(&[ONES, f0, eleven]), 5);
    let fb = "fbfefefefefefefefefefefefefefefe";
    let ones = "01010101010101010101010101010101";
    check(tags, "8", 1, 0, &blocks(&[ONES, fb, ones]), 0);
    let fd = "fdffffffffffffffffffffffffffffff";
    check(
        tags,
        "9",
        2,
        0,
        &blocks(&[fd]),
        number("faffffffffffffffffffffffffffffff"),
    );
    let r = number("01000000000000000400000000000000");
    let (e3, three) = ("e33594d7505e43b90000000000000000", "3394d7505e4379cd0100000000000000");
    let (zero, one) = ("00000000000000000000000000000000", "01000000000000000000000000000000");
    let tag = number("14000000000000005500000000000000");
    check(tags, "10", r, 0, &blocks(&[e3, three, zero, one]), tag);
    check(tags, "11", r, 0, &blocks(&[e3, three, zero]), 0x13);
}

fn the_largest_keys_and_messages_agree_with_the_model(tags: Tags<'_>) {
    for (length, fill) in [(16, 0xff), (32, 0xff), (1008, 0xff), (1008, 0), (65_519, 0xff)] {
        let message = vec![fill; length];
        check(tags, "largest", !0, !0, &message, model(!0, !0, &message));
    }
}

/// Every h near p, reached with r = 1 and blocks that add up to it.
fn the_last_reduction_is_right_around_p(tags: Tags<'_>) {
    // Three whole blocks carry 3 · 2^128, so the rest of p + offset - 8 for their texts to add up to is 2^128 - 5 + offset - 8.
    for offset in 0..16 {
        let rest = u128::MAX - 4 - 8 - 8 + offset;
        let message: Vec<u8> = [rest, 4, 4]
            .iter()
            .flat_map(|block: &u128| block.to_le_bytes())
            .collect();
        check(tags, "around p", 1, 0, &message, model(1, 0, &message));
        check(tags, "around p", 1, !0, &message, model(1, !0, &message));
    }
}
