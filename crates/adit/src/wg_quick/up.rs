//! `wg-quick up`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use conf::prefix::Prefix;
use conf::quick::{Quick, Stage, Table};
use conf::uapi::{DeviceStatus, SetRequest};
use conf::wg::file::Config;
use host::address::{self, InterfaceAddress};
use host::setup::{self, Host, Item};
use host::wireguard;
use host::{Error, Netlink, link};
use rustix::io::Errno;

use super::file::File;
use super::journal::{self, Journal};
use super::{Failure, Outcome, dns, down, engine, hooks, mtu, names};

pub(super) fn run(file: &File) -> Outcome {
    let (config, quick) = file.read()?;
    if quick.save_config {
        eprintln!("Warning: SaveConfig is not done by this wg-quick yet: nothing will be saved");
    }
    let stop = stop_on_signals()?;
    let interface = &file.interface;
    let lock = journal::lock()?;
    if exists(interface)? {
        return Err(Failure::new(format!("`{interface}' already exists")));
    }
    // What a killed `up` or a vanished engine left.
    if let Some(left) = Journal::read(interface)? {
        down::undo(interface, &left, &lock)?;
    }
    let hooks = |stage| quick.hooks(stage).map(str::to_owned).collect();
    let mut journal = Journal::new(interface.clone(), hooks(Stage::PreDown), hooks(Stage::PostDown));
    journal.write()?;
    let created = engine::create(interface);
    drop(lock);
    let up = Up {
        file,
        interface,
        quick: &quick,
        journal: &mut journal,
        stop: &stop,
    };
    if let Err(failure) = created.and_then(|()| up.run(config)) {
        if let Err(failure) = journal::lock().and_then(|lock| down::undo(interface, &journal, &lock)) {
            eprintln!("wg-quick: {}", failure.message);
        }
        return Err(failure);
    }
    journal.complete = true;
    journal.write()
}

fn exists(interface: &str) -> Result<bool, Failure> {
    match link::index(&mut Netlink::open()?, interface) {
        Ok(_) => Ok(true),
        Err(error) if error.is(Errno::NODEV) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns a flag that a signal to end sets; what was made can then be undone.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ] {
        let registered = signal_hook::flag::register(signal, Arc::clone(&stop));
        registered.map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))?;
    }
    Ok(stop)
}

struct Up<'a> {
    file: &'a File,
    interface: &'a str,
    quick: &'a Quick,
    journal: &'a mut Journal,
    stop: &'a AtomicBool,
}

