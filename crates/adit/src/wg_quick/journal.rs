//! What `up` made, on disk, so that it can be undone: by `down`, or after `up` was killed half-way.
//!
//! An item is written down before it is made; unmaking one that was not made does nothing. While a `reload` goes on, what it makes
//! and unmakes is written down as unsure.
//!
//! Each network namespace has a folder: the same name is another interface there, and `/run` is often shared. It may outlive the namespace, whose
//! number the kernel gives to the next one, and in containers the kernel, too, with which all went that a journal names: one of an earlier
//! namespace or boot is none.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use conf::quick::{Quick, Stage};
use host::nft::kill_switch::Exceptions;
use host::setup::{Change, Host, Item, changed};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sys::netns;
use zeroize::Zeroizing;

use super::dns::{self, Dns};
use super::save::Used;
use super::tables::{make_gateways, make_kill_switches};
use super::temporary::{Temporary, remove_if_there};
use super::{Failure, background, say};
use crate::config_file;

const DIRECTORY: &str = "/run/adit";
const VERSION: u32 = 1;
/// After the name of an interface, of which it can be no part: what was before a change that waits to be confirmed.
pub(super) const BEFORE: &str = "~before";

/// What one interface has on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    interface: String,
    /// Tells it from that of a later `up`.
    #[serde(default)]
    number: u128,
    /// By what the kernel tells one boot from another. Earlier builds did not write it down.
    #[serde(default)]
    boot: Option<String>,
    /// By what the kernel tells one network namespace from another, where it does. Earlier builds did not write it down.
    #[serde(default)]
    namespace: Option<u64>,
    /// Whether `up` came to its end.
    pub(super) complete: bool,
    /// In the order in which they were made.
    pub(super) items: Vec<Item>,
    /// Those of the items that are perhaps not there: a `reload` that makes or unmakes them has not come to its end.
    #[serde(default)]
    pub(super) unsure: Vec<Item>,
    /// Whether the stock tool may have made its firewall by iptables, and that may be there still. Builds before this was written down
    /// adopted such tunnels, too.
    #[serde(default)]
    pub(super) iptables: Option<bool>,
    /// The name servers that are in use for it, if any.
    pub(super) dns: Option<Dns>,
    /// Commands for before the end.
    pub(super) pre_down: Vec<String>,
    /// Commands for after the end.
    pub(super) post_down: Vec<String>,
    /// The file that the interface is by, where it is known.
    #[serde(default)]
    pub(super) file: Option<Used>,
    /// The number of the keeper that is to bring the tunnel up again if its engine is killed.
    #[serde(default)]
    pub(super) keeper: Option<u128>,
}

impl Journal {
    /// Makes that of an interface that has nothing yet.
    pub(super) fn new(interface: &str) -> Self {
        Self {
            version: VERSION,
            interface: interface.to_owned(),
            number: background::number(),
            boot: boot(),
            namespace: netns::cookie().ok(),
            complete: false,
            items: Vec::new(),
            unsure: Vec::new(),
            iptables: Some(false),
            dns: None,
            pre_down: Vec::new(),
            post_down: Vec::new(),
            file: None,
            keeper: None,
        }
    }

    /// Takes over the commands of a file that undo what those of a stage do.
    pub(super) fn take_commands(&mut self, quick: &Quick, undone: Stage) {
        let commands = |stage| quick.hooks(stage).map(str::to_owned).collect();
        self.post_down = commands(Stage::PostDown);
        if undone == Stage::PostUp {
            self.pre_down = commands(Stage::PreDown);
        }
    }

    /// Reads that of an interface; `None` if there is none.
    pub(super) fn read(interface: &str) -> Result<Option<Self>, Failure> {
        let journal = read(interface)?.filter(Self::is_of_here);
        if journal
            .as_ref()
            .is_some_and(|journal| journal.version != VERSION || journal.interface != interface)
        {
            return Err(failure("understand", &path(interface)?, &"it is of another program"));
        }
        Ok(journal)
    }

    /// Tells whether what it names may be there: the machine has not been started again since, and the namespace is the same, as far as is known.
    pub(super) fn is_of_here(&self) -> bool {
        may_be(self.boot.as_ref(), boot().as_ref()) && may_be(self.namespace, netns::cookie().ok())
    }

