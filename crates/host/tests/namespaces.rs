//! The machine around the tunnel against the real kernel, in network namespaces made by each test.
//!
//! Skipped with a word where network namespaces cannot be made; set `ADIT_REQUIRE_NETNS` to make that a failure.

use std::net::IpAddr;

use host::Netlink;
use sys::netns::Netns;

#[path = "namespaces/links.rs"]
mod links;
#[path = "namespaces/routes.rs"]
mod routes;

/// Two namespaces with a socket in each, or `None` where they cannot be made.
fn two_namespaces() -> Option<[(Netns, Netlink); 2]> {
    let make = || -> std::io::Result<(Netns, Netlink)> {
        let namespace = Netns::create()?;
        let netlink = namespace.run(Netlink::open)?.map_err(std::io::Error::other)?;
        Ok((namespace, netlink))
    };
    match (make(), make()) {
        (Ok(first), Ok(second)) => Some([first, second]),
        (Err(error), _) | (_, Err(error)) => {
            assert!(
                std::env::var_os("ADIT_REQUIRE_NETNS").is_none(),
                "no network namespaces: {error}"
            );
            eprintln!("SKIPPED: network namespaces cannot be made here: {error}");
            None
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
