//! What the hot stages work on, made the same way for the benchmarks (`benches/`), which tell time, and for `instructions`,
//! which lets callgrind count.
//!
//! Everything here goes through the public face of the crates. What is timed or counted is left to the callers.

pub mod cipher;
pub mod offload;
pub mod tunnels;
