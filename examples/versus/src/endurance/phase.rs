//! The phases: what clients and servers do in each, and how much of it.

use std::{path::PathBuf, rc::Rc, sync::Arc, time::Duration};

use rustls::ClientConfig;

use super::{
    client::{self, Expect, Manner, Played, Script},
    proxy::{Place, Proxy},
};
use crate::{
    Fatal,
    load::{self, Plan, Span},
};

/// What all phases share.
pub(crate) struct Stage {
    pub(super) origin: u16,
    pub(super) pem: PathBuf,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) at_once: usize,
    pub(super) connections: usize,
    pub(super) requests: usize,
    pub(super) seed: u64,
}

/// A phase.
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// Where the proxy is asked.
    pub(super) place: Place,
    /// Of a hundred connections.
    share: usize,
    pub(super) kind: Kind,
}

/// What clients and servers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All are open at once, then go on with more requests.
    Held,
    /// One request for each connection.
    Single,
    /// By h2load, where it is there.
    Http2,
    /// Clients go away somewhere.
    Aborts,
    /// The server cuts its answer off, or resets.
    Cuts,
    /// An error page of this status.
    Refused(u16),
    /// Clients read slowly.
    Slow,
}

const fn phase(name: &'static str, place: Place, share: usize, kind: Kind) -> Phase {
    Phase {
        name,
        place,
        share,
        kind,
    }
}

/// In this order.
pub(super) const PHASES: &[Phase] = &[
    phase("keep-alive", Place::Http, 20, Kind::Held),
    phase("close", Place::Close, 15, Kind::Single),
    phase("tcp", Place::Tcp, 12, Kind::Held),
    phase("tls", Place::Tls, 10, Kind::Held),
    phase("http/2", Place::Http2, 1, Kind::Http2),
    phase("chunked", Place::Chunked, 10, Kind::Held),
    phase("client aborts", Place::Aborts, 14, Kind::Aborts),
    phase("server cuts", Place::Cuts, 8, Kind::Cuts),
    phase("server stalls", Place::Stalls, 2, Kind::Refused(504)),
    phase("server refuses", Place::Refuses, 5, Kind::Refused(503)),
    phase("slow readers", Place::Slow, 3, Kind::Slow),
];

/// Connections that are being opened at the same time: fewer than the kernel's queue of a listener.
const WINDOW: usize = 1_000;

impl Stage {
    /// Connections of a phase.
    pub(super) fn share(&self, phase: &Phase) -> usize {
        (self.connections * phase.share / 100).max(1)
    }

    /// Of its warm-up: as many as are open at once in it.
    pub(super) fn warm_up(&self, phase: &Phase) -> usize {
        match phase.kind {
            Kind::Held => self.at_once,
            Kind::Http2 | Kind::Slow => self.share(phase).min(self.at_once),
            _ => self.at_once.min(WINDOW),
        }
    }

    /// Requests of a connection that is held.
    fn turns(&self) -> usize {
        let held = PHASES.iter().filter(|p| p.kind == Kind::Held);
        let share: usize = held.map(|p| p.share).sum();
        (self.requests / (self.connections * share / 100).max(1)).max(2)
    }
}

/// Numbers that look like chance.
struct Dice(u64);

impl Dice {
    /// Below `end`.
    fn roll(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).unwrap_or(0) % end.max(1)
    }
}

impl Phase {
    /// How often it is played before anything is compared. Ten thousand streams of HTTP/2 at once fall to the workers
    /// as chance has it: it takes some times until each has seen its greatest number of them.
    pub(super) fn warm_ups(&self) -> usize {
        match self.kind {
            Kind::Http2 => 4,
            _ => 1,
        }
    }

