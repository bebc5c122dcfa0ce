//! Statistics, runtime commands and the stats page, after the same traffic.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    case::{Case, PATIENT, Step, sends},
    client,
    compare::Pair,
    normal,
    peer::{Peer, haproxy_is_installed},
};

/// The check of a server that commands change is made once, before them; those of the others always end alike.
const ADMIN: &str = "{global}    max-spread-checks 1
{http}    timeout connect 10s
    timeout client 30s
    timeout server 30s
    timeout check 10s
frontend front
    bind {front}
    http-request deny if { path /denied }
    use_backend sick if { path /sick }
    default_backend servers
backend servers
    balance roundrobin
    option redispatch
    server one {a} weight 20 cookie c1 check inter 10m
    server two {b} weight 20 maxconn 10
backend sick
    option httpchk GET /health
    server dead {dead} check inter 2s rise 1 fall 2
    server bad {a} check inter 2s rise 1 fall 1 backup
listen stats
    bind {front2}
    stats enable
    stats uri /stats
    stats realm My\\ Realm
    stats auth u:p
    stats admin if TRUE
    stats refresh 30s
";

const PATIENCE: Duration = Duration::from_secs(20);

/// Asks both for `text` of the same thing until they agree.
pub(crate) fn agree(pair: &Pair, what: &str, text: impl Fn(&Peer) -> String) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (theirs, ours) = (text(&pair.haproxy), text(&pair.ha_lb));
        if theirs == ours {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what}:\n{}",
            unlike(&theirs, &ours)
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until it holds of both.
pub(crate) fn both_are(pair: &Pair, what: &str, holds: impl Fn(&Peer) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds(&pair.haproxy) || !holds(&pair.ha_lb) {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The lines in which two texts differ.
fn unlike(theirs: &str, ours: &str) -> String {
    let lines = theirs.lines().count().max(ours.lines().count());
    let pairs = theirs
        .lines()
        .map(Some)
        .chain(std::iter::repeat(None))
        .zip(ours.lines().map(Some).chain(std::iter::repeat(None)))
        .take(lines)
        .filter(|(theirs, ours)| theirs != ours);
    pairs.fold(String::new(), |text, (theirs, ours)| {
        format!(
            "{text}  haproxy: {}\n  ha-lb:   {}\n",
            theirs.unwrap_or("-"),
            ours.unwrap_or("-")
        )
    })
}

fn both(pair: &Pair, act: impl Fn(&Peer)) {
    act(&pair.haproxy);
    act(&pair.ha_lb);
}

/// What one exchange of bytes with front `index` gives.
fn exchange(peer: &Peer, front: usize, steps: &'static [Step]) -> String {
    let case = Case::new("exchange", steps).front(front);
    let received = client::play(&case, peer.fronts[front], &peer.origins[0], 1);
    normal::text(&received.bytes)
}

/// The rows of `show stat` without the columns that time decides.
fn rows(peer: &Peer) -> String {
    const VOLATILE: &[&str] = &[
        "lastchg",
        "downtime",
        "pid",
        "rate",
        "rate_max",
        "req_rate",
        "req_rate_max",
        "conn_rate",
        "conn_rate_max",
        "check_duration",
        "lastsess",
        "qtime",
        "ctime",
        "rtime",
        "ttime",
        "qtime_max",
        "ctime_max",
        "rtime_max",
        "ttime_max",
        "chkfail",
        "idle_conn_cur",
        "need_conn_est",
        "used_conn_cur",
        "safe_conn_cur",
        "srv_icur",
    ];
    let text = peer.named(&peer.ask("show stat"));
    let mut lines = text.lines();
    let names: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .trim_start_matches("# ")
        .split(',')
        .collect();
    let end = names
        .iter()
        .position(|name| *name == "-")
        .unwrap_or(names.len());
    lines
        .filter(|line| !line.is_empty())
        .flat_map(|line| {
            let values: Vec<&str> = line.split(',').collect();
            let row = format!("{}/{}", values[0], values[1]);
            names[..end]
                .iter()
                .zip(values)
                .filter(|(name, _)| !VOLATILE.contains(name))
                .map(|(name, value)| format!("{row} {name}={value}\n"))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The first check of every server is over.
fn all_is_checked(peer: &Peer) -> bool {
    let rows = rows(peer);
    [
        "servers/one check_status=L4OK",
        "sick/dead check_status=L4CON",
        "sick/bad check_status=L7OK",
    ]
    .iter()
    .all(|row| rows.lines().any(|line| line == *row))
}

fn commands(pair: &Pair) {
    for command in [
        "get weight servers/one",
        "set weight servers/one 50%",
        "get weight servers/one",
        "set weight servers/one 5",
        "set server servers/one state drain",
        "set server servers/one state ready",
        "disable server servers/two",
        "set server servers/two state maint",
        "enable server servers/two",
        "set maxconn server servers/two 7",
        "set weight servers/nope 5",
        "set weight servers/one 1000",
        "set server servers/one state nonsense",
        "set server servers/one weight 3",
        "disable server nope",
        "enable server nope/x",
        "show backend",
        "get weight servers/two; get weight servers/one",
        "set server servers/one health nonsense",
        "set server servers/one health stopping",
        "set server servers/one health up",
        "disable health servers/one",
        "enable health servers/one",
        "disable health servers/nope",
        "shutdown sessions server servers/one",
        "shutdown sessions server servers/nope",
    ] {
        agree(pair, command, |peer| {
            peer.named(&peer.ask(command))
                .lines()
                .take(3)
                .map(|l| format!("{l}\n"))
                .collect()
        });
    }
}

fn page(pair: &Pair) {
    const STEPS: [(&str, &[Step]); 9] = [
        ("401", &[Step::Send(b"GET /stats HTTP/1.1\r\nHost: h\r\n\r\n")]),
        ("401 wrong", &[Step::Send(b"GET /stats HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTp4\r\n\r\n")]),
        ("elsewhere", &[Step::Send(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")]),
        ("csv head", &[Step::Send(b"HEAD /stats;csv HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\n\r\n")]),
        ("post nothing", &[Step::Send(b"POST /stats HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\nContent-Length: 0\r\n\r\n")]),
        ("post drain", &[Step::Send(b"POST /stats HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\nContent-Length: 30\r\n\r\ns=one&b=%23servers&action=drai")]),
        ("post unknown", &[Step::Send(b"POST /stats HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\nContent-Length: 31\r\n\r\ns=nope&b=servers&action=drain  ")]),
        ("post with options", &[Step::Send(b"POST /stats;up;norefresh?scope=serv HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\nContent-Length: 28\r\n\r\ns=one&b=servers&action=ready")]),
        ("post good", &[Step::Send(b"POST /stats HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\nContent-Length: 28\r\n\r\ns=one&b=servers&action=drain")]),
    ];
    for (what, steps) in STEPS {
        agree(pair, what, |peer| exchange(peer, 1, steps));
    }
    let servers = |peer: &Peer| {
        let rows = rows(peer);
        let servers = rows.lines().filter(|row| row.starts_with("servers/"));
        servers.map(|row| row.to_owned() + "\n").collect()
    };
    agree(pair, "drained by the page", servers);
    for action in [
        "ready", "hnolb", "hdown", "hrunn", "dhlth", "ehlth", "maint", "ready", "stop", "start",
        "disable", "enable", "shutdown", "dagent", "eagent", "arunn", "adown", "nonsense",
    ] {
        let answer =
            |peer: &Peer| posted(peer.fronts[1], &format!("s=two&b=servers&action={action}"));
        agree(pair, action, answer);
        agree(pair, &format!("after {action}"), servers);
    }
    for form in [
        "",
        "s=",
        "b=servers&action=ready",
        "s=two&action=ready",
        "action=ready&b=servers&s=two",
        "s=two&s=nope&b=servers&action=ready",
        "s=two&b=%2399&action=ready",
    ] {
        agree(pair, form, |peer| posted(peer.fronts[1], form));
    }
}

/// Sends a form to the page and tells where it leads.
pub(crate) fn posted(front: SocketAddr, form: &str) -> String {
    let mut stream = TcpStream::connect(front).unwrap();
    let length = form.len();
    write!(
        stream,
        "POST /stats HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Basic dTpw\r\nContent-Length: {length}\r\n\r\n{form}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let mut lines = answer.lines();
    let location = lines.find(|line| line.starts_with("location:"));
    format!("{}\n", location.unwrap_or(&answer))
}

/// What the typed forms say of each field, without its value. HAProxy's modules (positions from 103 on) are left out:
/// they count what is not built here.
fn typed(peer: &Peer) -> String {
    let stat: serde_json::Value = serde_json::from_str(&peer.ask("show stat json")).unwrap();
    let info: serde_json::Value = serde_json::from_str(&peer.ask("show info json")).unwrap();
    let rows = stat.as_array().unwrap().iter().chain([&info]);
    let fields = rows.flat_map(|row| row.as_array().unwrap());
    let fields = fields.filter(|field| {
        let is_of_module =
            field.get("objType").is_some() && field["field"]["pos"].as_u64() > Some(102);
        // Absent while a check runs.
        !is_of_module && field["field"]["name"] != "check_duration"
    });
    fields
        .map(|field| {
            let mut field = field.clone();
            field["value"].as_object_mut().unwrap().remove("value");
            format!("{field}\n")
        })
        .collect()
}

/// The same as lines.
fn typed_lines(peer: &Peer) -> String {
    let answer = peer.ask("show stat typed") + &peer.ask("show info typed");
    let lines = answer.lines().filter(|line| !line.is_empty());
    let fields = lines.map(|line| line.splitn(4, ':').take(3).collect::<Vec<_>>().join(":"));
    let kept = fields.filter(|field| {
        let position = field.split('.').nth(3).and_then(|p| p.parse::<u32>().ok());
        position.is_none_or(|position| position <= 102) && !field.contains("check_duration")
    });
    kept.map(|field| field + "\n").collect()
}

#[test]
fn statistics_and_commands() {
    if !haproxy_is_installed("statistics_and_commands") {
        return;
    }
    let pair = Pair::start(ADMIN);
    const TRAFFIC: &[Case] = &[
        sends(
            "one",
            &[
                Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
                Step::Until(b"ok"),
                Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
            ],
        ),
        sends("denied", &[Step::Send(b"GET /denied HTTP/1.0\r\n\r\n")]),
        sends("bad", &[Step::Send(b"BAD\r\n\r\n")]),
        sends("sick", &[Step::Send(b"GET /sick HTTP/1.0\r\n\r\n")]),
        sends(
            "post",
            &[Step::Send(
                b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
            )],
        ),
    ];
    let state = |peer: &Peer| {
        let text = peer.named(&peer.ask("show servers state"));
        // The time of the last change and the check's phase depend on the moment.
        text.lines()
            .map(|line| {
                let mut words: Vec<&str> = line.split(' ').collect();
                if let [
                    _,
                    _,
                    _,
                    _,
                    address,
                    _,
                    _,
                    _,
                    _,
                    time,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    port,
                    ..,
                ] = words.as_mut_slice()
                {
                    (*address, *time, *port) = ("A", "T", "P");
                }
                words.join(" ").trim().to_owned() + "\n"
            })
            .collect()
    };
    agree(&pair, "names of show info", |peer| {
        peer.ask("show info")
            .lines()
            .map(|line| line.split(':').next().unwrap_or_default().to_owned() + "\n")
            .collect()
    });
    agree(&pair, "header of show stat", |peer| {
        peer.ask("show stat")
            .lines()
            .next()
            .unwrap_or_default()
            .split(",-,")
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    both_are(&pair, "all is checked", all_is_checked);
    agree(&pair, "servers state", state);
    for case in TRAFFIC {
        both(&pair, |peer| {
            let case = case.silence(PATIENT);
            client::play(&case, peer.fronts[0], &peer.origins[0], 1);
            // The most at once are counted as well.
            peer.wait_for_clients(0, 0);
        });
    }
    agree(&pair, "changes of servers", |peer| {
        let changes = peer
            .log()
            .into_iter()
            .filter(|line| line.contains("Server sick/"));
        changes.map(|line| line + "\n").collect()
    });
    agree(&pair, "rows", rows);
    agree(&pair, "typed fields", typed);
    agree(&pair, "typed lines", typed_lines);
    commands(&pair);
    agree(&pair, "rows after commands", rows);
    page(&pair);
}
