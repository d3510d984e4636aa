//! Policy rules: which routing table is looked at for which packet.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use rustix::io::Errno;

use crate::Family;
use crate::netlink::{Error, Netlink};
use crate::route::PROTOCOL;

/// How the kernel writes "no" where a prefix length is meant.
const NO_PREFIX_LEN: u32 = u32::MAX;

/// A rule that sends packets to a routing table, or past other rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Rule {
    /// The family of the packets.
    pub family: Family,
    /// Place in the order: rules with smaller numbers are asked first, that of the main table at 32766.
    pub priority: u32,
    /// Packets with exactly this firewall mark are left to the next rule (`not fwmark N`).
    pub unless_fwmark: Option<u32>,
    /// It has no table, but sends packets with a mark past others.
    #[serde(default)]
    pub goto: Option<Goto>,
    /// Number of the table, or 0 for none: a rule that sends nothing anywhere is a place to go on at (`nop`).
    pub table: u32,
    /// Routes with prefixes up to this length count as not found (`suppress_prefixlength N`): 0 leaves the default route out.
    pub suppress_prefix_len: Option<u32>,
    /// Who made it (`RTPROT_*`): [`route::PROTOCOL`](crate::route::PROTOCOL) for our own.
    pub protocol: u8,
}

/// Where packets with exactly a firewall mark are sent on (`fwmark N goto P`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Goto {
    /// The mark.
    pub fwmark: u32,
    /// That of the rule which is asked next, if there is one.
    pub priority: u32,
}

/// Adds a rule.
///
/// # Errors
///
/// `EEXIST` when it is there already, `EPERM`.
pub fn add(netlink: &mut Netlink, rule: Rule) -> Result<(), Error> {
    let action = format!("add the policy rule {}", rule.priority);
    netlink.change(
        RouteNetlinkMessage::NewRule(message(rule)),
        NLM_F_CREATE | NLM_F_EXCL,
        &action,
    )
}

/// Removes one rule, and none of another priority, table, mark or protocol.
///
/// # Errors
///
/// `ENOENT` when it is not there, `EPERM`.
pub fn remove(netlink: &mut Netlink, rule: Rule) -> Result<(), Error> {
    let action = format!("remove the policy rule {}", rule.priority);
    netlink.change(RouteNetlinkMessage::DelRule(message(rule)), 0, &action)
}

/// Lists the rules of a family, in the order in which they are asked.
///
/// Rules with conditions or actions that a [`Rule`] cannot say are not among them; [`priorities`] has them all.
///
/// # Errors
///
/// A failure of the socket.
pub fn list(netlink: &mut Netlink, family: Family) -> Result<Vec<Rule>, Error> {
    dump(netlink, family, |message| parse(family, message))
}

/// Lists the priorities of all rules of a family, in the order in which they are asked.
///
/// # Errors
///
/// A failure of the socket.
pub fn priorities(netlink: &mut Netlink, family: Family) -> Result<Vec<u32>, Error> {
    dump(netlink, family, |message| Some(priority(message)))
}

/// Which packets of a mark a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkMatch {
    /// Of the rule.
    pub priority: u32,
    /// The bits of the mark that are looked at.
    pub mask: u32,
    /// What they must be.
    pub fwmark: u32,
}

impl MarkMatch {
    /// Tells whether packets with a mark are among them.
    pub const fn is_for(&self, fwmark: u32) -> bool {
        (fwmark ^ self.fwmark) & self.mask == 0
    }
}

/// Lists what the rules of a family, whatever else they say, match marks with; not those for packets without a mark (`not fwmark N`), or
/// of ours that send past others.
///
/// # Errors
///
/// A failure of the socket.
pub fn mark_matches(netlink: &mut Netlink, family: Family) -> Result<Vec<MarkMatch>, Error> {
    let is_ours = |rule: Rule| rule.goto.is_some() && rule.protocol == PROTOCOL;
    dump(netlink, family, |message| {
        let mut found = MarkMatch {
            priority: priority(message),
            mask: u32::MAX,
            fwmark: 0,
        };
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::FwMark(fwmark) => found.fwmark = *fwmark,
                RuleAttribute::FwMask(mask) => found.mask = *mask,
                _ => {}
            }
        }
        let inverted = message.header.flags.contains(RuleFlags::Invert);
        let is_meant = found.fwmark != 0 && !inverted && !parse(family, message).is_some_and(is_ours);
        is_meant.then_some(found)
    })
}

