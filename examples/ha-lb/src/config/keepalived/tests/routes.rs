//! Lines of `virtual_routes` and `virtual_rules`: what they mean, as `ip` would be told, and what is refused.

use vip_netlink::route::{Encapsulation, Route, Rule};

use super::{super::route, super::rule, instance_with};

fn routes(lines: &str) -> (Option<Vec<Route>>, Vec<String>) {
    let (instance, said) = instance_with(&format!("virtual_routes {{\n{lines}\n}}"));
    (instance.map(|instance| instance.routes), said)
}

fn rules(lines: &str) -> (Option<Vec<Rule>>, Vec<String>) {
    let (instance, said) = instance_with(&format!("virtual_rules {{\n{lines}\n}}"));
    (instance.map(|instance| instance.rules), said)
}

/// A line, and what `ip` would be told.
const ROUTES: &[(&str, &str)] = &[
    (
        "src 192.168.100.1 to 192.168.109.0/24 via 192.168.200.254 dev eth1",
        "192.168.109.0/24 via 192.168.200.254 dev eth1 src 192.168.100.1",
    ),
    (
        "192.168.111.0/24 oif eth2 no_track",
        "192.168.111.0/24 dev eth2",
    ),
    (
        "default via 10.0.0.9 metric 5",
        "default via 10.0.0.9 metric 5",
    ),
    (
        "0.0.0.0/0 gw 10.0.0.9 table 100",
        "default via 10.0.0.9 table 100",
    ),
    (
        "default via fe80::1 dev eth0",
        "default via fe80::1 dev eth0",
    ),
    (
        "inet6 default dev eth0 pref high",
        "default dev eth0 pref high",
    ),
    (
        "inet 10.1.0.0/16 dev eth0 priority 9",
        "10.1.0.0/16 dev eth0 metric 9",
    ),
    (
        "10.1.0.1 dev eth0 preference 9",
        "10.1.0.1/32 dev eth0 metric 9",
    ),
    (
        "10.1.0.0/16 via inet6 fe80::1 dev eth0",
        "10.1.0.0/16 via fe80::1 dev eth0",
    ),
    ("blackhole 192.168.114.0/24", "blackhole 192.168.114.0/24"),
    (
        "unreachable 1:2::/32 table local",
        "unreachable 1:2::/32 table 255",
    ),
    ("prohibit 10.1.0.0/16 append", "prohibit 10.1.0.0/16"),
    ("throw 10.1.0.0/16 track_group G", "throw 10.1.0.0/16"),
    ("unicast 10.1.0.0/16 dev eth0", "10.1.0.0/16 dev eth0"),
    ("local 10.1.0.0/16 dev lo", "local 10.1.0.0/16 dev lo"),
    (
        "broadcast 10.1.0.0/16 dev eth0",
        "broadcast 10.1.0.0/16 dev eth0",
    ),
    (
        "multicast 225.0.0.0/8 dev eth0",
        "multicast 225.0.0.0/8 dev eth0",
    ),
    (
        "10.1.0.0/16 table 6909 nexthop via 10.0.0.1 dev eth0 onlink weight 1 nexthop via 10.0.0.2 dev eth0 weight 2",
        "10.1.0.0/16 table 6909 nexthop via 10.0.0.1 dev eth0 onlink nexthop via 10.0.0.2 dev eth0 weight 2",
    ),
    (
        "10.1.0.0/16 via 10.0.0.1 or 10.0.0.2 dev eth1",
        "10.1.0.0/16 nexthop via 10.0.0.1 dev eth1 nexthop via 10.0.0.2 dev eth1",
    ),
    (
        "10.1.0.0/16 dev eth0 tos 0x04 protocol bird scope link mtu 1000 hoplimit 100 advmss 101 rtt 300 \
         rttvar 1s reordering 104 window 105 cwnd 106 ssthresh lock 107 rto_min 400ms initcwnd 109 initrwnd 110 \
         features ecn quickack 1 congctl lock cubic fastopen_no_cookie 1",
        "10.1.0.0/16 tos 0x04 dev eth0 proto 12 scope 253 mtu 1000 hoplimit 100 advmss 101 rtt 2400 rttvar 4000 \
         reordering 104 window 105 cwnd 106 ssthresh lock 107 rto_min 400 initcwnd 109 initrwnd 110 features 1 \
         quickack 1 fastopen_no_cookie 1 congctl lock cubic",
    ),
    (
        "10.1.0.0/16 dev eth0 dsfield 10 proto 99",
        "10.1.0.0/16 tos 0x10 dev eth0 proto 99",
    ),
    (
        "10.1.0.0/16 dev eth0 realms 4/5",
        "10.1.0.0/16 dev eth0 realms 4/5",
    ),
    (
        "10.1.0.0/16 dev eth0 realm 5",
        "10.1.0.0/16 dev eth0 realms 0/5",
    ),
    (
        "1:2::/32 from 1:3::/32 dev eth0 expires 60",
        "1:2::/32 from 1:3::/32 dev eth0 expires 60",
    ),
    (
        "10.1.0.0/16 dev eth0 ttl-propagate enabled",
        "10.1.0.0/16 dev eth0",
    ),
    (
        "10.1.0.0/16 dev eth0 ttl_propagate disabled",
        "10.1.0.0/16 dev eth0",
    ),
    (
        "10.1.0.0/16 encap mpls 16/17 via 10.0.0.1",
        "10.1.0.0/16 encap mpls 16/17 via 10.0.0.1",
    ),
    (
        "10.1.0.0/16 encap ip id 5 dst 10.9.9.9 ttl 7 dev eth0",
        "10.1.0.0/16 encap ip dev eth0",
    ),
    (
        "1:2::/32 encap ip6 dst 1:9::9 hoplimit 7 dev eth0",
        "1:2::/32 encap ip6 dev eth0",
    ),
];

