//! One TCP flow over other paths: other MTUs, and hosts between which every datagram travels by itself.

use super::leg::{Leg, Run, Who};
use super::stand::{Kind, Series, Setting, Stand};
use super::tcp::{self, cost, throughput};

pub(super) const SMALL_MTU: Leg = Leg {
    name: "mtu1280",
    who: Who::Tunnels,
    quick: false,
    run: Run::Shared(|stand| mtu(stand, 1280, 1500)),
    figures: &[
        throughput("mtu1280", "1 flow, MTU 1280"),
        cost("mtu1280_cpu", "1 flow, MTU 1280"),
    ],
};

pub(super) const JUMBO: Leg = Leg {
    name: "mtu8920",
    who: Who::Tunnels,
    quick: false,
    run: Run::Shared(|stand| mtu(stand, 8920, 9000)),
    figures: &[
        throughput("mtu8920", "1 flow, MTU 8920"),
        cost("mtu8920_cpu", "1 flow, MTU 8920"),
    ],
};

pub(super) const ONE_BY_ONE: Leg = Leg {
    name: "segmented",
    who: Who::Everybody,
    quick: false,
    run: Run::Own(segmented),
    figures: &[
        throughput("segmented", "1 flow, no offloads between the hosts"),
        cost("segmented_cpu", "1 flow, no offloads between the hosts"),
    ],
};

/// All that lets the veth pair carry several packets as one: what the hosts' stacks joined, they cut again before it.
const OFF: &str = "tso off gso off gro off tx-udp-segmentation off tx-gso-list off rx-gro-list off";

/// The longest frame of a veth pair with MTU 1500.
const LONGEST_FRAME: f64 = 1514.0;

fn mtu(stand: &Stand, inner: u32, outer: u32) -> Result<Vec<f64>, String> {
    stand.both(&format!("ip link set veth0 mtu {outer} && ip link set wg0 mtu {inner}"))?;
    let values = tcp::flows(stand, "")?;
    stand.both("ip link set wg0 mtu 1420 && ip link set veth0 mtu 1500")?;
    Ok(values)
}

fn segmented(series: &Series, setting: &Setting) -> Result<Vec<f64>, String> {
    let mut stand = Stand::new(series, setting)?;
    stand.both(&format!("ethtool -K veth0 {OFF}"))?;
    let before = (received(&stand)?, sends(&stand)?);
    let values = tcp::flows(&stand, "")?;
    let after = (received(&stand)?, sends(&stand)?);
    // Packets that the device carries joined count as one: were there any, the mean would show it.
    let (bytes, packets) = (after.0.0 - before.0.0, after.0.1 - before.0.1);
    if bytes / packets > LONGEST_FRAME {
        return Err(format!("{bytes} bytes came in {packets} packets: they were not cut"));
    }
    if series.kind != Kind::Bare {
        // Whether the engine goes on joining, and leaves the cutting to the kernel.
        eprint!("[{:.1} datagrams a send] ", packets / (after.1 - before.1).max(1.0));
    }
    stand.check_alive()?;
    Ok(values)
}

/// Bytes and packets that the right side's veth device received.
fn received(stand: &Stand) -> Result<(f64, f64), String> {
    let text = stand.lab.right.sh("grep veth0: /proc/net/dev")?;
    let counts: Vec<f64> = text
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    match counts[..] {
        [bytes, packets, ..] => Ok((bytes, packets)),
        _ => Err(format!("/proc/net/dev: {text}")),
    }
}

/// UDP sends of the left side, each of which may be several datagrams.
fn sends(stand: &Stand) -> Result<f64, String> {
    let text = stand.lab.left.sh("grep Udp: /proc/net/snmp | tail -n 1")?;
    // In RFC 4113's order: InDatagrams NoPorts InErrors OutDatagrams.
    let count = text.split_whitespace().nth(4).and_then(|word| word.parse().ok());
    count.ok_or_else(|| format!("/proc/net/snmp: {text}"))
}
