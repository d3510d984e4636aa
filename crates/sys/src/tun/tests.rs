use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use super::*;
use crate::notify::Event;
use crate::poll::readable;
use crate::testing::{in_namespace, move_to, private_namespace, set_address, set_down, set_mtu, set_up};
use crate::vnet::{F_NEEDS_CSUM, GSO_NONE, GSO_UDP_L4, VnetHeader};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

fn device() -> Tun {
    let tun = Tun::create("test%d", false).unwrap();
    set_address(&tun.name(), OURS, 24).unwrap();
    set_up(&tun.name()).unwrap();
    tun
}

/// Reads until a packet satisfies `wanted`; the kernel sends router solicitations and the like on its own.
fn read_packet(tun: &Tun, wanted: impl Fn(&[u8]) -> bool) -> (VnetHeader, Vec<u8>) {
    let mut buffer = vec![0; 70_000];
    loop {
        assert!(readable(tun.fd(), Duration::from_secs(5)).unwrap(), "no packet");
        let len = tun.read(&mut buffer).unwrap();
        let (header, packet) = VnetHeader::split(&buffer[..len]).unwrap();
        if wanted(packet) {
            return (header, packet.to_vec());
        }
    }
}

fn is_udp(packet: &[u8]) -> bool {
    packet[0] == 0x45 && packet[9] == 17
}

/// An IPv4 UDP packet with a finished IP checksum and the pseudo-header sum in the UDP checksum.
fn udp_packet(source: Ipv4Addr, destination: Ipv4Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
            .sum::<u32>()
    };
    let fold = |sum: u32| {
        let sum = (sum & 0xffff) + (sum >> 16);
        ((sum & 0xffff) + (sum >> 16)) as u16
    };
    let udp_len = 8 + payload.len() as u16;
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet[2..4].copy_from_slice(&(20 + udp_len).to_be_bytes());
    let checksum = !fold(sum(&packet));
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    let pseudo = fold(sum(&packet[12..20]) + 17 + u32::from(udp_len));
    for field in [port, port, udp_len, pseudo] {
        packet.extend(field.to_be_bytes());
    }
    packet.extend(payload);
    packet
}

#[test]
fn packets_pass_in_both_directions() {
    in_namespace(|| {
        let tun = device();
        let socket = UdpSocket::bind((OURS, 4000)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(b"out", (THEIRS, 4001)).unwrap();
        let (header, packet) = read_packet(&tun, is_udp);
        assert_eq!(
            (&packet[12..16], &packet[16..20]),
            (&OURS.octets()[..], &THEIRS.octets()[..])
        );
        assert_eq!(&packet[28..], b"out");
        assert_eq!((header.flags & F_NEEDS_CSUM, header.gso_type), (F_NEEDS_CSUM, GSO_NONE));

        let packet = udp_packet(THEIRS, OURS, 4000, b"into the host");
        let header = VnetHeader {
            flags: F_NEEDS_CSUM,
            csum_start: 20,
            csum_offset: 6,
            ..VnetHeader::default()
        };
        let header = header.to_bytes();
        let parts = [
            IoSlice::new(&header),
            IoSlice::new(&packet[..28]),
            IoSlice::new(&packet[28..]),
        ];
        assert_eq!(tun.write_vectored(&parts).unwrap(), 10 + packet.len());
        let mut buffer = [0; 64];
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from), (&b"into the host"[..], (THEIRS, 4000).into()));
    });
}

#[test]
fn a_gathered_write_of_a_super_packet_arrives_as_its_datagrams() {
    in_namespace(|| {
        let tun = device();
        if !tun.offloads().uso {
            return eprintln!("SKIPPED: this kernel has no UDP segmentation on TUN (needs Linux 6.2)");
        }
        let socket = UdpSocket::bind((OURS, 4000)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let payload: Vec<u8> = (0..40 * 1200 + 7).map(|i| (i / 1200) as u8).collect();
        let packet = udp_packet(THEIRS, OURS, 4000, &payload);
        let header = VnetHeader {
            flags: F_NEEDS_CSUM,
            gso_type: GSO_UDP_L4,
            hdr_len: 28,
            gso_size: 1200,
            csum_start: 20,
            csum_offset: 6,
        };
        let header = header.to_bytes();
        let mut parts = vec![IoSlice::new(&header), IoSlice::new(&packet[..28])];
        parts.extend(packet[28..].chunks(1200).map(IoSlice::new));
        tun.write_vectored(&parts).unwrap();
        let mut buffer = [0; 2000];
        for segment in payload.chunks(1200) {
            let len = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], segment);
        }
    });
}

