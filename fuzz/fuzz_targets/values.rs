//! The values of `wg`, as they stand on a command line and in a file: any text.
//!
//! What is read, and written in the plainest way, is read as the same again.

#![no_main]

use std::net::SocketAddr;

use conf::key_text;
use conf::wg::value::{self, AllowedIpList, Endpoint};
use libfuzzer_sys::fuzz_target;

fn numbers(text: &str) {
    if let Ok(mark) = value::fwmark(text) {
        assert_eq!(value::fwmark(&format!("{mark:#x}")), Ok(mark));
    }
    if let Ok(seconds) = value::persistent_keepalive(text) {
        assert_eq!(value::persistent_keepalive(&seconds.to_string()), Ok(seconds));
    }
    if let Ok(port) = value::port(text) {
        assert_eq!(value::port(&port.to_string()), Ok(port));
    }
}

fn endpoint(text: &str) {
    let numeric = |text: &str| -> Option<SocketAddr> { Endpoint::parse(text).ok()?.numeric() };
    if let Some(address) = numeric(text) {
        assert_eq!(numeric(&address.to_string()), Some(address));
    }
}

fn write(list: &AllowedIpList) -> String {
    let element = |change: &conf::uapi::AllowedIpChange| {
        let sign = match (list.incremental, change.remove) {
            (false, _) => "",
            (true, false) => "+",
            (true, true) => "-",
        };
        format!("{sign}{}", change.prefix)
    };
    list.changes.iter().map(element).collect::<Vec<_>>().join(",")
}

fn allowed_ips(text: &str) {
    let Ok(list) = value::allowed_ips(text) else { return };
    let again = value::allowed_ips(&write(&list)).expect("a printed list is readable");
    assert!(
        again.with_host_part.is_empty(),
        "a printed prefix has no bits beyond it"
    );
    assert_eq!((again.changes, again.incremental), (list.changes, list.incremental));
}

fuzz_target!(|text: &str| {
    numbers(text);
    endpoint(text);
    allowed_ips(text);
    if let Ok(key) = value::public_key(text) {
        assert_eq!(key_text::base64(key.as_bytes()).as_str(), text);
    }
});
