//! Reading the words of actions, except those that make answers.

use std::sync::Arc;

use regex::bytes::Regex;

use super::{
    Action, AddressPart, HeaderEdit, Kind, Span, TargetEdit, Track,
    edit::token,
    table::{Context, Place},
};
use crate::{
    expr::{
        Expr, PatternFile, Type,
        args::regex,
        matcher::{Matcher, Method},
    },
    log::LogFormat,
    request::LogLevel,
    rules::{
        RuleError, RuleWarning, Service,
        words::{Words, duration, size},
    },
    stick_table::{Event, Level},
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

fn pattern(words: &mut Words<'_>) -> Result<Regex, RuleError> {
    let at = words.at();
    regex(words.required("a regular expression")?, false).map_err(|e| e.shifted(at))
}

pub(super) fn silent_drop(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    if words.peek() == Some("rst-ttl") {
        words.argument();
        words.number::<u8>("a TTL")?;
    }
    Ok(Action::SilentDrop)
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

pub(super) fn auth(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let mut realm = None;
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

pub(super) fn set_header(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let name = header_name(words)?;
    Ok(Action::Header(HeaderEdit::Set(
        name,
        format(words, context, "a value")?,
    )))
}

pub(super) fn add_header(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let name = header_name(words)?;
    Ok(Action::Header(HeaderEdit::Add(
        name,
        format(words, context, "a value")?,
    )))
}

pub(super) fn del_header(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let at = words.at();
    let pattern = words.required("a header name")?.to_string();
    let mut method = Method::Str;
    if words.peek() == Some("-m") {
        words.argument();
        let name = words.required("a matching method")?;
        method = match name {
            "str" => Method::Str,
            "beg" => Method::Beg,
            "end" => Method::End,
            "sub" => Method::Sub,
            "reg" => Method::Reg,
            other => {
                return Err(words
                    .wrong(format!("'{other}' cannot match header names"))
                    .expecting("str, beg, end, sub or reg"));
            }
        };
    }
    // Names compare without case (RFC 9110 §5.1).
    let matcher = Matcher::new(method, &[(at, pattern)], true)?;
    Ok(Action::Header(HeaderEdit::Delete(Box::new(matcher))))
}

pub(super) fn replace_header(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let (name, regex) = (header_name(words)?, pattern(words)?);
    let with = format(words, context, "a replacement")?;
    Ok(Action::Header(HeaderEdit::ReplaceHeader(name, regex, with)))
}

pub(super) fn replace_value(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let (name, regex) = (header_name(words)?, pattern(words)?);
    let with = format(words, context, "a replacement")?;
    Ok(Action::Header(HeaderEdit::ReplaceValue(name, regex, with)))
}

pub(super) fn set_path(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::Target(TargetEdit::SetPath(format(
        words, context, "a path",
    )?)))
}

pub(super) fn set_pathq(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::Target(TargetEdit::SetPathQuery(format(
        words,
        context,
        "a path and query",
    )?)))
}

pub(super) fn set_query(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::Target(TargetEdit::SetQuery(format(
        words, context, "a query",
    )?)))
}

pub(super) fn set_uri(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::Target(TargetEdit::SetUri(format(
        words,
        context,
        "a request target",
    )?)))
}

pub(super) fn replace_path(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let regex = pattern(words)?;
    Ok(Action::Target(TargetEdit::ReplacePath(
        regex,
        format(words, context, "a replacement")?,
    )))
}

pub(super) fn replace_pathq(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let regex = pattern(words)?;
    Ok(Action::Target(TargetEdit::ReplacePathQuery(
        regex,
        format(words, context, "a replacement")?,
    )))
}

pub(super) fn replace_uri(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let regex = pattern(words)?;
    Ok(Action::Target(TargetEdit::ReplaceUri(
        regex,
        format(words, context, "a replacement")?,
    )))
}

pub(super) fn set_method(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::SetMethod(format(words, context, "a method")?))
}

