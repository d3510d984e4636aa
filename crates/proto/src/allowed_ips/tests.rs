use super::*;

fn peer(slot: u32) -> PeerId {
    PeerId::new(slot, 0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn add(table: &mut AllowedIps, who: u32, prefix: &str) {
    let (address, len) = prefix.split_once('/').unwrap();
    table.insert(peer(who), ip(address), len.parse().unwrap()).unwrap();
}

fn list(table: &AllowedIps, who: u32) -> Vec<String> {
    table
        .iter(peer(who))
        .map(|(address, len)| format!("{address}/{len}"))
        .collect()
}

fn owner(table: &AllowedIps, address: &str) -> Option<u32> {
    table.lookup(ip(address)).map(PeerId::slot)
}

#[test]
fn longest_prefix_wins() {
    let mut t = AllowedIps::default();
    add(&mut t, 1, "192.168.4.0/24");
    add(&mut t, 2, "192.168.4.4/32");
    add(&mut t, 3, "192.168.0.0/16");
    add(&mut t, 4, "192.95.5.64/27");
    add(&mut t, 3, "192.95.5.65/27");
    add(&mut t, 4, "0.0.0.0/0");
    add(&mut t, 5, "64.15.112.0/20");
    add(&mut t, 6, "64.15.123.211/25");
    assert_eq!(owner(&t, "192.168.4.20"), Some(1));
    assert_eq!(owner(&t, "192.168.4.4"), Some(2));
    assert_eq!(owner(&t, "192.168.200.182"), Some(3));
    assert_eq!(owner(&t, "192.95.5.68"), Some(3));
    assert_eq!(owner(&t, "192.95.5.96"), Some(4));
    assert_eq!(owner(&t, "64.15.116.26"), Some(5));
    assert_eq!(owner(&t, "64.15.123.128"), Some(6));
    assert_eq!(owner(&t, "64.15.123.129"), Some(6));
    assert_eq!(owner(&t, "64.15.123.0"), Some(5));
    assert_eq!(owner(&t, "::1"), None);
}

#[test]
fn ipv6_overlaps_and_default_route_moves() {
    let mut t = AllowedIps::default();
    add(&mut t, 1, "::/0");
    add(&mut t, 2, "::/0");
    add(&mut t, 3, "2607:5300::/32");
    add(&mut t, 4, "2607:5300:6006:b0::/64");
    add(&mut t, 5, "2607:5300:6006:b0::c05f:543/128");
    assert_eq!(owner(&t, "::1"), Some(2));
    assert_eq!(owner(&t, "2607:5300::1"), Some(3));
    assert_eq!(owner(&t, "2607:5300:6006:b0::1"), Some(4));
    assert_eq!(owner(&t, "2607:5300:6006:b0::c05f:543"), Some(5));
    assert_eq!(list(&t, 1), [""; 0]);
    assert_eq!(owner(&t, "1.2.3.4"), None);
}

#[test]
fn listing_is_masked_and_in_insertion_order() {
    let mut t = AllowedIps::default();
    for prefix in [
        "192.95.5.93/27",
        "26:75::1/128",
        "192.95.5.83/21",
        "10.1.0.20/29",
        "10.1.0.28/30",
        "10.1.0.0/25",
    ] {
        add(&mut t, 0, prefix);
    }
    assert_eq!(
        list(&t, 0),
        [
            "192.95.5.64/27",
            "26:75::1/128",
            "192.95.0.0/21",
            "10.1.0.16/29",
            "10.1.0.28/30",
            "10.1.0.0/25"
        ]
    );
    add(&mut t, 0, "26:75::1/128");
    assert_eq!(list(&t, 0).last().unwrap(), "26:75::1/128");
    add(&mut t, 1, "10.1.0.17/29");
    assert_eq!(list(&t, 1), ["10.1.0.16/29"]);
    assert_eq!(
        list(&t, 0),
        [
            "192.95.5.64/27",
            "192.95.0.0/21",
            "10.1.0.28/30",
            "10.1.0.0/25",
            "26:75::1/128"
        ]
    );
}

#[test]
fn removal_needs_the_exact_prefix_and_owner() {
    let mut t = AllowedIps::default();
    add(&mut t, 1, "10.0.0.0/24");
    t.remove(peer(2), ip("10.0.0.0"), 24);
    t.remove(peer(1), ip("10.0.0.0"), 25);
    t.remove(peer(1), ip("10.0.0.0"), 33);
    assert_eq!(owner(&t, "10.0.0.9"), Some(1));
    t.remove(peer(1), ip("10.0.0.77"), 24);
    assert_eq!(owner(&t, "10.0.0.9"), None);
    assert_eq!(t.v4.live_nodes(), 0);
    assert_eq!(t.insert(peer(1), ip("10.0.0.0"), 33), Err(ConfigError::BadPrefix));
    assert_eq!(t.insert(peer(1), ip("::"), 129), Err(ConfigError::BadPrefix));
}

#[test]
fn single_bit_hosts_are_all_freed() {
    let mut t = AllowedIps::default();
    for bit in 0..128 {
        t.insert(peer(bit), Ipv6Addr::from_bits(1 << bit).into(), 128).unwrap();
    }
    for bit in 0..128 {
        assert_eq!(t.lookup(Ipv6Addr::from_bits(1 << bit).into()), Some(peer(bit)));
    }
    for bit in 0..128 {
        t.clear(peer(bit));
    }
    assert_eq!(t.v6.live_nodes(), 0);
    assert!(t.entries.is_empty());
}

#[test]
fn a_quarter_million_prefixes_load_and_list_in_order() {
    let mut t = AllowedIps::default();
    let address = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761)));
    for n in 0..1 << 18 {
        t.insert(peer(0), address(n), 32).unwrap();
    }
    assert!(
        t.iter(peer(0))
            .enumerate()
            .all(|(n, found)| found == (address(n as u32), 32))
    );
    assert_eq!(t.iter(peer(0)).count(), 1 << 18);
    for n in 0..1 << 17 {
        t.remove(peer(0), address(n), 32);
    }
    assert_eq!(t.iter(peer(0)).next(), Some((address(1 << 17), 32)));
    t.clear(peer(0));
    assert_eq!(t.v4.live_nodes(), 0);
}

