//! `cookie`, `stick-table` and `stick` (configuration manual §4.2).

use std::time::Duration;

use lb_core::{
    config::{CookieConfig, ServerIdentity, StickTableConfig, StoreKind, TableKey},
    expr::{Definitions, Written},
};

use super::{
    args::{Arg, Args, Context, Parsed},
    value::{self, Unit},
};

/// `persist rdp-cookie[(<name>)]`.
pub(super) fn rdp_cookie(args: &mut Args<'_>) -> Parsed<Written> {
    const EXPECTED: &str = "rdp-cookie or rdp-cookie(<name>)";
    let arg = args.need("persist", EXPECTED)?;
    let Some(name) = arg.text.strip_prefix("rdp-cookie") else {
        return Err(arg.refuse("unknown persist method.", EXPECTED));
    };
    let name = match name {
        "" => Some("msts"),
        name => name
            .strip_prefix('(')
            .and_then(|name| name.strip_suffix(')'))
            .filter(|name| !name.is_empty()),
    };
    let expression = name.map(|name| format!("req.rdp_cookie({name})"));
    let expression = expression.and_then(|e| Written::parse(&e, &Definitions::default()).ok());
    expression.ok_or_else(|| {
        arg.refuse(
            "persist rdp-cookie(name)' requires an rdp cookie name.",
            EXPECTED,
        )
    })
}

/// `cookie <name> [insert|rewrite|prefix] [indirect] [nocache] ...`.
pub(super) fn cookie(args: &mut Args<'_>) -> Parsed<CookieConfig> {
    let name = args.need("cookie", "the cookie's name")?;
    let mut cookie = CookieConfig {
        name: name.text.to_owned(),
        ..CookieConfig::default()
    };
    while let Some(word) = args.take() {
        match word.text {
            "insert" => cookie.insert = true,
            "rewrite" => cookie.rewrite = true,
            "prefix" => cookie.prefix = true,
            "indirect" => cookie.indirect = true,
            "nocache" => cookie.nocache = true,
            "postonly" => cookie.postonly = true,
            "preserve" => cookie.preserve = true,
            "httponly" => cookie.httponly = true,
            "secure" => cookie.secure = true,
            "domain" => {
                let domain = args.need("domain", "a domain")?;
                cookie.domains.push(domain.text.to_owned());
            }
            "dynamic" => cookie.dynamic = true,
            "attr" => {
                let attribute = args.need("attr", "an attribute")?;
                if attribute
                    .text
                    .contains(|c: char| c.is_control() || c == ';')
                {
                    return Err(
                        attribute.refuse("this is no attribute", "no control character and no `;`")
                    );
                }
                cookie.attributes.push(attribute.text.to_owned());
            }
            "maxidle" => cookie.max_idle = Some(seconds(args, "maxidle")?),
            "maxlife" => cookie.max_life = Some(seconds(args, "maxlife")?),
            _ => {
                return Err(word.refuse(
                    "this word behind 'cookie' is not supported",
                    "insert, rewrite, prefix, indirect, nocache, postonly, preserve, httponly, secure, domain, attr, \
                     maxidle, maxlife or dynamic",
                ));
            }
        }
    }
    let ways = [cookie.insert, cookie.rewrite, cookie.prefix];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return Err(name.refuse(
            "a cookie is inserted, rewritten or prefixed",
            "one of insert, rewrite and prefix",
        ));
    }
    Ok(cookie)
}

/// A time of whole seconds.
fn seconds(args: &mut Args<'_>, of: &str) -> Parsed<Duration> {
    let arg = args.need(of, "a time")?;
    value::time(&arg, of, Unit::Seconds)
}