pub(super) fn set_status(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let status: u16 = words.number("a status")?;
    if !(100..=999).contains(&status) {
        return Err(words
            .wrong(format!("'{status}' is no status"))
            .expecting("100 to 999"));
    }
    let mut reason = None;
    if words.peek() == Some("reason") {
        words.argument();
        reason = Some(Arc::from(words.required("a reason")?));
    }
    Ok(Action::SetStatus(status, reason))
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

pub(super) fn capture(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let expr = Box::new(expression(words, context)?);
    let slots = match context.place {
        Place::HttpResponse | Place::HttpAfterResponse => &mut context.slots.1,
        _ => &mut context.slots.0,
    };
    match words.argument() {
        Some("len") => {
            let length = words.number("a length")?;
            let slot = *slots;
            *slots += 1;
            Ok(Action::Capture(expr, slot, length))
        }
        Some("id") => {
            let slot = words.number("a capture index")?;
            let lengths = match context.place {
                Place::HttpResponse | Place::HttpAfterResponse => &context.lengths.1,
                _ => &context.lengths.0,
            };
            let length = lengths.get(slot).copied().unwrap_or(usize::MAX);
            Ok(Action::Capture(expr, slot, length))
        }
        _ => Err(
            RuleError::new(words.at(), "missing 'len' or 'id' of the capture")
                .expecting("len N or id N"),
        ),
    }
}

pub(super) fn track(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let counter = match words.last().unwrap_or_default() {
        "track-sc0" => 0,
        "track-sc1" => 1,
        _ => 2,
    };
    let at = words.at();
    let key = expression(words, context)?;
    let table = table_of(words, context, at, &key)?;
    Ok(Action::Track(Box::new(Track {
        counter,
        level: match context.place {
            Place::TcpConnection | Place::TcpSession => Level::Connection,
            _ => Level::Stream,
        },
        request: context.place == Place::HttpRequest,
        key,
        table,
    })))
}

/// `[table T]` behind the key at word `at`; without it the table of the proxy where the rule stands.
pub(in crate::rules) fn table_of(
    words: &mut Words<'_>,
    context: &Context<'_>,
    at: usize,
    key: &Expr,
) -> Result<Option<Arc<str>>, RuleError> {
    let definitions = context.site.definitions;
    let mut name = definitions.proxy.clone();
    let mut named_at = at;
    if words.peek() == Some("table") {
        words.argument();
        named_at = words.at();
        name = Some(words.required("the name of a table")?.into());
    }
    let (Some(proxies), Some(table)) = (&definitions.proxies, &name) else {
        return Ok(name);
    };
    let Some(keys) = proxies.get(table).and_then(|proxy| proxy.table) else {
        let message = format!("unable to find table '{table}'");
        return Err(RuleError::new(named_at, message).expecting("a proxy with a stick-table"));
    };
    if !key.result().casts_to(keys.value_type()) {
        let (found, wanted) = (key.result().name(), keys.value_type().name());
        let message = format!("{found} cannot be a key of table '{table}'");
        return Err(RuleError::new(at, message).expecting(format!("a value of type {wanted}")));
    }
    Ok(name)
}

/// The counter's number in `sc-inc-gpc0(N)`.
fn counter_in(words: &Words<'_>) -> Result<usize, RuleError> {
    let word = words.last().unwrap_or_default();
    let inside = word.split_once('(').and_then(|(_, r)| r.strip_suffix(')'));
    let number = inside.and_then(|text| text.trim().parse().ok());
    number.filter(|number| *number < 3).ok_or_else(|| {
        words
            .wrong(format!("'{word}' misses the number of its counter"))
            .expecting("0, 1 or 2 in parentheses")
    })
}

pub(super) fn increment_gpc0(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    Ok(Action::Increment(counter_in(words)?, Event::Gpc0))
}

pub(super) fn increment_gpc1(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    Ok(Action::Increment(counter_in(words)?, Event::Gpc1))
}

pub(super) fn set_gpt0(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let counter = counter_in(words)?;
    let number: Option<u32> = words.peek().and_then(|word| word.parse().ok());
    let value = match number {
        Some(number) => {
            words.argument();
            Expr::parse(&format!("int({number})"), context.site.definitions)?
        }
        None => expression(words, context)?,
    };
    Ok(Action::SetTag(counter, Box::new(value)))
}

/// The file in `set-map(FILE)`, which was read already.
fn map_in(words: &Words<'_>, context: &Context<'_>) -> Result<Arc<PatternFile>, RuleError> {
    let word = words.last().unwrap_or_default();
    let inside = word.split_once('(').and_then(|(_, r)| r.strip_suffix(')'));
    let file = inside.and_then(|name| context.site.definitions.files.named(name));
    file.ok_or_else(|| {
        words
            .wrong(format!("'{word}' misses the file of its map"))
            .expecting("a file in parentheses")
    })
}

pub(super) fn set_map(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let file = map_in(words, context)?;
    let key = format(words, context, "a key")?;
    let value = format(words, context, "a value")?;
    Ok(Action::SetMap(file, key, value))
}

pub(super) fn delete_from_map(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let file = map_in(words, context)?;
    Ok(Action::DeleteFromMap(
        file,
        format(words, context, "a key")?,
    ))
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

pub(super) fn strict_mode(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    match words.required("'on' or 'off'")? {
        "on" | "off" => Ok(Action::Nothing),
        other => Err(words
            .wrong(format!("'{other}' is no switch"))
            .expecting("'on' or 'off'")),
    }
}
