use std::{io, path::Path, time::SystemTime};

use super::*;
use crate::{
    config::FrontendConfig,
    expr::testing::start,
    head::{Head, HeadRef, Version},
    request::{ConnectionInfo, RuleState},
    rules::{ProxyRules, ProxySide, RulesBuilder},
};

fn rules(lines: &[&[&str]]) -> ProxyRules {
    let loader = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let mut builder = RulesBuilder::new(ProxySide::Frontend, &loader);
    for line in lines {
        builder.use_backend(line).unwrap();
    }
    builder.build().unwrap()
}

fn frontend(half: FrontendConfig, lines: &[&[&str]]) -> Result<Arc<Frontend>, FrontendError> {
    let mut config = ProxyConfig::new("fe", 2, crate::config::Mode::Http);
    config.frontend = Some(half);
    config.rules = rules(lines);
    let backends = ["a", "b"].iter().enumerate();
    let names = backends.map(|(i, n)| (Arc::from(*n), i)).collect();
    Frontend::new(&config, &names, 3)
}

#[test]
fn places_are_given_back_and_the_limit_is_exact() {
    let now = start();
    let peer = IpAddr::from([127, 0, 0, 1]);
    let frontend = frontend(FrontendConfig::default(), &[]).unwrap();
    let mut held: Vec<Admission> = (0..3).map(|_| frontend.admit(now, peer).unwrap()).collect();
    assert_eq!(frontend.admit(now, peer).err(), Some(NotAdmitted::Full));
    held.pop();
    assert_eq!(frontend.current(), 2);
    assert!(frontend.admit(now, peer).is_ok());
    drop(held);
    assert_eq!((frontend.current(), frontend.most()), (0, 3));
}

#[test]
fn a_rate_limit_tells_when_to_come_back_and_keeps_no_place() {
    let now = start();
    let peer = IpAddr::from([127, 0, 0, 1]);
    let half = FrontendConfig {
        rate_limit: Some(2),
        ..FrontendConfig::default()
    };
    let frontend = frontend(half, &[]).unwrap();
    for _ in 0..2 {
        drop(frontend.admit(now, peer).unwrap());
    }
    let retry_at = now + Duration::from_secs(1);
    assert_eq!(
        frontend.admit(now, peer).err(),
        Some(NotAdmitted::TooFast { retry_at })
    );
    assert_eq!(frontend.current(), 0);
    assert!(frontend.admit(retry_at, peer).is_ok());
}

#[test]
fn routes_by_rule_then_by_made_up_name_then_by_default() {
    let half = FrontendConfig {
        default_backend: Some("b".into()),
        ..FrontendConfig::default()
    };
    let lines: [&[&str]; 2] = [
        &["a", "if", "{", "path_beg", "/a", "}"],
        &[
            "%[path,field(2,/)]",
            "if",
            "{",
            "path_beg",
            "/to",
            "}",
            "or",
            "{",
            "path",
            "/b",
            "}",
        ],
    ];
    let frontend = frontend(half, &lines).unwrap();
    let connection = ConnectionInfo {
        source: "192.0.2.1:1".parse().unwrap(),
        destination: "192.0.2.2:80".parse().unwrap(),
        fronted: None,
        tls: None,
        frontend: "fe".into(),
        bind: None,
        accepted_at: start(),
        accepted_date: SystemTime::UNIX_EPOCH,
    };
    let state = RuleState::default();
    for (path, index) in [("/a/x", 0), ("/to", 1), ("/b", 1), ("/", 1)] {
        let mut head = Head::default();
        let method = head.store(b"GET");
        let target = head.store(path.as_bytes());
        head.set_request(method, target, Version::Http11);
        let view = RequestView::new(connection.accepted_at, &connection, &state)
            .with_request(HeadRef::new(&head, b""));
        assert_eq!(frontend.route(&view), Some(index), "{path}");
    }
}

#[test]
fn missing_backends_are_told() {
    let error = frontend(FrontendConfig::default(), &[&["nowhere"]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "frontend 'fe': unable to find required use_backend: 'nowhere'"
    );
}
