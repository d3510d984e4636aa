//! Whether a table of the kernel is what it would be made: somebody may have flushed a chain, or put a rule into it.

use netlink_packet_core::{DecodeError, DefaultNla, NLA_F_NESTED, Nla as _, NlasIterator, Parseable as _};

use super::message::{Message, NFTA_CHAIN_NAME, read_text};
use super::{Nftables, Table, foreign};
use crate::netlink::Error;

impl Nftables {
    /// Tells whether a table is there and at work, with these chains and rules and no others.
    ///
    /// # Errors
    ///
    /// `EPERM`; `EINVAL` without nf_tables; `Interrupted` when the rules never stop changing.
    pub fn has(&mut self, table: &Table) -> Result<bool, Error> {
        let mut chains = self.chains()?;
        let made = Message::new_table(table);
        chains.retain(|chain| foreign::is_of_table(chain, &made));
        if chains.len() != table.chains.len() {
            return Ok(false);
        }
        for chain in &table.chains {
            let is_same = |live: &&Message| read_text(&live.attributes, NFTA_CHAIN_NAME).as_deref() == Some(chain.name);
            let Some(live) = chains.iter().find(is_same) else {
                return Ok(false);
            };
            let rules = self.dump(&Message::get_rules(made.family, table.name.as_str(), chain.name))?;
            let wanted = chain.rules.iter().map(|rule| Message::new_rule(table, chain, rule));
            let is_as_made = is_in(&Message::new_chain(table, chain).attributes, &live.attributes)
                && rules.len() == chain.rules.len()
                && wanted
                    .zip(&rules)
                    .all(|(wanted, live)| is_in(&wanted.attributes, &live.attributes));
            if !is_as_made {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Tells whether attributes that were sent are among those that are listed, where the kernel adds some of its own. Of a kind that is
/// sent there may be no more: they are the elements of a list.
fn is_in(sent: &[DefaultNla], listed: &[DefaultNla]) -> bool {
    let mut left: Vec<&DefaultNla> = listed.iter().collect();
    let found = sent.iter().all(|sent| {
        let place = left.iter().position(|listed| kind(listed) == kind(sent));
        place.is_some_and(|place| is_same(sent, left.remove(place)))
    });
    found && !left.iter().any(|left| sent.iter().any(|sent| kind(sent) == kind(left)))
}

fn is_same(sent: &DefaultNla, listed: &DefaultNla) -> bool {
    let [ours, theirs] = [sent, listed].map(|attribute| {
        let mut value = vec![0; attribute.value_len()];
        attribute.emit_value(&mut value);
        value
    });
    if !sent.is_nested() {
        return ours == theirs;
    }
    let [ours, theirs] = [ours, theirs].map(|value| within(&value));
    matches!((ours, theirs), (Ok(ours), Ok(theirs)) if is_in(&ours, &theirs))
}

/// Returns the attributes in one, each with the mark of those that have others in them.
fn within(value: &[u8]) -> Result<Vec<DefaultNla>, DecodeError> {
    NlasIterator::new(value)
        .map(|attribute| DefaultNla::parse(&attribute?))
        .collect()
}

/// The kernel does not mark what it lists.
fn kind(attribute: &DefaultNla) -> u16 {
    attribute.kind() & !NLA_F_NESTED
}
