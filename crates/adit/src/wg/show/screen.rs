//! One frame on a terminal, drawn over the one before: nothing is cleared before it is overwritten, so nothing flickers.
//!
//! A frame starts at the top left and never reaches the last row, so that the screen does not scroll.

use std::fmt::Write as _;
use std::io;

use rustix::termios::tcgetwinsize;
use zeroize::Zeroizing;

const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// The size of a terminal, in characters.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Size {
    /// That of standard output; the usual one where it does not tell.
    pub(super) fn of_output() -> Self {
        let told = tcgetwinsize(io::stdout()).ok();
        let or = |told: Option<u16>, usual| told.filter(|&told| told > 0).map_or(usual, usize::from);
        Self {
            rows: or(told.map(|size| size.ws_row), 24),
            columns: or(told.map(|size| size.ws_col), 80),
        }
    }

    /// What moves that which stands on the screen out of the way of the first frame, without losing it.
    pub(super) fn make_room(self) -> String {
        "\n".repeat(self.rows)
    }
}

/// Returns the sequence that draws as many of the lines as fit; where some do not, the last row says how many.
pub(super) fn frame(lines: &[&str], size: Size) -> Zeroizing<String> {
    let (fitting, used) = fitting(lines, size);
    let room: usize = lines
        .iter()
        .take(fitting)
        .map(|line| line.len() + CLEAR_LINE.len() + 1)
        .sum();
    // Room for the keys that lines may hold; growing would leave copies of them.
    let mut text = Zeroizing::new(String::with_capacity(room + 128));
    text.push_str(HOME);
    for line in lines.iter().take(fitting) {
        text.push_str(line);
        // Behind the last column this would erase the last character.
        if !fills_its_rows(line, size) {
            text.push_str(CLEAR_LINE);
        }
        text.push('\n');
    }
    let more = lines.len().saturating_sub(fitting);
    if more > 0 && used + 1 < size.rows {
        // Writing to memory cannot fail.
        let _ = writeln!(text, "… {more} more lines{CLEAR_LINE}");
    }
    text.push_str(CLEAR_BELOW);
    text
}

/// How many lines fit, with a row for the word about the rest if there is one, and the rows they take.
fn fitting(lines: &[&str], size: Size) -> (usize, usize) {
    // The cursor rests in the last row.
    let free = size.rows.saturating_sub(1);
    let all: usize = lines.iter().map(|line| rows(line, size)).sum();
    let limit = if all <= free { free } else { free.saturating_sub(1) };
    let mut used = 0;
    let fit = lines.iter().take_while(|line| {
        let fits = used + rows(line, size) <= limit;
        used += if fits { rows(line, size) } else { 0 };
        fits
    });
    (fit.count(), used)
}

fn rows(line: &str, size: Size) -> usize {
    width(line).div_ceil(size.columns).max(1)
}

fn fills_its_rows(line: &str, size: Size) -> bool {
    let width = width(line);
    width > 0 && width.is_multiple_of(size.columns)
}

/// The characters of a line, without the sequences that colour it.
fn width(line: &str) -> usize {
    let mut colour = false;
    line.chars()
        .filter(|&c| {
            let seen = !colour && c != '\x1b';
            colour = if colour { c != 'm' } else { c == '\x1b' };
            seen
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { rows: 5, columns: 10 };

    #[test]
    fn a_frame_that_fits_is_drawn_whole() {
        assert_eq!(*frame(&[], SIZE), "\x1b[H\x1b[J");
        assert_eq!(
            *frame(&["a", "", "b", "c"], SIZE),
            "\x1b[Ha\x1b[K\n\x1b[K\nb\x1b[K\nc\x1b[K\n\x1b[J"
        );
        assert_eq!(*frame(&["0123456789"], SIZE), "\x1b[H0123456789\n\x1b[J");
    }

    #[test]
    fn what_does_not_fit_is_counted_in_the_last_row() {
        let drawn = frame(&["a", "b", "c", "d", "e"], SIZE);
        assert_eq!(*drawn, "\x1b[Ha\x1b[K\nb\x1b[K\nc\x1b[K\n… 2 more lines\x1b[K\n\x1b[J");
        // A line over two rows.
        let drawn = frame(&["a", "b", "0123456789x", "d"], SIZE);
        assert_eq!(*drawn, "\x1b[Ha\x1b[K\nb\x1b[K\n… 2 more lines\x1b[K\n\x1b[J");
    }

    #[test]
    fn no_frame_scrolls_a_screen_however_small() {
        let lines = ["0123456789012345", "b", "c", "d", "e", "f"];
        for rows in 0..10 {
            for columns in 1..20 {
                let drawn = frame(&lines, Size { rows, columns });
                let ends = drawn.matches('\n').count();
                assert!(ends <= rows.saturating_sub(1), "{rows} {columns} {drawn:?}");
            }
        }
    }

    #[test]
    fn colours_take_no_room() {
        assert_eq!(width("\x1b[0m\x1b[32m\x1b[1minterface\x1b[0m: x"), "interface: x".len());
        assert_eq!(width("é"), 1);
    }
}
