//! The users' own keepalived files, verbatim: what is accepted with which remarks, what comes out,
//! and what is refused where.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{path::PathBuf, time::Duration};

use ha_lb::config::{
    diagnostic::{Diagnostics, Severity},
    files::DiskFiles,
    keepalived::{self, Authentication, CheckKind, Config, InitialState, Instance, Scheduler},
};
use vrrp_proto::{Family, Password, Priority, Version};

/// Loads a file; the remarks have the folder cut off.
fn load(name: &str) -> (Option<Config>, Vec<String>) {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/configs"]
        .iter()
        .collect();
    let mut diagnostics = Diagnostics::new();
    let config = keepalived::load(&folder.join(name), &DiskFiles, &mut diagnostics);
    let prefix = format!("{}/", folder.display());
    let said = diagnostics
        .iter()
        .map(|d| d.to_string().replace(&prefix, ""))
        .collect();
    assert_eq!(config.is_none(), diagnostics.count(Severity::Error) > 0);
    (config, said)
}

fn accepted(name: &str, remarks: &[&str]) -> Config {
    let (config, said) = load(name);
    assert_eq!(said, remarks, "{name}");
    config.unwrap()
}

fn only(config: &Config) -> &Instance {
    assert_eq!(config.instances.len(), 1);
    &config.instances[0]
}

fn show_addresses(instance: &Instance) -> Vec<String> {
    let lines = instance.addresses.iter();
    lines
        .map(|line| format!("{}/{}", line.address, line.prefix))
        .collect()
}

#[test]
fn k8s_ingress() {
    let master = "k8s-ingress/keepalived-master1.conf:13:5: warning: `state MASTER` is incompatible with AH \
                  authentication; the instance begins as BACKUP, as with keepalived";
    for (file, priority, remarks) in [
        ("keepalived-master1.conf", 100, &[master][..]),
        ("keepalived-master2.conf", 99, &[]),
        ("keepalived-master3.conf", 98, &[]),
    ] {
        let config = accepted(&format!("k8s-ingress/{file}"), remarks);
        let instance = only(&config);
        assert_eq!(&*instance.name, "kubernetes");
        assert_eq!(instance.interface, "ens37");
        assert_eq!(instance.vrid.value(), 61);
        assert_eq!(instance.version, Version::V2);
        assert_eq!(instance.family, Family::Ipv4);
        assert_eq!(instance.state, InitialState::Backup);
        assert_eq!(instance.priority, Priority::new(priority));
        assert_eq!(instance.interval, Duration::from_secs(2));
        assert!(instance.preempt);
        let key = Password::truncated(b"viettq");
        assert_eq!(instance.authentication, Some(Authentication::Header(key)));
        assert_eq!(show_addresses(instance), ["192.168.10.10/32"]);
        assert_eq!(instance.track_scripts.len(), 1);
        assert_eq!(instance.track_scripts[0].weight, 10);

        let script = &config.scripts[instance.track_scripts[0].position];
        assert_eq!(&*script.name, "haproxy-check");
        assert_eq!(script.command.arguments, ["killall", "-0", "haproxy"]);
        assert_eq!(script.interval, Duration::from_secs(2));
        assert_eq!(script.timeout, Duration::from_secs(2));
        assert_eq!((script.rise, script.fall), (1, 1));
    }
}

#[test]
fn apiserver_version_2() {
    let config = accepted(
        "apiserver/keepalived.conf",
        &[
            "apiserver/keepalived.conf:2:3: warning: this keyword has no effect here: \
             `enable_traps`; there is no SNMP agent",
            "apiserver/keepalived.conf:19:5: note: the instance's own interface is tracked in any \
             case: `em1`; the line changes nothing",
        ],
    );
    assert_eq!(config.global.router_id.as_deref(), Some("LVS_DEVEL"));
    let instance = only(&config);
    assert_eq!(instance.version, Version::V2);
    assert!(instance.track_interfaces.is_empty());
    assert!(instance.track_primary);
    let password = Password::truncated(b"1111");
    assert_eq!(
        instance.authentication,
        Some(Authentication::Password(password))
    );
    let script = &config.scripts[0];
    assert_eq!(script.command.arguments, ["pidof", "haproxy"]);
    assert_eq!((script.weight, script.rise, script.fall), (-5, 1, 2));
}

