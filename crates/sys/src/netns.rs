//! Network namespaces as values.
//!
//! A thread belongs to one namespace; sockets stay in the one they were made in. [`Netns::run`] makes a thread there,
//! so the caller's own thread never moves unless it asks to with [`Netns::enter`].

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;

use rustix::fs::fstat;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::errno::check;

const CURRENT: &str = "/proc/thread-self/ns/net";

/// A network namespace, held by a descriptor: it lives at least as long as this value.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
}

impl Netns {
    /// Makes a namespace with nothing in it but a loopback device that is down.
    ///
    /// # Errors
    /// `PermissionDenied` without `CAP_SYS_ADMIN`; out of threads, descriptors or memory.
    pub fn create() -> io::Result<Self> {
        on_own_thread(|| {
            // SAFETY: CLONE_NEWNET moves only this thread to a new network namespace and leaves the descriptor table
            // shared; the thread ends right after.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            Self::current()
        })?
    }

    /// Returns the namespace of the calling thread.
    ///
    /// # Errors
    /// Without `/proc`; out of descriptors.
    pub fn current() -> io::Result<Self> {
        Self::open(Path::new(CURRENT))
    }

    /// Opens a namespace by a file such as `/run/netns/NAME` or `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// Those of opening a file. Whether it is a namespace shows when it is entered.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            fd: File::open(path)?.into(),
        })
    }

    /// Wraps the descriptor of a namespace.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Returns the descriptor.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether both are the same namespace.
    ///
    /// # Errors
    /// That of `fstat(2)`.
    pub fn is(&self, other: &Self) -> io::Result<bool> {
        let (here, there) = (fstat(&self.fd)?, fstat(&other.fd)?);
        Ok((here.st_dev, here.st_ino) == (there.st_dev, there.st_ino))
    }

    /// Moves the calling thread here for good.
    ///
    /// # Errors
    /// `PermissionDenied` without `CAP_SYS_ADMIN`; `InvalidInput` when the descriptor is no network namespace.
    pub fn enter(&self) -> io::Result<()> {
        Ok(move_into_link_name_space(self.fd(), Some(LinkNameSpaceType::Network))?)
    }

    /// Runs `work` in this namespace and returns its result: on a thread of its own, or on the caller's if that is there
    /// already, which takes no privilege.
    ///
    /// # Errors
    /// Those of [`Netns::enter`], and out of threads.
    ///
    /// # Panics
    /// When `work` does.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> io::Result<R> {
        if Self::current().and_then(|here| self.is(&here)).unwrap_or(false) {
            return Ok(work());
        }
        on_own_thread(|| {
            self.enter()?;
            Ok(work())
        })?
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// Returns the number of the calling thread's namespace, which no other has had since the kernel started. That of the file (its inode) is given
/// out again as soon as a namespace is gone.
///
/// # Errors
/// `ENOPROTOOPT` before Linux 5.14; out of descriptors or memory.
pub fn cookie() -> io::Result<u64> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut cookie = 0_u64;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the option writes as many bytes as `len` says, which is the size of `cookie`; both live across the call.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut len,
        )
    })?;
    Ok(cookie)
}

/// Runs `work` on a thread that is gone when this returns.
fn on_own_thread<R: Send>(work: impl FnOnce() -> R + Send) -> io::Result<R> {
    thread::scope(|scope| {
        let handle = thread::Builder::new().name("netns".into()).spawn_scoped(scope, work)?;
        handle.join().map_err(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::testing::{private_namespace, set_up};

    #[test]
    fn the_number_of_one_that_is_gone_is_not_given_out_again() {
        let mut cookies = vec![cookie().unwrap()];
        for _ in 0..3 {
            let Some(namespace) = private_namespace() else { return };
            cookies.push(namespace.run(cookie).unwrap().unwrap());
        }
        assert_eq!(cookie().unwrap(), cookies[0]);
        cookies.sort_unstable();
        cookies.dedup();
        assert_eq!(cookies.len(), 4);
    }

    #[test]
    fn namespaces_are_apart_and_the_caller_stays_where_it_was() {
        let Some(one) = private_namespace() else { return };
        let Some(two) = private_namespace() else { return };
        let home = Netns::current().unwrap();
        assert!(!one.is(&two).unwrap() && !one.is(&home).unwrap() && home.is(&home).unwrap());
        one.run(|| {
            assert!(Netns::current().unwrap().is(&one).unwrap());
            set_up("lo").unwrap();
        })
        .unwrap();
        assert!(Netns::current().unwrap().is(&home).unwrap());

        let bind = || UdpSocket::bind("127.0.0.1:4711").unwrap();
        let (first, second) = (one.run(bind).unwrap(), two.run(bind).unwrap());
        // Loopback is up in the first only, and stays the first's although this thread is at home.
        first.send_to(b"x", "127.0.0.1:4711").unwrap();
        assert_eq!(first.recv(&mut [0; 8]).unwrap(), 1);
        assert!(second.send_to(b"x", "127.0.0.1:4711").is_err());
    }

    #[test]
    fn a_file_that_is_no_namespace_cannot_be_entered() {
        let file = Netns::open(Path::new("/proc/self/status")).unwrap();
        assert_eq!(file.run(|| ()).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
