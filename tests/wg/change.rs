//! `wg set` and `wg showconf`: the same words make the same request, the same status the same file.

use e2e::{Engine, Running, Side};

use super::fake::Fake;
use super::{available, both, compare, run};

const A: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const B: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

/// What a line makes of the engine `f0`: the requests, output, and exit status; first ours, then the stock tool's.
fn told(side: &Side, fake: &Fake, words: &str) -> [(Option<String>, String, Option<i32>); 2] {
    both().map(|wg| {
        let mut command = side.command("sh");
        let line = format!("cd /run/wireguard; $wg {words}")
            .replace("{A}", A)
            .replace("{B}", B);
        command.args(["-c", &line]).env("wg", wg);
        let output = run(command, b"");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let request = if output.status.success() { fake.next() } else { None };
        (request, text, output.status.code())
    })
}

fn start() -> Option<(Side, Fake)> {
    if !available() {
        return None;
    }
    let side = Side::new().unwrap();
    let fake = Fake::start(&side, "f0", "errno=0\n\n");
    side.sh(&format!(
        "cd /run/wireguard; echo {KEY} > key; : > empty; echo short > short; printf '{KEY}\\n \\t' > blank"
    ))
    .unwrap();
    Some((side, fake))
}

#[test]
fn what_is_set_is_the_same_request() {
    let Some((side, fake)) = start() else { return };
    for words in [
        "listen-port 7",
        "fwmark off",
        "fwmark OFF",
        "fwmark 0x10",
        "fwmark 010",
        "private-key key",
        "private-key blank",
        "private-key empty",
        "private-key /dev/null",
        "listen-port 5 listen-port 6 fwmark 4 private-key key",
        "peer {A}",
        "peer {A} remove",
        "peer {A} remove peer {B}",
        "peer {A} peer {A} remove",
        "peer {A} preshared-key key",
        "peer {A} preshared-key empty",
        "peer {A} endpoint 192.0.2.1:5",
        "peer {A} endpoint [fd00::1]:65535",
        "peer {A} endpoint ::1:53",
        "peer {A} endpoint localhost:5",
        "peer {A} endpoint [::ffff:192.0.2.1]:5",
        "peer {A} persistent-keepalive off",
        "peer {A} persistent-keepalive 007 persistent-keepalive 65535",
        "peer {A} allowed-ips ''",
        "peer {A} allowed-ips 10.0.0.0/8,fd00::/8",
        "peer {A} allowed-ips ' 10.0.0.1 , fd00::1 '",
        "peer {A} allowed-ips 1.0.0.0/8 allowed-ips 2.0.0.0/08",
        "listen-port 1 peer {A} endpoint 192.0.2.1:5 allowed-ips ::/0 persistent-keepalive 4 preshared-key key peer {B} remove",
    ] {
        let [ours, stock] = told(&side, &fake, &format!("set f0 {words}"));
        assert!(ours.0.is_some(), "{words}: {ours:?}");
        assert_eq!(ours, stock, "{words}");
    }
}

#[test]
fn what_is_wrong_is_refused_in_the_same_words() {
    let Some((side, fake)) = start() else { return };
    for words in [
        "",
        "listen-port",
        "listen-port ''",
        "fwmark",
        "fwmark ''",
        "fwmark 0x",
        "fwmark 0X10",
        "fwmark 4294967296",
        "private-key short",
        "private-key no-such-file",
        "private-key /tmp",
        "peer",
        "peer {A} preshared-key",
        "peer {A} nonsense",
        "peer {A} listen-port 5",
        "nonsense",
        "nonsense x",
        "Listen-port 5",
        "endpoint 192.0.2.1:5",
        "peer {A} endpoint ''",
        "peer {A} endpoint [::1]",
        "peer {A} endpoint [::1",
        "peer {A} endpoint [::1]5",
        "peer {A} endpoint 192.0.2.1",
        "peer {A} endpoint 192.0.2.1:",
        "peer {A} endpoint :5",
        "peer {A} endpoint ' 192.0.2.1:5'",
        "peer {A} persistent-keepalive ''",
        "peer {A} persistent-keepalive +5",
        "peer {A} persistent-keepalive 65536",
        "peer {A} allowed-ips",
        "peer {A} allowed-ips 10.0.0.1/33",
        "peer {A} allowed-ips 10.0.0.1/",
        "peer {A} allowed-ips 10.0.0.1,,",
        "peer {A} allowed-ips ,",
        "peer {A} allowed-ips 10.1/8",
        "peer {A} allowed-ips fe80::1%lo/64",
        "peer {A} allowed-ips 192.0.2.1/+5",
    ] {
        let [ours, stock] = told(&side, &fake, &format!("set f0 {words}"));
        assert_eq!(ours.2, Some(1), "{words}");
        assert_eq!(ours, stock, "{words}");
    }
    assert_eq!(told(&side, &fake, "set")[0], told(&side, &fake, "set")[1]);
    let [ours, stock] = told(&side, &fake, "set nope fwmark 5");
    assert_eq!((ours.2, ours.0), (stock.2, stock.0));
}

