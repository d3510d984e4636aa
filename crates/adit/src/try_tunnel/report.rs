//! The result of a trial, for people and for programs.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use super::wire::Seen;

/// Everything a trial found. Serialised, it is the object that `--json` prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Version of the program.
    pub(crate) version: &'static str,
    /// Release of the running kernel.
    pub(crate) kernel: String,
    /// "root" or "user namespace".
    pub(crate) rights: &'static str,
    /// Whether all data arrived whole and nothing of it could be read on the wire.
    pub(crate) ok: bool,
    /// MTU of the tunnel in bytes.
    pub(crate) mtu: u32,
    /// From the first packet to the session, in microseconds: the first echo less a median one.
    pub(crate) handshake_us: f64,
    /// From the first packet to its answer, in microseconds.
    pub(crate) first_answer_us: f64,
    /// Round-trip times, one line for each IP version.
    pub(crate) ping: Vec<Ping>,
    /// The TCP flow.
    pub(crate) transfer: Transfer,
    /// What the kernel takes over.
    pub(crate) offloads: Offloads,
    /// What the wire showed.
    pub(crate) wire: Wire,
}

/// Median round-trip times in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ping {
    /// "IPv4" or "IPv6", of the inner packets.
    pub(crate) family: &'static str,
    /// Round trips measured on each path.
    pub(crate) count: usize,
    /// Over the bare veth pair.
    pub(crate) bare_us: f64,
    /// Through the tunnel.
    pub(crate) tunnel_us: f64,
}

/// One TCP flow on both paths.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Transfer {
    /// Bytes moved over the bare pair.
    pub(crate) bare_bytes: u64,
    /// Bits per second over the bare pair.
    pub(crate) bare_bits_per_second: f64,
    /// Bytes moved through the tunnel.
    pub(crate) tunnel_bytes: u64,
    /// Bits per second through the tunnel.
    pub(crate) tunnel_bits_per_second: f64,
    /// Length of the hashed flow.
    pub(crate) hashed_bytes: u64,
    /// SHA-256 of the hashed flow, the same at both ends.
    pub(crate) sha256: String,
}

/// Offloads in use.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Offloads {
    /// Unfinished checksums across the TUN.
    pub(crate) tun_checksum: bool,
    /// TCP super-packets across the TUN.
    pub(crate) tun_tcp: bool,
    /// UDP super-packets across the TUN.
    pub(crate) tun_udp: bool,
    /// Several datagrams in one send.
    pub(crate) udp_gso: bool,
    /// Several datagrams in one receive.
    pub(crate) udp_gro: bool,
    /// Who seals and opens: `avx512`, `avx2` or `library`.
    pub(crate) cipher: &'static str,
    /// Datagrams in the average send of the timed flow's sender.
    pub(crate) datagrams_per_send: f64,
    /// Segments the kernel may put into one super-packet.
    pub(crate) max_segments: Option<u32>,
}

/// What the watch saw while the tunnel was in use.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Wire {
    /// Whether the watch recognised the plain flow over the bare pair, which it must.
    pub(crate) watch_proven: bool,
    /// Frames by kind.
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.ok {
            "The tunnel works."
        } else {
            "The tunnel FAILED: see \"On the wire\"."
        };
        writeln!(out, "{verdict}\n")?;
        let handshake = time(self.handshake_us);
        writeln!(
            out,
            "Handshake     {handshake} (first packet answered after {})\n",
            time(self.first_answer_us)
        )?;
        self.table(out)?;
        let hashed = size(self.transfer.hashed_bytes);
        writeln!(
            out,
            "\nSHA-256       {hashed} over IPv6, the same at both ends: {}",
            self.transfer.sha256
        )?;
        writeln!(out, "Offloads      {}", self.offloads)?;
        writeln!(out, "On the wire   {}", self.wire)?;
        write!(
            out,
            "\nadit {}, Linux {}, run as {}, tunnel MTU {}",
            self.version, self.kernel, self.rights, self.mtu
        )
    }
}

impl Report {
    fn table(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<22}{:>16}{:>16}", "", "bare path", "tunnel")?;
        for ping in &self.ping {
            let label = format!("Ping {}", ping.family);
            let (bare, tunnel, added) = (time(ping.bare_us), time(ping.tunnel_us), ping.tunnel_us - ping.bare_us);
            writeln!(
                out,
                "{label:<22}{bare:>16}{tunnel:>16}   {} added, median of {}",
                time(added),
                ping.count
            )?;
        }
        let transfer = &self.transfer;
        let label = format!("TCP, {}", size(transfer.tunnel_bytes));
        let (bare, tunnel) = (
            rate(transfer.bare_bits_per_second),
            rate(transfer.tunnel_bits_per_second),
        );
        let ratio = 100.0 * transfer.tunnel_bits_per_second / transfer.bare_bits_per_second.max(1.0);
        writeln!(out, "{label:<22}{bare:>16}{tunnel:>16}   {ratio:.0} % of the bare path")
    }
}

impl fmt::Display for Offloads {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.tun_checksum, "TUN checksum"),
            (self.tun_tcp, "TUN TSO"),
            (self.tun_udp, "TUN USO"),
            (self.udp_gso, "UDP GSO"),
            (self.udp_gro, "UDP GRO"),
        ];
        let names = |active| {
            all.iter()
                .filter(move |(on, _)| *on == active)
                .map(|(_, name)| *name)
                .collect::<Vec<_>>()
        };
        let (on, off) = (names(true), names(false));
        out.write_str(&if on.is_empty() {
            "none".to_owned()
        } else {
            on.join(", ")
        })?;
        if !off.is_empty() {
            write!(out, "; not active: {}", off.join(", "))?;
        }
        if self.datagrams_per_send > 0.0 {
            write!(out, "; {:.1} datagrams a send", self.datagrams_per_send)?;
        }
        if !self.cipher.is_empty() {
            write!(out, "; cipher by {}", self.cipher)?;
        }
        Ok(())
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = &self.seen;
        let named = [
            (seen.initiations, "initiation"),
            (seen.responses, "response"),
            (seen.cookie_replies, "cookie reply"),
            (seen.data, "data"),
            (seen.neighbour, "ARP or neighbour discovery"),
            (seen.other, "other"),
        ];
        let mut list = String::new();
        for (count, name) in named.into_iter().filter(|(count, _)| *count > 0) {
            let comma = if list.is_empty() { "" } else { ", " };
            write!(list, "{comma}{} {name}", grouped(count))?;
        }
        let frames = grouped(seen.frames);
        match (seen.plaintext, self.watch_proven) {
            (0, true) => write!(out, "all ciphertext in {frames} frames looked at: {list}"),
            (0, false) => write!(
                out,
                "NOT PROVEN: the watch did not recognise plain data either ({frames} frames)"
            ),
            (n, _) => write!(out, "PLAINTEXT in {} of {frames} frames looked at: {list}", grouped(n)),
        }
    }
}

/// A time from microseconds, in the unit that suits it.
fn time(micros: f64) -> String {
    match micros.abs() {
        magnitude if magnitude < 999.95 => format!("{micros:.1} µs"),
        magnitude if magnitude < 999_995.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

fn rate(bits_per_second: f64) -> String {
    format!("{:.2} Gbit/s", bits_per_second / 1e9)
}

/// A size in binary units, without decimals where it is a whole number of them.
fn size(bytes: u64) -> String {
    let units = [
        (1u64 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes.is_multiple_of(unit) => format!("{} {name}", bytes / unit),
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// A count with a comma between groups of three digits.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