/// `stick-table type <type> [len <n>] size <size> [expire <time>] [nopurge] [store <column>,...]`.
pub(super) fn stick_table(
    args: &mut Args<'_>,
    context: &mut Context<'_>,
) -> Parsed<StickTableConfig> {
    let mut key = None;
    let mut size = None;
    let mut table = StickTableConfig::new(TableKey::Ip, 0);
    while let Some(word) = args.take() {
        match word.text {
            "type" => key = Some(table_key(args)?),
            "size" => {
                let arg = args.need("size", "a number of entries")?;
                // Without room it would remember nobody.
                size = Some(value::size(&arg, "size")?).filter(|size| *size > 0);
            }
            "expire" => {
                let arg = args.need("expire", "a time")?;
                let time = value::lenient_time(&arg, "expire", Unit::Milliseconds, context)?;
                // As without it, entries stay until their room is wanted.
                table.expire = Some(time).filter(|time| !time.is_zero());
            }
            "nopurge" => table.nopurge = true,
            "peers" => {
                let section = args.need("peers", "the name of a peers section")?;
                table.peers = Some(section.text.into());
            }
            "write-to" => {
                args.need(word.text, "a name")?;
                let what = "'write-to' of a stick-table is ignored";
                context.warn(word.span, what, "nothing is written to the other table");
            }
            "srvkey" => {
                let by = args.need("srvkey", "addr or name")?;
                table.server_key = match by.text {
                    "name" => ServerIdentity::Name,
                    "addr" => ServerIdentity::Address,
                    _ => return Err(by.refuse("unknown srvkey type", "addr or name")),
                };
            }
            "store" => {
                let arg = args.need("store", "columns")?;
                for column in split_columns(arg.text) {
                    let kind = column_kind(&arg, column)?;
                    excluded(&arg, &table.store, kind)?;
                    table.store.push(kind);
                }
            }
            _ => {
                return Err(word.refuse(
                    "unknown word behind 'stick-table'",
                    "type, size, expire, nopurge, peers, srvkey or store",
                ));
            }
        }
    }
    let missing = |what: &str| {
        let line = args.line();
        let end = Arg {
            text: line.text(0),
            span: line.span(0),
        };
        end.refuse(
            format!("stick-table: missing {what}"),
            "type <type> size <size>",
        )
    };
    table.key = key.ok_or_else(|| missing("type"))?;
    table.size = size.ok_or_else(|| missing("size"))?;
    Ok(table)
}

fn table_key(args: &mut Args<'_>) -> Parsed<TableKey> {
    const TYPES: &str = "ip, ipv6, integer, string or binary";
    let arg = args.need("type", TYPES)?;
    let mut length = |default| {
        if args.skip("len") {
            let arg = args.need("len", "a number of bytes")?;
            return value::number(&arg, "len", 1, 65_535);
        }
        Ok(default)
    };
    Ok(match arg.text {
        "ip" => TableKey::Ip,
        "ipv6" => TableKey::Ipv6,
        "integer" => TableKey::Integer,
        "string" => TableKey::String(length(31)?),
        "binary" => TableKey::Binary(length(32)?),
        _ => return Err(arg.refuse("unknown table type", TYPES)),
    })
}

