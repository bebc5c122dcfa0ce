//! The users' own files, verbatim: exactly what comes out and exactly what is said.

use std::time::Duration;

use lb_core::{
    balance::Algorithm,
    config::{
        BindAddress, CheckConfig, CheckKind, ForwardFor, HttpMode, LogFormatKind, LogHeader,
        LogTarget, ServerConfig, StatsLevel, StickTableConfig, StoreKind, SyslogAddress, TableKey,
        Timeouts,
    },
};

use super::*;

fn users_file(folder: &str) -> (Config, Vec<String>) {
    let path = format!(
        "{}/tests/configs/{folder}/haproxy.cfg",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let (config, diagnostics) = load_text(&text);
    let said = diagnostics.iter().map(ToString::to_string).collect();
    (config.unwrap_or_else(|| panic!("{diagnostics}")), said)
}

fn seconds(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n))
}

fn timeouts() -> Timeouts {
    Timeouts {
        client: seconds(60),
        server: seconds(60),
        connect: seconds(10),
        http_request: seconds(10),
        http_keep_alive: seconds(10),
        queue: seconds(60),
        check: seconds(10),
        ..Timeouts::default()
    }
}

fn syslog(facility: u8) -> LogTarget {
    LogTarget {
        sample: None,
        header: LogHeader::Syslog,
        address: SyslogAddress::Udp("127.0.0.1:514".parse().unwrap()),
        max_len: 1024,
        facility,
        level: 7,
        min_level: 0,
    }
}

fn tcp(address: &str) -> BindAddress {
    BindAddress::Tcp(address.parse().unwrap())
}

fn addresses(proxy: &lb_core::config::ProxyConfig) -> Vec<BindAddress> {
    let binds = &proxy.frontend.as_ref().unwrap().binds;
    binds.iter().map(|bind| bind.address.clone()).collect()
}

fn servers(proxy: &lb_core::config::ProxyConfig) -> &[ServerConfig] {
    &proxy.backend.as_ref().unwrap().servers
}

#[test]
fn k8s_ingress_says_what_it_does_with_old_words() {
    let (_, said) = users_file("k8s-ingress");
    assert_eq!(
        said,
        [
            "h.cfg:11:18: warning: stats socket 0.0.0.0:1999 is dangerous: anyone who reaches it over the network \
             can stop servers and change the service without any authentication; it is opened as written; use a \
             UNIX socket with `mode 600` instead",
            "h.cfg:53:9: warning: 'reqadd' is obsolete; it is read as `http-request add-header`",
            "h.cfg:55:9: warning: 'cookie' ignored because frontend 'frontend_ssl_443' has no backend capability",
        ]
    );
}

#[test]
fn k8s_ingress_global_section() {
    let (config, _) = users_file("k8s-ingress");
    let global = &config.global;
    assert_eq!(global.logs, [syslog(16)]);
    assert_eq!(
        global.chroot.as_deref(),
        Some(Path::new("/var/lib/haproxy"))
    );
    assert_eq!(
        global.pidfile.as_deref(),
        Some(Path::new("/var/run/haproxy.pid"))
    );
    assert_eq!(
        (global.user.as_deref(), global.group.as_deref()),
        (Some("haproxy"), Some("haproxy"))
    );
    assert_eq!((global.maxconn, global.daemon), (Some(4000), true));
    let sockets: Vec<_> = global
        .stats_sockets
        .iter()
        .map(|socket| (socket.address.clone(), socket.level, socket.rights.mode))
        .collect();
    assert_eq!(
        sockets,
        [
            (
                BindAddress::Unix("/var/lib/haproxy/stats".into()),
                StatsLevel::Operator,
                None
            ),
            (tcp("0.0.0.0:1999"), StatsLevel::Admin, None),
            (
                BindAddress::Unix("/var/run/haproxy.sock".into()),
                StatsLevel::Admin,
                Some(0o600)
            ),
        ]
    );
}

#[test]
fn k8s_ingress_proxies_take_the_defaults() {
    let (config, _) = users_file("k8s-ingress");
    let names: Vec<_> = config.proxies.iter().map(|p| (&*p.name, p.id)).collect();
    assert_eq!(
        names,
        [
            ("stats", 2),
            ("per_ip_and_url_rates", 3),
            ("per_ip_rates", 4),
            ("frontend_ssl_443", 5),
            ("backend_ingress", 6),
            ("backend_rancher", 7),
        ]
    );
    for proxy in &config.proxies {
        assert_eq!(proxy.mode, Mode::Http);
        assert_eq!(proxy.timeouts, timeouts());
        assert_eq!(proxy.logs, [syslog(16)]);
        assert_eq!(proxy.log_format, LogFormatKind::Http);
        assert!(proxy.dontlognull);
        // The `except` of defaults holds although the frontend's own line has none.
        let expected = ForwardFor {
            header: "X-Forwarded-For".to_owned(),
            except: vec!["127.0.0.0/8".parse().unwrap()],
            if_none: false,
        };
        assert_eq!(proxy.forward_for, Some(expected));
        let mode = match &*proxy.name {
            "frontend_ssl_443" => HttpMode::Close,
            _ => HttpMode::ServerClose,
        };
        assert_eq!(proxy.http_mode, mode);
        if let Some(backend) = &proxy.backend {
            assert_eq!((backend.retries, backend.redispatch), (3, Some(-1)));
            assert_eq!(backend.balance, Algorithm::RoundRobin);
            assert_eq!(backend.check, CheckKind::Tcp);
            assert_eq!(backend.cookie, None);
        }
        if let Some(frontend) = &proxy.frontend {
            assert_eq!(frontend.maxconn, Some(3000));
        }
    }
}

