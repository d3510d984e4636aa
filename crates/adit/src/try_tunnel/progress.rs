//! What a person sees while the trial runs: a live line on a terminal, plain lines elsewhere. Always on stderr.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows one step at a time.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    live: bool,
}

impl Progress {
    /// Live on a terminal, plain otherwise.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let live = !bar.is_hidden();
        Self { bar, live }
    }

    /// Begins a step of unknown length.
    pub(crate) fn step(&self, what: &str) {
        if self.live {
            self.bar.unset_length();
            self.set_style("{spinner} {msg}");
            self.bar.set_message(what.to_owned());
            self.bar.tick();
        } else {
            eprintln!("adit try: {what}");
        }
    }

    /// Begins a step of so many bytes, `None` when not known; the result takes the bytes done so far.
    pub(crate) fn bytes(&self, what: &str, total: Option<u64>) -> impl FnMut(u64) + use<> {
        self.step(what);
        if let (true, Some(total)) = (self.live, total) {
            self.bar.set_length(total);
            self.set_style("{spinner} {msg} {bar:24} {bytes} of {total_bytes}");
        } else if self.live {
            self.set_style("{spinner} {msg} {bytes}");
        }
        self.bar.set_position(0);
        let (bar, live) = (self.bar.clone(), self.live);
        let mut shown = 0;
        move |done| {
            // The flow is timed: touch the bar rarely.
            if live && done >= shown + (16 << 20) {
                shown = done;
                bar.set_position(done);
            }
        }
    }

    /// Removes the live line.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn set_style(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}

/// How long a step of pings pauses between two, so that the path is idle.
pub(crate) const PING_PAUSE: Duration = Duration::from_millis(1);
