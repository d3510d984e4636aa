//! `--watch`: looks again and again, until a signal or the reader's end, both of which end it with status 0.
//!
//! On a terminal a frame is drawn over the last one; elsewhere looks follow each other, parted by an empty line. JSON is one
//! line for each look everywhere.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::rates::Rates;
use super::screen::{self, Size};
use super::view::{Form, Piece, View};
use crate::wg::{Failure, Outcome, output};

/// Shows every so many seconds. What cannot be read at the first look is an error; later it is shown, and may come back.
pub(super) fn run(view: &View<'_>, seconds: u64) -> Outcome {
    end_on_signal()?;
    let json = matches!(view.form, Form::Json);
    let terminal = !json && io::stdout().is_terminal();
    let mut rates = terminal.then(Rates::default);
    let mut first = true;
    loop {
        let next = Instant::now() + Duration::from_secs(seconds);
        let mut pieces = Vec::new();
        let outcome = view.look(rates.as_mut(), &mut |piece| {
            pieces.push(piece);
            Ok(())
        });
        match outcome {
            Err(failure) if first => {
                // JSON and the words on each interface say more than the failure.
                write(&pieces)?;
                return Err(failure);
            }
            Err(Failure(message)) if !message.is_empty() => pieces.push(Piece::Trouble(message)),
            _ => {}
        }
        let there = if terminal {
            draw(&pieces, first)?
        } else {
            (first || json || show("\n")?) && write(&pieces)?
        };
        if !there || !wait(next)? {
            return Ok(());
        }
        first = false;
    }
}

/// Ends in the midst of whatever is being done: an engine may never answer, and a terminal is always left as it was.
fn end_on_signal() -> Outcome {
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 0, Arc::new(AtomicBool::new(true)))
            .map_err(|error| Failure(format!("signals cannot be handled: {error}")))?;
    }
    Ok(())
}

/// Draws a frame; false if nobody looks any more.
fn draw(pieces: &[Piece], first: bool) -> Result<bool, Failure> {
    let size = Size::of_output();
    let text = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.as_str(),
        Piece::Trouble(message) => message,
    });
    let lines: Vec<&str> = text.flat_map(str::lines).collect();
    Ok((!first || show(&size.make_room())?) && show(&screen::frame(&lines, size))?)
}

/// Writes the pieces one after the other; false if nobody reads any more.
fn write(pieces: &[Piece]) -> Result<bool, Failure> {
    for piece in pieces {
        match piece {
            Piece::Text(text) if !show(text)? => return Ok(false),
            Piece::Text(_) => {}
            Piece::Trouble(message) => eprintln!("{message}"),
        }
    }
    Ok(true)
}

fn show(text: &str) -> Result<bool, Failure> {
    match output::write(text.as_bytes()) {
        Ok(()) => Ok(true),
        Err(Errno::PIPE) => Ok(false),
        Err(error) => Err(output::failure(error)),
    }
}

/// Sleeps until then; false if meanwhile nobody reads any more.
fn wait(until: Instant) -> Result<bool, Failure> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| Failure("the time is too long".to_owned()))?;
        let stdout = io::stdout();
        // Errors and the other end's end are reported unasked.
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Ok(true),
            Ok(_) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(output::failure(error)),
        }
    }
}
