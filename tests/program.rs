//! What the program promises of itself: one static file, at an address chosen at random, small in memory when idle.

use std::time::Duration;

use e2e::{Engine, Lab, Outer, Running, Side, Tunnel, needs, transfer, tunnel};

/// The most an idle engine with one peer keeps resident, in KiB.
const IDLE_KIB: u64 = 4096;

/// From elf(5): a position-independent file; the program headers of a dynamic section and of a dynamic linker; a library needed.
const ET_DYN: u16 = 3;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: usize = 1;

/// Longer than the two seconds after which an engine gives its buffers back.
const IDLE: Duration = Duration::from_secs(5);

fn ready() -> bool {
    needs::available(&[Engine::adit().program(), "wg", "ip"])
}

/// Checks that `engine`, idle for [`IDLE`], stays below [`IDLE_KIB`].
fn check_idle(engine: &Running) {
    std::thread::sleep(IDLE);
    let resident = engine.resident_kib();
    assert!(
        (1..=IDLE_KIB).contains(&resident),
        "an idle engine keeps {resident} KiB resident, more than {IDLE_KIB}"
    );
}

#[test]
fn it_is_static_and_position_independent() {
    if !ready() {
        return;
    }
    let file = std::fs::read(needs::adit()).unwrap();
    let half = |at: usize| u16::from_ne_bytes(file[at..at + 2].try_into().unwrap());
    let word = |at: usize| u32::from_ne_bytes(file[at..at + 4].try_into().unwrap());
    let long = |at: usize| usize::try_from(u64::from_ne_bytes(file[at..at + 8].try_into().unwrap())).unwrap();
    // A file of 64 bits in this machine's own byte order: its type, its program headers, its dynamic section.
    assert_eq!(&file[..5], b"\x7fELF\x02");
    assert_eq!(half(16), ET_DYN, "it is not position-independent");
    let (table, size, count) = (long(32), usize::from(half(54)), usize::from(half(56)));
    for header in (0..count).map(|index| table + index * size) {
        assert_ne!(word(header), PT_INTERP, "it asks for a dynamic linker");
        if word(header) == PT_DYNAMIC {
            let (start, length) = (long(header + 8), long(header + 32));
            for entry in (start..start + length).step_by(16) {
                assert_ne!(long(entry), DT_NEEDED, "it needs a shared library");
            }
        }
    }
}

#[test]
fn idle_with_one_peer_it_stays_small() {
    if !ready() {
        return;
    }
    let side = Side::new().unwrap();
    let engine = Running::start(&Engine::adit(), &side).unwrap();
    side.sh("umask 077; wg genkey > /run/wireguard/key && \
         wg set wg0 listen-port 51820 private-key /run/wireguard/key \
         peer $(wg genkey | wg pubkey) allowed-ips 10.11.12.0/24 endpoint 127.0.0.1:9 && \
         ip link set wg0 up")
        .unwrap();
    check_idle(&engine);
}

#[test]
fn after_traffic_it_is_small_again() {
    if !ready() {
        return;
    }
    let lab = Lab::new().unwrap();
    let left = Running::start(&Engine::adit(), &lab.left).unwrap();
    let right = Running::start(&Engine::adit(), &lab.right).unwrap();
    let tunnel = Tunnel::configure(&lab.left, &lab.right, Outer::V4, false).unwrap();
    tunnel.ping(1).unwrap();
    let bytes = 64 << 20;
    transfer::transfer(&lab.left, &lab.right, tunnel::inner_v4(2).into(), bytes).unwrap();
    transfer::transfer(&lab.right, &lab.left, tunnel::inner_v6(1).into(), bytes).unwrap();
    check_idle(&left);
    check_idle(&right);
}