#[test]
fn apiserver_version_3_with_a_virtual_server() {
    let config = accepted(
        "apiserver/keepalived-lvs.conf",
        &[
            "apiserver/keepalived-lvs.conf:3:3: warning: this keyword has no effect here: \
             `vrrp_iptables`; addresses are fenced by an nftables table of this program's own",
            "apiserver/keepalived-lvs.conf:23:5: note: the instance's own interface is tracked in \
             any case: `em1`; the line changes nothing",
            "apiserver/keepalived-lvs.conf:27:5: warning: a weight with `nopreempt`: a failing master \
             keeps the addresses, because no backup preempts it: `check_haproxy`; with weight 0 a \
             failure is a fault, which gives the addresses up",
            "apiserver/keepalived-lvs.conf:37:3: warning: obsolete keyword: found `lvs_sched`, \
             expected `lb_algo`; read as `lb_algo`",
            "apiserver/keepalived-lvs.conf:38:3: warning: obsolete keyword: found `lvs_method`, \
             expected `lb_kind`; read as `lb_kind`",
        ],
    );
    let instance = only(&config);
    assert_eq!(instance.version, Version::V3);
    assert!(!instance.preempt);
    assert_eq!(instance.authentication, None);

    assert_eq!(config.virtual_servers.len(), 1);
    let server = &config.virtual_servers[0];
    assert_eq!(server.address.to_string(), "192.168.10.99:8443");
    assert_eq!(server.scheduler, Scheduler::WeightedLeastConnections);
    assert_eq!(server.forwarding.as_deref(), Some("NAT"));
    assert_eq!(server.persistence, Some(Duration::from_secs(1800)));
    let reals: Vec<String> = server
        .real_servers
        .iter()
        .map(|r| r.address.to_string())
        .collect();
    assert_eq!(
        reals,
        [
            "192.168.10.80:8443",
            "192.168.10.81:8443",
            "192.168.10.82:8443"
        ]
    );
    for real in &server.real_servers {
        let check = real.check.as_ref().unwrap();
        assert_eq!(real.weight, 1);
        assert_eq!(check.kind, CheckKind::Tcp);
        assert_eq!(check.address, real.address);
        assert_eq!(check.connect_timeout, Duration::from_secs(3));
        assert_eq!(check.interval, Duration::from_secs(5));
    }
}

#[test]
fn courier() {
    let config = accepted(
        "courier/keepalived.conf",
        &[
            "courier/keepalived.conf:24:15: warning: an instance without addresses: `courier`; it \
             elects a master and runs notify scripts, and does no more",
        ],
    );
    let timeouts: Vec<u64> = config.scripts.iter().map(|s| s.timeout.as_secs()).collect();
    assert_eq!(timeouts, [35, 35, 35]);
    assert_eq!(
        config.scripts[0].command.arguments,
        ["/etc/keepalived/check_script.sh", "courier", "FAULT"]
    );
    let instance = only(&config);
    assert_eq!(instance.interval, Duration::from_secs(5));
    assert_eq!(instance.source, Some("100.77.189.139".parse().unwrap()));
    let unicast = instance.unicast.as_ref().unwrap();
    let peers: Vec<String> = unicast
        .peers
        .iter()
        .map(|p| p.address.to_string())
        .collect();
    assert_eq!(peers, ["100.77.189.137"]);
    assert!(unicast.check_source);
    let tracked: Vec<_> = instance
        .track_scripts
        .iter()
        .map(|t| (t.position, t.weight))
        .collect();
    assert_eq!(tracked, [(1, 1), (0, 0), (2, 0)]);
    let notified = |command: &Option<keepalived::Command>| command.clone().unwrap().arguments;
    assert_eq!(
        notified(&instance.notify.master),
        ["/etc/keepalived/notify.sh", "courier", "MASTER"]
    );
    assert_eq!(notified(&instance.notify.fault)[2], "FAULT");
    assert_eq!(instance.notify.stop, None);
}

#[test]
fn web_pair() {
    // keepalived says the same: it would send before it has heard the others' sequence number.
    let master = "web-pair/keepalived-web1.conf:14:5: warning: `state MASTER` is incompatible with AH \
                  authentication; the instance begins as BACKUP, as with keepalived";
    for (file, priority, preempt, remarks) in [
        ("keepalived-web1.conf", 100, true, &[master][..]),
        ("keepalived-web2.conf", 98, true, &[]),
    ] {
        let config = accepted(&format!("web-pair/{file}"), remarks);
        let instance = only(&config);
        assert_eq!(instance.priority.value(), priority);
        assert_eq!(instance.preempt, preempt);
        assert_eq!(instance.track_scripts[0].weight, 4);
        let key = Password::truncated(b"12345678");
        assert_eq!(instance.authentication, Some(Authentication::Header(key)));
    }
    let config = accepted(
        "web-pair/keepalived-web2-nopreempt.conf",
        &[
            "web-pair/keepalived-web2-nopreempt.conf:24:9: warning: a weight with `nopreempt`: a \
             failing master keeps the addresses, because no backup preempts it: `chk_nginx`; with \
             weight 0 a failure is a fault, which gives the addresses up",
        ],
    );
    assert!(!only(&config).preempt);
    assert_eq!(only(&config).interface, "ens32");
    assert_eq!(only(&config).source, Some("10.2.3.111".parse().unwrap()));
}

