//! An engine that gives one answer to whoever asks for its status, and writes down what it is told to change.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use e2e::Side;

/// The requests for a change that came, in their order.
pub(crate) struct Fake(Receiver<String>);

impl Fake {
    /// Starts an engine for an interface of that name; it ends with the test.
    pub(crate) fn start(side: &Side, name: &str, answer: &str) -> Fake {
        let path = format!("/proc/{}/root/run/wireguard/{name}.sock", side.pid());
        let listener = UnixListener::bind(path).unwrap();
        let (sender, receiver) = channel();
        let answer = answer.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who only looks whether somebody listens goes away at once.
                let _ = serve(stream, &answer, &sender);
            }
        });
        Fake(receiver)
    }

    /// The next request.
    pub(crate) fn next(&self) -> Option<String> {
        self.0.recv_timeout(Duration::from_millis(200)).ok()
    }
}

fn serve(mut stream: UnixStream, answer: &str, sender: &Sender<String>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.ends_with(b"\n\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            len => request.extend_from_slice(&piece[..len]),
        }
    }
    if request.starts_with(b"get=1") {
        return stream.write_all(answer.as_bytes());
    }
    let _ = sender.send(String::from_utf8_lossy(&request).into_owned());
    stream.write_all(b"errno=0\n\n")
}
