//! What the threads of one engine share, and the two things every one of them does: settle and send.
//!
//! One lock guards the control plane ([`Core`]); it is taken once or twice per batch and never held around the
//! cryptography of data. Sending goes through the [`Gate`].

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use proto::{Endpoint, Instant, Now, PeerId, Transmit, Tunnel};
use sys::timer::TimerFd;
use sys::wake::EventFd;

use crate::gate::Gate;
use crate::icmp;
use crate::report::Counters;
use crate::sockets::{Patience, SendError, Sockets};
use crate::transport::Tun;

/// The control plane and what belongs under its lock.
pub(crate) struct Core {
    pub(crate) tunnel: Tunnel,
    /// The port asked for by configuration or chosen at the first bind; 0 means none yet.
    pub(crate) listen_port: u16,
    pub(crate) fwmark: u32,
    /// The deadline that the timer is armed for.
    armed: Option<Instant>,
}

/// Everything that the threads of an engine share.
pub(crate) struct Shared<T> {
    pub(crate) tun: T,
    pub(crate) gate: Gate,
    pub(crate) stop: EventFd,
    /// Tells the first worker that what it waits for changed.
    pub(crate) changed: EventFd,
    pub(crate) timer: TimerFd,
    pub(crate) counters: Counters,
    pub(crate) icmp: Mutex<icmp::RateLimiter>,
    core: Mutex<Core>,
    sockets: RwLock<Option<Arc<Sockets>>>,
}

impl<T: Tun> Shared<T> {
    pub(crate) fn new(tun: T, tunnel: Tunnel) -> io::Result<Self> {
        Ok(Self {
            tun,
            gate: Gate::default(),
            stop: EventFd::new()?,
            changed: EventFd::new()?,
            timer: TimerFd::new()?,
            counters: Counters::default(),
            icmp: Mutex::new(icmp::RateLimiter::new()),
            core: Mutex::new(Core {
                tunnel,
                listen_port: 0,
                fwmark: 0,
                armed: None,
            }),
            sockets: RwLock::new(None),
        })
    }

    /// Locks the control plane.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the sockets in use; `None` while the interface is down.
    pub(crate) fn sockets(&self) -> Option<Arc<Sockets>> {
        self.sockets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the sockets and wakes the first worker.
    ///
    /// The old ones keep their port until the workers have let go of them: see [`Retired::wait`].
    pub(crate) fn replace_sockets(&self, sockets: Option<Sockets>) -> Retired {
        let mut current = self.sockets.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, sockets.map(Arc::new));
        drop(current);
        self.changed.notify();
        Retired(old.as_ref().map_or_else(Weak::new, |sockets| sockets.watch()))
    }

    /// Ends an access to the control plane: moves its output to `output` and arms the timer.
    pub(crate) fn settle(&self, mut core: MutexGuard<'_, Core>, output: &mut Vec<Transmit>) {
        while let Some(transmit) = core.tunnel.poll_transmit() {
            output.push(transmit);
        }
        self.arm(&mut core);
    }

    /// Ends an access to the control plane by a thread that does not hold the gate: arms the timer and sends what is due.
    pub(crate) fn finish(&self, mut core: MutexGuard<'_, Core>) {
        self.arm(&mut core);
        drop(core);
        self.pump();
    }

    /// Sends all that the control plane wants sent, here or by the thread at the gate.
    pub(crate) fn pump(&self) {
        self.gate.combine(|| {
            let mut output = Vec::new();
            self.settle(self.core(), &mut output);
            self.send(&output);
        });
        self.log_events();
    }

    /// Sends datagrams of the control plane. The caller holds the gate.
    pub(crate) fn send(&self, output: &[Transmit]) {
        if output.is_empty() {
            return;
        }
        let Some(sockets) = self.sockets() else { return };
        let mut patience = Patience::new();
        for transmit in output {
            let mut endpoint = transmit.endpoint;
            let payload = [IoSlice::new(&transmit.payload)];
            match sockets.send(&mut endpoint, transmit.tos, None, &payload, &mut patience) {
                Ok(()) => {
                    let mut core = self.core();
                    core.tunnel.handle_transmitted(now(), transmit);
                    self.arm(&mut core);
                }
                Err(error) => self.note_send_error(error, transmit.peer, transmit.endpoint),
            }
            self.note_source(transmit.peer, transmit.endpoint, endpoint);
        }
    }

    /// Drops the sticky source of a peer when the sockets had to do without it.
    pub(crate) fn note_source(&self, peer: Option<PeerId>, before: Endpoint, after: Endpoint) {
        if let Some(peer) = peer
            && before.source != after.source
        {
            self.core().tunnel.forget_source(peer);
        }
    }

    /// Counts and logs a datagram that could not be sent.
    pub(crate) fn note_send_error(&self, error: SendError, peer: Option<PeerId>, endpoint: Endpoint) {
        self.core().tunnel.count_drop(proto::DropReason::TransmitFailed, 1);
        tracing::debug!(?peer, remote = %endpoint.remote, %error, "datagram not sent");
    }

    fn arm(&self, core: &mut Core) {
        let deadline = core.tunnel.poll_timeout();
        let later = match (deadline, core.armed) {
            (Some(deadline), Some(armed)) => deadline >= armed,
            (None, _) => true,
            (Some(_), None) => false,
        };
        // A timer that rings early costs one wakeup and is armed afresh; one that rings late would be wrong.
        if !later {
            core.armed = deadline;
            self.timer.arm(deadline.map(Instant::as_nanos));
        }
    }

    /// Runs the timers that are due and arms the next. Called when the timer has rung.
    pub(crate) fn ring(&self) {
        self.timer.drain();
        let mut core = self.core();
        core.armed = None;
        core.tunnel.handle_timeout(now());
        self.finish(core);
    }

    fn log_events(&self) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        loop {
            let event = self.core().tunnel.poll_event();
            let Some(event) = event else { return };
            tracing::debug!(?event);
        }
    }
}

/// Sockets that were replaced and that a worker may still be using.
#[must_use]
#[derive(Default)]
pub(crate) struct Retired(Weak<()>);

impl Retired {
    /// Waits until they are closed and their port is free, for a second at most. The caller holds neither lock nor gate.
    pub(crate) fn wait(&self) {
        for _ in 0..1000 {
            if self.0.strong_count() == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        tracing::warn!("old sockets are still in use");
    }
}

/// Reads both clocks: boot time, which counts suspended time, and wall time.
pub(crate) fn now() -> Now {
    Now {
        mono: Instant::from_nanos(sys::clock::boottime_nanos()),
        wall: sys::clock::realtime(),
    }
}
