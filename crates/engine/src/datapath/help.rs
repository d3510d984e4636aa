//! Who helps whom: what a holder does when it cannot keep up, and who is free.
//!
//! The holder of a direction does its input and output alone; that keeps the order. [`Load`] tells when it is more than one
//! thread can do. With work both ways the holder of a queue lends the inbound direction as a whole, which shares system calls
//! too. With work one way, or with that direction lent already, it gives granules to be sealed or opened by whoever rests
//! ([`Crew`]). Where processors are what is short, a holder waits for one and does not count as loaded: nobody is woken.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use sys::wake::EventFd;

/// A granule of fewer bytes is not worth waking anybody.
pub(crate) const WORTH_A_CALL: usize = 16 * 1024;

/// How many bytes a direction moves in one turn with help. What was given away comes back by the end of the turn: the longer a
/// turn, the less the helpers wait.
pub(crate) const BYTES_PER_HELPED_TURN: usize = 1024 * 1024;

/// For how many windows after a saturated one the holder gives granules away: a second, as long as a direction is lent.
const HELPED_WINDOWS: u32 = 20;

/// The helpers of an engine.
pub(crate) struct Crew {
    members: Box<[Member]>,
    /// Whether holders give granules away whatever their load.
    always: bool,
}

struct Member {
    bell: EventFd,
    rests: AtomicBool,
}

impl Crew {
    /// Makes a crew of `helpers`, which are busy until they say that they rest.
    ///
    /// # Errors
    /// That of `eventfd(2)`.
    pub(crate) fn new(helpers: usize, always: bool) -> io::Result<Self> {
        let member = |_| {
            Ok(Member {
                bell: EventFd::new()?,
                rests: AtomicBool::new(false),
            })
        };
        Ok(Self {
            members: (0..helpers).map(member).collect::<io::Result<_>>()?,
            always,
        })
    }

    /// How many helpers there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Wakes a helper that rests, if there is one. The others look for work before they rest.
    pub(crate) fn call(&self) {
        let mut resting = self.members.iter().filter(|member| member.stop_resting());
        if let Some(member) = resting.next() {
            member.bell.notify();
        }
    }

    /// Helper `number` is about to sleep. It looks for work once more after this call.
    pub(crate) fn rest(&self, number: usize) {
        if let Some(member) = self.members.get(number) {
            member.rests.store(true, Ordering::SeqCst);
        }
    }

    /// Helper `number` is awake.
    pub(crate) fn wake(&self, number: usize) {
        if let Some(member) = self.members.get(number)
            && !member.stop_resting()
        {
            member.bell.drain();
        }
    }

    /// The bell of helper `number`.
    pub(crate) fn bell(&self, number: usize) -> Option<BorrowedFd<'_>> {
        self.members.get(number).map(|member| member.bell.fd())
    }
}

impl Member {
    fn stop_resting(&self) -> bool {
        self.rests.load(Ordering::SeqCst) && self.rests.swap(false, Ordering::SeqCst)
    }
}

/// How much one thread had to do lately.
#[derive(Default)]
pub(crate) struct Load {
    window: Window,
    /// For how many windows granules are still given away.
    helped: u32,
}

impl Load {
    /// Takes note of a turn, which had work both ways or not, and tells how the window that ended with it was.
    pub(crate) fn note(&mut self, two_way: bool) -> Option<Busy> {
        let verdict = self
            .window
            .note(sys::clock::boottime_nanos(), sys::clock::thread_nanos, two_way)?;
        self.helped = match verdict {
            Busy::Slept => 0,
            _ => self.helped.saturating_sub(1),
        };
        Some(verdict)
    }

    /// From here on granules are given away for a while.
    pub(crate) fn ask_for_help(&mut self) {
        self.helped = HELPED_WINDOWS;
    }

    /// Whether granules are given away.
    pub(crate) fn is_helped(&self, crew: &Crew) -> bool {
        self.helped > 0 || crew.always
    }
}

/// How a window was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// There was a long sleep in it.
    Slept,
    /// The thread slept at times, or waited for a processor.
    Partly,
    /// It did neither, and had work in one direction mostly.
    OneWay,
    /// It did neither, and had work in both directions.
    BothWays,
}

/// Tells when one thread is not enough: over a whole window it neither slept nor waited for a processor. Where it must wait for
/// a processor, a second thread would only take it from somebody.
#[derive(Default)]
struct Window {
    start: u64,
    cpu: u64,
    turns: u64,
    two_way: u64,
}

impl Window {
    /// Length in nanoseconds: many of a scheduler's time slices.
    const LEN: u64 = 50_000_000;

    /// Takes note of a turn and tells how the window was that ends with it.
    ///
    /// `now` is any clock, `cpu` the processor time of this thread, both in nanoseconds; `two_way` tells whether the turn
    /// had work in both directions.
    fn note(&mut self, now: u64, cpu: impl FnOnce() -> u64, two_way: bool) -> Option<Busy> {
        self.turns += 1;
        self.two_way += u64::from(two_way);
        let wall = now.saturating_sub(self.start);
        if wall < Self::LEN {
            return None;
        }
        let cpu = cpu();
        let busy = cpu.saturating_sub(self.cpu);
        let verdict = match () {
            () if wall >= 2 * Self::LEN => Busy::Slept,
            () if busy < wall / 32 * 31 => Busy::Partly,
            () if self.two_way < self.turns / 4 => Busy::OneWay,
            () => Busy::BothWays,
        };
        *self = Self {
            start: now,
            cpu,
            turns: 0,
            two_way: 0,
        };
        Some(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Feeds a window with turns a millisecond apart and returns how the windows were.
    fn windows(cpu_per_ms: u64, two_way: impl Fn(u64) -> bool) -> Vec<Busy> {
        let mut window = Window::default();
        let start = 5000 * MS;
        window.note(start, || 0, false);
        (1..=200)
            .filter_map(|turn| window.note(start + turn * MS, || turn * cpu_per_ms, two_way(turn)))
            .collect()
    }

    #[test]
    fn a_thread_that_never_rests_is_busy_one_way_or_both() {
        assert_eq!(windows(MS, |_| true), [Busy::BothWays; 4]);
        assert_eq!(windows(MS, |turn| turn % 3 == 0), [Busy::BothWays; 4]);
        assert_eq!(windows(MS, |turn| turn % 10 == 0), [Busy::OneWay; 4]);
    }

    #[test]
    fn a_thread_that_sleeps_or_waits_for_a_processor_is_busy_in_part() {
        assert_eq!(windows(MS * 9 / 10, |_| true), [Busy::Partly; 4]);
    }

    #[test]
    fn a_window_after_a_long_sleep_does_not_count() {
        let mut window = Window::default();
        window.note(MS, || 0, true);
        assert_eq!(window.note(200 * MS, || 200 * MS, true), Some(Busy::Slept));
    }

    #[test]
    fn a_call_wakes_one_helper_that_rests() {
        let crew = Crew::new(2, false).unwrap();
        let rung = |number| sys::poll::readable(crew.bell(number).unwrap(), std::time::Duration::ZERO).unwrap();
        crew.call();
        assert!(!rung(0) && !rung(1), "both are busy");
        crew.rest(1);
        crew.call();
        assert!(!rung(0) && rung(1));
        crew.call();
        crew.wake(1);
        assert!(!rung(1));
        crew.rest(0);
        crew.wake(0);
        crew.call();
        assert!(!rung(0), "it woke by itself");
    }
}
