//! Whole engines in one process: their TUN devices are queues in memory, their sockets are real and on loopback.
//!
//! | helper | what it is |
//! |---|---|
//! | `tun` | the device: packets are pushed in, what the engine writes is cut up as a kernel would and taken out |
//! | `packet` | flows of packets and super-packets, and the naive model of segmentation |
//! | `node` | an engine with a key, an address and peers |
//! | `wire` | a stretch of network between two nodes that a test conveys every datagram across by hand |
//!
//! `tests/in_memory_queues` builds the same tests for several queues, with help all the time.
//!
//! No test sleeps to let something happen: each waits for what it expects to happen, and fails after [`PATIENCE`] without it. That something
//! does not happen is shown by what comes after it: each direction of an engine keeps the order.

mod node;
mod packet;
mod tun;
mod wire;

mod adversary;
mod exchange;
mod lifecycle;
mod order;
mod reconfigure;
mod segmentation;
mod unroutable;

use std::time::Duration;

/// Queues of each device.
const QUEUES: usize = 1;

/// Helpers of each engine, which seal and open all there is; `None` for the usual number, which help when there is need.
const HELPERS: Option<usize> = None;

/// How long a test waits for what must happen: two retries of a handshake, and a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(20);
