//! Linux system calls.
//!
//! It offers files and sockets as types that own their descriptor, do not block, retry `EINTR`, and allocate nothing on
//! the paths that carry packets. It knows nothing of tunnels: what the bytes mean is the business of its callers. Every
//! `unsafe` block states its obligation; the crates above this one forbid `unsafe`.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

pub mod buffer;
pub mod bulk;
pub mod clock;
pub mod daemon;
pub mod errno;
mod ifreq;
mod netlink;
pub mod netns;
pub mod notify;
pub mod packet;
pub mod poll;
pub mod program;
pub mod random;
pub mod resolve;
pub mod route;
pub mod sched;
pub mod signals;
pub mod timer;
pub mod tun;
pub mod udp;
pub mod userns;
pub mod vnet;
pub mod wake;

#[cfg(test)]
mod testing;
