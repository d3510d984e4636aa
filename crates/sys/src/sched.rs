//! How the kernel schedules a thread.

use std::io;

use crate::errno::check;

/// Makes the calling thread one that does not take the processor from another when it wakes up (`SCHED_BATCH`). It gets its
/// share all the same, up to a time slice later where processors are short.
///
/// # Errors
/// That of `sched_setscheduler(2)`; it takes no privilege.
pub fn give_way() -> io::Result<()> {
    let normal = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 names the calling thread; the kernel reads one `sched_param`, which lives across the call.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const normal) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_gives_way() {
        // SAFETY: 0 names the calling thread.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let before = policy();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                give_way().unwrap();
                assert_eq!(policy(), libc::SCHED_BATCH);
            });
        });
        assert_eq!(policy(), before);
    }
}
