//! The statistics page in a real browser: readable on a phone and on a desk, in the light and in the dark, with and
//! without scripts; servers change after a question and not before; nobody else's words become part of the page.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use ha_lb::lab::{Host, Lab, Origin};

use crate::{
    browser::Browser,
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(20);
const PAGE: &str = "http://ops:secret@127.0.0.1:8404/stats";

const VRRP: &str = "
global_defs {
    vrrp_version 3
}
vrrp_script web_answers {
    script \"/bin/true\"
    interval 1
    weight 20
}
vrrp_instance \"web_<i>1</i>\" {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 0.7
    track_script {
        web_answers
    }
    virtual_ipaddress {
        10.9.0.100/24
        10.9.0.101/24
    }
}
";

const BALANCER: &str = "
global
    stats socket {dir}/stats level admin
    description rack <img src=x onerror=hacked=1>
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    timeout check 10s
frontend shop
    description what customers see
    bind 127.0.0.1:8080
    use_backend api if { path_beg /api }
    default_backend web
backend web
    balance leastconn
    cookie SRV insert indirect
    option httpchk GET /health
    default-server check inter 200ms
    server web1 127.0.0.1:9001 cookie one weight 20
    server web2 127.0.0.1:9002 cookie \"<i>two</i>\" weight 20
    server web3 127.0.0.1:9003 weight 20
    server spare 127.0.0.1:9004 backup
backend api
    option httpchk GET /health
    server api1 127.0.0.1:9005 check inter 200ms
    server api2 127.0.0.1:9006 check inter 200ms
listen cache
    mode tcp
    bind 127.0.0.1:6379
    server redis1 127.0.0.1:9001
listen stats
    bind 127.0.0.1:8404
    stats enable
    stats uri /stats
    stats auth ops:secret
    stats admin if TRUE
    stats refresh 2s
    stats show-legends
    stats show-node lb1
    stats show-desc
";

/// A daemon with both halves on one host, its origins, and a browser beside it.
struct Fixture {
    browser: Browser,
    node: Node,
    _origins: Vec<Origin>,
    _lab: Lab,
}

fn start(scratch: &Path) -> Fixture {
    let lab = Lab::new().unwrap();
    let mut node = Node::new(&lab, scratch, "lb1", "eth0", &["10.9.0.11/24"]);
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    // web3 and api1 refuse; api2 says something nasty.
    let origins = [(9001, "web1"), (9002, "web2"), (9004, "spare")]
        .map(|(port, name)| Origin::start(&node.host, local(port), name).unwrap());
    nasty(&node.host, local(9006));
    let (keepalived, haproxy) = (node.path("keepalived.conf"), node.path("haproxy.cfg"));
    fs::write(&keepalived, VRRP).unwrap();
    let folder = node.path("").display().to_string();
    fs::write(&haproxy, BALANCER.replace("{dir}", &folder)).unwrap();
    node.start(Some(&keepalived), &[&haproxy]);
    wait_for("Active", PATIENCE, || {
        (node.state() == "Active").then_some(())
    });
    let fixture = Fixture {
        browser: Browser::start(&node.host, scratch),
        node,
        _origins: origins.into(),
        _lab: lab,
    };
    for (server, status) in [
        ("web/web1", "UP"),
        ("web/web3", "DOWN"),
        ("api/api2", "DOWN"),
    ] {
        fixture.wait_for_status(server, status);
    }
    fixture
}

/// An origin whose reason phrase wants to be a script.
fn nasty(host: &Host, address: SocketAddr) {
    let listener = host
        .run(|| Ok(TcpListener::bind(address).unwrap()))
        .unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(
                b"HTTP/1.1 500 <script>hacked=1</script><b>so</b>\r\nContent-Length: 0\r\n\r\n",
            );
        }
    });
}

