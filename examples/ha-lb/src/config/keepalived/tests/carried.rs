//! What an instance tracks without being told to, and what it takes over from `global_defs` and from definitions: each
//! as keepalived 2.2.7 shows it in its own dump of the same lines.

use std::time::Duration;

use super::{accepted, instance_with, load_text};
use crate::config::keepalived::{Announcements, Instance};

/// What is tracked with its weight.
fn tracked(instance: &Instance) -> Vec<(&str, i16)> {
    let all = instance.track_interfaces.iter();
    all.map(|track| (track.name.as_str(), track.weight))
        .collect()
}

#[test]
fn the_loss_of_an_interface_that_carries_something_of_the_instance_is_a_fault() {
    let instance = accepted(
        "virtual_ipaddress_excluded {\n10.0.0.2 dev eth1\n10.0.0.3 dev eth2 no_track\n10.0.0.4 dev eth0\n}\n\
         virtual_routes {\n10.9.0.0/16 dev eth3\n10.8.0.0/16 dev eth4 no_track\n}\n\
         virtual_rules {\niif eth5 oif eth6 table 7 priority 3\niif eth7 table 7 priority 4 no_track\n}",
    );
    let all = [("eth1", 0), ("eth3", 0), ("eth5", 0), ("eth6", 0)];
    assert_eq!(tracked(&instance), all);
    // The way of a device with a virtual MAC address is the interface below it.
    let instance = accepted(
        "use_vmac\nuse_vmac_addr\nvirtual_ipaddress_excluded {\n10.0.0.2 dev eth1\n10.0.0.3\n}",
    );
    assert_eq!(tracked(&instance), [("eth1", 0)]);
    let instance =
        accepted("dont_track_primary\nvirtual_ipaddress_excluded {\n10.0.0.2 dev eth0\n}");
    assert_eq!(tracked(&instance), []);
}

/// Such a device is down while its instance is Backup: both would wait for each other.
#[test]
fn the_device_of_another_instance_stands_for_its_interface() {
    let text = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nuse_vmac\n\
        virtual_ipaddress {\n10.0.0.1\n}\nvirtual_routes {\n10.9.0.0/16 dev vrrp.2\n}\n}\n\
        vrrp_instance B {\ninterface eth1\nvirtual_router_id 2\nuse_vmac\n\
        virtual_ipaddress {\n10.0.1.1\n}\nvirtual_ipaddress_excluded {\n10.0.0.2 dev vrrp.1\n}\n}\n";
    let instances = load_text(text).0.unwrap().instances;
    let names: Vec<_> = instances.iter().map(tracked).collect();
    assert_eq!(names, [[("eth1", 0)], [("eth0", 0)]]);
}

#[test]
fn a_weight_for_such_an_interface_has_no_effect_and_that_is_said() {
    let lines = |more: &str| {
        format!(
            "virtual_ipaddress_excluded {{\n10.0.0.2 dev eth1{more}\n}}\ntrack_interface {{\neth1 weight -5\n}}"
        )
    };
    let (instance, said) = instance_with(&lines(""));
    assert_eq!(tracked(&instance.unwrap()), [("eth1", 0)]);
    assert!(said[0].contains("its loss is a fault"), "{said:?}");
    assert_eq!(tracked(&accepted(&lines(" no_track"))), [("eth1", -5)]);
}

#[test]
fn another_weight_does_not_undo_the_definition_s_reverse() {
    let text = |line: &str| {
        format!(
            "vrrp_script chk {{\nscript \"a\"\nweight 5 reverse\n}}\n\
             vrrp_instance V {{\ninterface e\nvirtual_router_id 1\nvirtual_ipaddress {{\n10.0.0.1\n}}\n\
             track_script {{\n{line}\n}}\n}}"
        )
    };
    for (line, weight, reverse) in [
        ("chk", 5, true),
        ("chk weight -7", -7, true),
        ("chk weight -7 reverse", -7, true),
        ("chk weight -7 noreverse", -7, false),
    ] {
        let tracked = load_text(&text(line)).0.unwrap().instances[0].track_scripts[0];
        assert_eq!(
            (tracked.weight, tracked.reverse),
            (weight, reverse),
            "{line}"
        );
    }
}

#[test]
fn announcements_are_taken_over_as_keepalived_takes_them() {
    let read = |global: &str, own: &str| {
        let text = format!(
            "global_defs {{\n{global}\n}}\nvrrp_instance V {{\ninterface e\nvirtual_router_id 1\n{own}\n\
             virtual_ipaddress {{\n10.0.0.1\n}}\n}}"
        );
        load_text(&text).0.unwrap().instances[0].announcements
    };
    let second = Duration::from_secs;
    // vrrp_min_garp leaves what was set before it, and what is set after it counts.
    let least = read("vrrp_garp_master_delay 1\nvrrp_min_garp", "");
    assert_eq!((least.repeat, least.delay), (1, second(1)));
    let least = read("vrrp_min_garp\nvrrp_garp_master_repeat 3", "");
    assert_eq!((least.repeat, least.delay), (3, Duration::ZERO));
    // What answers a lower priority follows global_defs, not the instance.
    let lower = |one: Announcements| (one.lower_priority_repeat, one.lower_priority_delay);
    let own = "garp_master_repeat 2\ngarp_master_delay 9";
    assert_eq!(lower(read("", own)), (Some(5), Some(second(5))));
    let global = "vrrp_garp_master_repeat 4\nvrrp_garp_lower_prio_delay 3";
    assert_eq!(lower(read(global, own)), (Some(4), Some(second(3))));
    let own = "garp_lower_prio_repeat 0";
    assert_eq!(lower(read(global, own)), (Some(0), Some(second(3))));
}
