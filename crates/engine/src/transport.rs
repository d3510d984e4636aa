//! The seam between the engine and whatever carries inner packets.
//!
//! The kernel's TUN device is one implementation; a test or a userspace network stack is another. Every packet travels
//! with the ten-byte virtio header that carries its offloads, also where the device has none: then it is all zero.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use sys::notify::Notify;

pub use crate::offload::VNET_HEADER_LEN as VNET_LEN;

/// A source and sink of inner IP packets, not blocking.
pub trait Tun: Send + Sync + 'static {
    /// Returns the descriptor that polls readable when a packet waits.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Reads one packet, possibly a TSO or USO super-packet, behind its virtio header.
    ///
    /// # Errors
    /// `WouldBlock` when no packet waits; any other error means that the device is down or gone.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes one packet gathered from `parts`; the first part is the virtio header alone.
    ///
    /// # Errors
    /// The error of the device; the packet is lost then.
    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// Returns the MTU of the device in bytes.
    ///
    /// # Errors
    /// The error of the device.
    fn mtu(&self) -> io::Result<usize>;

    /// Whether the device is administratively up.
    ///
    /// # Errors
    /// The error of a device that is gone.
    fn is_up(&self) -> io::Result<bool>;

    /// Starts to listen for news of the device, in the network namespace that it is in now.
    ///
    /// # Errors
    /// The error of the system call that failed.
    fn link_news(&self) -> io::Result<Notify>;

    /// Whether super-packets may be written: TCP segmentation for (IPv4, IPv6) and UDP segmentation.
    fn offloads(&self) -> Offloads;
}

/// What a [`Tun`] takes and hands out as super-packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Unfinished checksums are understood both ways.
    pub checksum: bool,
    /// TCP super-packets, both families.
    pub tcp: bool,
    /// UDP super-packets, both families.
    pub udp: bool,
}

impl Tun for sys::tun::Tun {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.offloads().vnet_hdr {
            return self.read(buffer);
        }
        let Some((header, packet)) = buffer.split_first_chunk_mut::<VNET_LEN>() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        *header = [0; VNET_LEN];
        Ok(self.read(packet)? + VNET_LEN)
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let parts = if self.offloads().vnet_hdr {
            parts
        } else {
            parts.get(1..).unwrap_or_default()
        };
        self.write_vectored(parts).map(|_| ())
    }

    fn mtu(&self) -> io::Result<usize> {
        self.mtu()
    }

    fn is_up(&self) -> io::Result<bool> {
        self.is_up()
    }

    fn link_news(&self) -> io::Result<Notify> {
        self.link_news()
    }

    fn offloads(&self) -> Offloads {
        let offloads = self.offloads();
        Offloads {
            checksum: offloads.checksum,
            tcp: offloads.tso4 && offloads.tso6,
            udp: offloads.uso,
        }
    }
}
