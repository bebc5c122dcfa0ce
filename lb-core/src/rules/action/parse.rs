//! Reading the words of actions, except those that make answers.

pub(super) mod heads;
pub(in crate::rules) mod tables;

use std::sync::Arc;

use super::{
    Action, AddressPart, Kind, PriorityPart, Span,
    edit::token,
    spec::{Context, Place},
};
use crate::{
    cache::Cache,
    expr::{Expr, Type},
    log::LogFormat,
    request::LogLevel,
    rules::{
        ProxySide, RuleError, RuleWarning, Service,
        words::{Words, duration, size},
    },
};

type Read = Result<Action, RuleError>;

/// The next word as a log format, checked against the place of the rule.
pub(super) fn format(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    what: &str,
) -> Result<LogFormat, RuleError> {
    let at = words.at();
    let text = words.required(what)?;
    format_of(text, at, context)
}

/// `text`, the word at `at`, as a log format.
pub(super) fn format_of(
    text: &str,
    at: usize,
    context: &mut Context<'_>,
) -> Result<LogFormat, RuleError> {
    let format = LogFormat::value(text, context.site.definitions).map_err(|e| e.shifted(at))?;
    if let Some(fetch) = format.unmet_at(context.site.stage) {
        let place = context.place.name();
        context.warnings.push(RuleWarning {
            word: at,
            message: format!("'{fetch}' is not available in '{place}' and gives nothing"),
        });
    }
    Ok(format)
}

pub(in crate::rules) fn expression(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
) -> Result<Expr, RuleError> {
    let at = words.at();
    let text = words.required("an expression")?;
    let expr = Expr::parse(text, context.site.definitions).map_err(|e| e.shifted(at))?;
    if !expr.needs().met_at(context.site.stage) {
        let place = context.place.name();
        let fetch = expr.fetch_name();
        context.warnings.push(RuleWarning {
            word: at,
            message: format!("'{fetch}' is not available in '{place}' and gives nothing"),
        });
    }
    Ok(expr)
}

/// A header name, in lower case as it is sent.
pub(super) fn header_name(words: &mut Words<'_>) -> Result<Box<[u8]>, RuleError> {
    let name = words.required("a header name")?;
    if !token(name.as_bytes()) {
        return Err(words
            .wrong(format!("'{name}' is no header name"))
            .expecting("letters, digits and !#$%&'*+-.^_`|~"));
    }
    Ok(name.to_ascii_lowercase().into_bytes().into())
}

/// The cache of the next word.
fn cache(words: &mut Words<'_>, context: &Context<'_>) -> Result<Arc<Cache>, RuleError> {
    let at = words.at();
    let name = words.required("the name of a cache")?;
    let caches = &context.site.definitions.caches;
    caches.get(name).cloned().ok_or_else(|| {
        RuleError::new(
            0,
            format!("unable to find the cache '{name}' referenced by the filter 'cache'"),
        )
        .expecting("the name of a cache section")
        .shifted(at)
    })
}

pub(super) fn cache_use(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::CacheUse(cache(words, context)?))
}

pub(super) fn cache_store(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::CacheStore(cache(words, context)?))
}

pub(super) fn expect_proxy(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    match words.required("'layer4'")? {
        "layer4" => Ok(Action::ExpectProxy),
        other => Err(words
            .wrong(format!("'{other}' is no layer that is known"))
            .expecting("'layer4'")),
    }
}

pub(super) fn silent_drop(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let mut hops = 1;
    if words.peek() == Some("rst-ttl") {
        words.argument();
        let at = words.at();
        hops = words.number::<u8>("a TTL")?;
        if hops == 0 {
            return Err(
                RuleError::new(at, "a packet without a hop is never sent").expecting("1 to 255")
            );
        }
    }
    Ok(Action::SilentDrop(hops))
}

pub(super) fn use_service(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let at = words.at();
    match words.required("a service")? {
        "prometheus-exporter" => Ok(Action::Serve(Service::PrometheusExporter)),
        other => Err(RuleError::new(0, format!("there is no service '{other}'"))
            .expecting("prometheus-exporter")
            .shifted(at)),
    }
}

