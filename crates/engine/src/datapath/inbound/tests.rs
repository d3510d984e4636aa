use proto::Tunnel;

use super::*;
use crate::datapath::help::Crew;
use crate::datapath::testing::Device;
use crate::offload::tests::{Flow, packet};
use crate::offload::{GSO_NONE, GSO_TCPV4, GSO_UDP_L4};

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
    let tun = Device::new(GSO_UDP_L4);
    let shared = Shared::new(vec![tun], Tunnel::new([1; 32]), Crew::new(0, false).unwrap()).unwrap();
    let mut coalescer = Coalescer::new();
    let mut write = || {
        write_joined(&shared, shared.tun(), &mut coalescer, packets.iter().map(Vec::as_slice));
        std::mem::take(&mut *shared.tun().seen.lock().unwrap())
    };
    assert_eq!(write(), [GSO_TCPV4, GSO_UDP_L4]);
    assert_eq!(write(), [GSO_NONE, GSO_NONE, GSO_TCPV4]);
}
