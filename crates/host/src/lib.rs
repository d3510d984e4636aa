//! The machine around the tunnel: links, addresses, routes and firewall of the Linux host, and its WireGuard interfaces.
//!
//! [`wireguard`] talks to whoever runs an interface. [`link`], [`address`], [`route`] and [`rule`] are one rtnetlink
//! request and its answer, synchronous, over a [`Netlink`] socket; [`nft`] has a socket of its own kind. A socket belongs
//! to the network namespace in which it was opened and stays there, so one program can steer several namespaces.
//! [`sysctl`] is in that of the calling thread.
//!
//! Deciding *which* addresses, routes and rules a configuration asks for is not done here.

#![forbid(unsafe_code)]

pub mod address;
mod family;
pub mod link;
pub mod netlink;
pub mod nft;
pub mod route;
pub mod rule;
pub mod setup;
pub mod sysctl;
pub mod wireguard;

pub use family::Family;
pub use netlink::{Error, Netlink};
