//! What files of the world have in them that a manual's reader would not expect.

use super::*;

#[test]
fn a_command_may_stand_in_single_quotes() {
    let text = "vrrp_script c {\nscript 'killall -0 haproxy'\n}";
    let (config, said) = load_text(text);
    assert_eq!(said.len(), 1, "only that there is nothing to do: {said:?}");
    let script = &config.unwrap().scripts[0];
    assert_eq!(script.command.arguments, ["killall", "-0", "haproxy"]);
    let instance = accepted("notify_master '/bin/x a b' root");
    let command = instance.notify.master.unwrap();
    assert_eq!(command.arguments, ["/bin/x", "a", "b"]);
    assert_eq!(command.user.unwrap().user, "root");
    // A quote that does not end, and one of another keyword, are letters.
    assert_eq!(
        accepted("notify_master 'x")
            .notify
            .master
            .unwrap()
            .arguments,
        ["x"]
    );
}

#[test]
fn a_prefix_behind_a_plain_address_is_ignored_aloud() {
    let (instance, said) =
        instance_with("unicast_src_ip 10.0.0.5/24\nunicast_peer {\n10.0.0.6/24\n}");
    let instance = instance.unwrap();
    assert_eq!(instance.source, Some("10.0.0.5".parse().unwrap()));
    let peers = instance.unicast.unwrap().peers;
    assert_eq!(peers[0].address.to_string(), "10.0.0.6");
    assert_eq!(
        said,
        [
            "f:4:16: warning: the length of a prefix behind an address: `10.0.0.5/24`; it is ignored, as by \
             keepalived",
            "f:6:1: warning: the length of a prefix behind an address: `10.0.0.6/24`; it is ignored, as by keepalived"
        ]
    );
    assert!(remark("mcast_src_ip 10.0.0.5/x").contains("this is no address"));
}

#[test]
fn a_placeholder_of_a_template_is_one_error() {
    let (instance, said) = instance_with(
        "state MASTER\npriority {{ PRIO }}\nunicast_peer {\n{{PEER}}\n}\nnotify /x\n",
    );
    assert_eq!(instance, None);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said[0]
            .starts_with("f:5:10: error: this is no value: found `{{ PRIO }}`, expected 1 to 255"),
        "{said:#?}"
    );
    assert!(said.iter().all(|line| line.contains("placeholder")));
}

#[test]
fn a_refused_priority_makes_no_owner() {
    let (_, said) = instance_with("state MASTER\npriority HIGH");
    assert_eq!(said.len(), 1, "{said:#?}");
}

/// What an instance with this line makes of these definitions.
fn tracking(definitions: &str, line: &str) -> (Config, Vec<String>) {
    let text = format!(
        "{definitions}\nvrrp_instance V {{\ninterface e\nvirtual_router_id 1\n\
         virtual_ipaddress {{ 10.0.0.1 }}\n{line}\n}}"
    );
    let (config, said) = load_text(&text);
    (config.unwrap_or_default(), said)
}

#[test]
fn a_tracked_process_has_a_number_and_delays() {
    let processes = "vrrp_track_process lb {\nprocess haproxy\nweight 20\nquorum 2\ndelay 1.5\n}\n\
        track_process none {\nprocess \"/tmp/a b\" -f \"x y\"\nparam_match partial\nquorum_max 0\n}";
    let (config, said) = tracking(processes, "track_process {\nlb weight -5\nnone\n}");
    assert!(said.is_empty(), "{said:#?}");
    let [lb, none] = &config.processes[..] else {
        panic!("two processes");
    };
    assert_eq!((&*lb.program, lb.full_command), ("haproxy", false));
    assert_eq!((lb.quorum, lb.quorum_max), (2, None));
    let delay = Duration::from_millis(1500);
    assert_eq!((lb.fork_delay, lb.terminate_delay), (delay, delay));
    assert_eq!(none.program, "/tmp/a b");
    let words = ["-f", "x y"].map(str::to_owned).to_vec();
    assert_eq!(none.parameters, Parameters::First(words));
    assert_eq!((none.quorum, none.quorum_max), (0, Some(0)));
    let tracked = config.instances[0].track_processes.iter();
    let tracked: Vec<_> = tracked.map(|t| (t.position, t.weight)).collect();
    assert_eq!(tracked, [(0, -5), (1, 0)]);
    assert!(
        remark("track_process {\nlb\n}")
            .contains("no `vrrp_track_process` of this name: found `lb`")
    );
    let said = |lines: &str| load_text(&format!("vrrp_track_process lb {{\n{lines}\n}}")).1;
    assert!(said("weight 1").concat().contains("no process to track"));
    let few = said("process a\nquorum 3\nquorum_max 2").concat();
    assert!(few.contains("at least the `quorum`, 3"), "{few}");
}

#[test]
fn a_tracked_file_has_a_weight_of_one_and_what_is_beyond_254_does_not_matter() {
    let files = "track_file a {\nfile /run/a\n}\n\
        track_file b {\nfile /run/b\nweight -2147483647 reverse\ninit_file 7 overwrite\n}";
    let (config, said) = tracking(files, "track_file {\na\nb\n}");
    assert!(said.is_empty(), "{said:#?}");
    let weights = config.files.iter().map(|file| (file.weight, file.reverse));
    assert_eq!(weights.collect::<Vec<_>>(), [(1, false), (-254, true)]);
    let init = InitFile {
        value: 7,
        overwrite: true,
    };
    assert_eq!(config.files[1].init, Some(init));
    let tracked = config.instances[0].track_files.iter();
    let tracked: Vec<_> = tracked.map(|t| (t.position, t.weight, t.reverse)).collect();
    assert_eq!(tracked, [(0, 1, false), (1, -254, true)]);

    let (config, _) = tracking(
        files,
        "track_file {\nb weight -254 noreverse\na weight 3 reverse\n}",
    );
    let tracked = config.instances[0].track_files.iter();
    let tracked: Vec<_> = tracked.map(|t| (t.position, t.weight, t.reverse)).collect();
    assert_eq!(tracked, [(1, -254, false), (0, 3, true)]);
}

