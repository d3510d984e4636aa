//! `wg-quick down`, and the way back of an `up` that failed.

use std::process::{Command, Stdio};

use conf::quick::{Quick, Stage};
use host::nft::kill_switch::Exceptions;
use host::setup::{Host, Item};
use host::{Error, Family, Netlink, link, route, rule};
use rustix::io::Errno;

use super::dns::Dns;
use super::engine::{self, status};
use super::file::File;
use super::journal::{self, Journal, Lock};
use super::save::{self, Used};
use super::{Failure, Outcome, confirm, hooks, iptables, say};

/// Takes down what systemd has not: it runs no command to stop a unit that is about to start, or to reload. After a crash all stays for
/// the next start.
pub(super) fn after_stop(file: &File) -> Outcome {
    let is_stopped = std::env::var("SERVICE_RESULT").is_ok_and(|result| result == "success");
    match Journal::read(&file.interface)? {
        Some(_) if is_stopped && !is_shutting_down() => run(file),
        _ => Ok(()),
    }
}

/// Tells whether the machine is about to go down, as systemd says.
fn is_shutting_down() -> bool {
    let asked = Command::new("systemctl")
        .arg("is-system-running")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    asked.is_ok_and(|answer| answer.stdout.trim_ascii() == b"stopping")
}

pub(super) fn run(file: &File) -> Outcome {
    let interface = &file.interface;
    let made = || Journal::read(interface)?.map_or_else(|| found(file), Ok);
    let before = made()?;
    if engine::exists(interface)? {
        hooks::run(interface, before.pre_down.iter().map(String::as_str))?;
    }
    let lock = journal::lock()?;
    // A command, or somebody else meanwhile, may have changed the tunnel.
    let mut journal = made()?;
    save::before_down(file, &mut journal, &lock)?;
    // One of a tunnel that the stock tool made is not there yet.
    journal.write()?;
    // Other programs may send until the very end.
    let held = journal.kill_switch().filter(|_| is_shutting_down());
    undo(interface, &journal, held, &lock)?;
    confirm::forget(interface)?;
    journal.end(held)?;
    drop(lock);
    let outcome = hooks::run(interface, journal.post_down.iter().map(String::as_str));
    // A command may have brought the tunnel up again.
    let _lock = journal::lock()?;
    if held.is_none() && Journal::read(interface)?.is_some_and(|present| present == journal) {
        journal.remove()?;
    }
    outcome
}

/// Takes away all that a journal names, whatever of it is there, the interface included, but for a kill switch that is `held`. The journal
/// itself stays.
///
/// Goes on after a failure, and tells the first one at the end.
pub(super) fn undo(interface: &str, journal: &Journal, held: Option<Exceptions>, _lock: &Lock) -> Outcome {
    let mut first = None;
    let mut note = |result: Outcome| {
        if let Err(failure) = result {
            first.get_or_insert(failure);
        }
    };
    let mut host = Host::open(interface)?;
    let others = journal.others()?;
    for item in journal.items.iter().rev() {
        match item {
            // They go with the interface.
            Item::Address(_) | Item::Mtu(_) | Item::Up | Item::Route { .. } => {}
            // Nothing gets past it before all is gone.
            Item::KillSwitch(_) => {}
            Item::Rule(_) | Item::Parameter { .. } | Item::Firewall { .. } | Item::Gateway { .. } => {
                note(journal.unmake(item, &others, &mut host));
            }
        }
    }
    note(delete_link(interface).map_err(Failure::from));
    if journal.iptables {
        iptables::remove(interface);
    }
    if let Some(dns) = &journal.dns {
        dns.unset(false, others.iter().filter_map(|other| other.dns.as_ref()));
    }
    if let (None, Some(exceptions)) = (held, journal.kill_switch()) {
        note(journal.unmake(&Item::KillSwitch(exceptions), &others, &mut host));
    }
    first.map_or(Ok(()), Err)
}

fn delete_link(interface: &str) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    let index = match link::index(&mut netlink, interface) {
        Err(error) if error.is(Errno::NODEV) => return Ok(()),
        index => index?,
    };
    say(format_args!("[#] ip link delete dev {interface}"));
    let engine = engine::handle(interface);
    link::delete(&mut netlink, index)?;
    if let Some(engine) = engine {
        engine::wait_for_end(&engine);
    }
    Ok(())
}

/// Returns what the stock tool made around an interface; commands and servers are those that the file names now.
fn found(file: &File) -> Result<Journal, Failure> {
    engine::must_exist(&file.interface)?;
    let text = file.text()?;
    let (_, quick) = file.understand(&text)?;
    found_by(&file.interface, &text, &quick)
}

/// Like [`found`], by what the file says.
pub(super) fn found_by(interface: &str, text: &[u8], quick: &Quick) -> Result<Journal, Failure> {
    let hooks = |stage| quick.hooks(stage).map(str::to_owned).collect();
    let mut journal = Journal::new(interface.to_owned(), hooks(Stage::PreDown), hooks(Stage::PostDown));
    journal.complete = true;
    journal.file = Some(Used::new(text, quick));
    journal.dns = Dns::wanted(interface, quick).ok().flatten();
    let status = status(interface)?;
    if status.fwmark != 0 {
        journal.items = rules(&mut Netlink::open()?, status.fwmark)?;
        journal.items.extend(Family::BOTH.map(|family| Item::Firewall {
            family,
            mark: status.fwmark,
            addresses: Vec::new(),
        }));
        journal.iptables = true;
    }
    Ok(journal)
}

/// Returns the rules by which packets without the mark look into the table of that number, each with the rule before it that leaves
/// the default route out of the main table; other tunnels have such rules of their own.
pub(super) fn rules(netlink: &mut Netlink, mark: u32) -> Result<Vec<Item>, Error> {
    let mut found = Vec::new();
    for family in Family::BOTH {
        let rules = rule::list(netlink, family)?;
        for rule in rules
            .iter()
            .filter(|rule| rule.table == mark && rule.unless_fwmark == Some(mark))
        {
            let before = |other: &&rule::Rule| {
                other.table == route::MAIN_TABLE
                    && other.suppress_prefix_len == Some(0)
                    && other.priority < rule.priority
            };
            found.extend(
                rules
                    .iter()
                    .filter(before)
                    .max_by_key(|rule| rule.priority)
                    .copied()
                    .map(Item::Rule),
            );
            found.push(Item::Rule(*rule));
        }
    }
    Ok(found)
}
