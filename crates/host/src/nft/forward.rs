//! Chains of other programs that drop forwarded packets: a gateway is told of them, they are not changed.
//!
//! Of a chain its policy counts, for iptables and nftables alike; what its rules accept is not looked at.

use std::fmt;

use netlink_packet_core::DefaultNla;

use super::kill_switch;
use super::message::{
    Message, NF_DROP, NF_INET_FORWARD, NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME,
    NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE, NFTA_HOOK_HOOKNUM, read_attributes, value,
};
use crate::Family;

/// The one of firewalld, whose policy is to accept: its last rule rejects.
const FIREWALLD: (&str, &str) = ("firewalld", "filter_FORWARD");
/// Those of iptables.
const IPTABLES: (&str, &str) = ("filter", "FORWARD");
/// Where Docker leaves room for rules of others, before its own.
const DOCKER: &str = "DOCKER-USER";
/// Where ufw has the rules that people give it.
const UFW: [&str; 2] = ["ufw-user-forward", "ufw6-user-forward"];

/// A zone of its own, which lets in SSH, and forwards what comes from there.
const FIREWALLD_STEPS: [&str; 7] = [
    "--new-zone=adit",
    "--zone=adit --add-service=ssh",
    "--zone=adit --add-interface=",
    "--new-policy=adit-forward",
    "--policy=adit-forward --add-ingress-zone=adit",
    "--policy=adit-forward --add-egress-zone=ANY",
    "--policy=adit-forward --set-target=ACCEPT",
];

/// A chain that drops forwarded packets unless one of its rules accepts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardFilter {
    /// `None` for both.
    family: Option<Family>,
    table: String,
    chain: String,
    owner: Owner,
}

/// By whose commands rules come into a chain, and stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Docker,
    Firewalld,
    Iptables,
    Ufw,
    Other,
}

impl ForwardFilter {
    /// Tells whether packets of a family come by.
    pub fn concerns(&self, family: Family) -> bool {
        self.family.is_none_or(|own| own == family)
    }

    /// Returns how people let an interface pass.
    pub fn way_out(&self, interface: &str) -> String {
        let program = match self.family {
            Some(Family::V6) => "ip6tables",
            _ => "iptables",
        };
        let both = |command: &dyn Fn(&str) -> String| ["i", "o"].map(command).join("; ");
        match self.owner {
            Owner::Docker => both(&|way| format!("{program} -I {DOCKER} -{way} {interface} -j ACCEPT")),
            Owner::Iptables => both(&|way| format!("{program} -I {} -{way} {interface} -j ACCEPT", self.chain)),
            Owner::Ufw => ["in", "out"]
                .map(|way| format!("ufw route allow {way} on {interface}"))
                .join("; "),
            Owner::Firewalld => {
                let step = |step: &&str| {
                    let what = if step.ends_with('=') { interface } else { "" };
                    format!("firewall-cmd --permanent {step}{what}; ")
                };
                FIREWALLD_STEPS.iter().map(step).collect::<String>() + "firewall-cmd --reload"
            }
            Owner::Other => both(&|way| format!("nft insert rule {self} {way}ifname {interface} accept")),
        }
    }
}

/// Writes it as `nft` does: `ip filter FORWARD`.
impl fmt::Display for ForwardFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            None => "inet",
            Some(Family::V4) => "ip",
            Some(Family::V6) => "ip6",
        };
        write!(f, "{family} {} {}", self.table, self.chain)
    }
}

/// Returns those of all chains that drop forwarded packets, tables of ours left out.
pub(super) fn filters(chains: &[Message]) -> Vec<ForwardFilter> {
    let filter = |chain: &Message| {
        let family = match chain.family {
            NFPROTO_INET => None,
            NFPROTO_IPV4 => Some(Family::V4),
            NFPROTO_IPV6 => Some(Family::V6),
            _ => return None,
        };
        let (table, name) = (text(chain, NFTA_CHAIN_TABLE)?, text(chain, NFTA_CHAIN_NAME)?);
        let beside = |names: &[&str]| {
            chains.iter().any(|other| {
                let is_named = || text(other, NFTA_CHAIN_NAME).is_some_and(|name| names.contains(&&*name));
                other.family == chain.family && is_named() && text(other, NFTA_CHAIN_TABLE).as_ref() == Some(&table)
            })
        };
        let owner = match (&*table, &*name) {
            FIREWALLD => Owner::Firewalld,
            IPTABLES if family.is_none() => Owner::Other,
            IPTABLES if beside(&[DOCKER]) => Owner::Docker,
            IPTABLES if beside(&UFW) => Owner::Ufw,
            IPTABLES => Owner::Iptables,
            _ => Owner::Other,
        };
        let hook = read_attributes(&value(&chain.attributes, NFTA_CHAIN_HOOK)?).ok()?;
        let forwards = number(&hook, NFTA_HOOK_HOOKNUM) == Some(NF_INET_FORWARD);
        let drops = number(&chain.attributes, NFTA_CHAIN_POLICY) == Some(NF_DROP) || owner == Owner::Firewalld;
        let is_foreign = !table.starts_with(kill_switch::PURPOSE);
        (forwards && drops && is_foreign).then_some(ForwardFilter {
            family,
            table,
            chain: name,
            owner,
        })
    };
    chains.iter().filter_map(filter).collect()
}