/// The same table as a plain list.
#[derive(Default)]
struct Model(Vec<(IpAddr, u8, u32)>);

impl Model {
    fn remove(&mut self, address: IpAddr, len: u8, who: Option<u32>) {
        self.0
            .retain(|&(a, l, w)| (a, l) != (address, len) || who.is_some_and(|who| who != w));
    }

    fn lookup(&self, address: IpAddr) -> Option<u32> {
        let fits = |&&(a, l, _): &&(IpAddr, u8, u32)| a.is_ipv4() == address.is_ipv4() && masked(address, l) == Some(a);
        self.0
            .iter()
            .filter(fits)
            .max_by_key(|(_, l, _)| *l)
            .map(|(_, _, w)| *w)
    }
}

#[test]
fn agrees_with_a_list_under_random_changes() {
    let mut state = 7u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut t, mut model) = (AllowedIps::default(), Model::default());
    for _ in 0..20_000 {
        // Few distinct addresses, so that prefixes meet.
        let v6 = random(2) == 1;
        let bits = random(64) as u32 | (random(4) as u32) << 30;
        let address: IpAddr = match v6 {
            true => Ipv6Addr::from_bits(u128::from(bits) << 40).into(),
            false => Ipv4Addr::from_bits(bits).into(),
        };
        let len = random(if v6 { 129 } else { 33 }) as u8;
        let who = random(5) as u32;
        let prefix = masked(address, len).unwrap();
        match random(10) {
            0..5 => {
                t.insert(peer(who), address, len).unwrap();
                model.remove(prefix, len, None);
                model.0.push((prefix, len, who));
            }
            5..9 => {
                t.remove(peer(who), address, len);
                model.remove(prefix, len, Some(who));
            }
            _ if random(20) == 0 => {
                t.clear(peer(who));
                model.0.retain(|entry| entry.2 != who);
            }
            _ => {}
        }
        assert_eq!(t.lookup(address).map(PeerId::slot), model.lookup(address));
        let expected: Vec<_> = model.0.iter().filter(|e| e.2 == who).map(|e| (e.0, e.1)).collect();
        assert_eq!(t.iter(peer(who)).collect::<Vec<_>>(), expected);
        assert!(t.v4.live_nodes() + t.v6.live_nodes() <= 2 * model.0.len());
    }
}
