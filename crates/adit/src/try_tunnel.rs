//! `adit try`: builds a tunnel between two private network namespaces, uses it, and says what happened.
//!
//! Order: rights, the two namespaces, the bare path measured and the watch proven on it, the tunnel, the same again
//! through it under watch. Nothing made here has a name outside the process, so nothing outlives it.

mod ping;
mod progress;
mod report;
mod rights;
mod transfer;
mod tunnel;
mod wire;
mod world;

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use ping::Pinger;
use progress::{PING_PAUSE, Progress};
use report::{Ping, Report, Transfer, Wire, micros};
use rights::Rights;
use transfer::{Limit, Path, Timed};
use tunnel::Tunnel;
use wire::{Secrets, Seen, Watch};
use world::World;

/// Round trips measured on each path.
const PINGS: usize = 200;
/// Bytes of a timed flow where neither size nor time is given.
const DEFAULT_SIZE: u64 = 256 << 20;
/// Most bytes of the hashed flow.
const MAX_HASHED: u64 = 256 << 20;

/// Tries the engine on this machine: two ends in private network namespaces, real packets between them.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Data to move over each path, such as 64M or 2G (default: 256M)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    size: Option<u64>,
    /// Move data over each path for so long instead
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Runs the trial. The process must still have one thread.
pub(crate) fn run(args: &Args) -> ExitCode {
    let rights = match rights::acquire() {
        Ok(rights) => rights,
        Err(missing) => {
            eprintln!("adit try: {missing}");
            return ExitCode::FAILURE;
        }
    };
    let progress = Progress::new();
    if let Err(error) = leave_on_signal(progress.clone()) {
        eprintln!("adit try: signals cannot be handled: {error}");
        return ExitCode::FAILURE;
    }
    let outcome = Trial {
        args,
        progress: &progress,
    }
    .run(rights);
    progress.clear();
    match outcome.and_then(|report| print(&report, args.json).map(|()| report.ok)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("adit try: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)
    } else {
        writeln!(out, "{report}")
    }
}

/// Ends the process on a signal; the kernel then takes back the namespaces and all that is in them.
fn leave_on_signal(progress: Progress) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new()
        .name("try-signals".to_owned())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                progress.clear();
                eprintln!("adit try: stopped; nothing is left behind");
                std::process::exit(128 + signal);
            }
        })?;
    Ok(())
}

struct Trial<'a> {
    args: &'a Args,
    progress: &'a Progress,
}

/// What is measured on either path.
struct Measured {
    v4: Duration,
    v6: Duration,
    flow: Timed,
    seen: Seen,
}

impl Trial<'_> {
    fn run(&self, rights: Rights) -> io::Result<Report> {
        self.progress.step("making two network namespaces");
        let mut world = World::build()?;
        let bare = self.measure(&mut world, Inside::Bare)?;

        self.progress.step("starting an engine in each");
        let mut tunnel = Tunnel::start(&mut world)?;
        let outcome = self.through(&mut world, &mut tunnel);
        let through = outcome.map_err(|error| {
            let drops = tunnel.drops();
            let drops = if drops.is_empty() {
                drops
            } else {
                format!(" (dropped: {drops})")
            };
            io::Error::new(error.kind(), format!("through the tunnel: {error}{drops}"))
        })?;
        let Through {
            first_answer,
            measured,
            hashed_bytes,
            sha256,
            mut offloads,
            per_send,
        } = through;
        offloads.datagrams_per_send = per_send;
        let wire = Wire {
            watch_proven: bare.seen.plaintext > 0,
            seen: measured.seen.clone(),
        };
        let ping = |family, bare, tunnel| Ping {
            family,
            count: PINGS,
            bare_us: micros(bare),
            tunnel_us: micros(tunnel),
        };
        Ok(Report {
            version: env!("CARGO_PKG_VERSION"),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            rights: rights.name(),
            ok: wire.watch_proven && wire.seen.plaintext == 0 && wire.seen.data > 0,
            mtu: tunnel::MTU,
            handshake_us: micros(first_answer.saturating_sub(measured.v4)),
            first_answer_us: micros(first_answer),
            ping: vec![ping("IPv4", bare.v4, measured.v4), ping("IPv6", bare.v6, measured.v6)],
            transfer: Transfer {
                bare_bytes: bare.flow.bytes,
                bare_bits_per_second: bare.flow.rate(),
                tunnel_bytes: measured.flow.bytes,
                tunnel_bits_per_second: measured.flow.rate(),
                hashed_bytes,
                sha256,
            },
            offloads,
            wire,
        })
    }

    /// Everything that goes through the tunnel.
    fn through(&self, world: &mut World, tunnel: &mut Tunnel) -> io::Result<Through> {
        let watch = Watch::start(world.capture()?, secrets(world))?;
        self.progress.step("handshake");
        let first_answer = first_answer(world)?;
        if !tunnel.has_session() {
            return Err(io::Error::other("an answer came, but an end reports no handshake"));
        }
        let mut measured = self.measure_unwatched(world, Inside::Tunnel, &mut || tunnel.sends())?;
        let hashed_bytes = self.args.size.unwrap_or(DEFAULT_SIZE).min(MAX_HASHED);
        let path = Path {
            from: &world.first.namespace,
            to: &world.second.namespace,
            address: world.second.inner.1,
        };
        let mut shown = self.progress.bytes("hashing a flow over IPv6", Some(hashed_bytes));
        let sha256 = transfer::hashed(path, hashed_bytes, &mut shown)?;
        measured.0.seen = watch.finish()?;
        let offloads = tunnel.offloads(world);
        Ok(Through {
            first_answer,
            measured: measured.0,
            hashed_bytes,
            sha256,
            offloads,
            per_send: measured.1,
        })
    }

    /// Measures a path and watches the wire meanwhile.
    fn measure(&self, world: &mut World, inside: Inside) -> io::Result<Measured> {
        let watch = Watch::start(world.capture()?, secrets(world))?;
        let (mut measured, _) = self.measure_unwatched(world, inside, &mut || (0, 0))?;
        measured.seen = watch.finish()?;
        Ok(measured)
    }

    /// Measures a path; the second result is the mean of datagrams in a send during the timed flow.
    fn measure_unwatched(
        &self,
        world: &World,
        inside: Inside,
        sends: &mut dyn FnMut() -> (u64, u64),
    ) -> io::Result<(Measured, f64)> {
        let ((v4_address, v6_address), name) = match inside {
            Inside::Bare => (world.second.outer, "over the bare veth pair"),
            Inside::Tunnel => (world.second.inner, "through the tunnel"),
        };
        self.progress.step(&format!("pinging {name}"));
        let median = |address: IpAddr| -> io::Result<Duration> {
            let mut pinger = world.first.namespace.run(|| Pinger::open(address))??;
            // The first resolves neighbours and fills caches.
            pinger
                .echo()
                .and_then(|_| pinger.median(PINGS, PING_PAUSE))
                .map_err(|error| io::Error::new(error.kind(), format!("no ping from {address}: {error}")))
        };
        let (v4, v6) = (median(v4_address)?, median(v6_address)?);

        let path = Path {
            from: &world.first.namespace,
            to: &world.second.namespace,
            address: v4_address,
        };
        let limit = self.limit();
        let total = self.args.seconds.is_none().then_some(limit.bytes);
        let mut shown = self.progress.bytes(&format!("moving data {name}"), total);
        let before = sends();
        let flow = transfer::timed(path, limit, &mut shown)?;
        let after = sends();
        let per_send = (after.1 - before.1) as f64 / ((after.0 - before.0) as f64).max(1.0);
        Ok((
            Measured {
                v4,
                v6,
                flow,
                seen: Seen::default(),
            },
            per_send,
        ))
    }

    fn limit(&self) -> Limit {
        let time = self.args.seconds.map(Duration::from_secs);
        let unlimited = if time.is_some() { u64::MAX } else { DEFAULT_SIZE };
        Limit {
            bytes: self.args.size.unwrap_or(unlimited),
            time,
        }
    }
}

