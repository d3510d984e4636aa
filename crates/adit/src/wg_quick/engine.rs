//! Who runs the interface: the kernel if it can, else an engine in userspace.

use std::env;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use conf::quick::Backend;
use conf::uapi::{DeviceStatus, SetRequest};
use host::{Netlink, link, wireguard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::journal::Lock;
use super::{Failure, say};
use crate::aditd;

/// Names another engine than ours.
const ENGINE: &str = "WG_QUICK_USERSPACE_IMPLEMENTATION";

/// How long an engine may take to end.
const LAST_MOMENTS: Timespec = Timespec { tv_sec: 3, tv_nsec: 0 };

/// Makes an interface. Returns, of an engine of ours, the end of a pipe: the other goes with the engine, which says there that it ends by
/// itself.
pub(super) fn create(interface: &str, backend: Backend, lock: &Lock) -> Result<Option<PipeReader>, Failure> {
    if backend == Backend::Adit {
        return start(interface, backend, lock);
    }
    say(format_args!("[#] ip link add dev {interface} type wireguard"));
    match link::create_wireguard(&mut Netlink::open()?, interface) {
        Err(error) if error.is(Errno::OPNOTSUPP) && backend == Backend::Auto => start(interface, backend, lock),
        Err(error) if error.is(Errno::OPNOTSUPP) => Err(Failure::new(format!(
            "{error}: this kernel has no WireGuard; Backend = auto, or adit, runs the interface without it"
        ))),
        created => Ok(created.map(|()| None)?),
    }
}

/// Returns the command that would make an interface.
pub(super) fn command(interface: &str, backend: Backend) -> String {
    let of_kernel = format!("ip link add dev {interface} type wireguard");
    match backend {
        Backend::Kernel => of_kernel,
        Backend::Adit => format!("aditd {interface}"),
        Backend::Auto => format!("{of_kernel}, or aditd {interface} where the kernel has no WireGuard"),
    }
}

/// Warns if the interface is run by another one than is wanted: that cannot change while it is up.
pub(super) fn warn_if_other(interface: &str, backend: Backend) -> Result<(), Failure> {
    let runs = wireguard::is_of_kernel(interface);
    let runs = runs.map_err(|error| Failure::new(format!("cannot find out who runs {interface}: {error}")))?;
    let (runs, wanted) = match (backend, runs) {
        (Backend::Kernel, false) => ("an engine", "the kernel"),
        (Backend::Adit, true) => ("the kernel", "adit"),
        _ => return Ok(()),
    };
    say(format_args!(
        "Warning: {runs} runs `{interface}'; for {wanted} to do so take it down and up again"
    ));
    Ok(())
}

/// Tells whether there is an interface of that name, of any kind.
pub(super) fn exists(interface: &str) -> Result<bool, Failure> {
    match link::index(&mut Netlink::open()?, interface) {
        Ok(_) => Ok(true),
        Err(error) if error.is(Errno::NODEV) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Fails unless there is a WireGuard interface of that name. The socket of an engine alone may be in sight from another network namespace.
pub(super) fn must_exist(interface: &str) -> Result<(), Failure> {
    let names = wireguard::interfaces().map_err(|error| Failure::new(format!("cannot list interfaces: {error}")))?;
    if names.iter().any(|name| name == interface) && exists(interface)? {
        return Ok(());
    }
    Err(Failure::new(format!("`{interface}' is not a WireGuard interface")))
}

/// Reads all that an interface tells.
pub(super) fn status(interface: &str) -> Result<DeviceStatus, Failure> {
    let status = wireguard::open(interface).and_then(|mut device| device.status());
    status.map_err(|error| Failure::new(format!("cannot read {interface}: {error}")))
}

/// Changes keys, peers and sockets of an interface.
pub(super) fn change(interface: &str, request: &SetRequest) -> Result<(), Failure> {
    let changed = wireguard::open(interface).and_then(|mut device| device.change(request));
    changed.map_err(|error| Failure::new(format!("cannot configure {interface}: {error}")))
}

/// Returns a handle of the engine that runs an interface, if one does.
pub(super) fn handle(interface: &str) -> Option<OwnedFd> {
    let process = wireguard::process(interface).ok().flatten()?;
    let process = Pid::from_raw(i32::try_from(process).ok()?)?;
    pidfd_open(process, PidfdFlags::empty()).ok()
}

/// Waits a while for an engine whose interface is gone: until it ends it has its port, which the next one may want.
pub(super) fn wait_for_end(engine: &OwnedFd) {
    let _ = poll(&mut [PollFd::new(engine, PollFlags::IN)], Some(&LAST_MOMENTS));
}

/// Starts an engine, which goes to the background once the interface is there.
///
/// What starts ours keeps the lock until then, even if this program is killed meanwhile: nobody undoes what is yet to come. Another
/// engine might never give it back.
fn start(interface: &str, backend: Backend, lock: &Lock) -> Result<Option<PipeReader>, Failure> {
    let other = env::var_os(ENGINE).filter(|program| !program.is_empty() && backend == Backend::Auto);
    let (mut command, end) = match other {
        Some(program) => (Command::new(program), None),
        None => {
            let mut own = Command::new("/proc/self/exe");
            own.arg0("aditd").stdin(Stdio::from(lock.share()?));
            let end = aditd::tell_of_end(&mut own);
            let end = end.map_err(|error| Failure::new(format!("cannot make a pipe for the engine: {error}")))?;
            (own, Some(end))
        }
    };
    let program = match command.get_program().to_str() {
        Some("/proc/self/exe") | None => "aditd".to_owned(),
        Some(program) => program.to_owned(),
    };
    say(format_args!("[#] {program} {interface}"));
    // systemd waits for this program to say that the tunnel is up, not for an engine.
    let status = command.arg(interface).env_remove("NOTIFY_SOCKET").status();
    let status = status.map_err(|error| Failure::new(format!("cannot run {program}: {error}")))?;
    if status.success() {
        Ok(end)
    } else {
        Err(Failure::new(format!("{program} did not start: {status}")))
    }
}
