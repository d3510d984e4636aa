use super::*;

fn sample() -> Report {
    Report {
        version: "0.1.0",
        kernel: "6.18.1".to_owned(),
        rights: "root",
        ok: true,
        mtu: 1420,
        handshake_us: 1_240.0,
        first_answer_us: 1_310.04,
        ping: vec![
            Ping {
                family: "IPv4",
                count: 200,
                bare_us: 18.2,
                tunnel_us: 71.04,
            },
            Ping {
                family: "IPv6",
                count: 200,
                bare_us: 18.9,
                tunnel_us: 72.4,
            },
        ],
        transfer: Transfer {
            bare_bytes: 256 << 20,
            bare_bits_per_second: 11.2e9,
            tunnel_bytes: 256 << 20,
            tunnel_bits_per_second: 2.8e9,
            hashed_bytes: 64 << 20,
            sha256: "ab".repeat(32),
        },
        offloads: Offloads {
            tun_checksum: true,
            tun_tcp: true,
            tun_udp: false,
            udp_gso: true,
            udp_gro: true,
            cipher: "library",
            datagrams_per_send: 44.96,
            max_segments: Some(45),
        },
        wire: Wire {
            watch_proven: true,
            seen: Seen {
                frames: 1_237,
                initiations: 1,
                responses: 1,
                data: 1_235,
                ..Seen::default()
            },
        },
    }
}

#[test]
fn a_report_for_people_is_aligned_and_complete() {
    let sha = "ab".repeat(32);
    let expected = format!(
        "The tunnel works.

Handshake     1.24 ms (first packet answered after 1.31 ms)

                             bare path          tunnel
Ping IPv4                      18.2 µs         71.0 µs   52.8 µs added, median of 200
Ping IPv6                      18.9 µs         72.4 µs   53.5 µs added, median of 200
TCP, 256 MiB              11.20 Gbit/s     2.80 Gbit/s   25 % of the bare path

SHA-256       64 MiB over IPv6, the same at both ends: {sha}
Offloads      TUN checksum, TUN TSO, UDP GSO, UDP GRO; not active: TUN USO; 45.0 datagrams a send; cipher by library
On the wire   all ciphertext in 1,237 frames looked at: 1 initiation, 1 response, 1,235 data

adit 0.1.0, Linux 6.18.1, run as root, tunnel MTU 1420"
    );
    assert_eq!(sample().to_string(), expected);
}

#[test]
fn readable_frames_and_an_unproven_watch_are_said_loudly() {
    let mut report = sample();
    report.wire.seen.plaintext = 3;
    assert!(report.wire.to_string().starts_with("PLAINTEXT in 3 of 1,237 frames"));
    report.wire.seen.plaintext = 0;
    report.wire.watch_proven = false;
    assert!(report.wire.to_string().starts_with("NOT PROVEN"));
}

#[test]
fn a_report_for_programs_is_one_flat_enough_object() {
    let json = serde_json::to_value(sample()).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["wire"]["data"], 1_235);
    assert_eq!(json["ping"][1]["family"], "IPv6");
    assert_eq!(json["transfer"]["tunnel_bits_per_second"], 2.8e9);
    assert_eq!(json["offloads"]["max_segments"], 45);
}

#[test]
fn units_change_where_they_should() {
    assert_eq!(
        [0.04, 999.9, 1_000.0, 2.5e6].map(time),
        ["0.0 µs", "999.9 µs", "1.00 ms", "2.50 s"]
    );
    assert_eq!(time(-3.21), "-3.2 µs");
    assert_eq!(
        [0, 1023, 1 << 20, 3 << 29].map(size),
        ["0 B", "1023 B", "1 MiB", "1.5 GiB"]
    );
    assert_eq!(
        [0, 999, 1_000, 1_234_567].map(grouped),
        ["0", "999", "1,000", "1,234,567"]
    );
}
