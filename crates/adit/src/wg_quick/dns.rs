//! Name servers: told to systemd-resolved, for this link only, where that is whom programs ask; else to a resolvconf, as the stock tool does;
//! else put into resolv.conf itself. If nothing takes them the tunnel comes up all the same, with a warning, unless the file requires them.

mod resolv_conf;
mod resolved;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use conf::quick::Quick;
use serde::{Deserialize, Serialize};

use resolv_conf::Edit;

use super::{Failure, program, say};

/// Debian's resolvconf goes by the names of interfaces; this list says which come first.
const INTERFACE_ORDER: &str = "/etc/resolvconf/interface-order";

/// How many servers of resolv.conf C libraries ask (`MAXNS`).
const MOST_SERVERS: usize = 3;

/// The name servers of an interface, and who is told of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dns {
    interface: String,
    servers: Vec<IpAddr>,
    /// Tried after a short name; with `~` only to be asked for there.
    domains: Vec<String>,
    manager: Manager,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Manager {
    Resolvconf {
        /// The name that it knows the servers by.
        record: String,
    },
    /// systemd-resolved. What it is told goes with the link.
    Resolved,
    File(Edit),
}

impl Dns {
    /// Returns what a file wants; `None` if it names no server, or if nobody would take them and it does not require that.
    pub(super) fn wanted(interface: &str, quick: &Quick) -> Result<Option<Self>, Failure> {
        if quick.name_servers.is_empty() {
            if !quick.search_domains.is_empty() {
                say("Warning: DNS names search domains but no server: they are not used");
            }
            return Ok(None);
        }
        let manager = match Manager::find(interface) {
            Ok(manager) => manager,
            Err(why) => return failed(&why, quick.dns_required).map(|()| None),
        };
        let dns = Self {
            interface: interface.to_owned(),
            servers: quick.name_servers.iter().map(|server| server.value).collect(),
            domains: quick.search_domains.iter().map(|domain| domain.value.clone()).collect(),
            manager,
        };
        dns.warn_of_limits();
        Ok(Some(dns))
    }

    /// Tells what of it whoever takes it cannot do.
    fn warn_of_limits(&self) {
        if matches!(self.manager, Manager::Resolved) {
            return;
        }
        // Of `~.`, all names, that is what is meant.
        let left_out = self.domains.iter().filter(|domain| is_route(domain) && *domain != "~.");
        let left_out: Vec<&str> = left_out.map(String::as_str).collect();
        if !left_out.is_empty() {
            say(format_args!(
                "Warning: DNS of `{}': {} left out: only systemd-resolved asks servers for one domain alone, here they are asked for all names",
                self.interface,
                left_out.join(", ")
            ));
        }
        if self.servers.len() > MOST_SERVERS && self.is_edit() {
            say(format_args!(
                "Warning: DNS of `{}': of resolv.conf the first {MOST_SERVERS} servers are asked, and no others",
                self.interface
            ));
        }
    }

    /// Tells whether somebody else has put other servers in their place.
    pub(super) fn is_overwritten(&self) -> bool {
        self.edit().is_some_and(Edit::is_overwritten)
    }

