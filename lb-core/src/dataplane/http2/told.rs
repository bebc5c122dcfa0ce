//! What the log and the counters are told of a client that breaks the rules.

use super::Front;
use crate::{
    dataplane::stray,
    http2::Server,
    log::events::{self, level},
};

impl Front {
    /// Writes a line for whatever came in place of a request. Silence is none where that is not wanted.
    pub(super) fn tell(&self) {
        let (unheard, silent) = self
            .mux
            .with(|server| (server.take_unheard(), server.is_silent()));
        let proxy = self.proxy();
        if silent && (proxy.dontlognull || proxy.ignore_probes) {
            return;
        }
        for _ in 0..unheard {
            stray::log_no_request(&self.info, &self.state, &self.listener, &self.worker);
        }
    }

    /// Counts what was wrong, and tells of a flood.
    pub(super) fn report(&self) {
        let counters = &self.listener.counters;
        for _ in 0..self.mux.with(Server::take_malformed) {
            counters.http2.malformed.increment();
            self.listener.count_bad_request();
        }
        let Some(flood) = self.mux.with(|server| server.flood()) else {
            if self.mux.with(|server| server.failure()).is_some() {
                counters.http2.protocol_errors.increment();
            }
            return;
        };
        counters.http2.floods.increment();
        let proxy = self.proxy();
        let text = events::http2_flood(self.info.source, &proxy.name, flood.words());
        let sinks = &self.worker.sinks;
        sinks.log(proxy, level::WARNING, text.as_bytes());
    }
}
