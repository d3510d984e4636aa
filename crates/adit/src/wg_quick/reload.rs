//! `adit reload` and `adit plan`: the difference between a running tunnel and its file, made or only told.
//!
//! What did not change is not touched: peers keep their sessions, routes stay. Commands of the file are not run. If a step fails,
//! those before it are taken back.

use std::collections::BTreeMap;

use conf::prefix::Prefix;
use conf::quick::Stage;
use conf::uapi::{DeviceStatus, SetRequest};
use conf::wg::change::{describe, restore};
use host::setup::{Change, Host, Item, changes};
use proto::PublicKey;

use super::dns::Dns;
use super::engine::{change, status};
use super::file::File;
use super::journal::{self, Journal};
use super::{Failure, Outcome, desired, names};

/// The way from a running tunnel to its file.
struct Plan {
    journal: Journal,
    live: DeviceStatus,
    request: SetRequest,
    changes: Vec<Change>,
    dns: Option<Dns>,
    pre_down: Vec<String>,
    post_down: Vec<String>,
    /// What people call the peers.
    names: BTreeMap<PublicKey, String>,
    /// Whether an endpoint has a name that nobody knows yet.
    unknown: bool,
}

/// Prints the difference and changes nothing.
pub(super) fn plan(file: &File) -> Outcome {
    let plan = Plan::new(file)?;
    let lines = plan.lines();
    if lines.is_empty() {
        println!("{}: nothing to change", file.interface);
    }
    for line in lines {
        println!("{}: {line}", file.interface);
    }
    Ok(())
}

/// Makes the difference.
pub(super) fn reload(file: &File) -> Outcome {
    let _lock = journal::lock()?;
    let mut plan = Plan::new(file)?;
    let before = plan.journal.clone();
    let mut host = Host::open(&file.interface)?;
    if let Err(failure) = plan.apply(file, &mut host) {
        eprintln!("wg-quick: {}; going back", failure.message);
        plan.go_back(file, before, &mut host)?;
        return Err(failure);
    }
    if plan.unknown {
        names::look_up_in_background(file)?;
    }
    Ok(())
}

impl Plan {
    fn new(file: &File) -> Result<Self, Failure> {
        let interface = &file.interface;
        let not_ours = || Failure::new(format!("`{interface}' was not brought up by adit"));
        let journal = Journal::read(interface)?
            .filter(|journal| journal.complete)
            .ok_or_else(not_ours)?;
        let (config, quick) = file.read()?;
        let live = status(interface)?;
        let mut host = Host::open(interface)?;
        let allowed: Vec<Prefix> = config.peers.iter().flat_map(|peer| peer.allowed_ips.added()).collect();
        let peers = config.peers.iter();
        let called = peers
            .filter_map(|peer| Some((peer.public_key.value, peer.name.clone()?)))
            .collect();
        let names = config.names();
        let known = names::known(&names);
        let unknown = known.len() < names.len();
        let mut request = config.syncconf(&known.into_iter().collect(), &live);

        let fwmark = request.fwmark.unwrap_or(live.fwmark);
        let endpoints = live.peers.iter().filter_map(|peer| peer.endpoint);
        let mut wanted: Vec<Item> = desired::addresses(&quick).collect();
        wanted.push(desired::mtu(&quick, host.netlink(), endpoints, fwmark)?);
        wanted.push(Item::Up);
        let routes = desired::routes(&quick, &journal, allowed.into_iter(), fwmark, &mut host)?;
        wanted.extend(routes.items);
        request.fwmark = routes.new_mark.or(request.fwmark);
        let hooks = |stage| quick.hooks(stage).map(str::to_owned).collect();
        Ok(Self {
            changes: changes(&journal.items, &wanted),
            dns: Dns::wanted(interface, &quick),
            pre_down: hooks(Stage::PreDown),
            post_down: hooks(Stage::PostDown),
            names: called,
            journal,
            live,
            request,
            unknown,
        })
    }

    /// Returns a line for each difference: `-` for what goes, `+` for what comes, `~` for what changes.
    fn lines(&self) -> Vec<String> {
        let name = |key: &PublicKey| self.names.get(key).cloned();
        let mut lines: Vec<String> = describe(&self.request, &name)
            .iter()
            .map(|line| format!("~ {line}"))
            .collect();
        lines.extend(self.changes.iter().map(|change| match change {
            Change::Unmake(item) => format!("- {}", self.journal.command(item)),
            Change::Make(item) => format!("+ {}", self.journal.command(item)),
        }));
        if self.dns != self.journal.dns {
            lines.push("~ name servers".to_owned());
        }
        lines
    }

    /// Takes away routes, then changes peers, then adds routes: no packet goes into the tunnel that has no peer there.
    fn apply(&mut self, file: &File, host: &mut Host) -> Outcome {
        for change in &self.changes {
            if let Change::Unmake(item) = change {
                self.journal.unmake(item, host)?;
            }
        }
        if !describe(&self.request, &|_| None).is_empty() {
            eprintln!("[#] wg syncconf {} /dev/fd/63", file.interface);
            change(&file.interface, &self.request)?;
        }
        for change in &self.changes {
            if let Change::Make(item) = change {
                self.journal.make(item.clone(), host)?;
            }
        }
        self.set_dns(self.dns.clone())?;
        self.journal.pre_down.clone_from(&self.pre_down);
        self.journal.post_down.clone_from(&self.post_down);
        self.journal.write()
    }

    fn go_back(&mut self, file: &File, before: Journal, host: &mut Host) -> Outcome {
        for change in changes(&self.journal.items, &before.items) {
            match change {
                Change::Unmake(item) => self.journal.unmake(&item, host)?,
                Change::Make(item) => self.journal.make(item, host)?,
            }
        }
        change(&file.interface, &restore(&self.live, &status(&file.interface)?))?;
        self.set_dns(before.dns.clone())?;
        before.write()
    }

    fn set_dns(&mut self, wanted: Option<Dns>) -> Outcome {
        if wanted == self.journal.dns {
            return Ok(());
        }
        if let Some(dns) = self.journal.dns.take() {
            dns.unset();
        }
        self.journal.dns.clone_from(&wanted);
        match wanted {
            Some(dns) => dns.set().map(drop),
            None => Ok(()),
        }
    }
}
