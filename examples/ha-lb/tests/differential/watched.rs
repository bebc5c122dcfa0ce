//! What beside checks decides over servers: traffic that is watched, agents, other servers, and what a state does to
//! running sessions.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    admin::{agree, both_are, posted},
    case::{Act, PATIENT, Step, sends},
    client,
    compare::Pair,
    peer::{Peer, fill, haproxy_is_installed, small_listener},
};

/// The first checks of all servers come at once, and no others while the test runs: whichever passed between two commands
/// for one peer and behind them for the other would be told of in another order. An agent has all the time that it needs.
const WATCHED: &str = "{global}    max-spread-checks 1
{http}    timeout connect 10s
    timeout client 30s
    timeout server 30s
    timeout check 10s
frontend front
    bind {front}
    stats enable
    stats uri /stats
    stats admin if TRUE
    use_backend connected if { path_beg /connected }
    use_backend backups if { path_beg /backups }
    default_backend observed
backend observed
    server one {a} check addr 127.0.0.1 port {checked} inter 10m rise 100 observe layer7 error-limit 2 on-error mark-down
backend connected
    retries 0
    server one {dead} check addr 127.0.0.1 port {checked} inter 10m rise 100 observe layer4 error-limit 3 on-error sudden-death
backend following
    server first {a} track observed/one
    server second {a} track first weight 3
backend chained
    server last {a} track middle
    server middle {a} track observed/one
backend asked
    option log-health-checks
    server one {a} weight 40 agent-check agent-port {agent} agent-inter 100ms agent-send {front}\\n
    server two {b}
backend backups
    server main {a} on-marked-up shutdown-backup-sessions
    server spare {b} backup
";

const SICK: &[Act] = &[
    Act::Head,
    Act::Send(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"),
];
const SILENT: &[Act] = &[Act::Head, Act::Stall];

/// What an agent says, and how often each peer has been told so.
#[derive(Debug, Default)]
struct Told {
    said: &'static str,
    /// By what the peer sends: its own address.
    times: BTreeMap<Vec<u8>, usize>,
}

type Words = Arc<Mutex<Told>>;

/// A server that answers each connection with the words of the moment.
fn agent(words: Words) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, words) = (stream.unwrap(), Arc::clone(&words));
            thread::spawn(move || {
                let mut asked = [0; 64];
                let count = stream.read(&mut asked).unwrap_or(0);
                let mut told = words.lock().unwrap();
                let _ = stream.write_all(told.said.as_bytes());
                *told.times.entry(asked[..count].to_vec()).or_default() += 1;
            });
        }
    });
    address
}

fn is_of_servers(line: &str) -> bool {
    ["Server ", "backend ", "Agent check for "]
        .iter()
        .any(|words| line.contains(words))
}

/// What the log says of servers, without the times of checks.
fn changes(peer: &Peer) -> String {
    let lines = peer.log().into_iter();
    let of_servers = lines.filter(|line| is_of_servers(line));
    // The session that saw the last error may be over, or not yet.
    let of_servers =
        of_servers.map(|line| line.replace(" 1 sessions active", " 0 sessions active"));
    of_servers
        .map(|line| match line.split_once(", check duration: ") {
            Some((before, after)) => {
                let rest = after.split_once("ms").map_or("", |(_, rest)| rest);
                format!("{before}{rest}\n")
            }
            None => line + "\n",
        })
        .collect()
}

/// Columns of every server that do not depend on the moment.
fn columns(peer: &Peer) -> String {
    const SHOWN: &[&str] = &[
        "status",
        "weight",
        "slim",
        "tracked",
        "hanafail",
        "check_status",
        "last_chk",
        "check_desc",
        "check_health",
        "agent_status",
        "agent_desc",
        "agent_rise",
        "agent_fall",
        "agent_health",
        "last_agt",
        "act",
        "bck",
    ];
    let text = peer.ask("show stat");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines
        .filter(|line| !line.contains("END,") && !line.is_empty())
        .map(|line| {
            let values = values(line);
            let shown = names.iter().zip(&values);
            let shown = shown.filter(|(name, _)| SHOWN.contains(name));
            let shown: Vec<String> = shown
                .map(|(name, value)| {
                    format!(
                        "{name}={}",
                        value.trim_matches('"').trim_start_matches("* ")
                    )
                })
                .collect();
            format!("{}/{} {}\n", values[0], values[1], shown.join(" "))
        })
        .collect()
}

/// The values of a row. Commas between quotes separate none.
fn values(row: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let separates = |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    };
    row.split(separates).collect()
}

fn agree_on_all(pair: &Pair, what: &str) {
    agree(pair, what, changes);
    agree(pair, what, columns);
}

/// The first check of each server has passed, and the agent was heard.
fn all_is_checked(peer: &Peer) -> bool {
    let columns = columns(peer);
    let has = |server: &str, column: &str| {
        let mut lines = columns.lines();
        lines.any(|line| line.starts_with(server) && line.contains(column))
    };
    has("observed/one ", " check_status=L4OK ")
        && has("connected/one ", " check_status=L4OK ")
        && has("asked/one ", " agent_status=L7OK ")
        && changes(peer).contains("Agent check for ")
}

