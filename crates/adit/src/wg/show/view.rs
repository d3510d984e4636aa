//! What is to be shown, and one look at it: the interfaces are asked, and their answers put into a form.

use std::io;

use conf::uapi::DeviceStatus;
use host::wireguard;
use zeroize::Zeroizing;

use super::fields::Field;
use super::json::{self, Reading};
use super::pretty::{self, Extras, Look};
use super::rates::Rates;
use super::{USAGE, watch};
use crate::names::Names;
use crate::wg::{Failure, Outcome, output, reason};

/// Which interfaces.
#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    All,
    One(&'a str),
}

/// In which form.
#[derive(Clone, Copy)]
pub(crate) enum Form<'a> {
    Pretty,
    /// The lines of one field, by its word.
    Field(&'a str),
    Json,
}

/// All that a `show` is asked for.
pub(crate) struct View<'a> {
    pub(crate) what: What<'a>,
    pub(crate) form: Form<'a>,
    /// Whether peers have the names that files give them.
    pub(crate) names: bool,
    /// Whether private and preshared keys are shown in the forms that hide them.
    pub(crate) secrets: bool,
}

/// A piece of what a look shows.
pub(super) enum Piece {
    /// May hold keys.
    Text(Zeroizing<String>),
    /// A word about an interface that cannot be read.
    Trouble(String),
}

impl View<'_> {
    /// Shows once, or every so many seconds.
    pub(crate) fn run(&self, watch: Option<u64>) -> Outcome {
        match watch {
            Some(seconds) => watch::run(self, seconds),
            None => self.look(None, &mut |piece| match piece {
                Piece::Text(text) => output::text(&text),
                Piece::Trouble(message) => {
                    eprintln!("{message}");
                    Ok(())
                }
            }),
        }
    }

    /// Hands out what can be read, interface by interface; fails if that is nothing of something. With `rates` the pretty
    /// form has those since the last look.
    pub(super) fn look(&self, rates: Option<&mut Rates>, put: &mut dyn FnMut(Piece) -> Outcome) -> Outcome {
        let names = match self.what {
            What::All => wireguard::interfaces().map_err(cannot_list)?,
            What::One(name) => vec![name.to_owned()],
        };
        match self.form {
            Form::Json => self.json(&names, put),
            Form::Pretty | Form::Field(_) => self.text(&names, rates, put),
        }
    }

    fn json(&self, names: &[String], put: &mut dyn FnMut(Piece) -> Outcome) -> Outcome {
        let readings: Vec<Reading> = names
            .iter()
            .map(|name| Reading {
                name,
                names: self.names_of(name),
                status: read(name),
            })
            .collect();
        put(Piece::Text(json::text(&readings, self.secrets)))?;
        some_of(names, readings.iter().filter(|reading| reading.status.is_ok()).count())
    }

    fn text(&self, names: &[String], mut rates: Option<&mut Rates>, put: &mut dyn FnMut(Piece) -> Outcome) -> Outcome {
        let look = Look::from_environment(self.secrets);
        let mut shown = 0;
        for name in names {
            let status = match (read(name), self.what) {
                (Ok(status), _) => status,
                (Err(error), What::One(_)) => {
                    return Err(Failure(format!("Unable to access interface: {}", reason(&error))));
                }
                (Err(error), What::All) => {
                    let message = format!("Unable to access interface {name}: {}", reason(&error));
                    put(Piece::Trouble(message))?;
                    continue;
                }
            };
            let text = match (self.form, self.what) {
                (Form::Field(word), What::One(_)) => field(word)?.text(None, &status),
                (Form::Field(word), What::All) => field(word)?.text(Some(name), &status),
                _ => {
                    let extras = Extras {
                        names: self.names_of(name),
                        rates: rates.as_deref_mut().map(|rates| rates.look(name, &status)),
                    };
                    if shown > 0 {
                        put(Piece::Text(Zeroizing::new("\n".to_owned())))?;
                    }
                    pretty::text(name, &status, &extras, &look)
                }
            };
            put(Piece::Text(text))?;
            shown += 1;
        }
        some_of(names, shown)
    }

    fn names_of(&self, interface: &str) -> Names {
        if self.names {
            Names::of_interface(interface)
        } else {
            Names::default()
        }
    }
}

pub(super) fn cannot_list(error: io::Error) -> Failure {
    Failure(format!("Unable to list interfaces: {}", reason(&error)))
}

fn read(name: &str) -> io::Result<DeviceStatus> {
    wireguard::open(name).and_then(|mut device| device.status())
}

fn field(word: &str) -> Result<Field, Failure> {
    Field::from_word(word).ok_or_else(|| Failure(format!("Invalid parameter: `{word}'\n{}", Failure::usage(USAGE).0)))
}

/// Fails, without a further word, if none of the interfaces could be shown.
fn some_of(names: &[String], shown: usize) -> Outcome {
    if shown == 0 && !names.is_empty() {
        Err(Failure(String::new()))
    } else {
        Ok(())
    }
}
