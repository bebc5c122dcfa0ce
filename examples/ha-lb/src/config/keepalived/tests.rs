//! Rules of keepalived's language, one file of a few lines each.

use std::{io, path::PathBuf, time::Duration};

use vrrp_proto::{ChecksumMode, Family, Password, Version};

use super::*;

mod adverts;
mod auth_hmac;
mod bfd;
mod carried;
mod carried_out;
mod routes;
mod sync_groups;
mod track_group;
mod virtual_server;
mod vmac;
mod wild;
mod words;

/// One file in memory.
struct Text<'t>(&'t str);

impl Files for Text<'_> {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.as_bytes().to_vec())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

fn load_text(text: &str) -> (Option<Config>, Vec<String>) {
    let mut diagnostics = Diagnostics::new();
    let config = load(Path::new("f"), &Text(text), &mut diagnostics);
    let said = diagnostics.iter().map(ToString::to_string).collect();
    (config, said)
}

/// An instance with these lines added to a complete one.
fn instance_with(lines: &str) -> (Option<Instance>, Vec<String>) {
    let text = format!(
        "vrrp_instance V {{\ninterface eth0\nvirtual_router_id 1\n{lines}\n\
         virtual_ipaddress {{\n10.0.0.1\n}}\n}}"
    );
    let (config, said) = load_text(&text);
    (
        config.and_then(|config| config.instances.into_iter().next()),
        said,
    )
}

fn accepted(lines: &str) -> Instance {
    let (instance, said) = instance_with(lines);
    assert!(said.is_empty(), "{said:?}");
    instance.unwrap()
}

/// The only thing said, without place.
fn remark(lines: &str) -> String {
    let (_, mut said) = instance_with(lines);
    assert_eq!(said.len(), 1, "{said:?}");
    said.remove(0)
}

#[test]
fn defaults_are_those_of_the_manual() {
    let instance = accepted("");
    assert_eq!(instance.version, Version::V2);
    assert_eq!(instance.family, Family::Ipv4);
    assert_eq!(instance.state, InitialState::Backup);
    assert_eq!(instance.priority.value(), 100);
    assert_eq!(instance.interval, Duration::from_secs(1));
    assert!(instance.preempt && instance.accept && instance.track_primary);
    assert_eq!(instance.preempt_delay, Duration::ZERO);
    assert_eq!(instance.group.to_string(), "224.0.0.18");
    assert_eq!(instance.checksum, ChecksumMode::PseudoHeader);
    let announced = Announcements {
        lower_priority_repeat: Some(5),
        lower_priority_delay: Some(Duration::from_secs(5)),
        ..Announcements::default()
    };
    assert_eq!(instance.announcements, announced);
    assert_eq!(instance.down_timer_adverts, 3);
    assert_eq!(instance.authentication, None);
}

#[test]
fn what_an_instance_cannot_be_without_is_an_error_at_its_name() {
    let (_, said) = load_text("vrrp_instance V {\nvirtual_ipaddress {\n10.0.0.1\n}\n}");
    assert_eq!(
        said,
        [
            "f:1:15: error: an instance without virtual_router_id: found `V`, expected \
             `virtual_router_id` 1 to 255",
            "f:1:15: error: an instance without interface: found `V`, expected `interface`, or \
             `default_interface` in global_defs",
        ]
    );
}

#[test]
fn state_master_without_priority_is_the_owner() {
    let (instance, said) = instance_with("state MASTER");
    assert_eq!(instance.unwrap().priority.value(), 255);
    assert!(said[0].contains("makes the owner"), "{said:?}");
    let owner = accepted("priority 255");
    assert_eq!(owner.state, InitialState::Master);
}

#[test]
fn state_master_clears_nopreempt_and_preempt_delay() {
    let (instance, said) = instance_with("nopreempt\npreempt_delay 5");
    assert_eq!(instance.unwrap().preempt_delay, Duration::ZERO);
    assert!(
        said[0].contains("`preempt_delay` with `nopreempt`"),
        "{said:?}"
    );
    let (instance, said) = instance_with("state MASTER\npriority 100\nnopreempt\npreempt_delay 5");
    let instance = instance.unwrap();
    assert!(instance.preempt);
    assert_eq!(instance.preempt_delay, Duration::ZERO);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(!accepted("state BACKUP\nnopreempt").preempt);
    let backup = accepted("state BACKUP\npreempt_delay 5");
    assert_eq!(backup.preempt_delay, Duration::from_secs(5));
}

