//! Heads and connections for the unit tests of expressions, ACLs, rules and logs.

use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::{
    head::{Field, Head, HeadRef, Version},
    request::{ConnectionInfo, RequestView, RuleState, TlsInfo},
};

/// Seconds of 2026-11-20 22:51:45 UTC.
pub(crate) const MOMENT: u64 = 1_795_215_105;

/// A connection with TLS from 192.0.2.7:41662 to 198.51.100.1:443, and what its rules left.
pub(crate) struct World {
    pub(crate) connection: ConnectionInfo,
    pub(crate) state: RuleState,
    pub(crate) request: Option<Head>,
    pub(crate) response: Option<Head>,
    pub(crate) payload: Vec<u8>,
    pub(crate) complete: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            connection: ConnectionInfo {
                source: "192.0.2.7:41662".parse().unwrap(),
                destination: "198.51.100.1:443".parse().unwrap(),
                fronted: None,
                tls: Some(Box::new(TlsInfo {
                    version: "TLSv1.3",
                    cipher: "TLS_AES_128_GCM_SHA256",
                    bits: 128,
                    sni: Some("shop.example".into()),
                    alpn: Some("h2".into()),
                    resumed: false,
                    client: None,
                    own: None,
                })),
                frontend: "fe".into(),
                bind: Some("public".into()),
                accepted_at: start(),
                accepted_date: UNIX_EPOCH + Duration::from_millis(MOMENT * 1000 + 300),
            },
            state: RuleState::default(),
            request: None,
            response: None,
            payload: Vec::new(),
            complete: true,
        }
    }

    /// With a request: method, target and `name: value` lines.
    pub(crate) fn request(mut self, method: &str, target: &str, lines: &[&str]) -> Self {
        self.request = Some(request(method, target, lines));
        self
    }

    /// With a response.
    pub(crate) fn response(mut self, status: u16, lines: &[&str]) -> Self {
        let mut head = Head::default();
        let reason = head.store(b"OK");
        head.set_response(status, reason, Version::Http11);
        fields(&mut head, lines);
        self.response = Some(head);
        self
    }

    /// With received bytes.
    pub(crate) fn payload(mut self, bytes: &[u8], complete: bool) -> Self {
        self.payload = bytes.to_vec();
        self.complete = complete;
        self
    }

    pub(crate) fn view(&self) -> RequestView<'_> {
        let connection = &self.connection;
        let mut view = RequestView::new(connection.accepted_at, connection, &self.state)
            .with_payload(&self.payload, self.complete);
        view.request = self.request.as_ref().map(|head| HeadRef::new(head, b""));
        view.response = self.response.as_ref().map(|head| HeadRef::new(head, b""));
        view
    }
}

/// The head of a request.
pub(crate) fn request(method: &str, target: &str, lines: &[&str]) -> Head {
    let mut head = Head::default();
    let method = head.store(method.as_bytes());
    let target = head.store(target.as_bytes());
    head.set_request(method, target, Version::Http11);
    fields(&mut head, lines);
    head
}

fn fields(head: &mut Head, lines: &[&str]) {
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let field = Field {
            name: head.store(name.as_bytes()),
            value: head.store(value.trim().as_bytes()),
        };
        head.push(field);
    }
}

/// Any instant: nothing can be said of time without one.
#[expect(clippy::disallowed_methods, reason = "tests begin somewhere")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
