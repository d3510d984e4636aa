use super::*;
use crate::avx512::Wide;

/// A number as high · 2^128 + low; below 2^132.
type Number = (u128, u128);

/// 2^130 - 5
const P: Number = (3, u128::MAX - 4);

fn add((high, low): Number, other: Number) -> Number {
    let (low, carry) = low.overflowing_add(other.1);
    let mut sum = (high + other.0 + u128::from(carry), low);
    while sum >= P {
        let (low, borrow) = sum.1.overflowing_sub(P.1);
        sum = (sum.0 - P.0 - u128::from(borrow), low);
    }
    sum
}

/// a b modulo p, bit by bit.
fn times(a: Number, b: u128) -> Number {
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

const CLAMP: u128 = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;

/// The kernel's tags of equally long messages, or nothing on a CPU without it.
fn kernel(r: &[u128; LANES], s: &[u128; LANES], messages: &[Vec<u8>; LANES]) -> Option<[u128; LANES]> {
    Wide::detect()?;
    // SAFETY: the CPU's features were just detected.
    Some(unsafe { kernel_inner(r, s, messages) })
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn kernel_inner(r: &[u128; LANES], s: &[u128; LANES], messages: &[Vec<u8>; LANES]) -> [u128; LANES] {
    let mut poly = Poly::with_keys(halves(r), halves(s));
    for at in (0..messages[0].len()).step_by(16) {
        let parts = messages
            .each_ref()
            .map(|message| &message[at..message.len().min(at + 16)]);
        let mut blocks = [0; LANES];
        for (block, part) in blocks.iter_mut().zip(parts) {
            let mut bytes = [0; 16];
            bytes[..part.len()].copy_from_slice(part);
            *block = u128::from_le_bytes(bytes);
        }
        if parts[0].len() == 16 {
            let [low, high] = halves(&blocks);
            poly.step(low, high);
        } else {
            let [low, high] = halves(&blocks.map(|block| block | 1 << (8 * parts[0].len())));
            poly.absorb(limbs(low, high));
        }
    }
    poly.finish()
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn halves(numbers: &[u128; LANES]) -> [V; 2] {
    [
        from_lanes(&numbers.map(|number| number as u64)),
        from_lanes(&numbers.map(|number| (number >> 64) as u64)),
    ]
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn from_lanes(lanes: &[u64; LANES]) -> V {
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

/// Checks one case in every lane by itself, among neighbours with other keys and messages, and the model as well.
fn check(name: &str, r: u128, s: u128, message: &[u8], tag: u128) {
    assert_eq!(model(r, s, message), tag, "model, {name}");
    for lane in 0..LANES {
        let mut rs = [0x1234_5678_9abc_def0_u128 << lane; LANES];
        let mut ss = [!0; LANES];
        let mut messages = [const { Vec::new() }; LANES];
        messages.fill(vec![0xa5; message.len()]);
        (rs[lane], ss[lane], messages[lane]) = (r, s, message.to_vec());
        let Some(tags) = kernel(&rs, &ss, &messages) else {
            eprintln!("SKIPPED: the CPU has no AVX-512 with IFMA");
            return;
        };
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

#[test]
fn rfc_8439_a_3_vectors_on_text() {
    let text = b"Any submission to the IETF intended by the Contributor for publication as all or part of an IETF \
        Internet-Draft or RFC and any statement made within the context of an IETF activity is considered an \
        \"IETF Contribution\". Such statements include oral statements in IETF sessions, as well as written and \
        electronic communications made at any time or place, which are addressed to";
    let key = number("36e5f6b5c5e06070f0efca96227a863e");
    check("1", 0, 0, &[0; 64], 0);
    check("2", 0, key, text, key);
    check("3", key, 0, text, number("f3477e7cd95417af89a6b8794c310cf0"));
    let text = b"'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\nAll mimsy were the \
        borogoves,\nAnd the mome raths outgrabe.";
    let (r, s) = (
        number("1c9240a5eb55d38af333888604f6b5f0"),
        number("473917c1402b80099dca5cbc207075c0"),
    );
    check("4", r, s, text, number("4541669a7eaaee61e708dc7cbcc5eb62"));
}

#[test]
fn rfc_8439_a_3_vectors_near_p() {
    check("5", 2, 0, &blocks(&[ONES]), 3);
    check("6", 2, !0, &2_u128.to_le_bytes(), 3);
    let f0 = "f0ffffffffffffffffffffffffffffff";
    let eleven = "11000000000000000000000000000000";
    check("7", 1, 0, &blocks(&[ONES, f0, eleven]), 5);
    let fb = "fbfefefefefefefefefefefefefefefe";
    let ones = "01010101010101010101010101010101";
    check("8", 1, 0, &blocks(&[ONES, fb, ones]), 0);
    let fd = "fdffffffffffffffffffffffffffffff";
    check("9", 2, 0, &blocks(&[fd]), number("faffffffffffffffffffffffffffffff"));
    let r = number("01000000000000000400000000000000");
    let (e3, three) = ("e33594d7505e43b90000000000000000", "3394d7505e4379cd0100000000000000");
    let (zero, one) = ("00000000000000000000000000000000", "01000000000000000000000000000000");
    let tag = number("14000000000000005500000000000000");
    check("10", r, 0, &blocks(&[e3, three, zero, one]), tag);
    check("11", r, 0, &blocks(&[e3, three, zero]), 0x13);
}

#[test]
fn the_largest_keys_and_messages_agree_with_the_model() {
    for (length, fill) in [(16, 0xff), (32, 0xff), (1008, 0xff), (1008, 0), (65_519, 0xff)] {
        let message = vec![fill; length];
        check("largest", !0, !0, &message, model(!0, !0, &message));
    }
}

/// Every h near p, reached with r = 1 and blocks that add up to it.
#[test]
fn the_last_reduction_is_right_around_p() {
    // Three whole blocks carry 3 · 2^128, so the rest of p + offset - 8 for their texts to add up to is 2^128 - 5 + offset - 8.
    for offset in 0..16 {
        let rest = u128::MAX - 4 - 8 - 8 + offset;
        let message: Vec<u8> = [rest, 4, 4]
            .iter()
            .flat_map(|block: &u128| block.to_le_bytes())
            .collect();
        check("around p", 1, 0, &message, model(1, 0, &message));
        check("around p", 1, !0, &message, model(1, !0, &message));
    }
}

#[test]
fn the_limbs_keep_their_bounds_from_their_bounds() {
    if Wide::detect().is_none() {
        eprintln!("SKIPPED: the CPU has no AVX-512 with IFMA");
        return;
    }
    // SAFETY: the CPU's features were just detected.
    unsafe { bounds() };
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn bounds() {
    let mut seed = 1_u64;
    for round in 0..10_000 {
        let mut next = |limit: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Now and then a limit itself, and always in the first round.
            if round == 0 || seed >> 61 == 0 {
                limit - 1
            } else {
                (seed >> 8) % limit
            }
        };
        let h = [next(1 << 50), next(1 << 44), next(1 << 42)];
        let block = u128::from(next(u64::MAX)) << 64 | u128::from(next(u64::MAX));
        let r = u128::from(next(u64::MAX)) << 64 | u128::from(next(u64::MAX));
        let block = if round == 0 { u128::MAX } else { block };
        let r = if round == 0 { u128::MAX } else { r };

        let mut poly = Poly::with_keys(halves(&[r; LANES]), halves(&[0; LANES]));
        poly.h = h.map(|limb| from_lanes(&[limb; LANES]));
        let [low, high] = halves(&[block; LANES]);
        poly.step(low, high);
        let after = poly.h.map(|limb| to_lanes(limb)[0]);
        assert!(after[0] < 1 << 50 && after[1] < 1 << 44 && after[2] < 1 << 42);

        let value = |[h0, h1, h2]: [u64; 3]| {
            let top = (u128::from(h2) >> 40, u128::from(h2) << 88);
            add(add((0, u128::from(h0) + (u128::from(h1) << 44)), top), (0, 0))
        };
        assert_eq!(value(after), times(add(value(h), (1, block)), r & CLAMP));
    }
}

#[test]
fn the_last_reduction_carries_from_every_state_within_the_bounds() {
    if Wide::detect().is_none() {
        eprintln!("SKIPPED: the CPU has no AVX-512 with IFMA");
        return;
    }
    // SAFETY: the CPU's features were just detected.
    unsafe { finishes() };
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn finishes() {
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed >> 20
    };
    for _ in 0..20_000 {
        // Near a multiple of the limb's size, where carries ripple.
        let mut near = |bits: u32, most: u32| {
            let multiple = match next() % 3 {
                0 => 1 << bits,
                1 => (next() % (1 << (most - bits))) << bits,
                _ => next() % (1 << most),
            };
            (multiple + next() % 13).saturating_sub(6).min((1 << most) - 1)
        };
        let h = [(44, 50), (44, 44), (42, 42)].map(|(bits, most)| near(bits, most));
        for pad in [
            0,
            u128::MAX,
            u128::from(next()) << 84 | u128::from(next()) << 42 | u128::from(next()),
        ] {
            let mut poly = Poly::with_keys(halves(&[0; LANES]), halves(&[pad; LANES]));
            poly.h = h.map(|limb| from_lanes(&[limb; LANES]));
            let [low, middle, high] = h.map(u128::from);
            let value = add((0, low + (middle << 44)), (high >> 40, high << 88));
            assert_eq!(poly.finish(), [value.1.wrapping_add(pad); LANES], "{h:x?}");
        }
    }
}
