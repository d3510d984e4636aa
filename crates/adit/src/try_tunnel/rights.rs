//! What a trial needs of the machine, asked before anything is made.

use std::fs::OpenOptions;
use std::io;

/// `CAP_NET_ADMIN`, `CAP_NET_RAW` and `CAP_SYS_ADMIN`, as bits of `CapEff`.
const NEEDED_CAPABILITIES: u64 = 1 << 12 | 1 << 13 | 1 << 21;

/// On what right the trial runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// The process has the capabilities itself.
    Own,
    /// The process became root of a user namespace of its own.
    UserNamespace,
}

impl Rights {
    /// A word for reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Rights::Own => "root",
            Rights::UserNamespace => "user namespace",
        }
    }
}

/// Makes sure of every right, entering a user namespace where needed. The process must have one thread.
///
/// # Errors
///
/// A sentence that names what is missing, and how to get it.
pub(crate) fn acquire() -> Result<Rights, String> {
    check_tun(OpenOptions::new().read(true).write(true).open("/dev/net/tun").map(drop))?;
    if has_capabilities(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()) {
        return Ok(Rights::Own);
    }
    sys::userns::enter_as_root().map_err(|error| no_user_namespace(&error))?;
    // Some distributions let the namespace be made and then withhold its rights.
    sys::netns::Netns::create().map_err(|error| no_user_namespace(&error))?;
    Ok(Rights::UserNamespace)
}

fn check_tun(opened: io::Result<()>) -> Result<(), String> {
    let Err(error) = opened else { return Ok(()) };
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => {
            "It is made by the kernel's tun driver: as root, `modprobe tun`.\n\
             In a container, start it with `--device /dev/net/tun`."
        }
        io::ErrorKind::PermissionDenied => "Run as root, or as root open it to all: `chmod 0666 /dev/net/tun`.",
        _ => "The kernel's tun driver does not answer: as root, `modprobe tun`.",
    };
    Err(format!("/dev/net/tun cannot be opened: {error}.\n{remedy}"))
}

fn no_user_namespace(error: &io::Error) -> String {
    format!(
        "CAP_NET_ADMIN is missing, and a user namespace that would give it cannot be made: {error}.\n\
         Run as root. Or let users make user namespaces; as root, whichever of these the system has:\n  \
         sysctl user.max_user_namespaces=10000\n  \
         sysctl kernel.unprivileged_userns_clone=1\n  \
         sysctl kernel.apparmor_restrict_unprivileged_userns=0\n\
         In a container, start it with `--cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_ADMIN`."
    )
}

fn has_capabilities(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
        .unwrap_or(0);
    effective & NEEDED_CAPABILITIES == NEEDED_CAPABILITIES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status_file() {
        assert!(has_capabilities("Name:\tadit\nCapEff:\t000001ffffffffff\n"));
        assert!(!has_capabilities("Name:\tadit\nCapEff:\t00000000a80425fb\n"));
        assert!(!has_capabilities(""));
    }

    #[test]
    fn a_missing_device_names_itself_and_the_remedy() {
        let missing = check_tun(Err(io::ErrorKind::NotFound.into())).unwrap_err();
        assert!(
            missing.contains("/dev/net/tun") && missing.contains("modprobe tun"),
            "{missing}"
        );
        let closed = check_tun(Err(io::ErrorKind::PermissionDenied.into())).unwrap_err();
        assert!(closed.contains("chmod"), "{closed}");
        assert!(check_tun(Ok(())).is_ok());
    }
}
