//! Error numbers that callers tell apart, and the two ways a C call reports failure.

use std::io;

pub use libc::{
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EBADFD, EBUSY, EEXIST, EHOSTUNREACH, EINVAL, EIO,
    EMSGSIZE, ENETDOWN, ENETUNREACH, ENOBUFS, ENODEV, ENOENT, ENOPROTOOPT, ENXIO, EOPNOTSUPP, EPERM, EPROTO,
};

/// A return value of libc whose −1 means "see errno".
pub(crate) trait Outcome: Copy {
    fn failed(self) -> bool;
}

impl Outcome for libc::c_int {
    fn failed(self) -> bool {
        self == -1
    }
}

impl Outcome for libc::ssize_t {
    fn failed(self) -> bool {
        self == -1
    }
}

/// Turns −1 into the error of `errno`.
pub(crate) fn check<T: Outcome>(value: T) -> io::Result<T> {
    if value.failed() {
        Err(io::Error::last_os_error())
    } else {
        Ok(value)
    }
}

/// Repeats `call` for as long as a signal interrupts it.
pub(crate) fn retry<T: Outcome>(mut call: impl FnMut() -> T) -> io::Result<T> {
    loop {
        match check(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
