//! No keyword is read in silence and then forgotten: each one of the tables changes what is run, or something is
//! said when it is written. A new keyword needs an example here.

use super::{Text, address::OPTIONS, keywords};
use crate::{
    config::{diagnostic::Diagnostics, keepalived::Support, load},
    ipc::message::Sources,
    vrrp,
};

mod examples;

use examples::{
    ADDRESSES, AUTHENTICATION, CHECK, FILE, GLOBAL, GROUP, HMAC, INSTANCE, NEIGHBOUR, PACED,
    PROCESS, REAL, SCRIPT, SERVICE, SYNC, Shows,
    Shows::{Runs, Says},
    TRACKED_FILE, URL, examples,
};

/// An instance without an interface, and what others track.
const DEFAULT: &str = "vrrp_instance V {\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1\n}\n";
const TRACKED: &str = "vrrp_script S {\nscript /c\n}\nvrrp_track_process P {\nprocess c\n}\n\
    track_file F {\nfile /f\n}\nbfd_instance B {\nneighbor_ip 10.0.0.2\n}";

/// A file with these lines in a block of that kind.
fn file(block: &str, lines: &str) -> String {
    let instance = "interface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1\n}";
    let tracker = format!(
        "vrrp_instance V {{\n{instance}\ntrack_script {{\nS\n}}\ntrack_process {{\nP\n}}\ntrack_file {{\nF\n}}\n}}"
    );
    let check = "TCP_CHECK {\n}";
    match block {
        FILE => lines.replace("DEFAULT", &format!("{DEFAULT}interface eth0")),
        GLOBAL => format!(
            "global_defs {{
default_interface eth0
{lines}
}}
{TRACKED}
{DEFAULT}use_vmac
virtual_ipaddress_excluded {{
10.0.0.7 dev eth7 use_vmac
}}
track_script {{
S
}}
}}
vrrp_instance W {{
virtual_router_id 1
virtual_ipaddress {{
fe80::1
}}
}}"
        ),
        SCRIPT => {
            format!(
                "vrrp_script S {{\nscript /c\n{lines}\n}}\nvrrp_track_process P {{\nprocess c\n}}\n\
                 track_file F {{\nfile /f\n}}\n{tracker}"
            )
        }
        PROCESS => {
            format!(
                "vrrp_script S {{\nscript /c\n}}\nvrrp_track_process P {{\nprocess c\n{lines}\n}}\n\
                 track_file F {{\nfile /f\n}}\n{tracker}"
            )
        }
        TRACKED_FILE => {
            format!(
                "vrrp_script S {{\nscript /c\n}}\nvrrp_track_process P {{\nprocess c\n}}\n\
                 track_file F {{\nfile /f\n{lines}\n}}\n{tracker}"
            )
        }
        SYNC => format!(
            "{TRACKED}\nvrrp_instance V {{\n{instance}\ntrack_script {{\nS weight 5\n}}\n}}\n\
             vrrp_sync_group G {{\ngroup {{\nV\n}}\n{lines}\n}}"
        ),
        PACED => format!("{DEFAULT}interface eth0\n}}\ngarp_group {{\n{lines}\n}}"),
        GROUP => format!(
            "track_group G {{\n{lines}\n}}\nstatic_ipaddress {{\n10.0.0.9/24 dev eth1 track_group G\n}}\n\
             {DEFAULT}interface eth0\n}}"
        ),
        INSTANCE => format!("{TRACKED}\nvrrp_instance V {{\n{instance}\n{lines}\n}}"),
        AUTHENTICATION => {
            format!("vrrp_instance V {{\n{instance}\nauthentication {{\n{lines}\n}}\n}}")
        }
        HMAC => format!("vrrp_instance V {{\n{instance}\nauth_hmac {{\n{lines}\n}}\n}}"),
        SERVICE => format!(
            "virtual_server 10.0.0.1 80 {{\nreal_server 10.0.0.2 80 {{\n{check}\n}}\n{lines}\n}}"
        ),
        REAL => {
            format!("virtual_server 10.0.0.1 80 {{\nreal_server 10.0.0.2 80 {{\n{lines}\n}}\n}}")
        }
        CHECK => format!(
            "virtual_server 10.0.0.1 80 {{\nreal_server 10.0.0.2 80 {{\nHTTP_GET {{\n{lines}\n}}\n}}\n}}"
        ),
        URL => format!(
            "virtual_server 10.0.0.1 80 {{\nreal_server 10.0.0.2 80 {{\nHTTP_GET {{\nurl {{\n{lines}\n}}\n}}\n}}\n}}"
        ),
        NEIGHBOUR => format!(
            "bfd_instance B {{\nneighbor_ip 10.0.0.2\n{lines}\n}}\n{DEFAULT}interface eth0\ntrack_bfd {{\nB\n}}\n}}"
        ),
        other => panic!("no example of a file with a block {other}"),
    }
}

