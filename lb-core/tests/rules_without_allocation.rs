//! Rules of the usual kind run without allocating once their memory has grown, and what changes while they run costs the
//! same however large it is.
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::disallowed_methods, reason = "a test begins somewhere in time")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use lb_core::{
    config::{StickTableConfig, StoreKind, TableKey},
    head::{Field, Head, HeadMut, HeadRef, Version},
    log::{LogFormat, RequestLine, StreamRecord, Termination},
    peers::{Group, Session, Shared},
    request::{ConnectionInfo, RequestView, RuleState},
    rules::{ProxyRules, ProxySide, RequestVerdict, RulesBuilder},
    stick_table::{Event, Key, StickTable},
};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged.
#[expect(unsafe_code, reason = "an allocator is an unsafe trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RECEIVED: &[u8] = b"GET/shop/item?id=7hostWWW.Example.com:80";

fn rules() -> ProxyRules {
    let loader = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let mut builder = RulesBuilder::new(ProxySide::Frontend, &loader);
    builder
        .acl(&["shop", "hdr_dom(host)", "-i", "example.com"])
        .unwrap();
    builder
        .acl(&["net", "src", "10.0.0.0/8", "192.0.2.0/24"])
        .unwrap();
    for line in [
        "set-header x-forwarded-proto https if shop",
        "set-header x-real-ip %[src] if net",
        "add-header x-item %[url_param(id)] if { path_beg /shop }",
        "del-header x-internal",
        "deny if { path_end .php } or { path_reg ^/admin }",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        builder.http_request(&words).unwrap();
    }
    builder
        .use_backend(&["shop", "if", "shop", "!METH_POST"])
        .unwrap();
    builder.build().unwrap()
}

/// One request: parsed, edited, routed and logged.
fn request(
    rules: &ProxyRules,
    format: &LogFormat,
    connection: &ConnectionInfo,
    head: &mut Head,
    state: &mut RuleState,
    line: &mut Vec<u8>,
) {
    let now = connection.accepted_at;
    head.clear();
    head.set_request(
        lb_core::head::Text::received(0, 3),
        lb_core::head::Text::received(3, 15),
        Version::Http11,
    );
    head.push(Field {
        name: lb_core::head::Text::received(18, 4),
        value: lb_core::head::Text::received(22, 18),
    });
    state.begin_transaction();
    let mut message = HeadMut::new(head, RECEIVED);
    let verdict = rules.on_request(now, connection, &mut message, state);
    assert_eq!(verdict, RequestVerdict::Continue);
    let head = HeadRef::new(head, RECEIVED);
    let view = RequestView::new(now, connection, state).with_request(head);
    let mut name = Vec::new();
    assert_eq!(rules.select_backend(&view, &mut name), Some("shop"));
    let record = StreamRecord {
        view,
        utc_offset: 0,
        request_date: connection.accepted_date,
        backend: "shop",
        server: "s1",
        server_address: None,
        backend_source: None,
        timers: lb_core::log::Timers::default(),
        status: Some(200),
        bytes_read: 1,
        bytes_uploaded: 1,
        termination: Termination::NORMAL,
        request_cookie: None,
        response_cookie: None,
        counts: lb_core::log::Counts::default(),
        request_line: Some(RequestLine {
            method: head.method(),
            target: head.target(),
            version: "HTTP/1.1",
        }),
        early: false,
    };
    line.clear();
    format.write(&record, line);
}

fn connection() -> ConnectionInfo {
    ConnectionInfo {
        source: "192.0.2.9:40000".parse().unwrap(),
        destination: "198.51.100.1:443".parse().unwrap(),
        fronted: None,
        tls: None,
        frontend: "fe".into(),
        bind: None,
        accepted_at: Instant::now(),
        accepted_date: SystemTime::UNIX_EPOCH,
    }
}

