//! From lines to values: one pass, which goes on after an error.

use proto::{PresharedKey, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::draft::Draft;
use super::key::{self, InterfaceKey, Key, PeerKey};
use super::{Dialect, QuickKey, Reading, name};
use crate::access;
use crate::key_text::{self, KeyBytes};
use crate::lexer::{self, Content, Line, Word};
use crate::problem::{At, Position, Problem};
use crate::wg::value::{self, Endpoint, ValueError};

pub(super) fn read(file: &[u8], dialect: Dialect) -> Reading {
    let mut reader = Reader {
        dialect,
        section: Section::None,
        name: None,
        reading: Reading::default(),
    };
    if file.starts_with("\u{feff}".as_bytes()) {
        let problem = Problem::error(
            Position { line: 1, column: 1 },
            "byte-order-mark",
            "the file begins with a byte order mark",
        );
        reader.problem(problem.with_hint("save it as UTF-8 without one"));
    }
    for line in lexer::lines(file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file)) {
        reader.line(&line);
    }
    reader.name_is_for_this_section();
    reader.end_section();
    reader.reading
}

struct Reader {
    dialect: Dialect,
    section: Section,
    /// From a comment of its own: for the next section if that begins on the line after the comments, else for this one.
    name: Option<String>,
    reading: Reading,
}

enum Section {
    /// Before the first one.
    None,
    Interface,
    Peer(Box<Draft>),
    /// One that was reported; what it holds is passed over.
    Unknown,
}

impl Reader {
    fn line(&mut self, line: &Line<'_>) {
        let name = line.comment.and_then(name::in_comment).map(str::to_owned);
        match line.content {
            Content::Blank => {
                if name.is_some() {
                    self.name = name;
                } else if line.comment.is_none() {
                    self.name_is_for_this_section();
                }
                return;
            }
            Content::Section(word) => self.begin_section(word),
            content => {
                self.name_is_for_this_section();
                match content {
                    Content::Entry { key, value } => self.entry(line, key, value),
                    Content::Other(word) => self.not_an_entry(word),
                    Content::NotText(at) => {
                        let problem = Problem::error(at, "not-text", "these bytes are no UTF-8 text");
                        self.problem(problem.with_hint("only comments may hold them"));
                    }
                    Content::Blank | Content::Section(_) => {}
                }
            }
        }
        if name.is_some() {
            self.name = name;
            self.name_is_for_this_section();
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.reading.problems.push(problem);
    }

    fn name_is_for_this_section(&mut self) {
        if let (Some(name), Section::Peer(draft)) = (self.name.take(), &mut self.section) {
            draft.name = Some(name);
        }
    }

    fn begin_section(&mut self, word: Word<'_>) {
        self.end_section();
        let name = word.text();
        let above = self.name.take();
        self.section = if name.eq_ignore_ascii_case("Interface") {
            Section::Interface
        } else if name.eq_ignore_ascii_case("Peer") {
            Section::Peer(Box::new(Draft::new(word.at, above)))
        } else {
            let problem = Problem::error(
                word.at,
                "unknown-section",
                format!("there is no section {}", quoted(&name)),
            );
            self.problem(problem.with_hint("the sections are [Interface] and [Peer]"));
            Section::Unknown
        };
    }

    fn end_section(&mut self) {
        if let Section::Peer(draft) = std::mem::replace(&mut self.section, Section::None) {
            match draft.finish() {
                Ok(peer) => self.reading.config.peers.extend(peer),
                Err(problem) => self.problem(problem),
            }
        }
    }

    fn entry(&mut self, line: &Line<'_>, word: Word<'_>, value: Word<'_>) {
        if matches!(self.section, Section::Unknown) {
            return;
        }
        let text = word.text();
        let Some((name, key)) = Key::find(&text) else {
            self.problem(unknown_key(word, &text));
            return;
        };
        let entry = Entry {
            name,
            key,
            at: word.at,
            value,
        };
        if let Err(problem) = self.known_entry(line, &entry) {
            self.problem(problem);
        }
    }

    fn known_entry(&mut self, line: &Line<'_>, entry: &Entry<'_>) -> Result<(), Problem> {
        if self.dialect == Dialect::Wg && entry.key.is_for_quick() {
            let problem = Problem::error(entry.at, "not-for-wg", format!("{} is for wg-quick", entry.name));
            return Err(problem.with_hint("`wg-quick strip' prints what is for wg"));
        }
        if entry.value.raw.is_empty() && !matches!(entry.key, Key::Quick(_)) {
            let problem = Problem::error(entry.value.at, "no-value", format!("{} has no value", entry.name));
            return Err(problem.with_hint(format!("{}; or leave the line out", entry.key.expects())));
        }
        match (&mut self.section, entry.key) {
            (Section::Interface, Key::Interface(key)) => self.interface(key, entry),
            (Section::Interface, Key::Quick(key)) => self.quick(key, line, entry),
            (Section::Peer(draft), Key::Peer(key)) => peer(draft, key, entry, &mut self.reading.problems),
            (_, Key::Interface(_) | Key::Quick(_)) => Err(entry.misplaced("[Interface]")),
            (_, Key::Peer(_)) => Err(entry.misplaced("[Peer]")),
        }
    }

    fn interface(&mut self, key: InterfaceKey, entry: &Entry<'_>) -> Result<(), Problem> {
        let config = &mut self.reading.config;
        match key {
            InterfaceKey::PrivateKey => {
                let key = PrivateKey::from_bytes(*entry.key_bytes()?);
                config.private_key = Some(At {
                    at: entry.value.at,
                    value: Some(key).filter(|key| !key.is_zero()),
                });
            }
            InterfaceKey::ListenPort => config.listen_port = Some(entry.read(value::port)?),
            InterfaceKey::FwMark => config.fwmark = Some(entry.read(value::fwmark)?),
        }
        Ok(())
    }

    fn quick(&mut self, key: QuickKey, line: &Line<'_>, entry: &Entry<'_>) -> Result<(), Problem> {
        let text = if key.is_hook() {
            line.raw_value()
                .filter(|text| !text.contains('\0'))
                .ok_or_else(|| entry.wrong("a command must be UTF-8 text, without NUL"))?
                .trim()
        } else {
            entry.value.raw
        };
        let (at, value) = (entry.value.at, text.to_owned());
        self.reading.config.quick.push((key, At { at, value }));
        Ok(())
    }

    fn not_an_entry(&mut self, word: Word<'_>) {
        let problem = Problem::error(
            word.at,
            "not-an-entry",
            "this is neither a section, nor a key with a value",
        );
        self.problem(problem.with_hint(match word.raw.as_bytes() {
            [b';' | b'/', ..] => "a comment begins with #",
            [b'[', ..] => "a section ends with ]",
            _ => "write `Key = value'",
        }));
    }
}

fn peer(draft: &mut Draft, key: PeerKey, entry: &Entry<'_>, problems: &mut Vec<Problem>) -> Result<(), Problem> {
    match key {
        PeerKey::Name => {
            name::check(entry.value.raw).map_err(|wrong| entry.wrong(wrong))?;
            draft.name = Some(entry.value.raw.to_owned());
        }
        PeerKey::PublicKey => {
            draft.has_key_line = true;
            draft.public_key = Some(At {
                at: entry.value.at,
                value: PublicKey::from_bytes(*entry.key_bytes()?),
            });
        }
        PeerKey::PresharedKey => {
            let key = PresharedKey::from_bytes(*entry.key_bytes()?);
            draft.preshared_key = Some(Some(key).filter(|key| !key.is_zero()));
        }
        PeerKey::AllowedIps | PeerKey::ExcludedIps => {
            for element in entry.value.elements() {
                let text = element.text();
                match value::allowed_ip(&text) {
                    Ok(ip) if ip.has_host_part => {
                        problems.push(host_part(element, &ip));
                        draft.allowed_ip(key, element.at, &ip)?;
                    }
                    Ok(ip) => draft.allowed_ip(key, element.at, &ip)?,
                    Err(error) => problems.push(entry.wrong_at(element.at, error.of_file(&text))),
                }
            }
            draft.allowed_ips.named |= key == PeerKey::AllowedIps;
        }
        PeerKey::Allow => {
            for element in entry.value.elements() {
                if let Err(error) = access::read_into(&mut draft.allow, &element.text()) {
                    problems.push(entry.wrong_at(element.at, error));
                }
            }
        }
        PeerKey::Endpoint => draft.endpoint = Some(entry.read(Endpoint::parse)?),
        PeerKey::PersistentKeepalive => draft.persistent_keepalive = Some(entry.read(value::persistent_keepalive)?),
    }
    Ok(())
}

/// A key that is known, with its value.
struct Entry<'a> {
    /// As it is usually written.
    name: &'static str,
    key: Key,
    /// Where it begins.
    at: Position,
    value: Word<'a>,
}

