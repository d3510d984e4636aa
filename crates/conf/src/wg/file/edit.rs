//! A file made to say what an interface is, by changes to the lines that say something else.
//!
//! All other lines stay byte for byte: comments, names of peers, hooks, name servers, order, line ends. A changed value stands on
//! the first line of its key; further lines of the key go. Peers that are gone lose their sections, new ones get one at the end.
//!
//! Left as it is: an endpoint that is a name, wherever the peer has gone; a random port that the file asks for; exclusions that leave
//! the allowed IPs that there are; a private key that the interface does not have. Not written down: a private key where the file
//! has none, because something else keeps it; a mark that was chosen for a default route.

mod list;
mod outline;
mod patch;
mod peers;

use std::net::SocketAddr;

use zeroize::Zeroizing;

use self::outline::Outline;
use self::patch::Patch;
use super::key::{InterfaceKey, Key};
use super::{Config, QuickKey};
use crate::key_text;
use crate::quick::{Address, Quick};
use crate::uapi::DeviceStatus;
use crate::wg::change::same;

/// What an interface is.
#[derive(Clone, Copy)]
pub struct Live<'a> {
    /// Keys, sockets and peers.
    pub device: &'a DeviceStatus,
    /// Those that are to be written down.
    pub addresses: &'a [Address],
    /// In bytes.
    pub mtu: u32,
    /// Whether the mark was chosen for a default route.
    pub mark_is_chosen: bool,
    /// Writes an endpoint, with the name of its zone.
    pub endpoint_text: &'a dyn Fn(SocketAddr) -> String,
}

/// Returns the file that says what `live` is; `None` if it does so already.
///
/// `config` and `quick` are what the file says, without errors.
pub fn edit(file: &[u8], config: &Config, quick: &Quick, live: &Live<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let outline = Outline::of(file);
    let mut editor = Editor {
        patch: Patch::new(file),
        outline: &outline,
        live,
    };
    editor.interface(config, quick);
    editor.peers(&config.peers);
    editor.patch.apply()
}

struct Editor<'a> {
    patch: Patch<'a>,
    outline: &'a Outline,
    live: &'a Live<'a>,
}

impl Editor<'_> {
    fn interface(&mut self, config: &Config, quick: &Quick) {
        let Live { device, mtu, .. } = *self.live;
        let mut new = Vec::new();
        let private_key = config.private_key.as_ref().and_then(|key| key.value.as_ref());
        if let (Some(old), Some(key)) = (private_key, &device.private_key)
            && !same(Some(old), Some(key))
        {
            let lines = self.interface_lines(Key::Interface(InterfaceKey::PrivateKey));
            new.extend(self.set("PrivateKey", &lines, Some(key_text::base64(key.as_bytes()))));
        }
        let port = config.listen_port.map(|port| port.value);
        if device.listen_port != 0 && port != Some(0) && port != Some(device.listen_port) {
            let lines = self.interface_lines(Key::Interface(InterfaceKey::ListenPort));
            new.extend(self.set("ListenPort", &lines, Some(text(device.listen_port))));
        }
        let mark = config.fwmark.map_or(0, |mark| mark.value);
        if mark != device.fwmark && !(mark == 0 && self.live.mark_is_chosen) {
            let lines = self.interface_lines(Key::Interface(InterfaceKey::FwMark));
            let mark = Some(device.fwmark).filter(|&mark| mark != 0);
            new.extend(self.set("FwMark", &lines, mark.map(|mark| text(format_args!("{mark:#x}")))));
        }
        let present = quick.addresses.iter().map(|address| (address.at.line, address.value));
        let missing = list::edit(&mut self.patch, present, self.live.addresses);
        if !missing.is_empty() {
            new.push(line("Address", &list::text(&missing)));
        }
        if quick.mtu.is_some_and(|present| present.value != mtu) {
            let lines = self.interface_lines(Key::Quick(QuickKey::Mtu));
            new.extend(self.set("MTU", &lines, Some(text(mtu))));
        }
        self.add_to_interface(new);
    }

    fn interface_lines(&self, key: Key) -> Vec<usize> {
        let sections = self.outline.sections.iter().filter(|section| section.is_interface);
        sections.flat_map(|section| section.lines(key)).collect()
    }

    fn add_to_interface(&mut self, new: Vec<Zeroizing<String>>) {
        if new.is_empty() {
            return;
        }
        let mut sections = self.outline.sections.iter();
        if let Some(section) = sections.find(|section| section.is_interface) {
            for line in new {
                self.patch.insert(section.last_entry, line);
            }
        } else {
            self.patch.insert(0, Zeroizing::new("[Interface]".to_owned()));
            for line in new {
                self.patch.insert(0, line);
            }
            self.patch.insert(0, Zeroizing::default());
        }
    }

    /// Leaves a key one line with a value, or none. Returns that line where there is none yet.
    fn set(&mut self, name: &str, lines: &[usize], value: Option<Zeroizing<String>>) -> Option<Zeroizing<String>> {
        let mut lines = lines.iter().copied();
        let new = match (value, lines.len()) {
            (Some(value), 0) => Some(line(name, &value)),
            (Some(value), _) => {
                if let Some(first) = lines.next() {
                    self.patch.set_value(first, &value);
                }
                None
            }
            (None, _) => None,
        };
        for line in lines {
            self.patch.remove(line..=line);
        }
        new
    }
}

fn text(value: impl std::fmt::Display) -> Zeroizing<String> {
    Zeroizing::new(value.to_string())
}

/// Returns a line without its line end.
fn line(name: &str, value: &str) -> Zeroizing<String> {
    Zeroizing::new([name, " = ", value].concat())
}

#[cfg(test)]
mod tests;
