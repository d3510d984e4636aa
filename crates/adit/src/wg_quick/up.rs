//! `wg-quick up`.

use std::sync::atomic::{AtomicBool, Ordering};

use conf::quick::{Backend, KillSwitch, Quick, Stage};
use conf::uapi::{DeviceStatus, SetRequest};
use conf::wg::file::Config;
use host::nft::kill_switch::Exceptions;
use host::setup::{Host, Item};

use super::dns::Dns;
use super::engine::{self, change, status};
use super::file::File;
use super::journal::{self, Journal, Lock};
use super::save::Used;
use super::{
    Failure, Outcome, access, background, confirm, desired, down, hooks, keeper, names, private_key, say, signals,
    systemd,
};

/// Brings a tunnel up; `backend`, a word for one, comes before what the file says.
pub(super) fn run(file: &File, backend: Option<&str>) -> Outcome {
    bring_up(file, backend, None)
}

/// Brings a tunnel up for its keeper. Does nothing, and well, if it is not that any more.
pub(super) fn again(keeper: &str, interface: &str, path: &str, backend: Option<&str>) -> Outcome {
    let keeper = keeper
        .parse()
        .map_err(|_| Failure::new(format!("`{keeper}' is no number of a keeper")))?;
    let file = File {
        interface: interface.to_owned(),
        path: path.into(),
    };
    // Of a tunnel that was taken down the file may be gone, too.
    match Journal::read(interface)? {
        Some(left) if left.keeper == Some(keeper) => bring_up(&file, backend, Some(keeper)),
        _ => Ok(()),
    }
}

fn bring_up(file: &File, word: Option<&str>, keeper: Option<u128>) -> Outcome {
    let wrong = |why: String| Failure::new(format!("--backend {}: {why}", word.unwrap_or_default()));
    let backend: Option<Backend> = word.map(str::parse).transpose().map_err(wrong)?;
    let (text, mut config, quick) = file.wanted()?;
    let stop = signals::note()?;
    private_key::fill(&mut config, &quick, file).map_err(|failure| as_systemd_has_it(failure, &stop))?;
    let backend = backend.unwrap_or(quick.backend);
    let interface = &file.interface;
    let mut lock = journal::lock()?;
    let left = Journal::read(interface)?;
    if keeper.is_some() && left.as_ref().and_then(|left| left.keeper) != keeper {
        return Ok(());
    }
    if engine::exists(interface)? {
        return Err(already_exists(interface));
    }
    // Its keeper does, or systemd, of whose tunnels nothing is left after a stop.
    let comes_back = keeper.is_some() || systemd::is_told();
    let used = left.as_ref().and_then(|left| left.file.as_ref());
    if !comes_back || !used.is_some_and(|used| used.is(&text)) {
        // What somebody brings up, or wrote since, is what is wanted now.
        confirm::forget(interface)?;
    }
    let mut journal = Journal::new(interface);
    // A kill switch that was left stays, whatever becomes of this.
    let mut held = None;
    if let Some(left) = left {
        let end;
        (lock, end) = clear(left, &quick, lock)?;
        held = end.kill_switch();
        journal.items = end.items;
        journal.iptables = end.iptables;
    }
    journal.file = Some(Used::new(&text, &config, &quick));
    journal.keeper = keeper;
    journal.write()?;
    let mut up = Up {
        file,
        interface,
        quick: &quick,
        journal: &mut journal,
        stop: &stop,
        switch: None,
    };
    let created = up
        .close(&config, &lock)
        .and_then(|()| engine::create(interface, backend, &lock));
    drop(lock);
    let engine = match created.and_then(|engine| up.run(config).map(|()| engine)) {
        Ok(engine) => engine.filter(|_| !systemd::is_told()),
        Err(failure) => {
            if let Err(failure) = undo(journal, held) {
                say(format_args!("wg-quick: {}", failure.message));
            }
            return Err(as_systemd_has_it(failure, &stop));
        }
    };
    let _lock = journal::lock()?;
    if Journal::read(interface)?.as_ref() != Some(&journal) {
        return Err(taken_down(interface));
    }
    journal.complete = true;
    journal.take_commands(&quick, Stage::PostUp);
    journal.keeper = engine.as_ref().map(|_| background::number());
    journal.write()?;
    if let (Some(engine), Some(number)) = (engine, journal.keeper)
        && let Err(failure) = keeper::start(file, word, number, engine)
    {
        say(format_args!("Warning: {}", failure.message));
    }
    systemd::tell(interface);
    Ok(())
}

/// Gives what may go well another time the status by which systemd tries again, and a stop the one by which it does not.
fn as_systemd_has_it(mut failure: Failure, stop: &AtomicBool) -> Failure {
    if systemd::is_told() {
        systemd::put_off(stop);
        failure.status = systemd::TRY_AGAIN;
    }
    if stop.load(Ordering::Relaxed) {
        failure.status = signals::STATUS;
    }
    failure
}