#[test]
fn single() {
    for (file, state, priority) in [
        ("keepalived-master.conf", InitialState::Master, 101),
        ("keepalived-backup.conf", InitialState::Backup, 90),
    ] {
        let config = accepted(&format!("single/{file}"), &[]);
        let instance = only(&config);
        assert_eq!(instance.state, state);
        assert_eq!(instance.priority.value(), priority);
        assert_eq!(show_addresses(instance), ["192.168.1.100/32"]);
    }
}

#[test]
fn multi_service() {
    let cut = "`auth_pass` is longer than 8 bytes; only the first 8 count, as for keepalived";
    let config = accepted(
        "multi-service/keepalived.conf",
        &[
            &format!("multi-service/keepalived.conf:10:19: warning: {cut}"),
            "multi-service/keepalived.conf:16:9: warning: a script that is defined later: \
             `check_serviceA`; it is tracked; keepalived would ignore this line, and lines like it",
            &format!("multi-service/keepalived.conf:29:19: warning: {cut}"),
            "multi-service/keepalived.conf:39:48: warning: text after the value of `script`: \
             `Đường`; it is ignored to the end of the line, as by keepalived",
        ],
    );
    assert_eq!(config.instances.len(), 2);
    assert_eq!(
        config.scripts[0].command.arguments,
        ["/etc/keepalived/check_serviceA.sh"]
    );
    for (index, instance) in config.instances.iter().enumerate() {
        assert_eq!(instance.track_scripts[0].position, index);
        assert_eq!(instance.track_scripts[0].weight, 2);
        let expected = if index == 0 { b"serviceA" } else { b"serviceB" };
        let password = Password::truncated(expected);
        assert_eq!(
            instance.authentication,
            Some(Authentication::Password(password))
        );
    }
}

fn refused(name: &str, errors: &[&str]) {
    let (config, said) = load(name);
    assert_eq!(config, None, "{name}");
    let found: Vec<&str> = said
        .iter()
        .filter(|line| line.contains(": error: "))
        .map(|line| line.strip_prefix(name).unwrap())
        .collect();
    assert_eq!(found, errors, "{name}");
}

#[test]
fn templates_are_refused_at_each_placeholder() {
    let placeholder = "; it looks like a placeholder of a template: put the real value there";
    let address = "expected an IPv4 or IPv6 address, with or without `/` and a prefix length";
    refused(
        "templates/keepalived-skeleton.conf",
        &[
            &format!(
                ":13:18: error: this is no time in range: found `<time>`, expected seconds from \
                 0.001 to 1000000, with or without decimals{placeholder}"
            ),
            &format!(
                ":14:16: error: this is no number in range: found `<n>`, expected a whole number \
                 from -253 to 253{placeholder}"
            ),
            &format!(
                ":18:11: error: this is no state: found `MASTER|BACKUP`, expected MASTER or \
                 BACKUP{placeholder}"
            ),
            &format!(
                ":20:18: error: this is no address: found `@IP`, expected an IPv4 or IPv6 \
                 address{placeholder}"
            ),
            ":21:23: error: this is no number in range: found `num`, expected a whole number from \
             1 to 255",
            ":22:14: error: this is no number in range: found `num`, expected a whole number from \
             1 to 255",
            ":23:16: error: this is no time in range: found `num`, expected seconds from 0.001 to \
             255, with or without decimals",
            &format!(
                ":26:19: error: this is no type of authentication: found `PASS|AH`, expected PASS \
                 or AH, in capitals{placeholder}"
            ),
            &format!(":30:9: error: this is no address: found `@IP`, {address}{placeholder}"),
            &format!(":31:9: error: this is no address: found `@IP`, {address}{placeholder}"),
        ],
    );
    for (role, lines, source, peer) in [
        ("master", 18, "<MASTER-vrrp-net-ip>", "<backup-vrrp-net-ip>"),
        ("backup", 18, "<BACKUP-vrrp-net-ip>", "<master-vrrp-net-ip>"),
    ] {
        let plain = "expected an IPv4 or IPv6 address";
        let mut errors = vec![
            format!(":7:20: error: this is no address: found `{source}`, {plain}{placeholder}"),
            format!(":9:7: error: this is no address: found `{peer}`, {plain}{placeholder}"),
        ];
        for (line, letter) in (lines - 2..).zip(["X", "Y", "Z"]) {
            errors.push(format!(
                ":{line}:9: error: this is no address: found `X.X.X.{letter}/32`, {address}{placeholder}"
            ));
        }
        let errors: Vec<&str> = errors.iter().map(String::as_str).collect();
        refused(
            &format!("templates/keepalived-unicast-{role}.conf"),
            &errors,
        );
    }
}
