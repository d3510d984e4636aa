//! The life of an engine: its threads from start to end.
//!
//! | thread | waits for |
//! |---|---|
//! | `adit-queue-0` and on | packets from the TUN, datagrams |
//! | `adit-helper-0` and on | being called for help |
//! | `adit-control` | handshake messages, timers, link, route and address changes |
//! | `adit-uapi` | configuration |
//!
//! All end when `stop` is notified: by [`Engine::stop`], by the loss of the TUN, or by the loss of the control socket.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use proto::{DropReason, Tunnel};
use zeroize::Zeroize;

use crate::control;
use crate::datapath::help::Crew;
use crate::datapath::worker;
use crate::report::Report;
use crate::shared::{MAX_QUEUES, Shared};
use crate::transport::Tun;
use crate::uapi;

/// Stack of each thread, in bytes; only what is touched is resident.
const STACK: usize = 256 * 1024;

/// What an engine is started with.
pub struct Options<T> {
    /// The device that carries inner packets: one handle for each queue of it. 1, 2, 4 or 8; see [`queues`].
    pub queues: Vec<T>,
    /// How many threads help the workers of the queues; `None` for as many as there are processors beyond the queues.
    pub helpers: Option<usize>,
    /// Whether helpers seal and open while there is no need, too: for tests and measurements.
    pub always_help: bool,
    /// The listening control socket and its path; `None` for an engine that only its own program configures.
    pub uapi: Option<uapi::Socket>,
    /// Called with the MTU at start and whenever it changes, to fit the device's segment limit to it.
    pub on_mtu: Option<Box<dyn Fn(usize) + Send>>,
}

/// The most helpers that an engine has by itself: more would wait for the lock of the control plane.
const MAX_HELPERS: usize = 8;

/// Returns how many queues suit this machine: a power of two, one for every two processors that this process may use.
#[must_use]
pub fn queues() -> usize {
    let half = (processors() / 2).clamp(1, MAX_QUEUES);
    1 << half.ilog2()
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A running engine. Dropping it stops it.
pub struct Engine<T: Tun> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine<sys::tun::Tun> {
    /// Starts an engine on devices of the kernel: [`Engine::start`] as it is compiled with this crate, for speed, whatever the program
    /// around it is compiled for.
    ///
    /// # Errors
    /// Those of [`Engine::start`].
    #[inline(never)]
    pub fn on_devices(options: Options<sys::tun::Tun>) -> io::Result<Self> {
        Self::start(options)
    }
}

impl<T: Tun> Engine<T> {
    /// Starts an engine on `options.tun`; it follows the device up and down.
    ///
    /// Sockets belong to the network namespace of the calling thread.
    ///
    /// # Errors
    /// The error of the system call that failed; nothing runs then.
    pub fn start(options: Options<T>) -> io::Result<Self> {
        let mut seed = [0; 32];
        sys::random::fill(&mut seed)?;
        let tunnel = Tunnel::new(seed);
        seed.zeroize();
        let helpers = options
            .helpers
            .unwrap_or_else(|| processors().saturating_sub(options.queues.len()).clamp(1, MAX_HELPERS));
        let crew = Crew::new(helpers, options.always_help)?;
        let shared = Arc::new(Shared::new(options.queues, tunnel, crew)?);
        let mut engine = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        let control = control::Worker::new(Arc::clone(&shared), options.on_mtu)?;
        let workers = worker::workers(&shared)?;
        engine.spawn("adit-control", move || control.run())?;
        for (number, worker) in workers.queues.into_iter().enumerate() {
            engine.spawn(&format!("adit-queue-{number}"), move || worker.run())?;
        }
        for (number, helper) in workers.helpers.into_iter().enumerate() {
            engine.spawn(&format!("adit-helper-{number}"), move || helper.run())?;
        }
        if let Some(socket) = options.uapi {
            engine.spawn("adit-uapi", move || uapi::serve(socket, &*shared, &shared.stop))?;
        }
        Ok(engine)
    }

    /// Returns what configures this engine.
    pub fn device(&self) -> Arc<impl uapi::Device + use<T>> {
        Arc::clone(&self.shared)
    }

    /// Takes a snapshot of offloads and counters.
    pub fn report(&self) -> Report {
        let sockets = self.shared.sockets();
        let features = sockets
            .iter()
            .flat_map(|sockets| sockets.all())
            .map(|socket| socket.features());
        let (udp_gso, udp_gro) = features.fold((sockets.is_some(), sockets.is_some()), |(gso, gro), features| {
            (gso && features.gso, gro && features.gro)
        });
        let core = self.shared.core();
        let stats = core.tunnel.stats();
        Report {
            tun: self.shared.tun().offloads(),
            udp_gso,
            udp_gro,
            cipher: proto::cipher_backend(),
            traffic: self.shared.counters.snapshot(),
            drops: DropReason::ALL
                .iter()
                .map(|&reason| (reason, stats.dropped(reason) + self.shared.handshakes.dropped(reason)))
                .collect(),
        }
    }

    /// Asks all threads to end.
    pub fn stop(&self) {
        self.shared.stop.notify();
    }

    /// Waits until the engine has ended: by [`Engine::stop`], or because its device or control socket is gone.
    pub fn wait(mut self) {
        self.join();
    }

    /// Returns a handle that stops the engine from another thread.
    pub fn stopper(&self) -> Stopper<T> {
        Stopper(Arc::clone(&self.shared))
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK)
            .spawn(body)?;
        self.threads.push(thread);
        Ok(())
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
        self.shared.down();
    }
}

impl<T: Tun> Drop for Engine<T> {
    fn drop(&mut self) {
        self.stop();
        self.join();
    }
}

/// Stops an engine from another thread.
pub struct Stopper<T: Tun>(Arc<Shared<T>>);

impl<T: Tun> Stopper<T> {
    /// Asks all threads of the engine to end.
    pub fn stop(&self) {
        self.0.stop.notify();
    }
}
