//! The control socket: where it lies, who is connected, and what they ask for.
//!
//! [`Socket`] is the listening socket and its file, [`serve`] the event loop of all its connections on one thread, and
//! [`Device`] what requests are applied to. The text itself is the business of [`conf::uapi`].

mod connection;
mod server;
mod socket;

use conf::uapi::{DeviceStatus, Errno, SetRequest};

pub use server::{MAX_CONNECTIONS, serve};
pub use socket::{DIRECTORY, Socket};

/// What the control socket configures.
pub trait Device: Send + Sync {
    /// Applies a request, whole or not at all.
    ///
    /// # Errors
    /// What the client is told.
    fn set(&self, request: SetRequest) -> Result<(), Errno>;

    /// Returns the status of the device.
    fn get(&self) -> DeviceStatus;
}

#[cfg(test)]
mod tests;
