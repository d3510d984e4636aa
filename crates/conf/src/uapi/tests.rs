//! The control protocol, row by row of its grammar, and as streams cut at every place.

use super::*;
use proptest::prelude::*;

const KEY: &str = "4a6f6e47a5d2d3e6f1c2b3a4958677869504132231405f6e7d8c9baab9c8d7e6";

fn zones(name: &str) -> Option<u32> {
    match name {
        "eth0" => Some(2),
        "9" => Some(77),
        _ => None,
    }
}

/// All requests in `text`, and how the stream ends.
fn requests(text: &[u8]) -> Vec<Request> {
    let mut reader = RequestReader::default();
    let mut requests = Vec::new();
    let mut input = text;
    while let Some(request) = reader.read(&mut input, &zones) {
        requests.push(request);
    }
    loop {
        let last = reader.finish();
        let ended = matches!(last, Request::Close(_));
        requests.push(last);
        if ended {
            return requests;
        }
    }
}

fn set(lines: &str) -> Result<SetRequest, Errno> {
    match requests(format!("set=1\n{lines}\n").as_bytes()).remove(0) {
        Request::Set(request) => Ok(request),
        Request::Refused(error) => {
            assert!(!error.to_string().contains(&KEY[..8]) && !format!("{error:?}").contains(&KEY[..8]));
            Err(error.errno)
        }
        other => panic!("{other:?}"),
    }
}

fn peer(lines: &str) -> Result<PeerChange, Errno> {
    set(&format!("public_key={KEY}\n{lines}\n")).map(|mut request| request.peers.remove(0))
}

fn summary(requests: &[Request]) -> String {
    let one = |request: &Request| match request {
        Request::Get => "get".into(),
        Request::Set(request) => String::from_utf8_lossy(&set_request(request)).replace('\n', ","),
        Request::Refused(error) => format!("{}@{}", error.errno.number(), error.line),
        Request::Close(None) => "close".into(),
        Request::Close(Some(error)) => format!("close{}@{}", error.errno.number(), error.line),
    };
    requests.iter().map(one).collect::<Vec<String>>().join(" ")
}

#[test]
fn the_device_section_takes_its_keys_in_any_order() {
    let request = set(&format!(
        "fwmark=4294967295\nreplace_peers=true\nlisten_port=0\nprivate_key={KEY}\n"
    ))
    .unwrap();
    assert_eq!(
        (request.listen_port, request.fwmark, request.replace_peers),
        (Some(0), Some(u32::MAX), true)
    );
    assert_eq!(request.private_key.unwrap().unwrap().as_bytes()[0], 0x48, "clamped");
    let zeros = set(&format!("private_key={}\n", "0".repeat(64))).unwrap();
    assert!(matches!(zeros.private_key, Some(None)));
    assert!(set(&format!("private_key={}\n", KEY.to_uppercase())).is_ok());
}

#[test]
fn the_peer_section_takes_its_keys() {
    let change = peer(&format!(
        "update_only=true\npreshared_key={KEY}\nendpoint=1.2.3.4:5\npersistent_keepalive_interval=65535\n\
         replace_allowed_ips=true\nallowed_ip=10.1.2.3/8\nallowed_ip=-fe80::1/64\nallowed_ip=::ffff:1.2.3.4/128\n\
         protocol_version=1\nremove=true"
    ))
    .unwrap();
    assert!(change.update_only && change.remove && change.replace_allowed_ips);
    assert!(matches!(change.preshared_key, Some(Some(_))));
    assert_eq!(change.persistent_keepalive, Some(65535));
    let allowed = |prefix: &str, remove| AllowedIpChange {
        prefix: prefix.parse().unwrap(),
        remove,
    };
    assert_eq!(
        change.allowed_ips,
        [
            allowed("10.0.0.0/8", false),
            allowed("fe80::/64", true),
            allowed("::ffff:1.2.3.4", false)
        ]
    );
    assert!(matches!(
        peer(&format!("preshared_key={}", "0".repeat(64)))
            .unwrap()
            .preshared_key,
        Some(None)
    ));
}

#[test]
fn replacing_allowed_ips_forgets_those_named_before() {
    let change = peer("allowed_ip=1.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=2.0.0.0/8").unwrap();
    assert_eq!(change.allowed_ips.len(), 1);
}

#[test]
fn a_key_may_open_its_section_again() {
    let request = set(&format!(
        "public_key={KEY}\nremove=true\npublic_key={KEY}\nendpoint=[::1]:1\n"
    ))
    .unwrap();
    assert_eq!(request.peers.len(), 2);
    assert!(request.peers[0].remove && !request.peers[1].remove);
}

