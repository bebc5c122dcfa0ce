//! `bfd_instance` and `track_bfd`.

use super::*;

fn text(sessions: &str, tracked: &str) -> String {
    format!(
        "{sessions}\nvrrp_instance V {{\ninterface eth0\nvirtual_router_id 1\n\
         virtual_ipaddress {{\n10.0.0.1\n}}\ntrack_bfd {{\n{tracked}\n}}\n}}"
    )
}

#[test]
fn defaults_and_values_are_those_of_the_manual() {
    let sessions = "bfd_instance A {\nneighbor_ip 10.0.0.2\nweight -20 reverse\n}\n\
        bfd_instance B {\nneighbour_ip 2001:db8::2\nsource_ip 2001:db8::1\nmin_rx 3.312\nmin_tx 20\nidle_tx 2000\n\
        multiplier 3\npassive\nhoplimit 255\nmax_hops -1\n}";
    let (config, said) = load_text(&text(sessions, "A\nB weight 7"));
    assert!(said.is_empty(), "{said:?}");
    let config = config.unwrap();
    let [a, b] = &config.bfds[..] else {
        panic!("{:?}", config.bfds)
    };
    let ms = Duration::from_millis;
    assert_eq!((a.min_rx, a.min_tx, a.idle_tx), (ms(10), ms(10), ms(1000)));
    assert_eq!((a.multiplier, a.hop_limit, a.passive), (5, 255, false));
    assert_eq!(a.least_hops(), Some(255), "no router between");
    assert_eq!(b.min_rx, Duration::from_micros(3312));
    assert_eq!((b.min_tx, b.idle_tx), (ms(20), ms(2000)));
    assert_eq!((b.multiplier, b.hop_limit, b.passive), (3, 255, true));
    assert_eq!(b.least_hops(), None);
    let b = |max_hops| Bfd {
        max_hops: Some(max_hops),
        ..b.clone()
    };
    assert_eq!(b(0).least_hops(), Some(255), "strangers are kept out");
    assert_eq!(b(3).least_hops(), Some(252));
    let tracked = config.instances[0].track_bfds.iter();
    let tracked: Vec<_> = tracked
        .map(|one| (one.position, one.weight, one.reverse))
        .collect();
    assert_eq!(tracked, [(0, -20, true), (1, 7, false)]);
}

#[test]
fn a_neighbour_may_be_watched_from_several_addresses() {
    let sessions = "bfd_instance A {\nneighbor_ip 10.0.0.2\nsource_ip 10.0.0.1\n}\n\
        bfd_instance B {\nneighbor_ip 10.0.0.2\nsource_ip 10.0.0.3\n}";
    let (config, said) = load_text(&text(sessions, "A\nB"));
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(config.unwrap().bfds.len(), 2);
}

#[test]
fn what_keepalived_disables_or_ignores_is_refused_by_name() {
    for (sessions, tracked, expected) in [
        ("bfd_instance A {\n}", "", "a session without a neighbour"),
        (
            "bfd_instance A {\nneighbor_ip ::2\nsource_ip 10.0.0.1\n}",
            "A",
            "`source_ip` and `neighbor_ip` of different families",
        ),
        (
            "bfd_instance A {\nneighbor_ip 10.0.0.2\n}\nbfd_instance B {\nneighbor_ip 10.0.0.2\n}",
            "A",
            "a second session with the same neighbour",
        ),
        (
            "bfd_instance A {\nneighbor_ip 10.0.0.2\nsource_ip 10.0.0.1\n}\n\
             bfd_instance B {\nneighbor_ip 10.0.0.2\n}",
            "A",
            "different `source_ip` in both",
        ),
        (
            "bfd_instance A {\nneighbor_ip 10.0.0.2\nmin_rx 0.5\n}",
            "A",
            "milliseconds from 1 to 4294967",
        ),
        (
            "bfd_instance A {\nneighbor_ip 10.0.0.2\nidle_tx 100\n}",
            "A",
            "milliseconds from 1000 to 4294967",
        ),
        (
            "bfd_instance A {\nneighbor_ip 10.0.0.2\n}",
            "C",
            "no `bfd_instance` of this name",
        ),
    ] {
        let (config, said) = load_text(&text(sessions, tracked));
        assert!(config.is_none(), "{sessions}");
        assert!(said.iter().any(|said| said.contains(expected)), "{said:?}");
    }
}
