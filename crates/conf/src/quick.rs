//! What a file says for `wg-quick`: the host around the interface.
//!
//! [`Quick::of`] reads the values that [`crate::wg::file`] found. Routes and rules are not decided here.

use std::net::IpAddr;

use crate::access::{self, Destination};
use crate::prefix::Prefix;
use crate::problem::{At, Position, Problem};
use crate::wg::file::{Dialect, QuickKey, Reading};

/// The host around an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quick {
    /// Addresses of the interface, in the order of the file.
    pub addresses: Vec<At<Address>>,
    /// Addresses of name servers, in the order of the file.
    pub name_servers: Vec<At<IpAddr>>,
    /// Domains that are tried after a short name, in the order of the file.
    pub search_domains: Vec<At<String>>,
    /// In bytes; computed from the path to the peers if it is not there.
    pub mtu: Option<At<u32>>,
    /// Where routes go.
    pub table: Table,
    /// What is run, in the order of the file.
    pub hooks: Vec<(Stage, At<String>)>,
    /// Whether the state is written to the file when the interface goes down.
    pub save_config: bool,
    /// Whether a tunnel whose name servers cannot be used is not to come up. Of adit, not of the stock tool, as is what follows.
    pub dns_required: bool,
    /// Whether the peers reach other networks through this machine.
    pub gateway: bool,
    /// Whether packets leave this machine by the tunnel only.
    pub kill_switch: KillSwitch,
    /// Where packets of peers may go of which nothing else is said.
    pub default_allow: Option<Vec<Destination>>,
    /// Who runs the interface.
    pub backend: Backend,
    /// Where the private key is, if not in the file.
    pub private_key: Option<At<KeySource>>,
}

/// The smallest MTU, in bytes, with which a link has IPv6 (RFC 8200, section 5). Linux takes it away from a link that has less.
pub const LEAST_MTU_OF_IPV6: u32 = 1280;

/// Where a private key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file; a relative path begins at the folder of the configuration.
    File(String),
    /// In a credential that systemd passes to the service, of this name.
    Credential(String),
    /// A command prints it.
    Command(String),
}

/// Who runs an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The kernel if it can, else an engine in userspace.
    #[default]
    Auto,
    /// The kernel.
    Kernel,
    /// The engine of adit.
    Adit,
}

impl std::str::FromStr for Backend {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "kernel" => Ok(Self::Kernel),
            "adit" => Ok(Self::Adit),
            _ => Err("expected kernel, adit or auto".to_owned()),
        }
    }
}

/// Whether packets leave a machine by its tunnel only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KillSwitch {
    /// They leave by any interface.
    #[default]
    Off,
    /// They leave by the tunnel only.
    On,
    /// They leave by the tunnel, or for the local network.
    OnButLocal,
}

/// An address of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// With the bits beyond the length.
    pub address: IpAddr,
    /// The network that it is in; the address alone if no length is named.
    pub network: Prefix,
}

/// Where the routes to the allowed IPs go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Table {
    /// To the main table; default routes to one of their own, by policy rules.
    #[default]
    Auto,
    /// Nowhere.
    Off,
    /// To the table of that number, default routes, too.
    Number(u32),
    /// To the table of that name, which the host knows.
    Named(String),
}

/// When a hook is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as they are written")]
pub enum Stage {
    PreUp,
    PostUp,
    PreDown,
    PostDown,
}

/// With the length of the network.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.network.prefix_len())
    }
}

impl Quick {
    /// Reads a whole file: what it says for `wg`, with all problems in the order of their places, and for `wg-quick`.
    pub fn read(file: &[u8]) -> (Reading, Self) {
        let mut reading = Reading::of(file, Dialect::Quick);
        let (quick, problems) = Self::of(&reading.config.quick);
        reading.problems.extend(problems);
        reading.problems.sort_by_key(|problem| problem.at);
        (reading, quick)
    }

    /// Reads values in the order of the file. Problems leave out what is wrong.
    pub fn of(values: &[(QuickKey, At<String>)]) -> (Self, Vec<Problem>) {
        let mut quick = Self::default();
        let mut problems = Vec::new();
        for (key, At { at, value }) in values {
            if let Err(problem) = quick.take(*key, *at, value, &mut problems) {
                problems.push(problem);
            }
        }
        (quick, problems)
    }

