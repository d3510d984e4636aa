//! The handshake messages, one type per state (paper §5.4.2, §5.4.3 and §5.4.5).
//!
//! Initiator: [`create_initiation`] → [`InitiatorHandshake`] → `consume_response` → [`TransportKeys`]. Responder:
//! [`consume_initiation`] → [`IdentifiedInitiation`] → `authenticate` → [`ConsumedInitiation`] → `create_response` →
//! [`TransportKeys`]. Macs, indices, timestamps policy and peers are not this module's business. Invariant: a state that the
//! paper says dies is consumed by value, and whatever dies is wiped. A forged response leaves the initiator's state whole.

use rand_core::RngCore;

use crate::crypto::{AeadKey, DhKey, SharedSecret, TransportKey, dh};
use crate::error::DropReason;
use crate::index::{LocalIndex, RemoteIndex};
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::message::{
    HandshakeInitiation, HandshakeResponse, INITIATION_BODY_LEN, RESPONSE_BODY_LEN, TYPE_INITIATION, TYPE_RESPONSE,
};
use crate::noise::SymmetricState;
use crate::tai64n::Tai64n;

/// The long-term identity of this side.
pub(crate) struct LocalStatic {
    private: PrivateKey,
    dh: DhKey,
}

/// The initiator after its first message: waits for the response.
pub(crate) struct InitiatorHandshake {
    state: SymmetricState,
    ephemeral: DhKey,
    sender: LocalIndex,
}

/// The responder after it learned who claims to speak. The claim is not proven yet.
pub(crate) struct IdentifiedInitiation {
    state: SymmetricState,
    remote_static: PublicKey,
    remote_ephemeral: PublicKey,
    remote_index: RemoteIndex,
    encrypted_timestamp: [u8; 28],
}

/// The responder after the first message proved authentic.
pub(crate) struct ConsumedInitiation {
    state: SymmetricState,
    remote_static: PublicKey,
    remote_ephemeral: PublicKey,
    remote_index: RemoteIndex,
    timestamp: Tai64n,
}

/// What a handshake ends in: a key for each direction and the names both sides gave to the keypair.
pub(crate) struct TransportKeys {
    pub(crate) send: TransportKey,
    pub(crate) receive: TransportKey,
    pub(crate) local: LocalIndex,
    pub(crate) remote: RemoteIndex,
    pub(crate) is_initiator: bool,
}

impl LocalStatic {
    pub(crate) fn new(private: PrivateKey) -> Self {
        let dh = DhKey::new(&private);
        Self { private, dh }
    }

    pub(crate) const fn private_key(&self) -> &PrivateKey {
        &self.private
    }

    pub(crate) const fn public_key(&self) -> &PublicKey {
        self.dh.public_key()
    }

    /// Computes the static-static secret with a peer, once per peer. `None` when the peer's key is of low order: no handshake
    /// with that peer is possible.
    pub(crate) fn static_static(&self, remote: &PublicKey) -> Option<SharedSecret> {
        dh(&self.dh, remote)
    }
}

/// Creates an initiation without its macs.
///
/// # Errors
/// [`DropReason::LowOrderKey`] when the peer's static key is of low order.
pub(crate) fn create_initiation(
    local: &LocalStatic,
    remote: &PublicKey,
    static_static: &SharedSecret,
    sender: LocalIndex,
    stamp: Tai64n,
    rng: &mut dyn RngCore,
) -> Result<(InitiatorHandshake, [u8; INITIATION_BODY_LEN]), DropReason> {
    let ephemeral = DhKey::new(&PrivateKey::generate(rng));
    let mut state = SymmetricState::new(remote);
    state.mix_ephemeral(ephemeral.public_key());

    let key = state.mix_secret_for_key(&dh(&ephemeral, remote).ok_or(DropReason::LowOrderKey)?);
    let mut encrypted_static = *local.public_key().as_bytes();
    let static_tag = state.seal(key, &mut encrypted_static);

    let key = state.mix_secret_for_key(static_static);
    let mut encrypted_timestamp = *stamp.as_bytes();
    let timestamp_tag = state.seal(key, &mut encrypted_timestamp);

    let mut body = [0; INITIATION_BODY_LEN];
    body[..4].copy_from_slice(&TYPE_INITIATION);
    body[4..8].copy_from_slice(&sender.0.to_le_bytes());
    body[8..40].copy_from_slice(ephemeral.public_key().as_bytes());
    body[40..72].copy_from_slice(&encrypted_static);
    body[72..88].copy_from_slice(&static_tag);
    body[88..100].copy_from_slice(&encrypted_timestamp);
    body[100..].copy_from_slice(&timestamp_tag);
    Ok((
        InitiatorHandshake {
            state,
            ephemeral,
            sender,
        },
        body,
    ))
}

impl InitiatorHandshake {
    pub(crate) const fn local_index(&self) -> LocalIndex {
        self.sender
    }

