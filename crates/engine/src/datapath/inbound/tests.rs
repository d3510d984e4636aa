use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;

use proto::Tunnel;
use sys::notify::Notify;
use sys::wake::EventFd;

use super::*;
use crate::offload::tests::{Flow, packet};
use crate::offload::{GSO_NONE, GSO_TCPV4, GSO_UDP_L4};

/// A device that claims everything and refuses super-packets of one type; notes the types that came.
struct Picky {
    event: EventFd,
    refuses: u8,
    seen: Mutex<Vec<u8>>,
}

impl Picky {
    fn new(refuses: u8) -> Self {
        Self {
            event: EventFd::new().unwrap(),
            refuses,
            seen: Mutex::default(),
        }
    }
}

impl Tun for Picky {
    fn fd(&self) -> BorrowedFd<'_> {
        self.event.fd()
    }

    fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let gso_type = VnetHeader::from_bytes(parts[0].first_chunk().unwrap()).gso_type;
        self.seen.lock().unwrap().push(gso_type);
        if gso_type == self.refuses {
            return Err(io::Error::from_raw_os_error(EINVAL));
        }
        Ok(())
    }

    fn mtu(&self) -> io::Result<usize> {
        Ok(1420)
    }

    fn is_up(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn link_news(&self) -> io::Result<Notify> {
        Err(ErrorKind::Unsupported.into())
    }

    fn offloads(&self) -> Offloads {
        Offloads {
            checksum: true,
            tcp: true,
            udp: true,
        }
    }
}

#[test]
fn a_refused_type_of_super_packet_is_not_tried_again() {
    let flow = |tcp| Flow {
        v6: false,
        tcp,
        options: 0,
        port: 1,
    };
    let packets: Vec<_> = [(true, 0), (true, 1000), (false, 1), (false, 2)]
        .map(|(tcp, sequence)| packet(flow(tcp), sequence, 0x10, &[1; 1000]))
        .into();
    let tun = Picky::new(GSO_UDP_L4);
    let shared = Shared::new(tun, Tunnel::new([1; 32])).unwrap();
    let mut coalescer = Coalescer::new();
    let mut write = || {
        write_joined(&shared, &mut coalescer, packets.iter().map(Vec::as_slice));
        std::mem::take(&mut *shared.tun.seen.lock().unwrap())
    };
    assert_eq!(write(), [GSO_TCPV4, GSO_UDP_L4]);
    assert_eq!(write(), [GSO_TCPV4, GSO_NONE, GSO_NONE]);
}

#[test]
fn the_port_is_free_once_the_interface_is_down() {
    let shared = Arc::new(Shared::new(Picky::new(u8::MAX), Tunnel::new([1; 32])).unwrap());
    let worker = Worker::new(Arc::clone(&shared)).unwrap();
    let thread = std::thread::spawn(move || worker.run());
    for _ in 0..50 {
        shared.up().unwrap();
        shared.down();
    }
    shared.stop.notify();
    thread.join().unwrap();
}
