//! Adding and removing routes and rules through rtnetlink.
//!
//! Every call is idempotent: what is already there is no error, and neither is what is already gone.
//! A route is put before others of its destination and metric, as keepalived does it, not refused
//! because of them (`ip route prepend`).

use std::io;

use futures_util::StreamExt as _;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::Handle;
use rustix::io::Errno;

use crate::Error;
use crate::route::{Route, Rule};
use crate::vips::answer;

mod message;

/// Requests about routes and rules over one rtnetlink connection.
#[derive(Debug, Clone)]
pub struct Routing {
    handle: Handle,
}

impl Routing {
    /// Over a connection that the caller drives.
    #[must_use]
    pub const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Adds the route; whether it was missing. `index` knows the interfaces.
    pub async fn add_route(
        &self,
        route: &Route,
        index: impl Fn(&str) -> Option<u32>,
    ) -> Result<bool, Error> {
        let message = RouteNetlinkMessage::NewRoute(message::route(route, index)?);
        let place = if route.append { NLM_F_APPEND } else { 0 };
        let answer = self.ask(message, NLM_F_CREATE | place).await;
        added(answer).map_err(|source| refused("add route", route, source))
    }

    /// Removes the route; no error if it, or its interface, is already gone.
    pub async fn remove_route(
        &self,
        route: &Route,
        index: impl Fn(&str) -> Option<u32>,
    ) -> Result<(), Error> {
        let Ok(mut message) = message::route(route, index) else {
            return Ok(());
        };
        message::name_only(&mut message);
        let answer = self.ask(RouteNetlinkMessage::DelRoute(message), 0).await;
        removed(answer).map_err(|source| refused("remove route", route, source))
    }

    /// Adds the rule; whether it was missing.
    pub async fn add_rule(&self, rule: &Rule) -> Result<bool, Error> {
        let message = RouteNetlinkMessage::NewRule(message::rule(rule));
        // Without NLM_F_EXCL there would be two of it.
        let answer = self.ask(message, NLM_F_CREATE | NLM_F_EXCL).await;
        added(answer).map_err(|source| refused("add rule", rule, source))
    }

    /// Removes the rule; no error if it is already gone.
    pub async fn remove_rule(&self, rule: &Rule) -> Result<(), Error> {
        let message = RouteNetlinkMessage::DelRule(message::rule(rule));
        let answer = self.ask(message, 0).await;
        removed(answer).map_err(|source| refused("remove rule", rule, source))
    }

    async fn ask(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let mut handle = self.handle.clone();
        answer(async move {
            let mut answers = handle.request(request)?;
            while let Some(message) = answers.next().await {
                if let NetlinkPayload::Error(error) = message.payload
                    && error.code.is_some()
                {
                    return Err(rtnetlink::Error::NetlinkError(error));
                }
            }
            Ok(())
        })
        .await
    }
}

fn added(answer: io::Result<()>) -> io::Result<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn removed(answer: io::Result<()>) -> io::Result<()> {
    const GONE: [Errno; 4] = [Errno::SRCH, Errno::NOENT, Errno::NODEV, Errno::NXIO];
    match answer {
        Err(error)
            if GONE
                .iter()
                .any(|gone| error.raw_os_error() == Some(gone.raw_os_error())) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn refused(what: &'static str, path: impl ToString, source: io::Error) -> Error {
    Error::Path {
        what,
        path: path.to_string(),
        source,
    }
}
