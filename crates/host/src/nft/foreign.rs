//! Chains of other programs that drop packets which a tunnel needs: people are told of them, they are not changed.
//!
//! Whose a chain is shows by the names around it, for iptables and nftables alike.

use std::fmt;

use super::kill_switch;
use super::message::{
    Message, NF_DROP, NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY,
    NFTA_CHAIN_TABLE, NFTA_HOOK_HOOKNUM, NFTA_TABLE_FLAGS, NFTA_TABLE_NAME, read_nested, read_number, read_text,
};
use crate::Family;

const NFT_TABLE_F_DORMANT: u32 = 1;

/// The table of firewalld.
const FIREWALLD: &str = "firewalld";
/// Where it decides with iptables for its backend.
const FIREWALLD_BY_IPTABLES: [&str; 2] = ["INPUT_ZONES", "FORWARD_ZONES"];
/// Where Docker leaves room for rules of others about what is forwarded, before its own.
const DOCKER: &str = "DOCKER-USER";
/// Where ufw has the rules that people give it.
const UFW: [&str; 2] = ["ufw-user-input", "ufw6-user-input"];

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

/// A chain at a hook, by which packets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignChain {
    /// `None` for both.
    family: Option<Family>,
    /// The same for the kernel, `NFPROTO_*`.
    pub(super) protocol: u8,
    pub(super) table: String,
    pub(super) name: String,
    owner: Owner,
    /// By its policy it drops what its rules do not accept.
    pub(super) drops_by_policy: bool,
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

impl ForeignChain {
    /// Tells whether packets of a family come by.
    pub fn concerns(&self, family: Family) -> bool {
        self.family.is_none_or(|own| own == family)
    }

    /// Tells whether it drops forwarded packets that none of its rules accepts. The policy of firewalld's is to accept: the last rule rejects. With
    /// iptables it forwards within a zone as it comes.
    pub(super) fn filters(&self) -> bool {
        self.drops_by_policy || self.table == FIREWALLD
    }

    /// Returns how people have it forward what comes and goes by an interface.
    pub fn how_to_forward(&self, interface: &str) -> String {
        let program = self.iptables();
        let both = |command: &dyn Fn(&str) -> String| ["i", "o"].map(command).join("; ");
        match self.owner {
            Owner::Docker => both(&|way| format!("{program} -I {DOCKER} -{way} {interface} -j ACCEPT")),
            Owner::Iptables => both(&|way| format!("{program} -I {} -{way} {interface} -j ACCEPT", self.name)),
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

    /// Returns how people have it let in UDP to a port.
    pub fn how_to_open(&self, port: u16) -> String {
        match self.owner {
            Owner::Docker | Owner::Iptables => {
                format!("{} -I {} -p udp --dport {port} -j ACCEPT", self.iptables(), self.name)
            }
            Owner::Ufw => format!("ufw allow {port}/udp"),
            Owner::Firewalld => format!("firewall-cmd --permanent --add-port={port}/udp; firewall-cmd --reload"),
            Owner::Other => format!("nft insert rule {self} udp dport {port} accept"),
        }
    }

    const fn iptables(&self) -> &'static str {
        match self.family {
            Some(Family::V6) => "ip6tables",
            _ => "iptables",
        }
    }
}

/// Writes it as `nft` does: `ip filter FORWARD`.
impl fmt::Display for ForeignChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            None => "inet",
            Some(Family::V4) => "ip",
            Some(Family::V6) => "ip6",
        };
        write!(f, "{family} {} {}", self.table, self.name)
    }
}

/// Returns those of all chains that are at a hook (`NF_INET_*`), tables of ours left out.
pub(super) fn at(hook: u32, chains: &[Message]) -> Vec<ForeignChain> {
    chains.iter().filter_map(|chain| read(hook, chain, chains)).collect()
}

/// Tells whether no packets go by the chains of a table.
pub(super) fn is_dormant(table: &Message) -> bool {
    read_number(&table.attributes, NFTA_TABLE_FLAGS).is_some_and(|flags| flags & NFT_TABLE_F_DORMANT != 0)
}

/// Tells whether a chain is one of a table.
pub(super) fn is_of_table(chain: &Message, table: &Message) -> bool {
    let name = read_text(&chain.attributes, NFTA_CHAIN_TABLE);
    chain.family == table.family && name == read_text(&table.attributes, NFTA_TABLE_NAME)
}

