//! `adit reload`, `apply` and `plan`: the difference between a running tunnel and its file, made or only told.
//!
//! What did not change is not touched: peers keep their sessions, routes stay. Commands of the file are not run. If a step fails,
//! those before it are taken back.

use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::net::SocketAddr;
use std::time::Duration;

use conf::quick::{Quick, Stage};
use conf::uapi::{DeviceStatus, SetRequest};
use conf::wg::Owners;
use conf::wg::change::{Addresses, describe, restore};
use conf::wg::file::{Config, Peer};
use host::setup::{Change, Host, Item, Live, changed, changes};
use proto::{PublicKey, REJECT_AFTER_TIME};
use serde::Serialize;
use sys::clock;

use super::confirm::{self, Pending};
use super::dns::Dns;
use super::engine::{self, change, status};
use super::file::File;
use super::journal::{self, Journal};
use super::save::{self, Used};
use super::{Failure, Outcome, access, adopt, desired, hooks, iptables, names, private_key, say, signals, tables};

/// The way from a running tunnel to its file.
struct Plan {
    journal: Journal,
    live: DeviceStatus,
    /// Of what is wanted.
    owners: Owners,
    request: SetRequest,
    changes: Vec<Change>,
    dns: Option<Dns>,
    dns_required: bool,
    pre_down: Vec<String>,
    post_down: Vec<String>,
    used: Used,
    /// Whether a peer has nothing but a name for an endpoint, and nobody knows it yet.
    unknown: bool,
    /// What people call the peers.
    names: BTreeMap<PublicKey, String>,
    /// Whose reach becomes another.
    reach: Vec<String>,
    /// What is done before and after all else where the tunnel is not up.
    around: Option<Around>,
}

/// What `up` does and `reload` does not: it makes the interface, and runs commands.
struct Around {
    before: Vec<String>,
    after: Vec<String>,
}

