//! The control worker: handshakes, timers by deadline, and the device as the system administrator changes it.
//!
//! It follows the link (up, down, MTU, deletion) and forgets sticky sources that routing no longer agrees with.
//! Whether the device is up is asked of the device itself, because it may have moved to another network namespace.

mod desk;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sys::errno::{EHOSTUNREACH, EINVAL, ENETUNREACH};
use sys::notify::{Event, Notify, Topics};
use sys::poll::Poller;
use sys::udp::UdpSocket;

use crate::shared::Shared;
use crate::transport::Tun;

use desk::Desk;

/// How often and after which pause a device is asked again that did not answer: it may be on its way to another name or
/// namespace.
const MOVE_ATTEMPTS: u32 = 3;
const MOVE_PAUSE: Duration = Duration::from_millis(10);

/// The pause before a port that was taken is tried again.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// The worker that answers handshakes and follows timers, link and routes.
pub(crate) struct Worker<T: Tun> {
    shared: Arc<Shared<T>>,
    /// Of the namespace that the device is in, which may change.
    link: Notify,
    /// Of the namespace that the sockets are in.
    routing: Notify,
    /// One for each control socket.
    desks: [Desk; 2],
    on_mtu: Option<Box<dyn Fn(usize) + Send>>,
    mtu: usize,
    /// Whether the device is up but the sockets could not be bound.
    lacks_sockets: bool,
}

impl<T: Tun> Worker<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, on_mtu: Option<Box<dyn Fn(usize) + Send>>) -> io::Result<Self> {
        let topics = Topics {
            addresses: true,
            routes: true,
        };
        Ok(Self {
            link: shared.tun().link_news()?,
            routing: Notify::new(topics)?,
            desks: [Desk::new()?, Desk::new()?],
            shared,
            on_mtu,
            mtu: 0,
            lacks_sockets: false,
        })
    }

    /// Runs until the engine stops.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut poller = Poller::new();
        // Else each piece of a flood would take the processor from who carries data.
        if let Err(error) = sys::sched::give_way() {
            tracing::debug!(%error, "the control worker is scheduled as all others");
        }
        self.follow_link();
        loop {
            let fds = [
                shared.stop.fd(),
                shared.timer.fd(),
                self.link.fd(),
                self.routing.fd(),
                shared.handshakes.bell.fd(),
            ];
            let patience = self.lacks_sockets.then_some(BIND_PAUSE);
            let sockets = shared.sockets();
            let control = || sockets.iter().flat_map(|sockets| sockets.control());
            let watched = fds.into_iter().chain(control().map(UdpSocket::fd));
            let ready = match poller.wait(watched, patience) {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "poll failed");
                    return shared.stop.notify();
                }
            };
            if ready.is(0) {
                return;
            }
            for (at, (socket, desk)) in control().zip(&mut self.desks).enumerate() {
                if ready.is(fds.len() + at) {
                    desk.receive(&shared, socket);
                }
            }
            // Not kept: what follows may replace them and wait until they are closed.
            drop(sockets);
            if !ready.any() {
                self.bind();
            }
            if ready.is(1) {
                shared.ring();
            }
            if ready.is(2) {
                self.hear_link();
            }
            if ready.is(3) {
                self.hear_routing();
            }
            if ready.is(4) {
                desk::answer_queued(&shared);
            }
        }
    }

    fn hear_link(&mut self) {
        let mut left = false;
        let outcome = self.link.read(|event| match event {
            Event::Link(change) => left |= change.deleted,
            Event::Lost => left = true,
            Event::Address(_) | Event::Route(_) => {}
        });
        if let Err(error) = outcome {
            tracing::warn!(%error, "link news lost");
        }
        if left {
            // Gone from this namespace: for good, which the device will tell, or to another.
            match self.shared.tun().link_news() {
                Ok(link) => self.link = link,
                Err(error) => tracing::warn!(%error, "no link news"),
            }
        }
        self.follow_link();
    }

    fn hear_routing(&mut self) {
        let mut changed = false;
        if let Err(error) = self.routing.read(|event| changed |= concerns_ipv4(&event)) {
            tracing::warn!(%error, "routing news lost");
        }
        if changed {
            forget_lost_sources(&self.shared);
        }
    }

    /// Brings the engine in line with the state of its device.
    fn follow_link(&mut self) {
        match self.shared.tun().mtu() {
            Ok(mtu) if mtu != self.mtu => {
                self.mtu = mtu;
                self.shared.core().tunnel.set_mtu(mtu);
                if let Some(on_mtu) = &self.on_mtu {
                    on_mtu(mtu);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "MTU not known"),
        }
        let mut state = self.shared.tun().is_up();
        for _ in 0..MOVE_ATTEMPTS {
            if state.is_ok() {
                break;
            }
            std::thread::sleep(MOVE_PAUSE);
            state = self.shared.tun().is_up();
        }
        match state {
            Ok(true) => self.bind(),
            Ok(false) => {
                self.lacks_sockets = false;
                self.shared.down();
            }
            Err(error) => {
                tracing::info!(%error, "device gone");
                self.shared.stop.notify();
            }
        }
    }

    /// Opens the interface; what fails is tried again until it works, the device goes down or another port is set.
    fn bind(&mut self) {
        let outcome = self.shared.up();
        if let Err(error) = &outcome
            && !self.lacks_sockets
        {
            tracing::error!(%error, "no UDP socket");
        }
        self.lacks_sockets = outcome.is_err();
    }
}

/// Whether sticky IPv4 sources may be lost by it; those of IPv6 name no interface.
fn concerns_ipv4(event: &Event) -> bool {
    match event {
        Event::Link(_) => false,
        Event::Address(change) => change.address.is_ipv4(),
        Event::Route(change) => change.destination.is_ipv4(),
        Event::Lost => true,
    }
}

/// Forgets the sticky sources that lead out of another interface than the peers' datagrams came in by.
fn forget_lost_sources<T: Tun>(shared: &Shared<T>) {
    let core = shared.core();
    let fwmark = core.fwmark;
    let peers: Vec<_> = core.tunnel.peers().collect();
    let sticky: Vec<_> = peers
        .into_iter()
        .filter_map(|id| Some((id, core.tunnel.peer(id)?.endpoint()?)))
        .filter_map(|(id, endpoint)| Some((id, endpoint.remote, endpoint.source?)))
        .filter(|(_, remote, _)| matches!(remote, SocketAddr::V4(_)))
        .collect();
    drop(core);
    for (peer, remote, source) in sticky {
        let lost = match sys::route::route_interface(remote.ip(), Some(source.address), fwmark) {
            Ok(interface) => interface != source.interface,
            // An answer that could not be had, for want of descriptors or time, says nothing.
            Err(error) => [EINVAL, ENETUNREACH, EHOSTUNREACH].contains(&error.raw_os_error().unwrap_or(0)),
        };
        if lost {
            tracing::debug!(%remote, source = %source.address, "sticky source forgotten");
            shared.core().tunnel.forget_source(peer);
        }
    }
}