pub(super) fn auth(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    // Without one it is the name of the proxy where the rule stands.
    let mut realm = context.site.definitions.proxy.clone();
    if words.peek() == Some("realm") {
        words.argument();
        let text = words.required("a realm")?;
        if text.contains(['"', '\r', '\n', '\\']) {
            return Err(words
                .wrong(format!("'{text}' cannot be a realm"))
                .expecting("no quotes or backslashes"));
        }
        realm = Some(Arc::from(text));
    }
    Ok(Action::Auth(realm))
}

pub(super) fn set_timeout(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let definitions = context.site.definitions;
    let own = definitions.proxy.as_ref().zip(definitions.proxies.as_ref());
    let own = own.and_then(|(name, proxies)| proxies.get(name));
    if own.is_some_and(|proxy| proxy.servers.is_none()) {
        return Err(RuleError::new(0, "a frontend has no servers to wait for")
            .expecting("'set-timeout' in a backend"));
    }
    let which = match words.required("'server' or 'tunnel'")? {
        "server" => Kind::Server,
        "tunnel" => Kind::Tunnel,
        other => {
            return Err(words
                .wrong(format!("this timeout cannot be set: '{other}'"))
                .expecting("server or tunnel"));
        }
    };
    let fixed = words.peek().and_then(duration);
    let span = match fixed {
        Some(fixed) if fixed.is_zero() => {
            return Err(RuleError::new(words.at(), "a timeout of 0 is none")
                .expecting("a time of 1 ms or more, or an expression"));
        }
        Some(fixed) => {
            words.argument();
            Span::Fixed(fixed)
        }
        None => {
            let at = words.at();
            let expr = expression(words, context)?;
            if !expr.result().casts_to(Type::Int) {
                let message = format!("{} is no number of milliseconds", expr.result().name());
                return Err(RuleError::new(at, message).expecting("a time or an integer"));
            }
            Span::Found(Box::new(expr))
        }
    };
    Ok(Action::SetTimeout(which, span))
}

pub(super) fn set_log_level(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let name = words.required("a level")?;
    let names = [
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
    ];
    let level = match names.iter().zip(0_u8..).find(|(n, _)| **n == name) {
        Some((_, number)) => LogLevel::Level(number),
        None if name == "silent" => LogLevel::Silent,
        None => {
            return Err(words
                .wrong(format!("unknown log level '{name}'"))
                .expecting("emerg, alert, crit, err, warning, notice, info, debug or silent"));
        }
    };
    Ok(Action::SetLogLevel(level))
}

/// `capture EXPRESSION len N|id N`: in a slot of its own, or in one that the frontend has. Which of both may be said
/// depends on the place, as with HAProxy.
pub(super) fn capture(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let expr = Box::new(expression(words, context)?);
    let of_backend = context.side == ProxySide::Backend;
    let (makes_slots, names_slots) = match context.place {
        Place::HttpResponse | Place::HttpAfterResponse => (false, true),
        Place::TcpContent => (!of_backend, false),
        _ => (!of_backend, true),
    };
    let expected = match (makes_slots, names_slots) {
        (true, true) => "len N or id N",
        (true, false) => "len N",
        (false, true) => "id N, a slot that the frontend declares",
        (false, false) => "it in a frontend, which has slots",
    };
    match words.argument() {
        Some("len") if makes_slots => {
            let length = words.number("a length")?;
            let slot = context.slots.0;
            context.slots.0 += 1;
            Ok(Action::Capture(expr, slot, Some(length)))
        }
        Some("id") if names_slots => {
            let slot = words.number("a capture index")?;
            Ok(Action::Capture(expr, slot, None))
        }
        Some(word @ ("len" | "id")) => {
            let place = context.place.name();
            let message = format!("'{place} capture' takes no '{word}' here");
            Err(words.wrong(message).expecting(expected))
        }
        _ => {
            let message = "missing 'len' or 'id' of the capture";
            Err(RuleError::new(words.at(), message).expecting(expected))
        }
    }
}

