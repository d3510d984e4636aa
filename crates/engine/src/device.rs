//! Configuration of a running engine: what the UAPI socket and programs that embed an engine call.
//!
//! A request arrives parsed whole. What can fail (binding a port, setting a mark, the number of peers) is tried before
//! anything is changed, so a refused request changes nothing; except that a port given while the device waits for its first
//! sockets is bound last.

use conf::prefix::Prefix;
use conf::uapi::{DeviceStatus, Errno, PeerChange, PeerStatus, SetRequest};
use proto::{Endpoint, PeerId, Tunnel};

use crate::shared::{Core, Retired, Shared, now};
use crate::sockets::Sockets;
use crate::transport::Tun;
use crate::uapi::Device;

impl<T: Tun> Device for Shared<T> {
    fn set(&self, request: SetRequest) -> Result<(), Errno> {
        let mut core = self.core();
        check_capacity(&core.tunnel, &request)?;
        let retired = self.set_sockets(&mut core, request.listen_port, request.fwmark)?;
        let tunnel = &mut core.tunnel;
        if request.replace_peers {
            tunnel.remove_all_peers();
        }
        if let Some(key) = request.private_key {
            tunnel.set_private_key(now(), key);
            self.handshakes.set_checker(tunnel.mac1_checker());
        }
        for peer in request.peers {
            set_peer(tunnel, peer);
        }
        self.finish(core);
        retired.wait();
        if request.listen_port.is_some() {
            // The device may be up without sockets, because the port that was set before was taken.
            self.up().map_err(|error| Errno::from_io(&error))?;
        }
        Ok(())
    }

    fn get(&self) -> DeviceStatus {
        // Who sets the device up may ask for the port before the control worker has heard of it, which tells, too, what fails.
        let _ = self.up();
        status(&self.core())
    }
}

impl<T: Tun> Shared<T> {
    /// Opens the interface if its device is up: sockets first, then the tunnel.
    pub(crate) fn up(&self) -> std::io::Result<()> {
        let mut core = self.core();
        // Asked under the lock: news that the device went down since come to `down` afterwards.
        if core.tunnel.is_up() || !self.tun().is_up()? {
            return Ok(());
        }
        let sockets = Sockets::bind(self.queues().len(), core.listen_port, core.fwmark)?;
        core.listen_port = sockets.port();
        let _ = self.replace_sockets(Some(sockets));
        core.tunnel.set_up(now());
        tracing::debug!(listen_port = core.listen_port, "interface up");
        self.finish(core);
        Ok(())
    }

    /// Closes the interface: sessions and sockets end, counters and endpoints stay.
    pub(crate) fn down(&self) {
        let mut core = self.core();
        let mut retired = Retired::default();
        if core.tunnel.is_up() {
            core.tunnel.set_down(now());
            retired = self.replace_sockets(None);
            tracing::debug!("interface down");
        }
        self.finish(core);
        retired.wait();
    }

    fn set_sockets(&self, core: &mut Core, port: Option<u16>, fwmark: Option<u32>) -> Result<Retired, Errno> {
        let new_port = port.filter(|&port| port != core.listen_port || port == 0);
        let new_mark = fwmark.filter(|&mark| mark != core.fwmark);
        let mut retired = Retired::default();
        if core.tunnel.is_up() {
            if let Some(port) = new_port {
                let sockets = rebind(self.queues().len(), port, new_mark.unwrap_or(core.fwmark))?;
                core.listen_port = sockets.port();
                retired = self.replace_sockets(Some(sockets));
            } else if let (Some(mark), Some(sockets)) = (new_mark, self.sockets()) {
                sockets.set_mark(mark).map_err(|error| Errno::from_io(&error))?;
            }
        } else if let Some(port) = new_port {
            core.listen_port = port;
        }
        if let Some(mark) = new_mark {
            core.fwmark = mark;
        }
        if new_port.is_some() || new_mark.is_some() {
            core.tunnel.forget_sources();
        }
        Ok(retired)
    }
}

fn rebind(queues: usize, port: u16, fwmark: u32) -> Result<Sockets, Errno> {
    Sockets::bind(queues, port, fwmark).map_err(|error| {
        tracing::warn!(port, %error, "listen port not bound");
        Errno::from_io(&error)
    })
}

/// Refuses a request that would leave more peers than an interface can have.
fn check_capacity(tunnel: &Tunnel, request: &SetRequest) -> Result<(), Errno> {
    let present = if request.replace_peers {
        0
    } else {
        tunnel.peers().count()
    };
    if present.saturating_add(request.peers.len()) <= proto::MAX_PEERS {
        return Ok(());
    }
    // The exact number matters only near the limit: peers that exist or go do not add.
    let new = request.peers.iter().filter(|peer| !peer.remove && !peer.update_only);
    let new = new
        .filter(|peer| request.replace_peers || tunnel.peer_id(&peer.public_key).is_none())
        .count();
    if present.saturating_add(new) <= proto::MAX_PEERS {
        Ok(())
    } else {
        Err(Errno::NO_SPACE)
    }
}

fn set_peer(tunnel: &mut Tunnel, change: PeerChange) {
    let existing = tunnel.peer_id(&change.public_key);
    if change.remove || (change.update_only && existing.is_none()) {
        if let Some(peer) = existing.filter(|_| change.remove) {
            tunnel.remove_peer(peer);
        }
        return;
    }
    // Our own key as a peer is ignored, as the kernel does.
    let Ok(peer) = tunnel.add_peer(now(), change.public_key) else {
        return;
    };
    if let Some(key) = change.preshared_key {
        tunnel.set_preshared_key(peer, key);
    }
    if let Some(remote) = change.endpoint {
        tunnel.set_endpoint(peer, Endpoint { remote, source: None });
    }
    if change.replace_allowed_ips {
        tunnel.clear_allowed_ips(peer);
    }
    for allowed in change.allowed_ips {
        let (address, len) = allowed.prefix.into();
        if allowed.remove {
            tunnel.remove_allowed_ip(peer, address, len);
        } else {
            // The length of a prefix fits its family.
            let _ = tunnel.add_allowed_ip(peer, address, len);
        }
    }
    if let Some(seconds) = change.persistent_keepalive {
        tunnel.set_persistent_keepalive(now(), peer, seconds);
    }
    tunnel.flush_peer(now(), peer);
}

fn status(core: &Core) -> DeviceStatus {
    let tunnel = &core.tunnel;
    DeviceStatus {
        private_key: tunnel
            .private_key()
            .map(|key| proto::PrivateKey::from_bytes(*key.as_bytes())),
        listen_port: core.listen_port,
        fwmark: core.fwmark,
        peers: tunnel.peers().filter_map(|peer| peer_status(tunnel, peer)).collect(),
    }
}

fn peer_status(tunnel: &Tunnel, peer: PeerId) -> Option<PeerStatus> {
    let peer = tunnel.peer(peer)?;
    Some(PeerStatus {
        public_key: peer.public_key(),
        preshared_key: peer
            .preshared_key()
            .map(|key| proto::PresharedKey::from_bytes(*key.as_bytes())),
        endpoint: peer.endpoint().map(|endpoint| endpoint.remote),
        last_handshake: peer.last_handshake(),
        tx_bytes: peer.tx_bytes(),
        rx_bytes: peer.rx_bytes(),
        persistent_keepalive: peer.persistent_keepalive(),
        allowed_ips: peer
            .allowed_ips()
            .filter_map(|(address, len)| Prefix::new(address, len))
            .collect(),
    })
}
