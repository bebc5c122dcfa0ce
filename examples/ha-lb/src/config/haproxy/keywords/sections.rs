//! Sections by name, and the words of `userlist`.

use super::{Entry, HERE, MANY, ignored, obsolete, refused, supported};

/// Words that begin a section.
pub(crate) const SECTIONS: &[Entry] = table! {
    supported(&["global"], HERE, (0, 0), "", "settings of the process"),
    supported(&["defaults"], HERE, (0, 3), "[<name> [from <name>]]", "settings of the proxies that follow"),
    supported(&["frontend"], HERE, (1, 3), "<name> [from <defaults>]", "accepts connections"),
    supported(&["backend"], HERE, (1, 3), "<name> [from <defaults>]", "a pool of servers"),
    supported(&["listen"], HERE, (1, 3), "<name> [from <defaults>]", "frontend and backend in one"),
    supported(&["userlist"], HERE, (1, 1), "<name>", "users for `http_auth`"),
    supported(&["resolvers"], HERE, (1, 1), "<name>", "name servers that servers' names are asked for at"),
    supported(&["peers"], HERE, (1, 1), "<name>", "hosts that share stick tables"),
    ignored(&["mailers"], HERE, (1, 1), "no mail is sent"),
    supported(&["cache"], HERE, (1, 1), "<name>", "a cache for `cache-use` and `cache-store`"),
    supported(&["http-errors"], HERE, (1, 1), "<name>", "error pages for `errorfiles`"),
    obsolete(&["program"], HERE, (1, 1), "the program is not started; let the service manager run it"),
    ignored(&["ring"], HERE, (1, 1), "log lines go to `log` addresses only"),
    ignored(&["fcgi-app"], HERE, (1, 1), "FastCGI is not spoken; backends that use it are refused"),
    refused(&["log-forward"], HERE, "syslog is not forwarded"),
    refused(&["crt-store"], HERE, "name the certificate files in the `bind` line"),
    refused(&["traces", "acme", "log-profile"], HERE, "sections of HAProxy 3 are not supported"),
};

/// Keywords of an `http-errors` section (manual §12.4).
pub(crate) const HTTP_ERRORS: &[Entry] = table! {
    supported(&["errorfile"], HERE, (2, 2), "<status> <file>", "file sent raw instead of an error page"),
};

/// Keywords of a `peers` section (manual §3.5).
pub(crate) const PEERS: &[Entry] = table! {
    supported(&["peer", "server"], HERE, (1, MANY), "<name> [<ip>:<port>] [<word> ...]", "a host; that of the local name is this one"),
    supported(&["bind"], HERE, (1, MANY), "<ip>:<port> [<word> ...]", "where this host listens for the others"),
    supported(&["default-bind"], HERE, (0, MANY), "[<word> ...]", "words of the `bind` lines that follow"),
    supported(&["default-server"], HERE, (0, MANY), "[<word> ...]", "words of the `peer` lines that follow"),
    supported(&["table"], HERE, (1, MANY), "<name> type <type> size <size> [<word> ...]", "a stick table of the section's own"),
    supported(&["disabled"], HERE, (0, 0), "", "nothing is shared"),
    supported(&["enabled"], HERE, (0, 0), "", "tables are shared (the default)"),
    ignored(&["log"], HERE, (0, MANY), "connections of peers are not logged"),
};

/// Keywords of a `cache` section (manual §6.2.1).
pub(crate) const CACHE: &[Entry] = table! {
    supported(&["total-max-size"], HERE, (1, 1), "<megabytes>", "memory for what is kept, and for what is on its way there"),
    supported(&["max-object-size"], HERE, (1, 1), "<bytes>", "most bytes of one response with its head"),
    supported(&["max-age"], HERE, (1, 1), "<seconds>", "longest time that a response is kept (60)"),
    supported(&["process-vary"], HERE, (1, 1), "on|off", "whether responses that vary by accept-encoding, referer or origin are kept"),
    supported(&["max-secondary-entries"], HERE, (1, 1), "<number>", "most variants of one resource (10)"),
};

/// Keywords of a `resolvers` section (manual §5.3.2).
pub(crate) const RESOLVERS: &[Entry] = table! {
    supported(&["nameserver"], HERE, (2, 2), "<name> [udp@]<ip>:<port>", "a name server"),
    supported(&["parse-resolv-conf"], HERE, (0, 0), "", "the name servers of /etc/resolv.conf"),
    supported(&["hold"], HERE, (2, 2), "<status> <time>", "how long an address outlives a bad answer"),
    supported(&["resolve_retries"], HERE, (1, 1), "<count>", "questions until an answer is given up"),
    supported(&["timeout"], HERE, (2, 2), "resolve|retry <time>", "time between resolutions, time for an answer"),
    supported(&["accepted_payload_size"], HERE, (1, 1), "<bytes>", "longest answer, as name servers are told (512)"),
};

/// Keywords of a `userlist` (manual §12.1).
pub(crate) const USERLIST: &[Entry] = table! {
    supported(&["group"], HERE, (1, 3), "<name> [users <user>,...]", "a group and its users"),
    supported(&["user"], HERE, (1, MANY), "<name> [insecure-password <text>] [groups <group>,...]", "a user"),
};