/// Puts the kill switch that a file wants in place before the machine that boots has a network; `up` is to come. At other times `up` alone does
/// so: if it fails, it takes away again what was not there.
pub(super) fn close_early(file: &File) -> Outcome {
    if !systemd::is_booting() {
        return Ok(());
    }
    let interface = &file.interface;
    let (_, config, quick) = file.wanted()?;
    let _lock = journal::lock()?;
    if Journal::read(interface)?.is_some() || engine::exists(interface)? {
        return Ok(());
    }
    let journal = Journal::new(interface);
    let mut host = Host::open(interface)?;
    // Nobody asks for names yet.
    let switch = desired::kill_switch(&quick, &journal, mark(&config), false, host.netlink())?;
    if let Some(exceptions) = switch {
        journal.clone().forget(switch)?;
        journal.make(&Item::KillSwitch(exceptions), &mut host)?;
    }
    Ok(())
}

fn mark(config: &Config) -> u32 {
    config.fwmark.map_or(0, |mark| mark.value)
}

/// Undoes what a failed `up` made, with the commands that undo those that have begun. What stays is a kill switch that was there before, and
/// the tunnel's keeper, which tries again.
fn undo(mut journal: Journal, held: Option<Exceptions>) -> Outcome {
    let interface = journal.interface().to_owned();
    if journal.is_current()? {
        hooks::run_each(&interface, &journal.pre_down);
    }
    let lock = journal::lock()?;
    if !journal.is_current()? {
        return Ok(());
    }
    down::undo(&mut journal, held, &lock)?;
    if let Some(held) = held {
        // This one may have let more pass, such as questions to name servers.
        journal.make(&Item::KillSwitch(held), &mut Host::open(&interface)?)?;
    }
    down::end(journal, held, lock, |commands| hooks::run_each(&interface, commands))
}

/// Undoes what a killed `up` or a vanished engine left, and runs the commands for after the end: those of `up` are about to run again. Not if
/// they run, for then one of them perhaps brings up the tunnel. A kill switch stays if one is wanted still. Returns what is left.
fn clear(mut left: Journal, quick: &Quick, lock: Lock) -> Result<(Lock, Journal), Failure> {
    let interface = left.interface().to_owned();
    let held = left.kill_switch().filter(|_| quick.kill_switch != KillSwitch::Off);
    let is_claimed = left.is_claimed()?;
    down::undo(&mut left, held, &lock)?;
    left.end(held)?;
    if is_claimed {
        return Ok((lock, left));
    }
    let _claim = left.claim();
    drop(lock);
    hooks::run_each(&interface, &left.post_down);
    let lock = journal::lock()?;
    if Journal::read(&interface)?.as_ref() != Some(&left) {
        return Err(Failure::new(format!(
            "`{interface}' was brought up or taken down meanwhile"
        )));
    }
    if engine::exists(&interface)? {
        left.forget(held)?;
        return Err(already_exists(&interface));
    }
    Ok((lock, left))
}

fn already_exists(interface: &str) -> Failure {
    Failure::new(format!("`{interface}' already exists"))
}

fn taken_down(interface: &str) -> Failure {
    Failure::new(format!("`{interface}' was taken down meanwhile"))
}

struct Up<'a> {
    file: &'a File,
    interface: &'a str,
    quick: &'a Quick,
    journal: &'a mut Journal,
    stop: &'a AtomicBool,
    /// What passes the kill switch, if there is one.
    switch: Option<Exceptions>,
}

