//! UDP from a plain or a segmenting sender, counted and checked where it arrives.
//!
//! A plain sender hands datagrams to the kernel as fast as it takes them, many with each call. A segmenting one (`UDP_SEGMENT`,
//! `UDP_GRO` at the receiver) behaves like QUIC: what is under way is bounded, and the receiver acknowledges, through the tunnel,
//! the highest number it has seen.

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::net::sockopt;
use serde_json::{Value, json};
use sys::bulk;

use crate::pattern::{Pattern, Tally};
use crate::{Ends, failed};

/// Options of `traffic datagrams`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    ends: Ends,
    /// The address that receives
    #[arg(long)]
    target: IpAddr,
    /// Length of the UDP payload in bytes
    #[arg(long, value_parser = clap::value_parser!(u16).range(16..=1472))]
    len: u16,
    #[arg(long)]
    seconds: f64,
    /// Sends like QUIC: segmented, with at most so many datagrams under way
    #[arg(long)]
    window: Option<u64>,
    /// With a window: sends no faster than so many megabits a second
    #[arg(long, requires = "window")]
    rate: Option<f64>,
    /// After so many milliseconds of silence what is under way counts as lost, and a finished transfer as over
    #[arg(long, default_value_t = 50)]
    silence: u64,
}

/// Bytes asked for each way; what a QUIC library typically asks for.
const BUFFER_LEN: usize = 2 << 20;
/// The longest payload of one segmented send.
const MAX_SEND: usize = 65_507;
/// A slot for a row of joined datagrams.
const ROW_LEN: usize = 65_536;
/// Datagrams for which there is one acknowledgement, unless a receive brought more.
const ACKNOWLEDGE: u64 = 32;

/// Sends for the time asked, and returns what arrived.
pub(crate) fn run(options: &Options) -> Result<Value, String> {
    let len = usize::from(options.len);
    let segmented = options.window.is_some();
    let slots = if segmented {
        (MAX_SEND / len).min(bulk::MAX_DATAGRAMS)
    } else {
        bulk::MAX_DATAGRAMS
    };
    let pattern = Pattern::new(len, slots);
    let open = |address: IpAddr| move || UdpSocket::bind((address, 0));
    let receiver = options.ends.receiver()?.run(open(options.target));
    let receiver = receiver.and_then(|socket| socket).map_err(failed("receiver"))?;
    let any = if options.target.is_ipv4() { "0.0.0.0" } else { "::" };
    let any: IpAddr = any.parse().map_err(|error| format!("{error}"))?;
    let sender = options.ends.sender()?.run(open(any));
    let sender = sender.and_then(|socket| socket).map_err(failed("sender"))?;
    let target = receiver.local_addr().map_err(failed("receiver"))?;
    sender.connect(target).map_err(failed("connect"))?;
    sockopt::set_socket_recv_buffer_size_force(&receiver, BUFFER_LEN)
        .map_err(|error| failed("buffer")(error.into()))?;
    let silence = Some(Duration::from_millis(options.silence));
    receiver.set_read_timeout(silence).map_err(failed("receiver"))?;
    sender.set_read_timeout(silence).map_err(failed("sender"))?;
    if segmented {
        bulk::set_segment(&sender, options.len).map_err(failed("UDP_SEGMENT"))?;
        bulk::join_received(&receiver).map_err(failed("UDP_GRO"))?;
    }
    let done = AtomicBool::new(false);
    let (sent, received) = thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&receiver, &pattern, segmented, &done));
        let sent = match options.window {
            Some(window) => send_segmented(&sender, &pattern, options, window),
            None => send_plain(&sender, &pattern, len, options.seconds),
        };
        done.store(true, Ordering::Relaxed);
        (sent, receiving.join())
    });
    let (tally, seconds) = received.map_err(|_| "the receiver panicked".to_string())??;
    Ok(json!({
        "sent": sent?,
        "received": tally.received,
        "corrupt": tally.corrupt,
        "late": tally.late,
        "seconds": seconds,
    }))
}

