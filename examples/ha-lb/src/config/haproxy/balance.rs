//! `balance`, `hash-type`, `http-reuse` and `retry-on`: how a backend chooses a server and a connection
//! (configuration manual §4.2).

use lb_core::{balance::Algorithm, config::HttpReuse};

use super::args::{Args, Context, Parsed};

/// `balance <algorithm>`.
pub(super) fn algorithm(args: &mut Args<'_>) -> Parsed<Algorithm> {
    const EXPECTED: &str = "roundrobin, static-rr, leastconn, source, first or random";
    let arg = args.need("balance", EXPECTED)?;
    let algorithm = match arg.text {
        "roundrobin" => Algorithm::RoundRobin,
        "static-rr" => Algorithm::StaticRr,
        "leastconn" => Algorithm::LeastConn,
        "source" => Algorithm::Source,
        "first" => Algorithm::First,
        "random" => Algorithm::Random(2),
        text => {
            let draws = text
                .strip_prefix("random(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|draws| draws.parse().ok())
                .filter(|draws| *draws > 0);
            match draws {
                Some(draws) => Algorithm::Random(draws),
                None => {
                    let known = [
                        "uri",
                        "url_param",
                        "hash",
                        "rdp-cookie",
                        "log-hash",
                        "sticky",
                    ];
                    let message = if known.contains(&text)
                        || text.starts_with("hdr(")
                        || text.starts_with("rdp-cookie(")
                    {
                        "this balancing algorithm is not supported"
                    } else {
                        "unknown balancing algorithm"
                    };
                    return Err(arg.refuse(message, EXPECTED));
                }
            }
        }
    };
    args.end("balance")?;
    Ok(algorithm)
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

/// `hash-type map-based|consistent`.
pub(super) fn hash_type(args: &mut Args<'_>, context: &mut Context<'_>) -> Parsed<()> {
    let arg = args.need("hash-type", "map-based or consistent")?;
    match arg.text {
        "map-based" => Ok(()),
        "consistent" => {
            context.warn(
                arg.span,
                "'hash-type consistent' is ignored",
                "keys are laid over the servers as map-based, so that a lost server moves other keys too",
            );
            Ok(())
        }
        _ => Err(arg.refuse("unknown hash type", "map-based or consistent")),
    }
}

/// `retry-on <event> ...`.
pub(super) fn retry_on(args: &mut Args<'_>, context: &mut Context<'_>) {
    while let Some(arg) = args.take() {
        if arg.text != "conn-failure" {
            context.warn(
                arg.span,
                format!("'retry-on {}' is ignored", arg.text),
                "only failed connections are tried again",
            );
        }
    }
}
