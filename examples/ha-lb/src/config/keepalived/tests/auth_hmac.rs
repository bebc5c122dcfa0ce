//! `auth_hmac`: what is read of it, what is said of it, and that no secret is ever shown.

use std::time::Duration;

use vrrp_proto::auth_hmac::{AntiReplay, Mode, Settings};

use super::*;
use crate::config::files::Bundle;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn hmac(lines: &str) -> (Option<Instance>, Vec<String>) {
    instance_with(&format!("auth_hmac {{\n{lines}\n}}"))
}

fn settings(lines: &str) -> Settings {
    let (instance, said) = hmac(lines);
    assert!(said.is_empty(), "{said:?}");
    *instance.unwrap().auth_hmac.unwrap().settings()
}

#[test]
fn the_block_of_keepalived_s_manual_is_read_with_its_defaults() {
    assert_eq!(
        settings(&format!("key 1 hex:{KEY}\nactive_key 1")),
        Settings {
            mode: Mode::Enforce,
            active_key: 1,
            anti_replay: AntiReplay::Time(Duration::from_secs(5)),
        }
    );
    let written = settings(&format!(
        "key 1 hex:{KEY}\nkey 255 {KEY}\nactive_key 255\nanti_replay time\ntime_window 60\nmode permissive"
    ));
    assert_eq!(
        written,
        Settings {
            mode: Mode::Permissive,
            active_key: 255,
            anti_replay: AntiReplay::Time(Duration::from_secs(60)),
        }
    );
    let monotonic = settings(&format!(
        "key 1 hex:{KEY}\nmode receive-only\nanti_replay monotonic"
    ));
    assert_eq!(monotonic.anti_replay, AntiReplay::Monotonic);
    assert_eq!(monotonic.active_key, 1, "nothing is signed with it");
    // The window follows the interval, in both versions.
    let slow = accepted(&format!(
        "version 3\nadvert_int 4\nauth_hmac {{\nkey 1 hex:{KEY}\nactive_key 1\n}}"
    ));
    let slow = slow.auth_hmac.unwrap();
    let window = AntiReplay::Time(Duration::from_secs(12));
    assert_eq!(slow.settings().anti_replay, window);
    assert_eq!(slow.describe(), "hmac, enforce, key 1");
}

#[test]
fn a_key_may_stand_in_a_file() {
    let text = |value: &str| {
        format!(
            "vrrp_instance V {{\ninterface e\nvirtual_router_id 1\nvirtual_ipaddress {{\n10.0.0.1\n}}\n\
             auth_hmac {{\nkey 1 {value}\nactive_key 1\n}}\n}}"
        )
    };
    let read = |value: &str, contents: &str| {
        let files = Bundle::default()
            .with_file("f", text(value))
            .with_file("/keys/vrrp", contents);
        let mut diagnostics = Diagnostics::new();
        let config = load(Path::new("f"), &files, &mut diagnostics);
        let said: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        (config.map(|config| config.instances[0].clone()), said)
    };
    let (inline, _) = read(&format!("hex:{KEY}"), "");
    for contents in [
        format!("hex:{KEY}\n"),
        format!("hex:{}", KEY.to_uppercase()),
    ] {
        let (from_file, said) = read("file:/keys/vrrp", &contents);
        assert!(said.is_empty(), "{said:?}");
        let (one, other) = (inline.clone().unwrap(), from_file.unwrap());
        let (one, other) = (one.auth_hmac.unwrap(), other.auth_hmac.unwrap());
        assert_ne!(one, other, "another origin, which only a reload sees");
        assert_eq!(other.files, [PathBuf::from("/keys/vrrp")]);
    }
    let (refused, said) = read("file:/keys/vrrp", "short\n");
    assert_eq!(refused, None);
    assert!(
        said[0].contains("the key in /keys/vrrp has 5 bytes"),
        "{said:?}"
    );
    let (refused, said) = read("file:/keys/none", "");
    assert_eq!(refused, None);
    assert!(said[0].contains("cannot read a key: "), "{said:?}");

    // The process that strangers talk to reads the same file with another key in the place of this.
    let secret = format!("hex:{KEY}");
    let bundle = Bundle::default()
        .with_file("f", text("file:/keys/vrrp"))
        .with_file("/keys/vrrp", secret.clone());
    let redacted = bundle.without(&[PathBuf::from("/keys/vrrp")], &[b'0'; 32]);
    assert!(!format!("{:?}", redacted.read(Path::new("/keys/vrrp"))).contains(&secret));
    let mut diagnostics = Diagnostics::new();
    assert!(load(Path::new("f"), &redacted, &mut diagnostics).is_some());
}

