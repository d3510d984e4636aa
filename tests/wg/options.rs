//! What `wg show` has beyond the stock tool: JSON, and watching.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;

use e2e::{Engine, Running, Side, command, needs};
use serde_json::{Value, json};
use std::time::Duration;

use super::fake::Fake;
use super::{available, both, run};

const KEY: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

/// Runs a line of shell with ours as `$wg`.
fn ask(side: &Side, line: &str) -> Output {
    let mut command = side.command("sh");
    command.args(["-c", line]).env("wg", &both()[0]);
    run(command, b"")
}

fn text(side: &Side, line: &str) -> String {
    let output = ask(side, line);
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn configured() -> Option<(Side, Running)> {
    if !available() {
        return None;
    }
    let side = Side::new().unwrap();
    let running = Running::start(&Engine::adit(), &side).unwrap();
    side.sh(&format!(
        "umask 077; cd /run/wireguard; echo {PRIVATE} > key; wg set wg0 listen-port 12912 fwmark 0x20 private-key key \
         peer {KEY} preshared-key key endpoint 192.0.2.1:5 allowed-ips 10.1.0.0/16,fd00::/8 persistent-keepalive 25"
    ))
    .unwrap();
    Some((side, running))
}

#[test]
fn json_says_what_the_stock_tool_says() {
    let Some((side, _running)) = configured() else { return };
    let shown = value(&text(&side, "$wg show wg0 --json"));
    assert_eq!(shown["version"], 1);
    let device = &shown["interfaces"][0];
    let public = side.sh("wg show wg0 public-key").unwrap();
    assert_eq!(device["name"], "wg0");
    assert_eq!(device["public_key"], public.trim());
    assert_eq!(device["listen_port"], 12912);
    assert_eq!(device["fwmark"], 32);
    assert_eq!(device["private_key"], Value::Null);
    let peer = json!({
        "public_key": KEY,
        "has_preshared_key": true,
        "endpoint": "192.0.2.1:5",
        "allowed_ips": ["10.1.0.0/16", "fd00::/8"],
        "latest_handshake": null,
        "rx_bytes": 0,
        "tx_bytes": device["peers"][0]["tx_bytes"],
        "persistent_keepalive": 25,
    });
    assert_eq!(device["peers"], json!([peer]));
}

#[test]
fn options_of_show_stand_anywhere() {
    let Some((side, _running)) = configured() else { return };
    side.sh(&format!("wg set wg0 peer {KEY} persistent-keepalive off"))
        .unwrap();
    let shown = text(&side, "$wg show wg0 --json");
    for words in ["--json", "--json wg0", "all --json", "--json all"] {
        assert_eq!(text(&side, &format!("$wg show {words}")), shown, "{words}");
    }
    let secret = value(&text(&side, "$wg show --secrets wg0 --json"));
    assert_eq!(secret["interfaces"][0]["private_key"], PRIVATE);
    assert_eq!(secret["interfaces"][0]["peers"][0]["preshared_key"], PRIVATE);
    assert!(!shown.contains(PRIVATE));
    assert_eq!(
        text(&side, "$wg show wg0 --secrets"),
        text(&side, "WG_HIDE_KEYS=never $wg show wg0")
    );
    for words in ["wg0 dump --json", "interfaces --json", "wg0 --watch=0", "wg0 --watch=x"] {
        let output = ask(&side, &format!("$wg show {words}"));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{words}");
        assert!(!output.stderr.is_empty(), "{words}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_in_its_object() {
    if !available() {
        return;
    }
    let side = Side::new().unwrap();
    assert_eq!(text(&side, "$wg show --json"), "{\"version\":1,\"interfaces\":[]}\n");
    let _bad = Fake::start(&side, "bad", "errno=13\n\n");
    let unread = json!([{ "name": "bad", "error": "Permission denied" }]);
    for words in ["--json", "bad --json", "--json --watch"] {
        let output = ask(&side, &format!("$wg show {words}"));
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert_eq!(value(&String::from_utf8_lossy(&output.stdout))["interfaces"], unread);
    }
    let _good = Fake::start(&side, "good", "errno=0\n\n");
    let shown = value(&text(&side, "$wg show --json"));
    assert_eq!(shown["interfaces"].as_array().map(Vec::len), Some(2));
    let output = ask(&side, "$wg show nope --json");
    assert_eq!(output.status.code(), Some(1));
    // What that is depends on whether the kernel knows WireGuard.
    let stock = side.sh("wg show nope 2>&1 || true").unwrap();
    let reason = stock.trim().strip_prefix("Unable to access interface: ").unwrap();
    let shown = value(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(shown["interfaces"], json!([{ "name": "nope", "error": reason }]));
}

#[test]
fn a_watch_without_a_terminal_is_blocks_until_a_signal() {
    let Some((side, _running)) = configured() else { return };
    for signal in ["INT", "TERM"] {
        let line = format!("timeout --preserve-status -s {signal} 2.5 $wg show wg0 --watch");
        let shown = text(&side, &line);
        let looks: Vec<&str> = shown.split("\n\ninterface: wg0\n").collect();
        assert!((2..=3).contains(&looks.len()), "{shown}");
        assert!(!shown.contains('\x1b') && !shown.contains("rate:"), "{shown}");
    }
    let ports = text(&side, "timeout --preserve-status 1.5 $wg show wg0 listen-port --watch");
    assert_eq!(ports, "12912\n\n12912\n");
}

#[test]
fn a_watch_ends_well_with_its_reader() {
    let Some((side, _running)) = configured() else { return };
    for (option, looks) in [("--watch", 2), ("--watch=3600", 1)] {
        let line = format!(
            "{{ timeout 20 $wg show {option} --json; echo $? > /run/wireguard/status; }} | head -n {looks}; \
             cat /run/wireguard/status"
        );
        let shown = text(&side, &line);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!((lines.len(), lines.last()), (looks + 1, Some(&"0")), "{shown}");
        assert!(lines[..looks].iter().all(|line| value(line)["version"] == 1));
    }
}

#[test]
fn a_watch_survives_the_end_of_an_engine() {
    let Some((side, mut running)) = configured() else {
        return;
    };
    let mut watch = side.command(&both()[0]);
    watch.args(["show", "wg0", "--watch", "--json"]);
    let file = format!("/proc/{}/root/run/wireguard/watched", side.pid());
    watch.stdout(std::fs::File::create(&file).unwrap());
    let mut watch = watch.spawn().unwrap();
    let lines = |count: usize| {
        command::until(Duration::from_secs(10), || {
            let text = std::fs::read_to_string(&file).unwrap();
            let enough = text.lines().count() >= count;
            enough.then_some(text.clone()).ok_or(text)
        })
        .unwrap()
    };
    lines(1);
    running.terminate();
    running.wait(Duration::from_secs(10)).unwrap();
    let before = std::fs::read_to_string(&file).unwrap().lines().count();
    let shown = lines(before + 2);
    assert!(shown.lines().last().unwrap().contains("\"error\":"), "{shown}");
    e2e::side::end(watch.id(), rustix::process::Signal::INT);
    let status = watch.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}

#[test]
fn a_watch_draws_over_itself_on_a_terminal() {
    let Some((side, _running)) = configured() else { return };
    if !needs::available(&["script"]) {
        return;
    }
    let watch = "timeout --foreground --preserve-status -s INT 2.5 $wg show wg0 --watch";
    let on_terminal = |rows: u32| {
        let line = format!("script -qec 'stty rows {rows} cols 80; {watch}; echo status $?' /dev/null");
        text(&side, &line)
    };
    let shown = on_terminal(40);
    assert!((2..=3).contains(&shown.matches("\x1b[H").count()), "{shown:?}");
    assert!(
        shown.contains("\x1b[J") && shown.contains("rate\x1b[0m: 0 "),
        "{shown:?}"
    );
    assert!(!shown.contains("more lines") && shown.contains("status 0"), "{shown:?}");
    let shown = on_terminal(5);
    assert!(shown.contains("… ") && shown.contains(" more lines\x1b[K"), "{shown:?}");
}

#[test]
fn adit_show_calls_peers_by_name_and_wg_show_does_not() {
    let Some((side, _running)) = configured() else { return };
    let other = KEY.replace("xT", "xU");
    side.sh(&format!(
        "mount -t tmpfs tmpfs /etc/wireguard && wg set wg0 peer {other} && printf '# Name = alice\\342\\200\\256\\n[Peer]\\nPublicKey = {KEY}\\n' \
         > /etc/wireguard/wg0.conf"
    ))
    .unwrap();
    let adit = needs::adit().to_string_lossy().into_owned();
    let shown = text(&side, &format!("{adit} show"));
    assert!(
        shown.contains(&format!(
            "\npeer: alice\\u{{202e}}\n  public key: {KEY}\n  preshared key: (hidden)\n"
        )),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("\npeer: {other}\n  allowed ips: (none)\n")),
        "{shown}"
    );
    assert!(!text(&side, "$wg show").contains("alice"));
    let json = text(&side, &format!("{adit} show wg0 --json"));
    assert_eq!(json, text(&side, "$wg show wg0 --json"));
    assert_eq!(value(&json)["interfaces"][0]["peers"][0]["name"], "alice\u{202e}");
    let watched = text(&side, &format!("timeout --preserve-status 1.5 {adit} show all --watch"));
    assert_eq!(watched.matches("peer: alice").count(), 2);
    assert!(text(&side, &format!("{adit} show wg0 --secrets")).contains(PRIVATE));
    assert_eq!(ask(&side, &format!("{adit} show nope")).status.code(), Some(1));
}
