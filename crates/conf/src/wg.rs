//! The configuration of one interface as people and `wg` write it: values on a command line, and the file.

pub mod change;
pub mod file;
mod owners;
mod print;
pub mod value;

pub use owners::Owners;
pub use print::config;
