//! From a parsed request to a decision: rules of the frontend, the backend, its rules, and what is added to the
//! head.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    Exchange,
    answer::{self, Answer},
    hold::{self, Wait},
    local,
};
use crate::{
    cache::Found,
    config::{ForwardFor, HeaderNames, ProxyConfig},
    dataplane::{
        clock,
        inspection::Inspection,
        lookup,
        session::{Connection, Gone},
    },
    expr::fetch::target::split,
    head::{HeadMut, HeadRef},
    http1::{Framing, RequestSummary},
    request::{RequestView, is_unix},
    rules::{ContentVerdict, RequestVerdict},
    stick_table::Event,
};

/// What is to be done with a request.
pub(super) enum Prepared {
    /// Pass it on.
    Forward(Plan),
    /// Answer it.
    Answer(Answer),
    /// Answer it with what a cache has.
    Cached(Found),
    /// Say nothing.
    Drop,
}

/// Where a request goes.
pub(super) struct Plan {
    /// Index of the backend among those of the balancer.
    pub(super) index: usize,
}

/// Runs the rules over `x.request`.
pub(super) async fn prepare(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
) -> Prepared {
    let listener = std::rc::Rc::clone(&connection.listener);
    let frontend = listener.frontend.config();
    connection.state.has_content = !summary.framing.is_empty();
    if !passes_as_it_is(connection, x, frontend)
        && let Some(done) = apply(connection, x, frontend, summary).await
    {
        return done;
    }
    let routed = listener.frontend.only_backend().or_else(|| {
        let head = HeadRef::new(&x.request, connection.client.input.kept());
        let view = RequestView::new(clock::recent(), &connection.info, &connection.state);
        listener.frontend.route(&view.with_request(head))
    });
    let balancer = &listener.balancer;
    let Some(index) = routed.filter(|index| *index < balancer.backends.len()) else {
        x.trace.end_with(b'S', b'C');
        return Prepared::Answer(Answer::Page(503));
    };
    x.trace.backend = Some(index);
    let Some(proxy) = balancer.backend_proxy(index) else {
        return Prepared::Drop;
    };
    connection.state.backend = Some(Arc::clone(&proxy.name));
    if proxy.name != frontend.name
        && !passes_as_it_is(connection, x, proxy)
        && let Some(done) = apply(connection, x, proxy, summary).await
    {
        return done;
    }
    let mut head = HeadMut::new(&mut x.request, connection.client.input.kept());
    frontend
        .rules
        .on_departure(&mut head, &mut connection.state);
    add_addresses(connection, x, frontend, proxy);
    Prepared::Forward(Plan { index })
}

/// Whether a request asks for `monitor-uri`: a path is compared with that of an absolute target, too.
fn is_monitor(target: &[u8], uri: &[u8]) -> bool {
    let origin = match uri.first() {
        Some(b'/') => split(target).origin.len(),
        _ => 0,
    };
    target.get(origin..) == Some(uri)
}

/// Whether a proxy has nothing to say about any request, as most backends do.
fn passes_as_it_is(connection: &mut Connection, x: &Exchange, proxy: &ProxyConfig) -> bool {
    let silent = proxy.rules.pass_every_request()
        && proxy.header_names == HeaderNames::Preserve
        && proxy.monitor_uri.is_none()
        && proxy.stats.is_none()
        && !proxy.buffer_request;
    if silent {
        connection.inspected = false;
        count_request(connection, x);
    }
    silent
}

/// Once, in the frontend, on what is tracked by now; `http-request track-sc` counts for itself.
fn count_request(connection: &Connection, x: &Exchange) {
    if x.trace.backend.is_none() {
        connection.count_tracked(Event::HttpRequest);
    }
}