impl Fixture {
    /// The status column of a server, as the stats socket tells it.
    fn status(&self, server: &str) -> String {
        let mut socket = UnixStream::connect(self.node.path("stats")).unwrap();
        socket.write_all(b"show stat\n").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        let row = text
            .lines()
            .map(|line| line.split(',').collect::<Vec<_>>())
            .find(|cells| cells.len() > 17 && format!("{}/{}", cells[0], cells[1]) == server);
        row.map_or_else(String::new, |cells| cells[17].to_owned())
    }

    fn wait_for_status(&self, server: &str, status: &str) {
        wait_for(&format!("{server} is {status}"), PATIENCE, || {
            (self.status(server) == status).then_some(())
        });
    }

    /// Ticks servers of a backend, chooses an action and goes on to the question.
    fn choose(&mut self, backend: &str, servers: &[&str], action: &str) {
        for server in servers {
            self.browser
                .click(&format!("[id='{backend}/{server}'] input"));
        }
        self.browser.evaluate(&format!(
            "document.querySelector('[aria-labelledby={backend}] select').value = '{action}'"
        ));
        self.browser
            .follow(&format!("[aria-labelledby={backend}] form button"));
    }

    fn no_complaints(&mut self) {
        assert_eq!(self.browser.complaints(), [""; 0]);
    }
}

/// How much every text differs from what is behind it, at least (WCAG 2: 4.5 for text).
const CONTRAST: &str = r"(() => {
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parts(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255];
  };
  let worst = [21, ''];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.offsetWidth) continue;
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 200)];
  }
  return worst;
})()";

/// Fields and buttons without a name for those who do not see them.
const NAMELESS: &str = "[...document.querySelectorAll('input:not([type=hidden]), select, button, a')]
  .filter((e) => !(e.labels?.length || e.ariaLabel || e.textContent.trim())).map((e) => e.outerHTML)";

#[test]
fn everybody_can_read_it() {
    enclosed(
        "stats_page::everybody_can_read_it",
        Needs::Namespaces,
        &["unshare", "ip", "chromium"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut fixture = start(scratch.path());
            for (width, dark) in [(375, false), (375, true), (1280, false), (1280, true)] {
                let browser = &mut fixture.browser;
                browser.look(width, 1000, dark);
                browser.open(&format!("{PAGE};norefresh"));
                browser.evaluate(
                    "for (const d of document.querySelectorAll('details')) d.open = false",
                );
                for part in ["folded", "open"] {
                    let widths =
                        browser.evaluate("[document.documentElement.scrollWidth, innerWidth]");
                    assert_eq!(
                        widths[0], width,
                        "{width}, {part}: the page is wider than its window"
                    );
                    assert_eq!(widths[1], width, "{width}, {part}: zoomed out");
                    let contrast = browser.evaluate(CONTRAST);
                    assert!(
                        contrast[0].as_f64() >= Some(4.5),
                        "{width}, dark {dark}: {contrast}"
                    );
                    assert_eq!(browser.evaluate(NAMELESS), serde_json::json!([]));
                    picture(
                        browser,
                        &format!("{part}-{width}-{}", if dark { "dark" } else { "light" }),
                    );
                    browser.evaluate(
                        "for (const d of document.querySelectorAll('details')) d.open = true",
                    );
                }
                let text = browser.text();
                for shown in [
                    "lb1",
                    "10.9.0.100/24",
                    "Active",
                    "120 (100 in the file)",
                    "Active for 1 of 1 virtual router",
                    "web/web3 is down for",
                    "3 of 4 servers up",
                    "127.0.0.1:8080",
                    "what customers see",
                    "rack <img src=x onerror=hacked=1>",
                    "web_<i>1</i>",
                    "cookie <i>two</i>",
                    "L7STS/500",
                    "<script>hacked=1</script><b>so</b>",
                ] {
                    assert!(text.contains(shown), "{width}: {shown:?} in {text}");
                }
                fixture.no_complaints();
            }
            let browser = &mut fixture.browser;
            browser.open(
                "http://127.0.0.1:8404/stats;up?scope=%22%3E%3Cimg%20src=x%20onerror=hacked=1%3E",
            );
            let inserted =
                "typeof hacked + document.querySelectorAll('img, i, b b, td script').length";
            assert_eq!(browser.evaluate(inserted), "undefined0");
            let asked = browser.requests();
            let elsewhere = asked.iter().filter(|address| {
                !address.starts_with("http://127.0.0.1:8404/stats") && *address != "data:,"
            });
            assert_eq!(elsewhere.collect::<Vec<_>>(), [""; 0]);
            fixture.no_complaints();
        },
    );
}