/// Prints the difference and changes nothing. Of a tunnel that is not up, it is all that `up` would make.
pub(super) fn plan(file: &File, json: bool) -> Outcome {
    let interface = &file.interface;
    let wanted = Wanted::read(file)?;
    let is_up = engine::exists(interface)?;
    let plan = if is_up {
        Plan::of_reload(file, wanted)?
    } else {
        Plan::of_up(file, wanted)?
    };
    let steps = plan.steps();
    if json {
        let plan = serde_json::json!({ "version": 1, "interface": interface, "up": is_up, "steps": steps });
        println!("{plan}");
        return Ok(());
    }
    if !is_up {
        say(format_args!("`{interface}' is not up: `adit up {interface}' does this"));
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
    if engine::exists(&file.interface)? && Journal::read(&file.interface)?.is_none() {
        // The stock tool brought it up.
        adopt::adopt(file)?;
    }
    let lock = journal::lock()?;
    // Half a change is none that anybody wants.
    signals::note()?;
    confirm::refuse_while_pending(&file.interface)?;
    let plan = Plan::of_reload(file, wanted)?;
    let pending = confirm
        .map(|time| Pending::begin(plan.journal.clone(), &plan.live, time))
        .transpose()?;
    let announced = plan.journal.announce(&plan.changes);
    if let (Err(_), Some(pending)) = (&announced, &pending) {
        // Nothing was changed.
        pending.remove()?;
    }
    let mut announced = announced?;
    if let Err(failure) = plan.apply(&mut announced) {
        say(format_args!("wg-quick: {}; going back", failure.message));
        let back = go_back(&announced, plan.journal, &plan.live);
        // Else what waits tries again.
        if let Some(pending) = pending.filter(|_| back.is_ok()) {
            pending.remove()?;
        }
        return back.and(Err(failure));
    }
    // What may go back needs it.
    if pending.is_none() {
        iptables::replaced(&file.interface)?;
    }
    drop(lock);
    if plan.unknown
        && let Err(failure) = names::look_up_in_background(file)
    {
        say(format_args!("Warning: {}", failure.message));
        names::close_kill_switch(&file.interface)?;
    }
    if let Some(time) = confirm {
        confirm::ask(&file.interface, time);
    }
    Ok(())
}

/// Makes an interface again what it was: what stood around it by the journal of `before`, keys and peers by `past`.
///
/// Goes on after a failure, and tells the first one at the end; what is perhaps not there any more is unsure then.
pub(super) fn go_back(present: &Journal, mut before: Journal, past: &DeviceStatus) -> Outcome {
    let interface = present.interface();
    let mut host = Host::open(interface)?;
    // What the names are is known by now.
    let is_known = past.peers.iter().all(|peer| peer.endpoint.is_some());
    if is_known || present.kill_switch().is_some_and(|switch| !switch.name_servers) {
        before.close_kill_switch();
    }
    let steps = changes(&present.items, &present.unsure, &before.items);
    let mut announced = present.announce(&steps)?;
    let now = status(interface);
    let owners = || now.as_ref().map(Owners::from).unwrap_or_default();
    let [early, late] = access::around_peers(&steps, owners, &Owners::from(past));
    let mut first = Ok(());
    for step in &early {
        first = first.and(announced.step(step, &mut host));
    }
    first = first.and(now.and_then(|now| change(interface, &restore(past, &now))));
    for step in &late {
        first = first.and(announced.step(step, &mut host));
    }
    first = first.and(announced.set_dns(before.dns.clone(), false));
    before.dns = announced.dns;
    // Perhaps another one than before: the engine may have been killed meanwhile.
    before.keeper = announced.keeper;
    if first.is_err() {
        before.items = announced.items;
        before.unsure = announced.unsure;
    }
    before.write()?;
    first
}

/// What a file wants.
struct Wanted {
    config: Config,
    quick: Quick,
    known: Addresses,
    used: Used,
}

impl Wanted {
    /// Reads the file and asks for the names in it, which may take a while.
    fn read(file: &File) -> Result<Self, Failure> {
        let (text, mut config, quick) = file.wanted()?;
        if let Err(failure) = private_key::fill(&mut config, &quick, file) {
            say(format_args!(
                "Warning: {}; that of the interface stays",
                failure.message
            ));
        }
        let names = config.names();
        let known = names::known(&names, names::A_MOMENT);
        Ok(Self {
            known: known.into_iter().collect(),
            used: Used::new(&text, &config, &quick),
            config,
            quick,
        })
    }
}

/// Notes what is gone: somebody has taken an address away, or flushed a chain of the firewall. Of a table it matters what was in it.
fn note_what_is_gone(journal: &mut Journal, host: &mut Host) -> Outcome {
    iptables::note_if_gone(journal);
    journal.dns = journal.dns.take().filter(|dns| !dns.is_overwritten());
    let mut live = Live::read(host)?;
    let others = journal.others()?;
    let mut gone = HashSet::new();
    for item in &journal.items {
        // What cannot be read is made anew.
        let is_as_made = || tables::are_as_made(journal, item, &others).unwrap_or(false);
        if !(live.has(item)? && is_as_made()) {
            gone.insert(item.clone());
        }
    }
    let stays = |item: &Item| !gone.contains(item) || item.is_table();
    journal.items.retain(stays);
    journal.unsure.retain(stays);
    journal
        .unsure
        .extend(gone.iter().filter(|item| item.is_table()).cloned());
    Ok(())
}

/// Where a peer is heard from counts as long as it is heard from, and the file says what it said.
fn keep_learned_endpoints(config: &mut Config, live: &DeviceStatus, used: Option<&Used>) {
    let recently = clock::realtime().saturating_sub(REJECT_AFTER_TIME);
    let peers = live.peers.iter();
    let heard: HashSet<PublicKey> = peers
        .filter(|peer| peer.endpoint.is_some() && peer.last_handshake.is_some_and(|time| time > recently))
        .map(|peer| peer.public_key)
        .collect();
    for peer in &mut config.peers {
        let is_as_before = used.is_some_and(|used| used.has_endpoint_of(peer));
        if is_as_before && heard.contains(&peer.public_key.value) {
            peer.endpoint = None;
        }
    }
}

/// Where peers are once the request is made.
fn endpoints_after(live: &DeviceStatus, request: &SetRequest) -> Vec<SocketAddr> {
    let live = live.peers.iter().map(|peer| (peer.public_key, peer.endpoint));
    let mut endpoints: BTreeMap<PublicKey, Option<SocketAddr>> = live.collect();
    for change in &request.peers {
        if change.remove {
            endpoints.remove(&change.public_key);
        } else if change.endpoint.is_some() {
            endpoints.insert(change.public_key, change.endpoint);
        }
    }
    endpoints.into_values().flatten().collect()
}

/// Tells whether a peer has an endpoint by name alone, which nobody knows.
fn is_unknown(peer: &Peer, known: &Addresses, live: &DeviceStatus) -> bool {
    let is_same = |live: &&conf::uapi::PeerStatus| live.public_key == peer.public_key.value;
    let has_one = live
        .peers
        .iter()
        .find(is_same)
        .is_some_and(|live| live.endpoint.is_some());
    let endpoint = peer.endpoint.as_ref();
    endpoint.is_some_and(|endpoint| known.of(&endpoint.value).is_none()) && !has_one
}

impl Plan {
    fn of_reload(file: &File, wanted: Wanted) -> Result<Self, Failure> {
        let interface = &file.interface;
        // With a journal, too: the stock tool took it down, or its engine died.
        if !engine::exists(interface)? {
            return Err(Failure::new(format!(
                "`{interface}' is not up: `adit up {interface}' makes all that its file says"
            )));
        }
        let mut journal = Journal::of_tunnel(interface)?;
        engine::warn_if_other(interface, wanted.quick.backend)?;
        let live = status(interface)?;
        let mut host = Host::open(interface)?;
        note_what_is_gone(&mut journal, &mut host)?;
        if journal
            .file
            .as_ref()
            .is_some_and(|used| used.has_other_up_commands(&wanted.quick))
        {
            say("Warning: PreUp or PostUp changed: they run when the tunnel is brought up, not now");
        }
        Self::between(journal, live, wanted, &mut host)
    }

    fn of_up(file: &File, wanted: Wanted) -> Result<Self, Failure> {
        let quick = &wanted.quick;
        let interface = &file.interface;
        if Journal::read(interface)?.is_some() {
            say(format_args!("What is left of an earlier `{interface}' is undone first"));
        }
        let mut host = Host::open(interface)?;
        let line = |stage, command| format!("{stage:?} = {}", hooks::line(interface, command));
        let commands = |stage| quick.hooks(stage).map(move |command| line(stage, command));
        let around = Around {
            before: iter::once(engine::command(interface, quick.backend))
                .chain(commands(Stage::PreUp))
                .collect(),
            after: commands(Stage::PostUp).collect(),
        };
        let mut journal = Journal::new(interface);
        journal.take_commands(quick, Stage::PostUp);
        let mut plan = Self::between(journal, DeviceStatus::default(), wanted, &mut host)?;
        plan.around = Some(around);
        Ok(plan)
    }

    /// The way from what is to what is wanted.
    fn between(journal: Journal, live: DeviceStatus, wanted: Wanted, host: &mut Host) -> Result<Self, Failure> {
        let Wanted {
            mut config,
            quick,
            known,
            used,
        } = wanted;
        let unknown = config.peers.iter().any(|peer| is_unknown(peer, &known, &live));
        let owners = config.owners(&live);
        let peers = config.peers.iter();
        let called = peers
            .filter_map(|peer| Some((peer.public_key.value, peer.name.clone()?)))
            .collect();
        // A command that `up` would run may open it.
        let runs_commands = host.link().is_err() && !save::up_commands(&quick).is_empty();
        if let Some(port) = desired::entrance(&config).filter(|_| !runs_commands) {
            desired::warn_of_shut_port(port);
        }
        let rules = access::rules(&config, &quick, &owners);
        let reach = access::describe(&config, &owners, &journal.items, rules.as_ref());
        keep_learned_endpoints(&mut config, &live, journal.file.as_ref());
        let mut request = config.syncconf(&known, &live);

        let mut fwmark = request.fwmark.unwrap_or(live.fwmark);
        let switch = desired::kill_switch(&quick, &journal, fwmark, unknown, host.netlink())?;
        if let Some(exceptions) = switch.filter(|exceptions| exceptions.fwmark != fwmark) {
            fwmark = exceptions.fwmark;
            request.fwmark = Some(fwmark);
        }
        let endpoints = endpoints_after(&live, &request);
        let mut wanted: Vec<Item> = switch.map(Item::KillSwitch).into_iter().collect();
        wanted.extend(rules);
        wanted.extend(desired::addresses(&quick));
        let (mtu, _) = desired::mtu(&quick, host.netlink(), endpoints.into_iter(), owners.prefixes(), fwmark)?;
        wanted.push(mtu);
        wanted.push(Item::Up);
        let routes = desired::routes(&quick, &journal, owners.prefixes(), fwmark, host)?;
        wanted.extend(routes.items);
        wanted.extend(desired::gateway(&quick, &journal, host.netlink())?);
        request.fwmark = routes.new_mark.or(request.fwmark).filter(|mark| *mark != live.fwmark);
        let hooks = |stage| quick.hooks(stage).map(str::to_owned).collect();
        Ok(Self {
            changes: changes(&journal.items, &journal.unsure, &wanted),
            dns: Dns::wanted(journal.interface(), &quick)?,
            dns_required: quick.dns_required,
            pre_down: hooks(Stage::PreDown),
            post_down: hooks(Stage::PostDown),
            used,
            unknown,
            names: called,
            reach,
            journal,
            live,
            owners,
            request,
            around: None,
        })
    }

    /// Tells what becomes other of the interface's own values and its peers, by the names that people call them.
    fn changes_of_peers(&self) -> Vec<String> {
        describe(&self.request, &self.live, &|key| self.names.get(key).cloned())
    }

    fn steps(&self) -> Vec<Step> {
        let step = |action, what| Step { action, what };
        let item = |change: &Change| match change {
            Change::Unmake(item) => step(Action::Remove, self.journal.command(item)),
            Change::Make(item) => step(Action::Add, self.journal.command(item)),
        };
        // A kill switch is there before the interface.
        let is_switch = |change: &&Change| matches!(change.item(), Item::KillSwitch(_));
        let switches = || self.changes.iter().take_while(is_switch);
        let early = self.around.as_ref().map_or(0, |_| switches().count());
        let (early, late) = self.changes.split_at(early);
        let mut steps: Vec<Step> = early.iter().map(item).collect();
        let around = |what: &String| step(Action::Add, what.clone());
        steps.extend(self.around.iter().flat_map(|all| &all.before).map(around));
        let changed = self.changes_of_peers().into_iter();
        let changed = changed.chain(self.reach.iter().cloned());
        steps.extend(changed.map(|what| step(Action::Change, what)));
        steps.extend(late.iter().map(item));
        if self.journal.may_have_iptables() {
            steps.push(step(
                Action::Remove,
                "iptables-restore -n (firewall of the stock tool)".to_owned(),
            ));
        }
        if (&self.pre_down, &self.post_down) != (&self.journal.pre_down, &self.journal.post_down) {
            steps.push(step(Action::Change, "commands for down (PreDown, PostDown)".to_owned()));
        }
        if !self.journal.has_dns(self.dns.as_ref()) {
            steps.push(step(Action::Change, "name servers".to_owned()));
        }
        steps.extend(self.around.iter().flat_map(|all| &all.after).map(around));
        steps
    }

    /// Takes away routes, then changes peers, then adds routes: no packet goes into the tunnel that has no peer there.
    fn apply(&self, announced: &mut Journal) -> Outcome {
        let interface = self.journal.interface();
        let mut host = Host::open(interface)?;
        let [early, late] = access::around_peers(&self.changes, || Owners::from(&self.live), &self.owners);
        for change in &early {
            announced.step(change, &mut host)?;
        }
        let tell = |what: &String| say(format_args!("{interface}: {} {what}", Action::Change.sign()));
        self.reach.iter().for_each(tell);
        let peers = self.changes_of_peers();
        if !peers.is_empty() {
            say(format_args!("[#] wg syncconf {interface} /dev/fd/63"));
            peers.iter().for_each(tell);
            change(interface, &self.request)?;
        }
        for change in &late {
            announced.step(change, &mut host)?;
        }
        announced.set_dns(self.dns.clone(), self.dns_required)?;
        let mut journal = self.journal.clone();
        journal.items = changed(&journal.items, &self.changes);
        journal.unsure.clear();
        journal.dns.clone_from(&announced.dns);
        journal.pre_down.clone_from(&self.pre_down);
        journal.post_down.clone_from(&self.post_down);
        journal.file = Some(self.used.clone());
        journal.write()
    }
}