impl Up<'_> {
    /// Puts the kill switch in place, before there is an interface.
    fn close(&mut self, config: &Config, lock: &Lock) -> Outcome {
        let mut host = Host::open(self.interface)?;
        let unknown = !config.names().is_empty();
        self.switch = desired::kill_switch(self.quick, self.journal, mark(config), unknown, host.netlink())?;
        match self.switch {
            Some(exceptions) => self.make(&[Item::KillSwitch(exceptions)], &mut host, lock),
            None => Ok(()),
        }
    }

    fn run(mut self, config: Config) -> Outcome {
        self.run_hooks(Stage::PreUp)?;
        let entrance = desired::entrance(&config);
        let port = config.listen_port.map(|port| port.value);
        let mut host = Host::open(self.interface)?;
        self.restrict(&config, &mut host)?;
        let unknown = self.configure(config)?;
        if let Some(exceptions) = self.switch.filter(|exceptions| exceptions.name_servers && !unknown) {
            let lock = self.lock()?;
            self.make(&[Item::KillSwitch(exceptions.closed())], &mut host, &lock)?;
        }
        let is_guess = self.make_link(&mut host)?;
        if let Some(port) = port.filter(|port| *port != 0) {
            self.listen(port)?;
        }
        // Who asks an engine that is up makes sure that it listens.
        let status = engine::status(self.interface)?;
        self.set_dns()?;
        self.make_routes(&status, &mut host)?;
        if unknown {
            names::look_up_in_background(self.file)?;
        } else if is_guess {
            names::go_on_in_background(self.file)?;
        }
        self.run_hooks(Stage::PostUp)?;
        // A command may have opened it.
        if let Some(port) = entrance {
            desired::warn_of_shut_port(port);
        }
        self.check_signals()
    }

    fn run_hooks(&mut self, stage: Stage) -> Outcome {
        let mut hooks = self.quick.hooks(stage).peekable();
        if hooks.peek().is_some() {
            systemd::wait_for_network();
            self.check_signals()?;
            let _lock = self.lock()?;
            self.journal.take_commands(self.quick, stage);
            self.journal.write()?;
        }
        hooks::run(self.interface, hooks)
    }

    /// Makes access rules, before there are peers.
    fn restrict(&mut self, config: &Config, host: &mut Host) -> Outcome {
        // Nobody has anything yet.
        let owners = config.owners(&DeviceStatus::default());
        match access::rules(config, self.quick, &owners) {
            Some(rules) => {
                let lock = self.lock()?;
                self.make(&[rules], host, &lock)
            }
            None => Ok(()),
        }
    }

    /// Gives the interface its keys and peers. Tells whether an endpoint has a name that nobody knows yet.
    fn configure(&self, config: Config) -> Result<bool, Failure> {
        let names = config.names();
        let addresses = names::known(&names, names::A_MOMENT);
        let unknown = addresses.len() < names.len();
        say(format_args!("[#] wg addconf {} /dev/fd/63", self.interface));
        let mut request = config.addconf(&addresses.into_iter().collect());
        if let Some(exceptions) = self.switch {
            request.fwmark = Some(exceptions.fwmark);
        }
        let _lock = self.lock()?;
        change(self.interface, &request)?;
        Ok(unknown)
    }

    /// Tells whether the MTU is a guess.
    fn make_link(&mut self, host: &mut Host) -> Result<bool, Failure> {
        let lock = self.lock()?;
        let addresses: Vec<Item> = desired::addresses(self.quick).collect();
        self.make(&addresses, host, &lock)?;
        // A command may have changed what the file says.
        let status = status(self.interface)?;
        let endpoints = status.peers.iter().filter_map(|peer| peer.endpoint);
        let allowed = status.peers.iter().flat_map(|peer| peer.allowed_ips.iter().copied());
        let (mtu, is_guess) = desired::mtu(self.quick, host.netlink(), endpoints, allowed, status.fwmark)?;
        self.make(&[mtu, Item::Up], host, &lock)?;
        Ok(is_guess)
    }

    /// Asks for the port once more: an engine opens it when the link comes up, and nobody hears if somebody else has it.
    fn listen(&self, port: u16) -> Outcome {
        let _lock = self.lock()?;
        let request = SetRequest {
            listen_port: Some(port),
            ..SetRequest::default()
        };
        change(self.interface, &request)
    }

    fn set_dns(&mut self) -> Outcome {
        let _lock = self.lock()?;
        let dns = Dns::wanted(self.interface, self.quick)?;
        self.journal.set_dns(dns, self.quick.dns_required)
    }

    fn make_routes(&mut self, status: &DeviceStatus, host: &mut Host) -> Outcome {
        let lock = self.lock()?;
        let allowed = status.peers.iter().flat_map(|peer| peer.allowed_ips.iter().copied());
        let routes = desired::routes(self.quick, self.journal, allowed, status.fwmark, host)?;
        if let Some(mark) = routes.new_mark {
            self.set_fwmark(mark)?;
        }
        self.make(&routes.items, host, &lock)?;
        let gateway = desired::gateway(self.quick, self.journal, host.netlink())?;
        self.make(&gateway, host, &lock)
    }

    fn make(&mut self, items: &[Item], host: &mut Host, _lock: &Lock) -> Outcome {
        self.journal.expect(items)?;
        for item in items {
            self.check_signals()?;
            self.journal.make(item, host)?;
        }
        Ok(())
    }

    /// Locks out others while something is made. Before, one may have taken the tunnel down, and brought it up anew: that is not to be touched.
    fn lock(&self) -> Result<Lock, Failure> {
        let lock = journal::lock()?;
        match self.journal.is_current()? {
            true => Ok(lock),
            false => Err(taken_down(self.interface)),
        }
    }

    fn check_signals(&self) -> Outcome {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure::new("ended by a signal; what was made is undone"));
        }
        Ok(())
    }

    fn set_fwmark(&self, mark: u32) -> Outcome {
        say(format_args!("[#] wg set {} fwmark {mark}", self.interface));
        let request = SetRequest {
            fwmark: Some(mark),
            ..SetRequest::default()
        };
        change(self.interface, &request)
    }
}
