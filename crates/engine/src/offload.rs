//! Segmentation and checksum offloads of the TUN, done on byte slices.
//!
//! Outbound, [`split`] turns one super-packet of the kernel into packets that fit the tunnel. Inbound, [`coalesce`]
//! turns decrypted packets into super-packets, without copying payload. Neither does I/O nor allocates.

pub mod checksum;
pub mod coalesce;
pub(crate) mod header;
pub mod split;

/// Length of [`VnetHeader`] in bytes.
pub const VNET_HEADER_LEN: usize = 10;

/// [`VnetHeader::flags`]: the checksum field holds only the sum of the pseudo-header and must be finished.
pub const NEEDS_CSUM: u8 = 1;

/// [`VnetHeader::gso_type`]: one packet.
pub const GSO_NONE: u8 = 0;
/// [`VnetHeader::gso_type`]: TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// [`VnetHeader::gso_type`]: TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// [`VnetHeader::gso_type`]: UDP datagrams of equal length over either family.
pub const GSO_UDP_L4: u8 = 5;
/// Bit of [`VnetHeader::gso_type`]: the TCP super-packet carries CWR.
pub const GSO_ECN: u8 = 0x80;

/// The `virtio_net_hdr` in front of each packet that a TUN reads or writes; integers in machine byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// [`NEEDS_CSUM`] or zero.
    pub flags: u8,
    /// One of the `GSO_*` values, perhaps with [`GSO_ECN`].
    pub gso_type: u8,
    /// Length of all headers in bytes; a hint that may be wrong.
    pub hdr_len: u16,
    /// Payload bytes of each segment but the last.
    pub gso_size: u16,
    /// Where the checksummed bytes start, from the start of the packet.
    pub csum_start: u16,
    /// Where the checksum field stands, from `csum_start`.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// Reads a header.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; VNET_HEADER_LEN]) -> Self {
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1] = *bytes;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([h0, h1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            csum_start: u16::from_ne_bytes([s0, s1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    /// Returns the header as the TUN expects it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; VNET_HEADER_LEN] {
        let [h0, h1] = self.hdr_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let [s0, s1] = self.csum_start.to_ne_bytes();
        let [o0, o1] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, h0, h1, g0, g1, s0, s1, o0, o1]
    }
}

#[cfg(test)]
pub(crate) mod tests;
