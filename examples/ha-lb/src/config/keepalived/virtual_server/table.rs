//! The keywords of `virtual_server` and of `real_server` in it.

use super::{
    Draft, RealDraft, check, count, first, forwarding, granularity, persistence, protocol,
    real_server, scheduler, sorry_server, time, weight,
};
use crate::config::keepalived::keyword::{Keyword, Table, Takes};

const PROXY: &str = "a proxy has no such setting";
const NO_NOTIFY: &str = "it is not run; changes of a server's state are logged";
const PROBES: &str = "Not built: a TCP connection is tried instead.";
const FORWARDING: &str = "NAT, DR or TUN";

pub(super) const TABLE: Table<Draft> = Table {
    block: "virtual_server",
    keywords: &[&[
        Keyword::read(
            "lb_algo",
            Takes::one("a scheduler"),
            scheduler,
            "How a server is chosen.",
        ),
        Keyword::obsolete("lvs_sched", Takes::one("a scheduler"), scheduler, "lb_algo"),
        Keyword::read(
            "lb_kind",
            Takes::words(1, 4, FORWARDING),
            forwarding,
            "How IPVS would forward; a proxy forwards as NAT in both directions.",
        ),
        Keyword::obsolete(
            "lvs_method",
            Takes::words(1, 4, FORWARDING),
            forwarding,
            "lb_kind",
        ),
        Keyword::read(
            "persistence_timeout",
            Takes::words(0, 1, "seconds"),
            persistence,
            "A client stays with its server for so long (360 s).",
        ),
        Keyword::read(
            "persistence_granularity",
            Takes::one("a netmask or prefix length"),
            granularity,
            "Clients of one network count as one.",
        ),
        Keyword::read(
            "protocol",
            Takes::one("TCP"),
            protocol,
            "TCP; servers of other protocols are not served.",
        ),
        Keyword::read(
            "delay_loop",
            Takes::one("seconds"),
            |d, n, c| d.delay_loop = time(n, c),
            "Time between checks (60 s).",
        ),
        Keyword::read(
            "connect_timeout",
            Takes::one("seconds"),
            |d, n, c| d.connect_timeout = time(n, c),
            "Default of the checks' connect_timeout (5 s).",
        ),
        Keyword::read(
            "retry",
            Takes::one("a number"),
            |d, n, c| d.retry = count(n, c),
            "Default of the checks' retry (1).",
        ),
        Keyword::read(
            "delay_before_retry",
            Takes::one("seconds"),
            |d, n, c| d.retry_delay = time(n, c),
            "Default of the checks' delay_before_retry (1 s).",
        ),
        Keyword::read(
            "sorry_server",
            Takes::words(1, 2, "an address and a port"),
            sorry_server,
            "Used when no other server is up.",
        ),
        Keyword::read(
            "quorum",
            Takes::one("a number"),
            |d, n, c| d.quorum = count(n, c),
            "Weight that must be up (1).",
        ),
        Keyword::kept(
            "alpha",
            Takes::FLAG,
            |d, n, c| d.starts_down = c.flag(n),
            "servers are up until a check has failed",
        ),
        Keyword::read(
            "virtualhost",
            Takes::one("a host"),
            |d, n, _| d.virtual_host = first(n),
            "Host header of the checks.",
        ),
        Keyword::repeated(
            "real_server",
            Takes::block_of(1, 2, "an address and a port"),
            real_server,
            "A server.",
        ),
        Keyword::ignored(
            "hysteresis",
            "the quorum is left at the weight at which it is reached",
        ),
        Keyword::ignored("quorum_up", NO_NOTIFY),
        Keyword::ignored("quorum_down", NO_NOTIFY),
        Keyword::ignored("omega", PROXY),
        Keyword::ignored("snmp_name", "there is no SNMP agent"),
        Keyword::ignored("ops", PROXY),
        Keyword::ignored("hashed", PROXY),
        Keyword::ignored("flag-1", PROXY),
        Keyword::ignored("flag-2", PROXY),
        Keyword::ignored("flag-3", PROXY),
        Keyword::ignored("mh-port", PROXY),
        Keyword::ignored("mh-fallback", PROXY),
        Keyword::ignored("sh-port", PROXY),
        Keyword::ignored("sh-fallback", PROXY),
        Keyword::ignored("persistence_engine", PROXY),
        Keyword::ignored(
            "nat_mask",
            "keepalived has dropped it; it had no effect on balancing",
        ),
        Keyword::ignored("ip_family", "the address has its family"),
        Keyword::ignored("ha_suspend", "servers are checked on every host"),
        Keyword::ignored(
            "inhibit_on_failure",
            "a server that is down takes no new connections, and keeps those it has",
        ),
        Keyword::ignored(
            "sorry_server_inhibit",
            "a server that is down takes no new connections, and keeps those it has",
        ),
        Keyword::ignored("sorry_server_lvs_method", PROXY),
        Keyword::ignored("warmup", "first checks are spread over the interval"),
        Keyword::ignored("weight", "write it in each real_server"),
        Keyword::ignored(
            "smtp_alert",
            "no mail is sent; changes of a server's state are logged",
        ),
    ]],
};