    /// Plays it with so many connections.
    pub(super) fn play(
        &self,
        stage: &Stage,
        proxy: &Proxy,
        connections: usize,
    ) -> Result<Played, Fatal> {
        if self.kind == Kind::Http2 {
            return self.http2(stage, proxy, connections);
        }
        let mut dice = Dice(stage.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let target = proxy.address(self.place);
        let base = Script {
            target,
            request: get("512"),
            turns: 1,
            expect: Expect::Answer {
                status: 200,
                body: Some(512),
            },
            tls: (self.place == Place::Tls).then(|| Arc::clone(&stage.tls)),
            manner: Manner::Whole,
        };
        let base = self.shape(base, stage);
        let mut next = || self.script(&base, &mut dice);
        let mut all = Played::default();
        if self.kind != Kind::Held {
            let scripts = std::iter::repeat_with(next).take(connections);
            return client::play(scripts, stage.at_once.min(WINDOW), None);
        }
        let mut left = connections;
        while left > 0 {
            let wave = left.min(stage.at_once);
            left -= wave;
            let scripts = std::iter::repeat_with(&mut next).take(wave);
            let mut all_are_here = |here| proxy.has_connections(here);
            all.add(client::play(scripts, WINDOW, Some(&mut all_are_here))?);
        }
        Ok(all)
    }

    /// What all connections of the phase have in common.
    fn shape(&self, mut base: Script, stage: &Stage) -> Script {
        let answer = |status, body| Expect::Answer { status, body };
        match self.kind {
            Kind::Held => base.turns = stage.turns(),
            Kind::Refused(status) => {
                base.expect = answer(status, None);
                base.request = get("1/stall");
            }
            Kind::Slow => {
                base.request = get("300000");
                base.expect = answer(200, Some(300_000));
                base.manner = Manner::Slow;
            }
            Kind::Single | Kind::Http2 | Kind::Aborts | Kind::Cuts => {}
        }
        if self.place == Place::Chunked {
            base.request = post();
            base.expect = answer(200, Some(2_500));
        }
        base
    }

    /// One connection's.
    fn script(&self, base: &Script, dice: &mut Dice) -> Script {
        let mut script = base.clone();
        match self.kind {
            Kind::Aborts => {
                let chunked = dice.roll(3) == 0;
                script.request = if chunked { post() } else { get("60000") };
                let length = script.request.len();
                // Before the request, within its head or body, before the answer, within the answer.
                let (sent, received) = match dice.roll(4) {
                    0 => (0, 0),
                    1 => (1 + dice.roll(length - 1), 0),
                    2 => (length, 0),
                    _ => (length, 1 + dice.roll(2_000)),
                };
                script.manner = Manner::Leaves {
                    sent,
                    received,
                    reset: dice.roll(2) == 0,
                };
            }
            Kind::Cuts => {
                let ways = ["40000/cut", "40000/reset", "100/cut", "100/reset"];
                script.request = get(ways.get(dice.roll(ways.len())).copied().unwrap_or("1/cut"));
                script.expect = Expect::Cut;
            }
            _ => {}
        }
        script
    }

    fn http2(&self, stage: &Stage, proxy: &Proxy, connections: usize) -> Result<Played, Fatal> {
        let there = std::process::Command::new("h2load")
            .arg("--version")
            .output();
        if there.is_err() {
            return Ok(Played::default());
        }
        let requests = (stage.requests / 10).max(connections * 2) as u64;
        let request = get("512");
        let tally = load::run(
            &Plan {
                target: proxy.address(self.place),
                request: &request,
                body: 512,
                connections,
                closes: false,
                tls: None,
                streams: Some(10),
                pace: None,
                span: Span::Answers(requests),
            },
            &mut |_| {},
        )?;
        Ok(Played {
            connections: connections as u64,
            requests: tally.answers,
            errors: tally.errors,
            first_error: tally.first_error,
        })
    }
}

fn get(path: &str) -> Rc<[u8]> {
    format!("GET /{path} HTTP/1.1\r\nHost: versus.example\r\nUser-Agent: versus\r\n\r\n")
        .into_bytes()
        .into()
}

/// A body of 2,500 bytes in three chunks, answered by as many in chunks.
fn post() -> Rc<[u8]> {
    let chunk = |length: usize| format!("{length:x}\r\n{}\r\n", "x".repeat(length));
    let head =
        "POST /0/chunked HTTP/1.1\r\nHost: versus.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    format!(
        "{head}{}{}{}0\r\n\r\n",
        chunk(1_000),
        chunk(1),
        chunk(1_499)
    )
    .into_bytes()
    .into()
}

/// Longer than a proxy may take for anything here.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_a_hundred_and_places_differ() {
        assert_eq!(PHASES.iter().map(|p| p.share).sum::<usize>(), 100);
        for (index, phase) in PHASES.iter().enumerate() {
            assert!(PHASES[..index].iter().all(|p| p.place != phase.place));
        }
    }
}
