//! Names of interfaces and tables.

use std::fmt;
use std::io;

use super::{Expression, Source};
use crate::netlink::Error;

/// Length of an interface name with the zero at its end (`IFNAMSIZ`).
const INTERFACE_NAME_LEN: usize = 16;

/// The name of a table: up to 255 bytes, none of them zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that an interface can have.
pub(super) struct InterfaceName<'a>(&'a str);

impl<'a> InterfaceName<'a> {
    /// Takes a name of up to 15 bytes; `InvalidInput` for one that no interface can have.
    pub(super) fn new(name: &'a str) -> Result<Self, Error> {
        if name.is_empty() || name.len() >= INTERFACE_NAME_LEN || name.bytes().any(|byte| byte == 0) {
            let action = format!("make rules for the interface {name:?}");
            return Err(Error::new(action, io::ErrorKind::InvalidInput.into()));
        }
        Ok(Self(name))
    }

    /// Returns it as the kernel holds it, with zeros up to its full length.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.as_bytes().to_vec();
        bytes.resize(INTERFACE_NAME_LEN, 0);
        bytes
    }

    /// `iifname NAME VERDICT`, or `oifname`: what becomes of packets that come or go by the interface, as `source` says.
    pub(super) fn rule(&self, source: Source, verdict: Expression) -> Vec<Expression> {
        vec![Expression::Load(source), Expression::Equals(self.bytes()), verdict]
    }

    /// Returns the name of a table of the interface, for one purpose.
    pub(super) fn table(&self, purpose: &str) -> TableName {
        TableName(format!("{purpose}-{}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_interface_has_is_refused() {
        assert_eq!(
            InterfaceName::new("wg0").unwrap().bytes(),
            b"wg0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        );
        assert!(InterfaceName::new("fifteen-letters").is_ok());
        for name in ["", "sixteen-letters!", "wg\u{0}0", &"x".repeat(70_000)] {
            assert!(InterfaceName::new(name).is_err(), "{name:?}");
        }
    }
}
