//! `cookie`, `stick-table` and `stick` (configuration manual §4.2).

use std::time::Duration;

use lb_core::config::{CookieConfig, StickTableConfig, StoreKind, TableKey};

use super::{
    args::{Arg, Args, Context, Parsed},
    value::{self, Unit},
};

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
            _ => {
                return Err(word.refuse(
                    "this word behind 'cookie' is not supported",
                    "insert, rewrite, prefix, indirect, nocache, postonly, preserve, httponly, secure or domain",
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

/// `stick-table type <type> [len <n>] size <size> [expire <time>] [nopurge] [store <column>,...]`.
pub(super) fn stick_table(
    args: &mut Args<'_>,
    context: &mut Context<'_>,
) -> Parsed<StickTableConfig> {
    let mut key = None;
    let mut size = None;
    let mut table = StickTableConfig {
        key: TableKey::Ip,
        size: 0,
        expire: None,
        nopurge: false,
        store: Vec::new(),
    };
    while let Some(word) = args.take() {
        match word.text {
            "type" => key = Some(table_key(args)?),
            "size" => {
                let arg = args.need("size", "a number of entries")?;
                size = Some(value::size(&arg, "size")?);
            }
            "expire" => {
                let arg = args.need("expire", "a time")?;
                table.expire = Some(value::lenient_time(
                    &arg,
                    "expire",
                    Unit::Milliseconds,
                    context,
                )?);
            }
            "nopurge" => table.nopurge = true,
            "peers" | "write-to" => {
                args.need(word.text, "a name")?;
                context.warn(
                    word.span,
                    format!("'{}' of a stick-table is ignored", word.text),
                    "the table is not shared with other hosts",
                );
            }
            "srvkey" => drop(args.need("srvkey", "addr or name")?),
            "store" => {
                let arg = args.need("store", "columns")?;
                for column in split_columns(arg.text) {
                    table.store.push(column_kind(&arg, column)?);
                }
            }
            _ => {
                return Err(word.refuse(
                    "unknown word behind 'stick-table'",
                    "type, size, expire, nopurge, peers or store",
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

fn column_kind(arg: &Arg<'_>, column: &str) -> Parsed<StoreKind> {
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
