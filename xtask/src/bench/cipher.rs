//! Tells from the wire whether a build of adit encrypts: the null cipher must never pass for the real one, nor the other way round.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use e2e::command;

use super::stand::{Kind, Series, Setting, Stand};

/// What the pings of the check are filled with, in hexadecimal; no cipher writes it sixteen times in a row.
const FILLING: &str = "ad";

/// Looks at one datagram between the hosts.
///
/// # Errors
/// When adit sends in the clear, or its null build does not.
pub(super) fn check(series: &Series, setting: &Setting) -> Result<(), String> {
    let stand = Stand::new(series, setting)?;
    let mut dump = stand.lab.right.command("timeout");
    dump.args("10 tcpdump -q -n -x -c 1 -i veth0 udp and greater 1000".split(' '));
    let dump = dump
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut dump = dump.map_err(|error| format!("tcpdump: {error}"))?;
    let target = stand.target();
    let ended = command::until(Duration::from_secs(8), || {
        stand
            .lab
            .left
            .sh(&format!("ping -c 1 -W 1 -s 1000 -p {FILLING} {target}"))?;
        dump.try_wait()
            .ok()
            .flatten()
            .ok_or_else(|| "tcpdump sees nothing".to_string())
    });
    let mut text = String::new();
    if let Some(mut stdout) = dump.stdout.take() {
        stdout
            .read_to_string(&mut text)
            .map_err(|error| format!("tcpdump: {error}"))?;
    }
    let _ = dump.wait();
    ended?;
    let clear = is_clear(&text);
    if clear == (series.kind == Kind::Null) {
        Ok(())
    } else {
        let what = if clear { "sends in the clear" } else { "encrypts" };
        Err(format!("{} {what}", series.name))
    }
}

/// Whether a hex dump of tcpdump shows the filling in clear.
fn is_clear(dump: &str) -> bool {
    let words = dump
        .lines()
        .filter_map(|line| line.split_once(":  "))
        .map(|(_, words)| words.replace(' ', ""));
    words.collect::<String>().contains(&FILLING.repeat(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filling_is_found_across_lines() {
        let line = |words: &str| format!("\t0x0010:  {words}\n");
        let clear = line("0400 0000 adad adad") + &line("adad adad adad adad") + &line("adad adad 0000");
        assert!(is_clear(&clear));
        assert!(!is_clear(&(line("0400 adad") + &line("adad 13ad adad"))));
    }
}
