//! Names of endpoints: an interface comes up without those that nobody knows yet, and gets them when somebody does.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Stdio;
use std::slice;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use conf::quick::Quick;
use conf::uapi::{DeviceStatus, PeerChange, SetRequest};
use conf::wg::file::{Config, Peer};
use conf::wg::value::Endpoint;
use host::setup::{Host, Item};
use host::wireguard;
use sys::notify::{Notify, Topics};

use super::background::Patience;
use super::file::File;
use super::journal::{self, Journal};
use super::{Failure, Outcome, background, desired, engine, say};
use crate::wg::look_up;

/// How long a command waits for names.
pub(super) const A_MOMENT: Duration = Duration::from_secs(2);
/// How long the program in the background waits for them, each time: longer than any resolver.
const LONG: Duration = Duration::from_secs(120);

/// Asks for all names once, and tells which are not known in time.
pub(super) fn known(names: &BTreeSet<Endpoint>, time: Duration) -> Vec<(Endpoint, SocketAddr)> {
    let (sender, answers) = mpsc::channel();
    let mut left = names.clone();
    let names = names.clone();
    let ask = move || {
        look_up(&names, &|name, answer| {
            // Nobody waits any more for what comes late.
            let _ = sender.send((name, answer));
        });
    };
    // Where there is no room for a thread nobody answers.
    let _ = thread::Builder::new().spawn(ask);
    let until = Instant::now() + time;
    let mut known = Vec::new();
    let tell = |why: &str, name| say(format_args!("{why}: `{name}'"));
    while let Ok((name, answer)) = answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
        left.remove(&name);
        match answer {
            Ok(address) => known.push((name, address)),
            Err(failure) => tell(&failure.reason, name),
        }
    }
    for name in left {
        tell("No answer yet", name);
    }
    known
}

/// Starts a program that asks on until all names are known.
pub(super) fn look_up_in_background(file: &File) -> Outcome {
    go_on_in_background(file)?;
    say("Peers whose names are not known yet get their endpoints in the background");
    Ok(())
}

/// Starts a program that waits for all that a machine without a network does not know yet.
pub(super) fn go_on_in_background(file: &File) -> Outcome {
    let started = background::start(["resolve".as_ref(), file.absolute()?.as_os_str()], Stdio::null());
    started.map_err(|error| Failure::new(format!("cannot look up names in the background: {error}")))
}

/// Gives peers that have no endpoint the one that the file names, as soon as it is known; then a kill switch lets no more questions pass. The
/// interface gets an MTU for the way there. Ends with the interface; what fails, such as for a disk that is full, is tried again.
pub(super) fn set_when_known(file: &File) -> Outcome {
    let interface = &file.interface;
    let mut patience = Patience::new();
    let listen = || {
        Notify::new(Topics {
            addresses: true,
            ..Topics::default()
        })
    };
    let mut news = listen();
    loop {
        if let Ok(news) = &mut news {
            patience.wait_for_address(news);
        } else {
            patience.wait();
            news = listen();
        }
        if engine::exists(interface).is_ok_and(|is_there| !is_there) {
            return Ok(());
        }
        if go_on(file).unwrap_or(false) {
            return Ok(());
        }
    }
}

/// Takes what is known by now. Tells whether nothing is left to be done.
fn go_on(file: &File) -> Result<bool, Failure> {
    let status = engine::status(&file.interface)?;
    // Somebody may be writing it.
    let text = file.text()?;
    let (config, quick) = file.understand(&text)?;
    let is_closed = set_known(file, &config, &status) && close_kill_switch(&file.interface)?;
    Ok(fit_mtu(&file.interface, &text, &quick)? && is_closed)
}

/// Gives the interface the MTU for the way to its peers, unless the file names one. Tells whether it has it; while an `up` or a reload goes
/// on, it is left alone.
fn fit_mtu(interface: &str, text: &[u8], quick: &Quick) -> Result<bool, Failure> {
    let _lock = journal::lock()?;
    let Some(mut journal) = Journal::read(interface)? else {
        return Ok(true);
    };
    if !journal.complete || !journal.unsure.is_empty() {
        return Ok(false);
    }
    if !journal.file.as_ref().is_some_and(|used| used.is(text)) {
        // The next reload does it.
        return Ok(true);
    }
    let status = engine::status(interface)?;
    let mut host = Host::open(interface)?;
    let endpoints = status.peers.iter().filter_map(|peer| peer.endpoint);
    let allowed = status.peers.iter().flat_map(|peer| peer.allowed_ips.iter().copied());
    let (mtu, is_guess) = desired::mtu(quick, host.netlink(), endpoints, allowed, status.fwmark)?;
    if is_guess {
        return Ok(false);
    }
    if !journal.items.contains(&mtu) {
        journal.expect(slice::from_ref(&mtu))?;
        journal.make(&mtu, &mut host)?;
    }
    Ok(true)
}

/// Tells whether no name is left to be known.
fn set_known(file: &File, config: &Config, status: &DeviceStatus) -> bool {
    let is_without = |peer: &&Peer| {
        let mut live = status.peers.iter();
        live.any(|live| live.public_key == peer.public_key.value && live.endpoint.is_none())
    };
    let without = config.peers.iter().filter(is_without);
    let waiting: Vec<_> = without
        .filter_map(|peer| Some((peer.public_key.value, &peer.endpoint.as_ref()?.value)))
        .collect();
    if waiting.is_empty() {
        return true;
    }
    let names = waiting.iter().map(|(_, name)| (*name).clone()).collect();
    let known = known(&names, LONG);
    let mut request = SetRequest::default();
    for (public_key, name) in waiting {
        if let Some((_, address)) = known.iter().find(|(known, _)| known == name) {
            request.peers.push(PeerChange {
                update_only: true,
                endpoint: Some(*address),
                ..PeerChange::new(public_key)
            });
        }
    }
    if !request.peers.is_empty() {
        let _ = wireguard::open(&file.interface).and_then(|mut device| device.change(&request));
    }
    false
}

/// Tells whether it is closed; while an `up` goes on, or after a reload that did not come to its end, it is left alone.
pub(super) fn close_kill_switch(interface: &str) -> Result<bool, Failure> {
    let _lock = journal::lock()?;
    let Some(mut journal) = Journal::read(interface)? else {
        return Ok(true);
    };
    if let Some(exceptions) = journal.kill_switch().filter(|exceptions| exceptions.name_servers) {
        if !journal.complete || journal.is_unsure_of_kill_switch() {
            return Ok(false);
        }
        // That it is closed is written down when it is: else nobody would try again.
        journal.make(&Item::KillSwitch(exceptions.closed()), &mut Host::open(interface)?)?;
        journal.close_kill_switch();
        journal.write()?;
    }
    Ok(true)
}
