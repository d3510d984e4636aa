//! What an engine gives up before its first packet. Whoever takes it over by what comes from the network cannot run a program, open or make a
//! file, send a signal or use TCP, and has none of the rights of root but those that a tunnel needs. Before Linux 7.1 it can still connect to the
//! socket of another program as root.
//!
//! There is no filter of system calls: with one each call takes longer, and an engine makes one for each datagram where the kernel has no
//! segments to offer.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, RulesetStatus, Scope,
};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_no_new_privs};

/// For marks of encrypted packets, large socket buffers and more queues; and for ports below 1024.
const KEPT: CapabilitySet = CapabilitySet::NET_ADMIN.union(CapabilitySet::NET_BIND_SERVICE);

/// Read at the start: how many processors there are, and how much of them this program may use.
const READ: [&str; 3] = ["/proc/self", "/sys/devices/system/cpu", "/sys/fs/cgroup"];

/// Names the socket on which systemd hears that the engine runs.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Confines the calling thread and those that it starts; `socket` is the file that is to be removed at the end. A kernel without Landlock
/// (before 5.13, or by choice), or with an early one, leaves more open to it, which is returned.
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
    restrict(socket).map_err(io::Error::other)
}

fn restrict(socket: Option<&Path>) -> Result<RulesetStatus, RulesetError> {
    let read = READ.map(|folder| (PathBuf::from(folder), AccessFs::ReadFile | AccessFs::ReadDir));
    let folder = socket.and_then(Path::parent).map(Path::to_owned);
    let folder = folder.map(|folder| (folder, AccessFs::RemoveFile.into()));
    let told = env::var_os(NOTIFY_SOCKET).map(PathBuf::from);
    let told = told.map(|socket| (socket, AccessFs::ResolveUnix.into()));
    // Of UDP, which the next version can forbid, is what an engine does.
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V9))?
        .handle_access(AccessNet::from_all(ABI::V9))?
        .scope(Scope::from_all(ABI::V9))?
        .create()?;
    for (path, access) in read.into_iter().chain(folder).chain(told) {
        // What is not there needs no rule.
        if let Ok(path) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(path, access))?;
        }
    }
    Ok(rules.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::{TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::process::Command;
    use std::thread;

    use rustix::process::{Pid, Signal, kill_process};

    /// Tells whether the kernel is of this version at least.
    fn is_since(version: (u32, u32)) -> bool {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap(), numbers.next().unwrap()) >= version
    }

    #[test]
    fn what_is_confined_opens_runs_and_calls_nothing_and_removes_its_socket() {
        let folder = std::env::temp_dir().join(format!("adit-confine-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let (socket, other) = (folder.join("wg0.sock"), folder.join("other"));
        let _listener = UnixListener::bind(&socket).unwrap();
        fs::write(&other, "secret").unwrap();
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        let abstract_name = SocketAddr::from_abstract_name(folder.as_os_str().as_encoded_bytes()).unwrap();
        let _bus = UnixListener::bind_addr(&abstract_name).unwrap();
        let mut program = Command::new("sleep").arg("60").spawn().unwrap();
        let [is_since_6_7, is_since_6_12] = [(6, 7), (6, 12)].map(is_since);
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
                if is_since_6_7 {
                    refused(TcpStream::connect(service.local_addr().unwrap()).map(drop));
                }
                if is_since_6_12 {
                    refused(UnixStream::connect_addr(&abstract_name).map(drop));
                    refused(kill_process(Pid::from_child(&program), Signal::TERM).map_err(io::Error::from));
                }
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
        program.kill().unwrap();
        program.wait().unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"secret");
        fs::remove_dir_all(&folder).unwrap();
    }
}
