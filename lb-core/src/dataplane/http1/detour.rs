//! What the content of a response passes on its way: caches that keep it, and what compresses it.

use super::Exchange;
use crate::{
    cache::Visit,
    compression,
    dataplane::{
        connect::Dialed,
        flow::Detour,
        session::Connection,
        squeeze::Squeeze,
        tee::{self, Tee},
    },
    head::HeadMut,
    http1::Framing,
};

/// What is done with the content on its way, mostly nothing, and its framing to the client then. `framing` is the client's
/// and the server's.
pub(super) fn detour(
    connection: &mut Connection,
    x: &mut Exchange,
    dialed: &Dialed,
    framing: (Framing, Framing),
) -> (Option<Detour>, Framing) {
    if x.squeeze.is_none() && connection.state.visited().is_none() {
        return (None, framing.0);
    }
    let detour = looked_at(connection, x, dialed, framing);
    match detour {
        Some(Detour::Squeeze(_)) => (detour, Framing::Chunked),
        _ => (detour, framing.0),
    }
}

/// What looks at the content: caches, and what compresses it.
fn looked_at(
    connection: &mut Connection,
    x: &mut Exchange,
    dialed: &Dialed,
    framing: (Framing, Framing),
) -> Option<Detour> {
    // Caches come before compression, and what they keep is for others too: its head and framing are as they came.
    let visit = connection.state.visited();
    let candidates = visit.map(Visit::take_candidates).unwrap_or_default();
    let keeping = match framing.0 == framing.1 && !candidates.is_empty() {
        true => tee::begin(candidates, framing.1),
        false => Vec::new(),
    };
    if let Some(mut squeeze) = squeeze(connection, x, dialed, framing) {
        squeeze.keep(keeping);
        return Some(Detour::Squeeze(squeeze));
    }
    if keeping.is_empty() {
        return None;
    }
    let tee = Tee::new(framing.1, keeping)?;
    Some(Detour::Tee(Box::new(tee)))
}

/// What compresses the content, if that is wished for and the response suits; its head says so then. `framing` is the
/// client's and the server's.
fn squeeze(
    connection: &mut Connection,
    x: &mut Exchange,
    dialed: &Dialed,
    framing: (Framing, Framing),
) -> Option<Box<Squeeze>> {
    let (algorithm, compression) = x.squeeze.take()?;
    let mut head = HeadMut::new(&mut x.response, dialed.server.input.bytes());
    if framing.0 != framing.1 || !compression.suits(head.as_ref()) {
        return None;
    }
    let squeeze = Squeeze::new(algorithm, framing.1)?;
    compression::announce(algorithm, &mut head);
    connection.state.marked().compressed = Some(algorithm);
    Some(Box::new(squeeze))
}
