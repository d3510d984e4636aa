//! adit against other implementations in userspace: both roles, both outer families, with and without a preshared key.

use std::thread;
use std::time::{Duration, Instant};

use e2e::tunnel::check_pair;
use e2e::{Engine, Lab, Outer, Result, Running, Tunnel, command, needs};

const FULL: u64 = 100 << 20;
const SHORT: u64 = 8 << 20;

fn check(first: &Engine, second: &Engine, outer: Outer) {
    if !needs::available(&[first.program(), second.program(), "wg", "ip", "ping"]) {
        return;
    }
    for psk in [true, false] {
        let bytes = if psk && outer == Outer::V4 { FULL } else { SHORT };
        check_pair(first, second, outer, psk, bytes).unwrap();
    }
}

#[test]
fn two_adits_over_v4() {
    check(&Engine::adit(), &Engine::adit(), Outer::V4);
}

#[test]
fn two_adits_over_v6() {
    check(&Engine::adit(), &Engine::adit(), Outer::V6);
}

#[test]
fn adit_initiates_to_wireguard_go_over_v4() {
    check(&Engine::adit(), &Engine::wireguard_go(), Outer::V4);
}

#[test]
fn adit_initiates_to_wireguard_go_over_v6() {
    check(&Engine::adit(), &Engine::wireguard_go(), Outer::V6);
}

#[test]
fn wireguard_go_initiates_to_adit_over_v4() {
    check(&Engine::wireguard_go(), &Engine::adit(), Outer::V4);
}

#[test]
fn wireguard_go_initiates_to_adit_over_v6() {
    check(&Engine::wireguard_go(), &Engine::adit(), Outer::V6);
}

#[test]
fn adit_initiates_to_boringtun_over_v4() {
    check(&Engine::adit(), &Engine::boringtun(), Outer::V4);
}

#[test]
fn adit_initiates_to_boringtun_over_v6() {
    check(&Engine::adit(), &Engine::boringtun(), Outer::V6);
}

#[test]
fn boringtun_initiates_to_adit_over_v4() {
    check(&Engine::boringtun(), &Engine::adit(), Outer::V4);
}

#[test]
fn boringtun_initiates_to_adit_over_v6() {
    check(&Engine::boringtun(), &Engine::adit(), Outer::V6);
}

#[test]
fn adit_initiates_to_gotatun_over_v4() {
    check(&Engine::adit(), &Engine::gotatun(), Outer::V4);
}

#[test]
fn adit_initiates_to_gotatun_over_v6() {
    check(&Engine::adit(), &Engine::gotatun(), Outer::V6);
}

#[test]
fn gotatun_initiates_to_adit_over_v4() {
    check(&Engine::gotatun(), &Engine::adit(), Outer::V4);
}

#[test]
fn gotatun_initiates_to_adit_over_v6() {
    check(&Engine::gotatun(), &Engine::adit(), Outer::V6);
}

#[test]
fn adit_follows_a_peer_whose_port_changes() {
    for peer in [
        Engine::wireguard_go(),
        Engine::boringtun(),
        Engine::gotatun(),
        Engine::adit(),
    ] {
        roam(
            &peer,
            &Engine::adit(),
            "wg set wg0 listen-port 51999",
            "192.0.2.1:51999",
        );
    }
}

#[test]
fn peers_follow_adit_when_its_port_changes() {
    for peer in [Engine::wireguard_go(), Engine::boringtun(), Engine::gotatun()] {
        roam(
            &Engine::adit(),
            &peer,
            "wg set wg0 listen-port 51999",
            "192.0.2.1:51999",
        );
    }
}

/// The sticky source is gone with the address; the engine must notice and let the kernel choose anew.
#[test]
fn peers_follow_adit_when_its_address_changes() {
    let change = "ip addr del 192.0.2.1/24 dev veth0 && ip addr add 192.0.2.77/24 dev veth0";
    roam(&Engine::adit(), &Engine::wireguard_go(), change, "192.0.2.77:51820");
    roam(&Engine::adit(), &Engine::adit(), change, "192.0.2.77:51820");
}