    /// Reads that of a tunnel that is up.
    pub(super) fn of_tunnel(interface: &str) -> Result<Self, Failure> {
        match Self::read(interface)? {
            Some(journal) if journal.complete => Ok(journal),
            Some(_) => Err(Failure::new(format!("`{interface}' has not come up to its end"))),
            None => Err(Failure::new(format!(
                "`{interface}' was not brought up by adit; if the stock tool did, `adit adopt {interface}' takes it over"
            ))),
        }
    }

    /// Tells whether this is that of the interface still: a command, or somebody else, may have taken the tunnel down and brought it up anew.
    pub(super) fn is_current(&self) -> Result<bool, Failure> {
        Ok(Self::read(&self.interface)?.is_some_and(|present| present.number == self.number))
    }

    /// Returns the name of the interface.
    pub(super) fn interface(&self) -> &str {
        &self.interface
    }

    /// Reads those of all other interfaces. One that cannot be read stands in the way of its own only.
    pub(super) fn others(&self) -> Result<Vec<Self>, Failure> {
        let directory = directory()?;
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| failure("read", &directory, &error))?,
        };
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let names = names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned));
        // Not what was before a change that waits to be confirmed.
        let names = names.filter(|name| !name.ends_with(BEFORE));
        let others = names.filter(|name| *name != self.interface);
        let read = |name: String| {
            Self::read(&name).unwrap_or_else(|failure| {
                say(format_args!("Warning: {}", failure.message));
                None
            })
        };
        Ok(others.filter_map(read).collect())
    }

    /// Writes it in place of the one before.
    pub(super) fn write(&self) -> Result<(), Failure> {
        write(&self.interface, self)
    }

    /// Writes down what is to come, before it is made.
    pub(super) fn expect(&mut self, items: &[Item]) -> Result<(), Failure> {
        self.items.retain(|item| !items.iter().any(|new| new.replaces(item)));
        self.items.extend_from_slice(items);
        self.write()
    }

    /// Writes down what is about to change, before it does. Returns what is written.
    pub(super) fn announce(&self, changes: &[Change]) -> Result<Self, Failure> {
        let touched: HashSet<&Item> = changes.iter().map(Change::item).collect();
        let after = changed(&self.items, changes);
        let lasting: HashSet<&Item> = after.iter().collect();
        let present: HashSet<&Item> = self.items.iter().collect();
        let coming = after.iter().filter(|item| !present.contains(item));
        let mut announced = self.clone();
        announced.items.extend(coming.cloned());
        let is_unsure = |item: &&Item| touched.contains(item) || !lasting.contains(item);
        announced.unsure = announced.items.iter().filter(is_unsure).cloned().collect();
        announced.write()?;
        Ok(announced)
    }

    /// Makes an item.
    pub(super) fn make(&self, item: &Item, host: &mut Host) -> Result<(), Failure> {
        say(format_args!("[#] {}", self.command(item)));
        match item {
            Item::Gateway { family, .. } => make_gateways(self.others()?.iter().chain([self]), *family, Some(item)),
            Item::KillSwitch(exceptions) => Ok(make_kill_switches(
                &self.others()?,
                Some((self.interface(), *exceptions)),
            )?),
            _ => Ok(host.make(item)?),
        }
    }

    /// Unmakes an item, unless others need it.
    pub(super) fn unmake(&self, item: &Item, others: &[Self], host: &mut Host) -> Result<(), Failure> {
        if needed(others, item) {
            return Ok(());
        }
        say(format_args!("[#] {}", undoing(&self.command(item))));
        if let Item::Gateway { family, .. } = item {
            // This one is closed then as any other interface, and what they close is closed before it goes.
            make_gateways(others.iter(), *family, None)?;
        }
        host.unmake(item)?;
        if let Item::KillSwitch(_) = item {
            // This one has no way through the others any more.
            make_kill_switches(others, None)?;
        }
        Ok(())
    }

    /// Takes one step of those that were announced.
    pub(super) fn step(&self, change: &Change, host: &mut Host) -> Result<(), Failure> {
        match change {
            Change::Make(item) => self.make(item, host),
            Change::Unmake(item) => self.unmake(item, &self.others()?, host),
        }
    }

    /// Puts name servers to use in the place of those that are. If they cannot be, that is told, or a failure if they are `required`.
    pub(super) fn set_dns(&mut self, wanted: Option<Dns>, required: bool) -> Result<(), Failure> {
        if self.has_dns(wanted.as_ref()) {
            return Ok(());
        }
        if let Some(dns) = self.dns.take() {
            self.dns = Some(dns.unsure());
            self.write()?;
            dns.unset(true, self.others()?.iter().filter_map(|other| other.dns.as_ref()));
            self.dns = None;
        }
        if let Some(mut dns) = wanted {
            let prepared = dns.prepare();
            self.dns = Some(dns.unsure());
            self.write()?;
            match prepared.and_then(|()| dns.set()) {
                Ok(()) => self.dns = Some(dns),
                // The next reload tries again.
                Err(why) => dns::failed(&why, required)?,
            }
        }
        self.write()
    }

    /// Tells whether these name servers are in use.
    pub(super) fn has_dns(&self, wanted: Option<&Dns>) -> bool {
        match (&self.dns, wanted) {
            (Some(dns), Some(wanted)) => dns.is_same(wanted),
            (None, None) => true,
            _ => false,
        }
    }

    /// Returns the command that would make an item.
    pub(super) fn command(&self, item: &Item) -> String {
        match item {
            Item::Address(_) | Item::Mtu(_) | Item::Up | Item::Route { .. } => format!("{item} dev {}", self.interface),
            Item::Rule(_)
            | Item::Parameter { .. }
            | Item::Firewall { .. }
            | Item::KillSwitch(_)
            | Item::Access(_)
            | Item::Gateway { .. } => item.to_string(),
        }
    }

    /// Returns the kill switch, if there is one.
    pub(super) fn kill_switch(&self) -> Option<Exceptions> {
        // Where a reload was killed there may be two: the later one replaces the other.
        self.items.iter().rev().find_map(|item| match item {
            Item::KillSwitch(exceptions) => Some(*exceptions),
            _ => None,
        })
    }

    /// Tells whether there may be rules of iptables by the stock tool: it makes them for a default route only.
    pub(super) fn may_have_iptables(&self) -> bool {
        let has_rule = || self.items.iter().any(|item| matches!(item, Item::Rule(_)));
        self.iptables.unwrap_or_else(has_rule)
    }

    /// Tells whether it comes, changes or goes by a reload that has not come to its end.
    pub(super) fn is_unsure_of_kill_switch(&self) -> bool {
        self.unsure.iter().any(|item| matches!(item, Item::KillSwitch(_)))
    }

    /// Lets no questions to name servers pass.
    pub(super) fn close_kill_switch(&mut self) {
        for item in &mut self.items {
            if let Item::KillSwitch(exceptions) = item {
                *exceptions = exceptions.closed();
            }
        }
    }

    /// Has kernel parameters keep the value that they have, if one of these items is for them. Tells whether one is.
    pub(super) fn keep_parameters(&mut self, released: &[Item]) -> bool {
        let mut is_changed = false;
        for item in &mut self.items {
            let is_released = released.iter().any(|released| released.replaces(item));
            if let Item::Parameter { value, before, .. } = item
                && is_released
            {
                before.clone_from(value);
                is_changed = true;
            }
        }
        is_changed
    }

    /// Writes down that all is undone but for the commands that are to run after the end, a kill switch if it stays, and rules of iptables that
    /// could not be deleted.
    pub(super) fn end(&mut self, kill_switch: Option<Exceptions>) -> Result<(), Failure> {
        self.complete = false;
        self.items = kill_switch.map(Item::KillSwitch).into_iter().collect();
        self.unsure.clear();
        self.dns = None;
        self.pre_down.clear();
        self.write()
    }

    /// Writes down that the commands for after the end have run, too; nothing if nothing is left.
    pub(super) fn forget(mut self, kill_switch: Option<Exceptions>) -> Result<(), Failure> {
        if kill_switch.is_none() && self.keeper.is_none() && !self.may_have_iptables() {
            return self.remove();
        }
        self.post_down.clear();
        self.end(kill_switch)
    }

    pub(super) fn remove(&self) -> Result<(), Failure> {
        remove(&self.interface)
    }

    /// Marks what is written down for as long as this program runs the commands for after the end, and what is returned lives: one of them may
    /// bring up or take down the same tunnel.
    pub(super) fn claim(&self) -> Option<File> {
        let file = open(&self.interface).ok().flatten()?;
        file.try_lock().is_ok().then_some(file)
    }

    /// Tells whether the commands for after the end run.
    pub(super) fn is_claimed(&self) -> Result<bool, Failure> {
        Ok(open(&self.interface)?.is_some_and(|file| file.try_lock().is_err()))
    }
}