#[test]
fn intervals_are_rounded_to_what_the_version_can_say() {
    let (instance, said) = instance_with("advert_int 0.3");
    assert_eq!(instance.unwrap().interval, Duration::from_secs(1));
    assert!(said[0].ends_with("it is rounded to 1 s"), "{said:?}");
    let exact = accepted("version 3\nadvert_int 0.05");
    assert_eq!(exact.interval, Duration::from_millis(50));
    let (instance, said) = instance_with("version 3\nadvert_int 0.014");
    assert_eq!(instance.unwrap().interval, Duration::from_millis(10));
    assert_eq!(said.len(), 1);
    assert_eq!(instance_with("version 3\nadvert_int 41").0, None);
    let (version_2, _) = instance_with("advert_int 41");
    assert_eq!(version_2.unwrap().interval, Duration::from_secs(41));
}

#[test]
fn authentication_of_version_3_is_ignored_with_a_warning() {
    let (instance, said) =
        instance_with("version 3\nauthentication {\nauth_type AH\nauth_pass viettq\n}");
    assert_eq!(instance.unwrap().authentication, None);
    assert_eq!(
        said,
        [
            "f:5:1: warning: version 3 has no authentication but `auth_hmac`; nothing is authenticated"
        ]
    );
}

#[test]
fn with_ah_an_instance_begins_as_backup_and_its_nopreempt_stands() {
    let text = "state MASTER\npriority 100\nnopreempt\nauthentication {\nauth_type AH\nauth_pass viettq\n}";
    let (instance, said) = instance_with(text);
    let instance = instance.unwrap();
    assert_eq!(instance.state, InitialState::Backup);
    assert!(!instance.preempt);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("`state MASTER` is incompatible with AH"));
    // The owner takes over at once whatever it has heard.
    let (owner, said) = instance_with(&text.replace("priority 100\nnopreempt", "priority 255"));
    assert_eq!(owner.unwrap().state, InitialState::Master);
    assert_eq!(said, <[String; 0]>::default());
    let (simple, _) = instance_with(&text.replace("AH", "PASS"));
    assert!(simple.unwrap().preempt);
}

#[test]
fn authentication_without_a_password_is_none() {
    let (instance, said) = instance_with("authentication {\nauth_type PASS\n}");
    assert_eq!(instance.unwrap().authentication, None);
    assert_eq!(said.len(), 1);
}

#[test]
fn scripts_are_found_by_name_wherever_they_are() {
    assert!(remark("track_script {\nchk\n}").contains("no `vrrp_script` of this name"));
    let text = "vrrp_script chk_a {\nscript \"a\"\nweight 5 reverse\n}\n\
                vrrp_instance V {\ninterface e\nvirtual_router_id 1\n\
                virtual_ipaddress { 10.0.0.1 }\n\
                track_script {\nchk_a weight -7\nchk_b\n}\n}\n\
                vrrp_script chk_b {\nscript \"b\"\ninterval 0.5\n}";
    let (config, said) = load_text(text);
    let config = config.unwrap();
    let tracked = &config.instances[0].track_scripts;
    assert_eq!((tracked[0].weight, tracked[0].reverse), (-7, true));
    assert_eq!((tracked[1].position, tracked[1].weight), (1, 0));
    assert_eq!(config.scripts[1].timeout, Duration::from_millis(500));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("defined later"));
    let (_, said) = load_text(&text.replace("chk_b\n}", "chk_c\n}"));
    assert!(said[0].ends_with("did you mean `chk_a`?"), "{said:?}");
}

#[test]
fn a_script_without_a_command_is_an_error() {
    let (_, said) = load_text("vrrp_script x {\ninterval 1\n}");
    assert!(
        said[0].starts_with("f:1:13: error: a script without a command"),
        "{said:?}"
    );
}

