//! One TCP flow between the two namespaces, timed or hashed.
//!
//! A timed flow repeats one block of noise and the receiver compares every byte with it, which costs a small part of
//! what the stream does. A hashed flow is not timed: SHA-256 at both ends would be the bottleneck.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sys::netns::Netns;

use super::wire::MARKER;

/// Length of the block that a timed flow repeats.
const BLOCK_LEN: usize = 1 << 20;
/// Bytes per `write(2)` and at most per `read(2)`; divides the block.
const CHUNK_LEN: usize = 128 << 10;
/// The marker stands at every such distance, so each frame of plain data of ordinary size holds one whole.
const MARKER_SPACING: usize = 512;
/// A flow without a byte for so long has failed.
const STALL: Duration = Duration::from_secs(10);

/// From where to where a flow goes.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    /// Namespace of the sender.
    pub(crate) from: &'a Netns,
    /// Namespace of the receiver.
    pub(crate) to: &'a Netns,
    /// Address of the receiver.
    pub(crate) address: IpAddr,
}

/// When a timed flow ends: at the first of the two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Bytes to send.
    pub(crate) bytes: u64,
    /// Time to send for.
    pub(crate) time: Option<Duration>,
}

/// A finished timed flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    /// Bytes that arrived, each compared.
    pub(crate) bytes: u64,
    /// From the first byte sent to the last received.
    pub(crate) elapsed: Duration,
}

impl Timed {
    /// Bits per second.
    pub(crate) fn rate(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Sends until the limit and returns what arrived and how fast; `progress` is told the bytes received so far.
///
/// # Errors
///
/// Failure to connect, a stall, a byte that is not the one sent, a stream that ends early.
pub(crate) fn timed(path: Path<'_>, limit: Limit, progress: &mut dyn FnMut(u64)) -> io::Result<Timed> {
    let block = noise_block();
    let (mut sender, mut receiver) = connect(path)?;
    let start = Instant::now();
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(&mut sender, &block, limit, start));
        let received = receive(&mut receiver, &block, progress);
        let elapsed = start.elapsed();
        // Closing here lets a sender stop that still fills the window of a receiver that gave up.
        drop(receiver);
        let bytes = received?;
        let sent = sending.join().map_err(|_| io::Error::other("the sender failed"))??;
        if bytes != sent {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{bytes} of {sent} bytes arrived"),
            ));
        }
        Ok(Timed { bytes, elapsed })
    })
}

/// Sends `bytes` of data that does not repeat, hashed at both ends; returns the SHA-256 in hexadecimal.
///
/// # Errors
///
/// As for [`timed`]; `InvalidData` when the hashes differ.
pub(crate) fn hashed(path: Path<'_>, bytes: u64, progress: &mut dyn FnMut(u64)) -> io::Result<String> {
    let (mut sender, mut receiver) = connect(path)?;
    thread::scope(|scope| {
        let sending = scope.spawn(move || -> io::Result<Sha256> {
            let mut noise = Noise::new(2);
            let mut chunk = vec![0; CHUNK_LEN];
            let (mut hash, mut left) = (Sha256::new(), bytes);
            while left > 0 {
                noise.fill(&mut chunk);
                let part = &chunk[..CHUNK_LEN.min(usize::try_from(left).unwrap_or(CHUNK_LEN))];
                hash.update(part);
                sender.write_all(part)?;
                left -= part.len() as u64;
            }
            sender.shutdown(std::net::Shutdown::Write)?;
            Ok(hash)
        });
        let mut hash = Sha256::new();
        let received = read_all(&mut receiver, &mut |part, total| {
            hash.update(part);
            progress(total);
            Ok(())
        });
        drop(receiver);
        let received = received?;
        let sent = sending
            .join()
            .map_err(|_| io::Error::other("the sender failed"))??
            .finalize();
        let hash = hash.finalize();
        if sent != hash {
            let what = format!("the SHA-256 of what was received ({received} of {bytes} bytes) differs");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    })
}

/// Connects a socket made in one namespace with one made in the other.
fn connect(path: Path<'_>) -> io::Result<(TcpStream, TcpStream)> {
    let listener = path.to.run(|| TcpListener::bind(SocketAddr::new(path.address, 0)))??;
    let address = listener.local_addr()?;
    let sender = path.from.run(|| TcpStream::connect_timeout(&address, STALL))??;
    let (receiver, _) = listener.accept()?;
    sender.set_write_timeout(Some(STALL))?;
    receiver.set_read_timeout(Some(STALL))?;
    Ok((sender, receiver))
}

fn send(stream: &mut TcpStream, block: &[u8], limit: Limit, start: Instant) -> io::Result<u64> {
    let mut sent = 0;
    for chunk in block.chunks(CHUNK_LEN).cycle() {
        if sent >= limit.bytes || limit.time.is_some_and(|time| start.elapsed() >= time) {
            break;
        }
        let part = &chunk[..chunk
            .len()
            .min(usize::try_from(limit.bytes - sent).unwrap_or(usize::MAX))];
        stream.write_all(part)?;
        sent += part.len() as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    Ok(sent)
}

fn receive(stream: &mut TcpStream, block: &[u8], progress: &mut dyn FnMut(u64)) -> io::Result<u64> {
    let mut offset = 0;
    read_all(stream, &mut |part, total| {
        let mut rest = part;
        while !rest.is_empty() {
            let expected = &block[offset..];
            let len = rest.len().min(expected.len());
            if rest[..len] != expected[..len] {
                let what = format!("a wrong byte within the first {total} bytes received");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            offset = (offset + len) % block.len();
            rest = &rest[len..];
        }
        progress(total);
        Ok(())
    })
}

/// Reads to the end; `take` gets each part and the bytes read so far, this part included.
fn read_all(stream: &mut TcpStream, take: &mut dyn FnMut(&[u8], u64) -> io::Result<()>) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK_LEN];
    let mut total = 0;
    loop {
        let len = match stream.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let what = format!("no byte for {} s after {total} bytes", STALL.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            Err(error) => return Err(error),
        };
        total += len as u64;
        take(&buffer[..len], total)?;
    }
}

/// The block of a timed flow: noise, with the marker for the watcher at regular places.
fn noise_block() -> Vec<u8> {
    let mut block = vec![0; BLOCK_LEN];
    Noise::new(1).fill(&mut block);
    for place in block.chunks_exact_mut(MARKER_SPACING) {
        place[..MARKER.len()].copy_from_slice(MARKER);
    }
    block
}

/// A small generator (splitmix64), so that data neither repeats nor compresses. Not for secrets.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for word in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            word.copy_from_slice(&z.to_le_bytes()[..word.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_in_every_stretch_of_a_small_frame() {
        let block = noise_block();
        let longest_gap = MARKER_SPACING + MARKER.len();
        assert!(
            block
                .windows(longest_gap)
                .step_by(97)
                .all(|w| w.windows(MARKER.len()).any(|m| m == MARKER))
        );
    }

    #[test]
    fn noise_does_not_repeat() {
        let (mut first, mut second) = ([0; 64], [0; 64]);
        let mut noise = Noise::new(7);
        noise.fill(&mut first);
        noise.fill(&mut second);
        assert_ne!(first, second);
    }
}
