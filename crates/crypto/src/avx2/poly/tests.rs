use super::*;
use crate::poly_cases::{CLAMP, add, check_all, times};

#[test]
fn agrees_with_the_model() {
    check_all(&|r, s, messages| {
        std::array::from_fn(|lane| {
            let mut poly = Poly::new(r[lane], s[lane]);
            for part in messages[lane].chunks(16) {
                let mut bytes = [0; 16];
                bytes[..part.len()].copy_from_slice(part);
                let block = u128::from_le_bytes(bytes);
                if part.len() == 16 {
                    poly.step(block);
                } else {
                    poly.absorb(block | 1 << (8 * part.len()), 0);
                }
            }
            poly.finish()
        })
    });
}

/// Numbers, now and then the largest or the least.
fn numbers() -> impl FnMut() -> u64 {
    let mut seed = 3_u64;
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match seed >> 60 {
            0..=2 => u64::MAX - (seed >> 56) % 8,
            3..=4 => (seed >> 56) % 8,
            _ => seed.rotate_left(32),
        }
    }
}

#[test]
fn h_keeps_its_bound_from_its_bound() {
    let mut next = numbers();
    let mut pair = || u128::from(next()) << 64 | u128::from(next());
    for round in 0..100_000 {
        let (low, block, r) = match round {
            0 => (u128::MAX, u128::MAX, u128::MAX),
            _ => (pair(), pair(), pair()),
        };
        let h2 = if round == 0 { 4 } else { round % 5 };
        let mut poly = Poly::new(r, 0);
        poly.h = [low as u64, (low >> 64) as u64, h2];
        poly.step(block);
        let [h0, h1, after] = poly.h;
        assert!(after <= 4);
        let value = add((after.into(), u128::from(h1) << 64 | u128::from(h0)), (0, 0));
        assert_eq!(value, times(add((h2.into(), low), (1, block)), r & CLAMP));
    }
}

#[test]
fn the_last_reduction_is_right_from_every_state_within_the_bound() {
    let mut next = numbers();
    for round in 0..100_000 {
        let (h0, h1, h2) = (next(), next(), round % 5);
        let pad = u128::from(next()) << 64 | u128::from(next());
        let mut poly = Poly::new(0, pad);
        poly.h = [h0, h1, h2];
        let value = add((h2.into(), u128::from(h1) << 64 | u128::from(h0)), (0, 0));
        assert_eq!(poly.finish(), value.1.wrapping_add(pad), "{h0:x} {h1:x} {h2}");
    }
}
