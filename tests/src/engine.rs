//! The engines that can stand at an end of the tunnel, and one of them running in the foreground.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::{Result, Side, command, needs, side};

/// A WireGuard program for userspace that creates its own interface.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The name in tables and messages.
    pub name: String,
    /// The program, then its arguments before the interface name; they keep it in the foreground.
    pub line: Vec<String>,
}

impl Engine {
    /// The program under test in its role as `aditd`.
    pub fn adit() -> Engine {
        Engine::aditd("adit", &aditd())
    }

    /// Another build of the program under test, called `name`; `program` is a link named `aditd`.
    pub fn aditd(name: &str, program: &Path) -> Engine {
        Engine::new(name, program, &["-f"])
    }

    /// The Go implementation from the distribution.
    pub fn wireguard_go() -> Engine {
        Engine::new("wireguard-go", Path::new("wireguard-go"), &["-f"])
    }

    /// Cloudflare's implementation.
    pub fn boringtun() -> Engine {
        Engine::new(
            "boringtun",
            &needs::peer("boringtun-cli"),
            &["-f", "--disable-drop-privileges"],
        )
    }

    /// Mullvad's implementation.
    pub fn gotatun() -> Engine {
        Engine::new("gotatun", &needs::peer("gotatun"), &["-f", "--disable-drop-privileges"])
    }

    /// Another engine, as `NAME` and a command line that takes the interface name last.
    pub fn other(name: &str, line: &str) -> Engine {
        Engine {
            name: name.into(),
            line: line.split_whitespace().map(String::from).collect(),
        }
    }

    /// The program, for [`needs::available`].
    pub fn program(&self) -> &str {
        self.line.first().map_or("", String::as_str)
    }

    fn new(name: &str, program: &Path, arguments: &[&str]) -> Engine {
        let program = program.to_string_lossy().into_owned();
        Engine {
            name: name.into(),
            line: std::iter::once(program)
                .chain(arguments.iter().map(|a| a.to_string()))
                .collect(),
        }
    }
}

/// A link named `aditd` beside the build output, by which the program knows its role.
pub fn aditd() -> PathBuf {
    link("aditd")
}

/// A link to the program beside the build output, by whose name it knows its role.
pub fn link(name: &str) -> PathBuf {
    link_in(&needs::target().join("e2e"), name, &needs::adit())
}

/// A link named `aditd` in `folder` that leads to `program`.
pub fn aditd_in(folder: &Path, program: &Path) -> PathBuf {
    link_in(folder, "aditd", program)
}

fn link_in(folder: &Path, name: &str, program: &Path) -> PathBuf {
    let link = folder.join(name);
    if std::fs::read_link(&link).is_ok_and(|there| there == program) {
        return link;
    }
    // Several tests may make it at once: made under a private name, then moved, the link is never absent or half there.
    let private = folder.join(format!("{name}.{}", std::process::id()));
    let _ = std::fs::create_dir_all(folder);
    let _ = std::fs::remove_file(&private);
    let _ = symlink(program, &private);
    let _ = std::fs::rename(&private, &link);
    link
}

/// An engine that runs in a side; dropping it ends it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Running {
    /// Starts `engine` with interface `wg0` and waits until `wg show` can talk to it.
    ///
    /// # Errors
    /// When it cannot start or is not ready within 10 s; the text ends with its log.
    pub fn start(engine: &Engine, side: &Side) -> Result<Running> {
        let log = log_file(&engine.name)?;
        let out = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = out.try_clone().map_err(|error| error.to_string())?;
        let mut command: Command = side.command(engine.program());
        command.args(engine.line.iter().skip(1)).arg("wg0");
        command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .env("LOG_LEVEL", "error")
            .env("RUST_BACKTRACE", "1");
        let child = command.spawn().map_err(|error| format!("{}: {error}", engine.name))?;
        let mut running = Running {
            child,
            name: engine.name.clone(),
            log,
        };
        command::until(Duration::from_secs(10), || {
            if let Ok(Some(status)) = running.child.try_wait() {
                return Err(format!("ended with {status}"));
            }
            side.sh("test -S /run/wireguard/wg0.sock && wg show wg0 && ip link show wg0")
        })
        .map_err(|error| running.explain(&error))?;
        Ok(running)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the engine wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits up to `limit` for the engine to end by itself.
    ///
    /// # Errors
    /// When it still runs then.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        command::until(limit, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("still running".into()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Asks it to end with SIGTERM.
    pub fn terminate(&self) {
        side::end(self.pid(), Signal::TERM);
    }

    /// User and system time used so far, in seconds (clock ticks of 10 ms, `USER_HZ`).
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        // Fields 14 and 15 of proc(5); counted after the parenthesis that ends the program name, field 2.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum::<f64>()
            / 100.0
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    fn explain(&self, error: &str) -> String {
        format!("{}: {error}\n--- its log\n{}", self.name, self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

fn log_file(name: &str) -> Result<PathBuf> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = needs::target().join("e2e");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder.join(format!(
        "{name}.{}.{}.log",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )))
}
