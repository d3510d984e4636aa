//! A TUN device: a network interface whose packets are read and written as bytes.
//!
//! With `vnet_hdr` on, every packet travels behind a [`crate::vnet`] header, and with offloads on, up to 64 KiB of
//! segments travel as one packet. Addresses, MTU and routes are not set here. Facts about the interface (name, index,
//! MTU) are asked from the kernel each time, because anyone may rename it or move it to another namespace.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd, retry_on_intr};

use crate::errno::retry;
use crate::ifreq::{IfReq, control_socket};
use crate::netns::Netns;
use crate::notify::{Notify, Topics};

const DEVICE: &str = "/dev/net/tun";

/// A TUN device; its interface disappears with the last descriptor.
#[derive(Debug)]
pub struct Tun {
    fd: OwnedFd,
    /// Fixed when the device was made.
    vnet_hdr: bool,
    multi_queue: bool,
    /// `TUN_F_*` bits that are on.
    offloads: AtomicU32,
    home: Mutex<Home>,
}

/// The namespace that the interface was in when last asked, and a socket there to ask about it.
#[derive(Debug)]
struct Home {
    namespace: Option<Netns>,
    control: OwnedFd,
}

/// What a [`Tun`] hands out and takes beyond single finished packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunOffloads {
    /// Every packet travels behind a virtio header. Fixed when the device is made; the rest needs it.
    pub vnet_hdr: bool,
    /// Unfinished checksums.
    pub checksum: bool,
    /// TCP super-packets over IPv4.
    pub tso4: bool,
    /// TCP super-packets over IPv6.
    pub tso6: bool,
    /// TCP super-packets whose first segment carries CWR.
    pub ecn: bool,
    /// UDP super-packets, both families (Linux 6.2).
    pub uso: bool,
}

impl TunOffloads {
    /// Everything a device may offer.
    pub const ALL: Self = Self {
        vnet_hdr: true,
        checksum: true,
        tso4: true,
        tso6: true,
        ecn: true,
        uso: true,
    };

    /// What [`Tun::create`] tries, best first.
    const LADDER: [Self; 5] = [
        Self::ALL,
        Self {
            uso: false,
            ..Self::ALL
        },
        Self {
            uso: false,
            ecn: false,
            ..Self::ALL
        },
        Self {
            uso: false,
            ecn: false,
            tso4: false,
            tso6: false,
            ..Self::ALL
        },
        Self {
            uso: false,
            ecn: false,
            tso4: false,
            tso6: false,
            checksum: false,
            ..Self::ALL
        },
    ];

    fn from_bits(vnet_hdr: bool, bits: libc::c_uint) -> Self {
        let has = |bit| bits & bit != 0;
        Self {
            vnet_hdr,
            checksum: has(libc::TUN_F_CSUM),
            tso4: has(libc::TUN_F_TSO4),
            tso6: has(libc::TUN_F_TSO6),
            ecn: has(libc::TUN_F_TSO_ECN),
            uso: has(libc::TUN_F_USO4),
        }
    }

    /// Returns the argument of `TUNSETOFFLOAD`. Linux refuses every other bit without `TUN_F_CSUM`.
    fn bits(self) -> libc::c_uint {
        let flag = |on, bits| if on { bits } else { 0 };
        flag(self.checksum, libc::TUN_F_CSUM)
            | flag(self.tso4, libc::TUN_F_TSO4)
            | flag(self.tso6, libc::TUN_F_TSO6)
            | flag(self.ecn, libc::TUN_F_TSO_ECN)
            // One without the other is refused.
            | flag(self.uso, libc::TUN_F_USO4 | libc::TUN_F_USO6)
    }
}

