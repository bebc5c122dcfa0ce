//! The families of HAProxy's exporter (2.6): names, types and HELP lines as scrapers know them, and where their
//! values come from. A test compares them with a real HAProxy's.

use super::super::exposition::Kind::{self, Counter, Gauge};
use crate::admin::stat::columns::Column;

/// A family of the process: name, type, name in `show info`, HELP.
pub(super) type ProcessFamily = (&'static str, Kind, &'static str, &'static str);

/// How a column becomes samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// Milliseconds told as seconds.
    Milliseconds,
    /// As it is, or 0, where there was a check.
    OfCheck,
    /// The same in milliseconds told as seconds.
    CheckDuration,
    /// A sample for each state.
    Status,
    /// A sample for each result of a check.
    CheckStatus,
    /// A sample for each class of status codes.
    Responses,
    /// Servers counted by their state.
    Servers,
    /// Servers counted by the result of their last check.
    Checks,
}

/// Which rows have a family.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub(super) frontend: bool,
    pub(super) listener: bool,
    pub(super) backend: bool,
    pub(super) server: bool,
    /// Only proxies in HTTP mode.
    pub(super) http: bool,
}

const fn rows(names: &str, http: bool) -> Rows {
    let mut rows = Rows {
        frontend: false,
        listener: false,
        backend: false,
        server: false,
        http,
    };
    let mut names = names.as_bytes();
    while let [first, rest @ ..] = names {
        match first {
            b'f' => rows.frontend = true,
            b'l' => rows.listener = true,
            b'b' => rows.backend = true,
            _ => rows.server = true,
        }
        names = rest;
    }
    rows
}

/// A family of rows: name behind `haproxy_frontend_` and so on, type, column, form, rows, HELP.
pub(super) type RowFamily = (&'static str, Kind, Column, Form, Rows, &'static str);

