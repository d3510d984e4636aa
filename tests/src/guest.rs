//! A guest with the kernel's own WireGuard: Debian's cloud kernel under qemu, emulated in software so that it runs anywhere.
//!
//! The guest is machine 2 of a test: its card is a tap device in the side that hosts it, its shell a virtio port.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Node, Result, Side, command, initramfs, needs, side};

const BOOT: Duration = Duration::from_secs(120);
const COMMAND: Duration = Duration::from_secs(120);

/// A running guest; dropping it ends qemu.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    folder: PathBuf,
    port: Mutex<Port>,
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
        Self::boot_with(host, &[], "")
    }

    /// Boots a guest that has some more programs of the host, by a kernel with some more parameters.
    ///
    /// # Errors
    /// As [`Guest::boot`].
    pub fn boot_with(host: &Side, programs: &[&str], parameters: &str) -> Result<Guest> {
        let (kernel, modules) = initramfs::cloud_kernel()?;
        let folder = needs::target()
            .join("e2e")
            .join(format!("guest.{}.{}", std::process::id(), host.pid()));
        let _ = std::fs::remove_dir_all(&folder);
        let image = initramfs::build(&folder, &modules, programs)?;
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
            .arg(format!("file:{}", folder.join("console").display()))
            .args(["-chardev", "stdio,id=shell", "-device", "virtio-serial-pci"])
            .args(["-device", "virtserialport,chardev=shell"]);
        command.args(["-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=off"]);
        command.args(["-device", "virtio-net-pci,netdev=n0,romfile="]);
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
            .prepare()
            .map_err(|error| format!("{error}\n--- console\n{}", guest.console()))?;
        Ok(guest)
    }

    /// What the guest's kernel wrote.
    pub fn console(&self) -> String {
        std::fs::read(self.folder.join("console"))
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

    fn prepare(&self) -> Result<()> {
        {
            let port = self.port.lock().map_err(|error| error.to_string())?;
            let deadline = Instant::now() + BOOT;
            while next_line(&port.lines, deadline)? != "@@READY" {}
        }
        let (v4, v6) = (side::outer_v4(2), side::outer_v6(2));
        self.sh("ip link add wg0 type wireguard")?;
        self.sh(&format!(
            "ip addr add {v4}/24 dev eth0 && ip link set eth0 up && \
             if test -e /proc/net/if_inet6; then ip addr add {v6}/64 dev eth0 nodad; fi"
        ))?;
        Ok(())
    }
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
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn next_line(lines: &Receiver<String>, deadline: Instant) -> Result<String> {
    let left = deadline.saturating_duration_since(Instant::now());
    lines.recv_timeout(left).map_err(|error| match error {
        RecvTimeoutError::Timeout => "no answer in time".into(),
        RecvTimeoutError::Disconnected => "qemu ended".into(),
    })
}
