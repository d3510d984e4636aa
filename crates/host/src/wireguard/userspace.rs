//! Engines in userspace, over the UAPI: one socket for each interface, named after it.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use conf::uapi::{self, AnswerError, DeviceStatus, SetRequest};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::Pid;
use zeroize::Zeroizing;

use super::{Device, MAX_ANSWER, zone_index};

const DIRECTORY: &str = "/var/run/wireguard";
const SUFFIX: &str = ".sock";

/// How long an engine may neither take nor say anything. Ours loads 100,000 peers in a fraction of a second, others take
/// some seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// A connection to an engine.
pub(super) struct Userspace(UnixStream);

/// Returns the names of the interfaces whose engine listens, in the order of the directory.
pub(super) fn interfaces() -> io::Result<Vec<String>> {
    interfaces_in(Path::new(DIRECTORY))
}

/// Connects to the engine of an interface; `None` where it has no engine.
pub(super) fn connect(name: &str) -> io::Result<Option<Userspace>> {
    // No interface has such a name, and a path could lead anywhere.
    if name.contains('/') {
        return Ok(None);
    }
    let path = PathBuf::from(DIRECTORY).join(format!("{name}{SUFFIX}"));
    Ok(knock(&path, &|path| dial(path, SILENCE))?.map(Userspace))
}

impl Userspace {
    /// Returns the process that listens; that of an engine which handed its socket on may be gone.
    pub(super) fn process(&self) -> io::Result<Pid> {
        Ok(socket_peercred(&self.0)?.pid)
    }
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
        let sent = match self.0.write_all(request) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Errno::TIMEDOUT.into()),
            sent => sent,
        };
        let answer = read_answer(&mut self.0).map_err(timed_out)?;
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
        if matches!(knock(&entry.path(), &|path| dial(path, SILENCE)), Ok(Some(_))) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Connects to a socket file; `None` if there is none, or one that nobody listens to, which is removed then.
fn knock(path: &Path, dial: &dyn Fn(&Path) -> io::Result<UnixStream>) -> io::Result<Option<UnixStream>> {
    // A second time if an engine put its own socket there meanwhile.
    for _ in 0..2 {
        let Some(file) = socket_file(path) else {
            return Ok(None);
        };
        match dial(path) {
            Ok(stream) => return Ok(Some(stream)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                if socket_file(path) == Some(file) {
                    // It may not be ours to remove; nobody listens either way.
                    let _ = fs::remove_file(path);
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Tells one socket file from another at the same path: device, inode, and time of change, because inodes are used again.
fn socket_file(path: &Path) -> Option<[u64; 4]> {
    let file = fs::symlink_metadata(path).ok()?;
    let changed = [file.ctime().cast_unsigned(), file.ctime_nsec().cast_unsigned()];
    file.file_type()
        .is_socket()
        .then(|| [file.dev(), file.ino(), changed[0], changed[1]])
}

/// Connects; this, and every read and write later, waits for the other side no longer than `silence`.
fn dial(path: &Path, silence: Duration) -> io::Result<UnixStream> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    for timeout in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(&socket, timeout, Some(silence))?;
    }
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?).map_err(|error| timed_out(error.into()))?;
    Ok(UnixStream::from(socket))
}

/// The system says of a wait that was too long that it would have to wait.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => Errno::TIMEDOUT.into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::os::unix::net::UnixListener;

    /// Makes a directory for one test.
    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("adit-userspace-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn only_sockets_with_a_listener_count_and_stale_ones_go() {
        let directory = directory("stale");
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
    fn the_socket_of_an_engine_that_starts_meanwhile_stays() {
        let directory = directory("race");
        let path = directory.join("wg0.sock");
        drop(UnixListener::bind(&path).unwrap());
        let engine = RefCell::new(None);
        let dial = |path: &Path| {
            if engine.borrow().is_some() {
                return UnixStream::connect(path);
            }
            fs::remove_file(path).unwrap();
            *engine.borrow_mut() = Some(UnixListener::bind(path).unwrap());
            Err(io::ErrorKind::ConnectionRefused.into())
        };
        assert!(knock(&path, &dial).unwrap().is_some());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn an_engine_that_hangs_is_given_up() {
        let directory = directory("hang");
        let path = directory.join("wg0.sock");
        let hanging = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&hanging, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&hanging, 0).unwrap();
        let silence = Duration::from_millis(20);
        let number = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        let late = Some(Errno::TIMEDOUT.raw_os_error());

        let mut engine = Userspace(dial(&path, silence).unwrap());
        assert_eq!(number(engine.status().map(drop)), late, "it says nothing");
        let long = vec![b' '; 16 << 20];
        assert_eq!(number(engine.exchange(&long).map(drop)), late, "it takes nothing");
        assert_eq!(number(dial(&path, silence).map(drop)), late, "its queue is full");
        fs::remove_dir_all(&directory).unwrap();
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