/// Keeps a picture where somebody wants to look at it.
fn picture(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("HA_LB_PICTURES") {
        browser.picture(&Path::new(&folder).join(format!("{name}.png")));
    }
}

#[test]
fn servers_change_after_a_question_and_not_before() {
    enclosed(
        "stats_page::servers_change_after_a_question_and_not_before",
        Needs::Namespaces,
        &["unshare", "ip", "chromium"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut fixture = start(scratch.path());
            for scripts in [false, true] {
                fixture.browser.scripts(scripts);
                fixture
                    .browser
                    .look(if scripts { 1280 } else { 375 }, 800, false);
                fixture.browser.open(&format!("{PAGE};norefresh"));
                fixture.choose("web", &["web1", "web2"], "maint");
                let question = fixture.browser.text();
                for said in [
                    "Maintenance: take out?",
                    "2 servers of web",
                    "web1",
                    "Only 1 backup server would serve backend web.",
                ] {
                    assert!(question.contains(said), "{said:?} in {question}");
                }
                picture(&mut fixture.browser, &format!("question-{scripts}"));
                fixture.browser.follow("a.button");
                assert_eq!(fixture.status("web/web1"), "UP", "cancelled");

                fixture.choose("web", &["web1"], "maint");
                fixture.browser.follow("button.go");
                assert_eq!(fixture.status("web/web1"), "MAINT");
                assert_eq!(fixture.status("web/web2"), "UP", "not ticked");
                let text = fixture.browser.text();
                assert!(text.contains("Done."), "{text}");
                assert!(text.contains("1 in maintenance"), "{text}");
                let kept = fixture.browser.evaluate("location.pathname");
                assert_eq!(kept, "/stats;st=DONE;norefresh");

                fixture.choose("web", &["web1"], "ready");
                fixture.browser.follow("button.go");
                fixture.wait_for_status("web/web1", "UP");
            }
            // What somebody else's page sends is not carried out, whoever the browser belongs to.
            let form = "<form method=post action=http://127.0.0.1:8404/stats><input name=s value=web1>\
                        <input name=b value=web><input name=action value=maint><button>win</button></form>";
            fixture.browser.open(&format!("data:text/html,{form}"));
            fixture.browser.follow("button");
            let denied = fixture.browser.text();
            assert!(
                denied.contains("changes are not allowed from here"),
                "{denied}"
            );
            assert_eq!(fixture.status("web/web1"), "UP");
            fixture.no_complaints();
        },
    );
}

#[test]
fn it_refreshes_by_itself_and_what_was_opened_stays_open() {
    enclosed(
        "stats_page::it_refreshes_by_itself_and_what_was_opened_stays_open",
        Needs::Namespaces,
        &["unshare", "ip", "chromium"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut fixture = start(scratch.path());
            let browser = &mut fixture.browser;
            browser.look(1280, 800, false);
            for scripts in [true, false] {
                browser.scripts(scripts);
                browser.open(PAGE);
                // It may be refreshed between two questions.
                wait_for("it opens", PATIENCE, || {
                    browser.click("[id='more:web'] summary");
                    let open = browser.evaluate("document.getElementById('more:web').open");
                    (open == true).then_some(())
                });
                browser.evaluate("window.before = true");
                wait_for("it is refreshed", PATIENCE, || {
                    (browser.evaluate("window.before === undefined && document.readyState")
                        == "complete")
                        .then_some(())
                });
                let open = browser.evaluate("document.getElementById('more:web').open");
                assert_eq!(open, scripts, "without scripts it is as new");
            }
            fixture.no_complaints();
        },
    );
}
