//! `wg-quick down`, and the way back of an `up` that failed.

use host::nft::kill_switch::Exceptions;
use host::setup::{Host, Item};
use host::{Error, Netlink, link};
use rustix::io::Errno;

use super::engine;
use super::file::File;
use super::journal::{self, Journal, Lock};
use super::{Failure, Outcome, confirm, hooks, iptables, save, say, signals, stock, systemd};

/// Takes down what systemd has not: it runs no command to stop a unit that is about to start, or to reload. After a crash all stays for
/// the next start.
pub(super) fn after_stop(file: &File) -> Outcome {
    let is_stopped = std::env::var("SERVICE_RESULT").is_ok_and(|result| result == "success");
    match Journal::read(&file.interface)? {
        Some(_) if is_stopped && !systemd::is_shutting_down() => run(file),
        _ => Ok(()),
    }
}

pub(super) fn run(file: &File) -> Outcome {
    let interface = &file.interface;
    let made = || Journal::read(interface)?.map_or_else(|| stock::found(file), Ok);
    let before = made()?;
    if engine::exists(interface)? {
        hooks::run(interface, before.pre_down.iter().map(String::as_str))?;
    }
    let lock = journal::lock()?;
    // Half of it is none that anybody wants.
    signals::note()?;
    // A command, or somebody else meanwhile, may have changed the tunnel.
    let mut journal = made()?;
    if journal.is_claimed()? {
        return Err(Failure::new(format!("`{interface}' is being taken down")));
    }
    save::before_down(file, &mut journal, &lock)?;
    // One of a tunnel that the stock tool made is not there yet.
    warn(journal.write());
    // Other programs may send until the very end.
    let held = journal.kill_switch().filter(|_| systemd::is_shutting_down());
    undo(&mut journal, held, &lock)?;
    confirm::forget(interface)?;
    // Its engine may have been killed just before.
    journal.keeper = None;
    let may_have_iptables = journal.may_have_iptables();
    let outcome = end(journal, held, lock, |commands| {
        hooks::run(interface, commands.iter().map(String::as_str))
    })?;
    if may_have_iptables {
        let left = Failure::new(format!("rules of iptables for `{interface}' are left"));
        return outcome.and(Err(left));
    }
    outcome
}

/// Writes down that all is undone but what is `held`, has the commands for after the end run, and forgets the tunnel. Returns what became of
/// the commands.
pub(super) fn end<T>(
    mut journal: Journal,
    held: Option<Exceptions>,
    lock: Lock,
    run: impl FnOnce(&[String]) -> T,
) -> Result<T, Failure> {
    warn(journal.end(held));
    let _claim = journal.claim();
    drop(lock);
    let ran = run(&journal.post_down);
    // A command may have brought the tunnel up again.
    let _lock = journal::lock()?;
    if journal.is_current()? {
        journal.forget(held)?;
    }
    Ok(ran)
}

/// Tells people of a failure that keeps no tunnel from going: where a disk is full, say.
fn warn(outcome: Outcome) {
    if let Err(failure) = outcome {
        say(format_args!("Warning: {}", failure.message));
    }
}

/// Takes away all that a journal names, whatever of it is there, the interface included, but for a kill switch that is `held`. The journal
/// itself stays; it comes to say whether rules of iptables are left, which keep nobody from going on.
///
/// Goes on after a failure, and tells the first one at the end.
pub(super) fn undo(journal: &mut Journal, held: Option<Exceptions>, _lock: &Lock) -> Outcome {
    let interface = &journal.interface().to_owned();
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
            // Nothing gets past them before all is gone.
            Item::KillSwitch(_) | Item::Access(_) => {}
            Item::Rule(_) | Item::Parameter { .. } | Item::Firewall { .. } | Item::Gateway { .. } => {
                note(journal.unmake(item, &others, &mut host));
            }
        }
    }
    let deleted = delete_link(interface);
    let is_gone = deleted.is_ok();
    note(deleted.map_err(Failure::from));
    if journal.may_have_iptables() {
        journal.iptables = Some(iptables::are_left_by_removal(interface));
    }
    if let Some(dns) = &journal.dns {
        dns.unset(false, others.iter().filter_map(|other| other.dns.as_ref()));
    }
    let rules = journal.items.iter().rfind(|item| matches!(item, Item::Access(_)));
    if let Some(rules) = rules.filter(|_| is_gone) {
        note(journal.unmake(rules, &others, &mut host));
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
