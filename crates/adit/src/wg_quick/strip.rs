//! `wg-quick strip`: the part of a file that is for `wg`.

use std::io::Write as _;

use conf::quick::{KeySource, Quick};
use conf::wg::file::strip;

use super::file::File;
use super::{Failure, Outcome, private_key};

pub(super) fn run(file: &File) -> Outcome {
    let (text, trust) = file.text_and_trust()?;
    let (reading, quick) = Quick::read(&text);
    if matches!(&quick.private_key, Some(source) if matches!(source.value, KeySource::Command(_))) {
        trust?;
    }
    let private_key = private_key::find(&reading.config, &quick, file)?;
    let text = strip(&text, private_key.as_ref().map(|key| &key.value));
    let mut output = std::io::stdout().lock();
    let written = output.write_all(&text).and_then(|()| output.write_all(b"\n"));
    let written = written.and_then(|()| output.flush());
    written.map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))
}