    /// Tells whether the file names an MTU that is too small for IPv6.
    pub fn is_mtu_below_ipv6(&self) -> bool {
        self.mtu.is_some_and(|mtu| mtu.value < LEAST_MTU_OF_IPV6)
    }

    /// Returns the hooks of a stage.
    pub fn hooks(&self, stage: Stage) -> impl Iterator<Item = &str> {
        let hooks = self.hooks.iter().filter(move |(when, _)| *when == stage);
        hooks.map(|(_, hook)| hook.value.as_str())
    }

    fn take(&mut self, key: QuickKey, at: Position, value: &str, problems: &mut Vec<Problem>) -> Result<(), Problem> {
        match key {
            QuickKey::Address => self.addresses(at, value, problems),
            QuickKey::Dns => self.dns(at, value, problems),
            QuickKey::Mtu => {
                // The kernel takes what fits; below 68 there is no IPv4.
                let mtu = value.parse().ok().filter(|mtu| (68..=65_535).contains(mtu));
                let value = mtu.ok_or_else(|| wrong(at, "MTU", &"expected a number of bytes from 68 to 65535"))?;
                self.mtu = Some(At { at, value });
            }
            QuickKey::Table => self.table = table(at, value)?,
            QuickKey::SaveConfig => self.save_config = yes_or_no(at, "SaveConfig", value)?,
            QuickKey::DnsRequired => self.dns_required = yes_or_no(at, "DNSRequired", value)?,
            QuickKey::Gateway => self.gateway = yes_or_no(at, "Gateway", value)?,
            QuickKey::KillSwitch => {
                self.kill_switch = match truth(value) {
                    Some(true) => KillSwitch::On,
                    Some(false) => KillSwitch::Off,
                    None if value.eq_ignore_ascii_case("lan") => KillSwitch::OnButLocal,
                    None => return Err(wrong(at, "KillSwitch", &"expected true, false or lan")),
                }
            }
            QuickKey::DefaultAllow => self.default_allow(at, value, problems)?,
            QuickKey::Backend => {
                self.backend = value.parse().map_err(|error: String| wrong(at, "Backend", &error))?;
            }
            QuickKey::PrivateKeyFile => self.key_source(at, KeySource::File(value.to_owned()))?,
            QuickKey::PrivateKeyCredential => self.key_source(at, KeySource::Credential(value.to_owned()))?,
            QuickKey::PrivateKeyCommand => self.key_source(at, KeySource::Command(value.to_owned()))?,
            QuickKey::PreUp => self.hook(Stage::PreUp, at, value),
            QuickKey::PostUp => self.hook(Stage::PostUp, at, value),
            QuickKey::PreDown => self.hook(Stage::PreDown, at, value),
            QuickKey::PostDown => self.hook(Stage::PostDown, at, value),
        }
        Ok(())
    }

    fn addresses(&mut self, at: Position, value: &str, problems: &mut Vec<Problem>) {
        for (at, text) in elements(at, value) {
            match Prefix::parse(text) {
                Ok((address, network)) => self.addresses.push(At {
                    at,
                    value: Address { address, network },
                }),
                Err(error) => problems.push(wrong(at, "Address", &error)),
            }
        }
    }

    fn default_allow(&mut self, at: Position, value: &str, problems: &mut Vec<Problem>) -> Result<(), Problem> {
        const KEY: &str = "DefaultAllow";
        if value.is_empty() {
            return Err(wrong(at, KEY, &"expected destinations, or none"));
        }
        for (at, text) in elements(at, value) {
            if let Err(error) = access::read_into(&mut self.default_allow, text) {
                problems.push(wrong(at, KEY, &error));
            }
        }
        Ok(())
    }

    fn hook(&mut self, stage: Stage, at: Position, value: &str) {
        let value = value.to_owned();
        self.hooks.push((stage, At { at, value }));
    }