#[test]
fn addresses_have_options_in_any_order() {
    let lines = "virtual_ipaddress_excluded {\n\
        10.0.0.2/24 brd + dev eth0 label eth0:1 scope link\n\
        10.0.0.3/32 brd 10.0.0.255 no_track peer 10.1.0.1/30\n\
        2001:db8::1\n2001:db8::2/64 preferred_lft 7 home -nodad mngtmpaddr noprefixroute\n}";
    let (instance, said) = instance_with(lines);
    assert!(said.is_empty(), "{said:?}");
    let instance = instance.unwrap();
    let [first, second, third, fourth] = &instance.excluded_addresses[..] else {
        panic!("four addresses");
    };
    assert_eq!(first.prefix, 24);
    assert_eq!(first.broadcast, Some("10.0.0.255".parse().unwrap()));
    assert_eq!(first.device.as_deref(), Some("eth0"));
    assert_eq!(first.label.as_deref(), Some("eth0:1"));
    assert_eq!(first.scope, Some(253));
    assert!(second.no_track);
    assert_eq!(second.peer, Some(("10.1.0.1".parse().unwrap(), 30)));
    assert_eq!(third.prefix, 128);
    assert_eq!(third.preferred_lifetime, None);
    assert_eq!(fourth.preferred_lifetime, Some(7));
    assert!(fourth.home && fourth.detect_duplicates);
    assert!(fourth.manage_temporary && fourth.no_prefix_route);
}

#[test]
fn signs_for_a_broadcast_address_set_the_bits_of_the_host_or_take_them_away() {
    let (instance, said) = instance_with(
        "virtual_ipaddress_excluded {\n10.0.0.77/26 brd +\n10.0.0.77/26 brd - dev eth1\n}",
    );
    assert!(said.is_empty(), "{said:?}");
    let addresses = instance.unwrap().excluded_addresses;
    let broadcast = addresses
        .iter()
        .map(|one| one.broadcast.unwrap().to_string());
    assert_eq!(broadcast.collect::<Vec<_>>(), ["10.0.0.127", "10.0.0.64"]);
}

#[test]
fn a_preferred_lifetime_is_ipv6_s_alone_as_with_keepalived() {
    let (instance, said) = instance_with(
        "virtual_ipaddress_excluded {\n10.0.0.2 preferred_lft 0\n2001:db8::1 preferred_lft 7\n}",
    );
    let lifetimes = instance.unwrap().excluded_addresses;
    let lifetimes: Vec<_> = lifetimes.iter().map(|one| one.preferred_lifetime).collect();
    assert_eq!(lifetimes, [None, Some(7)]);
    assert_eq!(
        said,
        [
            "f:5:10: warning: this option has no effect here: `preferred_lft`; the address is installed without it"
        ]
    );
}

#[test]
fn an_address_that_is_named_twice_is_warned_of() {
    let (instance, said) = instance_with(
        "virtual_ipaddress_excluded {\n10.0.0.2\n10.0.0.2 label eth0:1\n10.0.0.2 dev eth1\n}",
    );
    assert_eq!(instance.unwrap().excluded_addresses.len(), 3);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with(
            "f:6:1: warning: an address for the second time: `10.0.0.2`; it goes up once"
        ),
        "{said:?}"
    );
}

#[test]
fn wrong_options_of_an_address_are_errors() {
    for (line, expected) in [
        ("10.0.0.2 10.0.0.3", "one address a line"),
        ("10.0.0.2/33", "this is no address"),
        ("10.0.0.2 devv eth0", "did you mean `dev`?"),
        ("10.0.0.2 dev", "a value is missing"),
        ("10.0.0.2/31 brd +", "a prefix of 30 or less"),
        ("10.0.0.2 brd -", "a prefix of 30 or less"),
        ("10.0.0.2 dev eth0 dev eth1", "`dev` once in a line"),
        ("10.0.0.2 label sixteen-letters-", "at most 15"),
    ] {
        let (instance, said) = instance_with(&format!("virtual_ipaddress_excluded {{\n{line}\n}}"));
        assert_eq!(instance, None, "{line}");
        assert!(said[0].contains(expected), "{said:?}");
    }
}

#[test]
fn more_addresses_than_fit_are_installed_but_not_advertised() {
    let lines: Vec<String> = (0..300)
        .map(|n| format!("10.1.{}.{}", n / 250, n % 250))
        .collect();
    let text = format!(
        "vrrp_instance V {{\ninterface e\nvirtual_router_id 1\nvirtual_ipaddress {{\n{}\n}}\n}}",
        lines.join("\n")
    );
    let (config, said) = load_text(&text);
    let instance = &config.unwrap().instances[0];
    assert_eq!(instance.addresses.len(), 255);
    assert_eq!(instance.excluded_addresses.len(), 45);
    assert!(
        said[0].starts_with("f:260:1: warning: more than 255"),
        "{said:?}"
    );
}

