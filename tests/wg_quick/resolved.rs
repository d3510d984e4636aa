//! Name servers told to a systemd-resolved, here a few lines that speak as the bus does: it is told where programs ask it, and what is
//! killed while it tells them is made up for.
//!
//! With a real one: `tests/package.rs`.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;

use e2e::kill::{self, Place};
use e2e::{needs, side};
use rustix::net::sockopt::socket_peercred;
use rustix::process::Signal;

use super::filled;
use super::world::World;

const BUS: &str = "env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/wireguard/bus";

const FILES: [&str; 3] = [
    "Address = 10.9.0.2/24\nDNS = 10.9.0.1, corp.example",
    "Address = 10.9.0.2/24\nDNS = 10.9.0.9, fd09::9",
    "Address = 10.9.0.2/24",
];

/// When whoever calls is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Before what it asks for is done.
    Before,
    /// After that, and before the answer.
    After,
}

/// The bus, and who is there to be told of name servers.
#[derive(Default)]
struct Resolved {
    /// By the number of a link, what the last call of each method said.
    links: BTreeMap<u32, BTreeMap<String, Vec<u8>>>,
    /// How many calls there were.
    calls: usize,
    /// Which of them is the last of whoever calls.
    last: Option<(usize, Moment)>,
}

impl Resolved {
    /// Takes a call. Tells whether it is to be answered.
    fn call(&mut self, caller: &UnixStream, method: &str, body: &[u8]) -> bool {
        self.calls += 1;
        let last = self.last.filter(|(number, _)| *number == self.calls);
        let is_told = !["Hello", "Ping"].contains(&method);
        if is_told && last.is_none_or(|(_, moment)| moment == Moment::After) {
            let (link, rest) = body.split_at(4);
            let link = self.links.entry(number(link)).or_default();
            match method {
                "RevertLink" => link.clear(),
                _ => drop(link.insert(method.to_owned(), rest.to_vec())),
            }
        }
        if last.is_some() {
            let pid = socket_peercred(caller).unwrap().pid;
            side::end(pid.as_raw_nonzero().get().unsigned_abs(), Signal::KILL);
        }
        last.is_none()
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

/// Answers one program until it goes.
fn talk(resolved: &Mutex<Resolved>, stream: &UnixStream) -> io::Result<()> {
    let mut input = BufReader::new(stream);
    let mut output = stream;
    loop {
        let mut line = Vec::new();
        input.read_until(b'\n', &mut line)?;
        let line = String::from_utf8_lossy(&line);
        match line.trim_matches(['\0', '\r', '\n']).split(' ').next() {
            Some("AUTH") => output.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n")?,
            Some("NEGOTIATE_UNIX_FD") => output.write_all(b"AGREE_UNIX_FD\r\n")?,
            Some("BEGIN") => break,
            _ => return Err(io::Error::other("not a greeting")),
        }
    }
    loop {
        let mut head = [0; 16];
        input.read_exact(&mut head)?;
        let [body, serial, fields] = [4, 8, 12].map(|at| number(&head[at..at + 4]));
        let mut rest = vec![0; fields.next_multiple_of(8) as usize];
        input.read_exact(&mut rest)?;
        let method = method(&rest[..fields as usize]);
        let mut arguments = vec![0; body as usize];
        input.read_exact(&mut arguments)?;
        if !resolved.lock().unwrap().call(stream, &method, &arguments) {
            return Ok(());
        }
        output.write_all(&answer(serial, &method))?;
    }
}

/// Returns the third of the fields of a message, all of which are texts here but for the signature of the body.
fn method(fields: &[u8]) -> String {
    let mut at = 0;
    while at < fields.len() {
        let (code, kind) = (fields[at], fields[at + 2]);
        let (start, length) = match kind {
            b'g' => (at + 5, usize::from(fields[at + 4])),
            _ => (at + 8, number(&fields[at + 4..at + 8]) as usize),
        };
        if code == 3 {
            return String::from_utf8_lossy(&fields[start..start + length]).into_owned();
        }
        at = (start + length + 1).next_multiple_of(8);
    }
    String::new()
}

/// Returns the answer to a message: a name on the bus for who says hello, else nothing.
fn answer(to: u32, method: &str) -> Vec<u8> {
    let mut fields = [&[5, 1, b'u', 0][..], &to.to_le_bytes()].concat();
    let mut body = Vec::new();
    if method == "Hello" {
        fields.extend([8, 1, b'g', 0, 1, b's', 0]);
        body = [&4_u32.to_le_bytes()[..], b":1.1\0"].concat();
    }
    let [length, serial, fields_length] = [body.len() as u32, to, fields.len() as u32].map(u32::to_le_bytes);
    fields.resize(fields.len().next_multiple_of(8), 0);
    [&[b'l', 2, 1, 1][..], &length, &serial, &fields_length, &fields, &body].concat()
}

/// A machine where systemd-resolved takes name servers.
struct Machine {
    world: World,
    resolved: Arc<Mutex<Resolved>>,
}

impl Machine {
    fn new() -> Option<Self> {
        if !needs::available(&["strace"]) {
            return None;
        }
        let world = World::new()?;
        world.has_resolv_conf("nameserver 127.0.0.53\\n", true);
        let listener = UnixListener::bind(format!("/proc/{}/root/run/wireguard/bus", world.pid())).unwrap();
        let resolved = Arc::<Mutex<Resolved>>::default();
        let shared = Arc::clone(&resolved);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who is killed says no farewell.
                let _ = talk(&shared, &stream);
            }
        });
        Some(Self { world, resolved })
    }

    fn run(&self, file: usize, command: &str) {
        self.world.write(&filled(FILES[file]));
        let output = self.world.under(BUS, &format!("{command} wg0"));
        let said = self.world.errors();
        assert!(
            output.status.success() && !said.contains("Warning"),
            "{command}: {said}"
        );
    }

    /// Runs a command that a call is the last of, and tells whether it came so far.
    fn kill_at_call(&self, file: usize, command: &str, number: usize, moment: Moment) -> bool {
        self.world.write(&filled(FILES[file]));
        let last = {
            let mut resolved = self.resolved.lock().unwrap();
            resolved.last = Some((resolved.calls + number, moment));
            resolved.last
        };
        let is_killed = self.world.under(BUS, &format!("{command} wg0")).status.code().is_none();
        let mut resolved = self.resolved.lock().unwrap();
        assert_eq!(is_killed, last.is_some_and(|(last, _)| resolved.calls == last));
        resolved.last = None;
        is_killed
    }

    /// The places around those at which it turns to the bus.
    fn places(&self, file: usize, command: &str) -> Vec<Place> {
        self.world.write(&filled(FILES[file]));
        let options = kill::options("/run/wireguard/calls", kill::STEPS);
        let output = self
            .world
            .under(&format!("{BUS} strace {options}"), &format!("{command} wg0"));
        assert!(output.status.success(), "{command}: {}", self.world.errors());
        let all = kill::places(&self.world.sh("cat /run/wireguard/calls"));
        let starts: Vec<usize> = (0..all.len()).filter(|at| all[*at].call == "clone3").collect();
        let is_near = |at: &usize| {
            starts
                .iter()
                .any(|start| (start.saturating_sub(4)..start + 5).contains(at))
        };
        (0..all.len()).filter(is_near).map(|at| all[at].clone()).collect()
    }

    fn kill_at_place(&self, file: usize, command: &str, place: &Place) {
        self.world.write(&filled(FILES[file]));
        let program = format!("{BUS} strace {}", place.options());
        let output = self.world.under(&program, &format!("{command} wg0"));
        assert!(
            output.status.code().is_none(),
            "{command}, {place}: {}",
            self.world.errors()
        );
        self.world.commands_end();
    }

    /// What is known of the interface.
    fn known(&self) -> BTreeMap<String, Vec<u8>> {
        let link = self.world.sh("ip -o link show wg0 2> /dev/null | cut -d: -f1");
        let link: u32 = link.parse().unwrap_or_default();
        let resolved = self.resolved.lock().unwrap();
        resolved.links.get(&link).cloned().unwrap_or_default()
    }

    fn down(&self) {
        let output = self.world.under(BUS, "down wg0");
        assert!(output.status.success(), "{}", self.world.errors());
    }
}

