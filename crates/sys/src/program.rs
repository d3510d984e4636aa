//! The program's own code in memory.

use std::ffi::{c_int, c_void};

const PAGE: usize = 4096;

/// Unmaps the pages of the program's code and constants. What is still used comes back at a touch, from the file or the system's
/// cache of it; what only the start or the last traffic needed does not.
pub fn forget_code() {
    // SAFETY: the callback is a function of the right type, and takes no data.
    unsafe { libc::dl_iterate_phdr(Some(forget), std::ptr::null_mut()) };
}

/// Called for the program itself first; stops there.
unsafe extern "C" fn forget(object: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: the C library hands over a valid object, whose table of headers lives as long as the program.
    let (base, headers) = unsafe {
        let object = &*object;
        (
            object.dlpi_addr as usize,
            std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()),
        )
    };
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = base + header.p_vaddr as usize;
        let end = start + header.p_memsz as usize;
        // Whole pages of this segment only: the last may be shared with one that was written to.
        let (start, end) = (start.next_multiple_of(PAGE), end / PAGE * PAGE);
        if start < end {
            // SAFETY: the segment is a private mapping of the file that was never written to, so that its pages come back as they
            // were. A refusal leaves them, which is harmless.
            unsafe { libc::madvise(start as *mut c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kilobytes of files that are mapped and resident.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn the_program_shrinks_and_runs_on() {
        let before = resident();
        forget_code();
        assert!(resident() < before);
        let text: String = (0..100).map(|n: u32| n.to_string()).collect();
        assert_eq!(text.len(), 190);
    }
}
