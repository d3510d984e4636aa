use super::*;
use crate::lockstep::Kernel;
use crate::poly_cases::{CLAMP, add, check_all, times};

#[test]
fn agrees_with_the_model() {
    if !runs() {
        return;
    }
    // SAFETY: the CPU's features were just detected.
    check_all(&|r, s, messages| unsafe { tags(r, s, messages) });
}

fn runs() -> bool {
    let runs = Kernel::all().any(|kernel| kernel.name() == "avx512");
    if !runs {
        eprintln!("SKIPPED: the CPU has no AVX-512 with IFMA");
    }
    runs
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn tags(r: &[u128; LANES], s: &[u128; LANES], messages: &[Vec<u8>; LANES]) -> [u128; LANES] {
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

#[test]
fn the_limbs_keep_their_bounds_from_their_bounds() {
    if !runs() {
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
    if !runs() {
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