    /// Tells whether both are the same servers and domains, whoever is told of them.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.servers, &self.domains) == (&other.servers, &other.domains)
    }

    /// Returns the same for who does not know whether they are in use: they are not what any file wants, and can be taken back.
    pub(super) fn unsure(&self) -> Self {
        Self {
            servers: Vec::new(),
            domains: Vec::new(),
            ..self.clone()
        }
    }

    /// Notes what will be changed, so that it can be undone.
    pub(super) fn prepare(&mut self) -> Result<(), String> {
        let text = self.resolv_conf();
        match &mut self.manager {
            Manager::File(edit) => edit
                .prepare(&text)
                .map_err(|error| format!("resolv.conf cannot be read: {error}")),
            Manager::Resolvconf { .. } | Manager::Resolved => Ok(()),
        }
    }

    /// Puts the servers to use.
    pub(super) fn set(&self) -> Result<(), String> {
        match &self.manager {
            Manager::Resolvconf { record } => {
                program::run("resolvconf", &["-a", record, "-m", "0", "-x"], &self.resolv_conf())
            }
            Manager::Resolved => resolved::set(&self.interface, &self.servers, &self.domains),
            Manager::File(edit) => {
                say("[#] edit /etc/resolv.conf");
                edit.make()
                    .map_err(|error| format!("resolv.conf cannot be written: {error}"))
            }
        }
    }

    /// Takes them back, from an interface that stays or one that is gone; those of `others` stay in use. What goes wrong is told, and stops
    /// nothing.
    pub(super) fn unset<'a>(&self, interface_stays: bool, others: impl IntoIterator<Item = &'a Self>) {
        let undone = match &self.manager {
            Manager::Resolvconf { record } => program::run("resolvconf", &["-d", record, "-f"], ""),
            Manager::Resolved if interface_stays => resolved::revert(&self.interface),
            Manager::Resolved => Ok(()),
            Manager::File(edit) => {
                say("[#] (undo) edit /etc/resolv.conf");
                let undone = edit.undo(others.into_iter().filter_map(Self::edit));
                undone.map_err(|error| format!("resolv.conf is left as it is: {error}"))
            }
        };
        if let Err(why) = undone {
            say(format_args!(
                "Warning: {why}: the name servers of `{}' may still be in use",
                self.interface
            ));
        }
    }

    /// Tells whether the servers stand in resolv.conf itself.
    pub(super) const fn is_edit(&self) -> bool {
        self.edit().is_some()
    }

    const fn edit(&self) -> Option<&Edit> {
        match &self.manager {
            Manager::File(edit) => Some(edit),
            Manager::Resolvconf { .. } | Manager::Resolved => None,
        }
    }

    fn resolv_conf(&self) -> String {
        let mut text = String::new();
        for server in &self.servers {
            text += &format!("nameserver {server}\n");
        }
        let domains = self.domains.iter().filter(|domain| !is_route(domain));
        let domains: Vec<&str> = domains.map(String::as_str).collect();
        if !domains.is_empty() {
            text += &format!("search {}\n", domains.join(" "));
        }
        text
    }
}

/// Tells whether servers are to be asked for a domain alone, and it is not to be tried after a short name.
fn is_route(domain: &str) -> bool {
    domain.starts_with('~')
}

impl Manager {
    /// Finds who is to be told, or tells why there is nobody.
    fn find(interface: &str) -> Result<Self, String> {
        let path = Path::new(resolv_conf::PATH);
        let mut nobody =
            "there is no systemd-resolved that programs ask, no resolvconf, and no resolv.conf of nobody else"
                .to_owned();
        if resolved::is_asked(path) {
            match resolved::ping() {
                Ok(()) => return Ok(Self::Resolved),
                Err(why) => nobody = why,
            }
        }
        // What is systemd-resolved's own tells nobody else.
        if program::find("resolvconf").is_some_and(|program| !is_resolvectl(&program)) {
            let record = format!("{}{interface}", prefix());
            Ok(Self::Resolvconf { record })
        } else if resolv_conf::can_be_edited(path) {
            Ok(Self::File(Edit::of(path)))
        } else {
            Err(nobody)
        }
    }
}

fn is_resolvectl(program: &Path) -> bool {
    let target = program.canonicalize().ok();
    target.is_some_and(|target| target.file_name().is_some_and(|name| name == "resolvectl"))
}

/// Warns, or fails if servers are required.
pub(super) fn failed(why: &str, required: bool) -> Result<(), Failure> {
    if required {
        return Err(Failure::new(format!(
            "{why}: the name servers of the file are required"
        )));
    }
    say(format_args!(
        "Warning: {why}: the name servers of the file may NOT be in use"
    ));
    Ok(())
}

/// Returns what a name must begin with to come first, `tun.` as a rule. Others than Debian's resolvconf need nothing.
fn prefix() -> String {
    let by_name = program::find("resolvconf").is_some_and(|path| !path.is_symlink());
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
