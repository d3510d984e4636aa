//! The network around the tunnel: fragments, bad checksums, routes and addresses that change, and a route into the tunnel
//! itself.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime};

use conf::key_text::parse_base64;
use e2e::tunnel::{endpoint, inner_v4, inner_v6};
use e2e::{Engine, Lab, Outer, Result, Running, Side, Tunnel, command, needs, transfer};
use proto::{Endpoint, Instant, Now, PrivateKey, PublicKey};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with};

const SOON: Duration = Duration::from_secs(5);
const UDP: u8 = 17;

/// Runs `work` on two machines with adit and a configured tunnel.
fn with_tunnel(outer: Outer, work: impl FnOnce(&Lab, &Tunnel<'_>, &[Running; 2]) -> Result<()>) {
    if !needs::available(&[Engine::adit().program(), "wg", "ip", "ping", "nstat"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let engines = [&lab.left, &lab.right].map(|side| Running::start(&Engine::adit(), side).unwrap());
    let outcome =
        Tunnel::configure(&lab.left, &lab.right, outer, false).and_then(|tunnel| work(&lab, &tunnel, &engines));
    outcome.unwrap_or_else(|error| {
        panic!(
            "{error}\n--- left\n{}\n--- right\n{}",
            engines[0].log(),
            engines[1].log()
        )
    });
}

/// Reads a counter of the kernel, as `nstat` names it.
fn counter(side: &Side, name: &str) -> Result<u64> {
    let text = side.sh(&format!("nstat -asz {name}"))?;
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| format!("no {name} in {text}"))
}

#[test]
fn a_packet_far_larger_than_the_path_travels_in_fragments() {
    for (outer, reassembled) in [(Outer::V4, "IpReasmOKs"), (Outer::V6, "Ip6ReasmOKs")] {
        with_tunnel(outer, |lab, tunnel, _| {
            for side in [&lab.left, &lab.right] {
                side.sh("ip link set mtu 60000 dev wg0")?;
            }
            tunnel.ping(1)?;
            for address in [inner_v4(2).into(), IpAddr::from(inner_v6(2))] {
                lab.left.sh(&format!("ping -c 2 -i 0.2 -W 3 -s 59000 {address}"))?;
            }
            let count = counter(&lab.right, reassembled)?;
            if count < 4 {
                return Err(format!("{reassembled} is {count}: the datagrams were not fragmented"));
            }
            transfer::transfer(&lab.left, &lab.right, inner_v4(2).into(), 4 << 20)
        });
    }
}

/// The same initiation three times: with a wrong checksum it never reaches the engine, for which it is new when it comes
/// in fragments, the last one first; then it is known.
#[test]
fn the_kernel_drops_wrong_checksums_and_joins_swapped_fragments() {
    for (outer, errors) in [(Outer::V4, "UdpInCsumErrors"), (Outer::V6, "Udp6InCsumErrors")] {
        with_tunnel(outer, |lab, tunnel, _| {
            let target = endpoint(2, outer);
            let initiation = initiation(&lab.left, tunnel.key(2))?;
            lab.left.inside(|| {
                let text = |error: std::io::Error| error.to_string();
                let socket = UdpSocket::bind((endpoint(1, outer).ip(), 0)).map_err(text)?;
                socket.set_read_timeout(Some(SOON)).map_err(text)?;
                let source = socket.local_addr().map_err(text)?;
                let datagram = udp(source, target, &initiation);

                let before = counter(&lab.right, errors)?;
                let mut wrong = datagram.clone();
                wrong[6] ^= 0x40;
                send_raw(&[fragment(source, target, &wrong, 0, false)], target)?;
                command::until(SOON, || match counter(&lab.right, errors)? {
                    after if after > before => Ok(()),
                    _ => Err("the wrong checksum was not counted".into()),
                })?;

                let fragments = [(96, &datagram[96..], false), (0, &datagram[..96], true)]
                    .map(|(offset, part, more)| fragment(source, target, part, offset, more));
                send_raw(&fragments, target)?;
                let mut answer = [0; 2048];
                let len = socket
                    .recv(&mut answer)
                    .map_err(|error| format!("no response: {error}"))?;
                if (len, answer[0]) != (proto::RESPONSE_LEN, 2) {
                    return Err(format!("{len} bytes of type {} instead of a response", answer[0]));
                }
                Ok(())
            })
        });
    }
}

#[test]
fn a_host_with_several_addresses_answers_from_the_one_contacted() {
    with_tunnel(Outer::V4, |lab, tunnel, _| {
        lab.right.sh("ip addr add 192.0.2.99/24 dev veth0")?;
        lab.left
            .sh(&format!("wg set wg0 peer {} endpoint 192.0.2.99:51821", tunnel.key(2)))?;
        tunnel.ping(1)?;
        tunnel.ping(2)?;
        let endpoints = lab.left.sh("wg show wg0 endpoints")?;
        if !endpoints.contains("192.0.2.99:51821") {
            return Err(format!("it answered from elsewhere: {endpoints}"));
        }
        Ok(())
    });
}

/// A better route by another interface: the source that was right for the old one must be forgotten.
#[test]
fn traffic_follows_a_route_that_is_overtaken() {
    with_tunnel(Outer::V4, |lab, tunnel, _| {
        tunnel.ping(1)?;
        let before = tunnel.latest_handshake(2)?;
        lab.left.sh(&format!(
            "ip link add veth1 type veth peer name veth1 netns {}",
            lab.right.pid()
        ))?;
        for (side, number) in [(&lab.left, 1), (&lab.right, 2)] {
            side.sh(&format!(
                "ip addr add 198.51.100.{number}/24 dev veth1 && ip link set veth1 up"
            ))?;
        }
        lab.left.sh("ip route add 192.0.2.2/32 via 198.51.100.2 dev veth1")?;
        tunnel.ping(1)?;
        let endpoints = lab.right.sh("wg show wg0 endpoints")?;
        if !endpoints.contains("198.51.100.1:51820") {
            return Err(format!("the source did not follow the route: {endpoints}"));
        }
        // The old way closes for good; what still used it would be lost.
        lab.left.sh("ip link set veth0 down")?;
        tunnel.ping(1)?;
        tunnel.ping(2)?;
        if tunnel.latest_handshake(2)? != before {
            return Err("the route cost a handshake".into());
        }
        Ok(())
    });
}

/// Without a session there is one message of a handshake in five seconds to go round in circles.
#[test]
fn a_first_handshake_into_the_own_tunnel_stays_small() {
    with_tunnel(Outer::V4, |lab, tunnel, [left, _]| {
        set_endpoint(lab, tunnel, &format!("{}:51821", inner_v4(2)))?;
        let size = left.resident_kib();
        flood(lab);
        let sent = transfer_bytes(lab)?;
        let grown = left.resident_kib().saturating_sub(size);
        if sent > 1000 || grown > 4 * 1024 {
            return Err(format!("{sent} bytes sent, {grown} KiB more memory"));
        }
        tunnel.restart(1)?;
        tunnel.ping(1)
    });
}

/// With a session, what goes round in circles grows with every turn. The engine must keep its size and stay reachable for
/// the one who puts it right.
#[test]
fn an_endpoint_inside_its_own_tunnel_does_no_lasting_harm() {
    with_tunnel(Outer::V4, |lab, tunnel, [left, _]| {
        tunnel.ping(1)?;
        let size = left.resident_kib();
        set_endpoint(lab, tunnel, &format!("{}:51821", inner_v4(2)))?;
        flood(lab);
        lab.left.sh("timeout 5 wg show wg0 dump")?;
        let grown = left.resident_kib().saturating_sub(size);
        if grown > 16 * 1024 {
            return Err(format!("{grown} KiB more memory"));
        }
        // The other side has heard of the wrong endpoint by now: both forget their session.
        tunnel.restart(2)?;
        tunnel.restart(1)?;
        command::until(Duration::from_secs(10), || tunnel.ping(1))
    });
}

/// When nobody sends any more, nothing must go round any more.
#[test]
fn datagrams_routed_into_their_own_tunnel_do_not_go_round_for_ever() {
    with_tunnel(Outer::V4, |lab, tunnel, _| {
        tunnel.ping(1)?;
        set_endpoint(lab, tunnel, &format!("{}:51821", inner_v4(2)))?;
        flood(lab);
        command::until(SOON, || {
            let before = transfer_bytes(lab)?;
            std::thread::sleep(Duration::from_millis(500));
            match transfer_bytes(lab)? - before {
                0..100_000 => Ok(()),
                sent => Err(format!("{sent} bytes in half a second of silence")),
            }
        })
    });
}

/// Sets where the left engine finds the right one.
fn set_endpoint(lab: &Lab, tunnel: &Tunnel<'_>, endpoint: &str) -> Result<()> {
    let key = tunnel.key(2);
    lab.left
        .sh(&format!("timeout 5 wg set wg0 peer {key} endpoint {endpoint}"))
        .map(drop)
}

/// Sends many packets from left to right, which may be lost.
fn flood(lab: &Lab) {
    let _ = lab.left.sh(&format!("ping -q -f -c 200 -s 1392 -W 1 {}", inner_v4(2)));
}

/// How many bytes the left engine has sent to the right one.
fn transfer_bytes(lab: &Lab) -> Result<u64> {
    let text = lab.left.sh("wg show wg0 transfer")?;
    let sent = text.split_whitespace().nth(2).and_then(|word| word.parse().ok());
    sent.ok_or_else(|| format!("no transfer in {text:?}"))
}

/// The first message of a handshake, as the engine of `side` would make it for the peer with that key.
fn initiation(side: &Side, peer: &str) -> Result<Vec<u8>> {
    let key = |text: &str| parse_base64(text.trim().as_bytes()).ok_or("not a key");
    let now = Now {
        mono: Instant::from_nanos(1_000_000_000),
        wall: SystemTime::UNIX_EPOCH.elapsed().map_err(|error| error.to_string())?,
    };
    let mut tunnel = proto::Tunnel::new([5; 32]);
    let private = side.sh("cat /run/wireguard/key")?;
    tunnel.set_private_key(now, Some(PrivateKey::from_bytes(*key(&private)?)));
    let peer = tunnel
        .add_peer(now, PublicKey::from_bytes(*key(peer)?))
        .map_err(|error| error.to_string())?;
    let remote = endpoint(2, Outer::V4);
    tunnel.set_endpoint(peer, Endpoint { remote, source: None });
    tunnel.set_persistent_keepalive(now, peer, 25);
    tunnel.set_up(now);
    tunnel
        .poll_transmit()
        .map(|transmit| transmit.payload)
        .ok_or_else(|| "no initiation".into())
}

/// A UDP header with checksum, and the payload.
fn udp(source: SocketAddr, target: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    let mut datagram = [source.port(), target.port(), len, 0].map(u16::to_be_bytes).concat();
    datagram.extend_from_slice(payload);
    let pseudo = [
        bytes(source.ip()),
        bytes(target.ip()),
        vec![0, UDP],
        len.to_be_bytes().into(),
    ]
    .concat();
    let words = |bytes: &[u8]| -> u32 {
        let pairs = bytes.chunks(2);
        pairs
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
            .sum()
    };
    let mut sum = words(&pseudo) + words(&datagram);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    datagram[6..8].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    datagram
}

/// An IP packet with a part of a datagram from `offset` bytes on; the kernel writes the IPv4 checksum.
fn fragment(source: SocketAddr, target: SocketAddr, part: &[u8], offset: u16, more: bool) -> Vec<u8> {
    let [(len0, len1), (len6_0, len6_1)] = [20 + part.len(), 8 + part.len()].map(|len| {
        let [high, low] = (len as u16).to_be_bytes();
        (high, low)
    });
    let header = if source.is_ipv4() {
        let [high, low] = ((offset / 8) | (u16::from(more) << 13)).to_be_bytes();
        vec![0x45, 0, len0, len1, 0xad, 0x17, high, low, 64, UDP, 0, 0]
    } else {
        vec![0x60, 0, 0, 0, len6_0, len6_1, 44, 64]
    };
    let mut packet = [header, bytes(source.ip()), bytes(target.ip())].concat();
    if source.is_ipv6() {
        let [high, low] = (offset | u16::from(more)).to_be_bytes();
        packet.extend([UDP, 0, high, low, 0, 0, 0xad, 0x17]);
    }
    packet.extend_from_slice(part);
    packet
}

fn send_raw(packets: &[Vec<u8>], target: SocketAddr) -> Result<()> {
    let family = if target.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW))
        .map_err(|error| format!("raw socket: {error}"))?;
    for packet in packets {
        // A raw socket has no ports, and IPv6 wants zero.
        let to = SocketAddr::new(target.ip(), 0);
        sendto(&socket, packet, SendFlags::empty(), &to).map_err(|error| format!("raw send: {error}"))?;
    }
    Ok(())
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}
