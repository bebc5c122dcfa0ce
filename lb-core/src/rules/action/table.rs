//! The table of actions: name, where it may stand, usage, a sentence, and the function that reads its words.

use super::{
    Action, assign, normalize, parse, reply, resolve,
    spec::{ActionSpec, NOT_OFFERED, Place, Read},
};
use crate::{expr::parse::nearest, rules::RuleError};

const fn row(
    name: &'static str,
    places: &'static [Place],
    usage: &'static str,
    doc: &'static str,
    read: Read,
) -> ActionSpec {
    ActionSpec {
        name,
        places,
        usage,
        doc,
        read,
    }
}

use Place::{
    HttpAfterResponse as After, HttpRequest as Req, HttpResponse as Res, TcpConnection as Conn,
    TcpContent as Cont, TcpResponse as TcpRes, TcpSession as Sess,
};

const TCP: &[Place] = &[Conn, Sess, Cont, TcpRes];
const HTTP: &[Place] = &[Req, Res, After];
const ANYWHERE: &[Place] = &[Conn, Sess, Cont, TcpRes, Req, Res, After];

/// Every action.
pub const ACTIONS: &[ActionSpec] = &[
    row(
        "accept",
        TCP,
        "accept",
        "No further rule of this kind is looked at.",
        |_, _| Ok(Action::Allow),
    ),
    row(
        "reject",
        &[Conn, Sess, Cont, TcpRes, Req],
        "reject",
        "Closes the connection.",
        |_, _| Ok(Action::Reject),
    ),
    row(
        "close",
        &[TcpRes],
        "close",
        "Closes the connection with the server; the client gets what has been received.",
        |_, _| Ok(Action::Close),
    ),
    row(
        "expect-proxy",
        &[Conn],
        "expect-proxy layer4",
        "A header of the PROXY protocol comes first, as with `accept-proxy`.",
        parse::expect_proxy,
    ),
    row(
        "silent-drop",
        &[Conn, Sess, Cont, TcpRes, Req, Res],
        "silent-drop [rst-ttl TTL]",
        "Forgets the connection; what would tell the client is dropped by the first router (by that of number TTL).",
        parse::silent_drop,
    ),
    row(
        "allow",
        HTTP,
        "allow",
        "No further rule of this kind is looked at.",
        |_, _| Ok(Action::Allow),
    ),
    row(
        "deny",
        &[Req, Res],
        "deny [deny_status N] [status N] [content-type T] [string S|lf-string S|file F|errorfile F] [hdr NAME FMT]",
        "Refuses the message.",
        reply::deny,
    ),
    row(
        "tarpit",
        &[Req],
        "tarpit [deny_status N] ...",
        "Refuses the request after timeout tarpit.",
        reply::tarpit,
    ),
    row(
        "return",
        &[Req, Res],
        "return [status N] [content-type T] [string S|lf-string S|file F|lf-file F|errorfile F] [hdr NAME FMT]",
        "Answers at once.",
        reply::reply,
    ),
    row(
        "redirect",
        &[Req, Res],
        "redirect location|prefix|scheme TO [code N] [drop-query] [append-slash] [ignore-empty] [set-cookie N=V] [clear-cookie N]",
        "Sends the client elsewhere.",
        reply::redirect,
    ),
    row(
        "auth",
        &[Req],
        "auth [realm R]",
        "Asks for user and password.",
        parse::auth,
    ),
    row(
        "use-service",
        &[Req],
        "use-service prometheus-exporter",
        "Answers with metrics in Prometheus' text format.",
        parse::use_service,
    ),
    row(
        "set-header",
        HTTP,
        "set-header NAME FMT",
        "Replaces a header.",
        parse::heads::set_header,
    ),
    row(
        "add-header",
        HTTP,
        "add-header NAME FMT",
        "Adds a header.",
        parse::heads::add_header,
    ),
    row(
        "del-header",
        HTTP,
        "del-header NAME [-m METHOD]",
        "Removes headers.",
        parse::heads::del_header,
    ),
    row(
        "replace-header",
        HTTP,
        "replace-header NAME REGEX FMT",
        "Replaces whole header values that match.",
        parse::heads::replace_header,
    ),
    row(
        "replace-value",
        HTTP,
        "replace-value NAME REGEX FMT",
        "Replaces members of header values that match.",
        parse::heads::replace_value,
    ),
    row(
        "set-path",
        &[Req],
        "set-path FMT",
        "Replaces the path.",
        parse::heads::set_path,
    ),
    row(
        "set-pathq",
        &[Req],
        "set-pathq FMT",
        "Replaces path and query.",
        parse::heads::set_pathq,
    ),
    row(
        "set-query",
        &[Req],
        "set-query FMT",
        "Replaces the query.",
        parse::heads::set_query,
    ),
    row(
        "set-uri",
        &[Req],
        "set-uri FMT",
        "Replaces the request target.",
        parse::heads::set_uri,
    ),
    row(
        "replace-path",
        &[Req],
        "replace-path REGEX FMT",
        "Replaces the path if it matches.",
        parse::heads::replace_path,
    ),
    row(
        "replace-pathq",
        &[Req],
        "replace-pathq REGEX FMT",
        "Replaces path and query if they match.",
        parse::heads::replace_pathq,
    ),
    row(
        "replace-uri",
        &[Req],
        "replace-uri REGEX FMT",
        "Replaces the request target if it matches.",
        parse::heads::replace_uri,
    ),
    row(
        "normalize-uri",
        &[Req],
        "normalize-uri NORMALIZER [full|strict]",
        "Brings the request target into one of its normal forms.",
        normalize::read,
    ),
    row(
        "set-method",
        &[Req],
        "set-method FMT",
        "Replaces the method.",
        parse::heads::set_method,
    ),
    row(
        "set-status",
        &[Res, After],
        "set-status N [reason TEXT]",
        "Replaces the status.",
        parse::heads::set_status,
    ),
    row(
        "set-var",
        ANYWHERE,
        "set-var(NAME[,CONDITION...]) EXPRESSION",
        "Sets a variable, if the conditions hold.",
        assign::set,
    ),
    row(
        "set-var-fmt",
        ANYWHERE,
        "set-var-fmt(NAME[,CONDITION...]) FMT",
        "Sets a variable from a log format, if the conditions hold.",
        assign::set_format,
    ),
    row(
        "unset-var",
        ANYWHERE,
        "unset-var(NAME)",
        "Removes a variable.",
        assign::unset,
    ),
    row(
        "set-timeout",
        &[Req],
        "set-timeout server|tunnel TIME|EXPRESSION",
        "Sets the timeout of the server or of a tunnel for this request.",
        parse::set_timeout,
    ),
    row(
        "set-log-level",
        &[Cont, TcpRes, Req, Res, After],
        "set-log-level LEVEL|silent",
        "Changes how the stream is logged.",
        parse::set_log_level,
    ),
    row(
        "capture",
        &[Cont, Req, Res, After],
        "capture EXPRESSION len N|id N",
        "Keeps a value for the log.",
        parse::capture,
    ),
    row(
        "track-sc0",
        &[Conn, Sess, Cont, Req, Res],
        "track-sc0 KEY [table T]",
        "Counts in a stick table from now on.",
        parse::tables::track,
    ),
    row(
        "track-sc1",
        &[Conn, Sess, Cont, Req, Res],
        "track-sc1 KEY [table T]",
        "Counts in a stick table from now on.",
        parse::tables::track,
    ),
    row(
        "track-sc2",
        &[Conn, Sess, Cont, Req, Res],
        "track-sc2 KEY [table T]",
        "Counts in a stick table from now on.",
        parse::tables::track,
    ),
    row(
        "sc-inc-gpc0",
        ANYWHERE,
        "sc-inc-gpc0(N)",
        "Adds 1 to gpc0 of what counter N tracks.",
        parse::tables::increment_gpc0,
    ),
    row(
        "sc-inc-gpc1",
        ANYWHERE,
        "sc-inc-gpc1(N)",
        "Adds 1 to gpc1 of what counter N tracks.",
        parse::tables::increment_gpc1,
    ),
    row(
        "sc-inc-gpc",
        ANYWHERE,
        "sc-inc-gpc(I,N)",
        "Adds 1 to element I of gpc and gpc_rate of what counter N tracks.",
        parse::tables::increment_gpc,
    ),
    row(
        "sc-set-gpt",
        ANYWHERE,
        "sc-set-gpt(I,N) NUMBER|EXPRESSION",
        "Sets element I of gpt of what counter N tracks.",
        parse::tables::set_gpt,
    ),
    row(
        "sc-set-gpt0",
        ANYWHERE,
        "sc-set-gpt0(N) NUMBER|EXPRESSION",
        "Sets gpt0 of what counter N tracks.",
        parse::tables::set_gpt0,
    ),
    row(
        "set-map",
        &[Req, Res],
        "set-map(FILE) KEY VALUE",
        "Sets the value of a key in the file of a map, until it is read again.",
        parse::tables::set_map,
    ),
    row(
        "del-map",
        &[Req, Res],
        "del-map(FILE) KEY",
        "Takes a key out of the file of a map, until it is read again.",
        parse::tables::delete_from_map,
    ),
    row(
        "add-acl",
        &[Req, Res],
        "add-acl(FILE) KEY",
        "Adds a key to the file of an ACL, until it is read again.",
        parse::tables::add_pattern,
    ),
    row(
        "del-acl",
        &[Req, Res],
        "del-acl(FILE) KEY",
        "Takes a key out of the file of an ACL, until it is read again.",
        parse::tables::delete_pattern,
    ),
    row(
        "early-hint",
        &[Req],
        "early-hint NAME FMT",
        "Sends the client a field in a 103 response before any other.",
        parse::early_hint,
    ),
    row(
        "set-priority-class",
        &[Cont, Req],
        "set-priority-class EXPRESSION",
        "Those of a lower class (-2047 to 2047) go first when they wait for a server.",
        parse::set_priority,
    ),
    row(
        "set-priority-offset",
        &[Cont, Req],
        "set-priority-offset EXPRESSION",
        "Counts as having come so many milliseconds later when it waits for a server.",
        parse::set_priority,
    ),
    row(
        "set-tos",
        &[Conn, Sess, Cont, TcpRes, Req, Res],
        "set-tos NUMBER",
        "Marks the packets to the client (TOS, or DSCP and two bits) from now on.",
        parse::set_tos,
    ),
    row(
        "set-nice",
        &[Cont, TcpRes, Req, Res],
        "set-nice NUMBER",
        "Accepted: no request goes before another.",
        parse::set_nice,
    ),
    row(
        "disable-l7-retry",
        &[Req],
        "disable-l7-retry",
        "`retry-on` does not send the request again.",
        |_, _| Ok(Action::DisableRetry),
    ),
    row(
        "wait-for-handshake",
        &[Req],
        "wait-for-handshake",
        "Accepted: early data is never read.",
        |_, _| Ok(Action::Nothing),
    ),
    row(
        "set-src",
        &[Conn, Sess, Cont, Req],
        "set-src EXPRESSION",
        "Makes another of the address of the client.",
        parse::set_address,
    ),
    row(
        "set-src-port",
        &[Conn, Sess, Cont, Req],
        "set-src-port EXPRESSION",
        "Makes another of the port of the client.",
        parse::set_address,
    ),
    row(
        "set-dst",
        &[Conn, Sess, Cont, Req],
        "set-dst EXPRESSION",
        "Makes another of the address that the client came to.",
        parse::set_address,
    ),
    row(
        "set-dst-port",
        &[Conn, Sess, Cont, Req],
        "set-dst-port EXPRESSION",
        "Makes another of the port that the client came to.",
        parse::set_address,
    ),
    row(
        "switch-mode",
        &[Cont],
        "switch-mode http [proto h1|h2]",
        "Goes over to HTTP; no further rule of this kind is looked at.",
        parse::switch_mode,
    ),
    row(
        "cache-use",
        &[Req],
        "cache-use CACHE",
        "Answers with what a cache has for the request.",
        parse::cache_use,
    ),
    row(
        "cache-store",
        &[Res],
        "cache-store CACHE",
        "Has a cache keep the response, if it may be kept.",
        parse::cache_store,
    ),
    row(
        "wait-for-body",
        &[Req, Res],
        "wait-for-body time T [at-least BYTES]",
        "Goes on once the body is there, or as much of it as the buffer holds.",
        parse::wait_for_body,
    ),
    row(
        "do-resolve",
        &[Cont, Req],
        "do-resolve(VARIABLE,RESOLVERS[,ipv4|ipv6]) EXPRESSION",
        "Asks the name servers of a section for the address of a name while the client waits, and sets a variable to it.",
        resolve::read,
    ),
    row(
        "strict-mode",
        HTTP,
        "strict-mode on|off",
        "Whether a rewrite that fails ends the request with 500 (on, at first), for the rules that follow.",
        parse::strict_mode,
    ),
];

/// The entry for the word at the front of a rule.
pub(crate) fn find(word: &str, place: Place) -> Result<&'static ActionSpec, RuleError> {
    let name = word.split('(').next().unwrap_or(word);
    let here = || ACTIONS.iter().filter(|a| a.places.contains(&place));
    if let Some(spec) = here().find(|a| a.name == name) {
        return Ok(spec);
    }
    let line = place.name();
    if ACTIONS.iter().any(|a| a.name == name) {
        return Err(RuleError::new(
            0,
            format!("'{name}' cannot stand in '{line}'"),
        ));
    }
    if let Some((_, why)) = NOT_OFFERED.iter().find(|(n, _)| name.starts_with(n)) {
        return Err(RuleError::new(
            0,
            format!("action '{name}' is not supported: {why}"),
        ));
    }
    let error = RuleError::new(0, format!("unknown action '{name}' in '{line}'"));
    Err(match nearest(name, here().map(|a| a.name)) {
        Some(like) => error.expecting(format!("an action; did you mean '{like}'?")),
        None => {
            let names: Vec<&str> = here().map(|a| a.name).collect();
            error.expecting(names.join(", "))
        }
    })
}
