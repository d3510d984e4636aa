//! A private network and mount namespace: one machine of the test.
//!
//! A holder process keeps the namespaces alive. It ends when its standard input closes, so nothing but daemons outlives a test that is
//! killed. `/run/wireguard` is private to each side, so interface names need not be unique.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Result, command};

const HOLD: &str =
    "mkdir -p /run/wireguard && mount -t tmpfs tmpfs /run/wireguard && ip link set lo up && echo ready && exec cat";

/// How long killed processes may take to end.
const LAST_MOMENTS: Duration = Duration::from_secs(10);

/// One machine of the test; dropping it ends every process that runs in it.
#[derive(Debug)]
pub struct Side {
    holder: Child,
}

impl Side {
    /// Makes the namespaces.
    ///
    /// # Errors
    /// When the rights or `unshare`, `mount` or `ip` are missing.
    pub fn new() -> Result<Side> {
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(|error| error.to_string())?;
        }
        let side = Side { holder };
        if line.trim() == "ready" {
            Ok(side)
        } else {
            Err("could not make a network namespace".into())
        }
    }

    /// The holder's process id: names this side to `ip link … netns`.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// A command that will run inside this side and die with the test's thread.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.enter();
        command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(program);
        command
    }

    /// A command that will run inside this side and may leave daemons there; they end when the side is dropped.
    pub fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid().to_string(), "--net", "--mount", "--"]);
        command
    }

    /// Runs a line of shell inside this side and returns what it prints.
    ///
    /// # Errors
    /// When the line exits with anything but 0.
    pub fn sh(&self, line: &str) -> Result<String> {
        command::output(self.command("sh").args(["-c", line]))
    }

    /// Reads an nftables counter, by its table and name, and sets it to nothing. Returns its packets.
    ///
    /// # Errors
    /// When there is no such counter.
    pub fn take_packets(&self, counter: &str) -> Result<u64> {
        let counter = self.sh(&format!("nft reset counter {counter}"))?;
        let mut words = counter.split_whitespace().skip_while(|word| *word != "packets");
        let packets = words.nth(1).and_then(|packets| packets.parse().ok());
        packets.ok_or(counter)
    }

    /// Runs `work` on a thread inside the side's network namespace; sockets made there stay there.
    ///
    /// # Errors
    /// When the namespace cannot be entered, else what `work` returns.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = self.namespace();
        thread::scope(|scope| {
            let worker = scope.spawn(move || {
                let file = File::open(&namespace).map_err(|error| format!("{namespace}: {error}"))?;
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|e| e.to_string())?;
                work()
            });
            worker
                .join()
                .unwrap_or_else(|_| Err("the worker thread panicked".into()))
        })
    }

    /// The process ids that run in this side's network namespace, the holder left out.
    pub fn processes(&self) -> Vec<u32> {
        let Ok(own) = std::fs::read_link(self.namespace()) else {
            return Vec::new();
        };
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|&pid| pid != self.pid())
            .filter(|pid| {
                std::fs::read_link(Path::new("/proc").join(pid.to_string()).join("ns/net")).is_ok_and(|n| n == own)
            })
            .collect()
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.pid())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // One that ends may just have started another.
        let _ = command::until(LAST_MOMENTS, || match self.processes().as_slice() {
            [] => Ok(()),
            left => {
                left.iter().for_each(|pid| end(*pid, Signal::KILL));
                Err(format!("{left:?} are left"))
            }
        });
        drop(self.holder.stdin.take());
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Sends `signal` to one process; a process that is gone already is no error.
pub fn end(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Two sides joined by a veth pair named `veth0` on both ends.
#[derive(Debug)]
pub struct Lab {
    /// Outer addresses 192.0.2.1 and fd00:d0c::1.
    pub left: Side,
    /// Outer addresses 192.0.2.2 and fd00:d0c::2.
    pub right: Side,
}

impl Lab {
    /// Makes both sides and the pair, with addresses of both families.
    ///
    /// # Errors
    /// As [`Side::new`], and when `ip` cannot make the pair.
    pub fn new() -> Result<Lab> {
        let lab = Lab {
            left: Side::new()?,
            right: Side::new()?,
        };
        lab.left.sh(&format!(
            "ip link add veth0 type veth peer name veth0 netns {}",
            lab.right.pid()
        ))?;
        for (side, number) in [(&lab.left, 1), (&lab.right, 2)] {
            let (v4, v6) = (outer_v4(number), outer_v6(number));
            side.sh(&format!(
                "ip addr add {v4}/24 dev veth0; ip addr add {v6}/64 dev veth0 nodad; ip link set veth0 up"
            ))?;
        }
        Ok(lab)
    }
}

/// The outer IPv4 address of machine `number`.
pub fn outer_v4(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

/// The outer IPv6 address of machine `number`.
pub fn outer_v6(number: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0xd0c, 0, 0, 0, 0, 0, number.into()).into()
}
