//! systemd-resolved: told over the system bus which servers and domains belong to a link, as its own `resolvectl` does it.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use host::{Netlink, link};
use rustix::net::AddressFamily;
use serde::Serialize;
use zbus::{Connection, DynamicType, Error};

use super::super::{bus, say};

/// Where its own resolv.conf lies, as a link to it says.
const FOLDER: &str = "run/systemd/resolve/";

/// The addresses by which it answers.
const STUBS: [&str; 2] = ["127.0.0.53", "127.0.0.54"];

/// Says whom the C library asks.
const SWITCH: &str = "/etc/nsswitch.conf";

/// What people call it.
const WHO: &str = "systemd-resolved";

/// Its name on the bus, and what there is called there.
const NAME: &str = "org.freedesktop.resolve1";
const PATH: &str = "/org/freedesktop/resolve1";

/// What it answers for a link that systemd-networkd manages.
const BUSY: &str = "org.freedesktop.resolve1.LinkBusy";

/// A family of the kernel and the bytes of an address: `(iay)`.
type Address = (i32, Vec<u8>);

/// A name, and whether it is for nothing but choosing whom to ask: `(sb)`.
type Domain = (String, bool);

/// Tells whether it is whom programs ask for names, by this resolv.conf or by the C library.
pub(super) fn is_asked(resolv_conf: &Path) -> bool {
    let is_link = fs::read_link(resolv_conf).is_ok_and(|target| target.to_string_lossy().contains(FOLDER));
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    is_link || is_first_server(&text(resolv_conf)) || is_in_switch(&text(Path::new(SWITCH)))
}

fn is_first_server(resolv_conf: &str) -> bool {
    let mut servers = resolv_conf.lines().filter_map(|line| line.strip_prefix("nameserver"));
    servers.next().is_some_and(|server| STUBS.contains(&server.trim()))
}

fn is_in_switch(text: &str) -> bool {
    let mut hosts = text.lines().filter_map(|line| line.trim_start().strip_prefix("hosts:"));
    hosts.any(|services| services.split_whitespace().any(|service| service == "resolve"))
}

/// Finds out whether it answers; the bus starts it if it does not run.
pub(super) fn ping() -> Result<(), String> {
    bus::within(WHO, async |bus| {
        let peer = Some("org.freedesktop.DBus.Peer");
        let told = bus.call_method(Some(NAME), PATH, peer, "Ping", &());
        told.await.map(drop)
    })
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
    bus::within(WHO, async move |bus| {
        say(first);
        call(&bus, "SetLinkDNS", &(index, addresses)).await?;
        say(second);
        call(&bus, "SetLinkDomains", &(index, names)).await
    })
}

/// Takes back all that a link was given.
pub(super) fn revert(interface: &str) -> Result<(), String> {
    let index = index(interface)?;
    say(format_args!("[#] resolvectl revert {interface}"));
    bus::within(WHO, async move |bus| call(&bus, "RevertLink", &(index,)).await)
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
    let manager = Some("org.freedesktop.resolve1.Manager");
    let told = bus.call_method(Some(NAME), PATH, manager, method, body);
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
    fn it_is_asked_where_resolv_conf_or_the_c_library_leads_to_it() {
        assert!(is_first_server("# by hand\nnameserver 127.0.0.53\noptions edns0\n"));
        assert!(is_first_server("nameserver\t127.0.0.54 \nnameserver 192.0.2.1"));
        for other in [
            "",
            "# nameserver 127.0.0.53",
            "nameserver 192.0.2.1\nnameserver 127.0.0.53",
        ] {
            assert!(!is_first_server(other), "{other}");
        }
        assert!(is_in_switch(
            "passwd: files\nhosts:\tfiles resolve [!UNAVAIL=return] dns\n"
        ));
        for other in [
            "",
            "hosts: files dns",
            "# hosts: resolve",
            "hosts: files resolved",
            "passwd: resolve",
        ] {
            assert!(!is_in_switch(other), "{other}");
        }
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
