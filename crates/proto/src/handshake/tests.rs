use core::time::Duration;

use super::*;
use crate::crypto::{self, hash};
use crate::message::Message;
use crate::test_util::{LOW_ORDER_POINTS, Repeat, hex, hex32};

const INITIATOR_INDEX: LocalIndex = LocalIndex(0x0102_0304);
const RESPONDER_INDEX: LocalIndex = LocalIndex(0x0a0b_0c0d);

const INITIATION: &str = concat!(
    "01000000040302017b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b1481e498317da959fba46669572516a5e6",
    "c021bfa620bb6c56ca0082e1feae14988c2c64d024c617734a263f76a008df04d0f94bad8ee75ec8e6c2695569183cc7dc1e27ce0c1b8436",
    "de667e2793bcc82f5db3b8466ea6d8fb567bf96b00000000000000000000000000000000"
);
const RESPONSE: &str = concat!(
    "020000000d0c0b0a04030201ff2ee45601ec1b67310c7790404585ae697331eee1c1f8cf2419731c1fff3e6bf3c8d3f436c557547df21dab",
    "91e91043a0c1e8d7649bfee7d31931b4c794c30900000000000000000000000000000000"
);

struct Pair {
    initiator: LocalStatic,
    responder: LocalStatic,
    secret: SharedSecret,
    psk: PresharedKey,
}

fn pair() -> Pair {
    let initiator = LocalStatic::new(PrivateKey::from_bytes([0x11; 32]));
    let responder = LocalStatic::new(PrivateKey::from_bytes([0x22; 32]));
    let secret = initiator.static_static(responder.public_key()).unwrap();
    Pair {
        initiator,
        responder,
        secret,
        psk: PresharedKey::from_bytes([0x55; 32]),
    }
}

fn stamp() -> Tai64n {
    Tai64n::from_wall(Duration::new(1_700_000_000, 123_456_789))
}

fn initiate(pair: &Pair) -> (InitiatorHandshake, Vec<u8>) {
    let remote = pair.responder.public_key();
    let (handshake, body) = create_initiation(
        &pair.initiator,
        remote,
        &pair.secret,
        INITIATOR_INDEX,
        stamp(),
        &mut Repeat(0x33),
    )
    .unwrap();
    let mut message = body.to_vec();
    message.resize(148, 0);
    (handshake, message)
}

fn respond(pair: &Pair, initiation: &[u8], psk: Option<&PresharedKey>) -> (TransportKeys, Vec<u8>) {
    let consumed = identify(&pair.responder, initiation)
        .unwrap()
        .authenticate(&pair.secret)
        .unwrap();
    let (keys, body) = consumed
        .create_response(psk, RESPONDER_INDEX, &PrivateKey::from_bytes([0x44; 32]))
        .unwrap();
    let mut message = body.to_vec();
    message.resize(92, 0);
    (keys, message)
}

fn identify(local: &LocalStatic, message: &[u8]) -> Result<IdentifiedInitiation, DropReason> {
    match Message::parse(message).unwrap() {
        Message::Initiation(message) => consume_initiation(local, &message),
        other => panic!("{other:?}"),
    }
}

fn finish(
    handshake: &InitiatorHandshake,
    pair: &Pair,
    psk: Option<&PresharedKey>,
    message: &[u8],
) -> Result<TransportKeys, DropReason> {
    match Message::parse(message).unwrap() {
        Message::Response(message) => handshake.consume_response(&pair.initiator, psk, &message),
        other => panic!("{other:?}"),
    }
}

fn refusal<T>(result: Result<T, DropReason>) -> Option<DropReason> {
    result.err()
}

/// Two keys are the same when they make the same tag.
fn same_key(key: &AeadKey, expected: &str) -> bool {
    key.seal(0, &[], &mut []) == AeadKey::new(&hex32(expected)).seal(0, &[], &mut [])
}

fn same_transport_key(key: &TransportKey, expected: &str) -> bool {
    let mut body = [0; 16];
    key.seal(&mut [crypto::Message {
        counter: 0,
        body: &mut body,
    }]);
    // The null cipher has no keys.
    cfg!(feature = "null-cipher") || body == AeadKey::new(&hex32(expected)).seal(0, &[], &mut [])
}

fn assert_state(state: &SymmetricState, chaining_key: &str, transcript: &str) {
    assert_eq!(state.parts(), (&hex32(chaining_key), &hex32(transcript)));
}

