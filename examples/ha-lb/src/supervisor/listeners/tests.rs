use std::{
    io::Read as _,
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
};

use lb_core::config::{FrontendConfig, Mode, SocketRights, StatsLevel, StatsSocket};

use super::*;

fn config(binds: Vec<Bind>) -> Config {
    let mut proxy = ProxyConfig::new("f", 2, Mode::Tcp);
    proxy.frontend = Some(FrontendConfig {
        binds,
        ..FrontendConfig::default()
    });
    let mut config = Config::default();
    config.proxies.push(proxy);
    config
}

fn loopback() -> Bind {
    Bind::new(BindAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))))
}

fn port(open: &Open) -> u16 {
    let socket = Socket::from(open.socket.try_clone().unwrap());
    socket.local_addr().unwrap().as_socket().unwrap().port()
}

#[test]
fn every_worker_gets_its_own_socket_of_a_bind() {
    let opened = open(&config(vec![loopback()]), 3, true).unwrap();
    let workers: Vec<_> = opened.iter().map(|o| o.listener).collect();
    assert_eq!(
        workers,
        [0, 1, 2].map(|worker| Listener::Bind {
            proxy: 0,
            bind: 0,
            worker
        })
    );
}

#[test]
fn an_address_of_another_host_can_be_bound_beside_the_wildcard_on_the_same_port() {
    let first = open(&config(vec![loopback()]), 1, true).unwrap();
    let port = port(first.first().unwrap());
    drop(first);
    let wildcard = Bind::new(BindAddress::Tcp(SocketAddr::from(([0, 0, 0, 0], port))));
    let elsewhere = Bind::new(BindAddress::Tcp(SocketAddr::from(([192, 0, 2, 7], port))));
    assert_eq!(
        open(&config(vec![wildcard, elsewhere]), 2, true)
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn a_port_in_use_by_another_program_is_an_error_that_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bind = Bind::new(BindAddress::Tcp(taken.local_addr().unwrap()));
    bind.origin = Some("f.cfg:3".into());
    let told = open(&config(vec![bind]), 1, true).unwrap_err().to_string();
    assert!(
        told.starts_with("f.cfg:3: cannot bind 127.0.0.1:"),
        "{told}"
    );
    assert!(told.contains("for proxy 'f': "), "{told}");
    assert!(told.contains("another program listens there"), "{told}");
}

#[test]
fn a_connection_that_arrives_without_a_balancer_waits_in_the_queue() {
    let opened = open(&config(vec![loopback()]), 1, true).unwrap();
    let first = opened.first().unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", port(first))).unwrap();
    let given = std::net::TcpListener::from(first.socket.try_clone().unwrap());
    given.set_nonblocking(false).unwrap();
    let (server, _) = given.accept().unwrap();
    drop((server, given));
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_stats_socket_gets_its_mode_and_replaces_a_stale_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stats.sock");
    std::fs::write(&path, "left behind").unwrap();
    let mut config = config(Vec::new());
    config.global.stats_sockets.push(StatsSocket {
        address: BindAddress::Unix(path.clone()),
        level: StatsLevel::Admin,
        rights: SocketRights {
            mode: Some(0o600),
            ..SocketRights::default()
        },
    });
    let opened = open(&config, 2, true).unwrap();
    assert_eq!(opened.len(), 1);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    UnixStream::connect(&path).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(unix_paths(&config), [path]);
}

#[test]
fn a_unix_socket_of_a_proxy_has_the_mode_and_the_owner_that_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("front.sock");
    let mut bind = Bind::new(BindAddress::Unix(path.clone()));
    bind.rights = SocketRights {
        mode: Some(0o620),
        user: Some(rustix::process::geteuid().as_raw().to_string()),
        group: Some(rustix::process::getegid().as_raw().to_string()),
    };
    let wanted = config(vec![bind.clone()]);
    let opened = open(&wanted, 2, true).unwrap();
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o620);
    // Another program, or an upgrade, may have changed it.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    restore_rights(&wanted);
    assert_eq!(mode(), 0o620);
    drop(opened);
    bind.rights.user = Some("nobody-of-that-name".to_owned());
    let refused = open(&config(vec![bind]), 1, true).unwrap_err();
    assert!(
        refused.to_string().contains("nobody-of-that-name"),
        "{refused}"
    );
}

#[test]
fn a_link_in_the_place_of_a_socket_is_refused_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("secret"), "x").unwrap();
    std::fs::set_permissions(at("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let _real = std::os::unix::net::UnixListener::bind(at("real")).unwrap();
    std::fs::set_permissions(at("real"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(at("secret"), at("to-secret")).unwrap();
    std::os::unix::fs::symlink(at("real"), at("to-real")).unwrap();
    let rights = Rights::of(&SocketRights {
        mode: Some(0o666),
        user: Some(rustix::process::geteuid().as_raw().to_string()),
        ..SocketRights::default()
    })
    .unwrap();
    let mode = |name| std::fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
    for name in ["to-secret", "secret", "to-real"] {
        let (_, error) = rights.give(&at(name)).unwrap_err();
        assert_eq!(error.to_string(), "it is not a socket", "{name}");
    }
    assert_eq!((mode("secret"), mode("real")), (0o600, 0o600));
    rights.give(&at("real")).unwrap();
    assert_eq!(mode("real"), 0o666);
}

#[test]
fn a_reload_keeps_every_socket_and_new_ones_listen_only_when_it_is_sure() {
    let held = open(&config(vec![loopback()]), 3, true).unwrap();
    // Fewer workers: the third socket goes to the first worker.
    let fewer = reopen(&config(vec![loopback()]), 2, &held).unwrap();
    let workers: Vec<_> = fewer
        .iter()
        .map(|open| match open.listener {
            Listener::Bind { worker, .. } => worker,
            Listener::Stats(_) => usize::MAX,
        })
        .collect();
    assert_eq!(workers, [0, 1, 0]);
    for (old, new) in held.iter().zip(&fewer) {
        assert!(Arc::ptr_eq(&old.socket, &new.socket));
    }
    // Another address beside it: nobody is let in before the change is sure.
    let BindAddress::Tcp(mut address) = loopback().address else {
        return;
    };
    address.set_ip([127, 0, 0, 2].into());
    let other = Bind::new(BindAddress::Tcp(address));
    let mut more = reopen(&config(vec![other, loopback()]), 2, &fewer).unwrap();
    assert_eq!(more.len(), 2 + 3);
    let new = SocketAddr::from(([127, 0, 0, 2], port(&more[0])));
    assert!(TcpStream::connect(new).is_err());
    begin(&mut more);
    TcpStream::connect(new).unwrap();
}