    /// Consumes a response. It works on copies: whatever is refused leaves this handshake usable, and the caller drops it
    /// after success.
    ///
    /// # Errors
    /// [`DropReason::UnknownHandshake`] for another receiver index, [`DropReason::LowOrderKey`] and
    /// [`DropReason::BadResponse`] when the response is not authentic.
    pub(crate) fn consume_response(
        &self,
        local: &LocalStatic,
        psk: Option<&PresharedKey>,
        message: &HandshakeResponse<'_>,
    ) -> Result<TransportKeys, DropReason> {
        if message.receiver != self.sender {
            return Err(DropReason::UnknownHandshake);
        }
        let remote_ephemeral = PublicKey::from_bytes(*message.ephemeral);
        let mut state = self.state.duplicate();
        state.mix_ephemeral(&remote_ephemeral);
        state.mix_secret(&dh(&self.ephemeral, &remote_ephemeral).ok_or(DropReason::LowOrderKey)?);
        state.mix_secret(&dh(&local.dh, &remote_ephemeral).ok_or(DropReason::LowOrderKey)?);
        let key = mix_preshared_key(&mut state, psk);
        if !state.open(key, &mut [], message.encrypted_nothing) {
            return Err(DropReason::BadResponse);
        }
        let (send, receive) = state.split();
        Ok(TransportKeys {
            send,
            receive,
            local: self.sender,
            remote: message.sender,
            is_initiator: true,
        })
    }
}

/// Consumes an initiation up to the static key of the sender.
///
/// # Errors
/// [`DropReason::LowOrderKey`] and [`DropReason::BadStatic`].
pub(crate) fn consume_initiation(
    local: &LocalStatic,
    message: &HandshakeInitiation<'_>,
) -> Result<IdentifiedInitiation, DropReason> {
    let remote_ephemeral = PublicKey::from_bytes(*message.ephemeral);
    let mut state = SymmetricState::new(local.public_key());
    state.mix_ephemeral(&remote_ephemeral);

    let key = state.mix_secret_for_key(&dh(&local.dh, &remote_ephemeral).ok_or(DropReason::LowOrderKey)?);
    let (mut remote_static, tag) = split_tag::<32>(message.encrypted_static).ok_or(DropReason::BadStatic)?;
    if !state.open(key, &mut remote_static, &tag) {
        return Err(DropReason::BadStatic);
    }
    Ok(IdentifiedInitiation {
        state,
        remote_static: PublicKey::from_bytes(remote_static),
        remote_ephemeral,
        remote_index: message.sender,
        encrypted_timestamp: *message.encrypted_timestamp,
    })
}

impl IdentifiedInitiation {
    /// The static key of the peer that this claims to be from.
    pub(crate) const fn remote_static(&self) -> PublicKey {
        self.remote_static
    }

    /// Proves the sender, with the static-static secret of the peer that [`Self::remote_static`] named.
    ///
    /// # Errors
    /// [`DropReason::BadTimestampTag`].
    pub(crate) fn authenticate(mut self, static_static: &SharedSecret) -> Result<ConsumedInitiation, DropReason> {
        let key = self.state.mix_secret_for_key(static_static);
        let (mut timestamp, tag) = split_tag::<12>(&self.encrypted_timestamp).ok_or(DropReason::BadTimestampTag)?;
        if !self.state.open(key, &mut timestamp, &tag) {
            return Err(DropReason::BadTimestampTag);
        }
        Ok(ConsumedInitiation {
            state: self.state,
            remote_static: self.remote_static,
            remote_ephemeral: self.remote_ephemeral,
            remote_index: self.remote_index,
            timestamp: Tai64n::from_bytes(timestamp),
        })
    }
}

impl ConsumedInitiation {
    /// The stamp of the initiation. The caller refuses one that is not newer than all before.
    pub(crate) const fn timestamp(&self) -> Tai64n {
        self.timestamp
    }

    /// The index that the initiator chose.
    #[cfg(test)]
    pub(crate) const fn remote_index(&self) -> RemoteIndex {
        self.remote_index
    }

    /// Creates the response without its macs, and ends the handshake. `ephemeral` is fresh and used for nothing else.
    ///
    /// # Errors
    /// [`DropReason::LowOrderKey`].
    pub(crate) fn create_response(
        self,
        psk: Option<&PresharedKey>,
        sender: LocalIndex,
        ephemeral: &PrivateKey,
    ) -> Result<(TransportKeys, [u8; RESPONSE_BODY_LEN]), DropReason> {
        let ephemeral = DhKey::new(ephemeral);
        let mut state = self.state;
        state.mix_ephemeral(ephemeral.public_key());
        state.mix_secret(&dh(&ephemeral, &self.remote_ephemeral).ok_or(DropReason::LowOrderKey)?);
        state.mix_secret(&dh(&ephemeral, &self.remote_static).ok_or(DropReason::LowOrderKey)?);
        let key = mix_preshared_key(&mut state, psk);
        let tag = state.seal(key, &mut []);

        let mut body = [0; RESPONSE_BODY_LEN];
        body[..4].copy_from_slice(&TYPE_RESPONSE);
        body[4..8].copy_from_slice(&sender.0.to_le_bytes());
        body[8..12].copy_from_slice(&self.remote_index.0.to_le_bytes());
        body[12..44].copy_from_slice(ephemeral.public_key().as_bytes());
        body[44..].copy_from_slice(&tag);
        let (receive, send) = state.split();
        let keys = TransportKeys {
            send,
            receive,
            local: sender,
            remote: self.remote_index,
            is_initiator: false,
        };
        Ok((keys, body))
    }
}

fn mix_preshared_key(state: &mut SymmetricState, psk: Option<&PresharedKey>) -> AeadKey {
    state.mix_preshared_key(psk.map_or(&[0; 32], PresharedKey::as_bytes))
}

/// Cuts an encrypted field of `N` bytes and its tag.
fn split_tag<const N: usize>(field: &[u8]) -> Option<([u8; N], [u8; 16])> {
    let (ciphertext, tag) = field.split_first_chunk::<N>()?;
    Some((*ciphertext, tag.try_into().ok()?))
}

#[cfg(test)]
mod tests;
