//! The virtio header that travels in front of every packet of a TUN device with `IFF_VNET_HDR`.
//!
//! Integers are in the byte order of the machine, which is what the device uses unless it is told otherwise.

/// Length of the header in bytes.
pub const LEN: usize = 10;

/// [`VnetHeader::flags`]: the checksum is unfinished; the field holds the sum of the pseudo-header.
pub const F_NEEDS_CSUM: u8 = 1;
/// [`VnetHeader::flags`]: the sender of the packet has verified the checksum. TUN ignores it on write.
pub const F_DATA_VALID: u8 = 2;

/// [`VnetHeader::gso_type`]: one packet.
pub const GSO_NONE: u8 = 0;
/// [`VnetHeader::gso_type`]: TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// [`VnetHeader::gso_type`]: UDP to be fragmented (never asked for here).
pub const GSO_UDP: u8 = 3;
/// [`VnetHeader::gso_type`]: TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// [`VnetHeader::gso_type`]: UDP datagrams of equal length, either family.
pub const GSO_UDP_L4: u8 = 5;
/// Bit in [`VnetHeader::gso_type`]: the first TCP segment carries CWR.
pub const GSO_ECN: u8 = 0x80;

/// `struct virtio_net_hdr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// `F_*` bits.
    pub flags: u8,
    /// One of `GSO_*`, perhaps with [`GSO_ECN`].
    pub gso_type: u8,
    /// Length of the IP and transport headers in bytes; a hint that must not be trusted.
    pub hdr_len: u16,
    /// Payload bytes of each segment.
    pub gso_size: u16,
    /// Where the checksum starts to cover, in bytes from the start of the packet.
    pub csum_start: u16,
    /// Where the checksum field is, in bytes from `csum_start`.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// Returns the header as it is written.
    #[must_use]
    pub fn to_bytes(self) -> [u8; LEN] {
        let [l0, l1] = self.hdr_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let [s0, s1] = self.csum_start.to_ne_bytes();
        let [o0, o1] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, l0, l1, g0, g1, s0, s1, o0, o1]
    }

    /// Reads a header.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let [flags, gso_type, l0, l1, g0, g1, s0, s1, o0, o1] = *bytes;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([l0, l1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            csum_start: u16::from_ne_bytes([s0, s1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    /// Splits what a device handed out into its header and the packet; `None` when it is shorter than a header.
    #[must_use]
    pub fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, packet) = bytes.split_first_chunk()?;
        Some((Self::from_bytes(header), packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_the_way_through_bytes() {
        let header = VnetHeader {
            flags: F_NEEDS_CSUM,
            gso_type: GSO_TCPV4 | GSO_ECN,
            hdr_len: 52,
            gso_size: 1368,
            csum_start: 20,
            csum_offset: 16,
        };
        assert_eq!(VnetHeader::from_bytes(&header.to_bytes()), header);
        assert_eq!(VnetHeader::split(&[0; 12]), Some((VnetHeader::default(), &[0, 0][..])));
        assert_eq!(VnetHeader::split(&[0; 9]), None);
    }
}