/// What of resolv.conf, the C library's switch and resolvconf a machine has, and who is told there.
#[test]
fn name_servers_go_to_whom_programs_ask() {
    const LEADS: &str = "nameserver 127.0.0.53";
    const ELSEWHERE: &str = "nameserver 192.0.2.1";
    const SWITCH: &str = "hosts: files resolve [!UNAVAIL=return] dns";
    let Some(machine) = Machine::new() else { return };
    let world = &machine.world;
    world.sh("touch /run/wireguard/nsswitch.conf; mount --bind /run/wireguard/nsswitch.conf /etc/nsswitch.conf");
    let real = "printf '#!/bin/sh\nexit 0\n' > /run/wireguard/bin/resolvconf; chmod 755 /run/wireguard/bin/resolvconf";
    let own = "ln -s /usr/bin/resolvectl /run/wireguard/bin/resolvconf";
    let told = [
        "resolvectl dns wg0 10.9.0.1",
        "resolvconf -a wg0 -m 0 -x",
        "edit /etc/resolv.conf",
    ];
    let [resolved, resolvconf, edit] = told;
    world.write(&filled("DNS = 10.9.0.1"));
    let nobody = "env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/wireguard/nobody";
    for (resolv_conf, switch, program, bus, expected) in [
        (LEADS, "", "true", BUS, resolved),
        (LEADS, "", real, BUS, resolved),
        (LEADS, "", own, BUS, resolved),
        (ELSEWHERE, SWITCH, real, BUS, resolved),
        (ELSEWHERE, "hosts: files dns", real, BUS, resolvconf),
        (ELSEWHERE, "", own, BUS, edit),
        (ELSEWHERE, "", "true", BUS, edit),
        (LEADS, SWITCH, real, nobody, resolvconf),
        (LEADS, SWITCH, own, nobody, edit),
        (LEADS, "", "true", nobody, edit),
    ] {
        world.sh(&format!(
            "echo '{resolv_conf}' > /etc/resolv.conf; echo '{switch}' > /etc/nsswitch.conf"
        ));
        world.sh(&format!("rm -f /run/wireguard/bin/resolvconf; {program}"));
        assert!(world.under(bus, "up wg0").status.success(), "{}", world.errors());
        let errors = world.errors();
        let is_told = |told: &&str| errors.lines().any(|line| line.strip_prefix("[#] ") == Some(told));
        let found: Vec<&str> = told.into_iter().filter(is_told).collect();
        assert_eq!(found, [expected], "{resolv_conf}, {switch}, {program}, {bus}: {errors}");
        assert!(world.under(bus, "down wg0").status.success(), "{}", world.errors());
        assert_eq!(world.sh("cat /etc/resolv.conf"), resolv_conf);
    }
}

