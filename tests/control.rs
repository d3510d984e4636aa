//! The control socket of the real program under clients that err, dawdle, do not listen, or come in crowds.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use e2e::{Engine, Running, Side, needs};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PATIENCE: Duration = Duration::from_secs(10);
const KEY: &str = "public_key=bba8c5dfc9cc8a4ffd4c7b3d5e3f5e6a2c0f6e3b1d9a8c7b6a5f4e3d2c1b0a09";

fn start() -> Option<(Side, Running)> {
    if !needs::available(&[Engine::adit().program(), "wg", "ip"]) {
        return None;
    }
    let side = Side::new().unwrap();
    let running = Running::start(&Engine::adit(), &side).unwrap();
    Some((side, running))
}

/// Connects to the control socket, through the mounts that only the side has.
fn connect(side: &Side) -> UnixStream {
    let stream = UnixStream::connect(format!("/proc/{}/root/run/wireguard/wg0.sock", side.pid())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `request` and returns what comes until the engine closes, or until the end of the first answer.
fn ask(side: &Side, request: &str) -> String {
    let mut stream = connect(side);
    stream.write_all(request.as_bytes()).unwrap();
    answer(&mut stream)
}

fn answer(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\n\n") {
        // A connection that is closed before all was read ends in an error.
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(text).unwrap()
}

/// Checks that `wg` gets its answer, and soon.
fn others_are_served(side: &Side) {
    let start = Instant::now();
    side.sh("timeout 10 wg show wg0").unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

/// The table of spec, section 21. The name of a bad request is the request.
#[test]
fn bad_requests_are_answered_with_their_error_and_change_nothing() {
    let Some((side, _running)) = start() else { return };
    side.sh("wg set wg0 listen-port 1234").unwrap();
    let before = side.sh("wg showconf wg0").unwrap();
    for (lines, errno) in [
        ("listen_port", -71),
        ("listen_port=7\nno_such_key=1", -22),
        ("listen_port=65536", -22),
        ("listen_port=-1", -22),
        ("listen_port=0x10", -22),
        ("listen_port=", -22),
        ("fwmark=4294967296", -22),
        ("fwmark=off", -22),
        ("private_key=00", -22),
        ("private_key=zz", -22),
        ("replace_peers=false", -22),
        ("endpoint=192.0.2.1:1", -22),
        ("{key}\nlisten_port=7", -22),
        ("{key}\nendpoint=example.org:1", -22),
        ("{key}\nendpoint=192.0.2.1", -22),
        ("{key}\nendpoint=192.0.2.1:65536", -22),
        ("{key}\nallowed_ip=10.0.0.0", -22),
        ("{key}\nallowed_ip=10.0.0.0/33", -22),
        ("{key}\nallowed_ip=fd00::/129", -22),
        ("{key}\npersistent_keepalive_interval=off", -22),
        ("{key}\npersistent_keepalive_interval=65536", -22),
        ("{key}\npreshared_key=12", -22),
        ("{key}\nprotocol_version=2", -22),
        ("{key}\nremove=false", -22),
    ] {
        let request = format!("set=1\n{}\n\n", lines.replace("{key}", KEY));
        assert_eq!(ask(&side, &request), format!("errno={errno}\n\n"), "{lines}");
        assert_eq!(side.sh("wg showconf wg0").unwrap(), before, "{lines}");
    }
    assert_eq!(ask(&side, "get=1\nlisten_port=7\n\n"), "errno=-22\n\n");
    for nonsense in [
        "",
        "\n",
        "get=2\n\n",
        "help\n\n",
        "GET / HTTP/1.1\r\n\r\n",
        "\0\0\0\0\n\n",
    ] {
        let mut stream = connect(&side);
        stream.write_all(nonsense.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(answer(&mut stream), "", "{nonsense:?}");
    }
    let endless = format!("set=1\nprivate_key={}\n\n", "0".repeat(100_000));
    assert_eq!(ask(&side, &endless), "errno=-5\n\n", "a line without end");
    assert_eq!(side.sh("wg showconf wg0").unwrap(), before);
}

#[test]
fn a_client_may_take_its_time_and_others_need_not() {
    let Some((side, _running)) = start() else { return };
    let mut half = connect(&side);
    half.write_all(b"set=1\nlisten_po").unwrap();
    let mut slow = connect(&side);
    for byte in b"set=1\nlisten_port=4321\n" {
        slow.write_all(&[*byte]).unwrap();
    }
    others_are_served(&side);
    assert_eq!(
        side.sh("wg show wg0 listen-port").unwrap().trim(),
        "0",
        "a request counts when it is whole"
    );
    slow.write_all(b"\n").unwrap();
    assert_eq!(answer(&mut slow), "errno=0\n\n");
    assert_eq!(side.sh("wg show wg0 listen-port").unwrap().trim(), "4321");
    // The end of the input counts for the empty line.
    half.write_all(b"rt=99\n").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answer(&mut half), "errno=0\n\n");
    assert_eq!(side.sh("wg show wg0 listen-port").unwrap().trim(), "99");
}

#[test]
fn a_client_that_never_listens_costs_one_answer() {
    let Some((side, running)) = start() else { return };
    side.sh(
        "for a in $(seq 0 99); do for b in $(seq 0 99); do echo allowed_ip=10.$a.$b.0/24; done; done > /run/wireguard/ips",
    )
    .unwrap();
    let ips = side.sh("cat /run/wireguard/ips").unwrap();
    assert_eq!(ask(&side, &format!("set=1\n{KEY}\n{ips}\n\n")), "errno=0\n\n");
    let size = running.resident_kib();
    let deaf: Vec<UnixStream> = (0..20)
        .map(|_| {
            let mut stream = connect(&side);
            stream.set_nonblocking(true).unwrap();
            // As much as goes in; the engine stops reading when it cannot write.
            while stream.write_all("get=1\n\n".repeat(1000).as_bytes()).is_ok() {}
            stream
        })
        .collect();
    others_are_served(&side);
    // Each answer is 200 kB of text, of which an answer under way is the most that is kept.
    let grown = running.resident_kib().saturating_sub(size);
    assert!(grown < 20 * 1024, "{grown} KiB for {} clients", deaf.len());
    drop(deaf);
    others_are_served(&side);
}

#[test]
fn a_thousand_clients_that_say_nothing_keep_nobody_out() {
    let Some((side, mut running)) = start() else { return };
    // This process needs as many descriptors.
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum.map_or(Some(4096), |most| Some(most.min(4096))),
        ..limit
    };
    if limit.current.is_some_and(|current| current < 4096) {
        setrlimit(Resource::Nofile, wanted).unwrap();
    }
    let mut crowd: Vec<UnixStream> = (0..1000).map(|_| connect(&side)).collect();
    for stream in crowd.iter_mut().step_by(2) {
        stream.write_all(b"set=1\nfwmark=7").unwrap();
    }
    others_are_served(&side);
    for stream in crowd.iter_mut().step_by(2) {
        stream.write_all(b"\n\n").unwrap();
    }
    assert_eq!(answer(&mut crowd[0]), "errno=0\n\n");
    drop(crowd);
    others_are_served(&side);
    assert!(running.wait(Duration::ZERO).is_err(), "it ended");
}
