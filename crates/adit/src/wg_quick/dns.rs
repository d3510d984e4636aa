//! Name servers, by resolvconf. Without it the tunnel comes up all the same, with a warning.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use conf::quick::Quick;
use serde::{Deserialize, Serialize};

use super::Failure;

/// Debian's resolvconf goes by the names of interfaces; this list says which come first.
const INTERFACE_ORDER: &str = "/etc/resolvconf/interface-order";

/// What resolvconf is told for an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dns {
    /// The name that it knows the servers by.
    record: String,
    /// In the form of resolv.conf.
    text: String,
}

impl Dns {
    /// Returns what a file wants; `None` if it names no server.
    pub(super) fn wanted(interface: &str, quick: &Quick) -> Option<Self> {
        if quick.name_servers.is_empty() {
            if !quick.search_domains.is_empty() {
                eprintln!("Warning: DNS names search domains but no server: they are not used");
            }
            return None;
        }
        let mut text = String::new();
        for server in &quick.name_servers {
            text += &format!("nameserver {}\n", server.value);
        }
        let domains: Vec<&str> = quick
            .search_domains
            .iter()
            .map(|domain| domain.value.as_str())
            .collect();
        if !domains.is_empty() {
            text += &format!("search {}\n", domains.join(" "));
        }
        let record = format!("{}{interface}", prefix());
        Some(Self { record, text })
    }

    /// Tells resolvconf; false if there is none.
    pub(super) fn set(&self) -> Result<bool, Failure> {
        eprintln!("[#] resolvconf -a {} -m 0 -x", self.record);
        let mut command = Command::new("resolvconf");
        command
            .args(["-a", &self.record, "-m", "0", "-x"])
            .stdin(Stdio::piped());
        let mut child = match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                eprintln!("Warning: there is no resolvconf: the DNS servers of the file are NOT in use");
                return Ok(false);
            }
            child => child.map_err(|error| Failure::new(format!("cannot run resolvconf: {error}")))?,
        };
        if let Some(mut input) = child.stdin.take() {
            // Who does not read says why by its status.
            let _ = input.write_all(self.text.as_bytes());
        }
        let status = child
            .wait()
            .map_err(|error| Failure::new(format!("resolvconf: {error}")))?;
        if !status.success() {
            eprintln!("Warning: resolvconf failed ({status}): the DNS servers of the file are NOT in use");
        }
        Ok(true)
    }

    /// Takes it back. What goes wrong is told, and stops nothing.
    pub(super) fn unset(&self) {
        eprintln!("[#] resolvconf -d {} -f", self.record);
        if let Err(error) = Command::new("resolvconf").args(["-d", &self.record, "-f"]).status() {
            eprintln!("Warning: cannot run resolvconf: {error}");
        }
    }
}

/// Returns what a name must begin with to come first, `tun.` as a rule. Others than Debian's resolvconf need nothing.
fn prefix() -> String {
    let by_name = which("resolvconf").is_some_and(|path| !path.is_symlink());
    let order = fs::read_to_string(INTERFACE_ORDER).unwrap_or_default();
    let pattern = |line: &str| {
        line.strip_suffix('*')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
    };
    let good = |word: &String| word.bytes().all(|c| c.is_ascii_alphanumeric() || b"-.".contains(&c));
    let first = order.lines().filter_map(pattern).find(good);
    match first {
        Some(word) if by_name => word,
        _ => String::new(),
    }
}

fn which(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
