use super::*;
use crate::{
    config::{diagnostic::Diagnostics, files::Bundle, load},
    ipc::message::Sources,
};

const WEB: &str = "global
    nbthread 2
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 5s
frontend web
    bind 127.0.0.1:8080
    acl api path_beg /api
    http-request deny if { path -m reg ^/(a|b)$ }
    use_backend other if api
    default_backend app
backend app
    server a 127.0.0.1:1
    server b 127.0.0.1:2
    server c 127.0.0.1:3
backend other
    server x 127.0.0.1:4
";

const VRRP: &str = "vrrp_script check {
    script \"/bin/true\"
    interval 2
}
vrrp_instance VI_1 {
    interface lo
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        192.0.2.1
    }
    track_script {
        check
    }
}
";

fn loaded(haproxy: &str, keepalived: &str) -> Loaded {
    let bundle = Bundle::default()
        .with_file("/h.cfg", haproxy)
        .with_file("/k.conf", keepalived);
    let sources = Sources {
        keepalived: Some("/k.conf".into()),
        haproxy: vec!["/h.cfg".into()],
        ..Sources::default()
    };
    let mut diagnostics = Diagnostics::new();
    load::load(&sources, &bundle, &mut diagnostics).unwrap_or_else(|| panic!("{diagnostics}"))
}

fn plan(haproxy: &str, keepalived: &str) -> Vec<String> {
    let plan = Plan::between(&loaded(WEB, VRRP), &loaded(haproxy, keepalived));
    plan.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn comments_and_places_change_nothing() {
    let haproxy = format!("# a comment\n\n{WEB}");
    let keepalived = format!("! a comment\n\n{VRRP}");
    assert_eq!(plan(&haproxy, &keepalived), ["nothing changes"]);
}

#[test]
fn what_is_added_removed_changed_and_moved_is_said_by_name() {
    let haproxy = WEB
        .replace("nbthread 2", "nbthread 4")
        .replace("    server a 127.0.0.1:1\n", "")
        .replace(
            "    server c 127.0.0.1:3\n",
            "    server c 127.0.0.1:3 weight 5\n    server d 127.0.0.1:9\n",
        )
        .replace("^/(a|b)$", "^/(a|c)$")
        .replace("127.0.0.1:8080", "127.0.0.1:8081")
        + "listen extra\n    bind 127.0.0.1:8090\n    server y 127.0.0.1:5\n";
    assert_eq!(
        plan(&haproxy, VRRP),
        [
            "global changed: nbthread 2 -> 4",
            "listen extra added",
            "frontend web changed: rules",
            "frontend web, bind 127.0.0.1:8080 removed",
            "frontend web, bind 127.0.0.1:8081 added",
            "backend app, server a removed",
            "backend app, server d added",
            "backend app, server c changed: weight 1 -> 5",
        ]
    );
}

#[test]
fn one_line_that_moved_is_one_line_of_the_plan() {
    let moved = WEB.replace("    server a 127.0.0.1:1\n", "").replace(
        "    server c 127.0.0.1:3\n",
        "    server c 127.0.0.1:3\n    server a 127.0.0.1:1\n",
    );
    assert_eq!(plan(&moved, VRRP), ["backend app, server a moved"]);
}

#[test]
fn other_clothes_take_another_balancer_and_nothing_at_all_is_refused() {
    let haproxy = WEB.replace("    nbthread 2\n", "    nbthread 2\n    user nobody\n");
    let keepalived = VRRP.replace("interval 2", "interval 3");
    assert_eq!(
        plan(&haproxy, &keepalived),
        [
            "vrrp_script check changed: interval, timeout",
            "global changed: user (another process on the same sockets; counters and stick tables begin anew)",
        ]
    );
    let none = plan("", "");
    assert!(
        none.contains(&"frontend web removed".to_owned()),
        "{none:?}"
    );
    assert!(
        none.contains(&"vrrp_instance VI_1 removed".to_owned()),
        "{none:?}"
    );
    assert!(
        none.iter()
            .any(|line| line.starts_with("refused: the files name neither"))
    );
}

#[test]
fn settings_of_an_instance_are_changed_in_place_and_its_identity_is_not() {
    let keepalived = VRRP
        .replace("priority 100", "priority 110")
        .replace("192.0.2.1", "192.0.2.1\n        192.0.2.2");
    assert_eq!(
        plan(WEB, &keepalived),
        ["vrrp_instance VI_1 changed: priority 100 -> 110, virtual_ipaddress"]
    );
    assert_eq!(
        plan(WEB, &VRRP.replace("router_id 51", "router_id 52")),
        ["vrrp_instance VI_1 changed: virtual_router_id 51 -> 52 (it ends and starts anew)"]
    );
}

#[test]
fn what_counts_from_the_next_start_is_said_to() {
    let keepalived = format!(
        "net_namespace blue\ninstance one\nuse_pid_dir\nglobal_defs {{\n umask 022\n vrrp_priority 5\n \
         vrrp_rt_priority 3\n vrrp_rlimit_rttime 500000\n vrrp_cpu_affinity 0\n}}\n{VRRP}"
    );
    let names = [
        "net_namespace",
        "instance",
        "use_pid_dir",
        "umask",
        "vrrp_priority",
        "vrrp_rt_priority",
        "vrrp_rlimit_rttime",
        "vrrp_cpu_affinity",
    ];
    let named = names.map(|name| format!("{name} (from the next start)"));
    assert_eq!(
        plan(WEB, &keepalived),
        [format!("global_defs changed: {}", named.join(", "))]
    );
}

#[test]
fn a_name_is_only_a_name() {
    let two = |first: (&str, u8), second: (&str, u8)| {
        let instance = |(name, vrid): (&str, u8)| {
            let vrid = format!("router_id {vrid}");
            VRRP.replace("VI_1", name).replace("router_id 51", &vrid)
        };
        let second = instance(second);
        let second = second.split_once("}\n").unwrap().1.to_owned();
        instance(first) + &second
    };
    let old = loaded(WEB, &two(("A", 51), ("B", 52)));
    let plan = |text: &str| Plan::between(&old, &loaded(WEB, text)).to_string();
    assert_eq!(
        plan(&two(("A", 52), ("B", 51))),
        "vrrp_instance A changed: virtual_router_id 51 -> 52 (it goes on as B did)\n\
         vrrp_instance B changed: virtual_router_id 52 -> 51 (it goes on as A did)\n"
    );
    assert_eq!(
        plan(&two(("A", 51), ("Z", 52))),
        "vrrp_instance Z changed: new name of B\n"
    );
}
