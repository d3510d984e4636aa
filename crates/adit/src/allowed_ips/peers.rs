//! What peers claim, and who gets it.

use std::fmt;
use std::net::IpAddr;

use conf::prefix::{self, Claim, Conflict, Prefix};
use serde::{Serialize, Serializer};

/// Peers with their allowed IPs, in the order in which an interface is given them.
#[derive(Debug, Default)]
pub(super) struct Peers {
    names: Vec<String>,
    claims: Vec<Claim>,
}

/// Whose claims meet.
#[derive(Debug, Serialize)]
pub(super) struct Overlaps {
    #[serde(rename = "overlaps")]
    pub(super) list: Vec<Overlap>,
}

/// Two peers that claim the same addresses.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Overlap {
    kind: Kind,
    /// What both claim.
    #[serde(serialize_with = "text")]
    prefix: Prefix,
    /// Who gets it.
    winner: String,
    /// Who does not.
    loser: String,
    /// By which prefix the loser claims it.
    #[serde(serialize_with = "text")]
    loser_prefix: Prefix,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// Both claim the same prefix: the loser has nothing of it.
    Taken,
    /// The winner's prefix is a part of the loser's, who keeps the rest.
    Within,
}

/// Who gets an address.
#[derive(Debug, Serialize)]
pub(super) struct Owner {
    address: IpAddr,
    #[serde(flatten)]
    pub(super) claim: Option<Owned>,
}

/// By which prefix somebody gets an address.
#[derive(Debug, Serialize)]
pub(super) struct Owned {
    pub(super) peer: String,
    #[serde(serialize_with = "text")]
    pub(super) prefix: Prefix,
}

impl Peers {
    /// Adds a peer, which takes what it has in common with those before.
    pub(super) fn add(&mut self, name: String, allowed_ips: impl IntoIterator<Item = Prefix>) {
        let owner = self.names.len();
        self.names.push(name);
        let claims = allowed_ips.into_iter().map(|prefix| Claim { prefix, owner });
        self.claims.extend(claims);
    }

    /// Finds every claim that another peer has a part of.
    pub(super) fn overlaps(&self) -> Overlaps {
        let overlap = |conflict: &Conflict| {
            let (kind, winner, loser) = match *conflict {
                Conflict::Taken { from, by } => (Kind::Taken, by, from),
                Conflict::Within { inner, outer } => (Kind::Within, inner, outer),
            };
            let (winner, loser) = (self.claims.get(winner)?, self.claims.get(loser)?);
            Some(Overlap {
                kind,
                prefix: winner.prefix,
                winner: self.name(winner),
                loser: self.name(loser),
                loser_prefix: loser.prefix,
            })
        };
        let overlaps = prefix::conflicts(&self.claims);
        // A peer may have two sections in a file.
        let list = overlaps
            .iter()
            .filter_map(overlap)
            .filter(|overlap| overlap.winner != overlap.loser);
        let list = list.collect();
        Overlaps { list }
    }

    /// Finds who gets an address.
    pub(super) fn owner(&self, address: IpAddr) -> Owner {
        let claim = prefix::winner(self.claims.iter().copied(), address).map(|claim| Owned {
            peer: self.name(&claim),
            prefix: claim.prefix,
        });
        Owner { address, claim }
    }

    fn name(&self, claim: &Claim) -> String {
        self.names.get(claim.owner).cloned().unwrap_or_default()
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            prefix,
            winner,
            loser,
            loser_prefix,
        } = self;
        match kind {
            Kind::Taken => write!(out, "{prefix} of {loser} is taken by {winner}, which claims it last"),
            Kind::Within => write!(
                out,
                "{prefix} of {winner} is within {loser_prefix} of {loser} and goes to {winner}"
            ),
        }
    }
}

fn text<S: Serializer>(prefix: &Prefix, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers() -> Peers {
        let mut peers = Peers::default();
        for (name, allowed_ips) in [
            ("A", &["10.0.0.0/8", "fd00::/8"][..]),
            ("B", &["10.1.0.0/16"]),
            ("C", &["fd00::/8"]),
            ("D", &["10.1.0.0/16", "192.168.0.0/16"]),
        ] {
            peers.add(name.to_owned(), allowed_ips.iter().map(|text| text.parse().unwrap()));
        }
        peers
    }

    #[test]
    fn overlaps_say_who_gets_what() {
        let overlaps = peers().overlaps();
        let lines: Vec<String> = overlaps.list.iter().map(|overlap| overlap.to_string()).collect();
        assert_eq!(
            lines,
            [
                "10.1.0.0/16 of B is taken by D, which claims it last",
                "10.1.0.0/16 of D is within 10.0.0.0/8 of A and goes to D",
                "fd00::/8 of A is taken by C, which claims it last",
            ]
        );
        let json = serde_json::to_string(&overlaps).unwrap();
        assert!(
            json.starts_with(
                "{\"overlaps\":[{\"kind\":\"taken\",\"prefix\":\"10.1.0.0/16\",\"winner\":\"D\",\"loser\":\"B\",\
                 \"loser_prefix\":\"10.1.0.0/16\"},{\"kind\":\"within\","
            ),
            "{json}"
        );
    }

    #[test]
    fn an_address_is_owned_by_the_longest_and_last_prefix() {
        let owner = |text: &str| serde_json::to_string(&peers().owner(text.parse().unwrap())).unwrap();
        assert_eq!(
            owner("10.1.2.3"),
            "{\"address\":\"10.1.2.3\",\"peer\":\"D\",\"prefix\":\"10.1.0.0/16\"}"
        );
        assert_eq!(
            owner("10.2.2.3"),
            "{\"address\":\"10.2.2.3\",\"peer\":\"A\",\"prefix\":\"10.0.0.0/8\"}"
        );
        assert_eq!(owner("11.0.0.1"), "{\"address\":\"11.0.0.1\"}");
    }
}
