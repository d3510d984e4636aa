//! The machine around the tunnel: links, addresses and routes of the Linux host, and its WireGuard interfaces.
//!
//! [`wireguard`] talks to whoever runs an interface. Everything else is one rtnetlink request and its answer, synchronous, over a [`Netlink`] socket. A socket belongs to
//! the network namespace in which it was opened and stays there, so one program can steer several namespaces.
//!
//! Deciding *which* addresses and routes a configuration asks for is not done here.

#![forbid(unsafe_code)]

pub mod address;
mod family;
pub mod link;
pub mod netlink;
pub mod route;
pub mod rule;
pub mod sysctl;
pub mod wireguard;

pub use family::Family;
pub use netlink::{Error, Netlink};
