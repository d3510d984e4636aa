//! The tests of `in_memory` again, on four queues of each device, where helpers seal and open all there is.

#[path = "../in_memory/node.rs"]
mod node;
#[path = "../in_memory/packet.rs"]
mod packet;
#[path = "../in_memory/tun.rs"]
mod tun;
#[path = "../in_memory/wire.rs"]
mod wire;

#[path = "../in_memory/adversary.rs"]
mod adversary;
#[path = "../in_memory/exchange.rs"]
mod exchange;
#[path = "../in_memory/lifecycle.rs"]
mod lifecycle;
#[path = "../in_memory/order.rs"]
mod order;
#[path = "../in_memory/reconfigure.rs"]
mod reconfigure;
#[path = "../in_memory/segmentation.rs"]
mod segmentation;
#[path = "../in_memory/unroutable.rs"]
mod unroutable;

use std::time::Duration;

/// Queues of each device.
const QUEUES: usize = 4;

/// Helpers of each engine.
const HELPERS: Option<usize> = Some(3);

/// How long a test waits for what must happen: two retries of a handshake, and a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(20);