#[test]
fn a_file_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (conf, key) = (dir.path().join("f"), dir.path().join("key"));
    std::fs::write(&key, format!("hex:{KEY}\n")).unwrap();
    let text = format!(
        "vrrp_instance V {{\ninterface e\nvirtual_router_id 1\nvirtual_ipaddress {{\n10.0.0.1\n}}\n\
         auth_hmac {{\nkey 1 file:{}\nactive_key 1\n}}\n}}",
        key.display()
    );
    std::fs::write(&conf, text).unwrap();
    for (mode, warned) in [(0o600, false), (0o640, true), (0o604, true)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut diagnostics = Diagnostics::new();
        let files = crate::config::files::DiskFiles;
        assert!(load(&conf, &files, &mut diagnostics).is_some());
        let said: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        let others = said
            .iter()
            .any(|said| said.contains("others than its owner"));
        assert_eq!(others, warned, "{mode:o} {said:?}");
    }
}

#[test]
fn what_is_wrong_is_said_without_the_secret() {
    let odd = &KEY[1..];
    let cases = [
        (String::new(), "`auth_hmac` without a key"),
        (
            format!("key 1 hex:{KEY}"),
            "`auth_hmac` without `active_key`",
        ),
        (
            format!("key 1 hex:{KEY}\nactive_key 2"),
            "the active key 2 is not one of the keys",
        ),
        (
            format!("key 0 hex:{KEY}\nactive_key 1"),
            "this is no number of a key",
        ),
        (
            format!("key {KEY} 1\nactive_key 1"),
            "this is no number of a key",
        ),
        (
            format!("key 1 {{{{{KEY}}}}}\nactive_key 1"),
            "this is no value",
        ),
        (
            format!("key 1 hex:{KEY}\nkey 1 hex:{KEY}\nactive_key 1"),
            "a second key of this number",
        ),
        (
            format!("key 1 hex:{odd}\nactive_key 1"),
            "the key is not made of pairs of hex digits",
        ),
        (
            format!("key 1 hex:{KEY}zz\nactive_key 1"),
            "the key is not made of pairs of hex digits",
        ),
        (
            format!("key 1 {}\nactive_key 1", &KEY[..31]),
            "the key has 31 bytes",
        ),
        (
            format!("key 1 {KEY}1\nactive_key 1"),
            "the key has 65 bytes",
        ),
        (
            format!("key 1 hex:{KEY}\nactive_key 1\ntime_window 301"),
            "this is no number in range",
        ),
        (
            format!("key 1 hex:{KEY}\nactive_key 1\nmode strict"),
            "this is no mode",
        ),
    ];
    for (lines, expected) in cases {
        let (instance, said) = hmac(&lines);
        assert_eq!(instance, None, "{lines}");
        assert!(said[0].contains(expected), "{lines}: {said:?}");
        assert!(!said.concat().contains(&KEY[1..20]), "{said:?}");
    }
    let (instance, said) = hmac(&format!("key 1 hex:{KEY} more of it\nactive_key 1"));
    assert!(said[0].contains("text after the value of `key`"));
    assert!(!said.concat().contains("more"), "{said:?}");
    let shown = format!("{:?}", instance.unwrap());
    assert!(
        !shown.contains("12345") && !shown.contains(", 17, 18, 19"),
        "{shown}"
    );
}

#[test]
fn it_takes_the_place_of_authentication_and_strict_mode_demands_it_whole() {
    let block =
        |mode: &str| format!("auth_hmac {{\nkey 1 hex:{KEY}\nactive_key 1\nmode {mode}\n}}");
    let (instance, said) = instance_with(&format!(
        "authentication {{\nauth_type PASS\nauth_pass x\n}}\n{}",
        block("enforce")
    ));
    let instance = instance.unwrap();
    assert!(instance.auth_hmac.is_some());
    assert_eq!(instance.authentication, None);
    assert!(
        said[0].contains("`authentication` beside `auth_hmac`"),
        "{said:?}"
    );

    let strict = |mode: &str| instance_with(&format!("strict_mode\n{}", block(mode)));
    assert!(strict("enforce").0.unwrap().auth_hmac.is_some());
    let (refused, said) = strict("permissive");
    assert_eq!(refused, None);
    assert!(
        said.iter()
            .any(|said| said.contains("strict mode needs `mode enforce`")),
        "{said:?}"
    );
    let (_, said) = hmac(&format!(
        "key 1 hex:{KEY}\nactive_key 1\nanti_replay monotonic\ntime_window 9"
    ));
    assert!(said[0].contains("`time_window` without time"), "{said:?}");
}

#[test]
fn a_trailer_takes_the_room_of_addresses_over_ipv6() {
    let addresses: String = (1..=91).map(|last| format!("fe80::{last:x}\n")).collect();
    let text = |block: &str| {
        format!(
            "vrrp_instance V {{\ninterface e\nvirtual_router_id 1\nvirtual_ipaddress {{\n{addresses}}}\n{block}\n}}"
        )
    };
    let advertised = |block: &str| {
        load_text(&text(block)).0.unwrap().instances[0]
            .addresses
            .len()
    };
    assert_eq!(advertised(""), 90);
    assert_eq!(
        advertised(&format!("auth_hmac {{\nkey 1 hex:{KEY}\nactive_key 1\n}}")),
        89
    );
}