#[test]
fn names_are_asked_for_again_as_often_as_the_environment_says() {
    let Some((side, fake)) = start() else { return };
    let [ours, stock] = both().map(|wg| {
        let mut command = side.command(wg);
        command.env("WG_ENDPOINT_RESOLUTION_RETRIES", "1");
        command.args(["set", "f0", "peer", A, "endpoint", "nosuch.invalid:5"]);
        run(command, b"")
    });
    assert_eq!(ours, stock);
    for retries in ["x", "-1", "", "infinity", "3"] {
        let [ours, stock] = both().map(|wg| {
            let mut command = side.command(wg);
            command.env("WG_ENDPOINT_RESOLUTION_RETRIES", retries);
            command.args(["set", "f0", "peer", A, "endpoint", "192.0.2.1:5"]);
            let output = run(command, b"");
            let request = if output.status.success() { fake.next() } else { None };
            (output, request)
        });
        assert_eq!(ours, stock, "{retries:?}");
    }
}

/// Where the stock tool wraps a port, takes the name of a service for one, or repeats what may be a key.
#[test]
fn ports_are_numbers_in_range_and_keys_are_not_repeated() {
    let Some((side, fake)) = start() else { return };
    side.sh(&format!("printf '{KEY}secret' > /run/wireguard/junk")).unwrap();
    for words in [
        "listen-port 70000",
        "listen-port ntp",
        "listen-port 0x10",
        "listen-port -1",
        "peer {A} endpoint 192.0.2.1:ntp",
        "peer {A} endpoint 192.0.2.1:99999",
        "peer {A}secret",
        "private-key junk",
    ] {
        let [(request, text, status), _] = told(&side, &fake, &format!("set f0 {words}"));
        assert_eq!((request, status), (None, Some(1)), "{words}");
        assert!(!text.is_empty() && !text.contains("secret"), "{text}");
    }
}

#[test]
fn peers_are_known_by_the_names_in_the_file_of_the_interface() {
    let Some((side, fake)) = start() else { return };
    side.sh("mkdir -p /etc/wireguard && mount -t tmpfs tmpfs /etc/wireguard")
        .unwrap();
    side.sh(&format!(
        "printf '# Name = alice\\n[Peer]\\nPublicKey = {A}\\n[Peer]\\nName = bob\\nPublicKey = {B}\\n[Peer]\\nName = bob\\nPublicKey = {KEY}\\n' \
         > /etc/wireguard/f0.conf"
    ))
    .unwrap();
    let by_name = told(&side, &fake, "set f0 peer alice remove")[0].clone();
    assert_eq!(by_name, told(&side, &fake, "set f0 peer {A} remove")[0]);
    assert!(by_name.0.is_some());
    for name in ["carol", "bob"] {
        let [(request, _, status), _] = told(&side, &fake, &format!("set f0 peer {name} remove"));
        assert_eq!((request, status), (None, Some(1)));
    }
}

#[test]
fn a_real_engine_takes_what_is_set_and_showconf_gives_it_back() {
    if !available() {
        return;
    }
    let side = Side::new().unwrap();
    let _running = Running::start(&Engine::adit(), &side).unwrap();
    let set = format!(
        "cd /run/wireguard; echo {KEY} > key; $wg set wg0 listen-port 12912 fwmark 0x20 private-key key \
         peer {A} preshared-key key endpoint '[fe80::1%lo]:5' allowed-ips 10.1.2.3/8,fd00::/8 \
         peer {B} endpoint 192.0.2.1:5 persistent-keepalive 25 && wg show wg0 dump"
    );
    let [ours, stock] = compare(&side, &set);
    assert!(ours.0.contains("[fe80::1%lo]:5\t10.0.0.0/8,fd00::/8"), "{ours:?}");
    assert_eq!(ours, stock);
    for words in ["wg0", "", "wg0 wg0", "all", "nope"] {
        let [ours, stock] = compare(&side, &format!("$wg showconf {words}"));
        assert_eq!(ours, stock, "{words}");
    }
    let again = "cd /run/wireguard; $wg showconf wg0 > c; wg setconf wg0 c; wg showconf wg0 | cmp - c && cat c";
    let [ours, stock] = compare(&side, again);
    assert!(ours.0.contains("PersistentKeepalive = 25"));
    assert_eq!(ours, stock);
}
