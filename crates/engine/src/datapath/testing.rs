//! A device for tests of single parts of the datapath.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Mutex;

use sys::errno::EINVAL;
use sys::notify::Notify;
use sys::wake::EventFd;

use crate::offload::VnetHeader;
use crate::transport::{Offloads, Tun};

/// A device that claims everything and refuses super-packets of one type; notes the types that came.
pub(super) struct Device {
    event: EventFd,
    refuses: u8,
    pub(super) seen: Mutex<Vec<u8>>,
}

impl Device {
    pub(super) fn new(refuses: u8) -> Self {
        Self {
            event: EventFd::new().unwrap(),
            refuses,
            seen: Mutex::default(),
        }
    }
}

impl Tun for Device {
    fn fd(&self) -> BorrowedFd<'_> {
        self.event.fd()
    }

    fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let gso_type = VnetHeader::from_bytes(parts[0].first_chunk().unwrap()).gso_type;
        self.seen.lock().unwrap().push(gso_type);
        if gso_type == self.refuses {
            return Err(io::Error::from_raw_os_error(EINVAL));
        }
        Ok(())
    }

    fn mtu(&self) -> io::Result<usize> {
        Ok(1420)
    }

    fn is_up(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn link_news(&self) -> io::Result<Notify> {
        Err(ErrorKind::Unsupported.into())
    }

    fn offloads(&self) -> Offloads {
        Offloads {
            checksum: true,
            tcp: true,
            udp: true,
        }
    }
}
