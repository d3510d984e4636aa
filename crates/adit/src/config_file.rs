//! Reading a configuration file, which may be a pipe, into memory that is wiped.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

/// The longest file taken, in bytes: a million peers with some allowed IPs each, not an endless pipe.
const MAX_LEN: usize = 256 * 1024 * 1024;

/// Reads all of a file.
///
/// # Errors
/// That of the system, or `FileTooLarge`.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    content(&mut File::open(path)?)
}

/// Reads all of a file that is open.
///
/// # Errors
/// As [`read`].
pub(crate) fn content(file: &mut File) -> io::Result<Zeroizing<Vec<u8>>> {
    let expected = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_LEN);
    all(file, expected)
}

/// Refuses a file by whose mode others may do what they must not, with the way to mend it.
///
/// # Errors
/// The text for people.
pub(crate) fn refuse_mode(path: &Path, forbidden: u32, others: &str, mend: &str) -> Result<(), String> {
    // Why there is none is told when it is read.
    let Ok(data) = fs::metadata(path) else { return Ok(()) };
    let mode = data.permissions().mode() & 0o7777;
    if data.is_file() && mode & forbidden != 0 {
        let path = path.display();
        return Err(format!(
            "`{path}' has mode {mode:04o}, by which {others}: chmod {mend} '{path}'"
        ));
    }
    Ok(())
}

/// Reads all that comes, which is expected to be of some length.
///
/// # Errors
/// As [`read`].
pub(crate) fn all(input: &mut impl Read, expected: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // One byte more than expected shows the end.
    let mut text = Zeroizing::new(vec![0; expected.clamp(4096, MAX_LEN) + 1]);
    let mut len = 0;
    loop {
        if len == text.len() {
            if len > MAX_LEN {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            // Growing in place would leave a copy of the keys in freed memory.
            let mut larger = Zeroizing::new(vec![0; (len * 2).min(MAX_LEN + 1)]);
            larger[..len].copy_from_slice(&text);
            text = larger;
        }
        match input.read(&mut text[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    text.truncate(len);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_to_its_end_whatever_length_was_expected() {
        let file: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        for expected in [0, 50_000, 100_000, usize::MAX] {
            assert_eq!(*all(&mut &file[..], expected).unwrap(), file);
        }
        assert_eq!(
            all(&mut io::repeat(b'#'), 0).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }
}
