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
    ignored(&["resolvers"], HERE, (1, 1), "host names are resolved when the configuration is loaded"),
    ignored(&["peers"], HERE, (1, 1), "stick tables are not shared with other hosts"),
    ignored(&["mailers"], HERE, (1, 1), "no mail is sent"),
    ignored(&["cache"], HERE, (1, 1), "nothing is cached; rules that use it are refused"),
    ignored(&["http-errors"], HERE, (1, 1), "the built-in error pages are sent"),
    obsolete(&["program"], HERE, (1, 1), "the program is not started; let the service manager run it"),
    ignored(&["ring"], HERE, (1, 1), "log lines go to `log` addresses only"),
    refused(&["fcgi-app"], HERE, "FastCGI is not supported"),
    refused(&["log-forward"], HERE, "syslog is not forwarded"),
    refused(&["crt-store"], HERE, "name the certificate files in the `bind` line"),
    refused(&["traces", "acme", "log-profile"], HERE, "sections of HAProxy 3 are not supported"),
};

/// Keywords of a `userlist` (manual §12.1).
pub(crate) const USERLIST: &[Entry] = table! {
    supported(&["group"], HERE, (1, 3), "<name> [users <user>,...]", "a group and its users"),
    supported(&["user"], HERE, (1, MANY), "<name> [insecure-password <text>] [groups <group>,...]", "a user"),
};