/// The rules of one proxy, and what else it answers itself.
async fn apply(
    connection: &mut Connection,
    x: &mut Exchange,
    proxy: &ProxyConfig,
    summary: &RequestSummary,
) -> Option<Prepared> {
    if connection.state.backend.is_none() {
        connection.state.backend = connection.own_backend();
    }
    if let Some(done) = inspect(connection, x, proxy, summary.framing).await {
        return Some(done);
    }
    if proxy.buffer_request {
        let timeouts = &proxy.timeouts;
        let patience = timeouts
            .http_request
            .or(connection.frontend().timeouts.client);
        let wait = Wait {
            time: patience,
            at_least: 0,
        };
        if let Some(done) = Box::pin(hold::request(connection, x, summary, wait)).await {
            return Some(done);
        }
    }
    if proxy.rules.read_bodies() {
        hold::glance(connection, summary.framing);
    }
    count_request(connection, x);
    if let Some(uri) = &proxy.monitor_uri
        && is_monitor(
            HeadRef::new(&x.request, connection.client.input.kept()).target(),
            uri.as_bytes(),
        )
    {
        x.trace.silent = true;
        x.trace.end_with(b'L', b'R');
        let head = HeadRef::new(&x.request, connection.client.input.kept());
        let view = RequestView::new(clock::recent(), &connection.info, &connection.state)
            .with_request(head);
        if proxy.rules.monitor_fails(&view) {
            return Some(Prepared::Answer(Answer::Page(503)));
        }
        let page = b"HTTP/1.1 200 OK\r\ncontent-length: 58\r\ncache-control: no-cache\r\n\
            content-type: text/html\r\n\r\n<html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n";
        return Some(Prepared::Answer(Answer::Written(200, page.to_vec())));
    }
    let verdict = loop {
        let now = clock::recent();
        let mut head = HeadMut::new(&mut x.request, connection.client.input.kept());
        let (info, state) = (&connection.info, &mut connection.state);
        match proxy.rules.on_request(now, info, &mut head, state) {
            RequestVerdict::WaitForBody { time, at_least } => {
                let time = Some(time);
                // Boxed: few need it.
                let held = Box::pin(hold::request(
                    connection,
                    x,
                    summary,
                    Wait { time, at_least },
                ));
                if let Some(done) = held.await {
                    return Some(done);
                }
            }
            RequestVerdict::Resolve(lookup) => {
                connection.timer.set(None);
                if let Err(gone) = Box::pin(lookup::resolve(connection, &lookup)).await {
                    x.trace.end_with(gone.cause(), b'R');
                    return Some(Prepared::Drop);
                }
                if proxy.rules.read_bodies() {
                    hold::glance(connection, summary.framing);
                }
            }
            verdict => break verdict,
        }
    };
    connection.client.stream.mark(&mut connection.state);
    if connection.state.has_hints() && !Box::pin(answer::send_hints(connection, x)).await {
        return Some(Prepared::Drop);
    }
    match verdict {
        RequestVerdict::Continue => {
            if let Some(refused) = restrict_names(connection, x, proxy) {
                return Some(refused);
            }
            match local::cached(connection, x, proxy) {
                Some(found) => Some(Prepared::Cached(found)),
                None => local::stats(connection, x, proxy, summary).await,
            }
        }
        verdict => Some(refuse(connection, x, proxy, verdict).await),
    }
}

/// `tcp-request content` of an HTTP proxy, over the parsed request.
async fn inspect(
    connection: &mut Connection,
    x: &mut Exchange,
    proxy: &ProxyConfig,
    framing: Framing,
) -> Option<Prepared> {
    if std::mem::take(&mut connection.inspected) || !proxy.rules.inspect() {
        return None;
    }
    let mut inspection = Inspection::begin();
    loop {
        let now = clock::recent();
        let most = connection.sizes().buffer();
        // Nothing more is waited for once all of the request is there.
        let whole = inspection.complete
            || connection.client.ended
            || !hold::is_partial(&mut connection.client, most, framing);
        let input = &connection.client.input;
        let verdict = proxy.rules.on_content(
            now,
            &connection.info,
            Some(HeadRef::new(&x.request, input.kept())),
            &hold::content(input.bytes(), framing),
            whole,
            &mut connection.state,
        );
        connection.client.stream.mark(&mut connection.state);
        match verdict {
            ContentVerdict::Accept | ContentVerdict::SwitchMode => return None,
            ContentVerdict::SilentDrop => {
                x.trace.end_with(b'P', b'R');
                connection.vanish();
                return Some(Prepared::Drop);
            }
            ContentVerdict::Reject => {
                x.trace.end_with(b'P', b'R');
                return Some(Prepared::Drop);
            }
            ContentVerdict::Resolve { lookup, within } => {
                let asked = inspection.resolve(connection, &lookup, within);
                if let Err(gone) = Box::pin(asked).await {
                    x.trace.end_with(gone.cause(), b'R');
                    return Some(Prepared::Drop);
                }
            }
            ContentVerdict::NeedMore { .. } if inspection.complete => return None,
            ContentVerdict::NeedMore { within } => {
                match inspection.more(connection, within).await {
                    Ok(()) => {}
                    Err(Gone::TimedOut) => {
                        x.trace.end_with(b'c', b'R');
                        return Some(Prepared::Drop);
                    }
                    // What follows finds that out.
                    Err(Gone::Client | Gone::Killed) => inspection.complete = true,
                }
            }
        }
    }
}

