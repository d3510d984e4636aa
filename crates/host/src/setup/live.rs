//! What of the items of an interface is there.

use std::collections::HashSet;

use super::{Host, Item};
use crate::nft::Nftables;
use crate::{Error, Family, address, link, route, rule, sysctl};

/// What is there, looked at once: an interface may have thousands of routes.
pub struct Live {
    items: HashSet<Item>,
    /// `None` where the kernel has no nf_tables.
    nftables: Option<Nftables>,
    name: String,
}

impl Live {
    /// Looks at an interface, and what stands around it.
    ///
    /// # Errors
    ///
    /// `ENODEV` without the interface; a failure of the socket.
    pub fn read(host: &mut Host) -> Result<Self, Error> {
        let index = host.link()?;
        let name = host.name.clone();
        let netlink = host.netlink();
        let state = link::read(netlink, index)?;
        let mut items = HashSet::from([Item::Mtu(state.mtu)]);
        items.extend(state.up.then_some(Item::Up));
        items.extend(address::list(netlink, index)?.into_iter().map(Item::Address));
        let routes = route::list(netlink, index)?.into_iter();
        let ours = routes.filter(|route| route.protocol == route::PROTOCOL);
        items.extend(ours.map(Item::from));
        for family in Family::BOTH {
            items.extend(rule::list(netlink, family)?.into_iter().map(Item::Rule));
        }
        let nftables = Nftables::open().ok();
        Ok(Self { items, nftables, name })
    }

    /// Tells whether an item is there. Of a table only that it is, not what is in it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for the name of an interface that none can have.
    pub fn has(&mut self, item: &Item) -> Result<bool, Error> {
        if let Item::Parameter { name, value, .. } = item {
            return Ok(sysctl::read(name).is_ok_and(|now| now == *value));
        }
        let Some((families, name)) = item.tables(&self.name)? else {
            return Ok(self.items.contains(item));
        };
        let Some(nftables) = &mut self.nftables else {
            return Ok(false);
        };
        // What a kernel without IPv6 has not got is not missing.
        let mut wanted = families.iter().filter(|family| !family.is_missing());
        Ok(wanted.all(|family| nftables.exists(*family, &name).unwrap_or(false)))
    }
}