#[test]
fn every_word_of_a_route_means_what_ip_route_says() {
    for (line, expected) in ROUTES {
        let (read, said) = routes(line);
        let read = read.unwrap_or_else(|| panic!("{line}: {said:?}"));
        assert_eq!(read[0].to_string(), *expected, "{line}");
    }
    let untested = route::WORDS.iter().filter(|word| {
        let refused = ["vrf", "as"].contains(word);
        let shown = |(line, _): &(&str, &str)| line.split(' ').any(|one| one == **word);
        !refused && !ROUTES.iter().any(shown)
    });
    assert_eq!(
        untested.collect::<Vec<_>>(),
        [""; 0].iter().collect::<Vec<_>>()
    );
    let all = |line: &str| routes(line).0.unwrap().remove(0);
    assert!(all("10.1.0.0/16 dev eth0 no_track append").untracked);
    assert!(all("10.1.0.0/16 dev eth0 append").append);
    assert_eq!(
        all("1:2::/32 dev eth0 ttl-propagate disabled").ttl_propagate,
        Some(false)
    );
    let hops = all("10.1.0.0/16 encap ip id 5 dst 10.9.9.9 src 10.9.9.8 ttl 7 tos 4 dev eth0").hops;
    let Some(Encapsulation::Ip(tunnel)) = hops[0].encapsulation else {
        panic!("{hops:?}")
    };
    assert_eq!(
        (tunnel.id, tunnel.ttl, tunnel.tos),
        (Some(5), Some(7), Some(4))
    );
}

