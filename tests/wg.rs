//! `wg` of adit beside the stock one: the same words give the same output and exit status.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use e2e::{Side, engine, needs};

#[path = "wg/change.rs"]
mod change;
#[path = "wg/fake.rs"]
mod fake;
#[path = "wg/file.rs"]
mod file;
#[path = "wg/keys.rs"]
mod keys;
#[path = "wg/options.rs"]
mod options;
#[path = "wg/show.rs"]
mod show;

/// Runs one of the two with a standard input.
fn run(mut command: Command, input: &[u8]) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn available() -> bool {
    let adit = needs::adit();
    needs::available(&[&adit.to_string_lossy(), "wg"])
}

/// The program under test as `wg`, and the stock one.
fn both() -> [String; 2] {
    [engine::link("wg").to_string_lossy().into_owned(), "wg".to_owned()]
}

/// Runs a line of shell in a side with either as `$wg`, and returns standard output and exit status of ours and of the stock one.
///
/// The stock one runs before and after, until both say the same: ages of handshakes grow meanwhile.
fn compare(side: &Side, line: &str) -> [(String, Option<i32>); 2] {
    let [ours, stock] = both();
    let ask = |wg: &str| {
        let mut command = side.command("sh");
        command.args(["-c", line]).env("wg", wg);
        let output = run(command, b"");
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.code(),
        )
    };
    for _ in 0..10 {
        let before = ask(&stock);
        let own = ask(&ours);
        if before == ask(&stock) {
            return [own, before];
        }
    }
    panic!("{line}: the stock tool says something else every time");
}
