//! Whether a table of the kernel is what it would be made: somebody may have flushed a chain, or put a rule into it.

use std::collections::BTreeMap;

use netlink_packet_core::{DecodeError, DefaultNla, Nla as _, NlasIterator, Parseable as _};

use super::message::{
    Message, NFTA_CHAIN_NAME, NFTA_RULE_CHAIN, NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_LIST_ELEMENTS, bytes, kind, read_text,
    value,
};
use super::{Chain, Nftables, Table, foreign};
use crate::netlink::Error;

impl Nftables {
    /// Tells whether a table is there and at work, with these chains and rules and no others.
    ///
    /// # Errors
    ///
    /// `EPERM`; `EINVAL` without nf_tables; `Interrupted` when the rules never stop changing.
    pub fn has(&mut self, table: &Table) -> Result<bool, Error> {
        let made = Message::new_table(table);
        let mut chains = self.chains()?;
        chains.retain(|chain| foreign::is_of_table(chain, &made));
        let chains = by_name(chains, NFTA_CHAIN_NAME);
        let rules = self.dump(&Message::get_rules(made.family, table.name.as_str(), None))?;
        let rules = by_name(rules, NFTA_RULE_CHAIN);
        if chains.len() != table.chains.len() {
            return Ok(false);
        }
        let is_as_made = |chain: &Chain| {
            let name: Option<String> = Some(chain.name.clone().into());
            let live = chains.get(&name).map(Vec::as_slice).unwrap_or_default();
            let rules = rules.get(&name).map(Vec::as_slice).unwrap_or_default();
            let wanted = chain.rules.iter().map(|rule| Message::new_rule(table, chain, rule));
            are_in([Message::new_chain(table, chain)], live) && are_in(wanted, rules)
        };
        if !table.chains.iter().all(is_as_made) {
            return Ok(false);
        }
        for map in &table.maps {
            let listed = self.dump(&Message::get_elements(made.family, table.name.as_str(), &map.name))?;
            let made = Message::new_elements(table, map);
            let [listed, made] = [elements(&listed), elements(&made.collect::<Vec<_>>())];
            let is_there = |(value, made): (_, &Vec<_>)| listed.get(value).is_some_and(|listed| is_in(made, listed));
            if listed.len() != made.len() || !made.iter().all(is_there) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns what is listed, by a name that it has.
fn by_name(listed: Vec<Message>, name: u16) -> BTreeMap<Option<String>, Vec<Message>> {
    let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for message in listed {
        let name = read_text(&message.attributes, name);
        by_name.entry(name).or_default().push(message);
    }
    by_name
}

/// Tells whether what is listed is what was sent, in the same order.
fn are_in(sent: impl IntoIterator<Item = Message>, listed: &[Message]) -> bool {
    let mut listed = listed.iter();
    let are_there = sent.into_iter().all(|sent| {
        listed
            .next()
            .is_some_and(|listed| is_in(&sent.attributes, &listed.attributes))
    });
    are_there && listed.next().is_none()
}

/// Returns the attributes of the elements in messages, each by the value that it is for.
fn elements(messages: &[Message]) -> BTreeMap<Option<Vec<u8>>, Vec<DefaultNla>> {
    let lists = messages
        .iter()
        .filter_map(|message| value(&message.attributes, NFTA_SET_ELEM_LIST_ELEMENTS));
    let all = lists.flat_map(|list| within(&list).unwrap_or_default());
    all.map(|element| within(&bytes(&element)).unwrap_or_default())
        .map(|attributes| (value(&attributes, NFTA_SET_ELEM_KEY), attributes))
        .collect()
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
    let [ours, theirs] = [sent, listed].map(bytes);
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