#[test]
fn facts_follow_the_interface() {
    in_namespace(|| {
        let tun = Tun::create("facts", false).unwrap();
        assert_eq!(tun.name(), "facts");
        assert_eq!(tun.mtu().unwrap(), 1500);
        assert!(!tun.is_up().unwrap());
        assert!(tun.index().unwrap() > 1);
        set_mtu("facts", 1420).unwrap();
        set_up("facts").unwrap();
        assert_eq!(tun.mtu().unwrap(), 1420);
        assert!(tun.is_up().unwrap());
        set_down("facts").unwrap();
        assert!(!tun.is_up().unwrap());
    });
}

#[test]
fn facts_are_found_from_a_thread_in_another_namespace() {
    let Some(namespace) = private_namespace() else { return };
    let tun = namespace.run(|| Tun::create("far%d", false).unwrap()).unwrap();
    assert_eq!(tun.name(), "far0");
    assert_eq!(tun.mtu().unwrap(), 1500);
    namespace.run(|| set_mtu("far0", 1300).unwrap()).unwrap();
    assert_eq!(tun.mtu().unwrap(), 1300);
}

#[test]
fn a_device_that_moves_to_another_namespace_is_followed() {
    let Some(birth) = private_namespace() else { return };
    let Some(life) = private_namespace() else { return };
    let tun = birth.run(|| Tun::create("mover", false).unwrap()).unwrap();
    let Some(namespace) = tun.namespace() else {
        return eprintln!("SKIPPED: this kernel does not tell where a TUN is (needs Linux 5.13)");
    };
    assert!(namespace.is(&birth).unwrap());
    let mut news = tun.link_news().unwrap();
    let index = tun.index().unwrap();
    birth.run(|| move_to(index, &life)).unwrap();
    assert!(readable(news.fd(), Duration::from_secs(5)).unwrap());
    let mut gone = false;
    news.read(|event| gone |= matches!(event, Event::Link(link) if link.index == index && link.deleted))
        .unwrap();
    assert!(gone && tun.namespace().unwrap().is(&life).unwrap());

    // An interface of the old name in the old place is not mistaken for it.
    let _other = birth.run(|| Tun::create("mover", false).unwrap()).unwrap();
    birth.run(|| set_mtu("mover", 1300).unwrap()).unwrap();
    let mut news = tun.link_news().unwrap();
    life.run(|| set_mtu("mover", 1400).unwrap()).unwrap();
    life.run(|| set_up("mover").unwrap()).unwrap();
    assert_eq!((tun.mtu().unwrap(), tun.is_up().unwrap()), (1400, true));
    let mut mtu = 0;
    news.read(|event| {
        if let Event::Link(link) = event {
            mtu = link.mtu;
        }
    })
    .unwrap();
    assert_eq!(mtu, 1400);
}

