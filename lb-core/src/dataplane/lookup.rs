//! Names that rules ask for (`do-resolve`): the client waits meanwhile.

use std::{future::Future as _, net::IpAddr, pin::pin, task::Poll};

use super::{
    probe::question::{self, Answer, Section},
    session::{Connection, Gone},
};
use crate::rules::Lookup;

/// Asks the name servers of the section, and tells the rules. The connection's timer, which the caller has set, ends it
/// without an answer; the outcome of the section's own patience is no answer, too.
pub(super) async fn resolve(connection: &mut Connection, lookup: &Lookup) -> Result<(), Gone> {
    let address = match ask(connection, lookup).await {
        Ok(address) => address,
        Err(Gone::TimedOut) => None,
        Err(gone) => return Err(gone),
    };
    lookup.answered(address, &mut connection.state);
    Ok(())
}

async fn ask(connection: &mut Connection, lookup: &Lookup) -> Result<Option<IpAddr>, Gone> {
    let balancer = &connection.listener.balancer;
    let mut sections = balancer.config.resolvers.iter();
    let Some(resolvers) = sections.find(|section| section.name == lookup.resolvers) else {
        return Ok(None);
    };
    let section = Section::new(resolvers, balancer);
    let mut answer = pin!(question::ask(&section, &lookup.host, lookup.prefers_v4));
    let answer = connection
        .wait(|client, cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => Connection::poll_lost(client, cx).map(|()| Err(Gone::Client)),
        })
        .await
        .flatten()?;
    Ok(match answer {
        Answer::Addresses(addresses, _) => addresses.first().copied(),
        _ => None,
    })
}