#[test]
fn k8s_ingress_frontend_and_its_certificate() {
    let (config, _) = users_file("k8s-ingress");
    let frontend = &config.proxies[3];
    assert_eq!(addresses(frontend), [tcp("0.0.0.0:80"), tcp("0.0.0.0:443")]);
    let half = frontend.frontend.as_ref().unwrap();
    assert_eq!(half.default_backend.as_deref(), Some("backend_ingress"));
    assert!(half.binds[0].tls.is_none());
    let tls = half.binds[1].tls.as_ref().unwrap();
    assert_eq!(tls.certificates.len(), 1);
    assert_eq!(
        tls.certificates[0].path,
        Path::new("/etc/haproxy/ssl/server.pem")
    );
    assert_eq!(&*tls.certificates[0].pem, PEM.as_bytes());
    assert!(tls.settings.alpn.is_empty());
    assert!(frontend.backend.is_none());
    assert_eq!(half.binds[1].origin.as_deref(), Some("h.cfg:49"));
}

#[test]
fn k8s_ingress_servers() {
    let (config, _) = users_file("k8s-ingress");
    let ingress = servers(&config.proxies[4]);
    for (server, n) in ingress.iter().zip(1..) {
        assert_eq!(*server.name, format!("viettq-master{n}"));
        assert_eq!(server.id, n);
        assert_eq!(
            server.address,
            Some(format!("192.168.10.{}:30080", 10 + n).parse().unwrap())
        );
        assert_eq!(server.cookie.as_deref(), Some("p1"));
        assert_eq!(server.weight, 1);
        assert_eq!(server.check, Some(CheckConfig::default()));
    }
    assert_eq!(ingress.len(), 3);
    let rancher = servers(&config.proxies[5]);
    assert_eq!(rancher.len(), 1);
    assert_eq!(
        rancher[0].address,
        Some("192.168.10.19:6860".parse().unwrap())
    );
}

#[test]
fn k8s_ingress_statistics_and_tables() {
    let (config, _) = users_file("k8s-ingress");
    let page = config.proxies[0].stats.as_ref().unwrap();
    assert_eq!(
        (page.uri.as_str(), page.realm.as_str()),
        ("/stats", "HAProxy-04 Statistics")
    );
    assert_eq!(page.auth, [("admin".to_owned(), "password".to_owned())]);
    assert!(page.admin.is_some());
    let listen = config.proxies[0].frontend.as_ref().unwrap();
    assert_eq!(listen.default_backend.as_deref(), Some("stats"));
    let inner = config.proxies[4].stats.as_ref().unwrap();
    assert_eq!(
        (inner.uri.as_str(), inner.realm.as_str()),
        ("/haproxy?stats", "HAProxy Statistics")
    );
    assert_eq!(inner.auth, [("username".to_owned(), "password".to_owned())]);
    assert!(inner.admin.is_none());
    let day = Duration::from_secs(86_400);
    let table = |key, store| StickTableConfig {
        expire: Some(day),
        store,
        ..StickTableConfig::new(key, 1 << 20)
    };
    assert_eq!(
        config.proxies[1].stick_table,
        Some(table(
            TableKey::Binary(8),
            vec![StoreKind::HttpReqRate(day)]
        ))
    );
    let half_minute = Duration::from_secs(30);
    assert_eq!(
        config.proxies[2].stick_table,
        Some(table(
            TableKey::Ip,
            vec![StoreKind::Gpc0, StoreKind::Gpc0Rate(half_minute)]
        ))
    );
}

#[test]
fn apiserver_renames_servers_and_drops_transparent() {
    let (config, said) = users_file("apiserver");
    assert_eq!(
        said,
        [
            "h.cfg:35:13: warning: another server named 'kube-master-1' was already defined at line 34; this one \
             is named 'kube-master-1-2'",
            "h.cfg:36:13: warning: another server named 'kube-master-1' was already defined at line 34; this one \
             is named 'kube-master-1-3'",
            "h.cfg:41:5: warning: 'transparent' is obsolete; it is ignored in a proxy that only shows statistics",
        ]
    );
    let kube = &config.proxies[0];
    let found: Vec<_> = servers(kube)
        .iter()
        .map(|server| {
            (
                &*server.name,
                server.id,
                server.address.unwrap().to_string(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("kube-master-1", 1, "192.168.10.80:6443".to_owned()),
            ("kube-master-1-2", 2, "192.168.10.81:6443".to_owned()),
            ("kube-master-1-3", 3, "192.168.10.82:6443".to_owned()),
        ]
    );
    assert!(servers(kube).iter().all(|server| server.check.is_some()));
    assert_eq!(kube.mode, Mode::Tcp);
    assert_eq!(addresses(kube), [tcp("0.0.0.0:8443")]);
    assert_eq!(kube.log_format, LogFormatKind::Connect);
    assert_eq!(kube.logs, [syslog(19)]);
    assert!(kube.stats.is_none());
    let stats = &config.proxies[1];
    assert_eq!((stats.mode, stats.id), (Mode::Http, 3));
    let page = stats.stats.as_ref().unwrap();
    assert_eq!(page.refresh, seconds(30));
    assert_eq!(page.uri, "/haproxy?stats");
    assert!(page.auth.is_empty());
}
