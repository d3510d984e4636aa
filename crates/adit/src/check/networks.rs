//! The networks to which this machine is attached.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use conf::check::Network;
use conf::prefix::Prefix;
use host::{Error, Netlink, address, link};

use crate::answer::Failure;

/// Returns the network of each address of each interface, without those that mean something else on every link.
pub(super) fn of_this_machine() -> Result<Vec<Network>, Failure> {
    read().map_err(|error| Failure::new("the networks of this machine", error))
}

fn read() -> Result<Vec<Network>, Error> {
    let mut netlink = Netlink::open()?;
    let links = link::list(&mut netlink)?.into_iter();
    let names: BTreeMap<u32, String> = links.map(|link| (link.index, link.name)).collect();
    let addresses = address::list_all(&mut netlink)?.into_iter();
    let networks: BTreeSet<(u32, Prefix)> = addresses
        .filter(|(_, own)| !is_of_one_link(own.address))
        .filter_map(|(link, own)| Some((link, Prefix::new(own.address, own.prefix_len)?)))
        .collect();
    let named = |(link, prefix): (u32, Prefix)| {
        let interface = names.get(&link)?.clone();
        Some(Network { interface, prefix })
    };
    Ok(networks.into_iter().filter_map(named).collect())
}

fn is_of_one_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_link_local_networks_are_no_networks_of_the_machine() {
        let kept = |text: &str| !is_of_one_link(text.parse().unwrap());
        assert!(
            ["127.0.0.1", "169.254.1.1", "::1", "fe80::1"]
                .into_iter()
                .all(|text| !kept(text))
        );
        assert!(["192.168.1.1", "fd00::1", "2001:db8::1"].into_iter().all(kept));
        assert!(
            of_this_machine()
                .unwrap()
                .iter()
                .all(|network| network.interface != "lo")
        );
    }
}
