//! Connections at run time: `show sess`, `shutdown session`.

use std::{fmt::Write as _, time::Duration};

use lb_core::{
    dataplane::{Balancer, Session},
    server::ServerKey,
};
use tokio::{sync::oneshot, time::timeout};

use super::{Runtime, ServerOrder};

/// Workers answer at once; one that is stalled answers for none.
const PATIENCE: Duration = Duration::from_secs(1);

impl Runtime {
    /// `show sess`, or of one.
    pub(super) async fn sessions(&self, one: Option<u64>) -> String {
        let (reply, told) = oneshot::channel();
        (self.order)(ServerOrder::Sessions(reply));
        let Ok(Ok(mut sessions)) = timeout(PATIENCE, told).await else {
            return "The workers do not answer.".to_owned();
        };
        sessions.retain(|session| one.is_none_or(|id| session.id == id));
        if one.is_some() && sessions.is_empty() {
            return "Session not found.".to_owned();
        }
        sessions.sort_by_key(|session| (session.since, session.id));
        let balancer = self.balancer();
        let mut text = String::new();
        for session in &sessions {
            line(session, &balancer, &mut text);
        }
        text
    }

    /// `shutdown session`.
    pub(super) async fn shutdown_session(&self, id: u64) -> String {
        let (reply, told) = oneshot::channel();
        (self.order)(ServerOrder::CutOne(id, reply));
        match timeout(PATIENCE, told).await {
            Ok(Ok(true)) => {
                tracing::info!("session {id:#x} is cut");
                String::new()
            }
            _ => "No such session (use 'show sess').".to_owned(),
        }
    }
}

/// The names of a server and of its backend.
fn names(balancer: &Balancer, key: ServerKey) -> Option<(&str, &str)> {
    balancer.backends.iter().find_map(|backend| {
        let server = backend
            .servers()
            .iter()
            .find(|server| server.key() == key)?;
        Some((backend.name(), server.name()))
    })
}

/// What HAProxy's lines tell first: later fields are of its inside.
fn line(session: &Session, balancer: &Balancer, out: &mut String) {
    let protocol = if session.source.is_ipv4() {
        "tcpv4"
    } else {
        "tcpv6"
    };
    let named = session.server.and_then(|key| names(balancer, key));
    let (backend, server) = named.unwrap_or(("<NONE>", "<none>"));
    let _ = writeln!(
        out,
        "{:#x}: proto={protocol} src={} fe={} be={backend} srv={server} age={}s",
        session.id,
        session.source,
        session.frontend.as_deref().unwrap_or("<NONE>"),
        session.since.elapsed().as_secs()
    );
}
