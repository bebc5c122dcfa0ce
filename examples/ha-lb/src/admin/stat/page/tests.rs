//! Pages written from a running balancer, read as text.

use lb_core::dataplane::{self, DataPlane, Options as PlaneOptions, Silent};

use super::*;
use crate::{
    admin::{
        stat::{
            service::{Dump, action::Order},
            walk::Walk,
        },
        status::{Instance, LastTransition, Peer, Process, State, Track},
    },
    config::{diagnostic::Diagnostics, files::DiskFiles, haproxy},
};

const CONFIG: &str = "
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend front
    description what <customers> see
    bind 127.0.0.1:1
    default_backend web
backend web
    server one 127.0.0.1:2 cookie \"<i>\"
    server two 127.0.0.1:3 backup
    server three 127.0.0.1:4 disabled
backend api
    server only 127.0.0.1:5
";

struct Fixture {
    plane: DataPlane,
    context: Context,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.plane.stop_accepting();
    }
}

fn fixture() -> Fixture {
    fixture_of(CONFIG)
}

fn fixture_of(config: &str) -> Fixture {
    let mut diagnostics = Diagnostics::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let config = haproxy::load(&[file.path().to_owned()], &DiskFiles, &mut diagnostics).unwrap();
    let plane = dataplane::start(Arc::new(config), PlaneOptions::new(Arc::new(Silent))).unwrap();
    let context = Context {
        balancer: plane.balancer(),
        workers: 1,
        now: Instant::now(),
        filter: Filter::default(),
        detail: Detail { legends: true },
        options: Options::default(),
        uri: "/stats".to_owned(),
        node: Some("lb<1>".to_owned()),
        description: Some("\"a & b\"".to_owned()),
        version: Some("2.6"),
        refresh: None,
        admin: true,
        daemon: None,
    };
    Fixture { plane, context }
}

fn walk(context: &Context) -> Walk {
    Walk::new(&context.balancer, Filter::default(), context.detail)
}

fn page(context: &Context) -> String {
    let (mut page, mut out) = (Page::new(context.clone()), Vec::new());
    while page.next_piece(&mut out) {}
    String::from_utf8(out).unwrap()
}

#[test]
fn what_stands_in_files_stays_text() {
    let fixture = fixture();
    let page = page(&fixture.context);
    assert!(page.contains("<h1>lb&lt;1&gt;</h1>"), "{page}");
    assert!(page.contains("<p>&quot;a &amp; b&quot;</p>"), "{page}");
    assert!(page.contains("what &lt;customers&gt; see"), "{page}");
    assert!(page.contains("cookie &lt;i&gt;"), "{page}");
    assert!(!page.contains("<i>"), "{page}");
}

#[test]
fn only_those_who_may_change_servers_get_forms() {
    let mut fixture = fixture();
    let with = page(&fixture.context);
    assert_eq!(with.matches("<form method=post").count(), 2);
    assert!(with.contains("name=s value=\"one\""), "{with}");
    fixture.context.admin = false;
    let without = page(&fixture.context);
    assert!(!without.contains("method=post"), "{without}");
    assert!(!without.contains("<input type=checkbox"), "{without}");
}

#[test]
fn a_page_shows_only_what_was_asked_for() {
    let mut fixture = fixture();
    fixture.context.options = Options::parse(";up;norefresh?scope=WE");
    fixture.context.filter = Filter {
        containing: Some("WE".to_owned()),
        hide_down: true,
        ..Filter::default()
    };
    let page = page(&fixture.context);
    assert!(page.contains("id=\"web/one\""), "{page}");
    assert!(!page.contains("id=\"web/three\""), "maintenance is not up");
    assert!(!page.contains("id=\"api\""), "{page}");
    assert!(page.contains("value=\"WE\""), "the field keeps its word");
    assert!(
        page.contains("href=\"/stats;csv;up;norefresh?scope=WE\""),
        "{page}"
    );
}

#[test]
fn the_top_says_what_is_wrong_or_that_nothing_is() {
    let mut fixture = fixture();
    let calm = page(&fixture.context);
    assert!(calm.contains("Nothing needs attention."), "{calm}");
    assert!(
        calm.contains("3 of 4 servers up, 1 in maintenance"),
        "{calm}"
    );
    let api = fixture.context.balancer.backend_named("api").unwrap();
    let backend = &fixture.context.balancer.backends[api];
    let server = backend.servers()[0].index();
    backend.set_health(fixture.context.now, server, lb_core::backend::Health::Down);
    fixture.context.daemon = Some((Arc::new(status()), Duration::ZERO));
    let page = page(&fixture.context);
    let at = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("{text} in {page}"))
    };
    assert!(at("VI_2</a> is out of the election: no &lt;cable&gt;") < at("api/only</a> is down"));
    assert!(at("backend <a href=\"#api\">api</a> has no server") < at("api/only</a> is down"));
    assert!(page.contains("Active for 1 of 2 virtual routers"), "{page}");
}

