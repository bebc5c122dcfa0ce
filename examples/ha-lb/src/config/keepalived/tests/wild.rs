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

#[test]
fn a_tracked_process_is_a_script_that_asks_for_it() {
    let text = "vrrp_track_process lb {\nprocess haproxy\nweight 20\nquorum 2\ndelay 1.5\n}\n\
        vrrp_script lb {\nscript /bin/true\n}\n\
        vrrp_instance V {\ninterface e\nvirtual_router_id 1\nvirtual_ipaddress { 10.0.0.1 }\n\
        track_process {\nlb weight -5\n}\ntrack_script { lb }\n}";
    let (config, said) = load_text(text);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("`pidof` is asked for it"), "{said:#?}");
    assert!(said[1].contains("one process is enough"), "{said:#?}");
    let config = config.unwrap();
    let [process, _] = &config.scripts[..] else {
        panic!("two scripts");
    };
    assert_eq!(process.command.arguments, ["pidof", "haproxy"]);
    assert_eq!((process.weight, process.rise, process.fall), (20, 3, 3));
    let tracked: Vec<_> = config.instances[0]
        .track_scripts
        .iter()
        .map(|track| (track.script, track.weight))
        .collect();
    assert_eq!(tracked, [(0, -5), (1, 0)]);
    assert!(
        remark("track_process {\nlb\n}")
            .contains("no `vrrp_track_process` of this name: found `lb`")
    );
    let (_, said) = load_text("vrrp_track_process lb {\nweight 1\n}");
    assert!(said.concat().contains("no process to track"), "{said:?}");
}

fn virtual_server(lines: &str) -> (VirtualServer, Vec<String>) {
    let text = format!("virtual_server 10.0.0.1 80 {{\nprotocol TCP\n{lines}\n}}");
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
    let text = "virtual_server group web {\nprotocol TCP\nreal_server 10.0.0.2 80 {\n}\n}\n\
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
