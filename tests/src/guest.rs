//! A guest with the kernel's own WireGuard: Debian's cloud kernel under qemu, emulated in software so that it runs anywhere.
//!
//! The guest is machine 2 of a test: its card is a tap device in the side that hosts it, its shell a virtio port. It runs busybox, or a
//! Debian system with systemd.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::debian::System;
use crate::{Node, Result, Side, command, initramfs, needs, side};

const BOOT: Duration = Duration::from_secs(120);
const COMMAND: Duration = Duration::from_secs(120);

/// A running guest; dropping it ends qemu.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    folder: Folder,
    port: Mutex<Port>,
}

/// What the guest boots from; it goes with this.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Port {
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Guest {
    /// The host programs a guest needs.
    pub const NEEDS: [&'static str; 8] = ["qemu-system-x86_64", "busybox", "cpio", "xz", "wg", "ip", "ping", "ldd"];

    /// Boots a guest beside `host`, which gets `tap0` with the outer addresses of machine 1, and makes `wg0` in it.
    ///
    /// # Errors
    /// When the image cannot be built or the guest is not up within 120 s; the text ends with its console.
    pub fn boot(host: &Side) -> Result<Guest> {
        let guest = Self::boot_with(host, &[], "")?;
        guest.sh("ip link add wg0 type wireguard")?;
        Ok(guest)
    }

    /// Boots a guest without `wg0` that has some more programs of the host, by a kernel with some more parameters.
    ///
    /// # Errors
    /// As [`Guest::boot`].
    pub fn boot_with(host: &Side, programs: &[&str], parameters: &str) -> Result<Guest> {
        let guest = Self::start(host, programs, parameters, None)?;
        guest.connect()?;
        Ok(guest)
    }

    /// Boots a copy of a system, which has systemd, and is not connected.
    ///
    /// # Errors
    /// As [`Guest::boot`].
    pub fn boot_system(host: &Side, system: &System) -> Result<Guest> {
        Self::start(host, &[], "systemd.mask=getty.target", Some(system))
    }

    /// Sets the guest's card up, with the outer addresses of machine 2.
    ///
    /// # Errors
    /// When a command fails.
    pub fn connect(&self) -> Result<()> {
        let (v4, v6) = (side::outer_v4(2), side::outer_v6(2));
        let up = format!(
            "ip addr add {v4}/24 dev eth0 && ip link set eth0 up && \
             if test -e /proc/net/if_inet6; then ip addr add {v6}/64 dev eth0 nodad; fi"
        );
        self.sh(&up).map(drop)
    }

    fn start(host: &Side, programs: &[&str], parameters: &str, system: Option<&System>) -> Result<Guest> {
        let (kernel, modules) = initramfs::cloud_kernel()?;
        let name = format!("guest.{}.{}", std::process::id(), host.pid());
        let folder = Folder(needs::target().join("e2e").join(name));
        let _ = fs::remove_dir_all(&folder.0);
        let wanted = system.map_or(&initramfs::MODULES[..], |_| &initramfs::DEVICES);
        let image = initramfs::build(&folder.0, &modules, wanted, programs)?;
        let (v4, v6) = (side::outer_v4(1), side::outer_v6(1));
        host.sh(&format!(
            "ip tuntap add tap0 mode tap && ip addr add {v4}/24 dev tap0 && ip addr add {v6}/64 dev tap0 nodad && ip link set tap0 up"
        ))?;
        let mut command = host.command("qemu-system-x86_64");
        command.args([
            "-M",
            "q35",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-m",
            "384",
            "-display",
            "none",
            "-no-reboot",
            "-nodefaults",
        ]);
        command
            .args(["-monitor", "none", "-kernel"])
            .arg(kernel)
            .arg("-initrd")
            .arg(image);
        let parameters = format!("console=ttyS0 quiet panic=-1 mitigations=off tsc=unstable {parameters}");
        command.args(["-append", &parameters]);
        command
            .arg("-serial")
            .arg(format!("file:{}", folder.0.join("console").display()))
            .args(["-chardev", "stdio,id=shell", "-device", "virtio-serial-pci"])
            .args(["-device", "virtserialport,chardev=shell"]);
        command.args(["-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=off"]);
        command.args(["-device", "virtio-net-pci,netdev=n0,romfile="]);
        if let Some(system) = system {
            let disk = disk(&folder.0, &modules, system)?;
            let drive = format!("if=virtio,format=raw,cache=unsafe,file={}", disk.display());
            command.args(["-drive", &drive]);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(|error| format!("qemu: {error}"))?;
        let (Some(input), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("qemu has no pipes".into());
        };
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(std::result::Result::ok) {
                if sender
                    .send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_string())
                    .is_err()
                {
                    return;
                }
            }
        });
        let guest = Guest {
            child,
            folder,
            port: Mutex::new(Port { input, lines }),
        };
        guest
            .is_ready()
            .map_err(|error| format!("{error}\n--- console\n{}", guest.console()))?;
        Ok(guest)
    }

    /// What the guest's kernel wrote.
    pub fn console(&self) -> String {
        fs::read(self.folder.0.join("console"))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// Switches the guest off and waits for qemu to end.
    ///
    /// # Errors
    /// When it still runs after 20 s.
    pub fn power_off(mut self) -> Result<()> {
        if let Ok(mut port) = self.port.lock() {
            port.input
                .write_all(b"poweroff -f\n")
                .map_err(|error| error.to_string())?;
        }
        command::until(Duration::from_secs(20), || match self.child.try_wait() {
            Ok(Some(_)) => Ok(()),
            _ => Err("qemu still runs".into()),
        })
    }

    fn is_ready(&self) -> Result<()> {
        let port = self.port.lock().map_err(|error| error.to_string())?;
        let deadline = Instant::now() + BOOT;
        while next_line(&port.lines, deadline)? != "@@READY" {}
        Ok(())
    }
}

