//! Both peers play a case; what they show is compared.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use crate::{
    case::Case,
    client,
    differences::{self, Facet},
    normal,
    origin::Origin,
    peer::{Peer, Program, haproxy_is_installed},
};

/// HAProxy and ha-lb with the same configuration.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) haproxy: Peer,
    pub(crate) ha_lb: Peer,
}

/// How long log lines are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

const FACETS: [Facet; 3] = [Facet::Origin, Facet::Client, Facet::Log];

/// What one peer showed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    origin: Vec<String>,
    client: String,
    log: Vec<String>,
}

impl Seen {
    fn facet(&self, facet: Facet) -> String {
        match facet {
            Facet::Origin => self.origin.join("\n           "),
            Facet::Client => self.client.clone(),
            Facet::Log => self.log.join("\n           "),
        }
    }
}

impl Pair {
    pub(crate) fn start(config: &str) -> Self {
        thread::scope(|scope| {
            let haproxy = scope.spawn(|| Peer::start(Program::HaProxy, config));
            let ha_lb = Peer::start(Program::HaLb, config);
            Self {
                haproxy: haproxy.join().unwrap(),
                ha_lb,
            }
        })
    }

    /// Plays `case` with both, again with more time if that is not as expected.
    fn play(&self, case: &Case) -> (Seen, Seen) {
        let mut stretch = 1;
        loop {
            let (theirs, ours) = thread::scope(|scope| {
                let theirs = scope.spawn(|| seen(&self.haproxy, case, stretch));
                let ours = seen(&self.ha_lb, case, stretch);
                (theirs.join().unwrap(), ours)
            });
            let as_expected = FACETS.iter().all(|facet| {
                let alike = theirs.facet(*facet) == ours.facet(*facet);
                alike != differences::reason(case.name, *facet).is_some()
            });
            if as_expected || stretch > 2 {
                return (theirs, ours);
            }
            stretch *= 3;
        }
    }
}

fn seen(peer: &Peer, case: &Case, stretch: u32) -> Seen {
    peer.forget();
    for origin in &peer.origins {
        origin.play(case.origin);
    }
    let has_told = || case.logs > 0 && peer.log().len() >= case.logs;
    let (front, origin) = (peer.fronts[case.front], &peer.origins[0]);
    let received = client::play_until(case, front, origin, stretch, has_told);
    // The line comes when the proxy is done, which may be after the client is.
    let deadline = Instant::now() + PATIENCE;
    while peer.log().len() < case.logs && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    // What the last line cannot tell of: that none comes, and what an origin is still reading when both sides have ended.
    let at_the_latest = Instant::now() + Duration::from_millis(100) * stretch;
    let is_playing = || peer.origins.iter().any(Origin::is_playing);
    while (case.logs == 0 || is_playing()) && Instant::now() < at_the_latest {
        thread::sleep(Duration::from_millis(2));
    }
    let requests: Vec<String> = peer
        .origins
        .iter()
        .flat_map(Origin::requests)
        .map(|request| normal::text(&request))
        .collect();
    let seen = Seen {
        origin: requests,
        client: format!("{} <{:?}>", normal::text(&received.bytes), received.end),
        log: peer.log(),
    };
    // What is under way yet would be counted and told of in the next conversation.
    peer.origins.iter().for_each(Origin::hang_up);
    peer.wait_for_clients(case.front, 0);
    seen
}

/// Plays `cases` with both and fails on every difference that is not intended.
pub(crate) fn assert_alike(test: &str, config: &str, cases: &[Case]) {
    if !haproxy_is_installed(test) {
        return;
    }
    let pair = Pair::start(config);
    let only = std::env::var("HA_LB_DIFFERENTIAL_CASE").ok();
    let mut report = String::new();
    for case in cases {
        if only
            .as_deref()
            .is_some_and(|only| !case.name.contains(only))
        {
            continue;
        }
        let (theirs, ours) = pair.play(case);
        if only.is_some() {
            println!("{}: {theirs:#?}", case.name);
        }
        for facet in FACETS {
            let (theirs, ours) = (theirs.facet(facet), ours.facet(facet));
            let intended = differences::reason(case.name, facet);
            match (theirs == ours, intended) {
                (true, None) | (false, Some(_)) => {}
                (true, Some(reason)) => {
                    let _ = writeln!(
                        report,
                        "{}: {facet:?}: no longer differs ({reason})",
                        case.name
                    );
                }
                (false, None) => {
                    let _ = writeln!(
                        report,
                        "{}: {facet:?}\n  haproxy: {theirs}\n  ha-lb:   {ours}",
                        case.name
                    );
                }
            }
        }
    }
    assert!(
        report.is_empty(),
        "{test}:\n{report}\n{}",
        pair.ha_lb.output()
    );
}
