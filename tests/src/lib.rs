//! The harness of the end-to-end tests: private network namespaces, engines as processes, and a guest with the kernel's
//! own WireGuard.
//!
//! Everything a [`Side`] starts ends with it: its namespaces have no name, its processes are ended by process id.
//! The benchmark of `cargo xtask bench` uses the same pieces.

pub mod command;
pub mod debian;
pub mod engine;
pub mod guest;
pub mod initramfs;
pub mod kill;
pub mod needs;
pub mod side;
pub mod transfer;
pub mod tunnel;

pub use engine::{Engine, Running};
pub use guest::Guest;
pub use side::{Lab, Side};
pub use tunnel::{Node, Outer, Tunnel};

/// The harness reports failures as text for the person who reads the test's output.
pub type Result<T> = std::result::Result<T, String>;
