//! What stands around an interface, as values: each [`Item`] can be made and unmade, and the way from one list of them to
//! another is a list of [`Change`]s.
//!
//! An item knows only what is its own: routes and rules carry our protocol number, the nftables table the name of the interface.

mod plan;
mod routing;

use std::fmt;
use std::net::IpAddr;

use conf::prefix::Prefix;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::address::InterfaceAddress;
use crate::nft::{self, Nftables};
use crate::route::{self, Route};
use crate::rule::{self, Rule};
use crate::{Error, Family, Netlink, address, link, sysctl};

pub use plan::{Change, changed, changes};
pub use routing::{free_mark, routes};

/// The switch that makes reverse-path checks look at marks, which answers to encrypted packets need.
const VALID_MARK: &str = "net.ipv4.conf.all.src_valid_mark";

/// One thing that stands around an interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Item {
    /// An address of the interface.
    Address(InterfaceAddress),
    /// The largest packet, in bytes.
    Mtu(u32),
    /// The interface carries packets.
    Up,
    /// What goes to these addresses goes into the tunnel.
    Route {
        /// Where it goes to.
        to: Network,
        /// Number of the table.
        table: u32,
    },
    /// A table is looked at for some packets.
    Rule(Rule),
    /// Reverse-path checks look at marks. Once on, it stays on until nobody needs it: who removes the last interface with this
    /// item gives the parameter back its value.
    ValidMark {
        /// The value before the first interface that needed it.
        before: String,
    },
    /// Packets to the addresses come by the tunnel only, and answers to encrypted packets get the mark of these.
    Firewall {
        /// Of the packets.
        family: Family,
        /// Of encrypted packets.
        mark: u32,
        /// Of the interface.
        addresses: Vec<IpAddr>,
    },
}

impl Item {
    /// Tells whether making it does away with `other`: of both there is only one.
    pub fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mtu(_), Self::Mtu(_)) | (Self::ValidMark { .. }, Self::ValidMark { .. }) => true,
            (Self::Firewall { family: one, .. }, Self::Firewall { family: two, .. }) => one == two,
            _ => false,
        }
    }
}

/// Addresses that have their first bits in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// Bits beyond the prefix are zero.
    pub address: IpAddr,
    /// In bits.
    pub prefix_len: u8,
}

impl From<Prefix> for Network {
    fn from(prefix: Prefix) -> Self {
        let (address, prefix_len) = prefix.into();
        Self { address, prefix_len }
    }
}

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
        let link = self.link()?;
        let netlink = &mut self.netlink;
        match item {
            Item::Address(address) => address::add(netlink, link, *address),
            Item::Mtu(mtu) => link::set_mtu(netlink, link, *mtu),
            Item::Up => link::set_up(netlink, link),
            Item::Route { to, table } => route::add(netlink, route(link, *to, *table)),
            Item::Rule(rule) => rule::add(netlink, *rule),
            Item::ValidMark { .. } => sysctl::write(VALID_MARK, "1").map(drop),
            Item::Firewall {
                family,
                mark,
                addresses,
            } => {
                let table = nft::tunnel::table(*family, &self.name, addresses, *mark)?;
                Nftables::open()?.replace(&[table])
            }
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
            (Item::Rule(rule), _) => rule::remove(netlink, *rule),
            (Item::ValidMark { before }, _) => sysctl::write(VALID_MARK, before).map(drop),
            (Item::Firewall { family, .. }, _) => {
                let name = nft::tunnel::table_name(&self.name)?;
                Nftables::open().and_then(|mut nft| nft.delete(*family, &name))
            }
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

/// Tells whether an item could not be unmade because it is not there.
fn is_absent(item: &Item, error: &Error) -> bool {
    let absent = [Errno::NOENT, Errno::SRCH, Errno::ADDRNOTAVAIL, Errno::NODEV];
    // A kernel without the family, policy routing or nf_tables has none of these.
    let unknown = [Errno::AFNOSUPPORT, Errno::OPNOTSUPP, Errno::PROTONOSUPPORT];
    let may_be_unknown = matches!(item, Item::Rule(_) | Item::Firewall { .. });
    let is_any = |list: &[Errno]| list.iter().any(|errno| error.is(*errno));
    is_any(&absent) || may_be_unknown && is_any(&unknown)
}

/// Returns the value that the switch for marks has.
///
/// # Errors
///
/// Those of reading a file.
pub fn valid_mark() -> Result<String, Error> {
    sysctl::read(VALID_MARK)
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

/// Writes the command of iproute2 and the like that would make it, but for the name of the interface.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(InterfaceAddress { address, prefix_len }) => {
                write!(
                    f,
                    "ip -{} address add {address}/{prefix_len}",
                    version(Family::of(*address))
                )
            }
            Self::Mtu(mtu) => write!(f, "ip link set mtu {mtu}"),
            Self::Up => write!(f, "ip link set up"),
            Self::Route { to, table } => {
                let version = version(Family::of(to.address));
                write!(f, "ip -{version} route add {}/{}", to.address, to.prefix_len)?;
                if *table == route::MAIN_TABLE {
                    Ok(())
                } else {
                    write!(f, " table {table}")
                }
            }
            Self::Rule(rule) => {
                write!(f, "ip -{} rule add priority {}", version(rule.family), rule.priority)?;
                if let Some(mark) = rule.unless_fwmark {
                    write!(f, " not fwmark {mark}")?;
                }
                write!(f, " table {}", rule.table)?;
                match rule.suppress_prefix_len {
                    Some(len) => write!(f, " suppress_prefixlength {len}"),
                    None => Ok(()),
                }
            }
            Self::ValidMark { .. } => write!(f, "sysctl -q {VALID_MARK}=1"),
            Self::Firewall { family, .. } => write!(f, "nft -f - (family {})", version(*family)),
        }
    }
}

const fn version(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
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
