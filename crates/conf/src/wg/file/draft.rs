//! A peer whose section has not ended.

use proto::{PresharedKey, PublicKey};

use super::key::PeerKey;
use super::{AllowedIps, Peer};
use crate::access::Destination;
use crate::prefix::{Prefix, PrefixSet};
use crate::problem::{At, Position, Problem};
use crate::uapi::AllowedIpChange;
use crate::wg::value::{AllowedIp, Endpoint, Sign};

/// As many as the exclusions of one peer may leave: one excluded address can make 128 of a prefix.
const MAX_PREFIXES: usize = 100_000;

pub(super) struct Draft {
    at: Position,
    pub(super) name: Option<String>,
    /// Whether there is a line for it, right or wrong.
    pub(super) has_key_line: bool,
    pub(super) public_key: Option<At<PublicKey>>,
    pub(super) preshared_key: Option<Option<PresharedKey>>,
    pub(super) endpoint: Option<At<Endpoint>>,
    pub(super) persistent_keepalive: Option<At<u16>>,
    pub(super) allowed_ips: AllowedIps,
    pub(super) allow: Option<Vec<Destination>>,
    excluded: Vec<At<Prefix>>,
}

impl Draft {
    pub(super) fn new(at: Position, name: Option<String>) -> Self {
        Self {
            at,
            name,
            has_key_line: false,
            public_key: None,
            preshared_key: None,
            endpoint: None,
            persistent_keepalive: None,
            allowed_ips: AllowedIps::default(),
            allow: None,
            excluded: Vec::new(),
        }
    }

    /// Takes an element of `AllowedIPs` or `ExcludedIPs`.
    pub(super) fn allowed_ip(&mut self, key: PeerKey, at: Position, ip: &AllowedIp) -> Result<(), Problem> {
        match (key, ip.sign) {
            (PeerKey::ExcludedIps, Sign::None) | (PeerKey::AllowedIps, Sign::Except) => {
                self.excluded.push(At { at, value: ip.prefix });
            }
            (PeerKey::ExcludedIps, _) => {
                return Err(Problem::error(at, "sign", "an excluded address has no sign"));
            }
            (_, sign) => {
                self.allowed_ips.incremental |= sign != Sign::None;
                self.allowed_ips.changes.push(At {
                    at,
                    value: AllowedIpChange {
                        prefix: ip.prefix,
                        remove: sign == Sign::Minus,
                    },
                });
            }
        }
        Ok(())
    }

    /// Returns the peer; nothing where it has no public key for a reason that was told.
    pub(super) fn finish(mut self) -> Result<Option<Peer>, Problem> {
        self.exclude()?;
        let Some(public_key) = self.public_key else {
            return if self.has_key_line {
                Ok(None)
            } else {
                let problem = Problem::error(self.at, "no-public-key", "this peer has no PublicKey");
                Err(problem.with_hint("add the line `PublicKey = ...': every peer is known by its key"))
            };
        };
        Ok(Some(Peer {
            at: self.at,
            name: self.name,
            public_key,
            preshared_key: self.preshared_key,
            endpoint: self.endpoint,
            persistent_keepalive: self.persistent_keepalive,
            allowed_ips: self.allowed_ips,
            allow: self.allow,
        }))
    }

    /// Takes what is excluded out of what is allowed.
    fn exclude(&mut self) -> Result<(), Problem> {
        let (Some(first), Some(allowed)) = (self.excluded.first(), self.allowed_ips.changes.first()) else {
            return match self.excluded.first() {
                Some(first) => {
                    let problem = Problem::error(first.at, "nothing-to-exclude-from", "this peer has no AllowedIPs");
                    Err(problem.with_hint("write what the exclusion is from, such as AllowedIPs = 0.0.0.0/0, ::/0"))
                }
                None => Ok(()),
            };
        };
        if self.allowed_ips.incremental {
            let message = "an exclusion cannot stand beside addresses with + or -";
            return Err(Problem::error(first.at, "sign", message));
        }
        let at = allowed.at;
        self.allowed_ips.excluding = true;
        let all: PrefixSet = self
            .allowed_ips
            .changes
            .iter()
            .map(|change| change.value.prefix)
            .collect();
        let excluded: PrefixSet = self.excluded.iter().map(|prefix| prefix.value).collect();
        let left = all.minus(&excluded);
        if left.iter().nth(MAX_PREFIXES).is_some() {
            let message = format!("the exclusions leave more than {MAX_PREFIXES} prefixes");
            return Err(Problem::error(first.at, "too-many-prefixes", message));
        }
        self.allowed_ips.changes = left
            .iter()
            .map(|prefix| At {
                at,
                value: AllowedIpChange { prefix, remove: false },
            })
            .collect();
        Ok(())
    }
}