/// Tells whether one of other interfaces needs an item: a kernel parameter, to which the last one gives back its value, or a rule, which
/// one made in the place of another that was written down but not made, or went.
fn needed(others: &[Journal], item: &Item) -> bool {
    let is_needed = |present: &Item| match item {
        Item::Parameter { .. } => present.replaces(item),
        Item::Rule(_) => present == item,
        _ => false,
    };
    items(others).any(is_needed)
}

/// Returns what several interfaces have.
pub(super) fn items(journals: &[Journal]) -> impl Iterator<Item = &Item> {
    journals.iter().flat_map(|journal| &journal.items)
}

/// Reads a value by its name; `None` if there is none.
pub(super) fn read<T: DeserializeOwned>(name: &str) -> Result<Option<T>, Failure> {
    let path = path(name)?;
    let text = match config_file::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| failure("read", &path, &error))?,
    };
    let value = serde_json::from_slice(&text).map_err(|error| failure("understand", &path, &error))?;
    Ok(Some(value))
}

/// Opens the file of a value, if there is one.
pub(super) fn open(name: &str) -> Result<Option<File>, Failure> {
    let path = path(name)?;
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some).map_err(|error| failure("open", &path, &error)),
    }
}

/// Writes a value in place of the one before, or leaves that.
pub(super) fn write(name: &str, value: &impl Serialize) -> Result<(), Failure> {
    let path = path(name)?;
    let text = serde_json::to_vec(value).map_err(|error| failure("write", &path, &error))?;
    let text = Zeroizing::new(text);
    let write = || -> io::Result<()> {
        let mut temporary = Temporary::create(temporary(&path))?;
        temporary.file.write_all(&text)?;
        temporary.file.sync_all()?;
        temporary.rename(&path)
    };
    write().map_err(|error| failure("write", &path, &error))
}