/// The left machine runs `change`; the right one must learn the endpoint `after` from the next authenticated packet.
fn roam(roamer: &Engine, follower: &Engine, change: &str, after: &str) {
    if !needs::available(&[roamer.program(), follower.program(), "wg", "ip", "ping"]) {
        return;
    }
    let names = format!("{} roams, {} follows", roamer.name, follower.name);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let lab = Lab::new().unwrap();
        let mut left = Running::start(roamer, &lab.left).unwrap();
        let right = Running::start(follower, &lab.right).unwrap();
        let Err(error) = roam_once(&lab, follower, change, after) else {
            return;
        };
        // Gotatun now and then ends itself when its port changes, which says nothing of who follows it.
        if roamer.name == "adit" || attempts == 3 || !left.has_ended() {
            panic!("{names}: {error}\n--- left\n{}\n--- right\n{}", left.log(), right.log());
        }
    }
}

fn roam_once(lab: &Lab, follower: &Engine, change: &str, after: &str) -> Result<()> {
    let tunnel = Tunnel::configure(&lab.left, &lab.right, Outer::V4, true)?;
    tunnel.ping(1)?;
    let before = tunnel.latest_handshake(2)?;
    lab.left.sh(change)?;
    tunnel.ping(1)?;
    tunnel.ping(2)?;
    let endpoints = lab.right.sh("wg show wg0 endpoints")?;
    if !endpoints.contains(after) {
        return Err(format!("the endpoint did not follow: {endpoints}"));
    }
    // Boringtun may answer to the old endpoint through its connected socket until a handshake comes.
    if follower.name == "adit" && tunnel.latest_handshake(2)? != before {
        return Err("roaming cost a handshake".into());
    }
    Ok(())
}

/// REKEY-AFTER-TIME is 120 s (paper, section 6.1): the sender that initiated makes a new handshake under traffic.
#[test]
fn sessions_are_renewed_under_traffic_without_loss() {
    let peers = [
        Engine::wireguard_go(),
        Engine::boringtun(),
        Engine::gotatun(),
        Engine::adit(),
    ];
    let programs: Vec<&str> = peers.iter().map(Engine::program).chain(["wg", "ip", "ping"]).collect();
    if !needs::available(&programs) {
        return;
    }
    let results: Vec<Result<()>> = thread::scope(|scope| {
        let running: Vec<_> = peers
            .iter()
            .map(|peer| scope.spawn(|| renew(&Engine::adit(), peer)))
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

fn renew(first: &Engine, second: &Engine) -> Result<()> {
    let lab = Lab::new()?;
    let left = Running::start(first, &lab.left)?;
    let right = Running::start(second, &lab.right)?;
    let work = || {
        let tunnel = Tunnel::configure(&lab.left, &lab.right, Outer::V4, true)?;
        tunnel.ping(1)?;
        let (start, before) = (Instant::now(), tunnel.latest_handshake(1)?);
        let mut renewed = Err("no ping yet".to_string());
        while start.elapsed() < Duration::from_secs(140) && renewed.is_err() {
            // `ping` fails unless at least one answer came; every one is asked for below.
            let text = lab.left.sh("ping -q -i 0.2 -c 25 -W 2 10.11.12.2")?;
            if !text.contains(" 0% packet loss") {
                return Err(format!("loss after {:?}: {text}", start.elapsed()));
            }
            let now = tunnel.latest_handshake(1)?;
            renewed = if now > before {
                Ok(())
            } else {
                Err(format!("no new handshake after {:?}", start.elapsed()))
            };
        }
        renewed?;
        command::until(Duration::from_secs(5), || tunnel.ping(2))
    };
    work().map_err(|error| {
        format!(
            "{}: {error}\n--- left\n{}\n--- right\n{}",
            second.name,
            left.log(),
            right.log()
        )
    })
}
