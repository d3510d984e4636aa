//! `adit reload`, `apply` and `plan`: the difference between a running tunnel and its file, made or only told.
//!
//! What did not change is not touched: peers keep their sessions, routes stay. Commands of the file are not run. If a step fails,
//! those before it are taken back.

use std::collections::BTreeMap;
use std::time::Duration;

use conf::prefix::Prefix;
use conf::quick::{Quick, Stage};
use conf::uapi::{DeviceStatus, SetRequest};
use conf::wg::change::{Addresses, describe, restore};
use conf::wg::file::Config;
use host::setup::{Change, Host, Item, changes};
use proto::PublicKey;
use serde::Serialize;

use super::confirm::{self, Pending};
use super::dns::Dns;
use super::engine::{change, status};
use super::file::File;
use super::journal::{self, Journal};
use super::save::Used;
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
    used: Used,
    /// What people call the peers.
    names: BTreeMap<PublicKey, String>,
}

/// Prints the difference and changes nothing.
pub(super) fn plan(file: &File, json: bool) -> Outcome {
    let interface = &file.interface;
    let steps = Plan::new(file, Wanted::read(file)?)?.steps();
    if json {
        let plan = serde_json::json!({ "version": 1, "interface": interface, "steps": steps });
        println!("{plan}");
        return Ok(());
    }
    if steps.is_empty() {
        println!("{interface}: nothing to change");
    }
    for step in steps {
        println!("{interface}: {} {}", step.action.sign(), step.what);
    }
    Ok(())
}

/// One difference, for people and programs.
#[derive(Serialize)]
struct Step {
    action: Action,
    /// Of what comes or goes the command that would make it; else what changes.
    what: String,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Change,
    Remove,
    Add,
}

impl Action {
    const fn sign(self) -> char {
        match self {
            Self::Change => '~',
            Self::Remove => '-',
            Self::Add => '+',
        }
    }
}

/// Makes the difference. With a time to confirm, it goes back after that unless `adit confirm` comes first.
pub(super) fn reload(file: &File, confirm: Option<Duration>) -> Outcome {
    let wanted = Wanted::read(file)?;
    let unknown = wanted.unknown;
    let lock = journal::lock()?;
    confirm::refuse_while_pending(&file.interface)?;
    let mut plan = Plan::new(file, wanted)?;
    let before = plan.journal.clone();
    let pending = confirm
        .map(|time| Pending::write(before.clone(), &plan.live, time))
        .transpose()?;
    if let Err(failure) = plan.apply(file) {
        eprintln!("wg-quick: {}; going back", failure.message);
        go_back(plan.journal, before, &plan.live)?;
        if let Some(pending) = pending {
            pending.remove()?;
        }
        return Err(failure);
    }
    drop(lock);
    if unknown {
        names::look_up_in_background(file)?;
    }
    pending.map_or(Ok(()), |pending| pending.watch())
}

/// Makes an interface again what it was: what stood around it by the journal of `before`, keys and peers by `past`.
pub(super) fn go_back(mut present: Journal, before: Journal, past: &DeviceStatus) -> Outcome {
    let interface = before.interface().to_owned();
    let mut host = Host::open(&interface)?;
    for change in changes(&present.items, &before.items) {
        match change {
            Change::Unmake(item) => present.unmake(&item, &mut host)?,
            Change::Make(item) => present.make(item, &mut host)?,
        }
    }
    change(&interface, &restore(past, &status(&interface)?))?;
    present.set_dns(before.dns.clone())?;
    before.write()
}

/// What a file wants.
struct Wanted {
    config: Config,
    quick: Quick,
    known: Addresses,
    used: Used,
    /// Whether an endpoint has a name that nobody knows yet.
    unknown: bool,
}

impl Wanted {
    /// Reads the file and asks for the names in it, which may take a while.
    fn read(file: &File) -> Result<Self, Failure> {
        let text = file.text()?;
        let (config, quick) = file.understand(&text)?;
        let names = config.names();
        let known = names::known(&names);
        Ok(Self {
            unknown: known.len() < names.len(),
            known: known.into_iter().collect(),
            used: Used::new(&text, &quick),
            config,
            quick,
        })
    }
}

impl Plan {
    fn new(file: &File, wanted: Wanted) -> Result<Self, Failure> {
        let Wanted {
            config,
            quick,
            known,
            used,
            ..
        } = wanted;
        let interface = &file.interface;
        let not_ours = || Failure::new(format!("`{interface}' was not brought up by adit"));
        let journal = Journal::read(interface)?
            .filter(|journal| journal.complete)
            .ok_or_else(not_ours)?;
        let live = status(interface)?;
        let mut host = Host::open(interface)?;
        let allowed: Vec<Prefix> = config.peers.iter().flat_map(|peer| peer.allowed_ips.added()).collect();
        let peers = config.peers.iter();
        let called = peers
            .filter_map(|peer| Some((peer.public_key.value, peer.name.clone()?)))
            .collect();
        let mut request = config.syncconf(&known, &live);

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
            used,
            names: called,
            journal,
            live,
            request,
        })
    }

    fn steps(&self) -> Vec<Step> {
        let step = |action, what| Step { action, what };
        let name = |key: &PublicKey| self.names.get(key).cloned();
        let changed = describe(&self.request, &name).into_iter();
        let mut steps: Vec<Step> = changed.map(|what| step(Action::Change, what)).collect();
        steps.extend(self.changes.iter().map(|change| match change {
            Change::Unmake(item) => step(Action::Remove, self.journal.command(item)),
            Change::Make(item) => step(Action::Add, self.journal.command(item)),
        }));
        if !self.journal.has_dns(self.dns.as_ref()) {
            steps.push(step(Action::Change, "name servers".to_owned()));
        }
        steps
    }

    /// Takes away routes, then changes peers, then adds routes: no packet goes into the tunnel that has no peer there.
    fn apply(&mut self, file: &File) -> Outcome {
        let mut host = Host::open(&file.interface)?;
        for change in &self.changes {
            if let Change::Unmake(item) = change {
                self.journal.unmake(item, &mut host)?;
            }
        }
        if !describe(&self.request, &|_| None).is_empty() {
            eprintln!("[#] wg syncconf {} /dev/fd/63", file.interface);
            change(&file.interface, &self.request)?;
        }
        for change in &self.changes {
            if let Change::Make(item) = change {
                self.journal.make(item.clone(), &mut host)?;
            }
        }
        self.journal.set_dns(self.dns.clone())?;
        self.journal.pre_down.clone_from(&self.pre_down);
        self.journal.post_down.clone_from(&self.post_down);
        self.journal.file = Some(self.used.clone());
        self.journal.write()
    }
}