#[test]
fn the_virtual_routers_are_told_with_their_reasons() {
    let mut fixture = fixture();
    fixture.context.daemon = Some((Arc::new(status()), Duration::ZERO));
    let page = page(&fixture.context);
    for text in [
        "<h3>VI_1</h3><span class=\"s up\">Active</span>",
        "<li>10.0.0.9/24</li>",
        "<dd>a peer died <small>(was Backup)</small></dd>",
        "<dd>90 <small>(100 in the file)</small><br>script &lt;chk&gt; <span class=\"s down\">down</span> \
         <small>-10</small>",
        "<dt>For</dt><dd>1 min 1 s</dd>",
        "10.0.0.2 <small>priority 50, 1.5 s ago</small>",
        "<dt>VRRP process</dt><dd>pid 7",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

fn status() -> Status {
    let last = |to, reason: &str| {
        Some(LastTransition {
            from: State::Backup,
            to,
            reason: reason.to_owned(),
            at: 1.0,
        })
    };
    Status {
        vrrp: Some(Process {
            pid: Some(7),
            ready: true,
            ..Process::default()
        }),
        instances: vec![
            Instance {
                name: "VI_1".to_owned(),
                state: State::Active,
                priority: 100,
                effective_priority: 90,
                state_age: Some(61.5),
                tracks: vec![Track {
                    kind: "script".to_owned(),
                    name: "<chk>".to_owned(),
                    health: "down".to_owned(),
                    weight: 10,
                    contribution: -10,
                    ..Track::default()
                }],
                vips: vec!["10.0.0.9/24".to_owned()],
                last_transition: last(State::Active, "a peer died"),
                peers: vec![Peer {
                    address: "10.0.0.2".to_owned(),
                    priority: 50,
                    age: 1.5,
                    ..Peer::default()
                }],
                ..Instance::default()
            },
            Instance {
                name: "VI_2".to_owned(),
                state: State::Fault,
                last_transition: last(State::Fault, "no <cable>"),
                ..Instance::default()
            },
        ],
        ..Status::default()
    }
}

#[test]
fn the_question_names_the_servers_and_what_follows() {
    let fixture = fixture();
    let ask = |form: &str| confirm(&fixture.context, &Order::parse(form).unwrap());
    let last = ask("b=%234&s=only&action=maint").unwrap_or_default();
    let number = fixture.context.balancer.backends[1].id();
    assert_eq!(number, 4);
    assert!(
        last.contains("<b>No server is left in backend api</b>"),
        "{last}"
    );
    assert!(
        last.contains("<input type=hidden name=s value=\"only\">"),
        "{last}"
    );
    assert!(
        last.contains("<input type=hidden name=action value=\"maint\">"),
        "{last}"
    );
    let one = ask("b=web&s=one&s=nope&action=drain").unwrap();
    assert!(
        one.contains("Only 1 backup server would serve backend web."),
        "{one}"
    );
    assert!(!one.contains("nope"), "{one}");
    assert!(
        ask("b=web&s=three&action=ready")
            .unwrap()
            .contains("New sessions are sent there")
    );
    assert!(
        ask("b=web&s=one&action=shutdown")
            .unwrap()
            .contains("No session runs there now.")
    );
    assert_eq!(ask("b=nope&s=one&action=drain"), None);
    assert_eq!(ask("b=web&s=nope&action=drain"), None);
}

#[test]
fn two_thousand_servers_come_in_pieces() {
    let mut config = CONFIG.to_owned();
    for backend in 0..4 {
        config.push_str(&format!("backend pool{backend}\n"));
        for server in 0..500 {
            config.push_str(&format!(
                "    server s{server} 127.0.0.1:9 check weight 7\n"
            ));
        }
    }
    let fixture = fixture_of(&config);
    let dumps: [(&str, Box<dyn StatsBody>); 2] = [
        ("page", Box::new(Page::new(fixture.context.clone()))),
        ("json", Box::new(Dump::json(walk(&fixture.context)))),
    ];
    for (name, mut body) in dumps {
        let (mut total, mut longest, mut slowest) = (0, 0, Duration::ZERO);
        let mut more = true;
        while more {
            let (mut piece, begun) = (Vec::new(), worked());
            more = body.next_piece(&mut piece);
            slowest = slowest.max(worked() - begun);
            longest = longest.max(piece.len());
            total += piece.len();
        }
        println!("{name}: {total} bytes, longest piece {longest}, slowest {slowest:?} of CPU");
        assert!(slowest < Duration::from_millis(20), "{name}: {slowest:?}");
        assert!(longest < 4 * PIECE, "{name}: a piece of {longest} bytes");
        assert!(total > 1_000_000, "{name}: only {total} bytes");
    }
}

/// CPU time of this thread: what others do on a busy machine is not counted.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

#[test]
fn the_filter_leads_back_to_the_page_whatever_its_address() {
    let mut fixture = fixture();
    fixture.context.options = Options::parse(";up?scope=we");
    assert!(page(&fixture.context).contains("<form method=get action=\"/stats;up\">"));
    fixture.context.uri = "/haproxy?stats".to_owned();
    let page = page(&fixture.context);
    let form = "<form method=get action=\"/haproxy\"><input type=hidden name=\"stats\" value=\"\">";
    assert!(page.contains(form), "{page}");
}
