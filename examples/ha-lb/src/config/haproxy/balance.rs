//! `balance`, `hash-type`, `http-reuse` and `retry-on`: how a backend chooses a server and a connection
//! (configuration manual §4.2).

use lb_core::{
    balance::{Algorithm, HashConfig, HashFunction, HashKey, HashLayout, UriKey},
    config::{BackendConfig, HttpReuse, RetryEvent, RetryOn},
    expr::{Definitions, Written},
};

use super::{
    args::{Arg, Args, Parsed},
    value,
};

/// `balance <algorithm>`; `awaits_body` is set where the key may be in what a request posts.
pub(super) fn algorithm(
    args: &mut Args<'_>,
    backend: &mut BackendConfig,
    awaits_body: &mut bool,
) -> Parsed<()> {
    const EXPECTED: &str = "roundrobin, static-rr, leastconn, source, first, random, uri, url_param, hdr(<name>), \
        rdp-cookie or hash";
    let Some(arg) = args.take() else {
        // As for HAProxy; older guides have it so.
        backend.balance = Algorithm::RoundRobin;
        backend.hash.key = None;
        return Ok(());
    };
    let (word, inner) = match arg.text.strip_suffix(')').and_then(|t| t.split_once('(')) {
        Some((word, inner)) => (word, Some(inner)),
        None => (arg.text, None),
    };
    let (algorithm, key) = match (word, inner) {
        ("roundrobin", None) => (Algorithm::RoundRobin, None),
        ("static-rr", None) => (Algorithm::StaticRr, None),
        ("leastconn", None) => (Algorithm::LeastConn, None),
        ("source", None) => (Algorithm::Source, None),
        ("first", None) => (Algorithm::First, None),
        ("random", None) => (Algorithm::Random(2), None),
        ("random", Some(draws)) => match draws.parse() {
            Ok(draws @ 1..) => (Algorithm::Random(draws), None),
            _ => return Err(arg.refuse("not a number of draws", "random(<draws>)")),
        },
        ("uri", None) => (Algorithm::Uri, Some(HashKey::Uri(uri(args)?))),
        ("url_param", None) => {
            let key = url_param(args, awaits_body)?;
            (Algorithm::UrlParam, Some(key))
        }
        ("hdr", Some(name)) if !name.is_empty() => {
            let key = key(&arg, &format!("req.hdr({name},1)"))?;
            let domain = args.skip("use_domain_only");
            let key = if domain {
                HashKey::Domain(key)
            } else {
                HashKey::Header(key)
            };
            (Algorithm::Header, Some(key))
        }
        ("rdp-cookie", name) => {
            let name = name.unwrap_or("mstshash");
            let key = key(&arg, &format!("req.rdp_cookie({name})"))?;
            (Algorithm::RdpCookie, Some(HashKey::Value(key)))
        }
        ("hash", None) => {
            let expression = args.need("balance hash", "an expression")?;
            let key = key(&expression, expression.text)?;
            (Algorithm::Hash, Some(HashKey::Value(key)))
        }
        _ => return Err(arg.refuse("unknown balancing algorithm", EXPECTED)),
    };
    backend.balance = algorithm;
    backend.hash.key = key;
    args.end("balance")
}

/// The words behind `balance uri`.
fn uri(args: &mut Args<'_>) -> Parsed<UriKey> {
    let mut key = UriKey::default();
    while let Some(word) = args.take() {
        let number = |args: &mut Args<'_>| -> Parsed<Option<usize>> {
            let arg = args.need(word.text, "a number")?;
            let number = value::number(&arg, word.text, 1, u32::MAX)?;
            Ok(Some(number as usize))
        };
        match word.text {
            "whole" => key.whole = true,
            "path-only" => key.path_only = true,
            "len" => key.len = number(args)?,
            "depth" => key.depth = number(args)?,
            _ => {
                let expected = "len <n>, depth <n>, whole or path-only";
                return Err(word.refuse("unknown word behind 'balance uri'", expected));
            }
        }
    }
    Ok(key)
}

/// The words behind `balance url_param`.
fn url_param(args: &mut Args<'_>, awaits_body: &mut bool) -> Parsed<HashKey> {
    let name = args.need("balance url_param", "the name of a parameter")?;
    if let Some(word) = args.take() {
        if word.text != "check_post" {
            return Err(word.refuse("unknown word behind 'balance url_param'", "check_post"));
        }
        // Obsolete number of bytes to wait for.
        args.take();
        *awaits_body = true;
    }
    Ok(HashKey::Parameter(name.text.as_bytes().into()))
}