#[test]
fn an_up_killed_while_it_tells_name_servers_is_undone_and_made_again() {
    let Some(machine) = Machine::new() else { return };
    let before = machine.world.state();
    machine.run(0, "up");
    let known = machine.known();
    assert_eq!(known.len(), 2, "{known:?}");
    machine.down();
    let recovers = |what: &str| {
        machine.down();
        assert_eq!(machine.world.settled(), before, "{what}");
        machine.run(0, "up");
        assert_eq!(machine.known(), known, "{what}");
        machine.down();
    };
    let mut kills = 0;
    for moment in [Moment::Before, Moment::After] {
        for number in 1.. {
            if !machine.kill_at_call(0, "up", number, moment) {
                machine.down();
                break;
            }
            recovers(&format!("{moment:?} call {number}"));
            kills += 1;
        }
    }
    assert!(kills >= 6, "{kills}");
    let places = machine.places(0, "up");
    machine.down();
    for place in &places {
        machine.kill_at_place(0, "up", place);
        recovers(&place.to_string());
    }
    eprintln!("up: {} kills", kills + places.len());
}

#[test]
fn a_reload_killed_while_it_tells_name_servers_is_made_up_for_by_the_next() {
    let Some(machine) = Machine::new() else { return };
    let known = [0, 1, 2].map(|file| {
        machine.run(file, "up");
        let known = machine.known();
        machine.down();
        known
    });
    assert!(known[0] != known[1] && known[2].is_empty());
    machine.run(0, "up");
    let mut kills = 0;
    let mut recovers = |from: usize, to: usize, what: &str| {
        // Some go back.
        let end = if kills % 3 == 2 { from } else { to };
        machine.run(end, "reload");
        assert_eq!(machine.known(), known[end], "from {from} to {to} and {end}, {what}");
        kills += 1;
    };
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        for moment in [Moment::Before, Moment::After] {
            for number in 1.. {
                machine.run(from, "reload");
                if !machine.kill_at_call(to, "reload", number, moment) {
                    break;
                }
                recovers(from, to, &format!("{moment:?} call {number}"));
            }
        }
        machine.run(from, "reload");
        for place in machine.places(to, "reload") {
            machine.run(from, "reload");
            machine.kill_at_place(to, "reload", &place);
            recovers(from, to, &place.to_string());
        }
    }
    eprintln!("reload: {kills} kills");
    assert!(kills >= 20, "{kills}");
    machine.down();
}
