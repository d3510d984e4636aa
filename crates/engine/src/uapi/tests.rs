//! The server with a device that only remembers, over real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use conf::uapi::{PeerStatus, parse_answer, set_request};
use proto::PublicKey;
use sys::wake::EventFd;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Remembering {
    requests: Mutex<Vec<String>>,
    port: AtomicU32,
    peers: usize,
}

impl Device for Remembering {
    fn set(&self, request: SetRequest) -> Result<(), Errno> {
        if request.listen_port == Some(99) {
            return Err(Errno::ADDRESS_IN_USE);
        }
        self.port.store(request.listen_port.unwrap_or(0).into(), Relaxed);
        let text = String::from_utf8_lossy(&set_request(&request)).into_owned();
        self.requests.lock().unwrap().push(text);
        Ok(())
    }

    fn get(&self) -> DeviceStatus {
        let peers = (0..self.peers)
            .map(|n| PeerStatus::new(PublicKey::from_bytes([n as u8; 32])))
            .collect();
        DeviceStatus {
            listen_port: self.port.load(Relaxed) as u16,
            peers,
            ..DeviceStatus::default()
        }
    }
}

/// A directory that goes when it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("adit-uapi-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn path(&self) -> PathBuf {
        self.0.join("wg0.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `script` against a server; it gets the path of the socket. Checks that the server ends and leaves no file.
fn with_server(device: &Remembering, script: impl FnOnce(&Path)) {
    let directory = Directory::new();
    let path = directory.path();
    let stop = EventFd::new().unwrap();
    let socket = Socket::create_at(&path).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| serve(socket, device, &stop));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| script(&path)));
        stop.notify();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(!path.exists());
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Says `text` and nothing more, and returns all that comes back.
fn talk(path: &Path, text: &str) -> String {
    let mut stream = connect(path);
    // A server that closes early lets the rest fail.
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => answer,
    }
}