impl Tun {
    /// Makes an interface called `name`, where `%d` stands for the first free number, in the namespace of the thread.
    ///
    /// It gets the best offloads that the kernel has. With `multi_queue` it may get more queues, by [`Tun::attach`]; without, other
    /// programs find it as they know it.
    ///
    /// # Errors
    /// `InvalidInput` for a bad name, `ResourceBusy` when the name is taken, `PermissionDenied` without
    /// `CAP_NET_ADMIN`, `NotFound` when the kernel has no TUN.
    pub fn create(name: &str, multi_queue: bool) -> io::Result<Self> {
        let request = IfReq::new(name)?;
        let fd = open_device()?;
        let plain = libc::IFF_TUN | libc::IFF_NO_PI;
        let attach = |flags: libc::c_int| request.with_short(flags as i16).ask(fd.as_fd(), libc::TUNSETIFF);
        if multi_queue {
            // Exclusive: without that it would join a device of that name that has several queues.
            match attach(plain | libc::IFF_VNET_HDR | libc::IFF_MULTI_QUEUE | libc::IFF_TUN_EXCL) {
                Ok(_) => return Self::with_best_offloads(fd, true, true),
                // A device that waits for a program, or a kernel without one of these.
                Err(error) if [libc::EBUSY, libc::EINVAL].contains(&error.raw_os_error().unwrap_or(0)) => {}
                Err(error) => return Err(error),
            }
        }
        let vnet_hdr = match attach(plain | libc::IFF_VNET_HDR) {
            Ok(_) => true,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                let exists = || request.ask(control_socket()?.as_fd(), libc::SIOCGIFINDEX as libc::Ioctl);
                // A device of that name with several queues gives the same error as a kernel without the header.
                attach(plain).map_err(|error| match exists() {
                    Ok(_) => io::Error::from_raw_os_error(libc::EBUSY),
                    Err(_) => error,
                })?;
                false
            }
            Err(error) => return Err(error),
        };
        Self::with_best_offloads(fd, vnet_hdr, false)
    }

    /// Opens one more queue of the interface, with the same offloads. The kernel hands a flow out by the queue that its answers were
    /// last written to, and one without answers by any.
    ///
    /// # Errors
    /// `Unsupported` when the device was made for one queue; `ResourceBusy` when it has as many as it can; `NotFound` when it is gone.
    pub fn attach(&self) -> io::Result<Self> {
        if !self.multi_queue {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let vnet_hdr = if self.vnet_hdr { libc::IFF_VNET_HDR } else { 0 };
        let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE | vnet_hdr;
        let request = IfReq::new(&self.ask_name()?)?.with_short(flags as i16);
        let fd = open_device()?;
        let attach = || {
            request.ask(fd.as_fd(), libc::TUNSETIFF)?;
            control_socket()
        };
        let namespace = self.namespace();
        let control = match &namespace {
            Some(namespace) => namespace.run(attach)??,
            None => attach()?,
        };
        let home = Mutex::new(Home { namespace, control });
        let queue = Self {
            fd,
            vnet_hdr: self.vnet_hdr,
            multi_queue: true,
            offloads: AtomicU32::new(self.offloads.load(Ordering::Relaxed)),
            home,
        };
        // Had the interface just been renamed, the kernel would have made another, which goes with `queue`.
        if queue.index()? == self.index()? {
            Ok(queue)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Takes a descriptor of a TUN device that another process made.
    ///
    /// It is made non-blocking and close-on-exec. Whether packets carry the virtio header was settled when it was made.
    ///
    /// # Errors
    /// `InvalidInput` when the device is TAP or was made without `IFF_NO_PI`; else the error of asking (no TUN at all).
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let answer = IfReq::new("")?.ask(fd.as_fd(), libc::TUNGETIFF)?;
        let flags = libc::c_int::from(answer.short());
        if flags & libc::IFF_TUN == 0 || flags & libc::IFF_NO_PI == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a TUN device made with IFF_NO_PI",
            ));
        }
        fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
        fcntl_setfd(&fd, fcntl_getfd(&fd)? | FdFlags::CLOEXEC)?;
        let has = |flag| flags & flag != 0;
        Self::with_best_offloads(fd, has(libc::IFF_VNET_HDR), has(libc::IFF_MULTI_QUEUE))
    }

    fn with_best_offloads(fd: OwnedFd, vnet_hdr: bool, multi_queue: bool) -> io::Result<Self> {
        let home = Mutex::new(Home {
            namespace: device_namespace(&fd),
            control: control_socket()?,
        });
        let tun = Self {
            fd,
            vnet_hdr,
            multi_queue,
            offloads: AtomicU32::new(0),
            home,
        };
        if vnet_hdr {
            let len = crate::vnet::LEN as libc::c_int;
            // SAFETY: TUNSETVNETHDRSZ reads one int, which lives across the call.
            retry(|| unsafe { libc::ioctl(tun.fd.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const len) })?;
            let mut outcome = Ok(());
            for offloads in TunOffloads::LADDER {
                outcome = tun.set_offloads(offloads);
                if outcome.is_ok() {
                    break;
                }
            }
            outcome?;
        } else {
            // Whoever had the device before may have left some on, which could not be told without the header.
            tun.set_offloads(TunOffloads::default())?;
        }
        Ok(tun)
    }

    /// Returns the descriptor to poll.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Gives the descriptor away.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Returns the name that the interface has at this moment; empty when it is gone.
    #[must_use]
    pub fn name(&self) -> String {
        self.ask_name().unwrap_or_default()
    }

    fn ask_name(&self) -> io::Result<String> {
        Ok(IfReq::new("")?.ask(self.fd(), libc::TUNGETIFF)?.name())
    }

    /// Returns the index of the interface, in whatever namespace it is.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn index(&self) -> io::Result<u32> {
        Ok(self
            .ask_interface(libc::SIOCGIFINDEX as libc::Ioctl)?
            .int()
            .unsigned_abs())
    }

    /// Returns the namespace that the interface is in, which need not be the one it was made in.
    ///
    /// `None` where the kernel does not tell: before Linux 5.13, and without `CAP_NET_ADMIN` there.
    #[must_use]
    pub fn namespace(&self) -> Option<Netns> {
        device_namespace(&self.fd)
    }

    /// Returns the MTU of the interface in bytes.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn mtu(&self) -> io::Result<usize> {
        let mtu = self.ask_interface(libc::SIOCGIFMTU as libc::Ioctl)?.int();
        usize::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Whether the interface is administratively up.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn is_up(&self) -> io::Result<bool> {
        match self.ask_interface(libc::SIOCGIFFLAGS as libc::Ioctl) {
            Ok(answer) => Ok(libc::c_int::from(answer.short()) & libc::IFF_UP != 0),
            // It has moved to a namespace that we may not enter.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.probe(),
            Err(error) => Err(error),
        }
    }

    /// Asks the descriptor itself: nothing can be written to an interface that is up (`EINVAL`) or down (`EIO`).
    fn probe(&self) -> io::Result<bool> {
        match rustix::io::write(&self.fd, &[]) {
            Ok(_) | Err(rustix::io::Errno::INVAL) => Ok(true),
            Err(rustix::io::Errno::IO) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts to listen for link news in the namespace that the interface is in now.
    ///
    /// # Errors
    /// Those of [`Notify::new`], and of entering the namespace.
    pub fn link_news(&self) -> io::Result<Notify> {
        match device_namespace(&self.fd) {
            Some(namespace) => namespace.run(|| Notify::new(Topics::default()))?,
            None => Notify::new(Topics::default()),
        }
    }

    fn ask_interface(&self, code: libc::Ioctl) -> io::Result<IfReq> {
        let mut home = self.home.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(here) = device_namespace(&self.fd)
            && !home
                .namespace
                .as_ref()
                .is_some_and(|known| known.is(&here).unwrap_or(false))
        {
            home.control = here.run(control_socket)??;
            home.namespace = Some(here);
        }
        IfReq::new(&self.ask_name()?)?.ask(home.control.as_fd(), code)
    }

    /// Returns the offloads that are on.
    #[must_use]
    pub fn offloads(&self) -> TunOffloads {
        TunOffloads::from_bits(self.vnet_hdr, self.offloads.load(Ordering::Relaxed))
    }

    /// Turns offloads on and off; `vnet_hdr` must stay what it is.
    ///
    /// # Errors
    /// `InvalidInput` when the kernel does not have this set, or `vnet_hdr` differs; nothing changes then.
    pub fn set_offloads(&self, offloads: TunOffloads) -> io::Result<()> {
        let bits = offloads.bits();
        if offloads.vnet_hdr != self.vnet_hdr || !self.vnet_hdr && bits != 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: TUNSETOFFLOAD takes its argument by value.
        retry(|| unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(bits)) })?;
        self.offloads.store(bits, Ordering::Relaxed);
        Ok(())
    }

    /// Reads one packet behind its virtio header, if that is on, and returns the length of both.
    ///
    /// A packet that does not fit is cut off and lost; 65,535 bytes and the header always fit.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; `EIO` while the interface is down, `EBADFD` when it is gone.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::read(&self.fd, &mut *buffer))?)
    }

    /// Writes one packet gathered from `parts`, behind its virtio header if that is on.
    ///
    /// # Errors
    /// `EIO` while the interface is down, `EBADFD` when it is gone, `InvalidInput` for a malformed packet or header,
    /// `WouldBlock` never under normal load. The packet is lost in each case.
    pub fn write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::writev(&self.fd, parts))?)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

fn open_device() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(retry_on_intr(|| open(DEVICE, flags, Mode::empty()))?)
}

fn device_namespace(fd: &OwnedFd) -> Option<Netns> {
    // SAFETY: TUNGETDEVNETNS takes no argument.
    let namespace = retry(|| unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNGETDEVNETNS) }).ok()?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Some(Netns::from_fd(unsafe { OwnedFd::from_raw_fd(namespace) }))
}

#[cfg(test)]
mod tests;
