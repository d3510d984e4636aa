//! The first test of a handshake message: does its sender know our public key? Paper, section 5.4.4, "mac1".
//!
//! It needs neither the tunnel nor a secret, so that junk is refused before the tunnel's lock and before any queue. Invariant:
//! what is [`Admitted`] has the length of its type and, unless it is a cookie reply, which has no mac1, a right mac1.

use subtle::ConstantTimeEq;

use crate::crypto::{HASH_LEN, hash, mac};
use crate::endpoint::Endpoint;
use crate::error::DropReason;
use crate::keys::PublicKey;
use crate::message::{INITIATION_LEN, Message};

const LABEL_MAC1: &[u8; 8] = b"mac1----";

/// The key of mac1 for messages to the holder of `receiver`.
pub(crate) fn mac1_key(receiver: &PublicKey) -> [u8; HASH_LEN] {
    hash(&[LABEL_MAC1, receiver.as_bytes()])
}

/// Tells what is addressed to one public key from junk, on any thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mac1Checker {
    /// Made from a public key; not secret.
    key: [u8; HASH_LEN],
}

/// A handshake message with a right mac1, or a cookie reply, on its way to the tunnel.
#[derive(Clone, Debug)]
pub struct Admitted {
    source: Endpoint,
    bytes: [u8; INITIATION_LEN],
    len: usize,
    by: Mac1Checker,
}

impl Mac1Checker {
    pub(crate) fn new(local: &PublicKey) -> Self {
        Self { key: mac1_key(local) }
    }

    /// Copies a datagram that is worth the tunnel's time.
    ///
    /// # Errors
    /// [`DropReason::BadType`], [`DropReason::BadLength`] (also for transport data), [`DropReason::BadMac1`].
    pub fn admit(&self, source: Endpoint, datagram: &[u8]) -> Result<Admitted, DropReason> {
        let macs = match Message::parse(datagram)? {
            Message::Initiation(message) => Some(message.macs),
            Message::Response(message) => Some(message.macs),
            Message::CookieReply(_) => None,
            Message::Data(_) => return Err(DropReason::BadLength),
        };
        if let Some(macs) = macs
            && !bool::from(mac(&self.key, &[macs.before_mac1]).ct_eq(macs.mac1))
        {
            return Err(DropReason::BadMac1);
        }
        let mut bytes = [0; INITIATION_LEN];
        let place = bytes.get_mut(..datagram.len()).ok_or(DropReason::BadLength)?;
        place.copy_from_slice(datagram);
        Ok(Admitted {
            source,
            bytes,
            len: datagram.len(),
            by: self.clone(),
        })
    }
}

impl Admitted {
    /// Where it came from.
    pub fn source(&self) -> Endpoint {
        self.source
    }

    /// Who admitted it: another one than today's after a change of the private key.
    pub(crate) fn by(&self) -> &Mac1Checker {
        &self.by
    }

    pub(crate) fn message(&self) -> Result<Message<'_>, DropReason> {
        Message::parse(self.bytes.get(..self.len).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::message::{COOKIE_REPLY_LEN, RESPONSE_LEN};

    #[test]
    fn only_messages_to_the_holder_of_the_key_pass() {
        let (ours, theirs) = (PublicKey::from_bytes([1; 32]), PublicKey::from_bytes([2; 32]));
        let checker = Mac1Checker::new(&ours);
        let source = Endpoint::new(SocketAddr::from(([192, 0, 2, 1], 1)));
        for (kind, len) in [(1, INITIATION_LEN), (2, RESPONSE_LEN)] {
            let mut message = vec![7; len];
            message[..4].copy_from_slice(&[kind, 0, 0, 0]);
            let mac1 = mac(&mac1_key(&ours), &[&message[..len - 32]]);
            message[len - 32..len - 16].copy_from_slice(&mac1);
            let admitted = checker.admit(source, &message).unwrap();
            assert_eq!(admitted.bytes[..admitted.len], message);
            assert_eq!(
                Mac1Checker::new(&theirs).admit(source, &message).err(),
                Some(DropReason::BadMac1)
            );
            message[5] ^= 1;
            assert_eq!(checker.admit(source, &message).err(), Some(DropReason::BadMac1));
        }
        let mut reply = [7; COOKIE_REPLY_LEN];
        reply[..4].copy_from_slice(&[3, 0, 0, 0]);
        assert!(checker.admit(source, &reply).is_ok());
        reply[..4].copy_from_slice(&[4, 0, 0, 0]);
        assert_eq!(checker.admit(source, &reply).err(), Some(DropReason::BadLength));
        assert_eq!(checker.admit(source, &[9; 148]).err(), Some(DropReason::BadType));
    }
}
