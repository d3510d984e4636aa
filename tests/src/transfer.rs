//! Bytes through TCP with a hash at both ends.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::{Result, Side};

const CHUNK: usize = 64 * 1024;
const STALL: Duration = Duration::from_secs(20);

/// Moves `bytes` from `sender` to `address` on `receiver` through one TCP connection and compares the hashes.
///
/// # Errors
/// When the connection fails, stalls for 20 s, or the hashes differ.
pub fn transfer(sender: &Side, receiver: &Side, address: IpAddr, bytes: u64) -> Result<()> {
    let listener = listen(receiver, address)?;
    let target = listener.local_addr().map_err(|error| error.to_string())?;
    thread::scope(|scope| {
        let received = scope.spawn(move || accept_and_hash(&listener));
        let sent = connect_and_send(sender, target, bytes);
        let received = received.join().map_err(|_| "the receiver panicked".to_string())?;
        compare(sent?, received?, bytes)
    })
}

/// Opens a listener on a free port of `address` inside `side`; the address may still be tentative.
///
/// # Errors
/// When the address is not there.
pub fn listen(side: &Side, address: IpAddr) -> Result<TcpListener> {
    side.inside(|| TcpListener::bind((address, 0)).map_err(|error| format!("listen on {address}: {error}")))
}

/// Accepts one connection, reads it to its end and returns its length and hash.
///
/// # Errors
/// When nobody connects or the connection stalls for 20 s.
pub fn accept_and_hash(listener: &TcpListener) -> Result<(u64, String)> {
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let (stream, _) = crate::command::until(STALL, || listener.accept().map_err(|error| format!("accept: {error}")))?;
    stream.set_nonblocking(false).map_err(|error| error.to_string())?;
    hash(stream)
}

/// Connects from `side` to `target`, sends `bytes` pseudo-random bytes and returns their number and hash.
///
/// # Errors
/// When the connection cannot be made or stalls for 20 s.
pub fn connect_and_send(side: &Side, target: SocketAddr, bytes: u64) -> Result<(u64, String)> {
    let mut stream = connect(side, target)?;
    let (mut hasher, mut state, mut left) = (Sha256::new(), 0x9e37_79b9_7f4a_7c15_u64, bytes);
    let mut chunk = vec![0u8; CHUNK];
    while left > 0 {
        fill(&mut chunk, &mut state);
        let part = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        hasher.update(&chunk[..part]);
        stream
            .write_all(&chunk[..part])
            .map_err(|error| format!("send: {error}, {left} bytes left"))?;
        left -= part as u64;
    }
    stream
        .shutdown(Shutdown::Write)
        .map_err(|error| format!("shutdown: {error}"))?;
    Ok((bytes, hex(&hasher.finalize())))
}

/// Connects from `side` to `target`, reads to the end and returns the length and hash.
///
/// # Errors
/// When the connection cannot be made or stalls for 20 s.
pub fn connect_and_hash(side: &Side, target: SocketAddr) -> Result<(u64, String)> {
    hash(connect(side, target)?)
}

/// Checks that both ends saw the same `bytes` bytes.
///
/// # Errors
/// Says what differs.
pub fn compare(sent: (u64, String), received: (u64, String), bytes: u64) -> Result<()> {
    if sent == received && sent.0 == bytes {
        return Ok(());
    }
    Err(format!(
        "sent {} bytes with hash {}, received {} bytes with hash {}",
        sent.0, sent.1, received.0, received.1
    ))
}

fn connect(side: &Side, target: SocketAddr) -> Result<TcpStream> {
    let connect =
        || TcpStream::connect_timeout(&target, STALL).map_err(|error| format!("connect to {target}: {error}"));
    let stream = side.inside(connect)?;
    stream
        .set_write_timeout(Some(STALL))
        .map_err(|error| error.to_string())?;
    Ok(stream)
}

fn hash(mut stream: TcpStream) -> Result<(u64, String)> {
    stream
        .set_read_timeout(Some(STALL))
        .map_err(|error| error.to_string())?;
    let (mut hasher, mut total) = (Sha256::new(), 0);
    let mut chunk = vec![0u8; CHUNK];
    loop {
        match stream
            .read(&mut chunk)
            .map_err(|error| format!("receive: {error} after {total} bytes"))?
        {
            0 => return Ok((total, hex(&hasher.finalize()))),
            length => {
                hasher.update(&chunk[..length]);
                total += length as u64;
            }
        }
    }
}

/// Fills with xorshift64: different in every chunk, so a lost, doubled or swapped chunk changes the hash.
fn fill(chunk: &mut [u8], state: &mut u64) {
    for part in chunk.chunks_mut(8) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        part.copy_from_slice(&state.to_le_bytes()[..part.len()]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
