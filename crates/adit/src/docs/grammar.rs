//! The words of `wg` and `wg-quick` as data, of which their manual pages and completions are made. They are the stock
//! tools', which no parser of ours defines; tests hold them to what the sub-commands take.

/// A sub-command.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// What follows the name, as the usage line has it.
    pub(super) usage: &'static str,
    pub(super) arguments: Arguments,
    /// A paragraph for the manual.
    pub(super) details: &'static str,
}

/// What may follow a sub-command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arguments {
    Nothing,
    Interface,
    InterfaceAndFile,
    /// [`TARGETS`] or an interface, one of [`FIELDS`], and [`OPTIONS`] anywhere.
    Show,
    /// An interface, [`DEVICE`], and for each peer [`PEER`].
    Set,
}

/// A word and what it means.
pub(super) struct Word {
    pub(super) name: &'static str,
    pub(super) value: Value,
    pub(super) about: &'static str,
}

/// What stands after a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Nothing,
    /// Something that cannot be completed; how it is called.
    Free(&'static str),
    /// The same, or `off`.
    OrOff(&'static str),
    File,
    /// The public key of a peer.
    Key,
}

impl Value {
    /// How the manual calls it.
    pub(super) fn placeholder(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Free(name) | Self::OrOff(name) => Some(name),
            Self::File => Some("file"),
            Self::Key => Some("public-key"),
        }
    }
}

const fn word(name: &'static str, value: Value, about: &'static str) -> Word {
    Word { name, value, about }
}

pub(super) const COMMANDS: [Command; 9] = [
    Command {
        name: "show",
        usage: "[ interface | all | interfaces ] [ field ] [ options ]",
        arguments: Arguments::Show,
        details: "Shows interfaces, all by default, in a form for people: private and preshared keys are hidden. With a \
                  field, shows that alone in a form for scripts: one line for each peer, columns parted by a tab, keys \
                  never hidden; after all, each line begins with the name of the interface. With the word interfaces, \
                  shows their names on one line.",
    },
    Command {
        name: "showconf",
        usage: "interface",
        arguments: Arguments::Interface,
        details: "Shows an interface as a file that setconf takes. The file holds the private and preshared keys.",
    },
    Command {
        name: "set",
        usage: "interface [ option value ]... [ peer public-key [ option value ]... ]...",
        arguments: Arguments::Set,
        details: "Changes an interface. Options before the first peer are those of the interface. All words are understood \
                  before anything is changed. A peer that is not there is added. In place of its public key a peer may be \
                  called by the name it has in /etc/wireguard.",
    },
    Command {
        name: "setconf",
        usage: "interface file",
        arguments: Arguments::InterfaceAndFile,
        details: "Makes the interface what the file says. What the file does not name goes, and the sessions of all peers \
                  do.",
    },
    Command {
        name: "addconf",
        usage: "interface file",
        arguments: Arguments::InterfaceAndFile,
        details: "Adds what the file says to the interface. What the file does not name stays.",
    },
    Command {
        name: "syncconf",
        usage: "interface file",
        arguments: Arguments::InterfaceAndFile,
        details: "Makes the interface what the file says, and changes only what differs: peers that stay keep their \
                  sessions. A private key, port or mark that the file does not name stays.",
    },
    Command {
        name: "genkey",
        usage: "",
        arguments: Arguments::Nothing,
        details: "Writes a new private key, in base64, to standard output.",
    },
    Command {
        name: "genpsk",
        usage: "",
        arguments: Arguments::Nothing,
        details: "Writes a new preshared key, in base64, to standard output.",
    },
    Command {
        name: "pubkey",
        usage: "",
        arguments: Arguments::Nothing,
        details: "Reads a private key from standard input and writes its public key to standard output.",
    },
];

/// What stands in place of an interface after `show`.
pub(super) const TARGETS: [Word; 2] = [
    word("all", Value::Nothing, "All interfaces"),
    word("interfaces", Value::Nothing, "The names of the interfaces alone"),
];

