//! `vrrp_sync_group`: who belongs to it and what it does to what they track.

use super::*;

/// Two instances, what the first tracks, and a file around them.
fn text(tracks: &str, groups: &str) -> String {
    let instance = |name: &str, vrid: u8, lines: &str| {
        format!(
            "vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\n{lines}\n\
             virtual_ipaddress {{\n10.0.0.{vrid}\n}}\n}}\n"
        )
    };
    let (a, b) = (instance("A", 1, tracks), instance("B", 2, ""));
    format!("vrrp_script s {{\nscript /s\n}}\nvrrp_script t {{\nscript /t\n}}\n{groups}\n{a}{b}")
}

#[test]
fn a_group_names_its_members_and_all_of_them_track_what_it_tracks() {
    let group = "vrrp_sync_group G {\ngroup { A B }\ntrack_script {\ns weight -20\n}\n\
        track_interface {\neth0\neth1\n}\nnotify_master /m\nnotify /n\n}";
    let (config, said) = load_text(&text("", group));
    assert!(said.is_empty(), "{said:?}");
    let config = config.unwrap();
    let group = &config.sync_groups[0];
    let members: Vec<&str> = group.members.iter().map(|member| &**member).collect();
    assert_eq!((&*group.name, members), ("G", vec!["A", "B"]));
    assert_eq!(group.notify.all().count(), 2);
    for instance in &config.instances {
        let [script] = instance.track_scripts[..] else {
            panic!("{instance:?}")
        };
        assert_eq!((script.position, script.weight), (0, -20));
        // Its own interface it tracks in any case.
        let names = instance.track_interfaces.iter().map(|track| &*track.name);
        assert_eq!(names.collect::<Vec<_>>(), ["eth1"]);
    }
}

#[test]
fn weights_of_single_members_do_not_count_unless_it_is_asked_for() {
    let tracks = "track_script {\ns weight 5\nt\n}\ntrack_interface {\neth1 weight 7\n}";
    let group = |line: &str| format!("vrrp_sync_group G {{\ngroup {{\nA\nB\n}}\n{line}\n}}");
    let (config, said) = load_text(&text(tracks, &group("")));
    assert!(
        said[0].contains("script `s` is not tracked, as by keepalived"),
        "{said:?}"
    );
    assert!(
        said[1].contains("the loss of `eth1` is a fault"),
        "{said:?}"
    );
    let first = config.unwrap().instances.remove(0);
    let scripts = first.track_scripts.iter().map(|track| track.position);
    assert_eq!(scripts.collect::<Vec<_>>(), [1]);
    assert_eq!(first.track_interfaces[0].weight, 0);

    let (config, said) = load_text(&text(tracks, &group("sync_group_tracking_weight")));
    assert!(said.is_empty(), "{said:?}");
    let first = config.unwrap().instances.remove(0);
    assert_eq!(first.track_scripts.len(), 2);
    assert_eq!(first.track_interfaces[0].weight, 7);
    let (_, said) = load_text(&text(tracks, &group("global_tracking")));
    assert!(said[0].contains("`sync_group_tracking_weight`"), "{said:?}");
}

#[test]
fn what_cannot_be_a_group_is_said() {
    let said = |groups: &str| load_text(&text("", groups)).1.concat();
    let unknown = said("vrrp_sync_group G {\ngroup {\nA\nBB\n}\n}");
    assert!(
        unknown.contains("error: no `vrrp_instance` of this name"),
        "{unknown}"
    );
    assert!(unknown.contains('B'), "{unknown}");
    let twice =
        said("vrrp_sync_group G {\ngroup {\nA\nB\n}\n}\nvrrp_sync_group H {\ngroup {\nA\n}\n}");
    assert!(
        twice.contains("error: an instance of sync group `G` already"),
        "{twice}"
    );
    let same = said("vrrp_sync_group G {\ngroup {\nA\n}\n}\nvrrp_sync_group G {\ngroup {\nB\n}\n}");
    assert!(
        same.contains("a second `vrrp_sync_group` of this name"),
        "{same}"
    );
    let alone = said("vrrp_sync_group G {\ngroup {\nA\n}\n}");
    assert!(
        alone.contains("warning: a sync group with one member"),
        "{alone}"
    );
    let (config, said) = load_text(&text("", "vrrp_sync_group G {\n}"));
    assert!(
        said[0].contains("warning: a sync group without members"),
        "{said:?}"
    );
    assert!(config.unwrap().sync_groups.is_empty());
    let tracks = text(
        "track_script {\ns\n}",
        "vrrp_sync_group G {\ngroup {\nA\nB\n}\ntrack_script {\ns\n}\n}",
    );
    let (config, said) = load_text(&tracks);
    assert!(
        said[0].contains("tracked by a sync group and by its member"),
        "{said:?}"
    );
    assert_eq!(config.unwrap().instances[0].track_scripts.len(), 1);
}
