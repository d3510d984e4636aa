//! The words before `=`, and what each wants.

/// A key in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Of `[Interface]`, for `wg`.
    Interface(InterfaceKey),
    /// Of `[Interface]`, for `wg-quick`.
    Quick(QuickKey),
    /// Of `[Peer]`.
    Peer(PeerKey),
}

/// A key of `[Interface]` that is for `wg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as they are written")]
pub enum InterfaceKey {
    PrivateKey,
    ListenPort,
    FwMark,
}

/// A key of `[Interface]` that is for `wg-quick`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are named as they are written")]
pub enum QuickKey {
    Address,
    Dns,
    Mtu,
    Table,
    PreUp,
    PostUp,
    PreDown,
    PostDown,
    SaveConfig,
    Gateway,
    KillSwitch,
    Backend,
    DnsRequired,
    DefaultAllow,
    PrivateKeyFile,
    PrivateKeyCredential,
    PrivateKeyCommand,
}

/// A key of `[Peer]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as they are written")]
pub enum PeerKey {
    Name,
    PublicKey,
    PresharedKey,
    AllowedIps,
    ExcludedIps,
    Allow,
    Endpoint,
    PersistentKeepalive,
}

/// All keys, as they are usually written.
pub const KEYS: [(&str, Key); 28] = [
    ("PrivateKey", Key::Interface(InterfaceKey::PrivateKey)),
    ("ListenPort", Key::Interface(InterfaceKey::ListenPort)),
    ("FwMark", Key::Interface(InterfaceKey::FwMark)),
    ("Address", Key::Quick(QuickKey::Address)),
    ("DNS", Key::Quick(QuickKey::Dns)),
    ("MTU", Key::Quick(QuickKey::Mtu)),
    ("Table", Key::Quick(QuickKey::Table)),
    ("PreUp", Key::Quick(QuickKey::PreUp)),
    ("PostUp", Key::Quick(QuickKey::PostUp)),
    ("PreDown", Key::Quick(QuickKey::PreDown)),
    ("PostDown", Key::Quick(QuickKey::PostDown)),
    ("SaveConfig", Key::Quick(QuickKey::SaveConfig)),
    ("Gateway", Key::Quick(QuickKey::Gateway)),
    ("KillSwitch", Key::Quick(QuickKey::KillSwitch)),
    ("Backend", Key::Quick(QuickKey::Backend)),
    ("DNSRequired", Key::Quick(QuickKey::DnsRequired)),
    ("DefaultAllow", Key::Quick(QuickKey::DefaultAllow)),
    ("PrivateKeyFile", Key::Quick(QuickKey::PrivateKeyFile)),
    ("PrivateKeyCredential", Key::Quick(QuickKey::PrivateKeyCredential)),
    ("PrivateKeyCommand", Key::Quick(QuickKey::PrivateKeyCommand)),
    ("Name", Key::Peer(PeerKey::Name)),
    ("PublicKey", Key::Peer(PeerKey::PublicKey)),
    ("PresharedKey", Key::Peer(PeerKey::PresharedKey)),
    ("AllowedIPs", Key::Peer(PeerKey::AllowedIps)),
    ("ExcludedIPs", Key::Peer(PeerKey::ExcludedIps)),
    ("Allow", Key::Peer(PeerKey::Allow)),
    ("Endpoint", Key::Peer(PeerKey::Endpoint)),
    ("PersistentKeepalive", Key::Peer(PeerKey::PersistentKeepalive)),
];

impl QuickKey {
    /// Tells whether its value is a command, in which `#` begins no comment.
    pub(super) const fn is_hook(self) -> bool {
        matches!(
            self,
            Self::PreUp | Self::PostUp | Self::PreDown | Self::PostDown | Self::PrivateKeyCommand
        )
    }

    /// Tells whether its value says where the private key is.
    pub const fn is_key_source(self) -> bool {
        matches!(
            self,
            Self::PrivateKeyFile | Self::PrivateKeyCredential | Self::PrivateKeyCommand
        )
    }
}

impl Key {
    /// Tells whether it says what is around the interface, of which `wg` knows nothing.
    pub const fn is_for_quick(self) -> bool {
        matches!(self, Self::Quick(_) | Self::Peer(PeerKey::Allow))
    }

    /// Finds a key by its word in any case; returns the word as it is usually written, too.
    pub(super) fn find(word: &str) -> Option<(&'static str, Self)> {
        KEYS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word))
    }

    /// Returns what a value of it looks like.
    pub(super) const fn expects(self) -> &'static str {
        match self {
            Self::Interface(InterfaceKey::PrivateKey) => {
                "a private key is 44 characters of base64, the last one `='; `wg genkey' makes one"
            }
            Self::Interface(InterfaceKey::ListenPort) => "write a number from 0 to 65535; the usual port is 51820",
            Self::Interface(InterfaceKey::FwMark) => "write `off', or a number such as 51820 or 0xca6c",
            Self::Quick(_) => "write a value, or leave the line out",
            Self::Peer(PeerKey::Name) => "write a word or some, such as alice",
            Self::Peer(PeerKey::PublicKey) => {
                "a public key is 44 characters of base64, the last one `='; `wg pubkey' computes it from the private key"
            }
            Self::Peer(PeerKey::PresharedKey) => {
                "a preshared key is 44 characters of base64, the last one `='; `wg genpsk' makes one"
            }
            Self::Peer(PeerKey::AllowedIps | PeerKey::ExcludedIps) => {
                "write addresses with the lengths of their prefixes, parted by commas, such as 10.0.0.2/32, fd00::/64"
            }
            Self::Peer(PeerKey::Allow) => {
                "write where the peer may go, parted by commas, such as 10.0.0.0/24, 10.0.1.5:443/tcp, [fd00::5]:53, any; or `none'"
            }
            Self::Peer(PeerKey::Endpoint) => {
                "write an address or a name, a colon and the port, such as 192.0.2.1:51820, [2001:db8::1]:51820 or vpn.example.com:51820"
            }
            Self::Peer(PeerKey::PersistentKeepalive) => "write `off', or seconds from 1 to 65535; 25 is usual",
        }
    }
}

/// Returns the key that a wrong word was probably meant to be.
pub(super) fn similar(word: &str) -> Option<&'static str> {
    let letters = |text: &str| {
        text.replace(|c: char| !c.is_ascii_alphanumeric(), "")
            .to_ascii_lowercase()
    };
    let word = letters(word);
    let distance = |name: &str| strsim::osa_distance(&letters(name), &word);
    let (name, distance) = KEYS
        .iter()
        .map(|(name, _)| (*name, distance(name)))
        .min_by_key(|&(_, distance)| distance)?;
    // Short words are near to each other by chance.
    (distance <= 2 && distance * 3 <= name.len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_any_case_and_guessed_when_misspelt() {
        assert_eq!(
            Key::find("allowedips"),
            Some(("AllowedIPs", Key::Peer(PeerKey::AllowedIps)))
        );
        assert_eq!(Key::find("AllowedIP"), None);
        for (word, name) in [
            ("AllowedIP", Some("AllowedIPs")),
            ("Allowed-IPs", Some("AllowedIPs")),
            ("PubliKey", Some("PublicKey")),
            ("ListnePort", Some("ListenPort")),
            ("Adress", Some("Address")),
            ("Foo", None),
            ("M", None),
            ("", None),
        ] {
            assert_eq!(similar(word), name, "{word}");
        }
    }
}
