//! nftables over netlink, without the program `nft`: whole tables, put in place in one step.
//!
//! A [`Table`] is a value; [`Nftables::replace`] makes the kernel's the same. What an interface needs is put together in
//! [`tunnel`], [`kill_switch`], [`gateway`] and [`access`], each a table of its own beside those of other programs.

pub mod access;
mod compare;
mod expression;
mod foreign;
pub mod gateway;
mod input;
pub mod kill_switch;
mod message;
mod name;
pub mod tunnel;
mod verdict;

use std::borrow::Cow;
use std::collections::BTreeMap;

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE};
use netlink_sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;

use crate::Family;
use crate::netlink::{Channel, Error};
use input::Input;
use message::{Message, NF_INET_FORWARD, NF_INET_LOCAL_IN};

pub use expression::{Expression, Mark, Source};
pub use foreign::ForeignChain;
pub use name::TableName;

/// A table with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The family of the packets that come by.
    pub family: Family,
    /// The name, unique in the family.
    pub name: TableName,
    /// The chains.
    pub chains: Vec<Chain>,
    /// The maps that rules look at.
    pub maps: Vec<VerdictMap>,
}

/// A list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The name, unique in the table.
    pub name: Cow<'static, str>,
    /// Which packets come by; without it those that a rule sends here.
    pub base: Option<Base>,
    /// The rules, each a sequence of expressions.
    pub rules: Vec<Vec<Expression>>,
}

/// What becomes of packets by a value that they have, all at the cost of one comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictMap {
    /// The name, unique in the table.
    pub name: String,
    /// Of values, all of which have the same length.
    pub verdicts: BTreeMap<Vec<u8>, Verdict>,
}

/// What becomes of a packet whose value is in a [`VerdictMap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes this table.
    Accept,
    /// It goes on in the chain of this name, and does not come back.
    Goto(Cow<'static, str>),
}

/// Which packets come by a chain, and what becomes of those that no rule decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// What the chain does.
    pub kind: Kind,
    /// Where packets come by.
    pub hook: Hook,
    /// Place among the chains of the hook: smaller numbers come first.
    pub priority: i32,
    /// What becomes of packets that no rule decides on.
    pub policy: Policy,
}

impl Base {
    /// Returns what lets packets pass that no rule drops.
    pub const fn filter(hook: Hook, priority: i32) -> Self {
        let (kind, policy) = (Kind::Filter, Policy::Accept);
        Self {
            kind,
            hook,
            priority,
            policy,
        }
    }
}

/// What a chain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Looks at every packet.
    Filter,
    /// Translates addresses: looks at the first packet of a connection.
    Nat,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It passes, unless another chain drops it.
    Accept,
    /// It is dropped.
    Drop,
}

/// A point in the way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// It has come in and is not yet routed.
    Prerouting,
    /// It came from elsewhere and goes elsewhere.
    Forward,
    /// This host made it.
    Output,
    /// It is about to leave.
    Postrouting,
}

/// What is done when rules of other programs are looked at.
const LIST: &str = "list the rules of nftables";

/// A socket to nf_tables, bound to the network namespace it was opened in.
pub struct Nftables(Channel<Message>);

impl Nftables {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// `EPROTONOSUPPORT` without netfilter in the kernel; those of `socket(2)`, `connect(2)` or `setsockopt(2)`.
    pub fn open() -> Result<Self, Error> {
        Channel::open(NETLINK_NETFILTER).map(Self).map_err(explained)
    }

    /// Puts tables in place of those with the same family and name, if there are any: all at once, or none.
    ///
    /// # Errors
    ///
    /// `EPERM`; `EOPNOTSUPP` without nf_tables, or without it for a family; `ENOENT` without what an expression needs.
    pub fn replace(&mut self, tables: &[Table]) -> Result<(), Error> {
        let mut changes = Vec::new();
        for table in tables {
            let create = |message| (message, NLM_F_CREATE);
            // One that is not there cannot be deleted, so it is made first.
            changes.push(create(Message::new_table(table)));
            changes.push((Message::delete_table(table.family, &table.name), 0));
            changes.push(create(Message::new_table(table)));
            // Rules may name any chain.
            changes.extend(
                table
                    .chains
                    .iter()
                    .map(|chain| create(Message::new_chain(table, chain))),
            );
            for (number, map) in (1..).zip(&table.maps) {
                changes.push(create(Message::new_map(table, map, number)));
                let elements = Message::new_elements(table, map);
                changes.extend(elements.map(create));
            }
            for chain in &table.chains {
                for rule in &chain.rules {
                    let message = Message::new_rule(table, chain, rule);
                    changes.push((message, NLM_F_CREATE | NLM_F_APPEND));
                }
            }
        }
        let names: Vec<String> = tables.iter().map(|table| title(table.family, &table.name)).collect();
        self.batch(changes, &format!("set the nftables tables {}", names.join(", ")))
            .map_err(explained)
    }

