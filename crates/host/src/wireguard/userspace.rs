//! Engines in userspace, over the UAPI: one socket for each interface, named after it.

use std::fs::{self, FileType};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use conf::uapi::{self, AnswerError, DeviceStatus, SetRequest};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{Device, zone_index};

const DIRECTORY: &str = "/var/run/wireguard";
const SUFFIX: &str = ".sock";

/// The longest answer taken, in bytes: as much as an engine with millions of allowed IPs has to say, not what an endless
/// one does.
const MAX_ANSWER: usize = 512 * 1024 * 1024;

/// A connection to an engine.
pub(super) struct Userspace(UnixStream);

/// Returns the names of the interfaces whose engine listens, in the order of the directory.
pub(super) fn interfaces() -> io::Result<Vec<String>> {
    interfaces_in(Path::new(DIRECTORY))
}

/// Connects to the engine of an interface; `None` where it has no engine.
pub(super) fn connect(name: &str) -> io::Result<Option<Userspace>> {
    if name.contains('/') {
        return Err(Errno::INVAL.into());
    }
    let stream = knock(&PathBuf::from(DIRECTORY).join(format!("{name}{SUFFIX}")))?;
    Ok(stream.map(Userspace))
}

impl Device for Userspace {
    fn status(&mut self) -> io::Result<DeviceStatus> {
        self.exchange(uapi::GET_REQUEST)
    }

    fn change(&mut self, request: &SetRequest) -> io::Result<()> {
        self.exchange(&uapi::set_request(request)).map(drop)
    }
}

impl Userspace {
    fn exchange(&mut self, request: &[u8]) -> io::Result<DeviceStatus> {
        // An engine that refuses a long request early may close before it has read all of it; its answer counts.
        let sent = self.0.write_all(request);
        let answer = read_answer(&mut self.0)?;
        match uapi::parse_answer(&answer, &zone_index) {
            Ok(status) => sent.map(|()| status),
            Err(AnswerError::Refused(errno)) => Err(io::Error::from_raw_os_error(errno.number().wrapping_neg())),
            Err(_) => Err(sent.err().unwrap_or_else(|| Errno::PROTO.into())),
        }
    }
}

/// Reads to the empty line that ends an answer, or to the end of the stream.
fn read_answer(stream: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(vec![0; 16 * 1024]);
    let mut len = 0;
    loop {
        if len == text.len() {
            if len >= MAX_ANSWER {
                return Err(Errno::FBIG.into());
            }
            // Growing in place would leave a copy of the keys in freed memory.
            let mut larger = Zeroizing::new(vec![0; len * 2]);
            larger[..len].copy_from_slice(&text);
            text = larger;
        }
        match stream.read(&mut text[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if text[..len].ends_with(b"\n\n") {
            break;
        }
    }
    text.truncate(len);
    Ok(text)
}

fn interfaces_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(name) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_suffix(SUFFIX))
            .map(str::to_owned)
        else {
            continue;
        };
        if matches!(knock(&entry.path()), Ok(Some(_))) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Connects to a socket file; `None` if there is none, or one that nobody listens to, which is removed then.
fn knock(path: &Path) -> io::Result<Option<UnixStream>> {
    if !fs::symlink_metadata(path).is_ok_and(|file| FileType::is_socket(&file.file_type())) {
        return Ok(None);
    }
    match UnixStream::connect(path) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // It may be gone already, or not be ours to remove; nobody listens either way.
            let _ = fs::remove_file(path);
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_sockets_with_a_listener_count_and_stale_ones_go() {
        let directory = std::env::temp_dir().join(format!("adit-userspace-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let alive = UnixListener::bind(directory.join("alive.sock")).unwrap();
        drop(UnixListener::bind(directory.join("dead.sock")).unwrap());
        let other = UnixListener::bind(directory.join("alive.other")).unwrap();
        fs::write(directory.join("file.sock"), "").unwrap();
        assert_eq!(interfaces_in(&directory).unwrap(), ["alive"]);
        assert!(!directory.join("dead.sock").exists(), "a stale socket stays");
        assert!(
            directory.join("file.sock").exists(),
            "a file that is no socket is removed"
        );
        drop((alive, other));
        fs::remove_dir_all(&directory).unwrap();
        assert!(
            interfaces_in(&directory).unwrap().is_empty(),
            "no directory, no interfaces"
        );
    }

    #[test]
    fn an_answer_ends_with_its_empty_line_however_it_is_cut() {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                assert!(!self.0.is_empty(), "read beyond the end of the answer");
                let len = self.1.min(to.len()).min(self.0.len());
                let (now, later) = self.0.split_at(len);
                to[..len].copy_from_slice(now);
                self.0 = later;
                Ok(len)
            }
        }
        let answer = format!("{}errno=0\n\n", "listen_port=7\n".repeat(5000));
        for piece in [1, 7, 100_000] {
            assert_eq!(
                read_answer(&mut Pieces(answer.as_bytes(), piece)).unwrap()[..],
                *answer.as_bytes()
            );
        }
        assert_eq!(read_answer(&mut &b"errno="[..]).unwrap()[..], *b"errno=");
    }
}
