//! Connections at run time: `show sess`, `shutdown session`.

use std::{fmt::Write as _, io, time::Duration};

use lb_core::{
    dataplane::{Balancer, Session, SessionsAt},
    request::is_unix,
    server::ServerKey,
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::oneshot,
    time::timeout,
};

use super::{Runtime, ServerOrder};

/// Workers answer at once; one that is stalled answers for none.
const PATIENCE: Duration = Duration::from_secs(1);

const NO_ANSWER: &str = "The workers do not answer.\n";

impl Runtime {
    /// `show sess`, or of one: written piece by piece, however many there are.
    pub(super) async fn sessions(
        &self,
        one: Option<u64>,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let balancer = self.balancer();
        let mut next = Some(SessionsAt::default());
        let mut found = false;
        while let Some(at) = next {
            let (reply, told) = oneshot::channel();
            (self.order)(ServerOrder::Sessions(at, reply));
            let Ok(Ok(Some((sessions, rest)))) = timeout(PATIENCE, told).await else {
                return out.write_all(NO_ANSWER.as_bytes()).await;
            };
            let mut text = String::new();
            let wanted = |session: &&Session| one.is_none_or(|id| session.id == id);
            for session in sessions.iter().filter(wanted) {
                found = true;
                line(session, &balancer, &mut text);
            }
            out.write_all(text.as_bytes()).await?;
            next = rest.filter(|_| one.is_none() || !found);
        }
        match one {
            Some(_) if !found => out.write_all(b"Session not found.\n").await,
            _ => Ok(()),
        }
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
            Ok(Ok(false)) => "No such session (use 'show sess').".to_owned(),
            Ok(Err(_)) | Err(_) => NO_ANSWER.to_owned(),
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
    let (protocol, source) = match session.source {
        source if is_unix(source) => ("unix_stream", format!("unix:{}", source.port())),
        source if source.is_ipv4() => ("tcpv4", source.to_string()),
        source => ("tcpv6", source.to_string()),
    };
    let named = session.server.and_then(|key| names(balancer, key));
    let (backend, server) = named.unwrap_or(("<NONE>", "<none>"));
    let _ = writeln!(
        out,
        "{:#x}: proto={protocol} src={source} fe={} be={backend} srv={server} age={}s",
        session.id,
        session.frontend.as_deref().unwrap_or("<NONE>"),
        session.since.elapsed().as_secs()
    );
}