#[test]
fn endpoints_are_numeric() {
    let endpoint = |text: &str| peer(&format!("endpoint={text}")).map(|change| change.endpoint.unwrap().to_string());
    assert_eq!(endpoint("1.2.3.4:51820").unwrap(), "1.2.3.4:51820");
    assert_eq!(endpoint("[2001:db8::1]:0").unwrap(), "[2001:db8::1]:0");
    assert_eq!(endpoint("[fe80::1%eth0]:65535").unwrap(), "[fe80::1%2]:65535");
    assert_eq!(endpoint("[fe80::1%5]:1").unwrap(), "[fe80::1%5]:1");
    assert_eq!(
        endpoint("[fe80::1%9]:1").unwrap(),
        "[fe80::1%77]:1",
        "a name of digits is a name"
    );
    assert_eq!(endpoint("[::ffff:1.2.3.4]:5").unwrap(), "1.2.3.4:5");
    for bad in [
        "",
        ":",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:+1",
        "01.2.3.4:1",
        "::1:53",
        "[1.2.3.4]:5",
        "[::1]",
        "[::1%]:5",
        "[::1%0]:5",
        "[::1%gone]:5",
        "1.2.3.4%eth0:5",
        "localhost:1",
        "[::1]:x",
        " 1.2.3.4:5",
        "\u{fc}:1",
    ] {
        assert_eq!(endpoint(bad), Err(Errno::INVALID), "{bad}");
    }
}

#[test]
fn bad_values_are_invalid() {
    for bad in [
        "private_key=",
        "private_key=00",
        "listen_port=65536",
        "listen_port=-1",
        "listen_port=+1",
        "listen_port=",
        "listen_port=0x1",
        "listen_port= 1",
        "fwmark=0x10",
        "fwmark=4294967296",
        "fwmark=off",
        "replace_peers=1",
        "replace_peers=false",
        "replace_peers=",
        "unknown=1",
        "=",
        "=1",
        "public_key=",
        "public_key=zz",
        "errno=0",
        "remove=true",
        "endpoint=1.2.3.4:5",
        "allowed_ip=1.2.3.4/32",
        "get=1",
        "set=1",
        "Listen_port=1",
        "listen_port=1\r",
    ] {
        assert_eq!(set(&format!("{bad}\n")).err(), Some(Errno::INVALID), "{bad}");
    }
    for bad in [
        "remove=false",
        "update_only=",
        "preshared_key=00",
        "persistent_keepalive_interval=off",
        "persistent_keepalive_interval=65536",
        "replace_allowed_ips=yes",
        "allowed_ip=1.2.3.4",
        "allowed_ip=1.2.3.4/33",
        "allowed_ip=1.2.3.4/",
        "allowed_ip=::/129",
        "allowed_ip=+1.2.3.4/32",
        "allowed_ip=--1.2.3.4/32",
        "allowed_ip=",
        "allowed_ip=fe80::1%eth0/64",
        "allowed_ip=1.2.3/24",
        "allowed_ip=1.2.3.4/+8",
        "protocol_version=2",
        "listen_port=1",
        "fwmark=1",
        "replace_peers=true",
        "nonsense=1",
    ] {
        assert_eq!(peer(bad).err(), Some(Errno::INVALID), "{bad}");
    }
    assert_eq!(peer(&format!("private_key={KEY}")).err(), Some(Errno::INVALID));
}

#[test]
fn a_line_without_equals_is_a_protocol_error() {
    assert_eq!(set("listen_port\n").err(), Some(Errno::PROTOCOL));
    assert_eq!(peer("remove").err(), Some(Errno::PROTOCOL));
}

#[test]
fn the_first_line_decides() {
    for bad in [
        "\n",
        "get=2\n\n",
        "get\n",
        "set=1 \n",
        "GET=1\n\n",
        "\u{0}\n",
        "get=1\r\n\r\n",
    ] {
        assert_eq!(summary(&requests(bad.as_bytes())), "close close", "{bad:?}");
    }
    assert_eq!(
        summary(&requests(b"get=1\nlisten_port=1\n\nget=1\n\n")),
        "-22@2 get close"
    );
    assert_eq!(summary(&requests(b"")), "close");
}

#[test]
fn the_end_of_input_ends_a_request_but_not_a_line() {
    assert_eq!(
        summary(&requests(b"set=1\nlisten_port=5\n")),
        "set=1,listen_port=5,, close"
    );
    assert_eq!(summary(&requests(b"get=1\n")), "get close");
    assert_eq!(summary(&requests(b"set=1\nlisten_port=5")), "close-5@2");
    assert_eq!(summary(&requests(b"get")), "close");
}

