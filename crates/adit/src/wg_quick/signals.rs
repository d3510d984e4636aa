//! Signals to end: what has begun comes to its end, or is undone.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Failure;

/// The exit status of what was ended by one, as shells have it: the unit tells a stop by it.
pub(super) const STATUS: u8 = 128 + 15;

/// From now on such a signal ends nothing, but sets the flag that is returned. One that is ignored, as by `nohup`, stays so.
pub(super) fn note() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in sys::signals::to_end() {
        let registered = signal_hook::flag::register(signal, Arc::clone(&stop));
        registered.map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))?;
    }
    Ok(stop)
}