// One line a family, as HAProxy tells it.
#[rustfmt::skip]
pub(super) const PROCESS: &[ProcessFamily] = &[
    ("haproxy_process_nbthread", Gauge, "Nbthread", "Number of started threads (global.nbthread)"),
    ("haproxy_process_nbproc", Gauge, "Nbproc", "Number of started worker processes (historical, always 1)"),
    ("haproxy_process_relative_process_id", Gauge, "Process_num", "Relative worker process number (1)"),
    ("haproxy_process_uptime_seconds", Gauge, "Uptime_sec", "How long ago this worker process was started (seconds)"),
    ("haproxy_process_pool_failures_total", Counter, "PoolFailed", "Number of failed pool allocations since this worker was started"),
    ("haproxy_process_max_fds", Gauge, "Ulimit-n", "Hard limit on the number of per-process file descriptors"),
    ("haproxy_process_max_sockets", Gauge, "Maxsock", "Hard limit on the number of per-process sockets"),
    ("haproxy_process_max_connections", Gauge, "Maxconn", "Hard limit on the number of per-process connections (configured or imposed by Ulimit-n)"),
    ("haproxy_process_hard_max_connections", Gauge, "Hard_maxconn", "Hard limit on the number of per-process connections (imposed by Memmax_MB or Ulimit-n)"),
    ("haproxy_process_current_connections", Gauge, "CurrConns", "Current number of connections on this worker process"),
    ("haproxy_process_connections_total", Counter, "CumConns", "Total number of connections on this worker process since started"),
    ("haproxy_process_requests_total", Counter, "CumReq", "Total number of requests on this worker process since started"),
    ("haproxy_process_max_ssl_connections", Gauge, "MaxSslConns", "Hard limit on the number of per-process SSL endpoints (front+back), 0=unlimited"),
    ("haproxy_process_current_ssl_connections", Gauge, "CurrSslConns", "Current number of SSL endpoints on this worker process (front+back)"),
    ("haproxy_process_ssl_connections_total", Counter, "CumSslConns", "Total number of SSL endpoints on this worker process since started (front+back)"),
    ("haproxy_process_max_pipes", Gauge, "Maxpipes", "Hard limit on the number of pipes for splicing, 0=unlimited"),
    ("haproxy_process_pipes_used_total", Counter, "PipesUsed", "Current number of pipes in use in this worker process"),
    ("haproxy_process_pipes_free_total", Counter, "PipesFree", "Current number of allocated and available pipes in this worker process"),
    ("haproxy_process_current_connection_rate", Gauge, "ConnRate", "Number of front connections created on this worker process over the last second"),
    ("haproxy_process_limit_connection_rate", Gauge, "ConnRateLimit", "Hard limit for ConnRate (global.maxconnrate)"),
    ("haproxy_process_max_connection_rate", Gauge, "MaxConnRate", "Highest ConnRate reached on this worker process since started (in connections per second)"),
    ("haproxy_process_current_session_rate", Gauge, "SessRate", "Number of sessions created on this worker process over the last second"),
    ("haproxy_process_limit_session_rate", Gauge, "SessRateLimit", "Hard limit for SessRate (global.maxsessrate)"),
    ("haproxy_process_max_session_rate", Gauge, "MaxSessRate", "Highest SessRate reached on this worker process since started (in sessions per second)"),
    ("haproxy_process_current_ssl_rate", Gauge, "SslRate", "Number of SSL connections created on this worker process over the last second"),
    ("haproxy_process_limit_ssl_rate", Gauge, "SslRateLimit", "Hard limit for SslRate (global.maxsslrate)"),
    ("haproxy_process_max_ssl_rate", Gauge, "MaxSslRate", "Highest SslRate reached on this worker process since started (in connections per second)"),
    ("haproxy_process_current_frontend_ssl_key_rate", Gauge, "SslFrontendKeyRate", "Number of SSL keys created on frontends in this worker process over the last second"),
    ("haproxy_process_max_frontend_ssl_key_rate", Gauge, "SslFrontendMaxKeyRate", "Highest SslFrontendKeyRate reached on this worker process since started (in SSL keys per second)"),
    ("haproxy_process_frontend_ssl_reuse", Gauge, "SslFrontendSessionReuse_pct", "Percent of frontend SSL connections which did not require a new key"),
    ("haproxy_process_current_backend_ssl_key_rate", Gauge, "SslBackendKeyRate", "Number of SSL keys created on backends in this worker process over the last second"),
    ("haproxy_process_max_backend_ssl_key_rate", Gauge, "SslBackendMaxKeyRate", "Highest SslBackendKeyRate reached on this worker process since started (in SSL keys per second)"),
    ("haproxy_process_ssl_cache_lookups_total", Counter, "SslCacheLookups", "Total number of SSL session ID lookups in the SSL session cache on this worker since started"),
    ("haproxy_process_ssl_cache_misses_total", Counter, "SslCacheMisses", "Total number of SSL session ID lookups that didn't find a session in the SSL session cache on this worker since started"),
    ("haproxy_process_http_comp_bytes_in_total", Counter, "CompressBpsIn", "Number of bytes submitted to the HTTP compressor in this worker process over the last second"),
    ("haproxy_process_http_comp_bytes_out_total", Counter, "CompressBpsOut", "Number of bytes emitted by the HTTP compressor in this worker process over the last second"),
    ("haproxy_process_limit_http_comp", Gauge, "CompressBpsRateLim", "Limit of CompressBpsOut beyond which HTTP compression is automatically disabled"),
    ("haproxy_process_current_zlib_memory", Gauge, "ZlibMemUsage", "Amount of memory currently used by HTTP compression on the current worker process (in bytes)"),
    ("haproxy_process_max_zlib_memory", Gauge, "MaxZlibMemUsage", "Limit on the amount of memory used by HTTP compression above which it is automatically disabled (in bytes, see global.maxzlibmem)"),
    ("haproxy_process_current_tasks", Gauge, "Tasks", "Total number of tasks in the current worker process (active + sleeping)"),
    ("haproxy_process_current_run_queue", Gauge, "Run_queue", "Total number of active tasks+tasklets in the current worker process"),
    ("haproxy_process_idle_time_percent", Gauge, "Idle_pct", "Percentage of last second spent waiting in the current worker thread"),
    ("haproxy_process_stopping", Gauge, "Stopping", "1 if the worker process is currently stopping, otherwise zero"),
    ("haproxy_process_jobs", Gauge, "Jobs", "Current number of active jobs on the current worker process (frontend connections, master connections, listeners)"),
    ("haproxy_process_unstoppable_jobs", Gauge, "Unstoppable Jobs", "Current number of unstoppable jobs on the current worker process (master connections)"),
    ("haproxy_process_listeners", Gauge, "Listeners", "Current number of active listeners on the current worker process"),
    ("haproxy_process_active_peers", Gauge, "ActivePeers", "Current number of verified active peers connections on the current worker process"),
    ("haproxy_process_connected_peers", Gauge, "ConnectedPeers", "Current number of peers having passed the connection step on the current worker process"),
    ("haproxy_process_dropped_logs_total", Counter, "DroppedLogs", "Total number of dropped logs for current worker process since started"),
    ("haproxy_process_busy_polling_enabled", Gauge, "BusyPolling", "1 if busy-polling is currently in use on the worker process, otherwise zero (config.busy-polling)"),
    ("haproxy_process_failed_resolutions", Counter, "FailedResolutions", "Total number of failed DNS resolutions in current worker process since started"),
    ("haproxy_process_bytes_out_total", Counter, "TotalBytesOut", "Total number of bytes emitted by current worker process since started"),
    ("haproxy_process_spliced_bytes_out_total", Counter, "TotalSplicdedBytesOut", "Total number of bytes emitted by current worker process through a kernel pipe since started"),
    ("haproxy_process_bytes_out_rate", Gauge, "BytesOutRate", "Number of bytes emitted by current worker process over the last second"),
    ("haproxy_process_recv_logs_total", Counter, "CumRecvLogs", "Total number of log messages received by log-forwarding listeners on this worker process since started"),
    ("haproxy_process_build_info", Gauge, "", "Build info"),
    ("haproxy_process_max_memory_bytes", Gauge, "Memmax_bytes", "Worker process's hard limit on memory usage in byes (-m on command line)"),
    ("haproxy_process_pool_allocated_bytes", Gauge, "PoolAlloc_bytes", "Amount of memory allocated in pools (in bytes)"),
    ("haproxy_process_pool_used_bytes", Gauge, "PoolUsed_bytes", "Amount of pool memory currently used (in bytes)"),
    ("haproxy_process_start_time_seconds", Gauge, "Start_time_sec", "Start time in seconds"),
];

