//! The two macs and the cookie: proof of address ownership under load (paper §5.3, §5.4.4 and §5.4.7).
//!
//! [`CookieChecker`] is the receiving side, one per device: it checks mac2 and makes cookie replies; mac1 is checked before, in
//! `admission.rs`. [`CookieJar`] is the sending side, one per peer: it adds macs and consumes cookie replies. Whether we are
//! under load is decided elsewhere.
//! Invariants: a cookie binds address and port, and a reply is accepted once, only for the last message sent.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use rand_core::RngCore;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::admission::mac1_key;
use crate::crypto::{HASH_LEN, MAC_LEN, Secret, XNONCE_LEN, hash, mac, xaead_open, xaead_seal};
use crate::error::DropReason;
use crate::index::RemoteIndex;
use crate::keys::PublicKey;
use crate::message::{COOKIE_REPLY_LEN, CookieReply, Macs, TYPE_COOKIE_REPLY};
use crate::time::Instant;

/// How long the secret behind the cookies lives (paper §6.1).
const COOKIE_SECRET_LIFE: Duration = Duration::from_secs(120);
/// How long a received cookie is used: the life of the secret less 5 s that the datagrams may be under way.
const COOKIE_LIFE: Duration = Duration::from_secs(120 - 5);

const LABEL_COOKIE: &[u8; 8] = b"cookie--";

/// Checks mac2 of received handshake messages and makes cookie replies.
pub(crate) struct CookieChecker {
    /// Made from a public key; not secret.
    cookie_key: [u8; HASH_LEN],
    secret: Option<(Secret, Instant)>,
}

/// Adds macs to the handshake messages sent to one peer and keeps its cookie.
pub(crate) struct CookieJar {
    mac1_key: [u8; HASH_LEN],
    cookie_key: [u8; HASH_LEN],
    /// mac1 of the last message sent, until a cookie reply consumed it.
    last_mac1: Option<[u8; MAC_LEN]>,
    cookie: Option<(Zeroizing<[u8; MAC_LEN]>, Instant)>,
}

impl CookieChecker {
    /// Makes a checker for messages to the holder of `local`. A new key needs a new checker.
    pub(crate) fn new(local: &PublicKey) -> Self {
        Self {
            cookie_key: hash(&[LABEL_COOKIE, local.as_bytes()]),
            secret: None,
        }
    }

    /// Checks that the sender holds the cookie of the address it sends from. Asked only under load.
    #[must_use]
    pub(crate) fn check_mac2(
        &mut self,
        now: Instant,
        source: SocketAddr,
        macs: &Macs<'_>,
        rng: &mut dyn RngCore,
    ) -> bool {
        let cookie = self.cookie(now, source, rng);
        bool::from(mac(&cookie, &[macs.before_mac2]).ct_eq(macs.mac2))
    }

    /// Creates the reply to a message with these macs, whose sender index was `receiver`.
    pub(crate) fn create_cookie_reply(
        &mut self,
        now: Instant,
        source: SocketAddr,
        receiver: RemoteIndex,
        macs: &Macs<'_>,
        rng: &mut dyn RngCore,
    ) -> [u8; COOKIE_REPLY_LEN] {
        let cookie = self.cookie(now, source, rng);
        let mut nonce = [0; XNONCE_LEN];
        rng.fill_bytes(&mut nonce);
        encode_cookie_reply(&self.cookie_key, receiver, &nonce, &cookie, macs.mac1)
    }

    /// Computes the cookie of a source, with a fresh secret when the old one had its time.
    fn cookie(&mut self, now: Instant, source: SocketAddr, rng: &mut dyn RngCore) -> Zeroizing<[u8; MAC_LEN]> {
        let (secret, _) = match self.secret.take() {
            Some((secret, born)) if born + COOKIE_SECRET_LIFE > now => self.secret.insert((secret, born)),
            _ => {
                let mut secret = Secret::default();
                rng.fill_bytes(secret.as_mut());
                self.secret.insert((secret, now))
            }
        };
        let port = source.port().to_be_bytes();
        Zeroizing::new(match source.ip() {
            IpAddr::V4(ip) => mac(secret, &[&ip.octets(), &port]),
            IpAddr::V6(ip) => mac(secret, &[&ip.octets(), &port]),
        })
    }
}

impl CookieJar {
    /// Makes an empty jar for messages to the holder of `remote`.
    pub(crate) fn new(remote: &PublicKey) -> Self {
        Self {
            mac1_key: mac1_key(remote),
            cookie_key: hash(&[LABEL_COOKIE, remote.as_bytes()]),
            last_mac1: None,
            cookie: None,
        }
    }

    /// Fills in mac1 and mac2, the last 32 bytes of a complete handshake message.
    ///
    /// mac2 is zero unless a fresh cookie is held. A message too short to have macs is left alone.
    pub(crate) fn add_macs(&mut self, now: Instant, message: &mut [u8]) {
        let Some((before_mac2, mac2)) = message.split_last_chunk_mut::<MAC_LEN>() else {
            return;
        };
        let Some((before_mac1, mac1)) = before_mac2.split_last_chunk_mut::<MAC_LEN>() else {
            return;
        };
        *mac1 = mac(&self.mac1_key, &[before_mac1]);
        self.last_mac1 = Some(*mac1);
        if self.cookie.as_ref().is_some_and(|(_, born)| *born + COOKIE_LIFE <= now) {
            self.cookie = None;
        }
        *mac2 = match &self.cookie {
            Some((cookie, _)) => mac(cookie, &[before_mac2]),
            None => [0; MAC_LEN],
        };
    }

    /// Consumes a cookie reply to the last message sent. It takes effect with the next message.
    ///
    /// # Errors
    /// [`DropReason::UnexpectedCookie`] when no message awaits a reply, [`DropReason::BadCookie`] when it is not authentic.
    pub(crate) fn consume_reply(&mut self, now: Instant, reply: &CookieReply<'_>) -> Result<(), DropReason> {
        let mac1 = self.last_mac1.ok_or(DropReason::UnexpectedCookie)?;
        let (cookie, tag) = reply
            .encrypted_cookie
            .split_first_chunk::<MAC_LEN>()
            .ok_or(DropReason::BadCookie)?;
        let tag = tag.try_into().map_err(|_| DropReason::BadCookie)?;
        let mut cookie = Zeroizing::new(*cookie);
        if !xaead_open(&self.cookie_key, reply.nonce, &mac1, cookie.as_mut(), tag) {
            return Err(DropReason::BadCookie);
        }
        self.cookie = Some((cookie, now));
        self.last_mac1 = None;
        Ok(())
    }
}

fn encode_cookie_reply(
    key: &[u8; HASH_LEN],
    receiver: RemoteIndex,
    nonce: &[u8; XNONCE_LEN],
    cookie: &[u8; MAC_LEN],
    mac1: &[u8; MAC_LEN],
) -> [u8; COOKIE_REPLY_LEN] {
    let mut encrypted = *cookie;
    let tag = xaead_seal(key, nonce, mac1, &mut encrypted);
    let mut reply = [0; COOKIE_REPLY_LEN];
    reply[..4].copy_from_slice(&TYPE_COOKIE_REPLY);
    reply[4..8].copy_from_slice(&receiver.0.to_le_bytes());
    reply[8..32].copy_from_slice(nonce);
    reply[32..48].copy_from_slice(&encrypted);
    reply[48..].copy_from_slice(&tag);
    reply
}

#[cfg(test)]
mod tests;
