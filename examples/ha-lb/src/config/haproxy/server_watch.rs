//! Words of a server about what decides over it beside its checks: `observe`, agents, `track`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use lb_core::config::{AgentConfig, Layer, Mode, Observe, OnError, ServerConfig};

use super::{
    args::{Arg, Context, Parsed},
    finish::Pending,
    value::{self, Unit},
};
use crate::config::diagnostic::{Diagnostic, Span};

/// These words, as far as they were read.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    layer: Option<(Layer, Span)>,
    limit: u32,
    then: OnError,
    /// `agent-check` was given.
    pub(super) asked: bool,
    agent: AgentConfig,
    track: Option<(String, Span)>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            layer: None,
            limit: 10,
            then: OnError::default(),
            asked: false,
            agent: AgentConfig {
                port: 0,
                addr: None,
                inter: Duration::from_secs(2),
                send: Arc::from(""),
            },
            track: None,
        }
    }
}

impl Draft {
    /// A word with its value; false if it is none of these.
    pub(super) fn set(
        &mut self,
        name: &str,
        arg: &Arg<'_>,
        context: &mut Context<'_>,
    ) -> Parsed<bool> {
        match name {
            "observe" => {
                self.layer = match arg.text {
                    "none" => None,
                    "layer4" => Some((Layer::Connections, arg.span.clone())),
                    "layer7" => Some((Layer::Responses, arg.span.clone())),
                    _ => return Err(arg.refuse("unknown layer", "none, layer4 or layer7")),
                }
            }
            "error-limit" => self.limit = value::number(arg, name, 1, i32::MAX.unsigned_abs())?,
            "on-error" => {
                self.then = match arg.text {
                    "fastinter" => OnError::Fastinter,
                    "fail-check" => OnError::FailCheck,
                    "sudden-death" => OnError::SuddenDeath,
                    "mark-down" => OnError::MarkDown,
                    _ => {
                        let modes = "fastinter, fail-check, sudden-death or mark-down";
                        return Err(arg.refuse("unknown mode", modes));
                    }
                }
            }
            "agent-port" => {
                let port = value::number(arg, name, 1, 65_535)?;
                self.agent.port = u16::try_from(port).unwrap_or(u16::MAX);
            }
            "agent-addr" => self.agent.addr = Some(super::server::only_ip(arg, context)?),
            "agent-inter" => {
                self.agent.inter = value::lenient_time(arg, name, Unit::Milliseconds, context)?;
                if self.agent.inter.is_zero() {
                    return Err(arg.refuse("'agent-inter' is not a time", "more than 0"));
                }
            }
            "agent-send" => self.agent.send = Arc::from(arg.text),
            "track" => self.track = Some((arg.text.to_owned(), arg.span.clone())),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Puts them into the server's settings. `at` is its address.
    pub(super) fn finish(&self, at: &Arg<'_>, config: &mut ServerConfig) -> Parsed<()> {
        if self.asked && self.agent.port == 0 {
            return Err(at.refuse("`agent-check` without `agent-port`", "`agent-port <port>`"));
        }
        config.agent = self.asked.then(|| self.agent.clone());
        let checked = config.check.is_some();
        config.observe = self
            .layer
            .as_ref()
            .filter(|_| checked)
            .map(|(layer, _)| Observe {
                layer: *layer,
                limit: self.limit,
                then: self.then,
            });
        if let Some((name, span)) = &self.track {
            if checked {
                return Err(Box::new(Diagnostic::error(
                    span.clone(),
                    "checks and tracking do not go together",
                )));
            }
            let (backend, server) = name.split_once('/').unwrap_or(("", name));
            config.track = Some((Arc::from(backend), Arc::from(server)));
        }
        Ok(())
    }

    /// Where `track` stands.
    fn track_at(&self) -> Option<Span> {
        self.track.as_ref().map(|(_, span)| span.clone())
    }

    /// What cannot be observed in `mode`.
    pub(super) fn check_mode(&self, mode: Mode) -> Option<Diagnostic> {
        let (layer, span) = self.layer.as_ref()?;
        (mode == Mode::Tcp && *layer == Layer::Responses).then(|| {
            let message = "'layer7' can only be used in http proxies";
            Diagnostic::error(span.clone(), message).expected("layer4, or `mode http`")
        })
    }
}

/// Servers that track others: names of their own section are completed, and each must be there and be checked in the
/// end.
pub(super) fn resolve_tracks(proxies: &mut [Pending], context: &mut Context<'_>) {
    let names: Vec<(String, Vec<Known>)> = proxies
        .iter_mut()
        .filter(|pending| pending.serves())
        .map(|pending| {
            let own = pending.place.name.clone();
            let servers = pending.draft.servers.iter_mut().map(|(server, _)| {
                if let Some((backend, _)) = &mut server.config.track
                    && backend.is_empty()
                {
                    *backend = Arc::from(own.as_str());
                }
                Known {
                    name: Arc::clone(&server.config.name),
                    is_checked: server.config.check.is_some() || server.config.agent.is_some(),
                    track: server.config.track.clone(),
                    at: server.watch.track_at(),
                }
            });
            let servers = servers.collect();
            (own, servers)
        })
        .collect();
    for (_, servers) in &names {
        for server in servers {
            if let (Some(track), Some(at)) = (&server.track, &server.at)
                && let Err(message) = follow(&names, track)
            {
                let finding = Diagnostic::error(at.clone(), message);
                context
                    .diagnostics
                    .push(finding.expected("[backend/]server with `check`"));
            }
        }
    }
}

/// A server, as far as others may track it.
struct Known {
    name: Arc<str>,
    is_checked: bool,
    track: Option<(Arc<str>, Arc<str>)>,
    at: Option<Span>,
}

/// Walks to the end of a chain.
fn follow(names: &[(String, Vec<Known>)], first: &(Arc<str>, Arc<str>)) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let mut next = first;
    loop {
        let (backend, server) = next;
        if !seen.insert((backend, server)) {
            return Err(format!(
                "the chain of tracking comes back to {backend}/{server}"
            ));
        }
        let Some((_, servers)) = names.iter().find(|(name, _)| **name == **backend) else {
            return Err(format!(
                "unable to find required proxy '{backend}' for tracking"
            ));
        };
        let Some(known) = servers.iter().find(|known| known.name == *server) else {
            return Err(format!(
                "unable to find required server '{server}' for tracking"
            ));
        };
        match &known.track {
            Some(further) => next = further,
            None if known.is_checked => return Ok(()),
            None => {
                return Err(format!(
                    "unable to use {backend}/{server} for tracking as it does not have any check nor agent enabled"
                ));
            }
        }
    }
}
