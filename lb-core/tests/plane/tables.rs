//! Counting in stick tables, and servers by them.

use std::time::Duration;

use lb_core::{
    backend::AdminAction,
    config::{Mode, StickTableConfig, StoreKind, TableKey},
    stick_table::Column,
};

use crate::common::{Origin, Plane, ask, listen, ok, rules};

fn table(key: TableKey, store: &[StoreKind]) -> Option<StickTableConfig> {
    Some(StickTableConfig {
        expire: Some(Duration::from_secs(60)),
        store: store.to_vec(),
        ..StickTableConfig::new(key, 100)
    })
}

#[test]
fn connections_requests_and_errors_of_a_source_are_counted() {
    let origin = Origin::http(|request| match request.contains("/missing") {
        true => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        false => ok("fine"),
    });
    let mut web = listen("web", Mode::Http, &[origin.address]);
    web.stick_table = table(
        TableKey::Ip,
        &[
            StoreKind::ConnCur,
            StoreKind::ConnCnt,
            StoreKind::HttpReqCnt,
            StoreKind::HttpErrCnt,
            StoreKind::BytesInCnt,
            StoreKind::BytesOutCnt,
        ],
    );
    web.rules = rules(|rules| {
        rules
            .tcp_request(&["connection", "track-sc0", "src"])
            .unwrap();
        rules
            .http_request(&["deny", "if", "{", "sc0_http_req_cnt", "gt", "3", "}"])
            .unwrap();
    });
    let plane = Plane::start(vec![web]);
    let balancer = plane.plane.balancer();
    let table = &balancer.tables["web"];
    let key = table.key_of_bytes(b"127.0.0.1").unwrap();
    let value = |column| table.value(std::time::Instant::now(), &key, column);
    let mut client = plane.connect();
    let statuses: Vec<String> = ["/", "/missing", "/", "/", "/"]
        .iter()
        .map(|path| {
            let answer = ask(
                &mut client,
                &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
            );
            answer[9..12].to_owned()
        })
        .collect();
    assert_eq!(statuses, ["200", "404", "200", "403", "403"]);
    assert_eq!(value(Column::ConnCur), Some(1));
    assert_eq!(value(Column::ConnCnt), Some(1));
    assert_eq!(value(Column::HttpReqCnt), Some(5));
    assert_eq!(value(Column::HttpErrCnt), Some(3));
    plane.until("bytes", |_| value(Column::BytesOutCnt) > Some(100));
    assert!(value(Column::BytesInCnt) > Some(100));
    assert_eq!(table.holders(std::time::Instant::now(), &key), Some(1));
    drop(client);
    plane.until("no connection", |_| value(Column::ConnCur) == Some(0));
    plane.stop();
}

#[test]
fn a_header_keeps_its_server() {
    let origins = [Origin::http(|_| ok("one")), Origin::http(|_| ok("two"))];
    let addresses = origins.each_ref().map(|origin| origin.address);
    let mut web = listen("web", Mode::Http, &addresses);
    web.stick_table = table(TableKey::String(20), &[StoreKind::ServerId]);
    web.rules = rules(|rules| {
        rules.stick(&["on", "hdr(x-user)"]).unwrap();
    });
    let plane = Plane::start(vec![web]);
    let get = |user: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nX-User: {user}\r\n\r\n");
        ask(&mut plane.connect(), &request)
    };
    let first = get("joe");
    let other = get("ann");
    assert_ne!(first, other);
    for _ in 0..3 {
        assert_eq!(get("joe"), first);
        assert_eq!(get("ann"), other);
    }
    plane.stop();
}

#[test]
fn who_came_to_a_server_that_no_table_remembers_goes_back_when_the_others_return() {
    let origins = [Origin::http(|_| ok("main")), Origin::http(|_| ok("spare"))];
    let addresses = origins.each_ref().map(|origin| origin.address);
    let mut web = listen("web", Mode::Http, &addresses);
    web.stick_table = table(TableKey::String(20), &[StoreKind::ServerId]);
    web.rules = rules(|rules| {
        rules.stick(&["on", "hdr(x-user)"]).unwrap();
    });
    let spare = &mut web.backend.as_mut().unwrap().servers[1];
    (spare.backup, spare.non_stick) = (true, true);
    let plane = Plane::start(vec![web]);
    let balancer = plane.plane.balancer();
    let (backend, now) = (&balancer.backends[0], std::time::Instant::now());
    let set = |state| backend.set_state(now, backend.servers()[0].index(), state);
    let get = || {
        let request = "GET / HTTP/1.1\r\nHost: x\r\nX-User: joe\r\n\r\n";
        ask(&mut plane.connect(), request)
    };
    set(AdminAction::Maintenance);
    assert!(get().ends_with("spare"));
    set(AdminAction::Ready);
    assert!(get().ends_with("main"));
    plane.stop();
}
