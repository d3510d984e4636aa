//! What people call the peers of an interface: the names in its file, `/etc/wireguard/NAME.conf`.

use std::collections::BTreeMap;
use std::path::Path;

use conf::wg::file::{Dialect, Reading};
use proto::PublicKey;

use crate::config_file;

const DIRECTORY: &str = "/etc/wireguard";

/// Names of peers, and peers by name.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<PublicKey, String>);

/// Why a name stands for no peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOne {
    /// Nobody is called so.
    Unknown,
    /// Several peers are called so.
    Ambiguous,
}

impl Names {
    /// Reads the names of an interface; there are none without a file, or one that cannot be read.
    pub(crate) fn of_interface(interface: &str) -> Self {
        if interface.contains('/') {
            return Self::default();
        }
        let path = Path::new(DIRECTORY).join(format!("{interface}.conf"));
        config_file::read(&path).map_or_else(|_| Self::default(), |text| Self::in_file(&text))
    }

    fn in_file(text: &[u8]) -> Self {
        let peers = Reading::of(text, Dialect::Quick).config.peers.into_iter();
        peers
            .filter_map(|peer| Some((peer.public_key.value, peer.name?)))
            .collect()
    }

    /// What a peer is called, as the file has it: whoever shows it escapes it.
    pub(crate) fn name_of(&self, key: &PublicKey) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Finds the one peer of that name.
    pub(crate) fn find(&self, name: &str) -> Result<PublicKey, NotOne> {
        let mut found = self.0.iter().filter(|(_, known)| *known == name).map(|(key, _)| *key);
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(NotOne::Unknown),
            (Some(_), Some(_)) => Err(NotOne::Ambiguous),
        }
    }
}

impl FromIterator<(PublicKey, String)> for Names {
    fn from_iter<I: IntoIterator<Item = (PublicKey, String)>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conf::key_text::base64;

    #[test]
    fn a_name_stands_for_one_peer() {
        let key = |n: u8| PublicKey::from_bytes([n; 32]);
        let mut text = String::new();
        for (n, name) in [(0, "alice"), (4, "bob"), (8, "bob")] {
            text += &format!(
                "# Name = {name}\n[Peer]\nPublicKey = {}\n\n",
                *base64(key(n).as_bytes())
            );
        }
        let names = Names::in_file(text.as_bytes());
        assert_eq!(names.find("alice"), Ok(key(0)));
        assert_eq!(names.name_of(&key(8)), Some("bob"));
        assert_eq!(names.name_of(&key(12)), None);
        assert_eq!(names.find("bob"), Err(NotOne::Ambiguous));
        assert_eq!(names.find("Alice"), Err(NotOne::Unknown));
    }
}
