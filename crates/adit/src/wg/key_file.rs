//! Files that hold one key in base64. An empty one, such as `/dev/null`, stands for no key.

use std::fs::File;
use std::io::{self, Read};

use conf::key_text::{self, BASE64_LEN, KeyBytes};
use zeroize::Zeroizing;

use super::{Failure, reason};

/// Reads the key of a file; `None` from an empty one. White space may follow the key.
pub(super) fn read(path: &str) -> Result<Option<KeyBytes>, Failure> {
    let mut file = File::open(path).map_err(|error| Failure(format!("fopen: {}", reason(&error))))?;
    parse(&mut file)
}

fn parse(input: &mut impl Read) -> Result<Option<KeyBytes>, Failure> {
    let wrong_length = || Failure("Invalid length key in key file".to_owned());
    let mut text = Zeroizing::new([0; BASE64_LEN]);
    let mut len = 0;
    while len < BASE64_LEN {
        match input.read(&mut text[len..]) {
            Ok(0) if len == 0 => return Ok(None),
            Ok(0) => return Err(wrong_length()),
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(wrong_length()),
        }
    }
    let mut rest = Zeroizing::new([0; 1024]);
    loop {
        match input.read(&mut rest[..]) {
            Ok(0) => break,
            Ok(more) => {
                // What follows may be the rest of a longer secret: it is not repeated.
                if !rest[..more].iter().all(|c| matches!(c, b' ' | b'\t'..=b'\r')) {
                    return Err(Failure("Found trailing character in key file".to_owned()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure(format!("read: {}", reason(&error)))),
        }
    }
    let wrong = || Failure("Key is not the correct length or format".to_owned());
    key_text::parse_base64(&text[..]).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_key_or_nothing() {
        let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
        let read = |text: String| {
            parse(&mut text.as_bytes())
                .map(|key| key.is_some())
                .map_err(|Failure(text)| text)
        };
        assert_eq!(read(String::new()), Ok(false));
        assert_eq!(read(key.to_owned()), Ok(true));
        assert_eq!(read(format!("{key}\r\n\t {}", " ".repeat(5000))), Ok(true));
        for (text, error) in [
            ("\n".to_owned(), "Invalid length key in key file"),
            (key[..43].to_owned(), "Invalid length key in key file"),
            (format!("{key}x"), "Found trailing character in key file"),
            (format!("{key}\0"), "Found trailing character in key file"),
            (
                format!("{}x", key.replace('=', "A")),
                "Found trailing character in key file",
            ),
            (key.replace('=', "A"), "Key is not the correct length or format"),
        ] {
            assert_eq!(read(text), Err(error.to_owned()));
        }
    }
}
