//! A flood of handshake initiations whose mac1 is wrong: who sends it does not know the responder's public key.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use proto::INITIATION_LEN;
use serde_json::{Value, json};
use sys::bulk;

use crate::pattern::Pattern;
use crate::{Ends, failed};

/// Options of `traffic junk`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    ends: Ends,
    /// Where the flood goes
    #[arg(long)]
    target: SocketAddr,
    /// Messages a second
    #[arg(long)]
    rate: f64,
    #[arg(long)]
    seconds: f64,
    /// Binds the target itself and never reads: the kernel discards what the socket cannot hold
    #[arg(long)]
    discard: bool,
}

/// The niceness of a flood.
const PRIORITY: i32 = -15;

/// Floods for the time asked, and returns how much it was.
pub(crate) fn run(options: &Options) -> Result<Value, String> {
    // A flood comes from elsewhere: what the responder uses of the processors must not slow it down. Without the right it does.
    let _ = rustix::process::setpriority_process(None, PRIORITY);
    let bind = |address: SocketAddr| move || UdpSocket::bind(address);
    let discard = if options.discard {
        let socket = options
            .ends
            .receiver()?
            .run(bind(options.target))
            .and_then(|socket| socket);
        Some(socket.map_err(failed("discard"))?)
    } else {
        None
    };
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let socket = options.ends.sender()?.run(bind(any)).and_then(|socket| socket);
    let socket = socket.map_err(failed("socket"))?;
    socket.connect(options.target).map_err(failed("connect"))?;
    let mut slots = messages();
    let (start, mut sent, mut due) = (Instant::now(), 0_u64, 0.0);
    loop {
        let elapsed = start.elapsed().as_secs_f64();
        if elapsed >= options.seconds {
            drop(discard);
            return Ok(json!({ "sent": sent, "seconds": elapsed }));
        }
        if due > elapsed * options.rate {
            thread::sleep(Duration::from_micros(100));
            continue;
        }
        for (slot, number) in slots.chunks_exact_mut(INITIATION_LEN).zip(sent..) {
            slot[8..16].copy_from_slice(&number.to_le_bytes());
        }
        match bulk::send(&socket, &slots, INITIATION_LEN) {
            Ok(count) => sent += count as u64,
            // A full queue, or a port that is closed for the moment.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) if error.raw_os_error() == Some(sys::errno::ENOBUFS) => {}
            Err(error) => return Err(failed("send")(error)),
        }
        due += bulk::MAX_DATAGRAMS as f64;
    }
}

/// Messages with the right type and length, and nothing else right.
fn messages() -> Vec<u8> {
    let mut slots = Pattern::new(INITIATION_LEN, bulk::MAX_DATAGRAMS).slots();
    for slot in slots.chunks_exact_mut(INITIATION_LEN) {
        slot[..4].copy_from_slice(&[1, 0, 0, 0]);
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_parses_as_initiations() {
        let slots = messages();
        assert_eq!(slots.len(), bulk::MAX_DATAGRAMS * INITIATION_LEN);
        let parsed = slots.chunks(INITIATION_LEN).map(proto::Message::parse);
        assert!(
            parsed
                .into_iter()
                .all(|message| matches!(message, Ok(proto::Message::Initiation(_))))
        );
    }
}