/// What is run and what is said.
fn outcome(text: &str) -> (String, Vec<String>) {
    let sources = Sources {
        keepalived: Some("f".into()),
        ..Sources::default()
    };
    let mut diagnostics = Diagnostics::new();
    let loaded = load::load(&sources, &Text(text), &mut diagnostics);
    // That a word is given twice says nothing of what the word does.
    let said = diagnostics.iter().map(ToString::to_string);
    let said = said.filter(|said| !said.contains("given twice")).collect();
    let Some(loaded) = loaded else {
        return ("refused".to_owned(), said);
    };
    let config = loaded.keepalived.as_ref().unwrap();
    let global = &config.global;
    let runs = format!(
        "{} {:?} {:?} {:?} {:?} {:?} {:?}",
        vrrp::plan(config),
        config.bfds,
        loaded.watches(),
        loaded.hooks(),
        loaded.balancer,
        (
            &global.router_id,
            loaded.fifos(),
            (
                global.states_on_reload,
                global.dynamic_interfaces,
                global.log_unknown_vrids
            ),
            global.startup_delay,
            global.delay_after_boot,
            global.script_security,
            (&global.process, &global.reloads),
            &global.startup,
            &global.shutdown,
            &global.mail
        ),
        (
            config
                .instances
                .iter()
                .map(|i| (i.smtp_alert, i.notify_priority_changes))
                .collect::<Vec<_>>(),
            config
                .sync_groups
                .iter()
                .map(|g| g.smtp_alert)
                .collect::<Vec<_>>()
        )
    );
    (runs, said)
}

/// The outcomes without and with the lines that begin with `+`; the lines have the same numbers in both.
fn compare(block: &str, lines: &str) -> [(String, Vec<String>); 2] {
    let shown = |with: bool| {
        let lines = lines.lines().map(|line| match line.strip_prefix('+') {
            Some(shown) if with => shown,
            Some(_) => "#",
            None => line,
        });
        file(block, &lines.collect::<Vec<_>>().join("\n"))
    };
    [outcome(&shown(false)), outcome(&shown(true))]
}

fn check(
    keyword: &str,
    shows: Shows,
    [without, with]: &[(String, Vec<String>); 2],
) -> Result<(), String> {
    let is_shown = match shows {
        Runs => without.0 != with.0 && with.0 != "refused",
        Says => without.1 != with.1 || with.1.iter().any(|said| said.contains(keyword)),
    };
    let said = &with.1;
    is_shown
        .then_some(())
        .ok_or_else(|| format!("{shows:?} nothing else; said: {said:?}"))
}

#[test]
fn each_keyword_changes_what_is_run_or_is_spoken_of() {
    let mut silent = Vec::new();
    for known in keywords() {
        let example = examples().find(|one| (one.block, one.keyword) == (known.block, known.name));
        let alone = format!("+{}", known.name);
        let (shows, lines) = match (example, known.support) {
            (Some(example), _) => (example.shows, example.lines),
            (None, Support::WithoutEffect) => (Says, alone.as_str()),
            (None, Support::Supported | Support::Obsolete) => {
                silent.push(format!(
                    "{}: {}: an example is missing",
                    known.block, known.name
                ));
                continue;
            }
        };
        let outcomes = compare(known.block, lines);
        if let Err(why) = check(known.name, shows, &outcomes) {
            silent.push(format!("{}: {}: {why}", known.block, known.name));
        }
        let named = outcomes[1]
            .1
            .iter()
            .any(|said| said.contains(&format!("`{}`", known.name)));
        if known.support != Support::Supported && !named {
            silent.push(format!("{}: {}: it is not named", known.block, known.name));
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn each_option_of_an_address_or_a_peer_changes_what_is_run_or_is_spoken_of() {
    let in_block = |line: &str| {
        let plain = line.split(' ').next().unwrap();
        [plain, line].map(|line| {
            outcome(&file(
                INSTANCE,
                &format!("virtual_ipaddress_excluded {{\n{line}\n}}"),
            ))
        })
    };
    for option in OPTIONS {
        let example = ADDRESSES.iter().find(|one| one.keyword == *option);
        let example = example.unwrap_or_else(|| panic!("{option}: an example is missing"));
        // The prefix is part of the address.
        check(option, example.shows, &in_block(example.lines))
            .unwrap_or_else(|why| panic!("{option}: {why}"));
    }
    for option in ["min_ttl 3", "max_ttl 3"] {
        let peer = |line: &str| outcome(&file(INSTANCE, &format!("unicast_peer {{\n{line}\n}}")));
        let outcomes = [peer("10.0.0.9"), peer(&format!("10.0.0.9 {option}"))];
        check(option, Runs, &outcomes).unwrap_or_else(|why| panic!("{option}: {why}"));
    }
}