fn key(arg: &Arg<'_>, text: &str) -> Parsed<Written> {
    Written::parse(text, &Definitions::default())
        .map_err(|error| arg.refuse(error.message, "the key to balance by"))
}

/// `http-reuse <way>`.
pub(super) fn reuse(args: &mut Args<'_>) -> Parsed<HttpReuse> {
    const EXPECTED: &str = "never, safe, aggressive or always";
    let arg = args.need("http-reuse", EXPECTED)?;
    Ok(match arg.text {
        "never" => HttpReuse::Never,
        "safe" => HttpReuse::Safe,
        "aggressive" => HttpReuse::Aggressive,
        "always" => HttpReuse::Always,
        _ => return Err(arg.refuse("unknown way of reuse", EXPECTED)),
    })
}

/// `hash-type <method> [<function>] [<modifier>]`.
pub(super) fn hash_type(args: &mut Args<'_>, hash: &mut HashConfig) -> Parsed<()> {
    const EXPECTED: &str = "map-based, consistent or maglev";
    let arg = args.need("hash-type", EXPECTED)?;
    hash.layout = match arg.text {
        "map-based" => HashLayout::Map,
        "consistent" => HashLayout::Ring,
        "maglev" => HashLayout::Maglev,
        _ => return Err(arg.refuse("unknown hash type", EXPECTED)),
    };
    // Without a function the keys of a ring are scattered, and those of Maglev's table.
    let Some(function) = args.take() else {
        hash.function = HashFunction::Sdbm;
        hash.avalanche = hash.layout != HashLayout::Map;
        return Ok(());
    };
    hash.function = match function.text {
        "sdbm" => HashFunction::Sdbm,
        "djb2" => HashFunction::Djb2,
        "crc32" => HashFunction::Crc32,
        "wt6" => HashFunction::Wt6,
        _ => return Err(function.refuse("unknown hash", "sdbm, djb2, wt6 or crc32")),
    };
    hash.avalanche = args.skip("avalanche");
    args.end("hash-type")
}

/// `hash-balance-factor <percent>`.
pub(super) fn balance_factor(args: &mut Args<'_>, hash: &mut HashConfig) -> Parsed<()> {
    const EXPECTED: &str = "0, or more than 100";
    let arg = args.need("hash-balance-factor", EXPECTED)?;
    hash.balance_factor = value::number(&arg, "hash-balance-factor", 0, i32::MAX.unsigned_abs())?;
    if (1..=100).contains(&hash.balance_factor) {
        return Err(arg.refuse("a server may have more than the average", EXPECTED));
    }
    args.end("hash-balance-factor")
}

/// `retry-on <event> ...`.
pub(super) fn retry_on(args: &mut Args<'_>) -> Parsed<RetryOn> {
    const EXPECTED: &str = "none, conn-failure, empty-response, junk-response, response-timeout, 0rtt-rejected, \
        all-retryable-errors or one of 401, 403, 404, 408, 425, 500, 501, 502, 503, 504";
    let mut chosen = RetryOn::NONE;
    let mut arg = args.need("retry-on", EXPECTED)?;
    if arg.text == "none" {
        args.end("retry-on none")?;
        return Ok(chosen);
    }
    loop {
        chosen = match arg.text {
            "conn-failure" => chosen.with(RetryEvent::NoConnection),
            "empty-response" => chosen.with(RetryEvent::Empty),
            "junk-response" => chosen.with(RetryEvent::Junk),
            "response-timeout" => chosen.with(RetryEvent::Timeout),
            // No early data is sent.
            "0rtt-rejected" => chosen,
            "all-retryable-errors" => RetryOn::all(),
            text => {
                let known = RetryEvent::STATUSES.into_iter();
                match { known }.find(|status| status.to_string() == text) {
                    Some(status) => chosen.with(RetryEvent::Status(status)),
                    None => return Err(arg.refuse("no failure to try again after", EXPECTED)),
                }
            }
        };
        match args.take() {
            Some(next) => arg = next,
            None => return Ok(chosen),
        }
    }
}
