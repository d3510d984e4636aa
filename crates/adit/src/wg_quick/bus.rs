//! The system bus, which may be slow, or not there.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zbus::connection::{Builder, Connection};

/// How long the bus and who answers there may take. It is for the greeting, too, on which zbus sets no limit.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does work on the bus that must not take for ever; `who` answers there. What takes too long goes on unheeded, and ends with the program.
pub(super) fn within<F>(who: &'static str, work: impl FnOnce(Connection) -> F + Send + 'static) -> Result<(), String>
where
    F: Future<Output = zbus::Result<()>>,
{
    let (sender, receiver) = mpsc::channel();
    let run = move || {
        let told = zbus::block_on(async { work(Builder::system().build().await?).await });
        // Nobody listens any more after the limit.
        let _ = sender.send(told);
    };
    let spawned = thread::Builder::new().name("adit-bus".to_owned()).spawn(run);
    spawned.map_err(|error| format!("cannot talk to {who}: {error}"))?;
    match receiver.recv_timeout(PATIENCE) {
        Ok(told) => told.map_err(|error| format!("{who}: {error}")),
        Err(_) => Err(format!("{who} does not answer within {} s", PATIENCE.as_secs())),
    }
}