pub(super) fn set_address(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let part = match words.last().unwrap_or_default() {
        "set-src" => AddressPart::Source,
        "set-src-port" => AddressPart::SourcePort,
        "set-dst" => AddressPart::Destination,
        _ => AddressPart::DestinationPort,
    };
    Ok(Action::SetAddress(
        part,
        Box::new(expression(words, context)?),
    ))
}

/// `switch-mode http [proto h1|h2]`.
pub(super) fn switch_mode(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let mode = words.required("a mode")?;
    if mode != "http" {
        let message = format!("'{mode}' is no mode to go over to");
        return Err(words.wrong(message).expecting("http"));
    }
    if words.peek() == Some("proto") {
        words.argument();
        // Either is told from the other by what the client sends first.
        let name = words.required("a protocol")?;
        if !matches!(name, "h1" | "h2") {
            let message = format!("unknown protocol '{name}'");
            return Err(words.wrong(message).expecting("h1 or h2"));
        }
    }
    Ok(Action::SwitchMode)
}

/// `wait-for-body time T [at-least BYTES]`.
pub(super) fn wait_for_body(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let (mut time, mut at_least) = (None, 0);
    while let Some(word) = words.argument() {
        match word {
            "time" => {
                let text = words.required("a time")?;
                let read = duration(text).ok_or_else(|| {
                    words
                        .wrong(format!("'{text}' is no time"))
                        .expecting("a number with us, ms, s, m, h or d")
                })?;
                time = Some(read);
            }
            "at-least" => {
                let text = words.required("a size")?;
                at_least = size(text).ok_or_else(|| {
                    words
                        .wrong(format!("'{text}' is no size"))
                        .expecting("a number of bytes, k, m or g behind it")
                })?;
            }
            other => {
                return Err(words
                    .wrong(format!("unknown word '{other}'"))
                    .expecting("time or at-least"));
            }
        }
    }
    match time {
        Some(time) => Ok(Action::WaitForBody(time, at_least)),
        None => Err(
            RuleError::new(words.at(), "missing 'time' of 'wait-for-body'")
                .expecting("time and how long"),
        ),
    }
}

pub(super) fn set_priority(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let part = match words.last().unwrap_or_default() {
        "set-priority-class" => PriorityPart::Class,
        _ => PriorityPart::Offset,
    };
    Ok(Action::SetPriority(
        part,
        Box::new(expression(words, context)?),
    ))
}

/// `set-tos N`: decimal, `0x` and hexadecimal, or `0` and octal digits.
pub(super) fn set_tos(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let text = words.required("a type of service")?;
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let number = match (digits, text.strip_prefix('0')) {
        (Some(digits), _) => u8::from_str_radix(digits, 16),
        (None, Some(digits)) if !digits.is_empty() => u8::from_str_radix(digits, 8),
        _ => text.parse(),
    };
    number.map(Action::SetTos).map_err(|_| {
        let message = format!("'{text}' is no type of service");
        words.wrong(message).expecting("0 to 255, or 0x00 to 0xff")
    })
}

/// `set-nice N`.
pub(super) fn set_nice(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let nice: i32 = words.number("a nice factor")?;
    if !(-1024..=1024).contains(&nice) {
        let message = format!("'{nice}' is no nice factor");
        return Err(words.wrong(message).expecting("-1024 to 1024"));
    }
    Ok(Action::Nothing)
}

/// `early-hint NAME FMT`.
pub(super) fn early_hint(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let name = header_name(words)?;
    Ok(Action::Hint(name, format(words, context, "a value")?))
}

pub(super) fn strict_mode(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    match words.required("'on' or 'off'")? {
        "on" => Ok(Action::StrictMode(true)),
        "off" => Ok(Action::StrictMode(false)),
        other => Err(words
            .wrong(format!("'{other}' is no switch"))
            .expecting("'on' or 'off'")),
    }
}
