//! `track_group`: what is static, and who is in fault without its interface.

use super::*;

const INSTANCES: &str = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1\n}\n\
    track_interface {\neth2 weight -5\n}\n}\n\
    vrrp_instance W {\ninterface eth1\nvirtual_router_id 2\nvirtual_ipaddress {\n10.0.0.2\n}\n}\n\
    vrrp_instance ALONE {\ninterface eth0\nvirtual_router_id 3\nvirtual_ipaddress {\n10.0.0.3\n}\n}\n";

#[test]
fn instances_track_the_interfaces_of_what_names_their_group() {
    let text = format!(
        "static_ipaddress {{\n10.1.0.1/24 dev eth1 track_group G\n10.2.0.1/24 dev eth2 track_group G\n\
         10.9.0.1/24 dev eth9\n}}\n\
         static_routes {{\n10.3.0.0/16 via 10.1.0.9 dev eth3 track_group G\n}}\n\
         static_rules {{\nfrom 10.4.0.0/16 iif eth4 table 1 priority 5 track_group G\n}}\n\
         track_group G {{\ngroup {{\nV W\n}}\n}}\n{INSTANCES}"
    );
    let (config, said) = load_text(&text);
    assert!(said.is_empty(), "{said:?}");
    let config = config.unwrap();
    let tracked = |position: usize| {
        let tracked = config.instances[position].track_interfaces.iter();
        let tracked = tracked.map(|one| format!("{} {}", one.name, one.weight));
        tracked.collect::<Vec<_>>().join(", ")
    };
    // What the instance says itself counts, and its own interface is tracked in any case.
    assert_eq!(tracked(0), "eth2 -5, eth3 0, eth4 0, eth1 0");
    assert_eq!(tracked(1), "eth3 0, eth4 0, eth2 0");
    assert_eq!(tracked(2), "");
    assert_eq!(config.fixed.addresses.len(), 3);
}

#[test]
fn what_keepalived_does_not_track_is_said() {
    let of = |lines: &str, group: &str| {
        let text = format!("{lines}\ntrack_group {group}\n{INSTANCES}");
        let (config, said) = load_text(&text);
        let tracked = config.map(|config| {
            let mut instances = config.instances.iter();
            let v = instances.find(|one| &*one.name == "V").unwrap();
            v.track_interfaces.len()
        });
        (tracked, said.join("\n"))
    };
    let group = "G {\ngroup {\nV\n}\n}";
    for (lines, group, tracked, expected) in [
        (
            "static_routes {\nblackhole 10.3.0.0/16 track_group G\n}",
            group,
            Some(1),
            "`track_group` of something without an interface",
        ),
        (
            "static_routes {\n10.3.0.0/16 dev eth3 no_track track_group G\n}",
            group,
            Some(1),
            "`track_group` together with `no_track`",
        ),
        (
            "static_routes {\n10.3.0.0/16 dev eth3 track_group H\n}",
            group,
            None,
            "no `track_group` of this name",
        ),
        (
            "",
            "G {\ngroup {\nV2\n}\n}",
            Some(1),
            "no `vrrp_instance` of this name",
        ),
        ("", "G {\n}", Some(1), "a track group without instances"),
        (
            "static_ipaddress {\n10.1.0.1/24 dev eth3\n}",
            "G {\ngroup {\nV\n}\n}\nvrrp_instance X {\ninterface eth0\nvirtual_router_id 9\nvirtual_ipaddress {\n\
             10.0.0.9 track_group G\n}\n}",
            Some(1),
            "`track_group` of what is not static",
        ),
    ] {
        let (counted, said) = of(lines, group);
        assert_eq!(counted, tracked, "{lines}: {said}");
        assert!(said.contains(expected), "{lines}: {said}");
    }
}

#[test]
fn of_two_groups_with_one_name_the_first_counts() {
    let text = format!(
        "track_group G {{\ngroup {{\nV\n}}\n}}\ntrack_group G {{\ngroup {{\nALONE\n}}\n}}\n\
         static_routes {{\n10.3.0.0/16 via 10.1.0.9 dev eth3 track_group G\n}}\n{INSTANCES}"
    );
    let (config, said) = load_text(&text);
    assert_eq!(said.len(), 1, "{said:?}");
    let expected = "f:6:13: warning: a second `track_group` of this name: `G`; the first one counts, at f:1:13, \
                    not this one, as for keepalived";
    assert_eq!(said[0], expected);
    let config = config.unwrap();
    let tracked = |position: usize| config.instances[position].track_interfaces.len();
    assert_eq!((tracked(0), tracked(2)), (2, 0));
}
