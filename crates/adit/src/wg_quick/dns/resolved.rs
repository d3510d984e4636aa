//! systemd-resolved: told over the system bus which servers and domains belong to a link, as its own `resolvectl` does it.

use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use host::{Netlink, link};
use rustix::net::AddressFamily;
use serde::Serialize;
use zbus::connection::{Builder, Connection};
use zbus::{DynamicType, Error};

use super::super::say;

/// There while systemd-resolved runs.
const FOLDER: &str = "/run/systemd/resolve";

/// What it answers for a link that systemd-networkd manages.
const BUSY: &str = "org.freedesktop.resolve1.LinkBusy";

/// How long the bus and who answers there may take. It is for the greeting, too, on which zbus sets no limit.
const PATIENCE: Duration = Duration::from_secs(5);

/// A family of the kernel and the bytes of an address: `(iay)`.
type Address = (i32, Vec<u8>);

/// A name, and whether it is for nothing but choosing whom to ask: `(sb)`.
type Domain = (String, bool);

/// Tells whether it runs.
pub(super) fn runs() -> bool {
    Path::new(FOLDER).is_dir()
}

/// Gives servers and domains to a link. With `~` a domain says only what they are to be asked for.
pub(super) fn set(interface: &str, servers: &[IpAddr], domains: &[String]) -> Result<(), String> {
    let index = index(interface)?;
    let addresses: Vec<Address> = servers.iter().copied().map(address).collect();
    let domains = with_route(domains);
    let names: Vec<Domain> = domains.iter().map(|word| domain(word)).collect();
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let first = format!("[#] resolvectl dns {interface} {}", servers.join(" "));
    let second = format!("[#] resolvectl domain {interface} {}", domains.join(" "));
    within(PATIENCE, async move || {
        say(first);
        let bus = Builder::system().build().await?;
        call(&bus, "SetLinkDNS", &(index, addresses)).await?;
        say(second);
        call(&bus, "SetLinkDomains", &(index, names)).await
    })
}

/// Takes back all that a link was given.
pub(super) fn revert(interface: &str) -> Result<(), String> {
    let index = index(interface)?;
    say(format_args!("[#] resolvectl revert {interface}"));
    within(PATIENCE, async move || {
        let bus = Builder::system().build().await?;
        call(&bus, "RevertLink", &(index,)).await
    })
}

fn index(interface: &str) -> Result<i32, String> {
    let index = Netlink::open().and_then(|mut netlink| link::index(&mut netlink, interface));
    let index = index.map_err(|error| error.to_string())?;
    i32::try_from(index).map_err(|error| format!("interface {index}: {error}"))
}

/// With domains that they are only to be asked for, servers are asked for nothing else; without, for everything.
fn with_route(domains: &[String]) -> Vec<String> {
    let mut domains = domains.to_vec();
    if !domains.iter().any(|domain| domain.starts_with('~')) {
        domains.push("~.".to_owned());
    }
    domains
}

fn address(server: IpAddr) -> Address {
    let (family, bytes) = match server {
        IpAddr::V4(address) => (AddressFamily::INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AddressFamily::INET6, address.octets().to_vec()),
    };
    (i32::from(family.as_raw()), bytes)
}

fn domain(word: &str) -> Domain {
    match word.strip_prefix('~') {
        Some(name) => (name.to_owned(), true),
        None => (word.to_owned(), false),
    }
}

/// Calls a method of systemd-resolved, or of systemd-networkd for a link of its own.
async fn call(bus: &Connection, method: &str, body: &(impl Serialize + DynamicType)) -> zbus::Result<()> {
    let path = "/org/freedesktop/resolve1";
    let manager = Some("org.freedesktop.resolve1.Manager");
    let told = bus.call_method(Some("org.freedesktop.resolve1"), path, manager, method, body);
    match told.await {
        Err(Error::MethodError(name, ..)) if name.as_str() == BUSY => {}
        told => return told.map(drop),
    }
    let method = match method {
        "RevertLink" => "RevertLinkDNS",
        other => other,
    };
    let path = "/org/freedesktop/network1";
    let manager = Some("org.freedesktop.network1.Manager");
    let told = bus.call_method(Some("org.freedesktop.network1"), path, manager, method, body);
    told.await.map(drop)
}

/// Does work on the bus that must not take for ever. What takes too long goes on unheeded, and ends with the program.
fn within<F>(limit: Duration, work: impl FnOnce() -> F + Send + 'static) -> Result<(), String>
where
    F: Future<Output = zbus::Result<()>>,
{
    let (sender, receiver) = mpsc::channel();
    let run = move || {
        // Nobody listens any more after the limit.
        let _ = sender.send(zbus::block_on(work()));
    };
    let spawned = thread::Builder::new().name("adit-dns".to_owned()).spawn(run);
    spawned.map_err(|error| format!("cannot talk to systemd-resolved: {error}"))?;
    match receiver.recv_timeout(limit) {
        Ok(told) => told.map_err(|error| format!("systemd-resolved: {error}")),
        Err(_) => Err(format!("systemd-resolved does not answer within {} s", limit.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_domains_are_put_as_the_bus_wants_them() {
        assert_eq!(address("10.9.0.1".parse().unwrap()), (2, vec![10, 9, 0, 1]));
        let mut bytes = vec![0; 16];
        (bytes[0], bytes[1], bytes[15]) = (0xfd, 9, 1);
        assert_eq!(address("fd09::1".parse().unwrap()), (10, bytes));
        assert_eq!(domain("corp.example"), ("corp.example".to_owned(), false));
        assert_eq!(domain("~corp.example"), ("corp.example".to_owned(), true));
        assert_eq!(domain("~."), (".".to_owned(), true));
    }

    #[test]
    fn servers_are_asked_for_everything_unless_a_domain_is_marked() {
        let with_route = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            with_route(&words).join(" ")
        };
        assert_eq!(with_route(&[]), "~.");
        assert_eq!(with_route(&["corp.example"]), "corp.example ~.");
        assert_eq!(with_route(&["a.example", "~b.example"]), "a.example ~b.example");
    }
}