    fn key_source(&mut self, at: Position, source: KeySource) -> Result<(), Problem> {
        let why = match &source {
            KeySource::File(text) | KeySource::Credential(text) | KeySource::Command(text) if text.is_empty() => {
                "it has no value"
            }
            KeySource::Credential(name) if name.contains('/') || name.starts_with('.') => {
                "a credential has a name, not a path"
            }
            _ if self.private_key.is_some() => "there is a private key already",
            _ => {
                self.private_key = Some(At { at, value: source });
                return Ok(());
            }
        };
        Err(wrong(at, "PrivateKey", &why))
    }

    /// What is made of digits and dots or has a colon is a name server, else it is a domain.
    fn dns(&mut self, at: Position, value: &str, problems: &mut Vec<Problem>) {
        for (at, text) in elements(at, value) {
            let is_address = text.contains(':') || text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
            match text.parse() {
                Ok(value) => self.name_servers.push(At { at, value }),
                Err(_) if is_address => problems.push(wrong(at, "DNS", &"expected the address of a name server")),
                Err(_) if is_domain(text) => self.search_domains.push(At {
                    at,
                    value: text.to_owned(),
                }),
                Err(_) => problems.push(wrong(at, "DNS", &"expected an address or a domain")),
            }
        }
    }
}

/// Reads the number of a routing table, decimal or as `0x…`.
pub fn table_number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn table(at: Position, value: &str) -> Result<Table, Problem> {
    match (value, table_number(value)) {
        ("" | "auto", _) => Ok(Table::Auto),
        ("off", _) => Ok(Table::Off),
        (_, Some(0)) => Err(wrong(at, "Table", &"there is no table 0")),
        (_, Some(number)) => Ok(Table::Number(number)),
        (name, None) if name.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c)) => {
            Ok(Table::Named(name.to_owned()))
        }
        _ => Err(wrong(
            at,
            "Table",
            &"expected auto, off, or the number or name of a table",
        )),
    }
}

fn yes_or_no(at: Position, key: &str, value: &str) -> Result<bool, Problem> {
    truth(value).ok_or_else(|| wrong(at, key, &"expected true or false"))
}

