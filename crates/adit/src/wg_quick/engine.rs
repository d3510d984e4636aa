//! Who runs the interface: the kernel if it can, else an engine in userspace.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use conf::uapi::{DeviceStatus, SetRequest};
use host::{Netlink, link, wireguard};
use rustix::io::Errno;

use super::journal::Lock;
use super::{Failure, say};

/// Names another engine than ours.
const ENGINE: &str = "WG_QUICK_USERSPACE_IMPLEMENTATION";

/// Makes an interface.
pub(super) fn create(interface: &str, lock: &Lock) -> Result<(), Failure> {
    say(format_args!("[#] ip link add dev {interface} type wireguard"));
    match link::create_wireguard(&mut Netlink::open()?, interface) {
        Err(error) if error.is(Errno::OPNOTSUPP) => start(interface, lock),
        created => Ok(created?),
    }
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

/// Starts an engine, which goes to the background once the interface is there.
///
/// What starts ours keeps the lock until then, even if this program is killed meanwhile: nobody undoes what is yet to come. Another
/// engine might never give it back.
fn start(interface: &str, lock: &Lock) -> Result<(), Failure> {
    let mut command = match env::var_os(ENGINE).filter(|program| !program.is_empty()) {
        Some(program) => Command::new(program),
        None => {
            let mut own = Command::new("/proc/self/exe");
            own.arg0("aditd").stdin(Stdio::from(lock.share()?));
            own
        }
    };
    let program = match command.get_program().to_str() {
        Some("/proc/self/exe") | None => "aditd".to_owned(),
        Some(program) => program.to_owned(),
    };
    say(format_args!("[#] {program} {interface}"));
    let status = command.arg(interface).status();
    let status = status.map_err(|error| Failure::new(format!("cannot run {program}: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{program} did not start: {status}")))
    }
}
