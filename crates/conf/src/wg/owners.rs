//! Which peer has which addresses.

use std::collections::BTreeMap;

use proto::PublicKey;

use crate::prefix::Prefix;
use crate::uapi::DeviceStatus;

/// The peers that prefixes belong to: one each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners(BTreeMap<Prefix, PublicKey>);

impl Owners {
    /// Returns the prefixes, each with its peer.
    pub fn iter(&self) -> impl Iterator<Item = (Prefix, PublicKey)> {
        self.0.iter().map(|(prefix, owner)| (*prefix, *owner))
    }

    /// Returns the prefixes that some peer has.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        self.0.keys().copied()
    }

    /// Returns whose the addresses of a prefix are where no longer one decides.
    pub fn of(&self, prefix: Prefix) -> Option<PublicKey> {
        let mut around = (0..=prefix.prefix_len()).rev();
        around.find_map(|len| self.0.get(&Prefix::new(prefix.address(), len)?).copied())
    }
}

impl FromIterator<(Prefix, PublicKey)> for Owners {
    fn from_iter<I: IntoIterator<Item = (Prefix, PublicKey)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl From<&DeviceStatus> for Owners {
    fn from(device: &DeviceStatus) -> Self {
        let all = device.peers.iter().map(|peer| (peer.public_key, &peer.allowed_ips));
        all.flat_map(|(key, allowed)| allowed.iter().map(move |prefix| (*prefix, key)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_whom_the_next_prefix_around_them_belongs() {
        let [a, b] = [1, 2].map(|n| PublicKey::from_bytes([n; 32]));
        let prefix = |text: &str| text.parse::<Prefix>().unwrap();
        let pairs = [
            (prefix("10.0.0.0/8"), a),
            (prefix("10.1.0.0/16"), b),
            (prefix("::/0"), b),
        ];
        let owners: Owners = pairs.into_iter().collect();
        for (text, owner) in [
            ("10.0.0.0/8", Some(a)),
            ("10.0.0.0/16", Some(a)),
            ("10.1.0.0/16", Some(b)),
            ("10.1.0.1/32", Some(b)),
            ("10.0.0.0/7", None),
            ("11.0.0.1", None),
            ("fd00::/64", Some(b)),
        ] {
            assert_eq!(owners.of(prefix(text)), owner, "{text}");
        }
    }
}
