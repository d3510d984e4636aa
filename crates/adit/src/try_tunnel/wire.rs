//! What somebody on the wire between the two ends would see.
//!
//! A thread reads copies of frames from the veth pair at intervals, so that watching does not slow the tunnel: small
//! traffic is seen whole, a fast flow as a sample. Each frame is named by its WireGuard message type and searched for
//! inner addresses and for the marker in the transferred data; a find is a failure. The plain transfer over the bare
//! pair is watched first: a watch that does not see its marker there would prove nothing later.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use sys::packet::Capture;

/// Stands in the timed transfer's data at regular places.
pub(crate) const MARKER: &[u8; 24] = b"adit-try plaintext mark.";

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(20);
/// Longest frame: a super-packet of 65,535 bytes behind its Ethernet header.
const FRAME_LEN: usize = 65_535 + 14;

/// What was seen, in frames. A super-packet on the veth pair is one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    /// Frames looked at.
    pub(crate) frames: u64,
    /// Handshake initiations.
    pub(crate) initiations: u64,
    /// Handshake responses.
    pub(crate) responses: u64,
    /// Cookie replies.
    pub(crate) cookie_replies: u64,
    /// Transport data.
    pub(crate) data: u64,
    /// ARP and IPv6 neighbour discovery between the two outer addresses.
    pub(crate) neighbour: u64,
    /// Anything else.
    pub(crate) other: u64,
    /// Frames of any kind in which something of the inside could be read.
    pub(crate) plaintext: u64,
}

/// A running watch.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Seen>>,
}

impl Watch {
    /// Starts a watch over an open capture socket.
    ///
    /// # Errors
    ///
    /// That of starting a thread.
    pub(crate) fn start(capture: Capture, secrets: Secrets) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("try-watch".to_owned())
            .spawn(move || {
                let mut seen = Seen::default();
                let mut frame = vec![0; FRAME_LEN];
                loop {
                    // Read once more after the stop, for what is still queued.
                    let last = stopped.load(Ordering::Acquire);
                    drain(&capture, &mut frame, &secrets, &mut seen)?;
                    if last {
                        return Ok(seen);
                    }
                    std::thread::sleep(INTERVAL);
                }
            })?;
        Ok(Self { stop, thread })
    }

    /// Ends the watch and returns what was seen.
    ///
    /// # Errors
    ///
    /// That of the capture socket.
    pub(crate) fn finish(self) -> io::Result<Seen> {
        self.stop.store(true, Ordering::Release);
        self.thread
            .join()
            .map_err(|_| io::Error::other("the watching thread failed"))?
    }
}

