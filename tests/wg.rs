//! `wg` of adit beside the stock one: the same words give the same output and exit status.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use e2e::{engine, needs};

#[path = "wg/keys.rs"]
mod keys;

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
