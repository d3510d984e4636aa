//! Measures what one helper adds to one worker that only sends: a device in memory hands out one super-packet again and again,
//! and the datagrams go to a network that costs little. It takes a processor for each of the two threads, a private network, and
//! 10.99.0.2 as somebody on it who drops what comes:
//!
//! ```text
//! unshare -n sh -c 'ip link set lo up; ip link add s type veth peer name r; ip addr add 10.99.0.1/24 dev s
//!   ip link set s up; ip link set r up; ip neigh add 10.99.0.2 lladdr $(cat /sys/class/net/r/address) dev s; exec help 5'
//! ```
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use conf::uapi::{AllowedIpChange, PeerChange, SetRequest};
use engine::offload::{GSO_UDP_L4, VnetHeader};
use engine::transport::{Offloads, Tun, VNET_LEN};
use engine::uapi::Device;
use engine::{Engine, Options};
use proto::PrivateKey;
use sys::notify::{Notify, Topics};
use sys::wake::EventFd;

const SEGMENT: usize = 1392;
const SEGMENTS: usize = 45;
const SINK: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

struct Source {
    readable: EventFd,
    open: AtomicBool,
    packet: Vec<u8>,
}

#[derive(Clone)]
struct Handle(Arc<Source>);

impl Handle {
    fn new(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        let vnet = VnetHeader {
            flags: 1,
            gso_type: GSO_UDP_L4,
            hdr_len: 28,
            gso_size: SEGMENT as u16,
            csum_start: 20,
            csum_offset: 6,
        };
        let len = (28 + SEGMENT * SEGMENTS) as u16;
        let mut packet = vnet.to_bytes().to_vec();
        packet.extend([0x45, 0, (len >> 8) as u8, len as u8, 0, 1, 0x40, 0, 64, 17, 0, 0]);
        packet.extend(source.octets());
        packet.extend(destination.octets());
        let udp = len - 20;
        packet.extend([0, 1, 0, 2, (udp >> 8) as u8, udp as u8, 0, 0]);
        packet.resize(VNET_LEN + usize::from(len), 7);
        let readable = EventFd::new().unwrap();
        Self(Arc::new(Source {
            readable,
            open: AtomicBool::new(false),
            packet,
        }))
    }

    fn open(&self, open: bool) {
        self.0.open.store(open, Relaxed);
        if open {
            self.0.readable.notify();
        }
    }
}

impl Tun for Handle {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.readable.fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.0.open.load(Relaxed) {
            self.0.readable.drain();
            return Err(ErrorKind::WouldBlock.into());
        }
        let packet = &self.0.packet;
        buffer[..packet.len()].copy_from_slice(packet);
        Ok(packet.len())
    }

    fn write(&self, _: &[IoSlice<'_>]) -> io::Result<()> {
        Ok(())
    }

    fn mtu(&self) -> io::Result<usize> {
        Ok(1420)
    }

    fn is_up(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn link_news(&self) -> io::Result<Notify> {
        Notify::new(Topics::default())
    }

    fn offloads(&self) -> Offloads {
        Offloads {
            checksum: true,
            tcp: true,
            udp: true,
        }
    }
}

fn start(number: u8, other: u8, helpers: usize) -> (Handle, Engine<Handle>) {
    let address = |number| Ipv4Addr::new(10, 11, 12, number);
    let tun = Handle::new(address(number), address(other));
    let engine = Engine::start(Options {
        queues: vec![tun.clone()],
        helpers: Some(helpers),
        always_help: helpers > 0,
        uapi: None,
        on_mtu: None,
    })
    .unwrap();
    let mut peer = PeerChange::new(PrivateKey::from_bytes([other; 32]).public_key());
    peer.allowed_ips = vec![AllowedIpChange {
        prefix: IpAddr::V4(address(other)).into(),
        remove: false,
    }];
    set(&engine, Some(PrivateKey::from_bytes([number; 32])), peer);
    (tun, engine)
}

fn set(engine: &Engine<Handle>, key: Option<PrivateKey>, peer: PeerChange) {
    let request = SetRequest {
        // Binds, unless the engine has done so by itself.
        listen_port: key.as_ref().map(|_| 0),
        private_key: key.map(Some),
        peers: vec![peer],
        ..SetRequest::default()
    };
    engine.device().set(request).unwrap();
}

/// Sends for two seconds and returns the rate of inner payload in Gbit/s, and the processor seconds per gigabyte.
fn measure(helpers: usize) -> (f64, f64) {
    let (tun, sender) = start(1, 2, helpers);
    let (_, receiver) = start(2, 1, 0);
    let to = |remote: SocketAddr| {
        let mut peer = PeerChange::new(PrivateKey::from_bytes([2; 32]).public_key());
        peer.endpoint = Some(remote);
        peer
    };
    let port = receiver.device().get().listen_port;
    set(&sender, None, to((Ipv4Addr::LOCALHOST, port).into()));
    tun.open(true);
    while sender.report().traffic.datagrams_sent == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    tun.open(false);
    std::thread::sleep(Duration::from_millis(50));
    set(&sender, None, to((SINK, 9).into()));
    tun.open(true);
    std::thread::sleep(Duration::from_millis(300));
    let (before, start, cpu) = (
        sender.report().traffic.datagrams_sent,
        Instant::now(),
        process_seconds(),
    );
    std::thread::sleep(Duration::from_secs(2));
    let bytes = (sender.report().traffic.datagrams_sent - before) as f64 * SEGMENT as f64;
    let (rate, cost) = (
        bytes * 8e-9 / start.elapsed().as_secs_f64(),
        (process_seconds() - cpu) / (bytes * 1e-9),
    );
    tun.open(false);
    (rate, cost)
}

fn process_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap())
        .sum::<f64>()
        / 100.0
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(5);
    println!("cipher {}", proto::cipher_backend());
    for _ in 0..rounds {
        let (alone, helped) = (measure(0), measure(1));
        println!(
            "alone {:.2} Gbit/s {:.3} s/GB  one helper {:.2} Gbit/s {:.3} s/GB  ratio {:.2}",
            alone.0,
            alone.1,
            helped.0,
            helped.1,
            helped.0 / alone.0
        );
    }
}