fn truth(value: &str) -> Option<bool> {
    match value {
        value if value.eq_ignore_ascii_case("true") => Some(true),
        value if value.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A domain goes to a resolver's file: it must not bring other words or lines along.
fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
}

fn wrong(at: Position, key: &str, why: &dyn std::fmt::Display) -> Problem {
    Problem::error(at, "wrong-value", format!("{key}: {why}"))
}

/// The words between commas and white space.
fn elements(at: Position, value: &str) -> impl Iterator<Item = (Position, &str)> {
    let mut column = at.column;
    let parts = value
        .split(|c: char| c == ',' || c.is_ascii_whitespace())
        .map(move |part| {
            let at = Position { column, ..at };
            column += part.chars().count() + 1;
            (at, part)
        });
    parts.filter(|(_, part)| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Quick, Vec<String>) {
        let reading = Reading::of(format!("[Interface]\n{text}").as_bytes(), Dialect::Quick);
        assert_eq!(reading.problems, []);
        let (quick, problems) = Quick::of(&reading.config.quick);
        let problems = problems.iter().map(|p| format!("{} {}", p.at, p.message)).collect();
        (quick, problems)
    }

    #[test]
    fn every_key_of_wg_quick_is_read() {
        let (quick, problems) = read(
            "Address = 10.0.0.2/24, fd00::2/64 10.0.0.3\nAddress=fd00::3\nDNS = 1.1.1.1,corp.example fd00::53\nMTU = 1420\n\
             Table = 1234\nPostUp = iptables -A x -o %i # not a comment\nPreDown = a\nPostUp = b\nSaveConfig = True\n\
             Gateway = true\nKillSwitch = LAN\nBackend = Kernel\nDNSRequired = true\n",
        );
        assert_eq!(problems, [""; 0]);
        let addresses: Vec<_> = quick
            .addresses
            .iter()
            .map(|a| format!("{} {}", a.value.address, a.value.network))
            .collect();
        assert_eq!(
            addresses,
            [
                "10.0.0.2 10.0.0.0/24",
                "fd00::2 fd00::/64",
                "10.0.0.3 10.0.0.3/32",
                "fd00::3 fd00::3/128"
            ]
        );
        assert_eq!(quick.name_servers.len(), 2);
        assert_eq!(quick.search_domains[0].value, "corp.example");
        assert_eq!(quick.mtu.map(|mtu| mtu.value), Some(1420));
        assert_eq!(quick.table, Table::Number(1234));
        let post_up: Vec<_> = quick.hooks(Stage::PostUp).collect();
        assert_eq!(post_up, ["iptables -A x -o %i # not a comment", "b"]);
        assert!(quick.save_config && quick.gateway && quick.dns_required);
        assert_eq!(
            (quick.kill_switch, quick.backend),
            (KillSwitch::OnButLocal, Backend::Kernel)
        );
    }

    #[test]
    fn a_private_key_has_one_place() {
        let source = |text| read(text).0.private_key.map(|source| source.value);
        assert_eq!(source("PrivateKeyFile = a b"), Some(KeySource::File("a b".to_owned())));
        assert_eq!(
            source("PrivateKeyCommand = pass wg0 # x"),
            Some(KeySource::Command("pass wg0 # x".to_owned()))
        );
        assert_eq!(
            source("PrivateKeyCredential = wg0"),
            Some(KeySource::Credential("wg0".to_owned()))
        );
        for (text, problem) in [
            (
                "PrivateKeyFile = a\nPrivateKeyFile = b",
                "3:18 PrivateKey: there is a private key already",
            ),
            (
                "PrivateKeyCredential = ../x",
                "2:24 PrivateKey: a credential has a name, not a path",
            ),
        ] {
            assert_eq!(read(text).1, [problem]);
        }
    }

    #[test]
    fn what_peers_may_reach_by_default_is_a_list_or_nothing() {
        let allowed = |text| read(text).0.default_allow.map(|allow| allow.len());
        assert_eq!(allowed(""), None);
        assert_eq!(allowed("DefaultAllow = none"), Some(0));
        assert_eq!(
            allowed("DefaultAllow = 10.0.0.53:53, fd00::53\nDefaultAllow = any:443"),
            Some(3)
        );
        for (text, problem) in [
            ("DefaultAllow =", "2:15 DefaultAllow: expected destinations, or none"),
            (
                "DefaultAllow = 10.0.0.1:80/x",
                "2:16 DefaultAllow: expected /tcp or /udp after the port",
            ),
            (
                "DefaultAllow = any, none",
                "2:21 DefaultAllow: none stands alone: leave it out, or all else",
            ),
        ] {
            assert_eq!(read(text).1, [problem]);
        }
    }

    #[test]
    fn tables_have_numbers_or_names() {
        for (text, table) in [
            ("auto", Table::Auto),
            ("", Table::Auto),
            ("off", Table::Off),
            ("0x10", Table::Number(16)),
            ("4294967295", Table::Number(u32::MAX)),
            ("main", Table::Named("main".to_owned())),
        ] {
            assert_eq!(read(&format!("Table = {text}")).0.table, table, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (line, problem) in [
            (
                "Address = 10.0.0.1/24, host",
                "2:24 Address: expected an address, perhaps with a length: 192.0.2.1, 10.0.0.0/8, fd00::/8",
            ),
            ("DNS = 1.1.1.1 1.1.1", "2:15 DNS: expected the address of a name server"),
            ("DNS = a/b", "2:7 DNS: expected an address or a domain"),
            ("MTU = 67", "2:7 MTU: expected a number of bytes from 68 to 65535"),
            (
                "Table = a b",
                "2:9 Table: expected auto, off, or the number or name of a table",
            ),
            ("SaveConfig = yes", "2:14 SaveConfig: expected true or false"),
            ("Gateway = 1", "2:11 Gateway: expected true or false"),
            ("Backend = go", "2:11 Backend: expected kernel, adit or auto"),
            ("KillSwitch = wlan", "2:14 KillSwitch: expected true, false or lan"),
        ] {
            assert_eq!(read(line).1, [problem]);
        }
    }
}