/// Columns are separated by commas outside parentheses.
fn split_columns(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

/// An array stands in place of the columns that are its first elements.
fn excluded(arg: &Arg<'_>, store: &[StoreKind], kind: StoreKind) -> Parsed<()> {
    use StoreKind as S;
    let array = |kind: &S| matches!(kind, S::Gpt(_) | S::Gpc(_) | S::GpcRate(..));
    let family = |kind: &S| match kind {
        S::Gpt0 | S::Gpt(_) => 1,
        S::Gpc0 | S::Gpc1 | S::Gpc(_) => 2,
        S::Gpc0Rate(_) | S::Gpc1Rate(_) | S::GpcRate(..) => 3,
        _ => 0,
    };
    let clash = |other: &S| {
        family(other) > 0 && family(other) == family(&kind) && (array(other) || array(&kind))
    };
    if store.iter().any(clash) {
        return Err(arg.refuse(
            "an array and the columns that it stands for, or two arrays, cannot be stored together",
            "gpc(2) instead of gpc0 and gpc1",
        ));
    }
    Ok(())
}

/// What `stick` lines store in a table.
pub(super) fn remembers_servers(table: &mut StickTableConfig) {
    for kind in [StoreKind::ServerId, StoreKind::ServerKey] {
        if !table.store.contains(&kind) {
            table.store.push(kind);
        }
    }
}

/// `gpc(n)`, `gpt(n)`, `gpc_rate(n,period)`.
fn array(arg: &Arg<'_>, column: &str) -> Option<Parsed<StoreKind>> {
    let (name, inside) = column.split_once('(')?;
    if !matches!(name, "gpc" | "gpt" | "gpc_rate") {
        return None;
    }
    let inside = inside.strip_suffix(')')?;
    let (length, period) = match inside.split_once(',') {
        Some((length, period)) => (length, Some(period)),
        None => (inside, None),
    };
    let part = |text| Arg {
        text,
        span: arg.span.clone(),
    };
    let length = match value::number(&part(length.trim()), name, 1, 100) {
        Ok(length) => u8::try_from(length).unwrap_or(u8::MAX),
        Err(finding) => return Some(Err(finding)),
    };
    Some(match (name, period) {
        ("gpc", None) => Ok(StoreKind::Gpc(length)),
        ("gpt", None) => Ok(StoreKind::Gpt(length)),
        ("gpc_rate", Some(period)) => value::time(&part(period.trim()), name, Unit::Milliseconds)
            .and_then(|period| match period.is_zero() {
                true => Err(unknown(arg, column)),
                false => Ok(StoreKind::GpcRate(length, period)),
            }),
        _ => Err(unknown(arg, column)),
    })
}

fn column_kind(arg: &Arg<'_>, column: &str) -> Parsed<StoreKind> {
    if let Some(array) = array(arg, column) {
        return array;
    }
    let (name, period) = match column.split_once('(') {
        Some((name, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(|| unknown(arg, column))?;
            let inner = Arg {
                text: inner,
                span: arg.span.clone(),
            };
            (name, Some(value::time(&inner, name, Unit::Milliseconds)?))
        }
        None => (column, None),
    };
    let counter = match name {
        "server_id" => Some(StoreKind::ServerId),
        "gpc0" => Some(StoreKind::Gpc0),
        "gpc1" => Some(StoreKind::Gpc1),
        "gpt0" => Some(StoreKind::Gpt0),
        "conn_cnt" => Some(StoreKind::ConnCnt),
        "conn_cur" => Some(StoreKind::ConnCur),
        "sess_cnt" => Some(StoreKind::SessCnt),
        "http_req_cnt" => Some(StoreKind::HttpReqCnt),
        "http_err_cnt" => Some(StoreKind::HttpErrCnt),
        "http_fail_cnt" => Some(StoreKind::HttpFailCnt),
        "bytes_in_cnt" => Some(StoreKind::BytesInCnt),
        "bytes_out_cnt" => Some(StoreKind::BytesOutCnt),
        _ => None,
    };
    let rate: Option<fn(Duration) -> StoreKind> = match name {
        "gpc0_rate" => Some(StoreKind::Gpc0Rate),
        "gpc1_rate" => Some(StoreKind::Gpc1Rate),
        "conn_rate" => Some(StoreKind::ConnRate),
        "sess_rate" => Some(StoreKind::SessRate),
        "http_req_rate" => Some(StoreKind::HttpReqRate),
        "http_err_rate" => Some(StoreKind::HttpErrRate),
        "http_fail_rate" => Some(StoreKind::HttpFailRate),
        "bytes_in_rate" => Some(StoreKind::BytesInRate),
        "bytes_out_rate" => Some(StoreKind::BytesOutRate),
        _ => None,
    };
    match (counter, rate, period) {
        (Some(kind), _, None) => Ok(kind),
        (_, Some(kind), Some(period)) if !period.is_zero() => Ok(kind(period)),
        (_, Some(_), _) => Err(arg.refuse(
            format!("column '{column}' needs a period"),
            format!("{name}(30s)"),
        )),
        _ => Err(unknown(arg, column)),
    }
}

fn unknown(arg: &Arg<'_>, column: &str) -> Box<crate::config::diagnostic::Diagnostic> {
    arg.refuse(
        format!("column '{column}' of a stick-table is not supported"),
        "server_id, gpc0, gpc0_rate(30s), conn_cur, http_req_rate(10s) and their kind",
    )
}

/// The header of `http-send-name-header`; none that frames or routes the message.
pub(super) fn name_header(arg: &Arg<'_>) -> Parsed<Box<str>> {
    const OWN: [&str; 8] = [
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = arg.text.to_ascii_lowercase();
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) || OWN.contains(&name.as_str()) {
        let message = format!("'{}' is no header for a server's name", arg.text);
        return Err(arg.refuse(message, "a header of its own, such as x-server"));
    }
    Ok(name.into())
}
