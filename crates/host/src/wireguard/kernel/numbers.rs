//! Numbers of `linux/genetlink.h` and `linux/wireguard.h`, with the names they have there.
//!
//! Integers travel in the machine's own byte order, ports and addresses in that of the network.

/// The family that knows all others.
pub(super) const GENL_ID_CTRL: u16 = 0x10;
pub(super) const CTRL_VERSION: u8 = 2;
pub(super) const CTRL_CMD_GETFAMILY: u8 = 3;
pub(super) const CTRL_ATTR_FAMILY_ID: u16 = 1;
pub(super) const CTRL_ATTR_FAMILY_NAME: u16 = 2;

pub(super) const WG_GENL_NAME: &str = "wireguard";
pub(super) const WG_GENL_VERSION: u8 = 1;
pub(super) const WG_KEY_LEN: usize = 32;

pub(super) const WG_CMD_GET_DEVICE: u8 = 0;
pub(super) const WG_CMD_SET_DEVICE: u8 = 1;

pub(super) const WGDEVICE_F_REPLACE_PEERS: u32 = 1;

pub(super) const WGDEVICE_A_IFNAME: u16 = 2;
pub(super) const WGDEVICE_A_PRIVATE_KEY: u16 = 3;
pub(super) const WGDEVICE_A_FLAGS: u16 = 5;
pub(super) const WGDEVICE_A_LISTEN_PORT: u16 = 6;
pub(super) const WGDEVICE_A_FWMARK: u16 = 7;
pub(super) const WGDEVICE_A_PEERS: u16 = 8;

pub(super) const WGPEER_F_REMOVE_ME: u32 = 1;
pub(super) const WGPEER_F_REPLACE_ALLOWEDIPS: u32 = 2;
pub(super) const WGPEER_F_UPDATE_ONLY: u32 = 4;

pub(super) const WGPEER_A_PUBLIC_KEY: u16 = 1;
pub(super) const WGPEER_A_PRESHARED_KEY: u16 = 2;
pub(super) const WGPEER_A_FLAGS: u16 = 3;
pub(super) const WGPEER_A_ENDPOINT: u16 = 4;
pub(super) const WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL: u16 = 5;
pub(super) const WGPEER_A_LAST_HANDSHAKE_TIME: u16 = 6;
pub(super) const WGPEER_A_RX_BYTES: u16 = 7;
pub(super) const WGPEER_A_TX_BYTES: u16 = 8;
pub(super) const WGPEER_A_ALLOWEDIPS: u16 = 9;

/// Linux 6.16; older ones refuse the attribute that holds it.
pub(super) const WGALLOWEDIP_F_REMOVE_ME: u32 = 1;

pub(super) const WGALLOWEDIP_A_FAMILY: u16 = 1;
pub(super) const WGALLOWEDIP_A_IPADDR: u16 = 2;
pub(super) const WGALLOWEDIP_A_CIDR_MASK: u16 = 3;
pub(super) const WGALLOWEDIP_A_FLAGS: u16 = 4;

/// An element of a list of peers or allowed IPs; the kernel does not look at its number.
pub(super) const ELEMENT: u16 = 0;
