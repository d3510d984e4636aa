//! The clocks: one that only moves forward, also while the machine sleeps, the time of day, and a thread's processor time.

use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Returns `CLOCK_BOOTTIME` in nanoseconds: the time since boot, suspend included.
#[must_use]
pub fn boottime_nanos() -> u64 {
    u64::try_from(duration(clock_gettime(ClockId::Boottime)).as_nanos()).unwrap_or(u64::MAX)
}

/// Sleeps until the clock of [`boottime_nanos`] is at that time, at least.
pub fn sleep_until(boottime_nanos: u64) {
    let until = Timespec {
        tv_sec: i64::try_from(boottime_nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(boottime_nanos % 1_000_000_000).unwrap_or_default(),
    };
    while clock_nanosleep_absolute(ClockId::Boottime, &until) == Err(Errno::INTR) {}
}

/// Returns the time of day as the time since the UNIX epoch; zero when the clock is set before it.
#[must_use]
pub fn realtime() -> Duration {
    duration(clock_gettime(ClockId::Realtime))
}

/// Returns the processor time that the calling thread has used, in nanoseconds.
#[must_use]
pub fn thread_nanos() -> u64 {
    u64::try_from(duration(clock_gettime(ClockId::ThreadCPUTime)).as_nanos()).unwrap_or(u64::MAX)
}

fn duration(time: Timespec) -> Duration {
    match u64::try_from(time.tv_sec) {
        Ok(seconds) => Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)),
        Err(_) => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_moves_forward() {
        let before = boottime_nanos();
        std::thread::sleep(Duration::from_millis(2));
        assert!(boottime_nanos() - before >= 2_000_000);
    }

    #[test]
    fn a_sleep_ends_at_its_time_or_later_and_at_once_if_that_is_past() {
        let until = boottime_nanos() + 2_000_000;
        sleep_until(until);
        assert!(boottime_nanos() >= until);
        sleep_until(until);
        sleep_until(0);
    }

    #[test]
    fn a_thread_that_sleeps_uses_no_processor_time() {
        let before = (boottime_nanos(), thread_nanos());
        std::thread::sleep(Duration::from_millis(50));
        assert!(boottime_nanos() - before.0 >= 50_000_000);
        assert!(thread_nanos() - before.1 < 25_000_000);
    }

    #[test]
    fn the_time_of_day_agrees_with_the_standard_library() {
        let expected = std::time::UNIX_EPOCH.elapsed().unwrap();
        assert!(realtime().abs_diff(expected) < Duration::from_secs(1));
    }
}
