//! The kernel's own interfaces, over generic netlink (`linux/wireguard.h`).
//!
//! Here is the order of questions and answers. Bytes are [`read`] and [`write`] apart from any socket.

mod attribute;
mod message;
mod numbers;
mod read;
mod socket;
mod write;

use std::io;

use conf::uapi::{DeviceStatus, SetRequest};
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP};
use rustix::io::Errno;

use super::Device;
use message::Request;
use numbers::{WG_CMD_GET_DEVICE, WG_GENL_NAME, WG_GENL_VERSION, WGDEVICE_A_IFNAME};
use socket::GenericNetlink;

pub use read::Dump;

/// Length of the longest name of an interface (`IFNAMSIZ` without its end).
const MAX_NAME: usize = 15;
/// Length of the longest message sent. The kernel takes more, but an attribute ends at 64 KiB and memory in one piece is
/// dear.
const MAX_MESSAGE: usize = 32 * 1024;
/// How often a dump is begun if others change the interface meanwhile.
const MAX_DUMPS: usize = 32;

/// An interface of the kernel.
pub(super) struct Kernel {
    socket: GenericNetlink,
    family: u16,
    name: String,
    request: Request,
}

/// Prepares to ask the kernel for an interface; whether there is one shows when it is asked.
///
/// # Errors
/// `EPROTONOSUPPORT` where the kernel has no WireGuard, `ENAMETOOLONG` for what can be no name of an interface.
pub(super) fn open(name: &str) -> io::Result<Kernel> {
    let mut socket = GenericNetlink::open()?;
    let family = socket
        .family(WG_GENL_NAME)
        .map_err(|error| match error.raw_os_error() {
            Some(number) if number == Errno::NOENT.raw_os_error() => Errno::PROTONOSUPPORT.into(),
            _ => error,
        })?;
    check_name(name)?;
    Ok(Kernel {
        socket,
        family,
        name: name.to_owned(),
        request: Request::new(MAX_MESSAGE),
    })
}

/// Refuses what the kernel would cut, and so take for another name.
fn check_name(name: &str) -> io::Result<()> {
    if name.len() > MAX_NAME {
        return Err(Errno::NAMETOOLONG.into());
    }
    if name.contains('\0') {
        return Err(Errno::INVAL.into());
    }
    Ok(())
}

impl Device for Kernel {
    fn status(&mut self) -> io::Result<DeviceStatus> {
        for _ in 0..MAX_DUMPS {
            if let Some(status) = self.dump()? {
                return Ok(status);
            }
        }
        Err(Errno::BUSY.into())
    }

    /// Long changes take several messages. What came before the first one that is refused stays.
    fn change(&mut self, request: &SetRequest) -> io::Result<()> {
        let (socket, family) = (&mut self.socket, self.family);
        write::change(&self.name, request, &mut self.request, &mut |message| {
            socket.exchange(message, family, &mut |_| Ok(()))
        })
    }
}

impl Kernel {
    /// Asks once; `None` if the interface changed meanwhile.
    fn dump(&mut self) -> io::Result<Option<DeviceStatus>> {
        self.request.start(WG_CMD_GET_DEVICE, WG_GENL_VERSION);
        let name = [self.name.as_bytes(), b"\0"].concat();
        self.request.attribute(WGDEVICE_A_IFNAME, &name);
        let sequence = self
            .socket
            .send(&mut self.request, self.family, NLM_F_ACK | NLM_F_DUMP)?;
        let mut dump = Dump::new(self.family, sequence);
        while !dump.take(self.socket.receive()?)? {}
        Ok(dump.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_would_cut_are_refused() {
        let number = |name| check_name(name).err().and_then(|error| error.raw_os_error());
        assert_eq!(number("0123456789abcde"), None);
        assert_eq!(number("0123456789abcdef"), Some(Errno::NAMETOOLONG.raw_os_error()));
        assert_eq!(number("wg0\0x"), Some(Errno::INVAL.raw_os_error()));
    }
}