pub(super) const REAL: Table<RealDraft> = Table {
    block: "real_server",
    keywords: &[&[
        Keyword::read(
            "weight",
            Takes::one("0 to 256"),
            weight,
            "Share of the connections (1).",
        ),
        Keyword::read(
            "uthreshold",
            Takes::one("a number"),
            |d, n, c| d.upper_threshold = count(n, c),
            "Most connections.",
        ),
        Keyword::read(
            "TCP_CHECK",
            Takes::BLOCK,
            check::tcp,
            "The server accepts a connection.",
        ),
        Keyword::read(
            "HTTP_GET",
            Takes::BLOCK,
            check::http,
            "The server answers a request with a status that is asked for.",
        ),
        Keyword::read(
            "delay_loop",
            Takes::one("seconds"),
            |d, n, c| d.delay_loop = time(n, c),
            "Time between checks.",
        ),
        Keyword::read(
            "connect_timeout",
            Takes::one("seconds"),
            |d, n, c| d.connect_timeout = time(n, c),
            "Default of the check's connect_timeout.",
        ),
        Keyword::read(
            "retry",
            Takes::one("a number"),
            |d, n, c| d.retry = count(n, c),
            "Default of the check's retry.",
        ),
        Keyword::read(
            "delay_before_retry",
            Takes::one("seconds"),
            |d, n, c| d.retry_delay = time(n, c),
            "Default of the check's delay_before_retry.",
        ),
        Keyword::read(
            "virtualhost",
            Takes::one("a host"),
            |d, n, _| d.virtual_host = first(n),
            "Host header of the check.",
        ),
        Keyword::ignored("lthreshold", PROXY),
        Keyword::ignored("lvs_method", PROXY),
        Keyword::ignored("lb_kind", PROXY),
        Keyword::ignored(
            "inhibit_on_failure",
            "a server that is down takes no new connections, and keeps those it has",
        ),
        Keyword::ignored("notify_up", NO_NOTIFY),
        Keyword::ignored("notify_down", NO_NOTIFY),
        Keyword::ignored("alpha", "write it in the virtual_server"),
        Keyword::ignored("warmup", "first checks are spread over the interval"),
        Keyword::ignored("log_all_failures", "changes of a server's state are logged"),
        Keyword::ignored("snmp_name", "there is no SNMP agent"),
        Keyword::ignored(
            "smtp_alert",
            "no mail is sent; changes of a server's state are logged",
        ),
        Keyword::repeated("SSL_GET", Takes::ANYTHING, check::stand_in, PROBES),
        Keyword::repeated("SMTP_CHECK", Takes::ANYTHING, check::stand_in, PROBES),
        Keyword::repeated("DNS_CHECK", Takes::ANYTHING, check::stand_in, PROBES),
        Keyword::repeated("MISC_CHECK", Takes::ANYTHING, check::stand_in, PROBES),
        Keyword::repeated("BFD_CHECK", Takes::ANYTHING, check::stand_in, PROBES),
        Keyword::repeated("UDP_CHECK", Takes::ANYTHING, check::stand_in, PROBES),
        Keyword::repeated("PING_CHECK", Takes::ANYTHING, check::stand_in, PROBES),
        Keyword::repeated("FILE_CHECK", Takes::ANYTHING, check::stand_in, PROBES),
    ]],
};
