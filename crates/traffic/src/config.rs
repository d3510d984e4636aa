//! The configuration of an engine that has the emulated peers as its own, for the UAPI or for `wg addconf`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use conf::key_text;
use serde_json::{Value, json};

use crate::{client, failed};

/// Options of `traffic config`.
#[derive(Args)]
pub(crate) struct Options {
    /// Number of peers
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(client::MOST)))]
    peers: u32,
    #[arg(long)]
    form: Form,
    /// The file to write
    #[arg(long)]
    file: PathBuf,
}

/// How configuration is written.
#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// A whole set request
    Uapi,
    /// The sections `[Peer]` of a file of `wg`
    Wg,
}

/// Writes the file.
pub(crate) fn run(options: &Options) -> Result<Value, String> {
    let name = options.file.display().to_string();
    let file = std::fs::File::create(&options.file).map_err(failed(&name))?;
    let mut out = BufWriter::new(file);
    write(options, &mut out).map_err(failed(&name))?;
    Ok(json!({ "peers": options.peers }))
}

fn write(options: &Options, out: &mut impl Write) -> std::io::Result<()> {
    if matches!(options.form, Form::Uapi) {
        writeln!(out, "set=1")?;
    }
    for number in 0..options.peers {
        let (key, inner) = (client::public_key(number), client::inner(number));
        match options.form {
            Form::Uapi => {
                writeln!(
                    out,
                    "public_key={}",
                    key.as_bytes()
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect::<String>()
                )?;
                writeln!(out, "allowed_ip={inner}/32")?;
            }
            Form::Wg => {
                let key = key_text::base64(key.as_bytes());
                writeln!(out, "[Peer]\nPublicKey = {}\nAllowedIPs = {inner}/32", *key)?;
            }
        }
    }
    if matches!(options.form, Form::Uapi) {
        writeln!(out)?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(form: Form) -> String {
        let mut out = Vec::new();
        let options = Options {
            peers: 2,
            form,
            file: PathBuf::new(),
        };
        write(&options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_forms_name_the_same_peers() {
        let (uapi, wg) = (text(Form::Uapi), text(Form::Wg));
        assert!(uapi.starts_with("set=1\npublic_key=") && uapi.ends_with("allowed_ip=198.18.0.1/32\n\n"));
        let key = wg
            .split("PublicKey = ")
            .nth(2)
            .and_then(|rest| rest.lines().next())
            .unwrap();
        let bytes = key_text::parse_base64(key.as_bytes()).unwrap();
        assert_eq!(*bytes, *client::public_key(1).as_bytes());
    }
}