#[test]
fn rules_routes_and_log_lines_allocate_nothing() {
    let rules = rules();
    let format = LogFormat::http();
    let connection = connection();
    let (mut head, mut state, mut line) = (Head::default(), RuleState::default(), Vec::new());
    let mut once = || {
        request(
            &rules,
            &format,
            &connection,
            &mut head,
            &mut state,
            &mut line,
        )
    };
    once();
    once();
    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..100 {
        once();
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
    let view = HeadRef::new(&head, RECEIVED);
    assert_eq!(view.value(b"x-real-ip"), Some(&b"192.0.2.9"[..]));
    assert_eq!(view.value(b"x-item"), Some(&b"7"[..]));
    assert_eq!(view.value(b"x-forwarded-proto"), Some(&b"https"[..]));
}

#[test]
fn a_key_of_a_large_map_is_set_at_the_cost_of_one_of_a_small_map() {
    const CHANGES: usize = 200;
    let allocations = [10, 20_000].map(|lines| {
        let text: String = (0..lines).map(|n| format!("old{n} value\n")).collect();
        let loader = |_: &Path| Ok(text.clone().into_bytes());
        let mut builder = RulesBuilder::new(ProxySide::Frontend, &loader);
        for line in [
            "set-map(/m.map) %[rand(1000000000)] %[src]",
            "set-header x-first %[str(old7),map(/m.map)]",
            "set-header x-second %[str(old8),map_beg(/m.map)]",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            builder.http_request(&words).unwrap();
        }
        let rules = builder.build().unwrap();
        let (connection, mut state) = (connection(), RuleState::default());
        let mut once = || {
            let mut head = Head::default();
            state.begin_transaction();
            let mut message = HeadMut::new(&mut head, b"");
            rules.on_request(
                connection.accepted_at,
                &connection,
                &mut message,
                &mut state,
            );
        };
        // The first change finds out where everything is.
        once();
        let before = ALLOCATIONS.with(Cell::get);
        (0..CHANGES).for_each(|_| once());
        ALLOCATIONS.with(Cell::get) - before
    });
    println!("allocations of {CHANGES} requests that set a key each: {allocations:?}");
    assert!(allocations[1] <= allocations[0] * 3 / 2, "{allocations:?}");
}

#[test]
fn what_peers_tell_of_known_entries_is_taken_in_without_collecting_columns() {
    const UPDATES: usize = 1000;
    let now = Instant::now();
    let period = Duration::from_secs(10);
    let host = |local: &str, other: &str| {
        let config = StickTableConfig {
            store: vec![
                StoreKind::HttpReqCnt,
                StoreKind::HttpReqRate(period),
                StoreKind::ConnRate(period),
                StoreKind::Gpc(8),
            ],
            peers: Some("pair".into()),
            ..StickTableConfig::new(TableKey::Integer, 100)
        };
        let table = Arc::new(StickTable::new(&config, now));
        let shared = vec![Shared {
            name: "t".into(),
            table,
        }];
        let group = Group::new(
            "pair".into(),
            local.into(),
            1,
            vec![other.into()],
            shared,
            now,
        );
        Arc::new(group)
    };
    let (teller, hearer) = (host("a", "b"), host("b", "a"));
    let mut tells = Session::call(Arc::clone(&teller), 0, now);
    let mut hears = Session::answer(Arc::clone(&hearer), now);
    let key = Key::from_integer(7);
    let mut heard = 0;
    for update in 0..UPDATES + 20 {
        teller.tables()[0]
            .table
            .count(now, &key, Event::HttpRequest);
        tells.fill(now);
        let bytes = tells.output().to_vec();
        tells.sent(bytes.len(), now);
        let before = ALLOCATIONS.with(Cell::get);
        hears.receive(&bytes, now);
        if update >= 20 {
            heard += ALLOCATIONS.with(Cell::get) - before;
        }
        hears.fill(now);
        let bytes = hears.output().to_vec();
        hears.sent(bytes.len(), now);
        tells.receive(&bytes, now);
    }
    assert_eq!((tells.broken(), hears.broken()), (None, None));
    let learned = hearer.link(0).unwrap().learned;
    assert!(learned >= UPDATES as u64, "{learned}");
    println!("allocations for {UPDATES} updates: {heard}");
    assert!(heard <= UPDATES / 10, "{heard}");
}
