//! `wg pubkey`: reads a private key, writes its public key.

use std::ffi::OsString;
use std::io::{self, Read};

use conf::key_text::{self, BASE64_LEN, KeyBytes};
use proto::PrivateKey;
use zeroize::Zeroizing;

use super::{Failure, Outcome, output};

pub(super) fn run(arguments: &[OsString]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Failure::usage("pubkey"));
    }
    let bytes = read(&mut io::stdin().lock()).map_err(|message| Failure(format!("wg: {message}")))?;
    let key = PrivateKey::from_bytes(*bytes);
    output::key(&key_text::base64(key.public_key().as_bytes()))
}

/// Reads a key in base64, after which only white space and NUL may come.
fn read(input: &mut impl Read) -> Result<KeyBytes, &'static str> {
    let wrong = "Key is not the correct length or format";
    let mut text = Zeroizing::new([0; BASE64_LEN]);
    input.read_exact(&mut text[..]).map_err(|_| wrong)?;
    let mut rest = Zeroizing::new([0; 1024]);
    loop {
        match input.read(&mut rest[..]) {
            Ok(0) | Err(_) => break,
            // C's isspace also takes the vertical tab.
            Ok(len) if rest[..len].iter().all(|c| matches!(c, b' ' | b'\t'..=b'\r' | 0)) => {}
            Ok(_) => return Err("Trailing characters found after key"),
        }
    }
    key_text::parse_base64(&text[..]).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

    #[test]
    fn only_white_space_and_nul_may_follow_the_key() {
        for end in ["", "\n", " \t\r\n\x0b\x0c\0", &" ".repeat(5000)] {
            assert!(read(&mut format!("{KEY}{end}").as_bytes()).is_ok(), "{end:?}");
        }
        let long = format!("{}x", "\n".repeat(5000));
        for end in ["x", "\nx", KEY, &long] {
            let error = read(&mut format!("{KEY}{end}").as_bytes()).unwrap_err();
            assert_eq!(error, "Trailing characters found after key", "{end:?}");
        }
        for text in ["", "\n", &KEY[1..], &KEY.replace('=', "A"), &format!(" {KEY}")[..44]] {
            let error = read(&mut text.as_bytes()).unwrap_err();
            assert_eq!(error, "Key is not the correct length or format", "{text:?}");
        }
    }
}