#[test]
fn defaults_of_global_defs_reach_instances_before_and_after() {
    let text = "vrrp_instance V {\nvirtual_router_id 1\nvirtual_ipaddress { 10.0.0.1 }\n\
                garp_master_repeat 2\n}\n\
                global_defs {\nvrrp_version 3\ndefault_interface eth7\n\
                vrrp_garp_master_delay 1\nvrrp_garp_master_repeat 9\nv3_checksum_as_v2\n\
                vrrp_mcast_group4 224.0.0.99\n}";
    let (config, said) = load_text(text);
    assert!(said.is_empty(), "{said:?}");
    let instance = &config.unwrap().instances[0];
    assert_eq!(instance.version, Version::V3);
    assert_eq!(instance.interface, "eth7");
    assert_eq!(instance.announcements.repeat, 2);
    assert_eq!(instance.announcements.delay, Duration::from_secs(1));
    assert_eq!(instance.checksum, ChecksumMode::MessageOnly);
    assert_eq!(instance.group.to_string(), "224.0.0.99");
}

#[test]
fn names_and_router_identifiers_are_unique() {
    let instance = |name: &str, vrid: u8| {
        format!(
            "vrrp_instance {name} {{\ninterface e\nvirtual_router_id {vrid}\n\
             virtual_ipaddress {{\n10.0.0.{vrid}\n}}\n}}\n"
        )
    };
    assert!(
        load_text(&(instance("A", 1) + &instance("B", 2)))
            .0
            .is_some()
    );
    let (config, said) = load_text(&(instance("A", 1) + &instance("A", 2)));
    assert_eq!(config, None);
    assert!(
        said[0].starts_with("f:8:15: error: a second `vrrp_instance`"),
        "{said:?}"
    );
    let (config, said) = load_text(&(instance("A", 1) + &instance("B", 1)));
    assert_eq!(config, None);
    assert!(
        said[0].contains("is that of instance `A` already"),
        "{said:?}"
    );
}

#[test]
fn notify_scripts_may_name_a_user() {
    let instance = accepted("notify_master \"/n.sh a\" nobody nogroup\nnotify \"/all.sh\"");
    let command = instance.notify.master.unwrap();
    assert_eq!(command.arguments, ["/n.sh", "a"]);
    let user = command.user.unwrap();
    assert_eq!(
        (user.user.as_str(), user.group.as_deref()),
        ("nobody", Some("nogroup"))
    );
    assert!(remark("notify_master /n.sh MASTER").contains("it is the user who runs it"));
}

#[test]
fn an_empty_file_is_said_to_do_nothing() {
    let (config, said) = load_text("! nothing\n");
    assert_eq!(config, Some(Config::default()));
    assert_eq!(
        said,
        ["f: warning: neither a vrrp_instance nor a virtual_server; there is nothing to do"]
    );
}

/// Keywords, values and signs in any order: the file is accepted or refused with a reason, and
/// every place that is named exists.
#[test]
fn any_text_of_known_words_is_accepted_or_refused_with_a_place() {
    use proptest::prelude::*;

    let mut words: Vec<&str> = keywords().map(|keyword| keyword.name).collect();
    words.extend([
        "{", "}", "\n", "\n", "{\n", "}\n", "\"", "#", "!", "\\", "$A", "$A=", "${A}",
    ]);
    words.extend([
        "1",
        "255",
        "0.5",
        "10.0.0.1",
        "fe80::1/64",
        "V",
        "MASTER",
        "AH",
        "on",
        "wlc",
    ]);
    words.extend([
        "weight",
        "dev",
        "brd",
        "+",
        "include f",
        "@x y",
        "-nodad",
        "200-299",
    ]);
    let any_text = proptest::collection::vec(proptest::sample::select(words), 0..80);
    proptest!(|(words in any_text)| {
        let text = words.join(" ");
        let mut diagnostics = Diagnostics::new();
        let config = load(Path::new("f"), &Text(&text), &mut diagnostics);
        prop_assert_eq!(config.is_none(), diagnostics.has_errors());
        let lines: Vec<&str> = text.lines().collect();
        for diagnostic in diagnostics.iter().filter(|d| d.span.line > 0) {
            let line = lines.get(diagnostic.span.line as usize - 1);
            let length = line.map_or(0, |line| line.chars().count());
            prop_assert!((1..=length).contains(&(diagnostic.span.column as usize)), "{}", diagnostic);
        }
    });
}