/// Carries out a verdict that is not to go on.
async fn refuse(
    connection: &mut Connection,
    x: &mut Exchange,
    proxy: &ProxyConfig,
    verdict: RequestVerdict,
) -> Prepared {
    let page = |status, reply: Option<Box<_>>| {
        Prepared::Answer(reply.map_or(Answer::Page(status), Answer::reply))
    };
    match verdict {
        RequestVerdict::Continue
        | RequestVerdict::WaitForBody { .. }
        | RequestVerdict::Resolve(_) => Prepared::Drop,
        RequestVerdict::Deny { status, reply } => {
            x.trace.end_with(b'P', b'R');
            connection.count_denied(x.trace.backend);
            connection.count_tracked(Event::HttpError);
            page(status, reply)
        }
        RequestVerdict::Tarpit { status, reply } => {
            x.trace.end_with(b'P', b'T');
            connection.count_denied(x.trace.backend);
            connection.count_tracked(Event::HttpError);
            let timeouts = &proxy.timeouts;
            let pause = timeouts
                .tarpit
                .or(timeouts.connect)
                .unwrap_or(Duration::ZERO);
            connection.timer.after(clock::recent(), Some(pause));
            x.trace.timers.request = None;
            x.trace.timers.queue = Some(pause);
            match connection.wait(Connection::poll_lost).await {
                Err(Gone::TimedOut) => page(status, reply),
                _ => Prepared::Drop,
            }
        }
        RequestVerdict::Redirect(redirect) => {
            x.trace.end_with(b'L', b'R');
            connection.count_intercepted();
            Prepared::Answer(Answer::Redirect(redirect))
        }
        RequestVerdict::Return(reply) => {
            x.trace.end_with(b'L', b'R');
            connection.count_intercepted();
            Prepared::Answer(Answer::reply(reply))
        }
        RequestVerdict::Auth { realm } => {
            connection.count_tracked(Event::HttpError);
            x.trace.end_with(b'L', b'R');
            Prepared::Answer(Answer::Challenge(realm))
        }
        RequestVerdict::Serve(service) => local::serve(connection, x, service),
        RequestVerdict::SilentDrop => {
            x.trace.end_with(b'P', b'R');
            connection.vanish();
            Prepared::Drop
        }
        RequestVerdict::Reject => {
            x.trace.end_with(b'P', b'R');
            connection.count_denied(x.trace.backend);
            Prepared::Drop
        }
        RequestVerdict::Fail => {
            x.trace.end_with(b'P', b'R');
            connection.count_internal_error(x.trace.backend);
            Prepared::Answer(Answer::Page(500))
        }
    }
}

/// `option http-restrict-req-hdr-names`.
fn restrict_names(
    connection: &mut Connection,
    x: &mut Exchange,
    proxy: &ProxyConfig,
) -> Option<Prepared> {
    let odd = |name: &[u8]| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        !name.iter().all(plain)
    };
    let mut head = HeadMut::new(&mut x.request, connection.client.input.kept());
    match proxy.header_names {
        HeaderNames::Preserve => {}
        HeaderNames::Delete => {
            head.remove_if(|name, _| odd(name));
        }
        HeaderNames::Reject if head.as_ref().fields().any(|(name, _)| odd(name)) => {
            x.trace.end_with(b'P', b'R');
            connection.count_denied(x.trace.backend);
            connection.count_tracked(Event::HttpError);
            return Some(Prepared::Answer(Answer::Page(403)));
        }
        HeaderNames::Reject => {}
    }
    None
}

/// `option forwardfor` and `option originalto`.
fn add_addresses(
    connection: &Connection,
    x: &mut Exchange,
    frontend: &ProxyConfig,
    backend: &ProxyConfig,
) {
    let source = connection.addresses().source;
    let options = [&backend.forward_for, &frontend.forward_for];
    add_address(connection, x, source, options);
    let destination = connection.addresses().destination;
    let options = [&backend.original_to, &frontend.original_to];
    add_address(connection, x, destination, options);
}

/// One more line with an address, unless the backend or the frontend excepts it.
fn add_address(
    connection: &Connection,
    x: &mut Exchange,
    of: SocketAddr,
    both: [&Option<ForwardFor>; 2],
) {
    let mut options = both.into_iter().flatten();
    let Some(first) = options.next() else {
        return;
    };
    let address = of.ip();
    let excepted = |option: &ForwardFor| option.except.iter().any(|net| net.contains(&address));
    if is_unix(of) || both.into_iter().flatten().any(excepted) {
        return;
    }
    let mut head = HeadMut::new(&mut x.request, connection.client.input.kept());
    let name = first.header.as_bytes();
    // One of them that says so always is enough.
    let only_if_none = both.into_iter().flatten().all(|option| option.if_none);
    if only_if_none && head.as_ref().value(name).is_some() {
        return;
    }
    let mut text = [0u8; 64];
    let mut rest = text.as_mut_slice();
    let _ = std::io::Write::write_fmt(&mut rest, format_args!("{address}"));
    let left = rest.len();
    let len = text.len() - left;
    head.add(name, text.get(..len).unwrap_or_default());
}
