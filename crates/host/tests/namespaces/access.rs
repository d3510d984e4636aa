//! nftables: what peers may reach.

use host::nft::access::{Group, table};
use host::nft::{Nftables, Table};
use host::{Error, Family};

use crate::{run, two_namespaces};

/// What [`table`] shall be, as people would write it.
const ACCESS: &str = "
table ip adit-access-wg0 {
  map sources-16 { type ipv4_addr : verdict; elements = { 10.8.0.0 : accept } }
  map sources-31 { type ipv4_addr : verdict; elements = { 10.8.2.6 : goto allow-1 } }
  map sources-32 { type ipv4_addr : verdict; elements = { 10.8.0.2 : goto allow-1, 10.8.0.3 : goto allow-3 } }
  chain allow-1 {
    ip daddr 10.0.0.0/20 counter accept
    ip daddr 10.1.0.5 tcp dport 443 counter accept
    tcp dport 53 counter accept
    udp dport 53 counter accept
    counter reject with icmp type admin-prohibited
  }
  chain allow-3 {
    counter reject with icmp type admin-prohibited
  }
  chain peers {
    ct direction reply accept
    meta l4proto icmp ct state related accept
    ip saddr vmap @sources-32
    ip saddr & 255.255.255.254 vmap @sources-31
    ip saddr & 255.255.0.0 vmap @sources-16
    counter drop
  }
  chain prerouting { type filter hook prerouting priority 0; iifname wg0 jump peers; }
}
table ip6 adit-access-wg0 {
  map sources-0 { type ipv6_addr : verdict; elements = { :: : goto allow-3 } }
  map sources-128 { type ipv6_addr : verdict; elements = { fd08::2 : goto allow-1 } }
  chain allow-1 {
    ip6 daddr fd00::/61 udp dport 8000-8100 counter accept
    tcp dport 53 counter accept
    udp dport 53 counter accept
    counter reject with icmpv6 type admin-prohibited
  }
  chain allow-3 {
    counter reject with icmpv6 type admin-prohibited
  }
  chain peers {
    ct direction reply accept
    meta l4proto ipv6-icmp ct state related accept
    ip6 saddr vmap @sources-128
    ip6 saddr & :: vmap @sources-0
    counter drop
  }
  chain prerouting { type filter hook prerouting priority 0; iifname wg0 jump peers; }
}
";

fn group(sources: &[&str], allowed: &[&str]) -> Group {
    Group {
        sources: sources.iter().map(|text| text.parse().unwrap()).collect(),
        allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

fn tables(groups: &[Group]) -> Result<Vec<Table>, Error> {
    Family::BOTH
        .map(|family| table(family, "wg0", groups))
        .into_iter()
        .collect()
}

#[test]
fn the_tables_are_as_people_would_write_them() -> Result<(), Error> {
    let Some([(here, _), (there, _)]) = two_namespaces() else {
        return Ok(());
    };
    let Some(_) = run(&there, "nft -f -", ACCESS) else {
        return Ok(());
    };
    let services = ["10.0.0.0/20", "10.1.0.5:443/tcp", "[fd00::/61]:8000-8100/udp", "any:53"];
    let groups = [
        group(&["10.8.0.2/32", "10.8.0.3/32", "10.8.2.6/31", "fd08::2/128"], &services),
        group(&["10.8.0.0/16"], &["10.0.0.1", "any"]),
        group(&["10.8.0.3/32", "::/0"], &[]),
    ];
    here.run(Nftables::open).unwrap()?.replace(&tables(&groups)?)?;
    let listing = |namespace| run(namespace, "nft list ruleset", "");
    let [made, written] = [&here, &there].map(listing);
    assert!(made.as_ref().is_some_and(|made| made.contains("sources-31")));
    assert_eq!(made, written);
    Ok(())
}

#[test]
fn what_somebody_puts_into_a_map_is_seen() -> Result<(), Error> {
    let Some([(here, _), _]) = two_namespaces() else {
        return Ok(());
    };
    let tables = tables(&[group(&["10.8.0.2/32", "fd08::/64"], &["10.0.0.1"])])?;
    let mut nftables = here.run(Nftables::open).unwrap()?;
    for change in [
        "add element ip adit-access-wg0 sources-32 { 10.8.0.3 : accept }",
        "delete element ip adit-access-wg0 sources-32 { 10.8.0.2 }",
        "delete element ip adit-access-wg0 sources-32 { 10.8.0.2 }; add element ip adit-access-wg0 sources-32 { 10.8.0.2 : accept }",
        "flush map ip adit-access-wg0 sources-32",
    ] {
        nftables.replace(&tables)?;
        assert!(nftables.has(&tables[0])? && nftables.has(&tables[1])?);
        let Some(_) = run(&here, "nft -f -", change) else {
            return Ok(());
        };
        assert!(!nftables.has(&tables[0])?, "{change}");
        assert!(nftables.has(&tables[1])?, "{change}");
    }
    Ok(())
}

#[test]
fn ten_thousand_peers_have_rules_of_their_own() -> Result<(), Error> {
    let Some([(here, _), _]) = two_namespaces() else {
        return Ok(());
    };
    let peer = |n: u32| {
        let [_, _, high, low] = n.to_be_bytes();
        group(
            &[&format!("10.8.{high}.{low}/32")],
            &[&format!("10.9.{high}.{low}:443/tcp")],
        )
    };
    let groups: Vec<Group> = (0..10_000).map(peer).collect();
    let tables = tables(&groups)?;
    let mut nftables = here.run(Nftables::open).unwrap()?;
    nftables.replace(&tables)?;
    assert!(nftables.has(&tables[0])?);
    assert!(!nftables.has(&table(Family::V4, "wg0", &groups[1..])?)?);
    Ok(())
}
