//! SIGKILL before each write of `up`, `reload` and `down` to a file: resolv.conf, kernel parameters, the file of the tunnel, and what is written
//! down to be undone.

use e2e::kill::{self, Place};
use e2e::needs;

use super::filled;
use super::kills::{down_if_left, kill, places_of, reloaded};
use super::world::{Tool, World};

/// One that is shorter than the edits and one that is longer.
const RESOLV_CONF: [&str; 2] = [
    "nameserver ::1\\n",
    "# by somebody else, whose words are many\\nnameserver 192.0.2.1\\nnameserver 192.0.2.2\\nsearch a.example b.example\\noptions rotate\\n",
];

const FILES: [&str; 2] = [
    "Address = 10.9.0.2/24\nListenPort = 777\nFwMark = 0x88\nDNS = 10.9.0.1, corp.example\nSaveConfig = true\n\
     PreUp = ip route replace blackhole 198.51.100.0/24\nPostDown = ip route flush 198.51.100.0/24\n\
     [Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0\n",
    "Address = 10.9.0.2/24\nListenPort = 777\nFwMark = 0x88\nDNS = 10.9.0.9\nSaveConfig = true\nGateway = true\n\
     PreUp = ip route replace blackhole 198.51.100.0/24\nPostDown = ip route flush 198.51.100.0/24\n\
     [Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16\n",
];

/// A machine where resolv.conf is edited, and what was there before the tunnel.
struct Machine {
    world: World,
    before: String,
}

impl Machine {
    fn new(resolv_conf: &str, is_mount: bool) -> Option<Self> {
        if !needs::available(&["strace"]) {
            return None;
        }
        let world = World::new()?;
        world.has_resolv_conf(resolv_conf, is_mount);
        world.write("");
        let mut machine = Self {
            world,
            before: String::new(),
        };
        machine.before = machine.state();
        Some(machine)
    }

    fn places(&self, words: &str) -> Vec<Place> {
        places_of(kill::WRITES, &self.world, words)
    }

    fn ok(&self, words: &str) {
        self.world.ok(Tool::Ours, words);
    }

    fn write(&self, file: &str) {
        self.world.write(&filled(file));
    }

    /// What is there without a tunnel.
    fn state(&self) -> String {
        self.world.settled() + &self.names()
    }

    /// What is there with one.
    fn reloaded(&self) -> String {
        reloaded(&self.world) + &self.names()
    }

    fn names(&self) -> String {
        self.world
            .sh("tail -n +1 /etc/resolv.conf*; ls -A /etc/wireguard; find /run/adit -name '*.json'")
    }

    /// Changes what `down` saves.
    fn change(&self) {
        self.world
            .sh(&filled("wg set wg0 peer {A} persistent-keepalive 7").replace("[Interface]\n", ""));
    }

    fn file(&self) -> String {
        self.world.sh("cat /etc/wireguard/wg0.conf")
    }

    fn dies_in_up(&self, file: &str) -> usize {
        self.write(file);
        let places = self.places("up wg0");
        self.ok("down wg0");
        assert_eq!(self.state(), self.before);
        for (place, again) in places.iter().zip([false, true].into_iter().cycle()) {
            kill(&self.world, "up wg0", place);
            if again && self.world.run(Tool::Ours, "up wg0").status.success() {
                self.ok("down wg0");
            } else {
                down_if_left(&self.world);
            }
            assert_eq!(self.state(), self.before, "{place}");
        }
        places.len()
    }

    fn dies_in_down(&self, file: &str) -> usize {
        let up = || {
            self.write(file);
            self.ok("up wg0");
            self.change();
        };
        up();
        let places = self.places("down wg0");
        let saved = self.file();
        assert!(saved.contains("PersistentKeepalive = 7"), "{saved}");
        for place in &places {
            up();
            kill(&self.world, "down wg0", place);
            let half = self.file();
            assert!(half == saved || half == filled(file).trim_end(), "{place}: {half}");
            down_if_left(&self.world);
            assert_eq!(
                (self.state(), self.file()),
                (self.before.clone(), saved.clone()),
                "{place}"
            );
        }
        places.len()
    }

    fn dies_in_reload(&self) -> usize {
        let states = FILES.map(|file| {
            self.write(file);
            self.ok("up wg0");
            let state = self.reloaded();
            self.ok("down wg0");
            state
        });
        let reload = |file: usize, after: &str| {
            self.write(FILES[file]);
            self.ok("reload wg0");
            assert_eq!(self.reloaded(), states[file], "to {file} {after}");
        };
        self.write(FILES[0]);
        self.ok("up wg0");
        let mut kills = 0;
        for (from, to) in [(0, 1), (1, 0)] {
            self.write(FILES[to]);
            let places = self.places("reload wg0");
            for place in &places {
                reload(from, "");
                self.write(FILES[to]);
                kill(&self.world, "reload wg0", place);
                if kills % 3 == 2 {
                    self.ok("down wg0");
                    assert_eq!(self.state(), self.before, "down, {from} to {to}, {place}");
                    self.ok("up wg0");
                }
                reload(
                    if kills % 3 == 1 { from } else { to },
                    &format!("after {from} to {to}, {place}"),
                );
                kills += 1;
            }
            reload(to, "");
        }
        self.ok("down wg0");
        assert_eq!(self.state(), self.before);
        kills
    }
}

#[test]
fn an_up_killed_at_any_write_is_undone() {
    for (is_mount, number) in [(false, 0), (true, 1)] {
        let Some(machine) = Machine::new(RESOLV_CONF[number], is_mount) else {
            return;
        };
        let kills = machine.dies_in_up(FILES[number]);
        eprintln!("up: {kills} kills");
    }
}

#[test]
fn a_down_killed_at_any_write_goes_on_from_there() {
    for (is_mount, number) in [(false, 1), (true, 0)] {
        let Some(machine) = Machine::new(RESOLV_CONF[number], is_mount) else {
            return;
        };
        let kills = machine.dies_in_down(FILES[number]);
        eprintln!("down: {kills} kills");
    }
}

#[test]
fn a_reload_killed_at_any_write_is_made_up_for_by_the_next() {
    let Some(machine) = Machine::new(RESOLV_CONF[1], true) else {
        return;
    };
    let kills = machine.dies_in_reload();
    eprintln!("reload: {kills} kills");
}
