//! Who may use UNIX sockets, and where they lie.

use lb_core::config::{BindAddress, SocketRights};

use super::*;

fn rights(mode: u32, user: Option<&str>, group: Option<&str>) -> SocketRights {
    SocketRights {
        mode: Some(mode),
        user: user.map(str::to_owned),
        group: group.map(str::to_owned),
    }
}

fn sockets(global: &str) -> String {
    format!(
        "global\n stats socket /run/stats.sock mode 600 user root\n {global}\n\
         defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n\
         listen web\n bind /web.sock\n bind unix@/own.sock mode 606 uid 7 group www\n bind abns@web\n bind :80\n"
    )
}

#[test]
fn unix_bind_says_what_lines_of_proxies_do_not_say_themselves() {
    let config = quiet(&sockets("unix-bind prefix /run/lb mode 660 user web gid 8"));
    let binds = &config.proxies[0].frontend.as_ref().unwrap().binds;
    let said: Vec<_> = binds
        .iter()
        .map(|bind| (&bind.address, &bind.rights))
        .collect();
    let at = |path: &str| BindAddress::Unix(path.into());
    assert_eq!(
        said[0],
        (
            &at("/run/lb/web.sock"),
            &rights(0o660, Some("web"), Some("8"))
        )
    );
    assert_eq!(
        said[1],
        (
            &at("/run/lb/own.sock"),
            &rights(0o606, Some("7"), Some("www"))
        )
    );
    assert_eq!(said[2].1, &SocketRights::default());
    assert_eq!(said[3].1, &SocketRights::default());
    let stats = &config.global.stats_sockets[0];
    assert_eq!(stats.address, at("/run/stats.sock"));
    assert_eq!(stats.rights, rights(0o600, Some("root"), None));
}

#[test]
fn what_is_no_right_is_an_error() {
    assert_eq!(
        findings(&sockets("unix-bind mode 660 owner web")),
        [
            "h.cfg:3:21: error: unknown word behind 'unix-bind': found `owner`, expected prefix, mode, uid, gid, user \
             or group"
        ]
    );
    let found = findings(&sockets("unix-bind uid web"));
    assert_eq!(found.len(), 1, "{found:?}");
}