    /// Deletes the table of this name. There need not be one.
    ///
    /// # Errors
    ///
    /// `EPERM`; `EOPNOTSUPP` without nf_tables.
    pub fn delete(&mut self, family: Family, name: &TableName) -> Result<(), Error> {
        let action = format!("delete the nftables table {}", title(family, name));
        match self.batch(vec![(Message::delete_table(family, name), 0)], &action) {
            Err(error) if error.is(Errno::NOENT) => Ok(()),
            ended => ended,
        }
    }

    /// Tells whether there is a table of this name.
    ///
    /// # Errors
    ///
    /// `EPERM`; `EINVAL` without nf_tables.
    pub fn exists(&mut self, family: Family, name: &TableName) -> Result<bool, Error> {
        let query = (Message::get_table(family, name), NLM_F_ACK);
        let action = format!("look for the nftables table {}", title(family, name));
        match self.0.exchange([query], &action, |_| None::<()>) {
            Ok(_) => Ok(true),
            Err(error) if error.is(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the chains of other programs that drop forwarded packets, whatever other tables accept. What their rules accept is not looked at.
    ///
    /// # Errors
    ///
    /// `EPERM`; `EINVAL` without nf_tables; `Interrupted` when the chains never stop changing.
    pub fn forward_filters(&mut self) -> Result<Vec<ForeignChain>, Error> {
        let mut chains = foreign::at(NF_INET_FORWARD, &self.chains()?);
        chains.retain(ForeignChain::filters);
        Ok(chains)
    }

    /// Returns the chains of other programs that let in no UDP to a port, whatever other tables accept, each with the family if it is one of two
    /// that come by: none if some IPv4 can come in, or if somebody has opened the port to IPv6 alone. Of a rule that is not understood it is thought
    /// that it may accept.
    ///
    /// # Errors
    ///
    /// Like [`Self::forward_filters`].
    pub fn input_filters(&mut self, port: u16) -> Result<Vec<(ForeignChain, Option<Family>)>, Error> {
        let chains = self.chains()?;
        Input::new(self, &chains).shut_to(port, &foreign::at(NF_INET_LOCAL_IN, &chains))
    }

    /// Lists the chains by which packets go: not those of tables that are dormant.
    fn chains(&mut self) -> Result<Vec<Message>, Error> {
        let mut tables = self.dump(&Message::get_tables())?;
        tables.retain(foreign::is_dormant);
        let mut chains = self.dump(&Message::get_chains())?;
        chains.retain(|chain| !tables.iter().any(|table| foreign::is_of_table(chain, table)));
        Ok(chains)
    }

    /// Lists what there is unless that is more than `most`, or fails.
    fn few(&mut self, most: usize, request: &Message) -> Option<Vec<Message>> {
        let listed = self.0.dump_up_to(most, request, LIST, Some);
        if listed
            .as_ref()
            .is_err_and(|error| error.kind() == std::io::ErrorKind::OutOfMemory)
        {
            *self = Self::open().ok()?;
        }
        listed.ok()
    }

    fn dump(&mut self, request: &Message) -> Result<Vec<Message>, Error> {
        self.0.dump(request, LIST, Some)
    }

    /// Makes changes, each a message with its flags: all of them, or none if one is refused.
    fn batch(&mut self, mut changes: Vec<(Message, u16)>, action: &str) -> Result<(), Error> {
        // The kernel answers when the batch is through: refusals first, then the acknowledgement that was asked for.
        match changes.last_mut() {
            Some((_, flags)) => *flags |= NLM_F_ACK,
            None => return Ok(()),
        }
        changes.insert(0, (Message::batch_begin(), 0));
        changes.push((Message::batch_end(), 0));
        self.0.exchange(changes, action, |_| None::<()>).map(drop)
    }
}

/// Names what the kernel lacks, where that is why it cannot make a table.
fn explained(error: Error) -> Error {
    let lacks = |errno: &Errno| error.is(*errno);
    if [Errno::OPNOTSUPP, Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT]
        .iter()
        .any(lacks)
    {
        error.because("this kernel has no nf_tables: load the module nf_tables, or take a kernel with CONFIG_NF_TABLES, for IPv4 and IPv6")
    } else if lacks(&Errno::NOENT) {
        error.because("this kernel lacks a part of nf_tables: load the modules nft_ct, nft_fib_ipv4, nft_fib_ipv6, nft_chain_nat, nft_masq, nft_reject_ipv4 and nft_reject_ipv6")
    } else {
        error
    }
}

/// Returns how people name a table: `ip wg-quick-wg0`.
fn title(family: Family, name: &TableName) -> String {
    let family = match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    };
    format!("{family} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lacks_is_named() {
        let told = |errno: Errno| explained(Error::new("set it", errno.into())).to_string();
        for errno in [Errno::OPNOTSUPP, Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT] {
            assert!(told(errno).contains("CONFIG_NF_TABLES"), "{errno}");
        }
        assert!(told(Errno::NOENT).contains("nft_ct"));
        assert!(told(Errno::PERM).ends_with("(os error 1)"));
        let by_kernel = Error::new("set it", Errno::NOENT.into()).because("its own words");
        assert!(explained(by_kernel).to_string().ends_with("(its own words)"));
    }
}
