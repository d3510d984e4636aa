//! Interface requests: the ioctls that take a `struct ifreq`, on a TUN descriptor or on any socket of a namespace.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::errno::retry;

/// Longest name of an interface in bytes, without the final NUL.
pub(crate) const MAX_NAME: usize = libc::IFNAMSIZ - 1;

/// `struct ifreq`: a name and a union of at most 24 bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(crate) struct IfReq {
    name: [u8; libc::IFNAMSIZ],
    data: [u8; 24],
}

const _: () = assert!(size_of::<IfReq>() >= size_of::<libc::ifreq>());

impl IfReq {
    /// Makes a request about `name` with zeros for data.
    ///
    /// # Errors
    /// `InvalidInput` when the name is longer than [`MAX_NAME`] or holds a NUL.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let mut request = Self {
            name: [0; libc::IFNAMSIZ],
            data: [0; 24],
        };
        if name.len() > MAX_NAME || name.contains('\0') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an interface name has at most 15 bytes",
            ));
        }
        for (to, from) in request.name.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        Ok(request)
    }

    pub(crate) fn with_short(mut self, value: i16) -> Self {
        let [a, b] = value.to_ne_bytes();
        self.data[0] = a;
        self.data[1] = b;
        self
    }

    #[cfg(test)]
    pub(crate) fn with_data(mut self, data: [u8; 16]) -> Self {
        self.data[..16].copy_from_slice(&data);
        self
    }

    pub(crate) fn name(&self) -> String {
        CStr::from_bytes_until_nul(&self.name)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    pub(crate) fn short(&self) -> i16 {
        i16::from_ne_bytes([self.data[0], self.data[1]])
    }

    pub(crate) fn int(&self) -> i32 {
        i32::from_ne_bytes([self.data[0], self.data[1], self.data[2], self.data[3]])
    }

    /// Makes the request `code`, which must be one that takes a `struct ifreq`, and returns the kernel's answer.
    pub(crate) fn ask(mut self, fd: BorrowedFd<'_>, code: libc::Ioctl) -> io::Result<Self> {
        let request = &raw mut self;
        // SAFETY: the codes passed within this crate read and write at most one `struct ifreq`, which `IfReq` covers.
        retry(|| unsafe { libc::ioctl(fd.as_raw_fd(), code, request) })?;
        Ok(self)
    }
}

/// Opens a socket to ask about the interfaces of the namespace of the calling thread.
pub(crate) fn control_socket() -> io::Result<OwnedFd> {
    // A netlink socket exists also where IPv4 was compiled out, and answers the same ioctls.
    Ok(socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?)
}
