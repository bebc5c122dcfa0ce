//! The log line of a connection that never got as far as a request: by `error-log-format`, or in HAProxy's fixed words
//! (manual 8.2.5).

use std::time::Duration;

use super::{clock, listener::Listener, trace, worker::Worker};
use crate::{
    config::ProxyConfig,
    log::{
        Counts, LogFormat, StreamRecord, Termination, Timers,
        events::{self, level},
    },
    request::{ConnectionInfo, Failure, RequestView, RuleState},
};

/// Tells the log why there is no session.
pub(super) fn log(
    failure: Failure,
    info: &ConnectionInfo,
    state: &mut RuleState,
    listener: &Listener,
    worker: &Worker,
) {
    let proxy = listener.proxy_config();
    let silent = failure.trouble.is_of_silence() && proxy.dontlognull;
    if silent || proxy.logs.is_empty() {
        return;
    }
    let level = level_of(proxy);
    let Some(format) = &listener.error_format else {
        let number = (listener.bind + 1).to_string();
        let line = events::not_established(
            info.source,
            (info.accepted_date, listener.balancer.utc_offset),
            &proxy.name,
            listener.name.as_deref().unwrap_or(&number),
            failure.trouble.text(),
        );
        worker.sinks.log(proxy, level, &line);
        return;
    };
    state.marked().client_failure = Some(failure);
    write(info, state, listener, worker, (format, level));
}

/// Tells the log that something came which is no request, and of which no stream of HTTP/2 can tell.
pub(super) fn log_no_request(
    info: &ConnectionInfo,
    state: &RuleState,
    listener: &Listener,
    worker: &Worker,
) {
    let proxy = listener.proxy_config();
    if let (Some(format), false) = (&listener.format, proxy.logs.is_empty()) {
        let level = level_of(proxy);
        write(info, state, listener, worker, (format, level));
    }
}

fn level_of(proxy: &ProxyConfig) -> u8 {
    match proxy.log_separate_errors {
        true => level::ERROR,
        false => level::INFO,
    }
}

/// A line about a connection that has no request.
fn write(
    info: &ConnectionInfo,
    state: &RuleState,
    listener: &Listener,
    worker: &Worker,
    (format, level): (&LogFormat, u8),
) {
    let proxy = listener.proxy_config();
    let now = clock::now();
    let lasted = now.saturating_duration_since(info.accepted_at);
    let record = StreamRecord {
        view: RequestView::new(now, info, state),
        utc_offset: listener.balancer.utc_offset,
        request_date: info.accepted_date + lasted,
        backend: &proxy.name,
        server: "<NOSRV>",
        server_address: None,
        backend_source: None,
        timers: Timers {
            idle: lasted,
            active: Duration::ZERO,
            total: lasted,
            ..Timers::default()
        },
        status: Some(0),
        bytes_read: 0,
        bytes_uploaded: 0,
        termination: Termination::new(b'P', b'R'),
        request_cookie: None,
        response_cookie: None,
        counts: Counts {
            process: listener.balancer.process.connections.value(),
            frontend: listener.frontend.current(),
            ..Counts::default()
        },
        request_line: None,
        early: proxy.logasap,
    };
    trace::write(worker, listener, format, &record, level);
}
