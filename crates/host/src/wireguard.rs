//! WireGuard interfaces of this machine, whoever runs them: who there is, what they tell, and changes to them.
//!
//! Each backend is a [`Device`]; [`open`] finds out which one an interface has. Engines in userspace answer on a socket,
//! the kernel on generic netlink.

mod kernel;
mod userspace;
mod zone;

use std::io;

use conf::uapi::{DeviceStatus, SetRequest};

use crate::{Netlink, link};

pub use kernel::Dump;
pub use zone::{endpoint_text, zone_index};

/// The kind by which the kernel knows its own WireGuard interfaces.
const KERNEL_KIND: &str = "wireguard";

/// The longest answer taken, in bytes: as much as an interface with millions of allowed IPs has to say, not what an endless
/// one does.
const MAX_ANSWER: usize = 512 * 1024 * 1024;

/// One interface that can be asked and changed.
pub trait Device {
    /// Returns all that the interface tells about itself.
    ///
    /// # Errors
    /// The refusal of the other side with its error number, `EPROTO` for an answer that cannot be understood, or that of
    /// a system call.
    fn status(&mut self) -> io::Result<DeviceStatus>;

    /// Makes changes, all or none where the backend can.
    ///
    /// # Errors
    /// Like [`Device::status`].
    fn change(&mut self, request: &SetRequest) -> io::Result<()>;
}

/// Returns the names of all interfaces, the kernel's first. Removes the sockets of engines that died.
///
/// # Errors
/// That of a system call.
pub fn interfaces() -> io::Result<Vec<String>> {
    let mut names = kernel_interfaces()?;
    names.extend(userspace::interfaces()?);
    Ok(names)
}

/// Opens an interface by name: that of an engine, otherwise what the kernel may have.
///
/// # Errors
/// `EPROTONOSUPPORT` where there is no engine and the kernel has no WireGuard, `ETIMEDOUT` for an engine that hangs,
/// `ENAMETOOLONG`, otherwise that of a system call. That the kernel has no such interface shows later, as `ENODEV`.
pub fn open(name: &str) -> io::Result<Box<dyn Device>> {
    match userspace::connect(name)? {
        Some(engine) => Ok(Box::new(engine)),
        None => Ok(Box::new(kernel::open(name)?)),
    }
}

/// Tells whether the kernel runs an interface.
///
/// # Errors
/// That of a system call.
pub fn is_of_kernel(name: &str) -> io::Result<bool> {
    Ok(kernel_interfaces()?.iter().any(|interface| interface == name))
}

/// Returns the process that runs an interface; `None` where it is the kernel's, or the engine does not tell.
///
/// # Errors
/// That of a system call.
pub fn process(name: &str) -> io::Result<Option<u32>> {
    let Some(engine) = userspace::connect(name)? else {
        return Ok(None);
    };
    let process = engine.process()?;
    // It may have handed its socket on, and ended.
    let runs = rustix::process::test_kill_process(process).is_ok();
    Ok(runs.then_some(process.as_raw_pid().cast_unsigned()))
}

fn kernel_interfaces() -> io::Result<Vec<String>> {
    let list = || link::names_of_kind(&mut Netlink::open()?, KERNEL_KIND);
    list().map_err(|error| match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(error),
    })
}
