//! What of the items of an interface is there.

use std::collections::HashSet;

use super::{Host, Item, Network};
use crate::nft::{self, Nftables, TableName};
use crate::{Error, Family, address, link, route, rule, sysctl};

/// What is there, looked at once: an interface may have thousands of routes.
pub struct Live {
    items: HashSet<Item>,
    tables: Vec<(Family, TableName)>,
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
        items.extend(ours.map(|route| Item::Route {
            to: Network {
                address: route.destination,
                prefix_len: route.prefix_len,
            },
            table: route.table,
        }));
        let mut tables = Vec::new();
        for family in Family::BOTH {
            items.extend(rule::list(netlink, family)?.into_iter().map(Item::Rule));
            let names = [
                nft::tunnel::table_name(&name)?,
                nft::kill_switch::table_name(&name)?,
                nft::gateway::table_name(&name)?,
            ];
            // A kernel without nf_tables has none.
            if let Ok(mut nftables) = Nftables::open() {
                let there = names
                    .into_iter()
                    .filter(|name| nftables.exists(family, name).unwrap_or(false));
                tables.extend(there.map(|name| (family, name)));
            }
        }
        Ok(Self { items, tables, name })
    }

    /// Tells whether an item is there. Of a table only that it is, not what is in it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for the name of an interface that none can have.
    pub fn has(&self, item: &Item) -> Result<bool, Error> {
        Ok(match item {
            Item::Address(_) | Item::Mtu(_) | Item::Up | Item::Route { .. } | Item::Rule(_) => {
                self.items.contains(item)
            }
            Item::Parameter { name, value, .. } => sysctl::read(name).is_ok_and(|now| now == *value),
            Item::Firewall { family, .. } => self.has_table(*family, &nft::tunnel::table_name(&self.name)?),
            Item::Gateway { family, .. } => self.has_table(*family, &nft::gateway::table_name(&self.name)?),
            // The family that is not missed by a kernel without IPv6.
            Item::KillSwitch(_) => {
                let name = nft::kill_switch::table_name(&self.name)?;
                let has_v6 = || !super::has_ipv6() || self.has_table(Family::V6, &name);
                self.has_table(Family::V4, &name) && has_v6()
            }
        })
    }

    fn has_table(&self, family: Family, name: &TableName) -> bool {
        self.tables.iter().any(|(of, there)| (*of, there) == (family, name))
    }
}
