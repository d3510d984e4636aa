use super::*;
use crate::message::Message;
use crate::test_util::{Repeat, hex, hex32};

const INITIATION: &str = concat!(
    "01000000040302017b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b1481e498317da959fba46669572516a5e6",
    "c021bfa620bb6c56ca0082e1feae14988c2c64d024c617734a263f76a008df04d0f94bad8ee75ec8e6c2695569183cc7dc1e27ce0c1b8436",
    "de667e2793bcc82f5db3b8466ea6d8fb567bf96b00000000000000000000000000000000"
);
const COOKIE_REPLY: &str = concat!(
    "0300000004030201000102030405060708090a0b0c0d0e0f10111213141516171a30e17e8fce6fdcd48662ab32b91b247e5b2e79daa448e9",
    "5eda567d25c3e4e8"
);

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn responder() -> PublicKey {
    PublicKey::from_bytes(hex32(
        "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20",
    ))
}

fn source(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The vector initiation as a jar sends it.
fn message(jar: &mut CookieJar, now: Instant) -> Vec<u8> {
    let mut message = hex(INITIATION);
    message[116..].fill(0xaa);
    jar.add_macs(now, &mut message);
    message
}

fn macs(message: &[u8]) -> Macs<'_> {
    match Message::parse(message).unwrap() {
        Message::Initiation(message) => message.macs,
        other => panic!("{other:?}"),
    }
}

fn consume(jar: &mut CookieJar, now: Instant, reply: &[u8]) -> Result<(), DropReason> {
    match Message::parse(reply).unwrap() {
        Message::CookieReply(reply) => jar.consume_reply(now, &reply),
        other => panic!("{other:?}"),
    }
}

#[test]
fn vectors() {
    let mut jar = CookieJar::new(&responder());
    assert_eq!(
        jar.mac1_key,
        hex32("2b14c2a1d73fe52519772891d6df632bd2408279e87eb80c61bc395fccadf4a6")
    );
    assert_eq!(
        jar.cookie_key,
        hex32("f38243a909cf26b7ec109798fd3dfdbdb7592367db444819154f6582389fdc1b")
    );
    let first = message(&mut jar, at(0));
    assert_eq!(first, hex(INITIATION));

    let cookie: [u8; 16] = core::array::from_fn(|i| i as u8);
    let nonce: [u8; 24] = core::array::from_fn(|i| i as u8);
    let reply = encode_cookie_reply(
        &jar.cookie_key,
        RemoteIndex(0x0102_0304),
        &nonce,
        &cookie,
        macs(&first).mac1,
    );
    assert_eq!(reply.as_slice(), hex(COOKIE_REPLY));
    consume(&mut jar, at(0), &reply).unwrap();
    let second = message(&mut jar, at(1));
    assert_eq!(second[132..], hex("75d7f305e952930922d596ea07bbbcbc"));
}

#[test]
fn a_cookie_proves_the_address_and_port_until_the_secret_changes() {
    let (mut checker, mut jar) = (CookieChecker::new(&responder()), CookieJar::new(&responder()));
    let home = source("192.0.2.1:51820");
    let first = message(&mut jar, at(0));
    assert!(!checker.check_mac2(at(0), home, &macs(&first), &mut Repeat(1)));
    let reply = checker.create_cookie_reply(at(0), home, RemoteIndex(1), &macs(&first), &mut Repeat(2));
    consume(&mut jar, at(0), &reply).unwrap();

    let second = message(&mut jar, at(5));
    assert!(checker.check_mac2(at(5), home, &macs(&second), &mut Repeat(3)));
    for other in ["192.0.2.1:51821", "192.0.2.2:51820", "[2001:db8::1]:51820"] {
        assert!(
            !checker.check_mac2(at(5), source(other), &macs(&second), &mut Repeat(3)),
            "{other}"
        );
    }
    assert!(checker.check_mac2(at(119), home, &macs(&second), &mut Repeat(3)));
    assert!(!checker.check_mac2(at(120), home, &macs(&second), &mut Repeat(3)));
}

#[test]
fn a_reply_is_accepted_once_and_only_for_the_last_message() {
    let (mut checker, mut jar) = (CookieChecker::new(&responder()), CookieJar::new(&responder()));
    let home = source("[2001:db8::1]:51820");
    let empty = checker.create_cookie_reply(at(0), home, RemoteIndex(1), &macs(&hex(INITIATION)), &mut Repeat(2));
    assert_eq!(consume(&mut jar, at(0), &empty), Err(DropReason::UnexpectedCookie));

    let first = message(&mut jar, at(0));
    let reply = checker.create_cookie_reply(at(0), home, RemoteIndex(1), &macs(&first), &mut Repeat(2));
    let mut forged = reply;
    forged[40] ^= 1;
    assert_eq!(consume(&mut jar, at(0), &forged), Err(DropReason::BadCookie));
    let mut other = hex(INITIATION);
    other[4] ^= 1;
    jar.add_macs(at(0), &mut other);
    assert_eq!(consume(&mut jar, at(0), &reply), Err(DropReason::BadCookie));

    let reply = checker.create_cookie_reply(at(0), home, RemoteIndex(1), &macs(&other), &mut Repeat(2));
    assert_eq!(consume(&mut jar, at(0), &reply), Ok(()));
    assert_eq!(consume(&mut jar, at(0), &reply), Err(DropReason::UnexpectedCookie));
}

#[test]
fn a_cookie_is_used_for_115_seconds() {
    let (mut checker, mut jar) = (CookieChecker::new(&responder()), CookieJar::new(&responder()));
    let first = message(&mut jar, at(0));
    let reply = checker.create_cookie_reply(
        at(0),
        source("192.0.2.1:1"),
        RemoteIndex(1),
        &macs(&first),
        &mut Repeat(2),
    );
    consume(&mut jar, at(10), &reply).unwrap();
    assert_ne!(macs(&message(&mut jar, at(124))).mac2, &[0; 16]);
    assert_eq!(macs(&message(&mut jar, at(125))).mac2, &[0; 16]);
}

#[test]
fn a_message_too_short_for_macs_is_left_alone() {
    let mut jar = CookieJar::new(&responder());
    let mut short = [7; 31];
    jar.add_macs(at(0), &mut short);
    assert_eq!(short, [7; 31]);
    assert_eq!(jar.last_mac1, None);
}