fn get(peer: &Peer, path: &'static [Step]) {
    let case = sends("get", path).silence(PATIENT);
    client::play(&case, peer.fronts[0], &peer.origins[0], 1);
}

fn both(pair: &Pair, act: impl Fn(&Peer) + Sync) {
    thread::scope(|scope| {
        scope.spawn(|| act(&pair.haproxy));
        act(&pair.ha_lb);
    });
}

#[test]
fn servers_change_by_more_than_checks() {
    if !haproxy_is_installed("servers_change_by_more_than_checks") {
        return;
    }
    let words = Words::default();
    words.lock().unwrap().said = "up\n";
    let agent = agent(Arc::clone(&words)).port().to_string();
    let checked = small_listener();
    let address = checked.local_addr().unwrap();
    let config = WATCHED.replace("{agent}", &agent);
    let pair = Pair::start(&config.replace("{checked}", &address.port().to_string()));
    both_are(&pair, "all is checked", all_is_checked);
    // A server that leaves its maintenance may be checked at once. That check is to end as late as any other.
    let _waiting = fill(address);
    agree_on_all(&pair, "start");
    for command in [
        "disable health observed/one",
        "disable health following/first",
        "enable health following/first",
        "enable health observed/one",
        "set server observed/one state drain",
        "set server observed/one state ready",
        "disable server observed/one",
        "enable server observed/one",
        "set server observed/one health down",
        "disable server observed/one",
        "enable server observed/one",
        "set server observed/one health stopping",
        "set server observed/one health up",
    ] {
        agree(&pair, command, |peer| peer.ask(command));
        agree_on_all(&pair, command);
    }

    for said in [
        "50%\n",
        "drain\n",
        "ready 100%\r\n",
        "down #disk is full\n",
        "up\n",
        "down#disk\n",
        "maxconn:7 up\n",
        "nonsense\n",
        "",
        "75%\n",
        "maint\n",
        "stopped\n",
        "ready,up\n",
        "fail\n",
        "up 10%",
    ] {
        say(&words, said);
        agree_on_all(&pair, said);
    }
    change_what_is_asked(&pair, &words);

    both(&pair, |peer| {
        peer.origins[0].play(SICK);
        for _ in 0..2 {
            get(peer, &[Step::Send(b"GET /sick HTTP/1.0\r\n\r\n")]);
        }
        for _ in 0..3 {
            get(peer, &[Step::Send(b"GET /connected HTTP/1.0\r\n\r\n")]);
        }
    });
    agree_on_all(&pair, "errors of traffic");
    for state in ["maint", "ready"] {
        agree(&pair, state, |peer| {
            peer.ask(&format!("set server connected/one state {state}"))
        });
        agree(&pair, state, columns);
    }
    taken_back(&pair);
}

/// Commands and forms of the page that concern agents.
fn change_what_is_asked(pair: &Pair, words: &Words) {
    // What the agent says next comes in between, unless it is not asked.
    for (command, is_asked) in [
        ("set server asked/one agent down", true),
        ("set server asked/one agent sideways", true),
        ("set server asked/two agent up", true),
        ("enable agent asked/two", true),
        ("disable agent asked/one", false),
        ("set server asked/one agent up", false),
        ("enable agent asked/one", true),
    ] {
        agree(pair, command, |peer| peer.ask(command));
        if is_asked {
            hear(words);
        }
        agree_on_all(pair, command);
    }
    for (server, action, is_asked) in [
        ("one", "dagent", false),
        ("one", "adown", false),
        ("one", "arunn", false),
        ("one", "eagent", true),
        ("two", "arunn", true),
        ("two", "eagent", true),
        ("one", "adown", true),
    ] {
        let form = format!("s={server}&b=asked&action={action}");
        agree(pair, &form, |peer| posted(peer.fronts[0], &form));
        if is_asked {
            hear(words);
        }
        agree_on_all(pair, &form);
    }
}

/// From now on the agent says this; returns when both have heard it.
fn say(words: &Words, said: &'static str) {
    words.lock().unwrap().said = said;
    hear(words);
}

/// Both hear what the agent says: who asks again has done what the answer before made it do.
fn hear(words: &Words) {
    words.lock().unwrap().times.clear();
    let deadline = Instant::now() + Duration::from_secs(20);
    let have_heard = || {
        let times = &words.lock().unwrap().times;
        times.len() == 2 && times.values().all(|times| *times >= 2)
    };
    while !have_heard() {
        assert!(Instant::now() < deadline, "not both ask the agent");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A session on a backup server ends when an active one comes up.
fn taken_back(pair: &Pair) {
    both(pair, |peer| {
        peer.ask("disable server backups/main");
        peer.origins[1].play(SILENT);
        let mut client = TcpStream::connect(peer.fronts[0]).unwrap();
        client.write_all(b"GET /backups HTTP/1.0\r\n\r\n").unwrap();
        peer.origins[1].wait_for(b"/backups", Duration::from_secs(20));
        peer.ask("enable server backups/main");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 50"), "{answer:?}");
    });
}
