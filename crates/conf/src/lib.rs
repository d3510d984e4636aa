//! WireGuard's text formats, without IO: what is written to and read from control sockets and files.
//!
//! Everything here turns bytes into values that cannot be wrong, or into errors that say where and why without ever
//! repeating a secret.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod access;
pub mod check;
pub mod key_text;
pub mod lexer;
pub mod prefix;
pub mod problem;
pub mod quick;
pub mod uapi;
pub mod wg;