#[test]
fn an_inherited_descriptor_keeps_its_header_and_gets_the_offloads() {
    in_namespace(|| {
        let made = Tun::create("kept", false).unwrap();
        let offloads = made.offloads();
        assert!(offloads.vnet_hdr && offloads.checksum && offloads.tso4 && offloads.tso6);
        let taken = Tun::from_fd(made.into_fd()).unwrap();
        assert_eq!(taken.offloads(), offloads);
        assert_eq!(taken.name(), "kept");

        let fd = open(DEVICE, OFlags::RDWR, Mode::empty()).unwrap();
        let flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
        IfReq::new("bare")
            .unwrap()
            .with_short(flags)
            .ask(fd.as_fd(), libc::TUNSETIFF)
            .unwrap();
        let bare = Tun::from_fd(fd).unwrap();
        assert_eq!(bare.offloads(), TunOffloads::default());
        set_up("bare").unwrap();
        let mut buffer = [0; 100];
        while bare.read(&mut buffer).is_ok() {}
        assert_eq!(bare.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(bare.set_offloads(TunOffloads::ALL).is_err());
    });
}

#[test]
fn offloads_can_be_turned_off_and_on() {
    in_namespace(|| {
        let tun = Tun::create("offload", false).unwrap();
        let best = tun.offloads();
        let none = TunOffloads {
            vnet_hdr: true,
            ..TunOffloads::default()
        };
        tun.set_offloads(none).unwrap();
        assert_eq!(tun.offloads(), none);
        tun.set_offloads(best).unwrap();
        assert_eq!(tun.offloads(), best);
        assert!(tun.set_offloads(TunOffloads::default()).is_err());
        assert!(tun.set_offloads(TunOffloads { tso4: true, ..none }).is_err());
        assert_eq!(tun.offloads(), best);
    });
}

#[test]
fn a_flow_comes_by_the_queue_that_its_answers_were_written_to() {
    in_namespace(|| {
        let first = Tun::create("queues", true).unwrap();
        if !first.multi_queue {
            return eprintln!("SKIPPED: this kernel has no TUN with several queues");
        }
        let mut queues = vec![first];
        for _ in 1..4 {
            queues.push(queues[0].attach().unwrap());
        }
        set_address("queues", OURS, 24).unwrap();
        set_up("queues").unwrap();
        for (port, queue) in (4000..4016).zip(queues.iter().cycle()) {
            assert_eq!(
                (queue.name(), queue.offloads()),
                ("queues".into(), queues[0].offloads())
            );
            let socket = UdpSocket::bind((OURS, port)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let header = VnetHeader {
                flags: F_NEEDS_CSUM,
                csum_start: 20,
                csum_offset: 6,
                ..VnetHeader::default()
            };
            let (header, packet) = (header.to_bytes(), udp_packet(THEIRS, OURS, port, b"question"));
            queue
                .write_vectored(&[IoSlice::new(&header), IoSlice::new(&packet)])
                .unwrap();
            let (_, from) = socket.recv_from(&mut [0; 64]).unwrap();
            socket.send_to(&port.to_be_bytes(), from).unwrap();
            let (_, answer) = read_packet(queue, is_udp);
            assert_eq!(answer[28..], port.to_be_bytes());
        }
    });
}

#[test]
fn a_device_has_one_owner_and_several_queues_only_if_made_so() {
    in_namespace(|| {
        let single = Tun::create("single", false).unwrap();
        assert_eq!(single.attach().unwrap_err().kind(), io::ErrorKind::Unsupported);
        let several = Tun::create("several", true).unwrap();
        for name in ["single", "several"] {
            for multi_queue in [false, true] {
                let error = Tun::create(name, multi_queue).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ResourceBusy, "{name} {multi_queue}");
            }
        }
        let taken = Tun::from_fd(several.into_fd()).unwrap();
        let queue = taken.attach().unwrap();
        assert_eq!(queue.index().unwrap(), taken.index().unwrap());
        // The interface stays until the last queue is gone.
        let index = taken.index().unwrap();
        drop(taken);
        assert_eq!(queue.index().unwrap(), index);
    });
}

#[test]
fn what_is_no_tun_device_is_refused() {
    assert_eq!(
        Tun::create("a name of 16 byt", false).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    let null = open("/dev/null", OFlags::RDWR, Mode::empty()).unwrap();
    assert!(Tun::from_fd(null).is_err());
    in_namespace(|| {
        let fd = open(DEVICE, OFlags::RDWR, Mode::empty()).unwrap();
        let flags = (libc::IFF_TAP | libc::IFF_NO_PI) as i16;
        IfReq::new("tap")
            .unwrap()
            .with_short(flags)
            .ask(fd.as_fd(), libc::TUNSETIFF)
            .unwrap();
        assert_eq!(Tun::from_fd(fd).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    });
}