/// Which addresses a measurement uses.
#[derive(Clone, Copy)]
enum Inside {
    Bare,
    Tunnel,
}

struct Through {
    first_answer: Duration,
    measured: Measured,
    hashed_bytes: u64,
    sha256: String,
    offloads: report::Offloads,
    per_send: f64,
}

/// Returns the time from the very first packet to its answer, which takes a handshake.
fn first_answer(world: &World) -> io::Result<Duration> {
    let mut pinger = world.first.namespace.run(|| Pinger::open(world.second.inner.0))??;
    let deadline = Instant::now() + tunnel::START_PATIENCE;
    loop {
        match pinger.echo() {
            Ok(time) => return Ok(time),
            // The interface comes up a moment after it was told to.
            Err(error) if error.kind() != io::ErrorKind::TimedOut && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("no handshake: {error}"))),
        }
    }
}

fn secrets(world: &World) -> Secrets {
    let (first, second) = (world.first.inner, world.second.inner);
    Secrets::new(&[(first.0, second.0), (first.1, second.1)])
}

/// Reads a size such as `64M` or `2GiB`; the units are binary.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..]
        .to_ascii_lowercase()
        .trim_end_matches('b')
        .trim_end_matches('i')
    {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err("the unit is none of K, M, G, T".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "expected a whole number and a unit, such as 64M".to_owned())?;
    match number.checked_mul(1 << shift) {
        Some(0) => Err("nothing to move".to_owned()),
        Some(size) if size <= 1 << 44 => Ok(size),
        _ => Err("more than 16T".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_units() {
        for (text, size) in [
            ("1", 1),
            ("64M", 64 << 20),
            ("2GiB", 2 << 30),
            ("512kb", 512 << 10),
            ("1t", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in [
            "",
            "M",
            "-1M",
            "1.5G",
            "0",
            "1X",
            "64 M",
            "99999999999999999999",
            "9999999T",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_bare_path_is_measured_and_its_plaintext_is_seen() {
        let mut world = match World::build() {
            Ok(world) => world,
            Err(error) => {
                assert!(std::env::var_os("ADIT_REQUIRE_NETNS").is_none(), "{error}");
                eprintln!("SKIPPED: {error}");
                return;
            }
        };
        let args = Args {
            size: Some(8 << 20),
            seconds: None,
            json: false,
        };
        let trial = Trial {
            args: &args,
            progress: &Progress::new(),
        };
        let measured = trial.measure(&mut world, Inside::Bare).unwrap();
        assert_eq!(measured.flow.bytes, 8 << 20);
        assert!(measured.v4 > Duration::ZERO && measured.v6 > Duration::ZERO);
        assert!(
            measured.seen.plaintext > 0,
            "the watch recognises plain data: {:?}",
            measured.seen
        );
        assert_eq!(measured.seen.data, 0);
        eprintln!(
            "{:?} {:?} {:.2} Gbit/s {:?}",
            measured.v4,
            measured.v6,
            measured.flow.rate() / 1e9,
            measured.seen
        );

        let path = Path {
            from: &world.first.namespace,
            to: &world.second.namespace,
            address: world.second.outer.1,
        };
        let hash = transfer::hashed(path, 1 << 20, &mut |_| ()).unwrap();
        assert_eq!(hash.len(), 64);
    }
}