fn text(chain: &Message, kind: u16) -> Option<String> {
    let value = value(&chain.attributes, kind)?;
    Some(String::from_utf8_lossy(&value).trim_end_matches('\0').to_owned())
}

fn number(attributes: &[DefaultNla], kind: u16) -> Option<u32> {
    let value = value(attributes, kind)?;
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
    use proptest::prelude::*;

    use super::*;
    use crate::nft::message;
    use crate::nft::message::{nested, string};

    /// One as the kernel lists it.
    fn chain(family: u8, table: &str, name: &str, hook: u32, policy: u32) -> Message {
        let attributes = vec![
            string(NFTA_CHAIN_TABLE, table),
            string(NFTA_CHAIN_NAME, name),
            nested(NFTA_CHAIN_HOOK, &[message::number(NFTA_HOOK_HOOKNUM, hook)]),
            message::number(NFTA_CHAIN_POLICY, policy),
        ];
        let mut chain = Message::get_chains();
        chain.family = family;
        chain.attributes = attributes;
        let mut payload = vec![0; chain.buffer_len()];
        chain.serialize(&mut payload);
        Message::deserialize(&NetlinkHeader::default(), &payload).unwrap()
    }

    #[test]
    fn what_drops_forwarded_packets_is_told_but_for_switches_of_ours() {
        let drops = |family, table, name| chain(family, table, name, NF_INET_FORWARD, NF_DROP);
        let chains = [
            drops(NFPROTO_IPV4, "filter", "FORWARD"),
            drops(NFPROTO_INET, "mine", "pass"),
            chain(NFPROTO_INET, "firewalld", "filter_FORWARD", NF_INET_FORWARD, 1),
            chain(NFPROTO_INET, "mine", "accepts", NF_INET_FORWARD, 1),
            chain(NFPROTO_IPV4, "filter", "INPUT", 1, NF_DROP),
            drops(7, "bridge", "FORWARD"),
            drops(NFPROTO_IPV6, "adit-kill-switch-wg1", "forward"),
        ];
        let found = filters(&chains);
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["ip filter FORWARD", "inet mine pass", "inet firewalld filter_FORWARD"]
        );
        assert!(found[0].concerns(Family::V4) && !found[0].concerns(Family::V6) && found[1].concerns(Family::V6));
        assert!(
            found[2]
                .way_out("wg0")
                .contains("firewall-cmd --permanent --zone=adit --add-interface=wg0; ")
        );
    }

    #[test]
    fn the_way_out_is_by_the_program_whose_chain_it_is() {
        let way_out = |family, room, of| {
            let chains = [
                chain(family, "filter", "FORWARD", NF_INET_FORWARD, NF_DROP),
                chain(of, "filter", room, 99, NF_DROP),
            ];
            filters(&chains)[0].way_out("wg0")
        };
        let plain = "iptables -I FORWARD -i wg0 -j ACCEPT; iptables -I FORWARD -o wg0 -j ACCEPT";
        let ufw = "ufw route allow in on wg0; ufw route allow out on wg0";
        for (family, room, of, expected) in [
            (NFPROTO_IPV4, "x", NFPROTO_IPV4, plain.to_owned()),
            (NFPROTO_IPV4, DOCKER, NFPROTO_IPV4, plain.replace("FORWARD", DOCKER)),
            (
                NFPROTO_IPV6,
                DOCKER,
                NFPROTO_IPV4,
                plain.replace("iptables", "ip6tables"),
            ),
            (NFPROTO_IPV4, UFW[0], NFPROTO_IPV4, ufw.to_owned()),
            (NFPROTO_IPV6, UFW[1], NFPROTO_IPV6, ufw.to_owned()),
        ] {
            assert_eq!(way_out(family, room, of), expected);
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_a_panic(payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(message) = Message::deserialize(&NetlinkHeader::default(), &payload) {
                filters(&[message]);
            }
        }
    }
}
