//! Keys as text: 64 hexadecimal digits on the control socket, 44 base64 characters everywhere else.
//!
//! Both codecs run in time independent of the key: no table is indexed by, and no branch taken on, key material. The
//! verdict "this is not a key" is the only thing that timing shows.

use zeroize::Zeroizing;

/// The length of a key in hexadecimal, in characters.
pub const HEX_LEN: usize = 64;
/// The length of a key in base64, in characters, the final `=` included.
pub const BASE64_LEN: usize = 44;

/// The raw bytes of a key, wiped when dropped.
pub type KeyBytes = Zeroizing<[u8; 32]>;

/// Decodes exactly 64 hexadecimal digits of either case.
pub fn parse_hex(text: &[u8]) -> Option<KeyBytes> {
    if text.len() != HEX_LEN {
        return None;
    }
    let mut key = KeyBytes::default();
    let mut bad = 0;
    let (pairs, _) = text.as_chunks::<2>();
    for (byte, &[high, low]) in key.iter_mut().zip(pairs) {
        let (high, low) = (hex_value(high), hex_value(low));
        bad |= high | low;
        *byte = ((high << 4) | (low & 15)) as u8;
    }
    // A wrong digit is the only negative value.
    (bad >= 0).then_some(key)
}

/// Returns the 64 lower-case hexadecimal digits of a key.
pub fn hex(key: &[u8; 32]) -> Zeroizing<[u8; HEX_LEN]> {
    let mut text = Zeroizing::new([0; HEX_LEN]);
    let (pairs, _) = text.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(key) {
        *pair = [hex_digit(byte >> 4), hex_digit(byte & 15)];
    }
    text
}

/// Decodes exactly 44 characters of canonical base64 in the standard alphabet.
///
/// The last character is `=` and the two bits that no byte uses must be zero.
pub fn parse_base64(text: &[u8]) -> Option<KeyBytes> {
    if text.len() != BASE64_LEN {
        return None;
    }
    let mut key = KeyBytes::default();
    let mut bad = 0;
    let (groups, _) = text.as_chunks::<4>();
    for (bytes, &[a, b, c, d]) in key.chunks_mut(3).zip(groups) {
        // The padding of the last group stands for six zero bits.
        let d = if bytes.len() == 3 {
            base64_value(d)
        } else {
            i32::from(d ^ b'=').wrapping_neg()
        };
        let (a, b, c) = (base64_value(a), base64_value(b), base64_value(c));
        bad |= a | b | c | d;
        let bits = (a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);
        let [_, decoded @ ..] = bits.to_be_bytes();
        if let [_, _] = bytes {
            // Not canonical: bits beyond the 32nd byte.
            bad |= i32::from(decoded[2]).wrapping_neg();
        }
        for (byte, value) in bytes.iter_mut().zip(decoded) {
            *byte = value;
        }
    }
    (bad >= 0).then_some(key)
}

/// Returns a key in base64.
pub fn base64(key: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(BASE64_LEN));
    for bytes in key.chunks(3) {
        let mut bits = 0;
        for (byte, shift) in bytes.iter().zip([16, 8, 0]) {
            bits |= u32::from(*byte) << shift;
        }
        for shift in [18, 12, 6, 0].into_iter().take(bytes.len() + 1) {
            text.push(char::from(base64_digit((bits >> shift & 63) as u8)));
        }
    }
    text.push('=');
    text
}

/// `value` if `c` lies in `low..=high`, otherwise 0, without a branch.
fn within(c: u8, low: u8, high: u8, value: i32) -> i32 {
    let (c, low, high) = (i32::from(c), i32::from(low), i32::from(high));
    // Both differences are negative exactly when c is inside, which sets the mask to all ones.
    let mask = ((low - 1 - c) & (c - high - 1)) >> 31;
    value & mask
}

/// The value of a digit, or a negative number.
fn hex_value(c: u8) -> i32 {
    let n = i32::from(c);
    -1 + within(c, b'0', b'9', n - 0x30 + 1)
        + within(c, b'a', b'f', n - 0x61 + 11)
        + within(c, b'A', b'F', n - 0x41 + 11)
}

fn hex_digit(value: u8) -> u8 {
    // 10 and more continue at 'a', which lies 39 beyond the character after '9'.
    let letter = (9u8.wrapping_sub(value) as i8 >> 7) as u8;
    b'0' + value + (letter & 39)
}

/// The value of a base64 character, or a negative number.
fn base64_value(c: u8) -> i32 {
    let n = i32::from(c);
    -1 + within(c, b'A', b'Z', n - 0x41 + 1)
        + within(c, b'a', b'z', n - 0x61 + 27)
        + within(c, b'0', b'9', n - 0x30 + 53)
        + within(c, b'+', b'+', 63)
        + within(c, b'/', b'/', 64)
}

fn base64_digit(value: u8) -> u8 {
    let n = i32::from(value);
    let digit = within(value, 0, 25, n + 0x41)
        + within(value, 26, 51, n - 26 + 0x61)
        + within(value, 52, 61, n - 52 + 0x30)
        + within(value, 62, 62, 0x2b)
        + within(value, 63, 63, 0x2f);
    digit as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    #[test]
    fn every_character_is_judged_like_a_naive_codec_does() {
        for c in 0..=u8::MAX {
            let naive = char::from(c).to_digit(16).map_or(-1, |v| v as i32);
            assert_eq!(hex_value(c), naive, "{c}");
            let mut text = *b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            text[5] = c;
            let expected = STANDARD.decode(text).ok();
            assert_eq!(parse_base64(&text).map(|k| k.to_vec()), expected, "{c}");
        }
    }

    #[test]
    fn base64_must_be_canonical_and_whole() {
        assert!(parse_base64(b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").is_some());
        for bad in [
            &b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB="[..],
            b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
            b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            b"",
        ] {
            assert!(parse_base64(bad).is_none());
        }
    }

    #[test]
    fn hex_wants_64_digits_of_either_case() {
        assert_eq!(*parse_hex("aF".repeat(32).as_bytes()).unwrap(), [0xaf; 32]);
        assert!(parse_hex("0".repeat(63).as_bytes()).is_none());
        assert!(parse_hex("0".repeat(66).as_bytes()).is_none());
        assert!(parse_hex("0g".repeat(32).as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn both_codecs_round_trip(key: [u8; 32]) {
            prop_assert_eq!(*parse_hex(&hex(&key)[..]).unwrap(), key);
            let text = base64(&key);
            prop_assert_eq!(text.as_str(), STANDARD.encode(key));
            prop_assert_eq!(*parse_base64(text.as_bytes()).unwrap(), key);
        }
    }
}
