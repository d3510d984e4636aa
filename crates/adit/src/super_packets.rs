//! Keeps the kernel's super-packets at the size of one segmented UDP send, whatever the MTU of the interface.

use std::io;
use std::sync::Mutex;

use host::{Netlink, link};

/// The UDP payload of the largest IPv4 datagram, in bytes.
const MAX_PAYLOAD: usize = 65_507;
/// What each segment takes for header and tag, in bytes.
const OVERHEAD: usize = proto::DATA_OVERHEAD;
/// The most datagrams that kernels before 6.10 make of one send.
const MAX_SEGMENTS: usize = 64;

/// Returns what is to be called with each MTU of the interface `name`, for `engine::Options::on_mtu`.
///
/// Once the interface has moved to another namespace it is left alone, and so is whoever has its index here.
///
/// # Errors
/// When there is no rtnetlink in the namespace of the calling thread.
pub(crate) fn fit_segments(name: String) -> io::Result<Box<dyn Fn(usize) + Send>> {
    let mut netlink = Netlink::open().map_err(io::Error::other)?;
    let index = link::index(&mut netlink, &name).map_err(io::Error::other)?;
    let netlink = Mutex::new(netlink);
    Ok(Box::new(move |mtu| {
        let segments = (MAX_PAYLOAD / mtu.saturating_add(OVERHEAD)).clamp(1, MAX_SEGMENTS);
        let mut netlink = netlink.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !link::index(&mut netlink, &name).is_ok_and(|here| here == index) {
            return;
        }
        if let Err(error) = link::set_gso_max_segs(&mut netlink, index, segments as u32) {
            tracing::warn!(%error, "super-packets not fitted");
        }
    }))
}