impl Up<'_> {
    fn run(mut self, config: Config) -> Outcome {
        hooks::run(self.interface, self.quick.hooks(Stage::PreUp))?;
        let unknown = self.configure(config)?;
        let mut host = Host::open(self.interface)?;
        for address in &self.quick.addresses {
            let address = InterfaceAddress {
                address: address.value.address,
                prefix_len: address.value.network.prefix_len(),
            };
            self.make(Item::Address(address), &mut host)?;
        }
        let status = self.status()?;
        let mtu = match self.quick.mtu {
            Some(mtu) => mtu.value,
            None => mtu::automatic(host.netlink(), status.peers.iter().filter_map(|peer| peer.endpoint))?,
        };
        self.make(Item::Mtu(mtu), &mut host)?;
        self.make(Item::Up, &mut host)?;
        self.set_dns()?;
        let lock = journal::lock()?;
        for item in self.routes(&status, &mut host)? {
            self.make(item, &mut host)?;
        }
        drop(lock);
        hooks::run(self.interface, self.quick.hooks(Stage::PostUp))?;
        if unknown {
            names::look_up_in_background(self.file)?;
        }
        self.check_signals()
    }

    /// Gives the interface its keys and peers. Tells whether an endpoint has a name that nobody knows yet.
    fn configure(&self, config: Config) -> Result<bool, Failure> {
        let names = config.names();
        let addresses = names::known(&names);
        let unknown = addresses.len() < names.len();
        eprintln!("[#] wg addconf {} /dev/fd/63", self.interface);
        let request = config.addconf(&addresses.into_iter().collect());
        let changed = wireguard::open(self.interface).and_then(|mut device| device.change(&request));
        changed.map_err(|error| Failure::new(format!("cannot configure {}: {error}", self.interface)))?;
        Ok(unknown)
    }

    fn status(&self) -> Result<DeviceStatus, Failure> {
        let status = wireguard::open(self.interface).and_then(|mut device| device.status());
        status.map_err(|error| Failure::new(format!("cannot read {}: {error}", self.interface)))
    }

    fn make(&mut self, item: Item, host: &mut Host) -> Outcome {
        self.check_signals()?;
        self.journal.make(item, host)
    }

    fn check_signals(&self) -> Outcome {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure::new("ended by a signal; nothing is left"));
        }
        Ok(())
    }

    fn set_dns(&mut self) -> Outcome {
        let Some(record) = dns::record(self.interface, self.quick) else {
            return Ok(());
        };
        self.journal.dns = Some(record.clone());
        self.journal.write()?;
        if !dns::set(&record, self.quick)? {
            self.journal.dns = None;
        }
        Ok(())
    }

    /// Returns what leads to the allowed IPs that the interface has now, those that a command set included.
    fn routes(&self, status: &DeviceStatus, host: &mut Host) -> Result<Vec<Item>, Failure> {
        let table = match &self.quick.table {
            Table::Off => return Ok(Vec::new()),
            Table::Auto => None,
            Table::Number(number) => Some(*number),
            Table::Named(name) => Some(table_number(name)?),
        };
        let allowed = status.peers.iter().flat_map(|peer| peer.allowed_ips.iter().copied());
        let link = host.link()?;
        // Those that the kernel gave it are among them.
        let addresses: Vec<(IpAddr, Prefix)> = address::list(host.netlink(), link)?
            .into_iter()
            .filter_map(|a| Some((a.address, Prefix::new(a.address, a.prefix_len)?)))
            .collect();
        let others = Journal::others(self.interface)?;
        let mut mark = Some(status.fwmark).filter(|mark| *mark != 0);
        let mut choose = |netlink: &mut Netlink| match mark {
            Some(mark) => Ok(mark),
            None => {
                let chosen = setup::free_mark(netlink, &marks(&others))?;
                self.set_fwmark(chosen)?;
                mark = Some(chosen);
                Ok(chosen)
            }
        };
        let mut items = setup::routes(host.netlink(), allowed, &addresses, table, &mut choose)?;
        keep_first_value(&mut items, &others);
        Ok(items)
    }

    fn set_fwmark(&self, mark: u32) -> Result<(), Error> {
        eprintln!("[#] wg set {} fwmark {mark}", self.interface);
        let request = SetRequest {
            fwmark: Some(mark),
            ..SetRequest::default()
        };
        let changed = wireguard::open(self.interface).and_then(|mut device| device.change(&request));
        changed.map_err(|error| Error::new(format!("set the mark of {}", self.interface), error))
    }
}

/// Returns the marks of other interfaces that are up.
fn marks(others: &[Journal]) -> Vec<u32> {
    let items = others.iter().flat_map(|journal| &journal.items);
    let mark = |item: &Item| match item {
        Item::Firewall { mark, .. } => Some(*mark),
        _ => None,
    };
    items.filter_map(mark).collect()
}

/// The value that a kernel parameter gets back is the one before the first interface that changed it.
fn keep_first_value(items: &mut [Item], others: &[Journal]) {
    let first = others
        .iter()
        .flat_map(|journal| &journal.items)
        .find_map(|item| match item {
            Item::ValidMark { before } => Some(before.clone()),
            _ => None,
        });
    for item in items {
        if let (Item::ValidMark { before }, Some(first)) = (item, &first) {
            before.clone_from(first);
        }
    }
}

/// Finds a table by its name.
fn table_number(name: &str) -> Result<u32, Failure> {
    match name {
        "main" => return Ok(254),
        "default" => return Ok(253),
        "local" => return Ok(255),
        _ => {}
    }
    for path in [
        "/etc/iproute2/rt_tables",
        "/usr/share/iproute2/rt_tables",
        "/usr/lib/iproute2/rt_tables",
    ] {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            if let (Some(number), Some(known)) = (words.next(), words.next())
                && known == name
                && let Ok(number) = number.parse()
            {
                return Ok(number);
            }
        }
    }
    Err(Failure::new(format!("there is no routing table `{name}'")))
}