#[test]
fn a_bad_line_spoils_its_request_only() {
    let text = b"set=1\nlisten_port=1\nbad\nfwmark=3\n=\n\nset=1\nfwmark=2\n\nget=1\n\n";
    assert_eq!(summary(&requests(text)), "-71@3 set=1,fwmark=2,, get close");
}

#[test]
fn lines_and_requests_are_bounded() {
    let long = |n: usize| format!("set=1\nfwmark={}\n\n", "0".repeat(n - "fwmark=".len()));
    assert_eq!(summary(&requests(long(MAX_LINE).as_bytes())), "set=1,fwmark=0,, close");
    assert_eq!(summary(&requests(long(MAX_LINE + 1).as_bytes())), "close-5@2 close");
    let mut endless = RequestReader::default();
    assert!(endless.read(&mut &b"set=1\n"[..], &zones).is_none());
    let chunk = "fwmark=1\n".repeat(10_000);
    let fits = MAX_REQUEST / chunk.len();
    for _ in 0..fits {
        assert!(endless.read(&mut chunk.as_bytes(), &zones).is_none());
    }
    assert!(matches!(
        endless.read(&mut chunk.as_bytes(), &zones),
        Some(Request::Close(Some(_)))
    ));
    assert!(
        endless.read(&mut &b"\n\nget=1\n\n"[..], &zones).is_none(),
        "closed for good"
    );
}

#[test]
fn many_allowed_ips_take_no_time() {
    let mut text = format!("set=1\npublic_key={KEY}\n");
    for n in 0..130_000u32 {
        text += &format!("allowed_ip={}/32\n", std::net::Ipv4Addr::from_bits(n));
    }
    text += "\n";
    let start = std::time::Instant::now();
    let Request::Set(request) = requests(text.as_bytes()).remove(0) else {
        panic!()
    };
    let mut status = PeerStatus::new(request.peers[0].public_key);
    status.allowed_ips = request.peers[0]
        .allowed_ips
        .iter()
        .map(|allowed| allowed.prefix)
        .collect();
    let answer = get_answer(&DeviceStatus {
        peers: vec![status],
        ..DeviceStatus::default()
    });
    assert_eq!(
        parse_answer(&answer, &zones).unwrap().peers[0].allowed_ips.len(),
        130_000
    );
    // Loose, for a loaded machine and a build without optimisation; anything quadratic takes minutes.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn the_status_is_printed_in_the_agreed_order() {
    let mut full = PeerStatus::new(PublicKey::from_bytes([0xab; 32]));
    full.preshared_key = Some(PresharedKey::from_bytes([0xcd; 32]));
    full.endpoint = Some("[fe80::1%3]:51820".parse().unwrap());
    full.last_handshake = Some(Duration::new(1_700_000_000, 7));
    (full.tx_bytes, full.rx_bytes, full.persistent_keepalive) = (u64::MAX, 2, 25);
    full.allowed_ips = vec!["10.0.0.0/8".parse().unwrap(), "::ffff:1.2.3.4".parse().unwrap()];
    let status = DeviceStatus {
        private_key: Some(PrivateKey::from_bytes([0x48; 32])),
        listen_port: 51820,
        fwmark: 51,
        peers: vec![full, PeerStatus::new(PublicKey::from_bytes([1; 32]))],
    };
    let expected = format!(
        "private_key={}\nlisten_port=51820\nfwmark=51\npublic_key={}\npreshared_key={}\nprotocol_version=1\n\
         endpoint=[fe80::1%3]:51820\nlast_handshake_time_sec=1700000000\nlast_handshake_time_nsec=7\n\
         tx_bytes=18446744073709551615\nrx_bytes=2\npersistent_keepalive_interval=25\nallowed_ip=10.0.0.0/8\n\
         allowed_ip=::ffff:1.2.3.4/128\npublic_key={}\npreshared_key={}\nprotocol_version=1\n\
         last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n\
         persistent_keepalive_interval=0\nerrno=0\n\n",
        "48".repeat(32),
        "ab".repeat(32),
        "cd".repeat(32),
        "01".repeat(32),
        "00".repeat(32),
    );
    let answer = get_answer(&status);
    assert_eq!(String::from_utf8_lossy(&answer), expected);
    let back = parse_answer(&answer, &zones).unwrap();
    assert_eq!(get_answer(&back), answer);
    assert_eq!(back.peers[1].last_handshake, None);
    assert!(!format!("{status:?}").contains("48") && !format!("{status:?}").contains("cd"));
    assert_eq!(get_answer(&DeviceStatus::default()).as_slice(), b"errno=0\n\n");
}