/// As fast as the kernel takes them. Returns how many it took.
fn send_plain(socket: &UdpSocket, pattern: &Pattern, len: usize, seconds: f64) -> Result<u64, String> {
    let mut slots = pattern.slots();
    let count = (slots.len() / len) as u64;
    let (start, mut first, mut sent) = (Instant::now(), 0, 0);
    while start.elapsed().as_secs_f64() < seconds {
        pattern.number(&mut slots, first);
        first += count;
        let mut rest = &slots[..];
        while !rest.is_empty() {
            match bulk::send(socket, rest, len) {
                Ok(count) => {
                    sent += count as u64;
                    rest = &rest[count * len..];
                }
                // A full queue on the way: that datagram is lost.
                Err(error) if is_loss(&error) => rest = &rest[len..],
                Err(error) => return Err(failed("send")(error)),
            }
        }
    }
    Ok(sent)
}

/// With at most `window` datagrams under way. Returns how many were sent.
fn send_segmented(socket: &UdpSocket, pattern: &Pattern, options: &Options, window: u64) -> Result<u64, String> {
    let mut slots = pattern.slots();
    let count = pattern.period();
    let (start, mut next, mut acknowledged, mut lost) = (Instant::now(), 0_u64, 0_u64, 0_u64);
    let mut answer = [0; 8];
    let bits = f64::from(options.len) * 8.0;
    while start.elapsed().as_secs_f64() < options.seconds {
        if let Some(rate) = options.rate {
            let due = Duration::from_secs_f64(next as f64 * bits / (rate * 1e6));
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
        while next + count > acknowledged + window {
            match socket.recv(&mut answer) {
                Ok(8) => acknowledged = acknowledged.max(u64::from_le_bytes(answer)),
                Ok(_) => return Err("a strange acknowledgement".into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => acknowledged = next,
                Err(error) => return Err(failed("acknowledgement")(error)),
            }
        }
        pattern.number(&mut slots, next);
        next += count;
        match socket.send(&slots) {
            Ok(_) => {}
            Err(error) if is_loss(&error) => lost += count,
            Err(error) => return Err(failed("send")(error)),
        }
    }
    Ok(next - lost)
}

/// Counts until the sender is done and nothing comes any more. Returns the tally and the seconds from first to last.
fn receive(socket: &UdpSocket, pattern: &Pattern, joined: bool, done: &AtomicBool) -> Result<(Tally, f64), String> {
    let slot_len = if joined { ROW_LEN } else { 2048 };
    let count = if joined { 8 } else { bulk::MAX_DATAGRAMS };
    let (mut bytes, mut lens) = (vec![0; slot_len * count], [0; bulk::MAX_DATAGRAMS]);
    let (mut tally, mut acknowledged) = (Tally::default(), 0);
    let (mut first, mut last) = (None, Instant::now());
    let mut back = None;
    loop {
        // The first datagram tells where acknowledgements go.
        if joined && back.is_none() {
            back = socket.peek_from(&mut [0; 8]).ok().map(|(_, address)| address);
        }
        match bulk::recv(socket, &mut bytes, slot_len, &mut lens) {
            Ok(count) => {
                last = Instant::now();
                first = first.or(Some(last));
                for (slot, len) in bytes.chunks(slot_len).zip(lens).take(count) {
                    tally.take(pattern, &slot[..len]);
                }
                if let Some(back) = back.filter(|_| tally.next >= acknowledged + ACKNOWLEDGE) {
                    acknowledged = tally.next;
                    // A lost acknowledgement is made up for by the next one.
                    let _ = socket.send_to(&acknowledged.to_le_bytes(), back);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
            Err(error) => return Err(failed("receive")(error)),
        }
    }
    Ok((tally, first.map_or(0.0, |first| (last - first).as_secs_f64())))
}

/// Whether a send failed because the path is full, not because it is broken.
fn is_loss(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(sys::errno::ENOBUFS)
}
