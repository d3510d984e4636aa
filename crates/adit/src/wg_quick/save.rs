//! `wg-quick save`, and `SaveConfig = true` on `down`: the file comes to say what the interface is. See [`conf::wg::file::edit`].
//!
//! A file that was edited since it was last used is never written over.

mod replace;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use conf::key_text;
use conf::prefix::Prefix;
use conf::quick::{Address, KillSwitch, Quick, Stage};
use conf::wg::file::edit::{Live, edit};
use conf::wg::file::{Config, Peer};
use host::wireguard::endpoint_text;
use host::{Netlink, address, link};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::engine::{self, status};
use super::file::File;
use super::journal::{self, Journal, Lock};
use super::{Failure, Outcome, confirm, desired, say, stock};

/// A file as it was when it was last used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Used {
    /// SHA-256 of the text.
    digest: Vec<u8>,
    save_config: bool,
    /// Commands for before and after the beginning; those of earlier builds are not known.
    #[serde(default)]
    up_commands: Option<Vec<String>>,
    /// The keys of peers, each with its endpoint as it is written.
    #[serde(default)]
    endpoints: BTreeSet<String>,
}

impl Used {
    pub(super) fn new(text: &[u8], config: &Config, quick: &Quick) -> Self {
        Self {
            digest: digest(text),
            save_config: quick.save_config,
            up_commands: Some(up_commands(quick)),
            endpoints: config.peers.iter().filter_map(endpoint).collect(),
        }
    }

    /// Tells whether other commands are to run at the beginning than there were.
    pub(super) fn has_other_up_commands(&self, quick: &Quick) -> bool {
        self.up_commands
            .as_ref()
            .is_some_and(|commands| *commands != up_commands(quick))
    }

    /// Tells whether a peer had the endpoint that it has now.
    pub(super) fn has_endpoint_of(&self, peer: &Peer) -> bool {
        endpoint(peer).is_some_and(|endpoint| self.endpoints.contains(&endpoint))
    }

    /// Tells whether the file says what it said.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        self.digest == digest(text)
    }
}

/// Returns the commands for before and after the beginning.
pub(super) fn up_commands(quick: &Quick) -> Vec<String> {
    let stages = [Stage::PreUp, Stage::PostUp].into_iter();
    stages.flat_map(|stage| quick.hooks(stage).map(str::to_owned)).collect()
}

fn endpoint(peer: &Peer) -> Option<String> {
    let endpoint = &peer.endpoint.as_ref()?.value;
    let key = key_text::base64(peer.public_key.value.as_bytes());
    Some(format!("{} {endpoint}", *key))
}

fn digest(text: &[u8]) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}

/// Saves, whatever the file says of `SaveConfig`.
pub(super) fn run(file: &File) -> Outcome {
    let lock = journal::lock()?;
    let interface = &file.interface;
    engine::must_exist(interface)?;
    confirm::refuse_while_pending(interface)?;
    let mut journal = Journal::read(interface)?;
    if journal.as_ref().is_some_and(|journal| !journal.complete) {
        return Err(Failure::new(format!("`{interface}' did not come up to its end")));
    }
    save(file, &text(file)?, journal.as_mut(), &lock)
}

/// Saves where the file asks for it, unless the interface is gone or never came up to its end. A file that was edited stays as it is,
/// with a warning: the interface goes down all the same.
pub(super) fn before_down(file: &File, journal: &mut Journal, lock: &Lock) -> Outcome {
    let Some(used) = journal.file.as_ref().filter(|used| used.save_config) else {
        return Ok(());
    };
    if !journal.complete || !engine::exists(&file.interface)? {
        return Ok(());
    }
    let why = match text(file) {
        Ok(text) if used.is(&text) => return save(file, &text, Some(journal), lock),
        Ok(_) => edited(file),
        Err(failure) => failure.message,
    };
    say(format_args!("Warning: {why}: what was changed at run time is lost"));
    Ok(())
}

/// Reads what may be written over. That is no pipe, for whose writer all tunnels would wait.
fn text(file: &File) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if fs::metadata(&file.path).is_ok_and(|data| !data.is_file()) {
        return Err(Failure::new(format!("`{}' is no regular file", file.path.display())));
    }
    file.text()
}

fn save(file: &File, text: &[u8], journal: Option<&mut Journal>, _lock: &Lock) -> Outcome {
    let used = journal.as_ref().and_then(|journal| journal.file.as_ref());
    if used.is_some_and(|used| !used.is(text)) {
        let interface = &file.interface;
        let hint = format!("`adit plan {interface}' shows the difference, `adit reload {interface}' uses the file");
        return Err(Failure::new(format!("{}; {hint}", edited(file))));
    }
    let (config, quick) = file.understand(text)?;
    let device = status(&file.interface)?;
    let mut netlink = Netlink::open()?;
    let index = link::index(&mut netlink, &file.interface)?;
    let addresses = addresses(&mut netlink, index, &quick)?;
    let live = Live {
        device: &device,
        addresses: &addresses,
        mtu: link::read(&mut netlink, index)?.mtu,
        mark_is_chosen: quick.kill_switch != KillSwitch::Off && config.fwmark.is_none()
            || device.fwmark != 0 && !stock::rules(&mut netlink, device.fwmark)?.is_empty(),
        endpoint_text: &endpoint_text,
    };
    let Some(edited) = edit(text, &config, &quick, &live) else {
        return Ok(());
    };
    let written = replace::replace(&file.path, text, &edited);
    written.map_err(|error| Failure::new(format!("cannot save `{}': {error}", file.path.display())))?;
    match journal {
        Some(journal) if journal.file.is_some() => {
            // What is wrong with it was told.
            let (reading, quick) = Quick::read(&edited);
            journal.file = Some(Used::new(&edited, &reading.config, &quick));
            journal.write()
        }
        _ => Ok(()),
    }
}

fn edited(file: &File) -> String {
    let path = file.path.display();
    format!("`{path}' was edited since it was last used: nothing was saved")
}

/// Returns the addresses of an interface without the link-local ones that the kernel gave it: those that the file does not name. Where IPv6 is off
/// it has those of the file, which were left out.
fn addresses(netlink: &mut Netlink, link: u32, quick: &Quick) -> Result<Vec<Address>, Failure> {
    let named = |address: &Address| quick.addresses.iter().any(|named| named.value == *address);
    let is_link_local = |address: IpAddr| matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    let all = address::list(netlink, link)?.into_iter().filter_map(|live| {
        let network = Prefix::new(live.address, live.prefix_len)?;
        let address = live.address;
        Some(Address { address, network })
    });
    let is_left_out = desired::left_out(quick);
    let left_out = quick.addresses.iter().map(|address| address.value);
    let left_out = left_out.filter(|address| is_left_out(address.address));
    Ok(all
        .filter(|address| !is_link_local(address.address) || named(address))
        .chain(left_out)
        .collect())
}