/// keepalived 2.2.7: "unknown track script option reverse - ignoring", and then "script a is not used".
#[test]
fn a_line_that_turns_no_weight_round_is_ignored() {
    let scripts = "vrrp_script a {\nscript x\nweight 5\n}\nvrrp_script b {\nscript y\n}";
    for word in ["reverse", "noreverse", "reverse weight 5"] {
        let (config, said) = tracking(scripts, &format!("track_script {{\na {word}\nb\n}}"));
        let tracked = config.instances[0].track_scripts.iter();
        let tracked: Vec<_> = tracked.map(|t| t.position).collect();
        assert_eq!(tracked, [1], "{word}");
        let [said] = said.as_slice() else {
            panic!("{said:#?}")
        };
        let first = word.split(' ').next().unwrap();
        let expected = format!(
            ":13:3: warning: this word needs `weight N` before it: `{first}`; the line is ignored, as by \
             keepalived: `a` is not tracked"
        );
        assert!(said.ends_with(&expected), "{said}");
    }
    let (_, said) = tracking("", "track_interface {\neth9 reverse\n}");
    assert!(said.concat().contains("`eth9` is not tracked"), "{said:#?}");
}

#[test]
fn an_owner_s_weights_are_said_to_have_no_effect() {
    let things = "vrrp_script s {\nscript /s\n}\ntrack_file f {\nfile /f\n}";
    let lines = "priority 255\nstate MASTER\ntrack_script {\ns weight 5\n}\ntrack_file {\nf\n}";
    let (config, said) = tracking(things, lines);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said.concat().contains("an owner keeps its priority"),
        "{said:#?}"
    );
    assert!(
        said.concat()
            .contains("every number but 0 in it is a fault"),
        "{said:#?}"
    );
    assert_eq!(config.instances[0].track_files[0].weight, 0);
}

fn virtual_server(lines: &str) -> (VirtualServer, Vec<String>) {
    let text = format!("virtual_server 10.0.0.1 80 {{\nlb_kind NAT\nprotocol TCP\n{lines}\n}}");
    let (config, said) = load_text(&text);
    (config.unwrap().virtual_servers.remove(0), said)
}

#[test]
fn checks_that_are_not_built_become_connections() {
    let (server, said) = virtual_server(
        "real_server 10.0.0.2 443 {\nSSL_GET {\nurl {\npath /\ndigest 0\n}\nconnect_port 444\n\
         connect_timeout 2\n}\n}\nreal_server 10.0.0.3 80 {\nMISC_CHECK {\nmisc_path \"/x\"\n}\n}\n\
         real_server 10.0.0.4 {\nTCP_CHECK {\n}\n}",
    );
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("`SSL_GET`; a TCP connection"), "{said:#?}");
    let check = |index: usize| server.real_servers[index].check.as_ref().unwrap();
    assert_eq!(check(0).kind, CheckKind::Tcp);
    assert_eq!(check(0).address, "10.0.0.2:444".parse().unwrap());
    assert_eq!(check(0).connect_timeout, Duration::from_secs(2));
    assert_eq!(check(1).kind, CheckKind::Tcp);
    // Without a port: that of the virtual server.
    assert_eq!(server.real_servers[2].address.port(), 0);
}

#[test]
fn words_of_old_tutorials_do_no_harm() {
    let (server, said) = virtual_server("nat_mask 255.255.255.0\npersistence_timeout 0");
    assert_eq!(server.persistence, None);
    assert_eq!(said.len(), 2, "{said:#?}");
    let (config, said) = load_text("global_defs {\nlvs_id a\n}");
    assert_eq!(config.unwrap().global.router_id.as_deref(), Some("a"));
    assert!(said.concat().contains("read as `router_id`"), "{said:?}");
}

#[test]
fn each_address_of_a_group_is_a_virtual_server() {
    let text = "virtual_server group web {\nlb_kind NAT\nprotocol TCP\nreal_server 10.0.0.2 80 {\n}\n}\n\
        virtual_server_group web {\n10.1.0.1 80\n10.1.0.5-7 81\nfwmark 3\n}";
    let (config, said) = load_text(text);
    let config = config.unwrap();
    let addresses: Vec<String> = config
        .virtual_servers
        .iter()
        .map(|server| server.address.to_string())
        .collect();
    assert_eq!(
        addresses,
        ["10.1.0.1:80", "10.1.0.5:81", "10.1.0.6:81", "10.1.0.7:81"]
    );
    assert!(
        config
            .virtual_servers
            .iter()
            .all(|s| s.real_servers.len() == 1)
    );
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("a firewall mark in a group"), "{said:#?}");
    let (config, said) = load_text("virtual_server group no {\n}");
    assert_eq!(config, None);
    assert!(
        said[0].contains("no `virtual_server_group` of this name"),
        "{said:#?}"
    );
    let (config, _) = load_text("virtual_server_group g {\n10.0.0.9-3 80\n}");
    assert_eq!(config, None);
    let text = "virtual_server_group g {\nfe80::9-b 80\n}\nvirtual_server group g {\n}";
    let servers = load_text(text).0.unwrap().virtual_servers;
    assert_eq!(servers[2].address, "[fe80::b]:80".parse().unwrap());
    assert_eq!(servers.len(), 3);
}
