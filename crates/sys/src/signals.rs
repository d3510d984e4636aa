//! Signals as a descriptor to poll, and those that whoever started the program wants ignored.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::errno::{check, retry};

pub use libc::{SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1, SIGUSR2};

/// Receives chosen signals in place of their usual effect.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks `signals` for the calling thread and those it starts later, and opens a descriptor that receives them.
    ///
    /// Call it before any other thread exists: a thread that does not block a signal still dies of it.
    ///
    /// # Errors
    /// `InvalidInput` for what is no signal; out of descriptors.
    pub fn new(signals: &[libc::c_int]) -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set that it is given.
        let mut set: libc::sigset_t = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            set.assume_init()
        };
        for signal in signals {
            // SAFETY: the set is initialised; a wrong number is refused.
            check(unsafe { libc::sigaddset(&raw mut set, *signal) })?;
        }
        // SAFETY: the set is initialised, and the old mask is not asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) } {
            0 => {}
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
        // SAFETY: the set is initialised; −1 asks for a new descriptor.
        let fd = check(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Returns the descriptor to poll for reading.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Takes the next signal that has come, if any.
    pub fn take(&self) -> Option<libc::c_int> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        let len = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer has the length given and is borrowed exclusively.
        let read = retry(|| unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), len) }).ok()?;
        // SAFETY: the kernel filled it whole; it was zeroed before anyway, and is made of integers.
        let info = unsafe { info.assume_init() };
        (read.unsigned_abs() == len).then(|| libc::c_int::try_from(info.ssi_signo).unwrap_or(0))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// Returns the signals by which people end a program, without those that are ignored: at the start, because whoever started it wants that,
/// as `nohup` does.
pub fn to_end() -> impl Iterator<Item = libc::c_int> {
    let all = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].into_iter();
    all.filter(|signal| !is_ignored(*signal))
}

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is changed; the kernel fills the structure that it is given, or refuses what is no signal.
    let asked = check(unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) });
    // SAFETY: it was zeroed, which is valid for it.
    let action = unsafe { action.assume_init() };
    asked.is_ok() && action.sa_sigaction == libc::SIG_IGN
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::poll::readable;

    #[test]
    fn a_blocked_signal_is_received() {
        std::thread::spawn(|| {
            let signals = SignalFd::new(&[SIGUSR1, SIGUSR2]).unwrap();
            assert_eq!(signals.take(), None);
            // SAFETY: the signal goes to this thread, which blocks it.
            unsafe { libc::pthread_kill(libc::pthread_self(), SIGUSR2) };
            assert!(readable(signals.fd(), Duration::from_secs(5)).unwrap());
            assert_eq!(signals.take(), Some(SIGUSR2));
            assert_eq!(signals.take(), None);
        })
        .join()
        .unwrap();
        assert!(SignalFd::new(&[9999]).is_err());
    }

    #[test]
    fn an_ignored_signal_is_told_from_others() {
        // Rust programs ignore this one.
        assert!(is_ignored(SIGPIPE));
        assert!(!is_ignored(SIGTERM) && !is_ignored(9999));
    }
}
