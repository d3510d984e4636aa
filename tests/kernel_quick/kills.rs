//! SIGKILL at steps of `up`, `reload` and `down` where the kernel runs the interface: nothing of it is lost, and nothing stays.
//!
//! No engine is there that ends with what it made. The guest is slow: of the places some are taken, others for each file.

use e2e::kill::{self, Place};
use e2e::{Guest, Node, Result, Side, needs};

use super::same;

const PROGRAMS: [&str; 2] = ["strace", "nft"];

/// Of so many places one is taken.
const EVERY: usize = 12;

/// All that is to be seen, but for the order in which things were made, by few processes.
const STATE: &str = "for v in 4 6; do printf 'addr\\nlink\\nrule\\nroute show table all\\n' | ip -$v -o -batch -; done | \
grep -v fe80 | sed 's/^[0-9]*://' | sort; nft list ruleset | grep -v fe80; wg showconf wg0 2> /dev/null | sort; \
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv4/conf/all/src_valid_mark \
/etc/resolv.conf; ls -A /etc; ls -d /tmp/hook /run/adit/*/*.json 2> /dev/null; true";

/// Two full tunnels that have little in common.
const FILES: [&str; 2] = [
    "Address = 10.9.0.2/24, 10.8.0.2/24, fd09::2/64\\nListenPort = 777\\nFwMark = 0x88\\nDNS = 10.9.0.1, corp.example\\n\
     PostUp = echo up > /tmp/hook\\nPostDown = rm -f /tmp/hook\\n\
     [Peer]\\nPublicKey = {A}\\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16, fd01::/16\\n",
    "Address = 10.9.0.3/24, fd09::3/64, fd09::4/64\\nListenPort = 778\\nDNS = 10.9.0.9\\nMTU = 1300\\nFwMark = 0x99\\nGateway = true\\nKillSwitch = lan\\n\
     PostUp = echo up > /tmp/hook\\nPostDown = rm -f /tmp/hook\\n\
     [Peer]\\nPublicKey = {A}\\nAllowedIPs = 0.0.0.0/0, 10.1.0.0/16, 10.2.0.0/16\\n\
     [Peer]\\nPublicKey = {B}\\nAllowedIPs = ::/0\\nEndpoint = 192.0.2.9:5\\n",
];

#[test]
fn what_is_killed_on_its_way_beside_the_kernel_is_undone_or_made_up_for() {
    let adit = needs::adit();
    let adit = adit.to_string_lossy();
    let programs = [&Guest::NEEDS[..], &PROGRAMS, &[&*adit]].concat();
    if !needs::available(&programs) {
        return;
    }
    let side = Side::new().unwrap();
    let guest = Guest::boot_with(&side, &PROGRAMS, "").unwrap();
    if let Err(error) = Killing::begin(&guest).and_then(|killing| killing.all()) {
        panic!("{error}\n--- console\n{}", guest.console());
    }
    guest.power_off().unwrap();
}

struct Killing<'a> {
    guest: &'a Guest,
    before: String,
}

impl<'a> Killing<'a> {
    fn begin(guest: &'a Guest) -> Result<Self> {
        guest.sh("echo 'nameserver 192.0.2.53' > /etc/resolv.conf")?;
        for (number, file) in FILES.iter().enumerate() {
            let text = ["{A}", "{B}"].iter().try_fold((*file).to_owned(), |text, name| {
                Ok::<_, String>(text.replace(name, &guest.sh("wg genkey | wg pubkey")?))
            })?;
            guest.sh(&format!(
                "printf \"[Interface]\\nPrivateKey = $(wg genkey)\\nBackend = kernel\\n{text}\" > /tmp/{number}"
            ))?;
        }
        let before = guest.sh(STATE)?;
        Ok(Self { guest, before })
    }

    fn all(&self) -> Result<()> {
        self.ups_and_downs()?;
        self.reloads()
    }

    fn ups_and_downs(&self) -> Result<()> {
        for file in 0..FILES.len() {
            self.take(file)?;
            let up = self.places("up", file)?;
            let down = self.places("down", file)?;
            for place in up {
                self.kill("up", &place)?;
                self.clean(&place)?;
            }
            for place in down {
                self.adit("up")?;
                self.kill("down", &place)?;
                self.clean(&place)?;
            }
        }
        Ok(())
    }

    fn reloads(&self) -> Result<()> {
        let mut states = Vec::new();
        for file in 0..FILES.len() {
            self.take(file)?;
            self.adit("up")?;
            states.push(self.guest.sh(STATE)?);
            self.adit("down")?;
        }
        self.take(0)?;
        self.adit("up")?;
        let mut places = Vec::new();
        for to in [1, 0] {
            self.take(to)?;
            places.push(self.places("reload", to)?.into_iter());
        }
        // After every other one it goes back.
        let (mut present, mut goes_back) = (0, false);
        while let Some((place, to)) = places[present].next().map(|place| (place, 1 - present)) {
            self.take(to)?;
            self.kill("reload", &place)?;
            let end = if goes_back { present } else { to };
            self.take(end)?;
            self.adit("reload")?;
            let state = self.guest.sh(STATE)?;
            same(&state, &states[end]).map_err(|error| format!("to {to} and {end}, {place}: {error}"))?;
            (present, goes_back) = (end, !goes_back);
        }
        self.adit("down")?;
        same(&self.guest.sh(STATE)?, &self.before)
    }

    /// Makes a file that of the tunnel.
    fn take(&self, file: usize) -> Result<()> {
        let guest = self.guest;
        guest.sh(&format!("cp /tmp/{file} /etc/wireguard/wg0.conf")).map(drop)
    }

    fn adit(&self, command: &str) -> Result<()> {
        let line = format!("adit {command} wg0 2> /tmp/said || {{ cat /tmp/said; exit 1; }}");
        self.guest.sh(&line).map(drop)
    }

    /// Runs a command to its end, and returns some places on its way, others for each file.
    fn places(&self, command: &str, file: usize) -> Result<Vec<Place>> {
        let options = kill::options("/tmp/calls", kill::STEPS);
        let line = format!("strace {options} adit {command} wg0 2> /tmp/said || cat /tmp/said; cat /tmp/calls");
        let all = kill::places(&self.guest.sh(&line)?);
        let first = file * EVERY / FILES.len();
        let some: Vec<Place> = all.iter().skip(first).step_by(EVERY).cloned().collect();
        eprintln!("{command}: {} of {} places", some.len(), all.len());
        Ok(some)
    }

    /// Kills a command at a place, and waits for what it called.
    fn kill(&self, command: &str, place: &Place) -> Result<()> {
        let line = format!(
            "strace {} adit {command} wg0 2> /tmp/said; test $? = 137 || {{ cat /tmp/said; exit 1; }}; \
             while ps | grep -q '[/]tmp/hook'; do sleep 0.05; done",
            place.options()
        );
        let killed = self.guest.sh(&line);
        killed.map(drop).map_err(|error| format!("{command}, {place}: {error}"))
    }

    /// Takes down what is left, after which all is as before.
    fn clean(&self, place: &Place) -> Result<()> {
        if !self
            .guest
            .sh("ls -d /run/adit/*/wg0.json /sys/class/net/wg0 2> /dev/null; true")?
            .is_empty()
        {
            self.adit("down")?;
        }
        let state = self.guest.sh(STATE)?;
        same(&state, &self.before).map_err(|error| format!("{place}: {error}"))
    }
}