/// Removes a value, if there is one.
pub(super) fn remove(name: &str) -> Result<(), Failure> {
    let path = path(name)?;
    // What a killed program left may have secrets in it, too.
    let removed = remove_if_there(&temporary(&path)).and_then(|()| remove_if_there(&path));
    removed.map_err(|error| failure("remove", &path, &error))
}

/// Returns the command that would undo one.
pub(super) fn undoing(command: &str) -> String {
    if command.contains(" add ") {
        command.replacen(" add ", " del ", 1)
    } else {
        format!("(undo) {command}")
    }
}

/// Keeps two programs from making the same interface, choosing the same table, or undoing what the other is about to do, until it is
/// dropped. Not to be held while commands of a file run: they may bring up another tunnel.
pub(super) struct Lock(File);

impl Lock {
    /// Returns a descriptor that keeps the lock, too, as long as any program has it open.
    pub(super) fn share(&self) -> Result<File, Failure> {
        let shared = self.0.try_clone();
        shared.map_err(|error| Failure::new(format!("cannot share the lock: {error}")))
    }
}

pub(super) fn lock() -> Result<Lock, Failure> {
    let directory = directory()?;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.map_err(|error| failure("make", &directory, &error))?;
    let path = Path::new(DIRECTORY).join("lock");
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = open.map_err(|error| failure("open", &path, &error))?;
    file.lock().map_err(|error| failure("lock", &path, &error))?;
    Ok(Lock(file))
}

/// Tells whether both may be the same.
fn may_be<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_none() || other.is_none() || one == other
}

fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim_end().to_owned())
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension("json.new")
}

fn path(name: &str) -> Result<PathBuf, Failure> {
    Ok(directory()?.join(format!("{name}.json")))
}

/// Returns the folder of the network namespace that this program is in.
fn directory() -> Result<PathBuf, Failure> {
    let namespace = Path::new("/proc/self/ns/net");
    let data = fs::metadata(namespace).map_err(|error| failure("find", namespace, &error))?;
    Ok(Path::new(DIRECTORY).join(format!("netns-{}", data.ino())))
}

fn failure(what: &str, path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot {what} `{}': {why}", path.display()))
}
