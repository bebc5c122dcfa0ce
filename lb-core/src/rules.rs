//! Rules of a proxy: `tcp-request`, `http-request`, `http-response`, `http-after-response`, `use_backend`,
//! `use-server`, in HAProxy's order.

mod builder;
mod error;
mod verdict;

use std::{sync::Arc, time::Instant};

pub use builder::{Loader, Parsed, ProxySide, RulesBuilder, User};
pub use error::{RuleError, RuleWarning};
pub use verdict::{
    ConnectionVerdict, ContentVerdict, Redirect, Reply, RequestVerdict, ResponseVerdict,
};

use crate::{
    head::{HeadMut, HeadRef},
    request::{ConnectionInfo, RequestView, RuleState},
};

/// Every rule of one proxy, compiled. Cloning shares the rules.
#[derive(Debug, Clone, Default)]
pub struct ProxyRules {}

impl ProxyRules {
    /// `tcp-request connection` and `tcp-request session`, right after acceptance.
    pub fn on_connection(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        state: &mut RuleState,
    ) -> ConnectionVerdict {
        let _ = (now, connection, state);
        ConnectionVerdict::Accept
    }

    /// `tcp-request content` over the bytes received so far (`complete`: no more will come, or the time is
    /// over); in HTTP mode with the parsed request.
    pub fn on_content(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        request: Option<HeadRef<'_>>,
        payload: &[u8],
        complete: bool,
        state: &mut RuleState,
    ) -> ContentVerdict {
        let _ = (now, connection, request, payload, complete, state);
        ContentVerdict::Accept
    }

    /// `http-request`, in order; edits the head.
    pub fn on_request(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        request: &mut HeadMut<'_>,
        state: &mut RuleState,
    ) -> RequestVerdict {
        let _ = (now, connection, request, state);
        RequestVerdict::Continue
    }

    /// `use_backend`: the name of the first whose condition holds. Dynamic names are written to `buffer`.
    pub fn select_backend<'a>(
        &'a self,
        view: &RequestView<'_>,
        buffer: &'a mut Vec<u8>,
    ) -> Option<&'a str> {
        let _ = (view, buffer);
        None
    }

    /// `use-server`: the name of the first whose condition holds.
    pub fn select_server<'a>(
        &'a self,
        view: &RequestView<'_>,
        buffer: &'a mut Vec<u8>,
    ) -> Option<&'a str> {
        let _ = (view, buffer);
        None
    }

    /// `http-response`, in order; edits the head.
    pub fn on_response(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        request: Option<HeadRef<'_>>,
        response: &mut HeadMut<'_>,
        state: &mut RuleState,
    ) -> ResponseVerdict {
        let _ = (now, connection, request, response, state);
        ResponseVerdict::Continue
    }

    /// `http-after-response`: over every response that is sent, our own included.
    pub fn on_after_response(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        request: Option<HeadRef<'_>>,
        response: &mut HeadMut<'_>,
        state: &mut RuleState,
    ) -> ResponseVerdict {
        let _ = (now, connection, request, response, state);
        ResponseVerdict::Continue
    }

    /// Static names that `use_backend` refers to, for checking that they exist, with the number of the rule.
    pub fn backend_names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}