#[test]
fn vectors_of_keys_and_labels() {
    let pair = pair();
    assert_eq!(
        hash(&[b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"]),
        hex32("60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36")
    );
    assert_eq!(
        pair.initiator.public_key().as_bytes(),
        &hex32("7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13")
    );
    assert_eq!(
        pair.responder.public_key().as_bytes(),
        &hex32("0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20")
    );
    assert_eq!(
        pair.secret.as_bytes(),
        &hex32("9e004098efc091d4ec2663b4e9f5cfd4d7064571690b4bea97ab146ab9f35056")
    );
}

#[test]
fn vectors_of_every_intermediate_state() {
    let pair = pair();
    let ephemeral_i = DhKey::new(&PrivateKey::from_bytes([0x33; 32]));
    let ephemeral_r = DhKey::new(&PrivateKey::from_bytes([0x44; 32]));
    let mut state = SymmetricState::new(pair.responder.public_key());
    assert_state(
        &state,
        "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36",
        "1f02fc782351f5d58de3af43c3b142c4268bf3ae8051d9469eb922a666d4745c",
    );
    state.mix_ephemeral(ephemeral_i.public_key());
    assert_state(
        &state,
        "01c55808bf91efc4a10fdcde0976b8f9d48bc519545ef9c3752f28e35fe66a0a",
        "78c39ebb1ff92afd4ce9aac9a0595053e641dbb7f5032a122b3458a29474f1e6",
    );
    let key = state.mix_secret_for_key(&dh(&ephemeral_i, pair.responder.public_key()).unwrap());
    assert!(same_key(
        &key,
        "1295d5fce6e4fd28e89cacb34e3fc1b5f94a5e7424439e3ab3b659d2f57ec290"
    ));
    state.seal(key, &mut pair.initiator.public_key().as_bytes().clone());
    assert_state(
        &state,
        "b8782bd761f1d0078fb179bf33a29db3906525564566c5c9426ec930c872f7a1",
        "68c07e6b42b8c15626df2e2745a1d8a64367fd2b019b13d605f8addfafdb94c6",
    );
    let key = state.mix_secret_for_key(&pair.secret);
    assert!(same_key(
        &key,
        "92253228a5a30c72e5f4784c782d1608295ed7c6a63dcc7182edb732af95397d"
    ));
    state.seal(key, &mut stamp().as_bytes().clone());
    assert_state(
        &state,
        "24eca314409f2ca9ccbf8d50ebb72b7235d67ed11b21eeefc67942a2596df51e",
        "a09d1ec5d06f13b9f2c168e9c96c02857b0d49112d17bad14498a8d3a6d40623",
    );
    state.mix_ephemeral(ephemeral_r.public_key());
    assert_state(
        &state,
        "e69442b26039a82bc5f4b4cc3ce6b0f8a8c7aaf7fe1df911a133ca3ce5daa335",
        "a10b52dbc2818688412c634df162cebc0a5530e1242bc28817bc0f2a8deda3b6",
    );
    state.mix_secret(&dh(&ephemeral_r, ephemeral_i.public_key()).unwrap());
    state.mix_secret(&dh(&ephemeral_r, pair.initiator.public_key()).unwrap());
    assert_eq!(
        state.parts().0,
        &hex32("396dd574304e4d53ebf291e46fe95ae3b47aa5b346c7f74692b8d3757016d4ef")
    );
    let key = mix_preshared_key(&mut state, Some(&pair.psk));
    assert!(same_key(
        &key,
        "93aea81c527a269cad3c1b29353a100cc145e64a115f8c217934ede9a6475415"
    ));
    assert_state(
        &state,
        "209dea3ad2dc1f199fbabd13b4f744c30fe13520a3978ce6d931d8f30e20853c",
        "2f6dbe8f15ffdf9b83b18eb9984e7f0d700cad018bcea962aabdb90824b6a637",
    );
    state.seal(key, &mut []);
    assert_eq!(
        state.parts().1,
        &hex32("33b56333aa15c8b253ee45b9dea856dd619cad1c1c01ec0692bae66140e20105")
    );
}

#[test]
fn vectors_of_both_messages_and_the_transport_keys() {
    let pair = pair();
    let (handshake, initiation) = initiate(&pair);
    assert_eq!(initiation[..116], hex(INITIATION)[..116]);
    let identified = identify(&pair.responder, &initiation).unwrap();
    assert_eq!(identified.remote_static(), *pair.initiator.public_key());
    let consumed = identified.authenticate(&pair.secret).unwrap();
    assert_eq!(
        (consumed.timestamp(), consumed.remote_index()),
        (stamp(), RemoteIndex(INITIATOR_INDEX.0))
    );

    let (responder, response) = respond(&pair, &initiation, Some(&pair.psk));
    assert_eq!(response[..60], hex(RESPONSE)[..60]);
    let initiator = finish(&handshake, &pair, Some(&pair.psk), &response).unwrap();
    for (key, other, expected) in [
        (
            &initiator.send,
            &responder.receive,
            "a007faf842d83f5bd3be20a14e0ffcec34c84867b78b051980602713205922de",
        ),
        (
            &responder.send,
            &initiator.receive,
            "d982d5cd10d34a7802b6c19fa441cd9164d70e4f4d62007ab416879ee8bd1b99",
        ),
    ] {
        assert!(same_transport_key(key, expected) && same_transport_key(other, expected));
    }
    assert_eq!(
        (initiator.local, initiator.remote.0),
        (INITIATOR_INDEX, RESPONDER_INDEX.0)
    );
    assert_eq!(
        (responder.local, responder.remote.0),
        (RESPONDER_INDEX, INITIATOR_INDEX.0)
    );
    assert!(initiator.is_initiator && !responder.is_initiator);
}

#[test]
fn no_preshared_key_is_the_same_as_zeros() {
    let pair = pair();
    let (handshake, initiation) = initiate(&pair);
    let (_, response) = respond(&pair, &initiation, None);
    assert!(finish(&handshake, &pair, Some(&PresharedKey::from_bytes([0; 32])), &response).is_ok());
}

#[test]
fn a_bad_response_leaves_the_handshake_usable() {
    let pair = pair();
    let (handshake, initiation) = initiate(&pair);
    let (_, response) = respond(&pair, &initiation, Some(&pair.psk));
    for at in [4, 12, 30, 44, 59] {
        let mut forged = response.clone();
        forged[at] ^= 1;
        // The sender index is not covered by the tag, only by mac1.
        let expected = (at != 4).then_some(DropReason::BadResponse);
        assert_eq!(
            refusal(finish(&handshake, &pair, Some(&pair.psk), &forged)),
            expected,
            "byte {at}"
        );
    }
    let mut forged = response.clone();
    forged[8] ^= 1;
    assert_eq!(
        refusal(finish(&handshake, &pair, Some(&pair.psk), &forged)),
        Some(DropReason::UnknownHandshake)
    );
    assert_eq!(
        refusal(finish(&handshake, &pair, None, &response)),
        Some(DropReason::BadResponse)
    );
    for point in LOW_ORDER_POINTS {
        let mut forged = response.clone();
        forged[12..44].copy_from_slice(&hex(point));
        let result = finish(&handshake, &pair, Some(&pair.psk), &forged);
        assert_eq!(refusal(result), Some(DropReason::LowOrderKey), "{point}");
    }
    assert!(finish(&handshake, &pair, Some(&pair.psk), &response).is_ok());
}

#[test]
fn forged_initiations_are_refused() {
    let pair = pair();
    let (_, initiation) = initiate(&pair);
    for at in [8, 40, 87] {
        let mut forged = initiation.clone();
        forged[at] ^= 1;
        assert_eq!(
            refusal(identify(&pair.responder, &forged)),
            Some(DropReason::BadStatic),
            "byte {at}"
        );
    }
    for at in [88, 115] {
        let mut forged = initiation.clone();
        forged[at] ^= 1;
        let result = identify(&pair.responder, &forged).unwrap().authenticate(&pair.secret);
        assert_eq!(refusal(result), Some(DropReason::BadTimestampTag), "byte {at}");
    }
    for point in LOW_ORDER_POINTS {
        let mut forged = initiation.clone();
        forged[8..40].copy_from_slice(&hex(point));
        assert_eq!(
            refusal(identify(&pair.responder, &forged)),
            Some(DropReason::LowOrderKey),
            "{point}"
        );
    }
    assert_eq!(
        refusal(identify(&pair.initiator, &initiation)),
        Some(DropReason::BadStatic)
    );
}

#[test]
fn a_peer_of_low_order_gets_no_initiation() {
    let pair = pair();
    for point in LOW_ORDER_POINTS {
        let remote = PublicKey::from_bytes(hex32(point));
        assert!(pair.initiator.static_static(&remote).is_none());
        let result = create_initiation(
            &pair.initiator,
            &remote,
            &pair.secret,
            INITIATOR_INDEX,
            stamp(),
            &mut Repeat(0x33),
        );
        assert_eq!(refusal(result), Some(DropReason::LowOrderKey));
    }
}