fn dump<T>(
    netlink: &mut Netlink,
    family: Family,
    mut keep: impl FnMut(&RuleMessage) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut request = RuleMessage::default();
    request.header.family = family.into();
    let request = RouteNetlinkMessage::GetRule(request);
    let rules = netlink.dump(&request, "list the policy rules", |answer| match answer {
        RouteNetlinkMessage::NewRule(message) => keep(&message),
        _ => None,
    });
    match rules {
        // A kernel without the family has no rules for it.
        Err(error) if error.is(Errno::AFNOSUPPORT) => Ok(Vec::new()),
        rules => rules,
    }
}

fn message(rule: Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = rule.family.into();
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Protocol(rule.protocol.into()),
    ];
    if let Some(fwmark) = rule.unless_fwmark.or(rule.goto.map(|goto| goto.fwmark)) {
        message.attributes.push(RuleAttribute::FwMark(fwmark));
        message.attributes.push(RuleAttribute::FwMask(u32::MAX));
    }
    if let Some(goto) = rule.goto {
        message.header.action = RuleAction::Goto;
        message.attributes.push(RuleAttribute::Goto(goto.priority));
        return message;
    }
    if rule.table == 0 {
        message.header.action = RuleAction::Nop;
        return message;
    }
    message.attributes.push(RuleAttribute::Table(rule.table));
    if rule.unless_fwmark.is_some() {
        message.header.flags = RuleFlags::Invert;
    }
    if let Some(len) = rule.suppress_prefix_len {
        message.attributes.push(RuleAttribute::SuppressPrefixLen(len));
    }
    message
}

/// Returns the rule, or `None` for one that says something that a [`Rule`] cannot.
fn parse(family: Family, message: &RuleMessage) -> Option<Rule> {
    let header = &message.header;
    let mut rule = Rule {
        family,
        priority: priority(message),
        unless_fwmark: None,
        goto: None,
        table: header.table.into(),
        suppress_prefix_len: None,
        protocol: 0,
    };
    let inverted = header.flags.contains(RuleFlags::Invert);
    let (mut only_fwmark, mut target) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(_) | RuleAttribute::FwMask(u32::MAX) => {}
            RuleAttribute::FwMark(fwmark) if inverted => rule.unless_fwmark = Some(*fwmark),
            RuleAttribute::FwMark(fwmark) => only_fwmark = Some(*fwmark),
            RuleAttribute::Goto(priority) => target = Some(*priority),
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::SuppressPrefixLen(NO_PREFIX_LEN) => {}
            RuleAttribute::SuppressPrefixLen(len) => rule.suppress_prefix_len = Some(*len),
            RuleAttribute::Protocol(protocol) => rule.protocol = (*protocol).into(),
            _ => return None,
        }
    }
    rule.goto = only_fwmark
        .zip(target)
        .map(|(fwmark, priority)| Goto { fwmark, priority });
    let can_be_said = match header.action {
        RuleAction::ToTable => inverted == rule.unless_fwmark.is_some() && only_fwmark.is_none(),
        RuleAction::Goto => !inverted && rule.goto.is_some(),
        RuleAction::Nop => !inverted && only_fwmark.is_none(),
        _ => false,
    };
    let of_any_packet = (header.src_len, header.dst_len, header.tos) == (0, 0, 0);
    (can_be_said && of_any_packet).then_some(rule)
}

/// Returns the priority, which the kernel leaves out when it is 0.
fn priority(message: &RuleMessage) -> u32 {
    let priority = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    priority.unwrap_or(0)
}