#[test]
fn text_never_outgrows_the_room_reserved() {
    let long = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535";
    let mut peer = PeerStatus::new(PublicKey::from_bytes([0xff; 32]));
    peer.endpoint = Some(long.parse().unwrap());
    peer.last_handshake = Some(Duration::new(u64::MAX, 999_999_999));
    (peer.tx_bytes, peer.rx_bytes, peer.persistent_keepalive) = (u64::MAX, u64::MAX, u16::MAX);
    peer.allowed_ips = vec!["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap(); 100];
    let status = DeviceStatus {
        private_key: None,
        listen_port: u16::MAX,
        fwmark: u32::MAX,
        peers: vec![peer],
    };
    assert!(get_answer(&status).len() <= 256 + 640 + 100 * 60);
}

#[test]
fn answers_carry_negative_numbers() {
    assert_eq!(set_answer(Ok(())), b"errno=0\n\n");
    assert_eq!(set_answer(Err(Errno::ADDRESS_IN_USE)), b"errno=-98\n\n");
    assert_eq!(
        parse_answer(b"errno=-98\n\n", &zones).unwrap_err(),
        AnswerError::Refused(Errno::ADDRESS_IN_USE)
    );
    assert_eq!(
        parse_answer(b"errno=22\n\n", &zones).unwrap_err(),
        AnswerError::Refused(Errno::INVALID)
    );
    assert_eq!(parse_answer(b"errno=0\n", &zones).unwrap_err(), AnswerError::Incomplete);
    assert_eq!(
        parse_answer(b"new_key=x\n\n", &zones).unwrap_err(),
        AnswerError::Incomplete
    );
    assert!(parse_answer(b"new_key=x\nerrno=0\n\n", &zones).is_ok());
    assert!(matches!(
        parse_answer(b"errno\n\n", &zones),
        Err(AnswerError::Malformed { line: 1, .. })
    ));
    assert_eq!(
        Errno::from_io(&std::io::Error::from_raw_os_error(98)),
        Errno::ADDRESS_IN_USE
    );
    assert_eq!(Errno::from_io(&std::io::Error::other("")), Errno::OTHER);
}

fn any_set() -> impl Strategy<Value = String> {
    let device = prop_oneof![
        Just("listen_port=1\n".to_owned()),
        Just("fwmark=7\n".to_owned()),
        Just("replace_peers=true\n".to_owned()),
        Just("bad line\n".to_owned()),
        Just("unknown=\n".to_owned()),
        any::<[u8; 32]>().prop_map(|key| format!(
            "private_key={}\n",
            str::from_utf8(&crate::key_text::hex(&key)[..]).unwrap()
        )),
    ];
    let peer = prop_oneof![
        3 => any::<[u8; 32]>().prop_map(|key| format!("public_key={}\n", str::from_utf8(&crate::key_text::hex(&key)[..]).unwrap())),
        6 => (any::<std::net::IpAddr>(), 0u8..=32).prop_map(|(ip, len)| format!("allowed_ip={ip}/{len}\n")),
        3 => any::<std::net::SocketAddrV4>().prop_map(|endpoint| format!("endpoint={endpoint}\n")),
        1 => Just("remove=true\n".to_owned()),
    ];
    (
        proptest::collection::vec(device, 0..4),
        proptest::collection::vec(peer, 0..12),
        any::<bool>(),
    )
        .prop_map(|(device, peers, get)| match get {
            true => "get=1\n\n".to_owned(),
            false => format!("set=1\n{}{}\n", device.concat(), peers.concat()),
        })
}

proptest! {
    #[test]
    fn requests_do_not_depend_on_how_the_bytes_arrive(
        texts in proptest::collection::vec(any_set(), 1..4), cuts in proptest::collection::vec(1usize..40, 1..50),
    ) {
        let text = texts.concat();
        let whole = requests(text.as_bytes());
        let mut reader = RequestReader::default();
        let mut pieces = Vec::new();
        let mut rest = text.as_bytes();
        for cut in cuts.into_iter().cycle() {
            let (mut piece, after) = rest.split_at(cut.min(rest.len()));
            while let Some(request) = reader.read(&mut piece, &zones) {
                pieces.push(request);
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        pieces.push(reader.finish());
        prop_assert_eq!(summary(&pieces), summary(&whole));
    }

    #[test]
    fn printed_requests_read_back(text in any_set()) {
        if let Request::Set(request) = requests(text.as_bytes()).remove(0) {
            let printed = set_request(&request);
            let Request::Set(again) = requests(&printed).remove(0) else { panic!() };
            prop_assert_eq!(set_request(&again), printed);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), start in 0..3usize) {
        let start = [&b""[..], b"set=1\n", b"get=1\n\nset=1\n"][start];
        let _ = requests(&[start, &bytes].concat());
        let _ = parse_answer(&bytes, &zones);
        let _ = parse_answer(&[&bytes[..], b"\n\n"].concat(), &zones);
    }
}