#[test]
fn a_route_that_cannot_be_is_refused_with_its_place() {
    for (line, expected) in [
        ("via 10.0.0.1", "a route without a destination"),
        ("10.1.0.0/16", "a route that leads nowhere"),
        ("10.1.0.0/16 src 10.0.0.1", "a route that leads nowhere"),
        ("blackhole 10.1.0.0/16 dev eth0", "packets that go nowhere"),
        (
            "10.1.0.0/16 via fe80::1 src fe80::2",
            "no address of this route",
        ),
        ("1:2::/32 via 10.0.0.1", "no address of this route"),
        (
            "inet6 10.1.0.0/16 dev eth0",
            "no destination of that family",
        ),
        ("10.1.0.0/16 dev eth0 pref low", "no option of this route"),
        ("1:2::/32 dev eth0 realms 4", "no option of this route"),
        (
            "10.1.0.0/16 dev eth0 nexthop via 10.0.0.1",
            "beside `nexthop`",
        ),
        (
            "10.1.0.0/16 nexthop via 10.0.0.1 mtu 1400",
            "no word of a next hop",
        ),
        (
            "10.1.0.0/16 nexthop via 10.0.0.1 weight 0",
            "no value of `weight`",
        ),
        ("10.1.0.0/16 dev eth0 table blue", "no routing table"),
        ("10.1.0.0/16 dev eth0 mtu", "a value is missing"),
        ("10.1.0.0/16 dev eth0 vrf blue", "not supported: `vrf`"),
        (
            "10.1.0.0/16 encap ila 1:2:3:4 dev eth0",
            "not supported: `ila`",
        ),
        ("10.1.0.0/16 dev eth0 metrik 3", "did you mean `metric`"),
        ("10.1.0.0/33 dev eth0", "no address"),
    ] {
        let (read, said) = routes(line);
        assert!(read.is_none(), "{line}");
        assert!(
            said.iter()
                .any(|one| one.starts_with("f:5:") && one.contains(expected)),
            "{line}: {said:?}"
        );
    }
    let (_, said) = routes("10.1.0.0/16 gw 10.0.0.1\n10.2.0.0/16 dev eth0 rtt 5");
    assert!(
        said[0].contains("a route without a device")
            && said[1].contains("obsolete word")
            && said[2].contains("200 ms"),
        "{said:?}"
    );
}

const RULES: &[(&str, &str)] = &[
    (
        "from 192.168.2.0/24 table 1 priority 5",
        "priority 5 from 192.168.2.0/24 lookup 1",
    ),
    (
        "to 192.168.2.0/24 lookup main preference 5 no_track",
        "priority 5 from all to 192.168.2.0/24 lookup 254",
    ),
    (
        "from 1.0.0.0/8 to 2.0.0.0/8 table 7 iif eth0 oif lo tos 10 fwmark 24/12 pref 39 realms 30/20",
        "priority 39 from 1.0.0.0/8 to 2.0.0.0/8 tos 0x10 fwmark 0x18/0xc iif eth0 oif lo lookup 7",
    ),
    (
        "from 1.0.0.0/8 order 30 goto 40",
        "priority 30 from 1.0.0.0/8 goto 40",
    ),
    (
        "to 1:2::/32 from 7:6::/32 table 6908 uidrange 10-19 priority 1",
        "priority 1 from 7:6::/32 to 1:2::/32 uidrange 10-19 lookup 6908",
    ),
    (
        "to 1:2::/32 l3mdev protocol 12 ipproto UDP sport 10-20 dport 20 priority 1",
        "priority 1 from all to 1:2::/32 ipproto 17 sport 10-20 dport 20-20 l3mdev",
    ),
    (
        "blackhole from 1.0.0.0/8 priority 1",
        "priority 1 from 1.0.0.0/8 blackhole",
    ),
    (
        "from 1.0.0.0/8 unreachable priority 1",
        "priority 1 from 1.0.0.0/8 unreachable",
    ),
    (
        "from 1.0.0.0/8 type prohibit priority 1",
        "priority 1 from 1.0.0.0/8 prohibit",
    ),
    (
        "inet from any nop priority 1 track_group G",
        "priority 1 from all nop",
    ),
    (
        "not from 1.0.0.0/8 lookup main suppress_prefixlength 0 priority 1 dev eth0",
        "priority 1 not from 1.0.0.0/8 iif eth0 lookup 254",
    ),
    (
        "inet6 fwmark 3 table 9 sup_pl 1 priority 1",
        "priority 1 from all fwmark 0x3 lookup 9",
    ),
    (
        "table 9 suppress_prefixlen 1 priority 1",
        "priority 1 from all lookup 9",
    ),
    (
        "table 9 suppress_ifgroup default dsfield 4 priority 1",
        "priority 1 from all tos 0x04 lookup 9",
    ),
    (
        "table 9 sup_group 3 tunnel-id 7 priority 1",
        "priority 1 from all tunnel-id 7 lookup 9",
    ),
    (
        "table 9 tunnel_id 7 proto 4 ip_proto 6 priority 1",
        "priority 1 from all ipproto 6 tunnel-id 7 lookup 9",
    ),
];

