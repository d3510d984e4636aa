//! What the threads of one engine share, and the two things every one of them does: settle and send.
//!
//! One lock guards the control plane ([`Core`]); it is taken once or twice per batch and never held around the
//! cryptography of data. Sending goes through the gate of the peer's queue, see `gate.rs`.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use proto::{Endpoint, Instant, Now, PeerId, Transmit, Tunnel};
use sys::timer::TimerFd;
use sys::wake::EventFd;

use crate::datapath::help::Crew;
use crate::datapath::queue::Queue;
use crate::handshakes::Handshakes;
use crate::icmp;
use crate::report::Counters;
use crate::sockets::{Patience, SendError, Sockets};
use crate::transport::Tun;

/// The most queues: as many as peers have shards.
pub(crate) const MAX_QUEUES: usize = proto::SHARDS as usize;

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
    pub(crate) crew: Crew,
    pub(crate) stop: EventFd,
    pub(crate) timer: TimerFd,
    pub(crate) handshakes: Handshakes,
    pub(crate) counters: Counters,
    pub(crate) icmp: Mutex<icmp::RateLimiter>,
    /// 1, 2, 4 or 8.
    queues: Box<[Queue<T>]>,
    core: Mutex<Core>,
    sockets: RwLock<Option<Arc<Sockets>>>,
}

impl<T: Tun> Shared<T> {
    /// # Errors
    /// `InvalidInput` unless there are 1, 2, 4 or 8 queues; that of `eventfd(2)` and the like.
    pub(crate) fn new(queues: Vec<T>, tunnel: Tunnel, crew: Crew) -> io::Result<Self> {
        if !queues.len().is_power_of_two() || queues.len() > MAX_QUEUES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self {
            queues: queues.into_iter().map(Queue::new).collect::<io::Result<_>>()?,
            crew,
            stop: EventFd::new()?,
            timer: TimerFd::new()?,
            handshakes: Handshakes::new()?,
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

    pub(crate) fn queues(&self) -> &[Queue<T>] {
        &self.queues
    }

    /// Returns queue `number`, one of [`Shared::queues`].
    #[expect(
        clippy::indexing_slicing,
        reason = "workers and lanes are numbered as the queues are"
    )]
    pub(crate) fn queue(&self, number: usize) -> &Queue<T> {
        &self.queues[number]
    }

    /// Returns the device, to ask about it.
    pub(crate) fn tun(&self) -> &T {
        &self.queue(0).tun
    }

    /// Tells the worker of a queue that what it waits for changed.
    pub(crate) fn wake(&self, queue: usize) {
        self.queue(queue).changed.notify();
    }

    /// Locks the control plane.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the sockets in use; `None` while the interface is down.
    pub(crate) fn sockets(&self) -> Option<Arc<Sockets>> {
        self.sockets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the sockets and wakes the workers.
    ///
    /// The old ones keep their port until the workers have let go of them: see [`Retired::wait`].
    pub(crate) fn replace_sockets(&self, sockets: Option<Sockets>) -> Retired {
        let mut current = self.sockets.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, sockets.map(Arc::new));
        drop(current);
        self.queues.iter().for_each(|queue| queue.changed.notify());
        self.handshakes.bell.notify();
        Retired(old.as_ref().map_or_else(Weak::new, |sockets| sockets.watch()))
    }

    /// Returns the queue that `peer` belongs to: its datagrams arrive there, and what is sent to it goes through its gate.
    pub(crate) fn queue_of(&self, peer: Option<PeerId>) -> &Queue<T> {
        self.queue(self.number_of(peer))
    }

    fn number_of(&self, peer: Option<PeerId>) -> usize {
        peer.map_or(0, |peer| peer.shard() as usize % self.queues.len())
    }

    /// Ends an access to the control plane by a thread that holds no gate: arms the timer and sends what is due.
    pub(crate) fn finish(&self, mut core: MutexGuard<'_, Core>) {
        let wanted = self.settle(&mut core);
        drop(core);
        self.pump(wanted);
    }

    /// Arms the timer and returns the queues that something is to be sent by.
    pub(crate) fn settle(&self, core: &mut Core) -> Wanted {
        self.arm(core);
        let wanted = core.tunnel.transmits_wait_for();
        Wanted(wanted.fold(0, |queues, peer| queues | 1 << self.number_of(peer)))
    }

    /// Sends what the control plane wants sent by these queues, here or by the threads at their gates.
    pub(crate) fn pump(&self, wanted: Wanted) {
        for (number, queue) in self.queues.iter().enumerate() {
            if wanted.0 >> number & 1 == 0 {
                continue;
            }
            queue.gate.combine(|| {
                let mut output = Vec::new();
                let mine = |peer| self.number_of(peer) == number;
                self.core().tunnel.poll_transmits_for(mine, &mut output);
                self.send(&output, number);
            });
        }
        self.log_events();
    }

    /// Sends datagrams of the control plane by the sockets of a queue. The caller holds its gate.
    fn send(&self, output: &[Transmit], queue: usize) {
        if output.is_empty() {
            return;
        }
        let Some(sockets) = self.sockets() else { return };
        let mut patience = Patience::new();
        for transmit in output {
            let mut endpoint = transmit.endpoint;
            let payload = [IoSlice::new(&transmit.payload)];
            match sockets.send(queue, &mut endpoint, transmit.tos, None, &payload, &mut patience) {
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

/// The queues that the control plane wants something sent by, as bits.
#[must_use]
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted(u32);

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
