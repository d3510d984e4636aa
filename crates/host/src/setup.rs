//! What stands around an interface, as values: each [`Item`] can be made and unmade, and the way from one list of them to
//! another is a list of [`Change`]s.
//!
//! An item knows only what is its own: routes and rules carry our protocol number, the nftables table the name of the interface.

mod gateway;
mod item;
mod live;
mod plan;
mod routing;

use rustix::io::Errno;

use crate::nft::kill_switch::Exceptions;
use crate::nft::{self, Nftables, Table};
use crate::route::{self, Route};
use crate::{Error, Family, Netlink, address, link, rule, sysctl};

pub use gateway::gateway;
pub use item::{Item, Network};
pub use live::Live;
pub use plan::{Change, changed, changes};
pub use routing::{free_mark, routes, rule_for_mark};

/// An interface, which may be there or not, and the kernel that it is in.
pub struct Host {
    name: String,
    link: Option<u32>,
    netlink: Netlink,
}

impl Host {
    /// Looks for an interface in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// A failure of the socket.
    pub fn open(name: &str) -> Result<Self, Error> {
        let mut netlink = Netlink::open()?;
        let link = match link::index(&mut netlink, name) {
            Err(error) if error.is(Errno::NODEV) => None,
            index => Some(index?),
        };
        Ok(Self {
            name: name.to_owned(),
            link,
            netlink,
        })
    }

    /// Returns the socket, for questions.
    pub const fn netlink(&mut self) -> &mut Netlink {
        &mut self.netlink
    }

    /// Returns the index of the interface.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it was not there when this was opened.
    pub fn link(&self) -> Result<u32, Error> {
        let absent = || Error::new(format!("find the interface {}", self.name), Errno::NODEV.into());
        self.link.ok_or_else(absent)
    }

    /// Makes an item.
    ///
    /// # Errors
    ///
    /// `ENODEV` without the interface, `EEXIST` for a route that is there already, or the kernel's refusal.
    pub fn make(&mut self, item: &Item) -> Result<(), Error> {
        let name = &self.name;
        let link = self.link();
        let netlink = &mut self.netlink;
        match item {
            Item::Address(address) => address::add(netlink, link?, *address),
            Item::Mtu(mtu) => link::set_mtu(netlink, link?, *mtu),
            Item::Up => link::set_up(netlink, link?),
            Item::Route { to, table } => route::add(netlink, route(link?, *to, *table)),
            Item::Rule(rule) => rule::add(netlink, *rule),
            Item::Parameter { name, value, .. } => match sysctl::write(name, value) {
                // Of an interface that is gone.
                Err(error) if error.is(Errno::NOENT) && name.starts_with("net/") => Ok(()),
                written => written.map(drop),
            },
            Item::Firewall { .. } | Item::Access(_) | Item::Gateway { .. } => {
                let mut tables = tables(name, item, &[])?;
                tables.retain(|table| !table.family.is_missing());
                Nftables::open()?.replace(&tables)
            }
            Item::KillSwitch(exceptions) => make_kill_switches(&[(name, *exceptions)]),
        }
    }

    /// Unmakes an item. One that is not there any more counts as unmade, as do those of an interface that is gone. Other addresses stay.
    ///
    /// # Errors
    ///
    /// The kernel's refusal.
    pub fn unmake(&mut self, item: &Item) -> Result<(), Error> {
        let netlink = &mut self.netlink;
        let unmade = match (item, self.link) {
            (Item::Firewall { .. } | Item::KillSwitch(_) | Item::Access(_) | Item::Gateway { .. }, _) => {
                delete_tables(item, &self.name)
            }
            (Item::Rule(rule), _) => rule::remove(netlink, *rule),
            (Item::Parameter { name, value, before }, _) => give_back(name, value, before),
            (Item::Address(address), Some(link)) => {
                // Without it the kernel takes away all IPv4 addresses of a network with the first of them.
                let _ = sysctl::write(&format!("net/ipv4/conf/{}/promote_secondaries", self.name), "1");
                address::remove(netlink, link, *address)
            }
            (Item::Route { to, table }, Some(link)) => route::remove(netlink, route(link, *to, *table)),
            (Item::Up, Some(link)) => link::set_down(netlink, link),
            // What the interface had before is not known; another is set, or it goes with the interface.
            (Item::Mtu(_), _) | (_, None) => Ok(()),
        };
        match unmade {
            Err(error) if is_absent(item, &error) => Ok(()),
            unmade => unmade,
        }
    }
}

