//! What an engine gives up before its first packet. Whoever takes it over by what comes from the network cannot run a program, or open or make a
//! file, and has none of the rights of root but those that a tunnel needs.
//!
//! There is no filter of system calls: with one each call takes longer, and an engine makes one for each datagram where the kernel has no
//! segments to offer.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus,
};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_no_new_privs};

/// For marks of encrypted packets, large socket buffers and more queues; and for ports below 1024.
const KEPT: CapabilitySet = CapabilitySet::NET_ADMIN.union(CapabilitySet::NET_BIND_SERVICE);

/// Read at the start: how many processors there are, and how much of them this program may use.
const READ: [&str; 3] = ["/proc/self", "/sys/devices/system/cpu", "/sys/fs/cgroup"];

/// Confines the calling thread and those that it starts; `socket` is the file that is to be removed at the end. A kernel without Landlock
/// (before 5.13, or by choice) leaves files open to it, which is returned.
///
/// # Errors
///
/// What the kernel refuses; what came before stays given up.
pub(super) fn confine(socket: Option<&Path>) -> io::Result<RulesetStatus> {
    set_no_new_privs(true)?;
    let mut sets = capabilities(None)?;
    sets.permitted &= KEPT;
    sets.effective &= KEPT;
    sets.inheritable = CapabilitySet::empty();
    set_capabilities(None, sets)?;
    restrict_files(socket).map_err(io::Error::other)
}

fn restrict_files(socket: Option<&Path>) -> Result<RulesetStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let folder = socket
        .and_then(Path::parent)
        .map(|folder| (folder, AccessFs::RemoveFile.into()));
    let read = READ.map(|folder| (Path::new(folder), read));
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))?
        .create()?;
    for (folder, access) in read.into_iter().chain(folder) {
        // What is not there needs no rule.
        if let Ok(folder) = PathFd::new(folder) {
            rules = rules.add_rule(PathBeneath::new(folder, access))?;
        }
    }
    Ok(rules.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::thread;

    #[test]
    fn what_is_confined_opens_and_runs_nothing_and_removes_its_socket() {
        let folder = std::env::temp_dir().join(format!("adit-confine-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let (socket, other) = (folder.join("wg0.sock"), folder.join("other"));
        let _listener = UnixListener::bind(&socket).unwrap();
        fs::write(&other, "secret").unwrap();
        let confined = || {
            let files = confine(Some(&socket)).unwrap();
            let refused = |outcome: io::Result<()>| {
                let kind = outcome.map_err(|error| error.kind());
                assert_eq!(kind, Err(io::ErrorKind::PermissionDenied));
            };
            if files != RulesetStatus::NotEnforced {
                refused(fs::read(&other).map(drop));
                refused(fs::write(&other, ""));
                refused(fs::write(folder.join("new"), ""));
                refused(Command::new("/bin/true").status().map(drop));
            }
            let rights = capabilities(None).unwrap();
            assert!(
                (rights.permitted | rights.effective | rights.inheritable)
                    .difference(KEPT)
                    .is_empty()
            );
            assert!(rustix::thread::no_new_privs().unwrap());
            assert!(thread::available_parallelism().is_ok());
            fs::remove_file(&socket).unwrap();
        };
        // Of this thread alone.
        thread::scope(|scope| scope.spawn(confined).join().unwrap());
        assert_eq!(fs::read(&other).unwrap(), b"secret");
        fs::remove_dir_all(&folder).unwrap();
    }
}
