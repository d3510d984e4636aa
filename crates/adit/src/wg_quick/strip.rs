//! `wg-quick strip`: the part of a file that is for `wg`.

use std::io::Write as _;

use super::file::File;
use super::{Failure, Outcome};

pub(super) fn run(file: &File) -> Outcome {
    let text = conf::wg::file::strip(&file.text()?);
    let mut output = std::io::stdout().lock();
    let written = output.write_all(&text).and_then(|()| output.write_all(b"\n"));
    let written = written.and_then(|()| output.flush());
    written.map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))
}