/// Reads one answer and leaves the connection open.
fn answer(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\n\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn every_kind_of_error_has_its_number() {
    let device = Remembering::default();
    let key = "ab".repeat(32);
    let long = "x".repeat(conf::uapi::MAX_LINE + 1);
    with_server(&device, |path| {
        for (text, expected) in [
            ("set=1\nlisten_port=1\nnonsense\n\n", "errno=-71\n\n"),
            ("set=1\nlisten_port=1\nnonsense=1\n\n", "errno=-22\n\n"),
            ("set=1\nlisten_port=70000\n\n", "errno=-22\n\n"),
            ("set=1\nprivate_key=00\n\n", "errno=-22\n\n"),
            (&format!("set=1\npublic_key={key}\nlisten_port=1\n\n"), "errno=-22\n\n"),
            ("set=1\nallowed_ip=1.2.3.4/32\n\n", "errno=-22\n\n"),
            (
                &format!("set=1\npublic_key={key}\nendpoint=example.com:1\n\n"),
                "errno=-22\n\n",
            ),
            ("set=1\nlisten_port=99\n\n", "errno=-98\n\n"),
            (&format!("set=1\n{long}\n\nget=1\n\n"), "errno=-5\n\n"),
            ("get=1\nlisten_port=1\n\n", "errno=-22\n\n"),
            ("get=1\nx\n\nget=1\n\n", "errno=-22\n\nerrno=0\n\n"),
            ("hello\nget=1\n\n", ""),
            ("\nget=1\n\n", ""),
            ("", ""),
        ] {
            assert_eq!(talk(path, text), expected, "{:?}", &text[..text.len().min(60)]);
        }
    });
    assert!(
        device.requests.lock().unwrap().is_empty(),
        "a refused request changes nothing"
    );
}

#[test]
fn requests_are_answered_in_order_and_pipelined() {
    let device = Remembering::default();
    with_server(&device, |path| {
        let text = "set=1\nlisten_port=7\n\nget=1\n\nset=1\nbad\n\nset=1\nlisten_port=8\n\nget=1\n\n";
        let expected = "errno=0\n\nlisten_port=7\nerrno=0\n\nerrno=-71\n\nerrno=0\n\nlisten_port=8\nerrno=0\n\n";
        assert_eq!(talk(path, text), expected);
        let many = "set=1\nlisten_port=5\n\nget=1\n\n".repeat(5000);
        assert_eq!(
            talk_while_reading(path, many),
            "errno=0\n\nlisten_port=5\nerrno=0\n\n".repeat(5000)
        );
    });
}

fn talk_while_reading(path: &Path, text: String) -> String {
    let mut stream = connect(path);
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        writer.write_all(text.as_bytes()).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    writing.join().unwrap();
    answers
}

#[test]
fn a_request_may_come_in_pieces_and_end_with_the_input() {
    let device = Remembering::default();
    with_server(&device, |path| {
        let mut stream = connect(path);
        for byte in b"set=1\nlisten_port=42\nfwmark=1\n" {
            stream.write_all(&[*byte]).unwrap();
            std::thread::yield_now();
        }
        assert!(device.requests.lock().unwrap().is_empty());
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(answer(&mut stream), "errno=0\n\n");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    });
    assert_eq!(
        *device.requests.lock().unwrap(),
        ["set=1\nlisten_port=42\nfwmark=1\n\n"]
    );
}

#[test]
fn an_error_comes_before_the_end_of_the_request() {
    with_server(&Remembering::default(), |path| {
        let mut stream = connect(path);
        stream.write_all(b"set=1\nfwmark=x\n").unwrap();
        assert_eq!(answer(&mut stream), "errno=-22\n\n");
        stream.write_all(b"fwmark=1\n\nget=1\n\n").unwrap();
        assert_eq!(answer(&mut stream), "errno=0\n\n");
    });
}

#[test]
fn a_client_that_does_not_listen_stops_nobody_else() {
    let device = Remembering {
        peers: 200,
        ..Remembering::default()
    };
    with_server(&device, |path| {
        let mut deaf = connect(path);
        deaf.set_nonblocking(true).unwrap();
        let flood = b"get=1\n\n".repeat(10_000);
        let mut sent = 0;
        for _ in 0..200 {
            match deaf.write(&flood) {
                Ok(len) => sent += len,
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        assert!(sent < 200 * flood.len(), "a deaf client is held back");
        let status = parse_answer(talk(path, "get=1\n\n").as_bytes(), &|_| None).unwrap();
        assert_eq!(status.peers.len(), 200);
        deaf.set_nonblocking(false).unwrap();
        for _ in 0..20 {
            assert!(answer(&mut deaf).ends_with("errno=0\n\n"));
        }
    });
}

#[test]
fn a_thousand_clients_are_served_at_once() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit {
        current: limit.maximum.map(|most| most.min(4096)).or(Some(4096)),
        ..limit
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted).unwrap();
    let device = Remembering::default();
    with_server(&device, |path| {
        let mut clients: Vec<UnixStream> = (0..1000).map(|_| connect(path)).collect();
        for client in &mut clients {
            client.write_all(b"get=1\n").unwrap();
        }
        for client in clients.iter_mut().rev() {
            client.write_all(b"\n").unwrap();
            assert_eq!(answer(client), "errno=0\n\n");
        }
        // Beyond the limit clients wait until others leave.
        let mut more: Vec<UnixStream> = (0..100).map(|_| connect(path)).collect();
        let mut last = more.pop().unwrap();
        last.write_all(b"get=1\n\n").unwrap();
        last.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(last.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(clients);
        last.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(answer(&mut last), "errno=0\n\n");
    });
}

#[test]
fn removing_the_file_ends_the_server_and_a_chmod_does_not() {
    let directory = Directory::new();
    let path = directory.path();
    let (stop, device) = (EventFd::new().unwrap(), Remembering::default());
    let socket = Socket::create_at(&path).unwrap();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(socket, &device, &stop));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o770)).unwrap();
        assert_eq!(talk(&path, "get=1\n\n"), "errno=0\n\n");
        std::fs::remove_file(&path).unwrap();
        let successor = UnixListener::bind(&path).unwrap();
        server.join().unwrap();
        assert!(stop.drain(), "the engine is told");
        drop(successor);
        assert!(path.exists(), "the file of a successor stays");
    });
}

#[test]
fn the_file_is_private_and_never_taken_from_a_live_server() {
    let directory = Directory::new();
    let path = directory.path();
    let first = Socket::create_at(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(Socket::create_at(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
    let mut stale = first;
    stale.keep_file();
    drop(stale);
    assert!(path.exists());
    let second = Socket::create_at(&path).unwrap();
    drop(second);
    assert!(!path.exists());
    std::fs::write(&path, "not a socket").unwrap();
    assert_eq!(Socket::create_at(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn a_listener_may_come_from_elsewhere_and_nothing_else_may() {
    let directory = Directory::new();
    std::fs::create_dir_all(&directory.0).unwrap();
    let listener = UnixListener::bind(directory.path()).unwrap();
    let socket = Socket::from_fd(listener.into()).unwrap();
    assert_eq!(socket.path(), Some(directory.path().as_path()));
    let (one, _other) = UnixStream::pair().unwrap();
    assert_eq!(Socket::from_fd(one.into()).unwrap_err().kind(), ErrorKind::InvalidInput);
    for name in ["", ".", "..", "a/b", "a b", "sixteen-letters!"] {
        assert_eq!(
            Socket::create(name).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{name}"
        );
    }
}
