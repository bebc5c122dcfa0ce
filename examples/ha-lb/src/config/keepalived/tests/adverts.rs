//! What decides on the adverts of an instance: family, version, peers, strict mode.

use super::*;

#[test]
fn ipv6_is_version_3_and_does_not_mix_with_ipv4() {
    let text = |addresses: &str| {
        format!(
            "vrrp_instance V {{\ninterface e\nvirtual_router_id 1\n\
             virtual_ipaddress {{\n{addresses}\n}}\n}}"
        )
    };
    let (config, said) = load_text(&text("fe80::52/64\n2001:db8::100/64"));
    assert!(said.is_empty(), "{said:?}");
    let instance = &config.unwrap().instances[0];
    assert_eq!(instance.version, Version::V3);
    assert_eq!(instance.family, Family::Ipv6);
    assert_eq!(instance.group.to_string(), "ff02::12");
    let older = text("fe80::52").replacen("interface e", "interface e\nversion 2", 1);
    let (config, said) = load_text(&older);
    assert_eq!(config, None);
    assert!(
        said[0].starts_with("f:3:1: error: version 2 is for IPv4 only"),
        "{said:?}"
    );
    // Without a link-local address first: as keepalived.
    let (config, said) = load_text(&text("2001:db8::100/64"));
    assert!(config.is_some());
    assert!(
        said[0].starts_with("f:5:1: warning: the first IPv6 address"),
        "{said:?}"
    );
    let strict = format!(
        "global_defs {{\nvrrp_strict\n}}\n{}",
        text("2001:db8::100/64")
    );
    assert_eq!(load_text(&strict).0, None);
    let (config, said) = load_text(&text("10.0.0.1\nfe80::1"));
    assert_eq!(config, None);
    assert!(
        said[0].starts_with("f:6:1: error: addresses of two families"),
        "{said:?}"
    );
}

#[test]
fn an_instance_without_addresses_is_allowed_in_version_2_only() {
    let text = |version| {
        format!("vrrp_instance V {{\ninterface e\nvirtual_router_id 1\nversion {version}\n}}")
    };
    let (config, said) = load_text(&text(2));
    assert!(config.is_some());
    assert!(said[0].contains("warning: an instance without addresses"));
    assert_eq!(load_text(&text(3)).0, None);
}

#[test]
fn unicast_peers_have_limits_and_a_family() {
    let (instance, said) = instance_with(
        "unicast_src_ip 10.0.0.5\nunicast_ttl 64\ncheck_unicast_src no\n\
         unicast_peer {\n10.0.0.6 min_ttl 255\n10.0.0.7 max_ttl 64 min_ttl 60\n}",
    );
    assert!(said.is_empty(), "{said:?}");
    let unicast = instance.unwrap().unicast.unwrap();
    assert_eq!(unicast.ttl, 64);
    assert!(!unicast.check_source);
    assert_eq!(unicast.peers[0].min_ttl, Some(255));
    assert_eq!(
        (unicast.peers[1].min_ttl, unicast.peers[1].max_ttl),
        (Some(60), Some(64))
    );
    let (instance, said) = instance_with("unicast_peer {\n}");
    assert_eq!(instance.unwrap().unicast, None);
    assert!(said[0].contains("adverts go to the group"), "{said:?}");
    for lines in [
        "unicast_fault_no_peer",
        "unicast_fault_no_peer\nunicast_peer {\n}",
    ] {
        let (instance, said) = instance_with(lines);
        assert_eq!(instance.unwrap().unicast.unwrap().peers, []);
        assert!(said[0].contains("the instance is in fault"), "{said:?}");
    }
    let none = remark("unicast_peer {\n10.0.0.6 min_ttl 5 max_ttl 4\n}");
    assert!(none.contains("no TTL is in these bounds"), "{none}");
    assert!(remark("unicast_peer {\nfe80::1\n}").contains("an address of the other family"));
}

#[test]
fn strict_is_the_rfc_and_no_more() {
    let text = |lines: &str| {
        format!(
            "global_defs {{\nvrrp_strict\n}}\nvrrp_instance V {{\ninterface e\n\
             virtual_router_id 1\n{lines}\nvirtual_ipaddress {{\n10.0.0.1\n}}\n}}"
        )
    };
    let (config, _) = load_text(&text(""));
    let instance = &config.unwrap().instances[0];
    assert!(!instance.accept);
    assert!(instance.lower_priority_no_advert);
    let (config, said) = load_text(&text(
        "version 3\nauthentication {\nauth_type PASS\nauth_pass x\n}\naccept",
    ));
    let instance = &config.unwrap().instances[0];
    assert_eq!(instance.authentication, None);
    assert!(instance.accept);
    assert_eq!(said.len(), 1);
    let (config, said) = load_text(&text("version 3\naccept\nunicast_peer {\n10.0.0.2\n}"));
    assert!(config.unwrap().instances[0].unicast.is_some());
    assert!(said.concat().contains("as by keepalived"), "{said:?}");
}

/// As keepalived 2.2.7 does it with the same files.
#[test]
fn strict_mode_takes_every_extension_away_and_says_so() {
    let instance = |lines: &str| {
        let (config, said) = load_text(&format!(
            "vrrp_instance V {{\ninterface e\nvirtual_router_id 1\nstrict_mode\n{lines}\n\
             virtual_ipaddress {{\n10.0.0.1\n}}\n}}"
        ));
        (config.unwrap().instances[0].clone(), said.concat())
    };
    let (plain, _) = instance("");
    for line in [
        "preempt_delay 5",
        "down_timer_adverts 5",
        "accept",
        "garp_lower_prio_repeat 3",
        "garp_lower_prio_delay 2",
        "lower_prio_no_advert off",
        "higher_prio_send_advert",
        "state MASTER\npriority 100",
    ] {
        let (taken, said) = instance(line);
        assert!(said.contains("strict mode has no"), "{line}: {said}");
        let same = (taken.preempt_delay, taken.down_timer_adverts, taken.accept)
            == (plain.preempt_delay, plain.down_timer_adverts, plain.accept)
            && (
                taken.lower_priority_no_advert,
                taken.higher_priority_send_advert,
            ) == (
                plain.lower_priority_no_advert,
                plain.higher_priority_send_advert,
            )
            && (taken.announcements, taken.state) == (plain.announcements, plain.state);
        assert!(same, "{line}: {taken:?}");
    }
    assert_eq!(plain.announcements.lower_priority_repeat, Some(0));
    // `state MASTER` takes `nopreempt` away, but a master that strict mode makes a backup of keeps it.
    assert!(!instance("state MASTER\nnopreempt\npriority 100").0.preempt);
    // The owner may be reached, in both versions.
    let (owner, said) = instance("state MASTER\npriority 255\naccept");
    assert!(
        owner.accept && !said.contains("strict mode has no"),
        "{said}"
    );
    let (_, said) = instance("state BACKUP\npriority 255");
    assert!(said.contains("it is master, as by keepalived"), "{said}");
}

/// What the file does not say is keepalived's, but for the phases of many instances, which are always spread.
#[test]
fn an_instance_begins_with_keepalived_s_policies_and_spread_phases() {
    let (config, _) = load_text(
        "vrrp_instance V {\ninterface e\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1\n}\n}",
    );
    let plan = crate::vrrp::plan(&config.unwrap());
    for policy in [
        "spread_phases: true",
        "contested_owner_yields: true",
        "lower_priority_no_advert: false",
        "owner_ignore_adverts: false",
        "startup_delay: 0ns",
        "down_timer_adverts: 3",
    ] {
        assert!(plan.contains(policy), "{policy}: {plan}");
    }
}
