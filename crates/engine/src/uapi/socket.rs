//! The listening socket and the file by which clients find it.
//!
//! Whoever removes the file ends the engine, as scripts expect; the engine removes it at its own end. The file counts as
//! there only while it is the very inode that was bound, so that neither side mistakes a successor's for its own.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::inotify;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Where the control sockets of all interfaces lie.
pub const DIRECTORY: &str = "/var/run/wireguard";

/// Clients that may wait to be accepted; the kernel takes less if it allows less.
const BACKLOG: i32 = 4096;

/// The longest name of an interface, in bytes.
const MAX_NAME: usize = 15;

/// A listening control socket. Dropping it removes its file.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: Option<File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Socket {
    /// Makes the control socket of an interface, open to its owner only, and the directory if need be.
    ///
    /// Changes the umask of the process for a moment. The file of a server that died is replaced.
    ///
    /// # Errors
    /// `InvalidInput` for a name that no interface can have, `AddrInUse` if another server is listening, otherwise that
    /// of the system call.
    pub fn create(interface: &str) -> io::Result<Self> {
        Self::create_at(&path_of(Path::new(DIRECTORY), interface)?)
    }

    /// Makes a control socket at a path; see [`Socket::create`].
    ///
    /// # Errors
    /// Like [`Socket::create`].
    pub fn create_at(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        let listener = match bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                bind(path)?
            }
            outcome => outcome?,
        };
        Self::from_fd(listener.into())
    }

    /// Takes over a listening socket, for instance one that another process passed on.
    ///
    /// # Errors
    /// `InvalidInput` if it is not a listening stream socket of the UNIX domain, otherwise that of the system call.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let listening = rustix::net::sockopt::socket_acceptconn(&fd)?;
        let family = rustix::net::sockopt::socket_domain(&fd)?;
        if !listening || family != AddressFamily::UNIX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a listening UNIX socket",
            ));
        }
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
        // From now on this process is the one that clients see (SO_PEERCRED).
        rustix::net::listen(&fd, BACKLOG)?;
        let listener = UnixListener::from(fd);
        listener.set_nonblocking(true)?;
        let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
        let file = match path {
            None => None,
            Some(path) => Some(File {
                identity: identity(&path)?,
                path,
            }),
        };
        Ok(Self { listener, file })
    }

    /// Leaves the file where it is when the socket is dropped, for a process that took over.
    pub fn keep_file(&mut self) {
        self.file = None;
    }

    /// Returns the path of the file, if the socket has one.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Whether the file is still there, or never was.
    pub(super) fn is_reachable(&self) -> bool {
        self.file.as_ref().is_none_or(File::is_present)
    }

    /// Returns a descriptor that polls readable when something may have happened to the file.
    pub(super) fn watch(&self) -> io::Result<Option<Watch>> {
        let Some(file) = &self.file else { return Ok(None) };
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        // The inode of a bound socket lives on after its file: a removal shows as a change of the link count.
        let events = inotify::WatchFlags::ATTRIB | inotify::WatchFlags::DELETE_SELF | inotify::WatchFlags::MOVE_SELF;
        inotify::add_watch(&watch, &file.path, events)?;
        Ok(Some(Watch(watch)))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && file.is_present()
        {
            let _ = fs::remove_file(&file.path);
        }
    }
}

impl File {
    fn is_present(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }
}

/// News about the socket file.
pub(super) struct Watch(OwnedFd);

impl Watch {
    /// Takes all news; what they are does not matter, the file itself is asked.
    pub(super) fn drain(&self) {
        let mut news = [0; 1024];
        while rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut news)).is_ok_and(|len| len > 0) {}
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns where the socket of an interface lies.
fn path_of(directory: &Path, interface: &str) -> io::Result<PathBuf> {
    let legal = !interface.is_empty()
        && interface.len() <= MAX_NAME
        && interface != "."
        && interface != ".."
        && !interface
            .bytes()
            .any(|c| c == b'/' || c == 0 || c.is_ascii_whitespace());
    if !legal {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a name for an interface",
        ));
    }
    Ok(directory.join(format!("{interface}.sock")))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    listener
}

/// Removes the file of a server that died.
fn remove_stale(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "not a socket, and in the way of one",
        ));
    }
    match connect(path) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        Err(Errno::NOENT) => Ok(()),
        // A full queue has a server behind it.
        Ok(()) | Err(Errno::AGAIN) => Err(io::Error::new(io::ErrorKind::AddrInUse, "in use by another engine")),
        Err(error) => Err(error.into()),
    }
}

fn connect(path: &Path) -> rustix::io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&probe, &SocketAddrUnix::new(path)?)
}