#[test]
fn every_word_of_a_rule_means_what_ip_rule_says() {
    for (line, expected) in RULES {
        let (read, said) = rules(line);
        let read = read.unwrap_or_else(|| panic!("{line}: {said:?}"));
        assert_eq!(read[0].to_string(), *expected, "{line}");
    }
    let untested = rule::WORDS.iter().filter(|word| {
        let shown = |(line, _): &(&str, &str)| line.split(' ').any(|one| one == **word);
        !RULES.iter().any(shown)
    });
    assert_eq!(
        untested.collect::<Vec<_>>(),
        [""; 0].iter().collect::<Vec<_>>()
    );
    let all = |line: &str| rules(line).0.unwrap().remove(0);
    assert_eq!(all(RULES[2].0).realms, Some((30, 20)));
    assert_eq!(
        all("table 9 sup_group 3 priority 1").suppress_group,
        Some(3)
    );
    assert_eq!(all("table 9 sup_pl 3 priority 1").suppress_length, Some(3));
    assert_eq!(all("table 9 proto bird priority 1").protocol, 12);
    assert!(all("table 9 no_track priority 1").untracked);
}

#[test]
fn rules_without_a_priority_get_keepalived_s_and_it_is_said() {
    let (read, said) = rules("from 1.0.0.0/8 table 1\nfrom 1:2::/32 table 1\nto 2.0.0.0/8 table 1");
    let priorities: Vec<u32> = read.unwrap().iter().map(|rule| rule.priority).collect();
    assert_eq!(priorities, [16_384, 16_384, 16_383]);
    assert!(
        said[2].contains("f:7:") && said[2].contains("it gets 16383"),
        "{said:?}"
    );
}

#[test]
fn a_rule_that_cannot_be_is_refused_with_its_place() {
    for (line, expected) in [
        ("from 1.0.0.0/8 priority 1", "a rule that does nothing"),
        (
            "from 1.0.0.0/8 to 1:2::/32 table 1",
            "a rule of two families",
        ),
        ("inet6 from 1.0.0.0/8 table 1", "a rule of two families"),
        ("from 1.0.0.0/8 table 0", "no table"),
        ("from 1.0.0.0/8 table 1 blackhole", "no second thing"),
        ("from 1.0.0.0/8 goto 5", "`goto` without a priority"),
        ("from 1.0.0.0/8 goto 5 priority 6", "`goto` backwards"),
        (
            "from 1.0.0.0/8 blackhole sup_pl 3",
            "where no table is asked",
        ),
        (
            "from 1:2::/32 table 1 realms 3",
            "no option of an IPv6 rule",
        ),
        (
            "from 1.0.0.0/8 table 1 uidrange 9-3",
            "no range of `uidrange`",
        ),
        ("from 1.0.0.0/8 table 1 sport 70000", "no range of `sport`"),
        ("from 1.0.0.0/8 tabel 1", "did you mean `table`"),
    ] {
        let (read, said) = rules(line);
        assert!(read.is_none(), "{line}");
        assert!(
            said.iter()
                .any(|one| one.starts_with("f:5:") && one.contains(expected)),
            "{line}: {said:?}"
        );
    }
}
