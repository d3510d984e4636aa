//! What is left of a file of `wg-quick` for `wg`, the stock one included; the rest of it stays as it is, comments too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proto::PrivateKey;
use zeroize::Zeroizing;

use super::key::{Key, PeerKey};
use super::{Dialect, Peer, Reading};
use crate::key_text::base64;
use crate::lexer::{self, Content};

/// Takes out the keys of `wg-quick`, makes names comments, and puts what exclusions leave in the place of the allowed IPs.
///
/// Lines that cannot be understood stay for `wg` to refuse. A `private_key` takes the place of the line that says where it is.
pub fn strip(file: &[u8], private_key: Option<&PrivateKey>) -> Zeroizing<Vec<u8>> {
    let peers = Reading::of(file, Dialect::Quick).config.peers;
    let mut rewritten: BTreeMap<usize, Zeroizing<String>> = BTreeMap::new();
    for peer in peers.iter().filter(|peer| peer.allowed_ips.excluding) {
        rewritten.insert(peer.at.line, allowed_ips(peer));
    }
    // Room for all of it: growing would leave copies of keys.
    let room = file.len() + rewritten.values().map(|line| line.len()).sum::<usize>() + 64;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    let mut private_key = private_key;
    let mut in_interface = false;
    let mut allowed_ips = None;
    for line in lexer::lines(file) {
        let key = match line.content {
            Content::Section(name) => {
                in_interface = name.text().eq_ignore_ascii_case("Interface");
                allowed_ips = rewritten.remove(&line.number).map(Some);
                None
            }
            Content::Entry { key, .. } => Key::find(&key.text()).map(|(_, key)| key),
            _ => None,
        };
        match (key, &mut allowed_ips) {
            (Some(Key::Quick(key)), _) if in_interface => {
                if let Some(private_key) = private_key.take_if(|_| key.is_key_source()) {
                    text.extend_from_slice(b"PrivateKey = ");
                    text.extend_from_slice(base64(private_key.as_bytes()).as_bytes());
                    text.extend_from_slice(b"\n");
                }
            }
            (Some(Key::Peer(PeerKey::Allow)), _) => {}
            (Some(Key::Peer(PeerKey::Name)), _) => {
                text.extend_from_slice(b"# ");
                text.extend_from_slice(line.raw);
            }
            (Some(Key::Peer(PeerKey::AllowedIps | PeerKey::ExcludedIps)), Some(rest)) => {
                text.extend_from_slice(rest.take().unwrap_or_default().as_bytes());
            }
            _ => text.extend_from_slice(line.raw),
        }
    }
    text
}

/// The line that holds what is left of the allowed IPs; empty where nothing is.
fn allowed_ips(peer: &Peer) -> Zeroizing<String> {
    let mut line = Zeroizing::new(String::new());
    for (number, prefix) in peer.allowed_ips.added().enumerate() {
        let before = if number > 0 { ", " } else { "AllowedIPs = " };
        // Writing to memory cannot fail.
        let _ = write!(line, "{before}{prefix}");
    }
    if !line.is_empty() {
        line.push('\n');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

    fn stripped(file: &str) -> String {
        String::from_utf8(strip(file.replace("{A}", A).as_bytes(), None).to_vec())
            .unwrap()
            .replace(A, "{A}")
    }

    #[test]
    fn what_is_for_wg_quick_goes_and_the_rest_stays_as_it_is() {
        assert_eq!(
            stripped(
                "# x\n[Interface]\nAddress = 10.0.0.1\n\n ListenPort=5 # y\npost up = a # b\n[Peer]\nAddress = 1\nPublicKey = {A}\n"
            ),
            "# x\n[Interface]\n\n ListenPort=5 # y\n[Peer]\nAddress = 1\nPublicKey = {A}\n"
        );
    }

    #[test]
    fn what_only_adit_knows_is_written_so_that_others_know_it() {
        assert_eq!(
            stripped(
                "[Peer]\nName = alice\nAllow = 10.0.0.9:443\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/30\nExcludedIPs = 10.0.0.1\nAllowedIPs = ::/0\n\
                 [Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.2.3/8\n"
            ),
            "[Peer]\n# Name = alice\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/32, 10.0.0.2/31, ::/0\n\
             [Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.2.3/8\n"
        );
        let nothing_left = "[Peer]\nPublicKey = {A}\nAllowedIPs = 10.0.0.0/8, !10.0.0.0/8\n";
        assert_eq!(stripped(nothing_left), "[Peer]\nPublicKey = {A}\n");
    }
}
