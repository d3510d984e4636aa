//! The keys of configuration files for the manual. The list is that of the parser; here is what each means.

use conf::wg::file::{InterfaceKey, Key, PeerKey, QuickKey};

/// Returns what stands after `=`, and a paragraph.
pub(super) const fn about(key: Key) -> (&'static str, &'static str) {
    match key {
        Key::Interface(key) => interface(key),
        Key::Quick(key) => quick(key),
        Key::Peer(key) => peer(key),
    }
}

const fn interface(key: InterfaceKey) -> (&'static str, &'static str) {
    match key {
        InterfaceKey::PrivateKey => (
            "key",
            "The private key in base64; wg genkey makes one. Without it, or one of the keys that say where it is, the interface \
             has none until a command sets it.",
        ),
        InterfaceKey::ListenPort => (
            "port",
            "The UDP port, 0 to 65535. By default, and with 0, a random one.",
        ),
        InterfaceKey::FwMark => (
            "mark",
            "The mark of encrypted packets: a number such as 51820 or 0xca6c, or off. By default off; wg-quick chooses one for a \
             default route, and with KillSwitch.",
        ),
    }
}

const fn quick(key: QuickKey) -> (&'static str, &'static str) {
    match key {
        QuickKey::Address => (
            "list",
            "Addresses of the interface, each with the length of its network, else it is alone in that; may stand more than \
             once. By default none.",
        ),
        QuickKey::Dns => (
            "list",
            "Addresses of name servers, and domains that are tried after a short name; may stand more than once. With \
             systemd-resolved, ~corp.example has the servers asked for names in that domain only. By default name servers stay as \
             they are.",
        ),
        QuickKey::Mtu => (
            "bytes",
            "The largest packet in the tunnel, 68 to 65535. By default what the way to the peers takes, less 80, and with IPv6 not \
             less than 1280.",
        ),
        QuickKey::Table => (
            "table",
            "Where the routes to the allowed IPs go. auto, the default: to the main table, a default route to a table of its own, \
             with the rules and the firewall for it. off: nowhere. Else the number or the name of a table.",
        ),
        QuickKey::PreUp => (
            "command",
            "Run when the interface is made, before it is configured. For this and the next three: bash runs it, else sh, as root; \
             # begins no comment; %i stands for the interface; the key may stand more than once, and a command that fails ends \
             the work. By default nothing is run.",
        ),
        QuickKey::PostUp => ("command", "Run when the tunnel is up."),
        QuickKey::PreDown => ("command", "Run before the tunnel goes."),
        QuickKey::PostDown => ("command", "Run when it is gone, also before an up after a crash."),
        QuickKey::SaveConfig => (
            "true | false",
            "Whether down writes to the file what the interface is by then. A file that was edited meanwhile stays as it is. By \
             default false.",
        ),
        QuickKey::Gateway => (
            "true | false",
            "Whether the peers reach other networks through this machine, by the families that Address names: forwarding, \
             masquerading, MSS clamping. By default false. Only adit takes it.",
        ),
        QuickKey::KillSwitch => (
            "true | false | lan",
            "Whether packets leave this machine by the tunnel only, from before there is an interface until down; with lan also \
             for the local network. By default false. Only adit takes it.",
        ),
        QuickKey::DefaultAllow => (
            "list",
            "Where packets of peers without an Allow of their own may go, as that says it. By default everywhere. Only adit takes it.",
        ),
        QuickKey::Backend => (
            "auto | kernel | adit",
            "Who runs the interface. auto, the default: the kernel if it can, else an engine, that of \
             WG_QUICK_USERSPACE_IMPLEMENTATION if it is set. Only adit takes it.",
        ),
        QuickKey::DnsRequired => (
            "true | false",
            "Whether a tunnel whose name servers cannot be used fails to come up. By default false: that is a warning. Only adit \
             takes it.",
        ),
        QuickKey::PrivateKeyFile => (
            "path",
            "A file with the private key, which nobody but its owner can read or write; from the folder of the configuration. By \
             default none. Only adit takes it, and the next two.",
        ),
        QuickKey::PrivateKeyCredential => (
            "name",
            "A credential with the private key that systemd passes to the unit: LoadCredentialEncrypted=. By default none.",
        ),
        QuickKey::PrivateKeyCommand => (
            "command",
            "A command that prints the private key, run as PreUp is. By default none.",
        ),
    }
}

const fn peer(key: PeerKey) -> (&'static str, &'static str) {
    match key {
        PeerKey::Name => (
            "words",
            "What people call the peer. By default nothing. Only adit takes it; # Name = alice, above or inside the section, does \
             the same and is a comment for every other program.",
        ),
        PeerKey::PublicKey => ("key", "The public key of the peer in base64. It must be there."),
        PeerKey::PresharedKey => (
            "key",
            "A secret that both sides have, in base64; wg genpsk makes one. By default none.",
        ),
        PeerKey::AllowedIps => (
            "list",
            "Addresses, with the lengths of their prefixes, that are behind the peer: what is for them goes to it, and it may send \
             from them only. May stand more than once. With + or - before some, the list changes what is there by then. \
             !192.168.0.0/16 is as ExcludedIPs, and only adit takes it. By default none.",
        ),
        PeerKey::ExcludedIps => (
            "list",
            "Addresses that are taken out of AllowedIPs. By default none. Only adit takes it.",
        ),
        PeerKey::Allow => (
            "list",
            "Where packets of the peer may go: networks, addresses or any, and after a colon a port, or two with - between, and /tcp \
             or /udp, such as 10.0.0.0/24, 10.0.1.5:443/tcp, [fd00::5]:53; or none. It may answer everybody. May stand more than once. By \
             default what DefaultAllow says. Only adit takes it.",
        ),
        PeerKey::Endpoint => (
            "host:port",
            "Where the peer is, until it is heard from elsewhere: a name or an address, one of IPv6 in brackets, and its port. By \
             default it is not known, and the peer must come first.",
        ),
        PeerKey::PersistentKeepalive => (
            "seconds",
            "How often an empty packet is sent if there is nothing else, 1 to 65535, or off: it keeps the way open through NAT, for \
             which 25 is usual. By default off.",
        ),
    }
}
