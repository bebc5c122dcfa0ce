//! Agents of servers (`agent-check`): asked beside the health checks, they change weights, limits and states.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Place, shared::Shared};
use crate::{
    backend::{Cause, StateChange},
    config::AgentConfig,
    dataplane::{
        clock,
        destination::{Destination, NotBegun, SocketOptions},
        rt,
    },
    health::{AgentAnswer, CheckReport, CheckStatus, ProbeResult},
    server::Server,
};

/// Longest answer, as long as HAProxy's buffers.
const LONGEST: usize = 16 * 1024;

/// How an agent is asked.
#[derive(PartialEq)]
pub(super) struct Method {
    pub(super) agent: AgentConfig,
    pub(super) at: SocketAddr,
    pub(super) source: Option<SocketAddr>,
    /// `timeout check`.
    pub(super) timeout: Option<Duration>,
}

/// Where the agent of a server is; `None` without one, or without an address.
pub(super) fn method(server: &Server, check_timeout: Option<Duration>) -> Option<Method> {
    let agent = server.config().agent.clone()?;
    let ip = agent.addr.or_else(|| Some(server.address()?.ip()))?;
    Some(Method {
        at: SocketAddr::new(ip, agent.port),
        source: server.config().source,
        timeout: check_timeout,
        agent,
    })
}

/// Asks until it is told otherwise.
pub(super) async fn ask(
    shared: Rc<Shared>,
    place: Rc<RefCell<Place>>,
    method: Rc<Method>,
    first: Instant,
) {
    rt::sleep_until(first).await;
    loop {
        let begun = clock::now();
        let asked = {
            let place = place.borrow();
            let server = place.backend.server(place.server);
            server.is_some_and(Server::has_agent)
        };
        if asked {
            let patience = method.timeout.unwrap_or(method.agent.inter);
            let reached = Cell::new(false);
            let answer = rt::timeout(patience, once(&method, &reached)).await;
            let late = match reached.get() {
                true => CheckStatus::L7Timeout,
                false => CheckStatus::L4Timeout,
            };
            let answer = answer.unwrap_or_else(|| failed(late, String::new()));
            apply(&shared, &place.borrow(), &answer, begun);
        }
        rt::sleep_until(begun + method.agent.inter).await;
    }
}

fn failed(status: CheckStatus, detail: String) -> AgentAnswer {
    AgentAnswer {
        status,
        detail,
        ..AgentAnswer::default()
    }
}

/// One question; tells when there is a connection.
async fn once(method: &Method, reached: &Cell<bool>) -> AgentAnswer {
    let lost = |e: io::Error| failed(CheckStatus::L4Connection, super::once::words(&e));
    let begun = Destination::Ip(method.at).begin(method.source, SocketOptions::default());
    let mut stream = match begun {
        Ok(stream) => stream,
        Err(NotBegun::Local(e)) => {
            return failed(CheckStatus::SocketError, super::once::words(&e));
        }
        Err(NotBegun::Refused(e)) => return lost(e),
    };
    if let Err(e) = std::future::poll_fn(|cx| stream.poll_connected(cx)).await {
        return lost(e);
    }
    reached.set(true);
    if let Err(e) = stream.write_all(method.agent.send.as_bytes()).await {
        return failed(CheckStatus::SocketError, super::once::words(&e));
    }
    let mut said = Vec::new();
    let mut room = [0; 1024];
    while said.len() < LONGEST && !said.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        match stream.read(&mut room).await {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(room.get(..count).unwrap_or_default()),
            Err(e) => return failed(CheckStatus::SocketError, super::once::words(&e)),
        }
    }
    AgentAnswer::parse(&said)
}

/// Carries out what an agent said. One that cannot be reached says nothing of its server.
fn apply(shared: &Shared, place: &Place, answer: &AgentAnswer, begun: Instant) {
    let Some(server) = place.backend.server(place.server) else {
        return;
    };
    let now = clock::now();
    let tell = |change: Option<StateChange>| {
        if let Some(change) = change {
            shared.tell(&place.backend, &change);
            shared.lead(&place.backend, server);
        }
    };
    if let Some(action) = answer.admin {
        tell(place.backend.set_state(now, place.server, action));
    }
    if let Some(share) = answer.weight {
        let weight = u32::from(server.config().weight) * u32::from(share) / 100;
        let weight = u16::try_from(weight.min(256)).unwrap_or(256);
        let allowed = place.backend.allows_weight(place.server, weight);
        if allowed && server.weight() != u32::from(weight) {
            tell(place.backend.set_weight(now, place.server, weight));
        }
    }
    if let Some(most) = answer.maxconn {
        place.backend.set_maxconn(place.server, most);
    }
    let before = server.agent_report();
    let before = before.unwrap_or_else(CheckReport::of_agent);
    let known = before.health;
    let status = match answer.status {
        CheckStatus::Unknown => before.result.status,
        status => status,
    };
    let report = CheckReport {
        result: ProbeResult {
            status,
            code: matches!(status, CheckStatus::L7Ok | CheckStatus::L7Status).then_some(0),
            duration: now.saturating_duration_since(begun),
            detail: Arc::from(answer.detail.as_str()),
        },
        health: answer.up.map_or(known, u32::from),
        rise: 1,
        fall: 1,
    };
    shared.log_result(place, "Agent check", &before, &report);
    let change = place
        .backend
        .apply_agent(now, place.server, &report, |r| Cause::Check(r.clone()));
    tell(change);
}