fn read(hook: u32, chain: &Message, all: &[Message]) -> Option<ForeignChain> {
    let family = match chain.family {
        NFPROTO_INET => None,
        NFPROTO_IPV4 => Some(Family::V4),
        NFPROTO_IPV6 => Some(Family::V6),
        _ => return None,
    };
    let base = read_nested(&chain.attributes, NFTA_CHAIN_HOOK)?;
    let text = |chain: &Message, kind| read_text(&chain.attributes, kind);
    let (table, name) = (text(chain, NFTA_CHAIN_TABLE)?, text(chain, NFTA_CHAIN_NAME)?);
    let is_foreign = !table.starts_with(kill_switch::PURPOSE);
    if read_number(&base, NFTA_HOOK_HOOKNUM) != Some(hook) || !is_foreign {
        return None;
    }
    let is_beside = |names: &[&str]| {
        all.iter().any(|other| {
            let is_named = || text(other, NFTA_CHAIN_NAME).is_some_and(|name| names.contains(&&*name));
            other.family == chain.family && is_named() && text(other, NFTA_CHAIN_TABLE).as_ref() == Some(&table)
        })
    };
    let owner = match (&*table, &*name) {
        (FIREWALLD, "filter_INPUT" | "filter_FORWARD") => Owner::Firewalld,
        ("filter", "FORWARD") if family.is_some() && is_beside(&[DOCKER]) => Owner::Docker,
        ("filter", "INPUT" | "FORWARD") if family.is_some() => match () {
            () if is_beside(&FIREWALLD_BY_IPTABLES) => Owner::Firewalld,
            () if is_beside(&UFW) => Owner::Ufw,
            () => Owner::Iptables,
        },
        _ => Owner::Other,
    };
    Some(ForeignChain {
        family,
        protocol: chain.family,
        table,
        name,
        owner,
        drops_by_policy: read_number(&chain.attributes, NFTA_CHAIN_POLICY) == Some(NF_DROP),
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
    use proptest::prelude::*;

    use super::*;
    use crate::nft::message::{NF_INET_FORWARD, NF_INET_LOCAL_IN, nested, number, string};

    /// One as the kernel lists it.
    fn chain(family: u8, table: &str, name: &str, hook: u32, policy: u32) -> Message {
        let attributes = vec![
            string(NFTA_CHAIN_TABLE, table),
            string(NFTA_CHAIN_NAME, name),
            nested(NFTA_CHAIN_HOOK, &[number(NFTA_HOOK_HOOKNUM, hook)]),
            number(NFTA_CHAIN_POLICY, policy),
        ];
        let mut chain = Message::get_chains();
        chain.family = family;
        chain.attributes = attributes;
        let mut payload = vec![0; chain.buffer_len()];
        chain.serialize(&mut payload);
        Message::deserialize(&NetlinkHeader::default(), &payload).unwrap()
    }

    fn forward(chains: &[Message]) -> Vec<ForeignChain> {
        let all = at(NF_INET_FORWARD, chains).into_iter();
        all.filter(ForeignChain::filters).collect()
    }

    #[test]
    fn what_drops_forwarded_packets_is_told_but_for_switches_of_ours() {
        let drops = |family, table, name| chain(family, table, name, NF_INET_FORWARD, NF_DROP);
        let chains = [
            drops(NFPROTO_IPV4, "filter", "FORWARD"),
            drops(NFPROTO_INET, "mine", "pass"),
            chain(NFPROTO_INET, "firewalld", "filter_FORWARD", NF_INET_FORWARD, 1),
            chain(NFPROTO_INET, "mine", "accepts", NF_INET_FORWARD, 1),
            chain(NFPROTO_IPV4, "filter", "INPUT", NF_INET_LOCAL_IN, NF_DROP),
            drops(7, "bridge", "FORWARD"),
            drops(NFPROTO_IPV6, "adit-kill-switch-wg1", "forward"),
        ];
        let found = forward(&chains);
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["ip filter FORWARD", "inet mine pass", "inet firewalld filter_FORWARD"]
        );
        assert!(found[0].concerns(Family::V4) && !found[0].concerns(Family::V6) && found[1].concerns(Family::V6));
        assert!(
            found[2]
                .how_to_forward("wg0")
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
            forward(&chains)[0].how_to_forward("wg0")
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
                forward(&[message]);
            }
        }
    }
}
