//! The private key of a tunnel whose file only says where it is: in another file, in a credential of systemd, or with a program.

use std::env;
use std::path::PathBuf;

use conf::key_text::parse_base64;
use conf::problem::At;
use conf::quick::{KeySource, Quick};
use conf::wg::file::Config;
use proto::PrivateKey;
use zeroize::Zeroizing;

use super::file::File;
use super::{Failure, Outcome, hooks};
use crate::config_file;

/// Where systemd puts the credentials of a service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Puts the key into what the file says, if it is elsewhere.
pub(super) fn fill(config: &mut Config, quick: &Quick, file: &File) -> Outcome {
    if let Some(At { at, value }) = find(config, quick, file)? {
        config.private_key = Some(At { at, value: Some(value) });
    }
    Ok(())
}

/// Returns the key, if it is elsewhere than in the file, with the place where the file says so.
pub(super) fn find(config: &Config, quick: &Quick, file: &File) -> Result<Option<At<PrivateKey>>, Failure> {
    let Some(At { at, value: source }) = &quick.private_key else {
        return Ok(None);
    };
    let place = format!("{}:{at}", file.path.display());
    let failure = |why: String| Failure::new(format!("{place}: there is no private key: {why}"));
    if config.private_key.is_some() {
        return Err(Failure::new(format!("{place}: there is a PrivateKey already")));
    }
    let text = read(source, file).map_err(failure)?;
    // The key may stand on a line of its own.
    let key = parse_base64(text.trim_ascii()).ok_or_else(|| failure("what is there is no key in base64".to_owned()))?;
    let key = PrivateKey::from_bytes(*key);
    if key.is_zero() {
        return Err(failure("a key of zeros stands for none".to_owned()));
    }
    Ok(Some(At { at: *at, value: key }))
}

fn read(source: &KeySource, config: &File) -> Result<Zeroizing<Vec<u8>>, String> {
    let path = match source {
        KeySource::Command(line) => return hooks::output(&config.interface, line).map_err(|failure| failure.message),
        KeySource::File(path) => {
            let path = config.path.with_file_name(path);
            // As ssh does with its keys: of a file that others can read the key is known, in one that they can write it may be theirs.
            config_file::refuse_mode(&path, 0o066, "others can read or write the key", "600")?;
            path
        }
        KeySource::Credential(name) => match env::var_os(CREDENTIALS) {
            Some(folder) => PathBuf::from(folder).join(name),
            None => return Err("no credentials were passed; systemctl start and reload do".to_owned()),
        },
    };
    config_file::read(&path).map_err(|error| format!("cannot read `{}': {error}", path.display()))
}