#[rustfmt::skip]
pub(super) const ROWS: &[RowFamily] = &[
    ("current_queue", Gauge, Column::Qcur, Form::Plain, rows("bs", false), "Number of current queued connections"),
    ("max_queue", Gauge, Column::Qmax, Form::Plain, rows("bs", false), "Highest value of queued connections encountered since process started"),
    ("current_sessions", Gauge, Column::Scur, Form::Plain, rows("flbs", false), "Number of current sessions on the frontend, backend or server"),
    ("max_sessions", Gauge, Column::Smax, Form::Plain, rows("flbs", false), "Highest value of current sessions encountered since process started"),
    ("limit_sessions", Gauge, Column::Slim, Form::Plain, rows("flbs", false), "Frontend/listener/server's maxconn, backend's fullconn"),
    ("sessions_total", Counter, Column::Stot, Form::Plain, rows("flbs", false), "Total number of sessions since process started"),
    ("bytes_in_total", Counter, Column::Bin, Form::Plain, rows("flbs", false), "Total number of request bytes since process started"),
    ("bytes_out_total", Counter, Column::Bout, Form::Plain, rows("flbs", false), "Total number of response bytes since process started"),
    ("requests_denied_total", Counter, Column::Dreq, Form::Plain, rows("flb", false), "Total number of denied requests since process started"),
    ("responses_denied_total", Counter, Column::Dresp, Form::Plain, rows("flbs", false), "Total number of denied responses since process started"),
    ("request_errors_total", Counter, Column::Ereq, Form::Plain, rows("fl", false), "Total number of invalid requests since process started"),
    ("connection_errors_total", Counter, Column::Econ, Form::Plain, rows("bs", false), "Total number of failed connections to server since the worker process started"),
    ("response_errors_total", Counter, Column::Eresp, Form::Plain, rows("bs", false), "Total number of invalid responses since the worker process started"),
    ("retry_warnings_total", Counter, Column::Wretr, Form::Plain, rows("bs", false), "Total number of server connection retries since the worker process started"),
    ("redispatch_warnings_total", Counter, Column::Wredis, Form::Plain, rows("bs", false), "Total number of server redispatches due to connection failures since the worker process started"),
    ("status", Gauge, Column::Status, Form::Status, rows("flbs", false), "Current status of the service, per state label value."),
    ("weight", Gauge, Column::Weight, Form::Plain, rows("bs", false), "Server's effective weight, or sum of active servers' effective weights for a backend"),
    ("active_servers", Gauge, Column::Act, Form::Plain, rows("b", false), "Total number of active UP servers with a non-zero weight"),
    ("backup_servers", Gauge, Column::Bck, Form::Plain, rows("b", false), "Total number of backup UP servers with a non-zero weight"),
    ("check_failures_total", Counter, Column::Chkfail, Form::Plain, rows("s", false), "Total number of failed individual health checks per server/backend, since the worker process started"),
    ("check_up_down_total", Counter, Column::Chkdown, Form::Plain, rows("bs", false), "Total number of failed checks causing UP to DOWN server transitions, per server/backend, since the worker process started"),
    ("check_last_change_seconds", Gauge, Column::Lastchg, Form::Plain, rows("bs", false), "How long ago the last server state changed, in seconds"),
    ("downtime_seconds_total", Counter, Column::Downtime, Form::Plain, rows("bs", false), "Total time spent in DOWN state, for server or backend"),
    ("queue_limit", Gauge, Column::Qlimit, Form::Plain, rows("s", false), "Limit on the number of connections in queue, for servers only (maxqueue argument)"),
    ("current_throttle", Gauge, Column::Throttle, Form::Plain, rows("s", false), "Throttling ratio applied to a server's maxconn and weight during the slowstart period (0 to 100%)"),
    ("loadbalanced_total", Counter, Column::Lbtot, Form::Plain, rows("bs", false), "Total number of requests routed by load balancing since the worker process started (ignores queue pop and stickiness)"),
    ("limit_session_rate", Gauge, Column::RateLim, Form::Plain, rows("f", false), "Limit on the number of sessions accepted in a second (frontend only, 'rate-limit sessions' setting)"),
    ("max_session_rate", Gauge, Column::RateMax, Form::Plain, rows("fbs", false), "Highest value of sessions per second observed since the worker process started"),
    ("check_status", Gauge, Column::CheckStatus, Form::CheckStatus, rows("s", false), "Status of last health check, per state label value."),
    ("check_code", Gauge, Column::CheckCode, Form::OfCheck, rows("s", true), "layer5-7 code, if available of the last health check."),
    ("check_duration_seconds", Gauge, Column::CheckDuration, Form::CheckDuration, rows("s", true), "Total duration of the latest server health check, in seconds."),
    ("http_responses_total", Counter, Column::Hrsp1xx, Form::Responses, rows("fbs", true), "Total number of HTTP responses with status 100-199 returned by this object since the worker process started"),
    ("http_requests_rate_max", Gauge, Column::ReqRateMax, Form::Plain, rows("f", true), "Highest value of http requests observed since the worker process started"),
    ("http_requests_total", Counter, Column::ReqTot, Form::Plain, rows("fb", true), "Total number of HTTP requests processed by this object since the worker process started"),
    ("client_aborts_total", Counter, Column::CliAbrt, Form::Plain, rows("bs", false), "Total number of requests or connections aborted by the client since the worker process started"),
    ("server_aborts_total", Counter, Column::SrvAbrt, Form::Plain, rows("bs", false), "Total number of requests or connections aborted by the server since the worker process started"),
    ("http_comp_bytes_in_total", Counter, Column::CompIn, Form::Plain, rows("fb", true), "Total number of bytes submitted to the HTTP compressor for this object since the worker process started"),
    ("http_comp_bytes_out_total", Counter, Column::CompOut, Form::Plain, rows("fb", true), "Total number of bytes emitted by the HTTP compressor for this object since the worker process started"),
    ("http_comp_bytes_bypassed_total", Counter, Column::CompByp, Form::Plain, rows("fb", true), "Total number of bytes that bypassed HTTP compression for this object since the worker process started (CPU/memory/bandwidth limitation)"),
    ("http_comp_responses_total", Counter, Column::CompRsp, Form::Plain, rows("fb", true), "Total number of HTTP responses that were compressed for this object since the worker process started"),
    ("last_session_seconds", Gauge, Column::Lastsess, Form::Plain, rows("bs", false), "How long ago some traffic was seen on this object on this worker process, in seconds"),
    ("queue_time_average_seconds", Gauge, Column::Qtime, Form::Milliseconds, rows("bs", false), "Avg. queue time for last 1024 successful connections."),
    ("connect_time_average_seconds", Gauge, Column::Ctime, Form::Milliseconds, rows("bs", false), "Avg. connect time for last 1024 successful connections."),
    ("response_time_average_seconds", Gauge, Column::Rtime, Form::Milliseconds, rows("bs", false), "Avg. response time for last 1024 successful connections."),
    ("total_time_average_seconds", Gauge, Column::Ttime, Form::Milliseconds, rows("bs", false), "Avg. total time for last 1024 successful connections."),
    ("connections_rate_max", Gauge, Column::ConnRateMax, Form::Plain, rows("f", false), "Highest value of connections per second observed since the worker process started"),
    ("connections_total", Counter, Column::ConnTot, Form::Plain, rows("f", false), "Total number of new connections accepted on this frontend since the worker process started"),
    ("intercepted_requests_total", Counter, Column::Intercepted, Form::Plain, rows("f", true), "Total number of HTTP requests intercepted on the frontend (redirects/stats/services) since the worker process started"),
    ("denied_connections_total", Counter, Column::Dcon, Form::Plain, rows("fl", false), "Total number of incoming connections blocked on a listener/frontend by a tcp-request connection rule since the worker process started"),
    ("denied_sessions_total", Counter, Column::Dses, Form::Plain, rows("fl", false), "Total number of incoming sessions blocked on a listener/frontend by a tcp-request connection rule since the worker process started"),
    ("failed_header_rewriting_total", Counter, Column::Wrew, Form::Plain, rows("flbs", false), "Total number of failed HTTP header rewrites since the worker process started"),
    ("connection_attempts_total", Counter, Column::Connect, Form::Plain, rows("bs", false), "Total number of outgoing connection attempts on this backend/server since the worker process started"),
    ("connection_reuses_total", Counter, Column::Reuse, Form::Plain, rows("bs", false), "Total number of reused connection on this backend/server since the worker process started"),
    ("http_cache_lookups_total", Counter, Column::CacheLookups, Form::Plain, rows("fb", true), "Total number of HTTP requests looked up in the cache on this frontend/backend since the worker process started"),
    ("http_cache_hits_total", Counter, Column::CacheHits, Form::Plain, rows("fb", true), "Total number of HTTP requests not found in the cache on this frontend/backend since the worker process started"),
    ("idle_connections_current", Gauge, Column::SrvIcur, Form::Plain, rows("s", false), "Current number of idle connections available for reuse on this server"),
    ("idle_connections_limit", Gauge, Column::SrcIlim, Form::Plain, rows("s", false), "Limit on the number of available idle connections on this server (server 'pool_max_conn' directive)"),
    ("max_queue_time_seconds", Gauge, Column::QtimeMax, Form::Milliseconds, rows("bs", false), "Maximum observed time spent in the queue"),
    ("max_connect_time_seconds", Gauge, Column::CtimeMax, Form::Milliseconds, rows("bs", false), "Maximum observed time spent waiting for a connection to complete"),
    ("max_response_time_seconds", Gauge, Column::RtimeMax, Form::Milliseconds, rows("bs", false), "Maximum observed time spent waiting for a server response"),
    ("max_total_time_seconds", Gauge, Column::TtimeMax, Form::Milliseconds, rows("bs", false), "Maximum observed total request+response time (request+queue+connect+response+processing)"),
    ("internal_errors_total", Counter, Column::Eint, Form::Plain, rows("flbs", false), "Total number of internal errors since process started"),
    ("unsafe_idle_connections_current", Gauge, Column::IdleConnCur, Form::Plain, rows("s", false), "Current number of unsafe idle connections"),
    ("safe_idle_connections_current", Gauge, Column::SafeConnCur, Form::Plain, rows("s", false), "Current number of safe idle connections"),
    ("used_connections_current", Gauge, Column::UsedConnCur, Form::Plain, rows("s", false), "Current number of connections in use"),
    ("need_connections_current", Gauge, Column::NeedConnEst, Form::Plain, rows("s", false), "Estimated needed number of connections"),
    ("uweight", Gauge, Column::Uweight, Form::Plain, rows("bs", false), "Server's user weight, or sum of active servers' user weights for a backend"),
    ("agg_server_status", Gauge, Column::AggServerStatus, Form::Servers, rows("b", false), "Backend's aggregated gauge of servers' status"),
    ("agg_server_check_status", Gauge, Column::AggServerCheckStatus, Form::Servers, rows("b", false), "Backend's aggregated gauge of servers' state check status"),
    ("agg_check_status", Gauge, Column::AggCheckStatus, Form::Checks, rows("b", false), "Backend's aggregated gauge of servers' state check status"),
];
