//! Words, whatever they are about: unknown ones, those too many, those without effect, and what is said of each.

use super::*;

#[test]
fn an_unknown_word_is_an_error_with_its_place_and_the_word_meant() {
    assert_eq!(
        remark("prioirty 100"),
        "f:4:1: error: unknown keyword: found `prioirty`, expected a keyword of vrrp_instance; \
         did you mean `priority`?"
    );
}

#[test]
fn an_unknown_block_is_skipped_and_does_not_leak_into_the_one_around() {
    let (_, said) = instance_with("mystery {\npriority 77\n}");
    assert_eq!(
        said,
        [
            "f:4:1: error: unknown keyword: found `mystery`, expected a keyword of vrrp_instance; \
             its block is skipped; keepalived would read the lines of the block as if they stood around it, and end the block around it with this one's `}`"
        ]
    );
}

#[test]
fn what_stands_in_the_wrong_block_is_unknown_there() {
    let (config, said) = load_text("priority 100");
    assert_eq!(config, None);
    assert_eq!(
        said,
        [
            "f:1:1: error: unknown keyword: found `priority`, expected a keyword of the file's top level"
        ]
    );
}

#[test]
fn words_after_a_value_are_ignored_aloud() {
    let (instance, said) = instance_with("priority 10 20 junk");
    assert_eq!(instance.unwrap().priority.value(), 10);
    assert_eq!(
        said,
        [
            "f:4:13: warning: text after the value of `priority`: `20`; it is ignored to the end \
             of the line, as by keepalived"
        ]
    );
}

#[test]
fn a_password_is_never_printed() {
    let (instance, said) =
        instance_with("authentication {\nauth_type PASS\nauth_pass secret!word and more\n}");
    let password = Password::truncated(b"secret");
    let expected = Some(Authentication::Password(password));
    assert_eq!(instance.unwrap().authentication, expected);
    assert!(!said.concat().contains("secret"), "{said:?}");
    let (_, said) = instance_with("authentication {\nauth_type PASS\nauth_pass two words\n}");
    assert!(said[0].contains("text after the value of `auth_pass`"));
    assert!(!said.concat().contains("two"), "{said:?}");
    assert!(!said.concat().contains("words"), "{said:?}");
    let (_, said) = instance_with("authentication {\nauth_type PASS\nauth_pass {{S3cret}}\n}");
    assert!(said.concat().contains("this is no value"), "{said:?}");
    assert!(!said.concat().contains("S3cret"), "{said:?}");
}

#[test]
fn counts_of_announcements_that_keepalived_takes_are_taken() {
    let (instance, said) = instance_with(
        "garp_master_repeat 0\ngarp_master_refresh_repeat 0\ngarp_lower_prio_repeat 300",
    );
    let announcements = instance.unwrap().announcements;
    let counts = (
        announcements.repeat,
        announcements.refresh_repeat,
        announcements.lower_priority_repeat,
    );
    assert_eq!(counts, (1, 1, Some(255)));
    assert_eq!(
        said,
        [
            "f:4:20: warning: an announcement has a packet at least: `0`; 1 is sent, as by keepalived",
            "f:5:28: warning: an announcement has a packet at least: `0`; 1 is sent, as by keepalived",
            "f:6:24: warning: more packets in one go than anybody needs: `300`; 255 are sent",
        ]
    );
}

#[test]
fn words_of_either_spelling_are_known() {
    for word in [
        "lvs_process_name x",
        "checker_rlimit_rtime 3",
        "bfd_rlimit_rtime 3",
    ] {
        let (_, said) = load_text(&format!("global_defs {{\n{word}\n}}"));
        let without_effect =
            |line: &String| line.starts_with("f:2:1: warning: this keyword has no effect");
        assert!(said.iter().any(without_effect), "{said:?}");
    }
}

#[test]
fn of_a_word_given_twice_the_last_counts() {
    let (instance, said) = instance_with("priority 10\npriority 20");
    assert_eq!(instance.unwrap().priority.value(), 20);
    assert_eq!(
        said,
        [
            "f:5:1: warning: given twice: `priority`; this one counts, not the one of line 4, as for keepalived"
        ]
    );
}

#[test]
fn numbers_out_of_range_are_errors() {
    for line in [
        "priority 256",
        "priority 0",
        "virtual_router_id 0",
        "advert_int 256",
    ] {
        assert!(instance_with(line).0.is_none(), "{line}");
    }
}

#[test]
fn a_missing_value_and_a_missing_block_are_errors() {
    assert_eq!(
        remark("priority"),
        "f:4:1: error: a value is missing: found `priority`, expected 1 to 255 after it"
    );
    assert_eq!(
        remark("track_script chk"),
        "f:4:1: error: a block is missing: found `track_script`, expected `{` and a block after it"
    );
    assert_eq!(
        remark("priority {\n}"),
        "f:4:10: error: `priority` has no block: found `{`, expected 1 to 255"
    );
}

#[test]
fn a_keyword_without_effect_is_said_once() {
    let (instance, said) = instance_with("use_ipvlan\nuse_ipvlan\nlinkbeat_use_polling");
    assert!(instance.is_some());
    assert_eq!(
        said,
        [
            "f:4:1: warning: this keyword has no effect here: `use_ipvlan`; the addresses go on the \
             interface itself, whose hardware address an ipvlan would have too",
            "f:6:1: warning: this keyword has no effect here: `linkbeat_use_polling`; the kernel \
             reports link changes",
        ]
    );
}

#[test]
fn each_keyword_is_known_once_in_its_block_and_explained() {
    let mut seen = std::collections::BTreeSet::new();
    for keyword in keywords() {
        assert!(seen.insert((keyword.block, keyword.name)), "{keyword:?}");
        assert!(!keyword.help.is_empty(), "{keyword:?}");
    }
    assert!(seen.len() > 200);
}
