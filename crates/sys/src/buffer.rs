//! Page-aligned memory straight from the kernel, for packets.
//!
//! Its pages cost nothing until they are touched, and [`Buffer::release`] gives them back when there is no traffic.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A fixed-length buffer of bytes that starts as zeros.
#[derive(Debug)]
pub struct Buffer {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone and is plain memory; access follows the borrow rules through
// `Deref` and `DerefMut`.
unsafe impl Send for Buffer {}
// SAFETY: as above; `&Buffer` gives out `&[u8]` only.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Maps `len` bytes.
    ///
    /// # Errors
    /// `InvalidInput` when `len` is 0, `OutOfMemory` when the kernel has no room.
    pub fn new(len: usize) -> io::Result<Self> {
        if len == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }

    /// Gives the pages back to the kernel; the contents become zeros.
    pub fn release(&mut self) {
        // SAFETY: the range is exactly the mapping, which `&mut self` borrows alone. A refusal leaves the pages as
        // they were, which is harmless.
        unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, libc::MADV_DONTNEED) };
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `base` points to `len` initialised bytes (zeros at first) that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the borrow exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `new` with this length, and no borrow outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_bytes_until_it_is_released() {
        let mut buffer = Buffer::new(3 * 4096 + 1).unwrap();
        assert_eq!(buffer.len(), 3 * 4096 + 1);
        assert!(buffer.iter().all(|byte| *byte == 0));
        buffer.fill(7);
        assert!(buffer.iter().all(|byte| *byte == 7));
        buffer.release();
        assert!(buffer.iter().all(|byte| *byte == 0));
        buffer[0] = 1;
    }

    #[test]
    fn an_empty_buffer_is_refused() {
        assert_eq!(Buffer::new(0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
