//! Passing descriptors to a child program and going to the background, without a bare `fork`.
//!
//! The way into the background is: make everything that can fail, start the own program again with the descriptors at
//! known numbers ([`pass_fds`]) and a new session ([`detach`]), and exit; the child takes them with [`inherited_fd`].

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::fcntl_dupfd_cloexec;

use crate::errno::{check, retry};

/// The number of the first descriptor that [`pass_fds`] passes.
pub const FIRST_FD: RawFd = 3;

/// Descriptors that [`inherited_fd`] has given out, one bit each.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Makes the child of `command` have `fds` as descriptors 3, 4, … in that order.
///
/// The parent's copies stay open until the command is dropped.
///
/// # Errors
/// Out of descriptors.
pub fn pass_fds(command: &mut Command, fds: &[OwnedFd]) -> io::Result<()> {
    let past = FIRST_FD.saturating_add(RawFd::try_from(fds.len()).unwrap_or(RawFd::MAX - FIRST_FD));
    // Copies above all targets, so that no target overwrites a source that is still to be placed.
    let copies = fds
        .iter()
        .map(|fd| fcntl_dupfd_cloexec(fd, past))
        .collect::<Result<Vec<_>, _>>()?;
    // Every target is kept in use until the child is made: `Command` opens a pipe that must not get such a number.
    let mut placeholders = Vec::new();
    while let Some(fd) = fds.first() {
        let placeholder = fcntl_dupfd_cloexec(fd, FIRST_FD)?;
        if placeholder.as_raw_fd() >= past {
            break;
        }
        placeholders.push(placeholder);
    }
    let place = move || {
        let _kept = &placeholders;
        for (copy, target) in copies.iter().zip(FIRST_FD..past) {
            // SAFETY: dup2 onto a number of the child, which is about to become another program: whatever the number
            // stood for (a descriptor of the parent, close-on-exec) would not outlive that and is not used before.
            retry(|| unsafe { libc::dup2(copy.as_raw_fd(), target) })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only calls dup2, which is async-signal-safe; it neither allocates nor
    // locks.
    unsafe { command.pre_exec(place) };
    Ok(())
}

/// Makes the child of `command` the leader of a session of its own, without a terminal.
pub fn detach(command: &mut Command) {
    // SAFETY: setsid is async-signal-safe, and takes nothing.
    unsafe { command.pre_exec(|| check(libc::setsid()).map(drop)) };
}

/// Makes the child of `command` have no descriptors from the number `first` on: what a caller left open, such as a file that is locked, is
/// none of a program in the background. Linux before 5.11 cannot, and passes them.
pub fn close_from(command: &mut Command, first: RawFd) {
    let close = move || {
        // SAFETY: a bare system call, which only marks descriptors, for the exec to close.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                first,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        Ok(())
    };
    // SAFETY: see above; the closure neither allocates nor locks.
    unsafe { command.pre_exec(close) };
}

/// Takes ownership of a descriptor that this process was started with.
///
/// # Errors
/// `EBADF` when there is none of that number; `InvalidInput` when it is a standard stream, was not inherited, or has
/// been taken already.
pub fn inherited_fd(number: RawFd) -> io::Result<OwnedFd> {
    let bit = match u32::try_from(number) {
        Ok(number @ 3..64) => 1_u64 << number,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a passed descriptor has a number from 3 to 63",
            ));
        }
    };
    // SAFETY: F_GETFD only looks at a number, whatever it stands for.
    let flags = retry(|| unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // Everything that the standard library and this crate open closes on exec, so it cannot look inherited.
    if flags & libc::FD_CLOEXEC != 0 || TAKEN.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this descriptor was not passed, or is taken already",
        ));
    }
    // SAFETY: the descriptor is open, came with the process and is handed out once, so it has no other owner.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    // SAFETY: F_SETFD on a descriptor that we own.
    retry(|| unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) })?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::process::Stdio;

    use super::*;

    fn memory(name: &std::ffi::CStr, contents: &[u8]) -> File {
        // SAFETY: the name lives across the call.
        let fd = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) }).unwrap();
        // SAFETY: the kernel has just made this descriptor for us.
        let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        file.write_all(contents).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_child_finds_its_descriptors_in_order() {
        let mut files: Vec<OwnedFd> = (0..6)
            .map(|i| memory(c"test", format!("{i} ").as_bytes()).into())
            .collect();
        files.reverse();
        let mut command = Command::new("sh");
        command.args(["-c", "cat <&3 && cat <&4 && cat <&5 && cat <&6 && cat <&7 && cat <&8"]);
        pass_fds(&mut command, &files).unwrap();
        drop(files);
        detach(&mut command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = String::new();
        child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        child.wait().unwrap();
        assert_eq!(output, "5 4 3 2 1 0 ");
    }

    #[test]
    fn a_child_has_no_descriptor_of_who_knows_where() {
        let file = memory(c"open", b"");
        // SAFETY: 60 is not in use by this test program.
        check(unsafe { libc::dup2(file.as_raw_fd(), 60) }).unwrap();
        let open = |closed: bool| {
            let mut command = Command::new("test");
            command.args(["-e", "/proc/self/fd/60"]);
            if closed {
                close_from(&mut command, FIRST_FD);
            }
            command.status().unwrap().success()
        };
        assert!(open(false) && !open(true));
    }

    #[test]
    fn only_what_was_inherited_can_be_taken_and_only_once() {
        let file = memory(c"own", b"");
        for number in [-1, 0, 2, 64, 1000, file.as_raw_fd()] {
            assert!(inherited_fd(number).is_err(), "{number}");
        }
        // SAFETY: 61 is not in use by this test program.
        check(unsafe { libc::dup2(file.as_raw_fd(), 61) }).unwrap();
        let fd = inherited_fd(61).unwrap();
        assert!(inherited_fd(61).is_err());
        drop(fd);
        assert_eq!(inherited_fd(61).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }
}
