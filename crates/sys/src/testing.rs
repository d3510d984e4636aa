//! Helpers for tests: private namespaces and bare interface setup.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};

use crate::ifreq::{IfReq, control_socket};
use crate::netlink::{HEADER, messages, push_attribute, receive, socket, u32_at};
use crate::netns::Netns;

/// Makes a namespace, or says why the test is skipped.
pub(crate) fn private_namespace() -> Option<Netns> {
    match Netns::create() {
        Ok(namespace) => Some(namespace),
        Err(error) => {
            eprintln!("SKIPPED: no network namespace of our own (needs CAP_SYS_ADMIN): {error}");
            assert!(std::env::var_os("CI").is_none(), "tests must not be skipped in CI");
            None
        }
    }
}

/// Runs `test` in a private namespace with loopback up.
pub(crate) fn in_namespace(test: impl FnOnce() + Send) {
    let Some(namespace) = private_namespace() else { return };
    let work = || {
        set_up("lo").unwrap();
        test();
    };
    namespace.run(work).unwrap();
}

fn flags(name: &str) -> io::Result<i16> {
    Ok(IfReq::new(name)?
        .ask(control_socket()?.as_fd(), libc::SIOCGIFFLAGS as _)?
        .short())
}

fn set_flags(name: &str, flags: i16) -> io::Result<()> {
    IfReq::new(name)?
        .with_short(flags)
        .ask(control_socket()?.as_fd(), libc::SIOCSIFFLAGS as _)
        .map(drop)
}

pub(crate) fn set_up(name: &str) -> io::Result<()> {
    set_flags(name, flags(name)? | libc::IFF_UP as i16)
}

pub(crate) fn set_down(name: &str) -> io::Result<()> {
    set_flags(name, flags(name)? & !(libc::IFF_UP as i16))
}

pub(crate) fn set_mtu(name: &str, mtu: u32) -> io::Result<()> {
    let mut data = [0; 16];
    data[..4].copy_from_slice(&mtu.to_ne_bytes());
    IfReq::new(name)?
        .with_data(data)
        .ask(control_socket()?.as_fd(), libc::SIOCSIFMTU as _)
        .map(drop)
}

/// Gives `name` an IPv4 address and netmask.
pub(crate) fn set_address(name: &str, address: Ipv4Addr, prefix_len: u8) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    let mask = Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0));
    for (code, value) in [(libc::SIOCSIFADDR, address), (libc::SIOCSIFNETMASK, mask)] {
        let mut data = [0; 16];
        data[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        data[4..8].copy_from_slice(&value.octets());
        IfReq::new(name)?.with_data(data).ask(socket.as_fd(), code as _)?;
    }
    Ok(())
}

/// Moves the interface `index` of this namespace to `namespace`.
pub(crate) fn move_to(index: u32, namespace: &Netns) {
    let mut message = vec![0; HEADER];
    // struct ifinfomsg: the index is at 4.
    message.extend([0; 4]);
    message.extend(index.to_ne_bytes());
    message.extend([0; 8]);
    push_attribute(
        &mut message,
        libc::IFLA_NET_NS_FD,
        &namespace.fd().as_raw_fd().to_ne_bytes(),
    );
    let len = message.len() as u32;
    message[..4].copy_from_slice(&len.to_ne_bytes());
    message[4..6].copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
    message[6..8].copy_from_slice(&((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16).to_ne_bytes());
    let fd = socket(0).unwrap();
    rustix::net::send(&fd, &message, rustix::net::SendFlags::empty()).unwrap();
    let mut buffer = [0; 4096];
    let answer = messages(receive(&fd, &mut buffer).unwrap())
        .next()
        .and_then(|answer| u32_at(answer.body, 0));
    assert_eq!(answer, Some(0), "moving a link");
}
