//! Becoming root of a user namespace of one's own, for what needs no real privilege outside it.

use std::fs::{read_to_string, write};
use std::io;

use rustix::process::{getegid, geteuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the process into a new user namespace where it is root and its own user is the only one.
///
/// It then holds every capability over namespaces it makes afterwards, and none over those it came from.
/// Call it before any thread is started.
///
/// # Errors
/// `InvalidInput` when there is another thread; `PermissionDenied` or `StorageFull` where the system forbids user
/// namespaces.
pub fn enter_as_root() -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    // SAFETY: CLONE_NEWUSER leaves the descriptor table alone, and the kernel refuses it when there are other threads.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }?;
    // Without this the kernel refuses a group map from the unprivileged.
    if read_to_string("/proc/self/setgroups").is_ok_and(|state| state.trim() == "allow") {
        write("/proc/self/setgroups", "deny")?;
    }
    write("/proc/self/uid_map", format!("0 {user} 1"))?;
    write("/proc/self/gid_map", format!("0 {group} 1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Netns;

    #[test]
    fn the_root_of_a_user_namespace_makes_network_namespaces_and_devices() {
        // SAFETY: the child, which has one thread, runs plain code and leaves by _exit; glibc and musl keep their
        // allocators usable after a fork.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let outcome = enter_as_root().map_err(|_| 2).and_then(|()| {
                let namespace = Netns::create().map_err(|_| 3)?;
                let uid = geteuid().as_raw();
                let tun = namespace.run(|| crate::tun::Tun::create("u%d", false)).map_err(|_| 4)?;
                if uid == 0 && tun.is_ok() { Ok(()) } else { Err(5) }
            });
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(outcome.err().unwrap_or(0)) };
        }
        let mut status = 0;
        // SAFETY: waits for our own child; the status lives across the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        match libc::WEXITSTATUS(status) {
            2 => eprintln!("SKIPPED: this system forbids user namespaces"),
            code => assert!(libc::WIFEXITED(status) && code == 0, "exit code {code}"),
        }
    }
}