fn drain(capture: &Capture, frame: &mut [u8], secrets: &Secrets, seen: &mut Seen) -> io::Result<()> {
    loop {
        match capture.recv(frame) {
            Ok(len) => seen.look(frame.get(..len).unwrap_or_default(), secrets),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Byte strings that must not be readable from outside.
pub(crate) struct Secrets {
    needles: Vec<Vec<u8>>,
    first_bytes: [bool; 256],
}

impl Secrets {
    /// The marker, and the inner addresses as they stand in IP headers.
    ///
    /// An IPv4 address alone is too short to be told from chance in ciphertext, so the pair of both is searched.
    pub(crate) fn new(inner: &[(IpAddr, IpAddr)]) -> Self {
        let mut needles = vec![MARKER.to_vec()];
        for (first, second) in inner {
            needles.push([bytes(*first), bytes(*second)].concat());
            needles.push([bytes(*second), bytes(*first)].concat());
        }
        let mut first_bytes = [false; 256];
        for needle in &needles {
            if let Some(first) = needle.first() {
                first_bytes[usize::from(*first)] = true;
            }
        }
        Self { needles, first_bytes }
    }

    fn readable_in(&self, frame: &[u8]) -> bool {
        let candidates = frame
            .iter()
            .enumerate()
            .filter(|(_, byte)| self.first_bytes[usize::from(**byte)]);
        candidates
            .map(|(at, _)| &frame[at..])
            .any(|rest| self.needles.iter().any(|needle| rest.starts_with(needle)))
    }
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

impl Seen {
    /// Counts one Ethernet frame.
    fn look(&mut self, frame: &[u8], secrets: &Secrets) {
        self.frames += 1;
        self.plaintext += u64::from(secrets.readable_in(frame));
        *match kind(frame).unwrap_or(Kind::Other) {
            Kind::Initiation => &mut self.initiations,
            Kind::Response => &mut self.responses,
            Kind::CookieReply => &mut self.cookie_replies,
            Kind::Data => &mut self.data,
            Kind::Neighbour => &mut self.neighbour,
            Kind::Other => &mut self.other,
        } += 1;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Initiation,
    Response,
    CookieReply,
    Data,
    Neighbour,
    Other,
}

/// Names an Ethernet frame, as far as its bytes reach.
fn kind(frame: &[u8]) -> Option<Kind> {
    let packet = frame.get(14..)?;
    match frame.get(12..14)? {
        [0x08, 0x06] => Some(Kind::Neighbour),
        [0x08, 0x00] => {
            let header_len = usize::from(packet.first()? & 0x0f) * 4;
            (*packet.get(9)? == 17).then(|| packet.get(header_len..).and_then(message_kind))?
        }
        [0x86, 0xdd] => match *packet.get(6)? {
            17 => message_kind(packet.get(40..)?),
            58 => neighbour_kind(packet.get(40..)?),
            // Multicast listener reports stand behind a hop-by-hop header.
            0 if *packet.get(40)? == 58 => neighbour_kind(packet.get(40 + (usize::from(*packet.get(41)?) + 1) * 8..)?),
            _ => None,
        },
        _ => None,
    }
}

/// Names a UDP datagram by the type word of its payload (paper, section 5.4).
fn message_kind(udp: &[u8]) -> Option<Kind> {
    let payload = udp.get(8..)?;
    match (payload.get(..4)?, payload.len()) {
        ([1, 0, 0, 0], 148) => Some(Kind::Initiation),
        ([2, 0, 0, 0], 92) => Some(Kind::Response),
        ([3, 0, 0, 0], 64) => Some(Kind::CookieReply),
        ([4, 0, 0, 0], 32..) => Some(Kind::Data),
        _ => None,
    }
}

fn neighbour_kind(icmp: &[u8]) -> Option<Kind> {
    matches!(*icmp.first()?, 130..=137 | 143).then_some(Kind::Neighbour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp_frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45]);
        frame.extend([0; 8]);
        frame.push(17);
        frame.extend([0; 10]);
        frame.extend([0; 8]);
        frame.extend(payload);
        frame
    }

    fn message(kind: u8, len: usize) -> Vec<u8> {
        let mut payload = vec![0; len];
        payload[0] = kind;
        payload
    }

    #[test]
    fn frames_are_named_by_message_type_and_length() {
        for (kind_byte, len, expected) in [
            (1, 148, Kind::Initiation),
            (2, 92, Kind::Response),
            (3, 64, Kind::CookieReply),
            (4, 32, Kind::Data),
            (4, 65_340, Kind::Data),
        ] {
            assert_eq!(kind(&udp_frame(&message(kind_byte, len))), Some(expected));
        }
        for (kind_byte, len) in [(1, 147), (4, 31), (5, 148)] {
            assert_eq!(kind(&udp_frame(&message(kind_byte, len))), None);
        }
        assert_eq!(kind(&[]), None);
        assert_eq!(kind(&[0; 13]), None);
    }

    #[test]
    fn truncated_frames_of_every_length_are_harmless() {
        let frame = udp_frame(&message(4, 64));
        for len in 0..frame.len() {
            let _ = kind(&frame[..len]);
        }
    }

    #[test]
    fn the_marker_and_address_pairs_are_found_and_single_v4_addresses_are_not() {
        let (a, b) = (IpAddr::from([10, 9, 8, 7]), IpAddr::from([10, 9, 8, 6]));
        let secrets = Secrets::new(&[(a, b)]);
        let mut seen = Seen::default();
        let look = |seen: &mut Seen, payload: &[u8]| seen.look(&udp_frame(payload), &secrets);
        look(&mut seen, &[&[4, 0, 0, 0], &[7; 40][..], MARKER].concat());
        look(
            &mut seen,
            &[&[4, 0, 0, 0], &[7; 40][..], &[10, 9, 8, 6, 10, 9, 8, 7]].concat(),
        );
        assert_eq!(seen.plaintext, 2);
        look(&mut seen, &[&[4, 0, 0, 0], &[7; 40][..], &[10, 9, 8, 6]].concat());
        assert_eq!((seen.plaintext, seen.data, seen.frames), (2, 3, 3));
    }
}
