//! What can stand around an interface.

use std::fmt;
use std::net::IpAddr;
use std::slice;

use conf::prefix::Prefix;
use serde::{Deserialize, Serialize};

use crate::address::InterfaceAddress;
use crate::nft::access::Group;
use crate::nft::kill_switch::Exceptions;
use crate::nft::{self, TableName};
use crate::route::{self, Route};
use crate::rule::{Goto, Rule};
use crate::{Error, Family, sysctl};

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
    /// A kernel parameter has a value. It keeps it until nobody needs it: who removes the last interface with this item gives it
    /// back the value that it had.
    Parameter {
        /// As of [`crate::sysctl`].
        name: String,
        /// While it is needed.
        value: String,
        /// Before the first interface that needed it.
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
    /// Packets leave this machine by the tunnel only, whether it is there or not.
    KillSwitch(Exceptions),
    /// Packets of peers go where their group may reach, and nowhere else.
    Access(Vec<Group>),
    /// The peers reach other networks through this machine.
    Gateway {
        /// Of the packets.
        family: Family,
        /// The interfaces between which nothing is forwarded, unless they have this item themselves.
        closed: Vec<String>,
    },
}

impl Item {
    /// Returns a kernel parameter with the value that it is to have. Where one of the `present` items is for it, that one.
    ///
    /// # Errors
    ///
    /// Those of reading the value that it has.
    pub(super) fn parameter(name: &str, value: &str, present: &[Self]) -> Result<Self, Error> {
        let wanted = Self::Parameter {
            name: name.to_owned(),
            value: value.to_owned(),
            before: String::new(),
        };
        match present.iter().find(|item| item.replaces(&wanted)) {
            Some(item) => Ok(item.clone()),
            None => Ok(Self::Parameter {
                name: name.to_owned(),
                value: value.to_owned(),
                before: sysctl::read(name)?,
            }),
        }
    }

    /// Tells whether it is a table of nftables, or several.
    pub const fn is_table(&self) -> bool {
        matches!(
            self,
            Self::Firewall { .. } | Self::KillSwitch(_) | Self::Access(_) | Self::Gateway { .. }
        )
    }

    /// Returns the families and the name of its tables, if it has any.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for the name of an interface that none can have.
    pub(super) fn tables(&self, interface: &str) -> Result<Option<(&[Family], TableName)>, Error> {
        Ok(match self {
            Self::Firewall { family, .. } => Some((slice::from_ref(family), nft::tunnel::table_name(interface)?)),
            Self::KillSwitch(_) => Some((&Family::BOTH, nft::kill_switch::table_name(interface)?)),
            Self::Access(_) => Some((&Family::BOTH, nft::access::table_name(interface)?)),
            Self::Gateway { family, .. } => Some((slice::from_ref(family), nft::gateway::table_name(interface)?)),
            _ => None,
        })
    }

    /// Tells whether making it does away with `other`: of both there is only one.
    pub fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mtu(_), Self::Mtu(_))
            | (Self::KillSwitch(_), Self::KillSwitch(_))
            | (Self::Access(_), Self::Access(_)) => true,
            (Self::Parameter { name: one, .. }, Self::Parameter { name: two, .. }) => one == two,
            (Self::Firewall { family: one, .. }, Self::Firewall { family: two, .. })
            | (Self::Gateway { family: one, .. }, Self::Gateway { family: two, .. }) => one == two,
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

/// Where it goes to, in which table: whose it is, and by which router, is not part of an item.
impl From<Route> for Item {
    fn from(route: Route) -> Self {
        let (address, prefix_len) = (route.destination, route.prefix_len);
        Self::Route {
            to: Network { address, prefix_len },
            table: route.table,
        }
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
                if let Some(Goto { fwmark, priority }) = rule.goto {
                    return write!(f, " fwmark {fwmark} goto {priority}");
                }
                if rule.table == 0 {
                    return write!(f, " nop");
                }
                write!(f, " table {}", rule.table)?;
                match rule.suppress_prefix_len {
                    Some(len) => write!(f, " suppress_prefixlength {len}"),
                    None => Ok(()),
                }
            }
            Self::Parameter { name, value, .. } => write!(f, "sysctl -q {name}={value}"),
            Self::Firewall { family, .. } => write!(f, "nft -f - (firewall, family {})", version(*family)),
            Self::KillSwitch(exceptions) => {
                let lan = if exceptions.local_network {
                    ", but for the LAN"
                } else {
                    ""
                };
                let dns = if exceptions.name_servers { ", but for DNS" } else { "" };
                write!(f, "nft -f - (kill switch{lan}{dns})")
            }
            Self::Access(_) => write!(f, "nft -f - (access rules of peers)"),
            Self::Gateway { family, .. } => write!(f, "nft -f - (gateway, family {})", version(*family)),
        }
    }
}

const fn version(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}