impl Entry<'_> {
    fn read<T>(&self, parse: impl FnOnce(&str) -> Result<T, ValueError>) -> Result<At<T>, Problem> {
        let text = self.value.text();
        let value = parse(&text).map_err(|error| self.wrong(error.of_file(&text)))?;
        Ok(At {
            at: self.value.at,
            value,
        })
    }

    fn key_bytes(&self) -> Result<KeyBytes, Problem> {
        // It is not repeated, even where a public key is wanted: people take one for the other.
        key_text::parse_base64(self.value.text().as_bytes()).ok_or_else(|| self.wrong("this is no key"))
    }

    fn misplaced(&self, section: &str) -> Problem {
        let message = format!("{} belongs to a section {section}", self.name);
        Problem::error(self.at, "misplaced-key", message)
    }

    fn wrong(&self, why: impl std::fmt::Display) -> Problem {
        self.wrong_at(self.value.at, why)
    }

    fn wrong_at(&self, at: Position, why: impl std::fmt::Display) -> Problem {
        Problem::error(at, "wrong-value", format!("{}: {why}", self.name)).with_hint(self.key.expects())
    }
}

fn host_part(element: Word<'_>, ip: &value::AllowedIp) -> Problem {
    let message = format!("{} has bits set beyond the length of its prefix", element.raw);
    Problem::warning(element.at, "host-part", message).with_hint(format!("it counts as {}", ip.prefix))
}

fn unknown_key(word: Word<'_>, text: &Zeroizing<String>) -> Problem {
    let problem = Problem::error(word.at, "unknown-key", format!("there is no key {}", quoted(text)));
    match key::similar(text) {
        Some(name) => problem.with_hint(format!("is it {name}?")),
        None => problem,
    }
}

/// A word from the file, if it may be shown.
fn quoted(word: &str) -> String {
    if value::may_be_shown(word) {
        format!("`{word}'")
    } else {
        "of that name".to_owned()
    }
}
