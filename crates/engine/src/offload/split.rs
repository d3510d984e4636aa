//! Splits what one read of the TUN returns into packets for the tunnel.
//!
//! The offsets come from the packet's own headers; of the kernel's header only the type, the segment size and, for
//! single packets, the place of the checksum are used. Every packet that leaves has finished checksums, since the
//! other end may forward it.

use super::header::{self, CWR, FIN, Headers, PSH, TCP_FLAGS};
use super::{GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VnetHeader, checksum};

/// A packet or super-packet of the TUN, ready to be written out segment by segment.
#[derive(Clone, Copy, Debug)]
pub struct Split<'a> {
    packet: &'a [u8],
    kind: Kind,
}

/// Why a packet of the TUN cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The segmentation type is none that was asked for.
    #[error("unknown segmentation type")]
    UnknownType,
    /// A super-packet whose headers are cut off, of another protocol than announced, or behind unknown extensions.
    #[error("headers do not fit the segmentation type")]
    Headers,
    /// A super-packet with a segment size of zero, or one that makes a packet longer than an IP packet can be.
    #[error("impossible segment size")]
    SegmentSize,
    /// The place of the checksum is outside of the packet.
    #[error("checksum outside of the packet")]
    Checksum,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// One packet as it is.
    Whole,
    /// One packet whose checksum over `start..` belongs at `field`.
    Unfinished { start: usize, field: usize },
    /// Several packets with `size` payload bytes each, the last one perhaps less.
    Segments {
        headers: Headers,
        size: usize,
        count: usize,
    },
}

impl<'a> Split<'a> {
    /// Reads the headers of `packet`, which the TUN announced with `vnet`.
    ///
    /// # Errors
    ///
    /// Fails when the two do not fit each other; the packet must then be dropped.
    pub fn parse(vnet: &VnetHeader, packet: &'a [u8]) -> Result<Self, SplitError> {
        let kind = match vnet.gso_type & !GSO_ECN {
            GSO_NONE if vnet.flags & NEEDS_CSUM == 0 => Kind::Whole,
            GSO_NONE => {
                let start = usize::from(vnet.csum_start);
                let field = start + usize::from(vnet.csum_offset);
                if field + 2 > packet.len() {
                    return Err(SplitError::Checksum);
                }
                Kind::Unfinished { start, field }
            }
            gso_type @ (GSO_TCPV4 | GSO_TCPV6 | GSO_UDP_L4) => {
                let headers = Headers::parse(packet).ok_or(SplitError::Headers)?;
                let fits = match gso_type {
                    GSO_TCPV4 => headers.protocol == header::TCP && !headers.v6,
                    GSO_TCPV6 => headers.protocol == header::TCP && headers.v6,
                    _ => headers.protocol == header::UDP,
                };
                if !fits {
                    return Err(SplitError::Headers);
                }
                let size = usize::from(vnet.gso_size);
                let payload_len = packet.len() - headers.payload;
                if size == 0 || headers.payload + size.min(payload_len) > usize::from(u16::MAX) {
                    return Err(SplitError::SegmentSize);
                }
                Kind::Segments {
                    headers,
                    size,
                    count: payload_len.div_ceil(size).max(1),
                }
            }
            _ => return Err(SplitError::UnknownType),
        };
        Ok(Self { packet, kind })
    }

    /// The number of packets, at least one.
    #[must_use]
    pub fn segments(&self) -> usize {
        match self.kind {
            Kind::Whole | Kind::Unfinished { .. } => 1,
            Kind::Segments { count, .. } => count,
        }
    }

    /// The length in bytes of packet `index`; zero past the last.
    #[must_use]
    pub fn segment_len(&self, index: usize) -> usize {
        match self.kind {
            Kind::Whole | Kind::Unfinished { .. } if index == 0 => self.packet.len(),
            Kind::Segments { headers, count, .. } if index < count => headers.payload + self.payload(index).len(),
            _ => 0,
        }
    }

    /// The transport payload of packet `index` of a super-packet; empty past the last and for single packets.
    #[must_use]
    pub fn payload(&self, index: usize) -> &'a [u8] {
        let Kind::Segments { headers, size, count } = self.kind else {
            return &[];
        };
        if index >= count {
            return &[];
        }
        let start = headers.payload + index * size;
        self.packet
            .get(start..self.packet.len().min(start + size))
            .unwrap_or_default()
    }

    /// Writes packet `index` to the start of `out` and returns its length.
    ///
    /// Nothing is written and zero returned past the last packet and when `out` is too short.
    pub fn write_segment(&self, index: usize, out: &mut [u8]) -> usize {
        let len = self.segment_len(index);
        let Some(out) = out.get_mut(..len).filter(|out| !out.is_empty()) else {
            return 0;
        };
        match self.kind {
            Kind::Whole => out.copy_from_slice(self.packet),
            Kind::Unfinished { start, field } => {
                out.copy_from_slice(self.packet);
                // The field holds the sum of the pseudo-header and is therefore part of the sum.
                let sum = checksum::sum(out.get(start..).unwrap_or_default());
                header::write(out, field, checksum::finish_nonzero(sum));
            }
            Kind::Segments { headers, size, count } => self.write_part(&headers, size, count, index, out),
        }
        len
    }

    fn write_part(&self, headers: &Headers, size: usize, count: usize, index: usize, out: &mut [u8]) {
        let len = out.len();
        let Some((head, body)) = out.split_at_mut_checked(headers.payload) else {
            return;
        };
        head.copy_from_slice(self.packet.get(..headers.payload).unwrap_or_default());
        let payload_sum = checksum::copy_and_sum(body, self.payload(index));

        if !headers.v6 {
            let id = header::read_u16(head, 4);
            header::write_u16(head, 4, id.wrapping_add(index as u16));
        }
        headers.set_len(head, len);
        if headers.protocol == header::TCP {
            let sequence = header::read_u32(head, headers.transport + 4);
            header::write_u32(
                head,
                headers.transport + 4,
                sequence.wrapping_add((index * size) as u32),
            );
            let mut clear = 0;
            if index > 0 {
                clear |= CWR;
            }
            if index + 1 < count {
                clear |= FIN | PSH;
            }
            if let Some(flags) = head.get_mut(headers.transport + TCP_FLAGS) {
                *flags &= !clear;
            }
        }
        let field = headers.transport + headers.checksum_offset();
        header::write(head, field, [0, 0]);
        let sum = payload_sum
            + checksum::sum(head.get(headers.transport..).unwrap_or_default())
            + headers.pseudo_header(head, len - headers.transport);
        header::write(head, field, checksum::finish_nonzero(sum));
    }
}
