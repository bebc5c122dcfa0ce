//! `option <word>` (configuration manual §4.2).

use super::{B, DB, DF, DFB, Entry, FB, MANY, ignored, obsolete, refused, supported};

/// Words behind `option`.
pub(crate) const OPTIONS: &[Entry] = table! {
    supported(&["abortonclose"], DB, (0, 0), "", "a request in the queue ends when its client leaves"),
    supported(&["allbackups"], DB, (0, 0), "", "all backup servers are used together"),
    supported(&["clitcpka"], DF, (0, 0), "", "TCP keep-alive probes to clients"),
    supported(&["dontlog-normal"], DF, (0, 0), "", "only connections with errors are logged"),
    supported(&["dontlognull"], DF, (0, 0), "", "connections without a byte are not logged"),
    supported(&["forwardfor"], DFB, (0, 5), "[except <network>] [header <name>] [if-none]",
        "the client's address goes into a header"),
    supported(&["http-ignore-probes"], DF, (0, 0), "", "empty connections get no error page"),
    supported(&["http-keep-alive"], DFB, (0, 0), "", "connections stay open on both sides"),
    supported(&["http-server-close"], DFB, (0, 0), "", "the server side is closed after each response"),
    supported(&["httpchk"], DB, (0, 4), "[<method>] [<uri> [<version>]]", "health checks by an HTTP request"),
    supported(&["httpclose"], DFB, (0, 0), "", "connections are closed after each response"),
    supported(&["httplog"], DFB, (0, 1), "[clf]", "log lines with HTTP details"),
    ignored(&["log-health-checks"], DB, (0, 0), "only changes of a server's state are logged"),
    supported(&["log-separate-errors"], DF, (0, 0), "", "errors are logged at a higher level"),
    ignored(&["logasap"], DF, (0, 0), "lines are logged when the transfer ends"),
    supported(&["persist"], DB, (0, 0), "", "cookies lead to servers that are down too"),
    supported(&["redispatch"], DB, (0, 1), "[<interval>]", "the last retry goes to another server"),
    supported(&["srvtcpka"], DB, (0, 0), "", "TCP keep-alive probes to servers"),
    supported(&["tcp-check"], DB, (0, 0), "", "health checks by a TCP connection"),
    supported(&["tcpka"], DFB, (0, 0), "", "TCP keep-alive probes on both sides"),
    supported(&["tcplog"], DFB, (0, 1), "", "log lines with connection details"),
    obsolete(&["forceclose"], DFB, (0, 0), "it is read as `option httpclose`"),
    obsolete(&["http-tunnel"], DFB, (0, 0), "it is ignored; each request is processed"),
    obsolete(&["http-use-htx"], DFB, (0, 0), "it is ignored"),
    refused(&["http_proxy"], DFB, "there is no open proxy; it was removed in HAProxy 2.5; name servers to forward to"),
    ignored(&["contstats", "socket-stats", "http-no-delay", "independent-streams", "idle-close-on-response",
        "tcp-smart-accept", "tcp-smart-connect", "splice-auto", "splice-request", "splice-response",
        "disable-h2-upgrade", "nolinger", "http-pretend-keepalive", "prefer-last-server",
        "http-buffer-request", "http-use-proxy-header"], DFB, (0, 0), "it has no effect here"),
    ignored(&["accept-invalid-http-request", "accept-invalid-http-response",
        "accept-unsafe-violations-in-http-request", "accept-unsafe-violations-in-http-response"], DFB, (0, 0),
        "the parser stays strict"),
    ignored(&["h1-case-adjust-bogus-client", "h1-case-adjust-bogus-server"], DFB, (0, 0),
        "header names are sent in lower case"),
    ignored(&["httpslog"], DFB, (0, 0), "it is read as `option httplog`"),
    ignored(&["dontlog-errors", "log-error-via-logformat"], DFB, (0, MANY), "it has no effect here"),
    refused(&["checkcache"], DB, "responses are not inspected for cacheable cookies"),
    refused(&["originalto", "forwarded", "http-drop-request-trailers", "http-drop-response-trailers",
        "http-restrict-req-hdr-names"], DFB, "`http-request set-header` with the same values does most of it"),
    refused(&["transparent"], B, "connections are not passed to their original destination; name a server"),
    ignored(SHALLOW_CHECKS, DB, (0, MANY),
        "servers are checked by a TCP connection: one that accepts it and answers nothing counts as up"),
    refused(&["external-check"], FB, "of health checks only TCP and HTTP (`option httpchk`) are supported"),
    refused(&["http-buffer-response", "set-cookie-fmt", "nolinger-on-error"], FB, "there is no such setting here"),
};

/// Checks that speak another protocol once the connection stands. They find out no more than that a server of
/// that protocol answers, so a connection stands in for them.
pub(crate) const SHALLOW_CHECKS: &[&str] = &[
    "ldap-check",
    "mysql-check",
    "pgsql-check",
    "redis-check",
    "smtpchk",
    "spop-check",
    "ssl-hello-chk",
];