/// Makes the kill switches of several interfaces in one step; each lets pass what goes by any of them.
///
/// # Errors
///
/// The kernel's refusal; `InvalidInput` for a name that no interface can have.
pub fn make_kill_switches(switches: &[(&str, Exceptions)]) -> Result<(), Error> {
    if switches.is_empty() {
        return Ok(());
    }
    let v4 = nft::kill_switch::tables(Family::V4, switches)?;
    let v6 = nft::kill_switch::tables(Family::V6, switches)?;
    let mut nftables = Nftables::open()?;
    match nftables.replace(&[v4.as_slice(), v6.as_slice()].concat()) {
        Err(error) if is_unknown(&error) && Family::V6.is_missing() => nftables.replace(&v4),
        replaced => replaced,
    }
}

/// Tells whether the tables of an item are there as they are made, a kill switch together with all these `switches`.
///
/// # Errors
///
/// Those of [`Nftables::has`]; `InvalidInput` for a name that no interface can have.
pub fn has_tables(interface: &str, item: &Item, switches: &[(&str, Exceptions)]) -> Result<bool, Error> {
    let mut nftables = Nftables::open()?;
    for table in tables(interface, item, switches)? {
        // What a kernel without IPv6 has not got is not missing.
        if !table.family.is_missing() && !nftables.has(&table)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the tables of an item, those of a kill switch beside the other `switches`.
fn tables(interface: &str, item: &Item, switches: &[(&str, Exceptions)]) -> Result<Vec<Table>, Error> {
    match item {
        Item::Firewall {
            family,
            mark,
            addresses,
        } => Ok(vec![nft::tunnel::table(*family, interface, addresses, *mark)?]),
        Item::Access(groups) => Family::BOTH
            .into_iter()
            .map(|family| nft::access::table(family, interface, groups))
            .collect(),
        Item::Gateway { family, closed } => Ok(vec![nft::gateway::table(*family, interface, closed)?]),
        Item::KillSwitch(_) => {
            let name = nft::kill_switch::table_name(interface)?;
            let [v4, v6] = Family::BOTH.map(|family| nft::kill_switch::tables(family, switches));
            let mut own = [v4?, v6?].concat();
            own.retain(|table| table.name == name);
            Ok(own)
        }
        _ => Ok(Vec::new()),
    }
}

/// Tells whether an item could not be unmade because it is not there.
fn is_absent(item: &Item, error: &Error) -> bool {
    let absent = [Errno::NOENT, Errno::SRCH, Errno::ADDRNOTAVAIL, Errno::NODEV];
    let may_be_unknown = matches!(item, Item::Rule(_)) || item.is_table();
    absent.iter().any(|errno| error.is(*errno)) || may_be_unknown && is_unknown(error)
}

/// Tells whether the kernel has not got the family, policy routing or nf_tables.
fn is_unknown(error: &Error) -> bool {
    let unknown = [Errno::AFNOSUPPORT, Errno::OPNOTSUPP, Errno::PROTONOSUPPORT];
    unknown.iter().any(|errno| error.is(*errno))
}

fn delete_tables(item: &Item, interface: &str) -> Result<(), Error> {
    let Some((families, name)) = item.tables(interface)? else {
        return Ok(());
    };
    let mut nftables = Nftables::open()?;
    families.iter().try_for_each(|family| nftables.delete(*family, &name))
}

/// Gives a kernel parameter the value back that it had, unless somebody has given it another one since, or it is gone. One that was not
/// changed may have been by what came after it.
fn give_back(name: &str, value: &str, before: &str) -> Result<(), Error> {
    match sysctl::read(name) {
        Ok(now) if now == value || value == before => sysctl::write(name, before).map(drop),
        Err(error) if !error.is(Errno::NOENT) => Err(error),
        _ => Ok(()),
    }
}

fn route(link: u32, to: Network, table: u32) -> Route {
    Route {
        destination: to.address,
        prefix_len: to.prefix_len,
        gateway: None,
        link,
        table,
        protocol: route::PROTOCOL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_does_not_know_is_not_there() {
        let error = |errno: Errno| Error::new("remove it", errno.into());
        let firewall = Item::Firewall {
            family: Family::V6,
            mark: 1,
            addresses: Vec::new(),
        };
        for errno in [Errno::AFNOSUPPORT, Errno::OPNOTSUPP, Errno::PROTONOSUPPORT] {
            assert!(is_absent(&firewall, &error(errno)));
            assert!(!is_absent(&Item::Up, &error(errno)));
        }
        assert!(is_absent(&Item::Up, &error(Errno::NODEV)));
        assert!(!is_absent(&firewall, &error(Errno::PERM)));
    }
}
