//! The tunnel between the two namespaces: an engine in each, configured as any other would be.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use conf::uapi::{AllowedIpChange, PeerChange, SetRequest};
use engine::uapi::Device;
use engine::{Engine, Options};
use host::{Netlink, link};
use proto::{PresharedKey, PrivateKey, PublicKey};
use sys::tun::Tun;

use super::report::Offloads;
use super::world::{Side, World, add_addresses};
use crate::super_packets;

/// MTU of the tunnel: 1500 bytes of the veth pair, less 80 for IPv6, UDP and WireGuard.
pub(crate) const MTU: u32 = 1420;
/// Both engines listen here, each in its own namespace.
const PORT: u16 = 51820;
/// Name of the TUN device in either namespace.
const DEVICE: &str = "adit0";

/// Two running engines that know each other. Dropping it stops both.
pub(crate) struct Tunnel {
    first: End,
    second: End,
}

struct End {
    engine: Engine<Tun>,
    index: u32,
}

impl Tunnel {
    /// Starts both engines with fresh keys and brings both interfaces up; no packet is sent yet.
    ///
    /// # Errors
    ///
    /// A sentence that says what could not be done.
    pub(crate) fn start(world: &mut World) -> io::Result<Self> {
        let (first_key, second_key) = (private_key()?, private_key()?);
        let (first_public, second_public) = (first_key.public_key(), second_key.public_key());
        let shared = random_bytes()?;
        let (first_outer, second_outer) = (world.first.outer.0, world.second.outer.0);
        let peer_of_first = peer(
            second_public,
            shared,
            &world.second,
            SocketAddr::new(second_outer, PORT),
        );
        let peer_of_second = peer(first_public, shared, &world.first, SocketAddr::new(first_outer, PORT));
        let first = End::start(&mut world.first, first_key, peer_of_first)?;
        let second = End::start(&mut world.second, second_key, peer_of_second)?;
        Ok(Self { first, second })
    }

    /// Whether both ends say that a handshake has completed.
    pub(crate) fn has_session(&self) -> bool {
        let has = |end: &End| {
            end.engine
                .device()
                .get()
                .peers
                .iter()
                .all(|peer| peer.last_handshake.is_some())
        };
        has(&self.first) && has(&self.second)
    }

    /// Returns what the kernel takes over, as the first end, the sender, uses it.
    pub(crate) fn offloads(&self, world: &mut World) -> Offloads {
        let report = self.first.engine.report();
        let link = link::read(&mut world.first.netlink, self.first.index);
        let (sends, datagrams) = self.sends();
        Offloads {
            tun_checksum: report.tun.checksum,
            tun_tcp: report.tun.tcp,
            tun_udp: report.tun.udp,
            udp_gso: report.udp_gso,
            udp_gro: report.udp_gro,
            cipher: report.cipher,
            datagrams_per_send: datagrams as f64 / (sends as f64).max(1.0),
            max_segments: link.ok().and_then(|link| link.gso_max_segs),
        }
    }

    /// Sends of the first end so far, and the datagrams in them.
    pub(crate) fn sends(&self) -> (u64, u64) {
        let traffic = self.first.engine.report().traffic;
        (traffic.sends, traffic.datagrams_sent)
    }

    /// Names the drops of both ends, for a trial that failed.
    pub(crate) fn drops(&self) -> String {
        let ends = [("first", &self.first), ("second", &self.second)];
        let of = |(name, end): (&'static str, &End)| {
            let drops = end.engine.report().drops;
            drops
                .into_iter()
                .filter(|(_, n)| *n > 0)
                .map(|(r, n)| format!("{name} {}: {n}", r.name()))
                .collect::<Vec<_>>()
        };
        ends.into_iter().flat_map(of).collect::<Vec<_>>().join(", ")
    }
}

impl End {
    fn start(side: &mut Side, key: PrivateKey, peer: PeerChange) -> io::Result<Self> {
        let tun = side
            .namespace
            .run(|| Tun::create(DEVICE, false))?
            .map_err(explain("create a TUN device"))?;
        let index = link::index(&mut side.netlink, DEVICE).map_err(io::Error::other)?;
        link::set_mtu(&mut side.netlink, index, MTU).map_err(io::Error::other)?;
        let on_mtu = side
            .namespace
            .run(|| super_packets::fit_segments(DEVICE.to_owned()))??;
        let options = Options {
            queues: vec![tun],
            helpers: None,
            always_help: false,
            uapi: None,
            on_mtu: Some(on_mtu),
        };
        let engine = side
            .namespace
            .run(|| Engine::on_devices(options))?
            .map_err(explain("start an engine"))?;
        let request = SetRequest {
            private_key: Some(Some(key)),
            listen_port: Some(PORT),
            replace_peers: true,
            peers: vec![peer],
            ..SetRequest::default()
        };
        engine
            .device()
            .set(request)
            .map_err(|errno| io::Error::from_raw_os_error(-errno.number()))?;
        let configure = |netlink: &mut Netlink| {
            // The prefixes of the addresses cover the other end, so the kernel adds the routes.
            add_addresses(netlink, index, side.inner)?;
            link::set_up(netlink, index)
        };
        configure(&mut side.netlink).map_err(io::Error::other)?;
        Ok(Self { engine, index })
    }
}

fn peer(key: PublicKey, shared: [u8; 32], side: &Side, endpoint: SocketAddr) -> PeerChange {
    let allow = |address: IpAddr| AllowedIpChange {
        prefix: address.into(),
        remove: false,
    };
    PeerChange {
        preshared_key: Some(Some(PresharedKey::from_bytes(shared))),
        endpoint: Some(endpoint),
        replace_allowed_ips: true,
        allowed_ips: vec![allow(side.inner.0), allow(side.inner.1)],
        ..PeerChange::new(key)
    }
}

fn private_key() -> io::Result<PrivateKey> {
    random_bytes().map(PrivateKey::from_bytes)
}

fn random_bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    sys::random::fill(&mut bytes)?;
    Ok(bytes)
}

fn explain(action: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("cannot {action}: {error}"))
}

/// How long the interfaces may take to notice that they are up.
pub(crate) const START_PATIENCE: Duration = Duration::from_secs(5);
