use proptest::prelude::*;

use super::coalesce::{Accepts, Coalescer};
use super::header::Headers;
use super::split::{Split, SplitError};
use super::*;

/// A flow of test packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
    pub(crate) options: usize,
    pub(crate) port: u16,
}

pub(super) fn any_flow() -> impl Strategy<Value = Flow> {
    (any::<bool>(), any::<bool>(), 0usize..4, 1u16..8).prop_map(|(v6, tcp, options, port)| Flow {
        v6,
        tcp,
        options,
        port,
    })
}

/// Builds a packet with finished checksums; `sequence` is that of TCP, and the IPv4 identification.
pub(crate) fn packet(flow: Flow, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut transport = Vec::new();
    transport.extend_from_slice(&flow.port.to_be_bytes());
    transport.extend_from_slice(&443u16.to_be_bytes());
    if flow.tcp {
        transport.extend_from_slice(&sequence.to_be_bytes());
        transport.extend_from_slice(&7u32.to_be_bytes());
        transport.extend_from_slice(&[((5 + flow.options) as u8) << 4, flags, 1, 0, 0, 0, 0, 0]);
        transport.resize(20 + 4 * flow.options, 1);
    } else {
        transport.extend_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
        transport.extend_from_slice(&[0, 0]);
    }
    transport.extend_from_slice(payload);
    let protocol = if flow.tcp { 6 } else { 17 };
    let mut packet = if flow.v6 {
        let mut ip = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
        ip[4..6].copy_from_slice(&(transport.len() as u16).to_be_bytes());
        ip.extend_from_slice(&[0xfd; 16]);
        ip.extend_from_slice(&[0xfc; 16]);
        ip
    } else {
        let mut ip = vec![
            0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        ip[2..4].copy_from_slice(&((20 + transport.len()) as u16).to_be_bytes());
        let field = checksum::finish(checksum::sum(&ip));
        ip[10..12].copy_from_slice(&field);
        ip
    };
    packet.extend_from_slice(&transport);
    let headers = Headers::parse(&packet).unwrap();
    let sum = headers.pseudo_header(&packet, transport.len()) + checksum::sum(&packet[headers.transport..]);
    let field = headers.transport + headers.checksum_offset();
    packet[field..field + 2].copy_from_slice(&checksum::finish_nonzero(sum));
    packet
}

/// What a kernel would hand out for one big packet of the flow.
fn super_packet(flow: Flow, flags: u8, payload: &[u8], size: u16) -> (VnetHeader, Vec<u8>) {
    let mut packet = packet(flow, 1000, flags, payload);
    let headers = Headers::parse(&packet).unwrap();
    let pseudo = checksum::fold(headers.pseudo_header(&packet, packet.len() - headers.transport));
    let field = headers.transport + headers.checksum_offset();
    packet[field..field + 2].copy_from_slice(&pseudo.to_ne_bytes());
    let gso_type = match (flow.tcp, flow.v6) {
        (true, false) => GSO_TCPV4,
        (true, true) => GSO_TCPV6,
        (false, _) => GSO_UDP_L4,
    };
    let vnet = VnetHeader {
        flags: NEEDS_CSUM,
        gso_type,
        hdr_len: 0xffff,
        gso_size: size,
        csum_start: headers.transport as u16,
        csum_offset: headers.checksum_offset() as u16,
    };
    (vnet, packet)
}

fn segments(vnet: &VnetHeader, packet: &[u8]) -> Vec<Vec<u8>> {
    let split = Split::parse(vnet, packet).unwrap();
    (0..split.segments())
        .map(|index| {
            let mut out = vec![0xaa; split.segment_len(index)];
            assert_eq!(split.write_segment(index, &mut out), out.len());
            out
        })
        .collect()
}

/// Everything a coalescer writes, as the kernel would read it.
pub(super) fn written(coalescer: &mut Coalescer, packets: &[Vec<u8>]) -> Vec<(VnetHeader, Vec<u8>)> {
    let mut writes = Vec::new();
    coalescer.coalesce(
        packets.iter().map(Vec::as_slice),
        &mut |parts: &[std::io::IoSlice<'_>]| {
            let whole: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            let (vnet, packet) = whole.split_first_chunk().unwrap();
            writes.push((VnetHeader::from_bytes(vnet), packet.to_vec()));
        },
    );
    writes
}

/// Splits everything a coalescer wrote.
pub(super) fn replayed(coalescer: &mut Coalescer, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    written(coalescer, packets)
        .iter()
        .flat_map(|(vnet, packet)| segments(vnet, packet))
        .collect()
}

#[test]
fn flags_belong_to_the_right_segment() {
    for v6 in [false, true] {
        let flow = Flow {
            v6,
            tcp: true,
            options: 3,
            port: 1,
        };
        let (mut vnet, packet) = super_packet(flow, 0x80 | 0x10 | 0x08 | 0x01, &[5; 2500], 1000);
        vnet.gso_type |= GSO_ECN;
        let at = if v6 { 40 } else { 20 };
        let parts = segments(&vnet, &packet);
        let flags: Vec<u8> = parts.iter().map(|part| part[at + 13]).collect();
        assert_eq!(flags, [0x90, 0x10, 0x19]);
        let sequences: Vec<u32> = parts.iter().map(|part| header::read_u32(part, at + 4)).collect();
        assert_eq!(sequences, [1000, 2000, 3000]);
    }
}

#[test]
fn an_unfinished_checksum_is_finished() {
    for tcp in [false, true] {
        let flow = Flow {
            v6: false,
            tcp,
            options: 0,
            port: 1,
        };
        let (mut vnet, unfinished) = super_packet(flow, 0x10, &[9; 101], 0);
        vnet.gso_type = GSO_NONE;
        assert_eq!(segments(&vnet, &unfinished), [packet(flow, 1000, 0x10, &[9; 101])]);
    }
}

#[test]
fn headers_that_do_not_fit_are_refused() {
    let flow = Flow {
        v6: false,
        tcp: true,
        options: 0,
        port: 1,
    };
    let (vnet, packet) = super_packet(flow, 0x10, &[9; 100], 50);
    let parse = |vnet: VnetHeader, packet: &[u8]| Split::parse(&vnet, packet).map(|split| split.segments());
    assert_eq!(parse(vnet, &packet), Ok(2));
    assert_eq!(
        parse(
            VnetHeader {
                gso_type: GSO_TCPV6,
                ..vnet
            },
            &packet
        ),
        Err(SplitError::Headers)
    );
    assert_eq!(
        parse(
            VnetHeader {
                gso_type: GSO_UDP_L4,
                ..vnet
            },
            &packet
        ),
        Err(SplitError::Headers)
    );
    assert_eq!(
        parse(VnetHeader { gso_type: 3, ..vnet }, &packet),
        Err(SplitError::UnknownType)
    );
    assert_eq!(
        parse(VnetHeader { gso_size: 0, ..vnet }, &packet),
        Err(SplitError::SegmentSize)
    );
    assert_eq!(parse(vnet, &packet[..39]), Err(SplitError::Headers));
    let outside = VnetHeader {
        gso_type: GSO_NONE,
        csum_start: 139,
        csum_offset: 0,
        ..vnet
    };
    assert_eq!(parse(outside, &packet), Err(SplitError::Checksum));
}

#[test]
fn extension_headers_are_stepped_over() {
    let flow = Flow {
        v6: true,
        tcp: false,
        options: 0,
        port: 1,
    };
    let (mut vnet, plain) = super_packet(flow, 0, &[1; 30], 10);
    let mut packet = plain[..40].to_vec();
    packet[6] = 0;
    packet.extend_from_slice(&[17, 0, 1, 4, 0, 0, 0, 0]);
    packet.extend_from_slice(&plain[40..]);
    vnet.csum_start = 48;
    let parts = segments(&vnet, &packet);
    assert_eq!(parts.len(), 3);
    for part in parts {
        assert_eq!(part.len(), 40 + 8 + 8 + 10);
        assert_eq!(header::read_u16(&part, 4), 26);
        let headers = Headers::parse(&part).unwrap();
        assert!(checksum::verifies(
            headers.pseudo_header(&part, 18) + checksum::sum(&part[48..])
        ));
    }
}

#[test]
fn a_short_buffer_is_left_alone() {
    let flow = Flow {
        v6: false,
        tcp: true,
        options: 0,
        port: 1,
    };
    let (vnet, packet) = super_packet(flow, 0x10, &[9; 100], 50);
    let split = Split::parse(&vnet, &packet).unwrap();
    let mut out = [0xaa; 89];
    assert_eq!(split.write_segment(0, &mut out), 0);
    assert_eq!(split.write_segment(2, &mut out), 0);
    assert_eq!(out, [0xaa; 89]);
}

proptest! {
    #[test]
    fn headers_survive_their_bytes(bytes: [u8; VNET_HEADER_LEN]) {
        prop_assert_eq!(VnetHeader::from_bytes(&bytes).to_bytes(), bytes);
    }

    #[test]
    fn coalescing_undoes_splitting(
        flow in any_flow(),
        payload in prop::collection::vec(any::<u8>(), 1..9000),
        size in 200u16..1400,
        push: bool,
    ) {
        let flags = if push { 0x18 } else { 0x10 };
        let (mut vnet, packet) = super_packet(flow, flags, &payload, size);
        let parts = segments(&vnet, &packet);
        for part in &parts {
            let headers = Headers::parse(part).unwrap();
            let transport = &part[headers.transport..];
            let sum = headers.pseudo_header(part, transport.len()) + checksum::sum(transport);
            prop_assert!(checksum::verifies(sum));
            prop_assert!(flow.v6 || checksum::verifies(checksum::sum(&part[..20])));
        }
        let whole = written(&mut Coalescer::new(), &parts);
        vnet.hdr_len = Headers::parse(&packet).unwrap().payload as u16;
        if parts.len() == 1 {
            vnet.gso_type = GSO_NONE;
            vnet.gso_size = 0;
        }
        prop_assert_eq!(whole, [(vnet, packet)]);
    }

    #[test]
    fn no_input_panics(
        vnet: [u8; VNET_HEADER_LEN],
        gso_type in prop::sample::select(vec![0u8, 1, 4, 5, 0x81]),
        first in prop::sample::select(vec![0x45u8, 0x46, 0x4f, 0x60]),
        protocol in prop::sample::select(vec![6u8, 17, 0, 43, 60]),
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut vnet = VnetHeader::from_bytes(&vnet);
        vnet.gso_type = gso_type;
        for (at, byte) in [(0, first), (6, protocol), (7, 0), (9, protocol)] {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if let Ok(split) = Split::parse(&vnet, &bytes) {
            let mut out = [0; 400];
            for index in 0..split.segments() + 1 {
                prop_assert_eq!(split.write_segment(index, &mut out), split.segment_len(index));
            }
        }
        let accepts = Accepts { checksum: true, tcp: true, udp: true };
        written(&mut Coalescer::with(accepts), &[bytes.clone(), bytes]);
    }
}