/// Gives the system its modules, makes the shell a service of it, and all of it a disk.
fn disk(folder: &Path, modules: &Path, system: &System) -> Result<PathBuf> {
    let place = system.root().join("lib/modules");
    fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    command::output(Command::new("cp").arg("-a").args([modules, &place]))?;
    system.write("opt/shell", initramfs::SHELL)?;
    let unit = "[Service]\nExecStart=/bin/sh /opt/shell\n[Install]\nWantedBy=multi-user.target\n";
    system.write("etc/systemd/system/shell.service", unit)?;
    system.sh("systemctl enable shell")?;
    let disk = folder.join("disk");
    let mut make = Command::new("mke2fs");
    make.args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"])
        .args([system.root(), &disk])
        .arg("1G");
    command::output(&mut make)?;
    Ok(disk)
}

impl Node for Guest {
    fn sh(&self, line: &str) -> Result<String> {
        let mut port = self.port.lock().map_err(|error| error.to_string())?;
        port.input
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|error| format!("guest: {error}"))?;
        let deadline = Instant::now() + COMMAND;
        let mut text = String::new();
        loop {
            let answer = next_line(&port.lines, deadline).map_err(|error| format!("guest, {line}: {error}\n{text}"))?;
            match answer.strip_prefix("@@END ") {
                Some("0") => return Ok(text.trim_end().to_string()),
                Some(code) => return Err(format!("guest, {line}: exit code {code}\n{text}")),
                None => text += &format!("{answer}\n"),
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(lines: &Receiver<String>, deadline: Instant) -> Result<String> {
    let left = deadline.saturating_duration_since(Instant::now());
    lines.recv_timeout(left).map_err(|error| match error {
        RecvTimeoutError::Timeout => "no answer in time".into(),
        RecvTimeoutError::Disconnected => "qemu ended".into(),
    })
}