pub(super) const FIELDS: [Word; 12] = [
    word("public-key", Value::Nothing, "Public key of the interface"),
    word("private-key", Value::Nothing, "Private key of the interface"),
    word("listen-port", Value::Nothing, "UDP port"),
    word(
        "fwmark",
        Value::Nothing,
        "Mark of outgoing datagrams, in hexadecimal, or off",
    ),
    word("peers", Value::Nothing, "Public keys of the peers"),
    word("preshared-keys", Value::Nothing, "Preshared key of each peer"),
    word("endpoints", Value::Nothing, "Address and port of each peer"),
    word(
        "allowed-ips",
        Value::Nothing,
        "Allowed IPs of each peer, parted by spaces",
    ),
    word(
        "latest-handshakes",
        Value::Nothing,
        "Seconds since the epoch, 0 for never",
    ),
    word("transfer", Value::Nothing, "Bytes received from and sent to each peer"),
    word(
        "persistent-keepalive",
        Value::Nothing,
        "Interval of each peer in seconds, or off",
    ),
    word(
        "dump",
        Value::Nothing,
        "All of these: a line for the interface, then one for each peer",
    ),
];

pub(super) const OPTIONS: [Word; 3] = [
    word(
        "--json",
        Value::Nothing,
        "Print one JSON object, described in docs/json.md",
    ),
    word(
        "--watch",
        Value::Nothing,
        "Show again every second, or with --watch=SECONDS less often, until interrupted",
    ),
    word("--secrets", Value::Nothing, "Show private and preshared keys too"),
];

pub(super) const DEVICE: [Word; 4] = [
    word("listen-port", Value::Free("port"), "UDP port"),
    word("fwmark", Value::OrOff("mark"), "Mark of outgoing datagrams, or off"),
    word(
        "private-key",
        Value::File,
        "File with the private key; an empty one removes it",
    ),
    word("peer", Value::Key, "The peer that the options after it are for"),
];

pub(super) const PEER: [Word; 6] = [
    word("remove", Value::Nothing, "Remove the peer"),
    word(
        "preshared-key",
        Value::File,
        "File with the preshared key; an empty one removes it",
    ),
    word(
        "endpoint",
        Value::Free("host:port"),
        "Where the peer is, until it is heard from elsewhere",
    ),
    word(
        "persistent-keepalive",
        Value::OrOff("seconds"),
        "Interval of keepalives, or off",
    ),
    word(
        "allowed-ips",
        Value::Free("list"),
        "Addresses that the peer may use, such as 10.0.0.0/8,fd00::/8; +address adds one, -address removes one",
    ),
    word("peer", Value::Key, "The next peer"),
];

/// The commands of `wg-quick`.
pub(super) const QUICK: [Word; 4] = [
    word("up", Value::Nothing, "Bring a tunnel up"),
    word("down", Value::Nothing, "Take a tunnel down"),
    word("save", Value::Nothing, "Write what a tunnel is to its file"),
    word("strip", Value::Nothing, "Print the file without what wg does not take"),
];

/// Commands of `wg-quick` and `adit` for tunnels that are up; others with a tunnel are for one that has a file.
pub(super) const RUNNING: [&str; 3] = ["down", "reload", "save"];

pub(super) const ENVIRONMENT: [Word; 3] = [
    word(
        "WG_COLOR_MODE",
        Value::Nothing,
        "always or never; colours by default if standard output is a terminal",
    ),
    word("WG_HIDE_KEYS", Value::Nothing, "never shows keys as --secrets does"),
    word(
        "WG_ENDPOINT_RESOLUTION_RETRIES",
        Value::Nothing,
        "How often the name of an endpoint is asked for again: a number, 15 by default, or infinity",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wg::{self, show};

    #[test]
    fn the_sub_commands_are_those_there_are() {
        assert!(
            COMMANDS
                .iter()
                .map(|command| command.name)
                .eq(wg::commands().map(|(name, _)| name))
        );
    }

    #[test]
    fn the_commands_of_wg_quick_are_those_of_its_usage() {
        let commands = QUICK.map(|word| word.name).join(" | ");
        assert!(crate::wg_quick::USAGE.contains(&format!("[ {commands} ]")));
    }

    #[test]
    fn the_words_are_those_of_the_usage_lines() {
        let named = |usage: &str| -> Vec<String> {
            let part = |c: char| c.is_ascii_lowercase() || c == '-';
            usage.split(|c| !part(c)).map(String::from).collect()
        };
        let usage = named(show::USAGE);
        for word in FIELDS.iter().chain(&TARGETS) {
            assert!(usage.iter().any(|named| named == word.name), "{}", word.name);
        }
        assert_eq!(show::USAGE.matches('|').count(), TARGETS.len() + FIELDS.len() - 1);
        let usage = named(wg::set::USAGE);
        for word in DEVICE.iter().chain(&PEER) {
            assert!(usage.iter().any(|named| named == word.name), "{}", word.name);
        }
        assert_eq!(wg::set::USAGE.matches(" [").count(), DEVICE.len() + PEER.len() - 1);
    }
}
