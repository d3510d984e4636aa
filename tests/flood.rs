//! A flood of junk handshake messages that only lack a cookie.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use conf::key_text::parse_base64;
use e2e::Result;
use proto::PublicKey;
use simnet::wire::{Kind, kind, write_mac1};

/// Messages a second; the kernel calls itself under load with 512 waiting, others earlier.
const FLOOD: u32 = 2000;

/// What the flooder got back.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) cookies: usize,
    pub(crate) others: usize,
}

/// Reads a public key as `wg` prints it.
pub(crate) fn key(text: &str) -> Result<PublicKey> {
    let key = parse_base64(text.as_bytes()).ok_or("no key")?;
    Ok(PublicKey::from_bytes(*key))
}

/// Sends junk with a right mac1 at a steady rate until told to stop, for 30 s at most.
pub(crate) fn flood(key: &PublicKey, target: SocketAddr, stop: &AtomicBool) -> Result<Answers> {
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| error.to_string())?;
    socket.connect(target).map_err(|error| error.to_string())?;
    socket.set_nonblocking(true).map_err(|error| error.to_string())?;
    let (start, mut sent, mut answers) = (Instant::now(), 0_u32, Answers::default());
    let mut buffer = [0; 2048];
    while !stop.load(Relaxed) && start.elapsed() < Duration::from_secs(30) {
        while f64::from(sent) < start.elapsed().as_secs_f64() * f64::from(FLOOD) {
            let mut message = [0x5a; 148];
            message[..4].copy_from_slice(&[1, 0, 0, 0]);
            message[4..8].copy_from_slice(&sent.to_le_bytes());
            write_mac1(&mut message, key);
            // A full queue on the way is part of a flood.
            let _ = socket.send(&message);
            sent += 1;
        }
        while let Ok(len) = socket.recv(&mut buffer) {
            match kind(&buffer[..len]) {
                Kind::CookieReply => answers.cookies += 1,
                _ => answers.others += 1,
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(answers)
}
