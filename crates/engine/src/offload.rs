//! Segmentation and checksum offloads of the TUN, done on byte slices.
//!
//! Outbound, [`split`] turns one super-packet of the kernel into packets that fit the tunnel. Inbound, [`coalesce`]
//! turns decrypted packets into super-packets, without copying payload. Neither does I/O nor allocates.

pub mod checksum;
pub mod coalesce;
pub(crate) mod header;
pub mod split;

pub use sys::vnet::{
    F_NEEDS_CSUM as NEEDS_CSUM, GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, LEN as VNET_HEADER_LEN, VnetHeader,
};

#[cfg(test)]
pub(crate) mod tests;
