//! What running the rules comes to.

use std::{sync::Arc, time::Duration};

use super::Lookup;
use crate::config::ErrorPage;

/// After `tcp-request connection`, and after `tcp-request session`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionVerdict {
    /// Go on.
    Accept,
    /// Close the connection.
    Reject,
    /// Forget the connection without telling the client: [`Marks::reset_hops`](crate::request::Marks::reset_hops).
    SilentDrop,
}

/// After `tcp-request content`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentVerdict {
    /// Go on.
    Accept,
    /// Close the connection.
    Reject,
    /// Forget the connection without telling the client: [`Marks::reset_hops`](crate::request::Marks::reset_hops).
    SilentDrop,
    /// What follows is HTTP (`switch-mode`).
    SwitchMode,
    /// Ask again when more bytes are there, or with `complete` when this much time has passed since the first
    /// question.
    NeedMore {
        /// `tcp-request inspect-delay`.
        within: Duration,
    },
    /// Ask again once this has been [answered](Lookup::answered).
    Resolve {
        /// What is to be asked.
        lookup: Box<Lookup>,
        /// `tcp-request inspect-delay`: what is not known when it is over counts as no answer.
        within: Option<Duration>,
    },
}

/// After `tcp-response content`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerVerdict {
    /// Go on.
    Accept,
    /// Close the connection with the server; the client gets what has been received.
    Close,
    /// Close both connections.
    Reject,
    /// Forget the connection without telling the client: [`Marks::reset_hops`](crate::request::Marks::reset_hops).
    SilentDrop,
    /// Ask again when more bytes are there, or with `complete` when this much time has passed since the first
    /// question.
    NeedMore {
        /// `tcp-response inspect-delay`.
        within: Duration,
    },
}

/// What answers in place of a server (`use-service`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Metrics in Prometheus' text format.
    PrometheusExporter,
}

/// After `http-request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestVerdict {
    /// Go on with the (perhaps rewritten) request.
    Continue,
    /// Refuse with this status; the error page of the proxy unless a reply is given.
    Deny {
        /// Status code (403).
        status: u16,
        /// Own answer.
        reply: Option<Box<Reply>>,
    },
    /// Refuse after `timeout tarpit`.
    Tarpit {
        /// Status code (500).
        status: u16,
        /// Own answer.
        reply: Option<Box<Reply>>,
    },
    /// Ask again once the body of the request is there (`wait-for-body`): [`RuleState`](crate::request::RuleState)
    /// remembers where the rules go on.
    WaitForBody {
        /// Wait at most so long.
        time: Duration,
        /// Wait no longer than for so many bytes; 0 stands for all.
        at_least: usize,
    },
    /// Ask again once this has been [answered](Lookup::answered).
    Resolve(Box<Lookup>),
    /// Send elsewhere.
    Redirect(Box<Redirect>),
    /// Answer at once.
    Return(Box<Reply>),
    /// Let the embedder answer.
    Serve(Service),
    /// Ask for a password: 401 (407 towards a proxy client) with this realm.
    Auth {
        /// Realm of the challenge.
        realm: Arc<str>,
    },
    /// Forget the connection without telling the client: [`Marks::reset_hops`](crate::request::Marks::reset_hops).
    SilentDrop,
    /// Close the connection without an answer.
    Reject,
    /// A rewrite failed that must not (`strict-mode`): 500.
    Fail,
}

/// After `http-response` and `http-after-response`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseVerdict {
    /// Go on with the (perhaps rewritten) response.
    Continue,
    /// Refuse the server's answer.
    Deny {
        /// Status code (502).
        status: u16,
        /// Own answer.
        reply: Option<Box<Reply>>,
    },
    /// Send elsewhere.
    Redirect(Box<Redirect>),
    /// Ask again once the body of the response is there (`wait-for-body`).
    WaitForBody {
        /// Wait at most so long.
        time: Duration,
        /// Wait no longer than for so many bytes; 0 stands for all.
        at_least: usize,
    },
    /// Answer in place of the server.
    Return(Box<Reply>),
    /// Forget the connection without telling the client: [`Marks::reset_hops`](crate::request::Marks::reset_hops).
    SilentDrop,
    /// A rewrite failed that must not (`strict-mode`): 500.
    Fail,
}

/// What becomes of the persistence cookie of a request (`force-persist`, `ignore-persist`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persist {
    /// It leads to its server if that is up.
    #[default]
    Usual,
    /// It leads to its server even if that is down, and nowhere else.
    Forced,
    /// It leads nowhere.
    Ignored,
}

/// A redirection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Value of the Location field; safe to send.
    pub location: Vec<u8>,
    /// Values of Set-Cookie fields; safe to send.
    pub cookies: Vec<Vec<u8>>,
}

/// An answer made by the proxy itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Content-Type field.
    pub content_type: Option<Arc<str>>,
    /// Further fields; values are safe to send.
    pub headers: Vec<(Arc<str>, Vec<u8>)>,
    /// Body.
    pub body: Vec<u8>,
    /// The error page of the proxy for the status, in place of all else.
    pub default_page: bool,
    /// A whole message, in place of all else.
    pub page: Option<Arc<ErrorPage>>,
}
