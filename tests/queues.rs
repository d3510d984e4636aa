//! Several queues: one machine with peers in all of them, many flows at once, every byte checked.

use std::net::IpAddr;
use std::thread;

use e2e::{Engine, Result, Running, Side, command, needs, transfer};
use std::time::Duration;

/// Peers of the hub.
const SPOKES: u8 = 3;
/// Flows each way between the hub and each peer, and the bytes of each.
const FLOWS: u8 = 3;
const BYTES: u64 = 8 << 20;

fn adit(queues: u8) -> Engine {
    let mut engine = Engine::adit();
    engine.line.extend(["--queues".into(), queues.to_string()]);
    engine
}

fn inner(number: u8) -> IpAddr {
    IpAddr::from([10, 11, 12, number])
}

/// Joins a spoke to the hub by a network of its own and makes each the peer of the other.
fn join(hub: &Side, spoke: &Side, number: u8) -> Result<()> {
    hub.sh(&format!(
        "ip link add out{number} type veth peer name out netns {}",
        spoke.pid()
    ))?;
    hub.sh(&format!(
        "ip addr add 192.0.{number}.1/24 dev out{number} && ip link set out{number} up"
    ))?;
    spoke.sh(&format!(
        "ip addr add 192.0.{number}.2/24 dev out && ip link set out up"
    ))?;
    let key = "umask 077; wg genkey > /run/wireguard/key; wg set wg0 listen-port 51820 private-key /run/wireguard/key";
    spoke.sh(key)?;
    let public = |side: &Side| side.sh("wg pubkey < /run/wireguard/key");
    let (hub_key, key) = (public(hub)?, public(spoke)?);
    hub.sh(&format!(
        "wg set wg0 peer {} allowed-ips {}/32",
        key.trim(),
        inner(number)
    ))?;
    spoke.sh(&format!(
        "wg set wg0 peer {} allowed-ips 10.11.12.0/24 endpoint 192.0.{number}.1:51820 && \
         ip addr add {}/24 dev wg0 && ip link set mtu 1420 up dev wg0",
        hub_key.trim(),
        inner(number)
    ))?;
    command::until(Duration::from_secs(10), || {
        spoke.sh(&format!("ping -c 1 -W 1 {}", inner(1)))
    })?;
    Ok(())
}

#[test]
fn many_flows_of_many_peers_pass_several_queues_unharmed() {
    if !needs::available(&[Engine::adit().program(), "wg", "ip", "ping"]) {
        return;
    }
    let hub = Side::new().unwrap();
    let hub_engine = Running::start(&adit(4), &hub).unwrap();
    let device = hub.sh("ip -details link show wg0");
    let spokes: Vec<_> = (0..SPOKES).map(|_| Side::new().unwrap()).collect();
    let engines: Vec<_> = spokes
        .iter()
        .map(|side| Running::start(&adit(2), side).unwrap())
        .collect();
    let work = || -> Result<()> {
        let device = device?;
        if !device.contains(" numqueues 4 ") {
            return Err(format!("not four queues: {device}"));
        }
        hub.sh(
            "umask 077; wg genkey > /run/wireguard/key; wg set wg0 listen-port 51820 private-key /run/wireguard/key && \
                ip addr add 10.11.12.1/24 dev wg0 && ip link set mtu 1420 up dev wg0",
        )?;
        for (spoke, number) in spokes.iter().zip(2..) {
            join(&hub, spoke, number)?;
        }
        let hub = &hub;
        thread::scope(|scope| {
            let mut flows = Vec::new();
            for (spoke, number) in spokes.iter().zip(2..) {
                for _ in 0..FLOWS {
                    flows.push(scope.spawn(move || transfer::transfer(hub, spoke, inner(number), BYTES)));
                    flows.push(scope.spawn(move || transfer::transfer(spoke, hub, inner(1), BYTES)));
                }
            }
            flows.into_iter().try_for_each(|flow| flow.join().unwrap())
        })
    };
    work().unwrap_or_else(|error| {
        let logs: Vec<_> = engines.iter().map(Running::log).collect();
        panic!(
            "{error}\n--- hub\n{}\n--- spokes\n{}",
            hub_engine.log(),
            logs.join("\n")
        )
    });
}
