//! The machine around the tunnel against the real kernel, in network namespaces made by each test.
//!
//! Skipped with a word where network namespaces cannot be made; set `ADIT_REQUIRE_NETNS` to make that a failure.

use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::process::{Command, Stdio};

use host::address::{self, InterfaceAddress};
use host::link::{self, VethEnd};
use host::{Error, Netlink};
use sys::netns::Netns;

#[path = "namespaces/access.rs"]
mod access;
#[path = "namespaces/links.rs"]
mod links;
#[path = "namespaces/nftables.rs"]
mod nftables;
#[path = "namespaces/routes.rs"]
mod routes;
#[path = "namespaces/rules.rs"]
mod rules;
#[path = "namespaces/sysctls.rs"]
mod sysctls;

/// Two namespaces with a socket in each, or `None` where they cannot be made.
fn two_namespaces() -> Option<[(Netns, Netlink); 2]> {
    let make = || -> std::io::Result<(Netns, Netlink)> {
        let namespace = Netns::create()?;
        let netlink = namespace.run(Netlink::open)?.map_err(std::io::Error::other)?;
        Ok((namespace, netlink))
    };
    match (make(), make()) {
        (Ok(first), Ok(second)) => Some([first, second]),
        (Err(error), _) | (_, Err(error)) => skip(&format!("network namespaces cannot be made here: {error}")),
    }
}

/// Says why a test is skipped; fails it where that must not be.
fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("ADIT_REQUIRE_NETNS").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
    None
}

/// Runs a program in a namespace with an input and returns its output; `None` where there is no such program.
fn run(namespace: &Netns, line: &str, input: &str) -> Option<String> {
    let run = || {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().unwrap().write_all(input.as_bytes())?;
        child.wait_with_output()
    };
    match namespace.run(run).unwrap() {
        Err(error) if error.kind() == ErrorKind::NotFound => skip(&format!("no program for {line:?}")),
        output => {
            let output = output.unwrap();
            assert!(output.status.success(), "{line}: {}", output.status);
            Some(String::from_utf8(output.stdout).unwrap())
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Makes a veth pair within the namespace of the socket and returns the index of its first end, which is up.
fn veth(netlink: &mut Netlink, first: &str, second: &str) -> Result<u32, Error> {
    let end = |name| VethEnd { name, namespace: None };
    link::create_veth(netlink, end(first), end(second))?;
    // A link without carrier has no routes of IPv6 that could be used.
    let other = link::index(netlink, second)?;
    link::set_up(netlink, other)?;
    let index = link::index(netlink, first)?;
    link::set_up(netlink, index)?;
    Ok(index)
}

fn add_address(netlink: &mut Netlink, link: u32, address: &str, prefix_len: u8) -> Result<(), Error> {
    let address = ip(address);
    address::add(netlink, link, InterfaceAddress { address, prefix_len })
}
