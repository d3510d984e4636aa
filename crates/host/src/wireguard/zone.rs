//! Zones of link-local addresses: numbers in the protocol, names for people.

use std::net::SocketAddr;

use rustix::net::{AddressFamily, SocketType, netdevice};

/// Finds the index of an interface that a zone names.
pub fn zone_index(name: &str) -> Option<u32> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    netdevice::name_to_index(socket, name).ok()
}

/// Returns an endpoint as people write it: with the name of its zone where that has one.
pub fn endpoint_text(endpoint: SocketAddr) -> String {
    let SocketAddr::V6(v6) = endpoint else {
        return endpoint.to_string();
    };
    if v6.scope_id() == 0 {
        return endpoint.to_string();
    }
    let name = || {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
        netdevice::index_to_name(socket, v6.scope_id()).ok()
    };
    match name() {
        Some(zone) => format!("[{}%{zone}]:{}", v6.ip(), v6.port()),
        None => endpoint.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_shown_by_name() {
        let endpoint = |text: &str| endpoint_text(text.parse().unwrap());
        assert_eq!(endpoint("[fe80::1%1]:5"), "[fe80::1%lo]:5");
        assert_eq!(endpoint("[fe80::1%4294967295]:5"), "[fe80::1%4294967295]:5");
        assert_eq!(endpoint("192.0.2.1:5"), "192.0.2.1:5");
        assert_eq!(zone_index("lo"), Some(1));
        assert_eq!(zone_index("no such interface"), None);
    }
}
