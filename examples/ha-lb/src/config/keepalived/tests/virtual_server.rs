//! `virtual_server` and what is in it.

use super::*;

#[test]
fn a_virtual_server_has_checks_with_inherited_defaults() {
    let text = "virtual_server 10.0.0.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\ndelay_loop 7\nretry 4\n\
        virtualhost www\npersistence_timeout\npersistence_granularity 255.255.255.0\n\
        sorry_server 10.0.0.9 81\n\
        real_server 10.0.0.2 80 {\nweight 3\nuthreshold 9\nHTTP_GET {\nconnect_timeout 2\n\
        url {\npath /ok\nstatus_code 200-204,301 404\n}\n}\n}\n\
        real_server 10.0.0.3 80 {\nTCP_CHECK {\nconnect_port 8080\ndelay_loop 1\n}\n}\n\
        real_server 10.0.0.4 80 {\n}\n}";
    let (config, said) = load_text(text);
    assert!(said.is_empty(), "{said:?}");
    let server = config.unwrap().virtual_servers.remove(0);
    assert_eq!(server.scheduler, Scheduler::RoundRobin);
    assert_eq!(server.persistence, Some(Duration::from_secs(360)));
    assert_eq!(server.persistence_prefix, Some(24));
    assert_eq!(server.sorry_server, Some("10.0.0.9:81".parse().unwrap()));
    let [first, second, third] = &server.real_servers[..] else {
        panic!("three servers");
    };
    assert_eq!((first.weight, first.upper_threshold), (3, Some(9)));
    let check = first.check.as_ref().unwrap();
    let http = CheckKind::Http {
        path: "/ok".to_owned(),
        host: Some("www".to_owned()),
        status: vec![(200, 204), (301, 301), (404, 404)],
    };
    assert_eq!(check.kind, http);
    assert_eq!(check.retry, 4);
    assert_eq!(check.retry_delay, Duration::from_secs(3));
    assert_eq!(check.interval, Duration::from_secs(7));
    assert_eq!(check.connect_timeout, Duration::from_secs(2));
    let check = second.check.as_ref().unwrap();
    assert_eq!(check.address, "10.0.0.3:8080".parse().unwrap());
    assert_eq!(check.interval, Duration::from_secs(1));
    assert_eq!(third.check, None);
}

#[test]
fn what_a_proxy_cannot_serve_is_said() {
    let (config, said) = load_text("virtual_server fwmark 7 {\n}");
    assert_eq!(config, None);
    assert!(
        said[0].contains("a virtual server without an address"),
        "{said:?}"
    );
    let (config, said) = load_text("virtual_server 10.0.0.1 53 {\nprotocol UDP\n}");
    assert!(config.unwrap().virtual_servers.is_empty());
    assert!(said.concat().contains("only TCP is served"), "{said:?}");
}
