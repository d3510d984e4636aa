//! `wg set`: changes that the command line names, sent as one request once all of it has been understood.

use std::ffi::OsString;

use conf::uapi::{PeerChange, SetRequest};
use conf::wg::value::{self, ValueError};
use host::wireguard;
use proto::{PresharedKey, PrivateKey, PublicKey};

use super::{Failure, Outcome, key_file, reason, resolve, words};
use crate::names::{Names, NotOne};

pub(crate) const USAGE: &str = "set <interface> [listen-port <port>] [fwmark <mark>] [private-key <file path>] \
                     [peer <base64 public key> [remove] [preshared-key <file path>] [endpoint <ip>:<port>] \
                     [persistent-keepalive <interval seconds>] [allowed-ips <ip1>/<cidr1>[,<ip2>/<cidr2>]...] ]...";

pub(super) fn run(arguments: &[OsString]) -> Outcome {
    let words = words(arguments)?;
    let (name, words) = match words.as_slice() {
        [name, words @ ..] if !words.is_empty() => (name, words),
        _ => return Err(Failure::usage(USAGE)),
    };
    let request = parse(name, words)?;
    let changed = wireguard::open(name).and_then(|mut device| device.change(&request));
    changed.map_err(|error| Failure(format!("Unable to modify interface: {}", reason(&error))))
}

/// Reads options of the device, then peers with theirs. Later values win.
fn parse(interface: &str, words: &[&str]) -> Result<SetRequest, Failure> {
    let mut request = SetRequest::default();
    let mut rest = words;
    while let [option, after @ ..] = rest {
        let wrong = || Failure(format!("Invalid argument: {option}"));
        rest = match (request.peers.last_mut(), after) {
            (Some(peer), after) if *option == "remove" => {
                peer.remove = true;
                after
            }
            (peer, [value, after @ ..]) => {
                match (peer, *option) {
                    (_, "peer") => request.peers.push(PeerChange::new(public_key(interface, value)?)),
                    (Some(peer), option) => change_peer(peer, option, value)?.then_some(()).ok_or_else(wrong)?,
                    (None, option) => change_device(&mut request, option, value)?
                        .then_some(())
                        .ok_or_else(wrong)?,
                }
                after
            }
            (_, []) => return Err(wrong()),
        };
    }
    Ok(request)
}

/// Reads a public key, or what people call the peer that has it.
fn public_key(interface: &str, word: &str) -> Result<PublicKey, Failure> {
    value::public_key(word).or_else(|error| match Names::of_interface(interface).find(word) {
        Ok(key) => Ok(key),
        Err(NotOne::Unknown) => Err(error.into()),
        Err(NotOne::Ambiguous) => Err(Failure(format!("More than one peer is called `{word}'"))),
    })
}

/// Takes an option of the device; false for a word that is none.
fn change_device(request: &mut SetRequest, option: &str, value: &str) -> Result<bool, Failure> {
    match option {
        "listen-port" => request.listen_port = Some(value::port(value)?),
        "fwmark" => request.fwmark = Some(value::fwmark(value)?),
        "private-key" => {
            let key = key_file::read(value)?.map(|key| PrivateKey::from_bytes(*key));
            request.private_key = Some(key.filter(|key| !key.is_zero()));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Takes an option of a peer; false for a word that is none.
fn change_peer(peer: &mut PeerChange, option: &str, value: &str) -> Result<bool, Failure> {
    match option {
        "endpoint" => peer.endpoint = Some(resolve::endpoint(value)?),
        "persistent-keepalive" => peer.persistent_keepalive = Some(value::persistent_keepalive(value)?),
        "preshared-key" => {
            let key = key_file::read(value)?.map(|key| PresharedKey::from_bytes(*key));
            peer.preshared_key = Some(key.filter(|key| !key.is_zero()));
        }
        "allowed-ips" => {
            let list = value::allowed_ips(value)?;
            for prefix in &list.with_host_part {
                eprintln!("Warning: AllowedIP has nonzero host part: {prefix}");
            }
            peer.replace_allowed_ips = !list.incremental;
            peer.allowed_ips.extend(list.changes);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl From<ValueError> for Failure {
    fn from(error: ValueError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

    fn text(words: &[&str]) -> Result<String, String> {
        let request = parse("no-such-interface", words).map_err(|Failure(text)| text)?;
        Ok(String::from_utf8(conf::uapi::set_request(&request).to_vec()).unwrap())
    }

    #[test]
    fn options_belong_to_the_device_until_the_first_peer() {
        assert!(text(&["listen-port", "5", "peer", KEY]).is_ok());
        for (words, word) in [
            (&["peer", KEY, "listen-port", "5"][..], "listen-port"),
            (&["endpoint", "192.0.2.1:5"], "endpoint"),
            (&["remove"], "remove"),
            (&["fwmark"], "fwmark"),
            (&["Fwmark", "5"], "Fwmark"),
            (&["peer", KEY, "allowed-ips"], "allowed-ips"),
            (&["peer", KEY, "nonsense"], "nonsense"),
        ] {
            assert_eq!(text(words), Err(format!("Invalid argument: {word}")));
        }
    }

    #[test]
    fn a_word_that_is_no_text_is_not_taken_for_an_empty_one() {
        use std::os::unix::ffi::OsStringExt;
        let words = ["wg0", "peer", KEY, "allowed-ips"].map(OsString::from);
        let broken = OsString::from_vec(vec![0xff]);
        let Err(Failure(text)) = run(&[&words[..], &[broken]].concat()) else {
            panic!("it was taken");
        };
        assert_eq!(text, "Invalid argument: \u{fffd}");
    }

    #[test]
    fn a_sign_makes_a_list_of_allowed_ips_incremental() {
        let lines = |list| text(&["peer", KEY, "allowed-ips", list]).unwrap();
        assert!(lines("10.0.0.0/8").contains("replace_allowed_ips=true\nallowed_ip=10.0.0.0/8\n"));
        assert!(lines("").contains("replace_allowed_ips=true\n\n"));
        let signed = lines("10.0.0.0/8,-11.0.0.0/8");
        assert!(signed.contains("allowed_ip=10.0.0.0/8\nallowed_ip=-11.0.0.0/8\n"));
        assert!(!signed.contains("replace"));
    }
}
