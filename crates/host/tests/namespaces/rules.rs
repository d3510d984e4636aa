//! Policy rules.

use host::route::{self, PROTOCOL, Route};
use host::rule::{self, Goto, Rule};
use host::{Error, Family, Netlink};

use crate::{add_address, ip, run, two_namespaces, veth};

const TABLE: u32 = 51_820;
const MAIN: u32 = route::MAIN_TABLE;

/// What sends packets with a mark past that pair, and the place where they go on.
fn past(pair: [Rule; 2], fwmark: u32) -> [Rule; 2] {
    let [first, second] = pair;
    let end = Rule {
        priority: second.priority + 1,
        table: 0,
        suppress_prefix_len: None,
        ..first
    };
    let goto = Goto {
        fwmark,
        priority: end.priority,
    };
    let past = Rule {
        priority: first.priority - 1,
        goto: Some(goto),
        ..end
    };
    [past, end]
}

/// The two rules of a tunnel that takes the default route.
fn pair(family: Family, priority: u32, table: u32) -> [Rule; 2] {
    let main = Rule {
        family,
        priority,
        unless_fwmark: None,
        goto: None,
        table: MAIN,
        suppress_prefix_len: Some(0),
        protocol: PROTOCOL,
    };
    let tunnel = Rule {
        priority: priority + 1,
        unless_fwmark: Some(table),
        table,
        suppress_prefix_len: None,
        ..main
    };
    [main, tunnel]
}

fn ours(netlink: &mut Netlink, family: Family) -> Result<Vec<Rule>, Error> {
    let mut rules = rule::list(netlink, family)?;
    rules.retain(|rule| rule.protocol == PROTOCOL);
    Ok(rules)
}

#[test]
fn rules_are_listed_as_they_were_added_and_removed_one_by_one() -> Result<(), Error> {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    for family in Family::BOTH {
        let before = rule::list(&mut netlink, family)?;
        // Those of the kernel: local, main and, with IPv4, default.
        let priorities = rule::priorities(&mut netlink, family)?;
        assert_eq!(priorities[..2], [0, 32_766]);
        assert_eq!(before.len(), priorities.len());

        // Two tunnels, whose first rules differ in the priority only.
        let [one, other] = [pair(family, 32_001, TABLE), pair(family, 32_100, TABLE + 1)];
        let [past, end] = past(one, TABLE + 1);
        let one = [&[past], &one[..], &[end]].concat();
        for rule in one.iter().chain(&other) {
            rule::add(&mut netlink, *rule)?;
        }
        assert_eq!(ours(&mut netlink, family)?, [&one[..], &other].concat());
        assert_eq!(
            rule::priorities(&mut netlink, family)?[1..7],
            [32_000, 32_001, 32_002, 32_003, 32_100, 32_101]
        );
        let again = rule::add(&mut netlink, one[0]).unwrap_err();
        assert_eq!(again.raw_os_error(), Some(17), "{again}");

        for rule in one {
            rule::remove(&mut netlink, rule)?;
            let again = rule::remove(&mut netlink, rule).unwrap_err();
            assert_eq!(again.raw_os_error(), Some(2), "{again}");
        }
        assert_eq!(ours(&mut netlink, family)?, other);
        for rule in other {
            rule::remove(&mut netlink, rule)?;
        }
        assert_eq!(rule::list(&mut netlink, family)?, before);
    }
    Ok(())
}

#[test]
fn a_rule_of_somebody_else_stays() -> Result<(), Error> {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    for family in Family::BOTH {
        for rule in pair(family, 32_000, TABLE) {
            let foreign = Rule { protocol: 0, ..rule };
            rule::add(&mut netlink, foreign)?;
            rule::add(&mut netlink, rule)?;
            rule::remove(&mut netlink, rule)?;
            let refused = rule::remove(&mut netlink, rule).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(2), "{refused}");
            assert!(rule::list(&mut netlink, family)?.contains(&foreign), "{rule:?}");
        }
    }
    Ok(())
}

#[test]
fn a_rule_that_cannot_be_said_has_a_priority_only() -> Result<(), Error> {
    let Some([(here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    let known = rule::list(&mut netlink, Family::V4)?;
    let words = [
        "fwmark 7 table 7",
        "not fwmark 7/0xff table 7",
        "not from all iif lo table 7",
        "from 192.0.2.1 table 7",
        "to 192.0.2.0/24 table 7",
        "tos 0x10 table 7",
        "ipproto 17 table 7",
        "prohibit",
        "goto 32766",
        "not fwmark 7 goto 32766",
        "fwmark 7 nop",
    ];
    for condition in words {
        let Some(_) = run(&here, &format!("ip rule add {condition} pref 77"), "") else {
            return Ok(());
        };
    }
    assert_eq!(rule::list(&mut netlink, Family::V4)?, known);
    let priorities = rule::priorities(&mut netlink, Family::V4)?;
    assert_eq!(
        priorities.iter().filter(|priority| **priority == 77).count(),
        words.len()
    );
    Ok(())
}

#[test]
fn only_what_is_unmarked_and_has_no_better_route_goes_to_the_table() -> Result<(), Error> {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    let (uplink, tunnel) = (veth(&mut netlink, "va", "vb")?, veth(&mut netlink, "vc", "vd")?);
    add_address(&mut netlink, uplink, "192.0.2.1", 24)?;
    add_address(&mut netlink, uplink, "fd01::1", 64)?;
    for (family, default, far, near) in [
        (Family::V4, "0.0.0.0", "198.51.100.7", "192.0.2.9"),
        (Family::V6, "::", "2001:db8::7", "fd01::9"),
    ] {
        for (link, table) in [(uplink, MAIN), (tunnel, TABLE)] {
            let default = Route {
                destination: ip(default),
                prefix_len: 0,
                gateway: None,
                link,
                table,
                protocol: PROTOCOL,
            };
            route::add(&mut netlink, default)?;
        }
        let pair = pair(family, 32_001, TABLE);
        for rule in [past(pair, 2), pair].concat() {
            rule::add(&mut netlink, rule)?;
        }
        for (destination, fwmark, link) in [
            (far, 0, tunnel),
            (far, 1, tunnel),
            (far, 2, uplink),
            (far, TABLE, uplink),
            (near, 0, uplink),
        ] {
            let path = route::lookup(&mut netlink, ip(destination), fwmark)?;
            assert_eq!(path.link, link, "{destination} with mark {fwmark}");
        }
    }
    Ok(())
}
