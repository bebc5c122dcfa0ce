//! The table of `%` variables. Manual 8.2.4.

/// What a `%` variable stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// Bytes sent to the client.
    BytesRead,
    /// Captured cookie of the request.
    RequestCookie,
    /// Captured cookie of the response.
    ResponseCookie,
    /// Method of the request.
    HttpMethod,
    /// Host name or a counter of lines, which a line here does not know: written as missing.
    Elsewhere,
    /// Number of the process.
    ProcessId,
    /// A number that no other use of it gets.
    RequestNumber,
    /// Path of the request without the query.
    HttpPath,
    /// Path of the request without origin and query.
    HttpPathOnly,
    /// Query of the request with its question mark.
    HttpQuery,
    /// Target of the request.
    HttpUri,
    /// HTTP version of the request.
    HttpVersion,
    /// Unique id.
    UniqueId,
    /// Status sent to the client.
    Status,
    /// Date of acceptance, GMT.
    DateGmt,
    /// Active time of the request in milliseconds.
    TimeActive,
    /// Time of connecting to the server.
    TimeConnect,
    /// Time of transferring the response.
    TimeData,
    /// Time of handshakes.
    TimeHandshake,
    /// Idle time before the request.
    TimeIdle,
    /// Date of acceptance, local time with zone.
    DateLocal,
    /// Handshake, idle and request time together.
    TimeAll,
    /// Time of receiving the request head.
    TimeRequest,
    /// Time of waiting for the response head.
    TimeResponse,
    /// Date of acceptance in seconds since 1970.
    Timestamp,
    /// Total time of the stream.
    TimeTotal,
    /// Total time as the user sees it: without idle time.
    TimeUser,
    /// Time in queues.
    TimeQueue,
    /// Bytes received from the client.
    BytesUploaded,
    /// Connections of the process.
    ProcessConnections,
    /// Name of the backend.
    Backend,
    /// Connections of the backend.
    BackendConnections,
    /// Our address towards the server.
    BackendIp,
    /// Our port towards the server.
    BackendPort,
    /// Place in the backend's queue.
    BackendQueue,
    /// Address of the client.
    ClientIp,
    /// Port of the client.
    ClientPort,
    /// Name of the frontend.
    Frontend,
    /// Connections of the frontend.
    FrontendConnections,
    /// Address the client connected to.
    FrontendIp,
    /// Port the client connected to.
    FrontendPort,
    /// Name of the frontend, with ~ for TLS.
    FrontendTransport,
    /// Captured request headers in braces.
    RequestCaptures,
    /// Captured request headers one by one.
    RequestCaptureList,
    /// Captured response headers in braces.
    ResponseCaptures,
    /// Captured response headers one by one.
    ResponseCaptureList,
    /// Milliseconds of the date of acceptance.
    Milliseconds,
    /// Request line.
    Request,
    /// Connection retries, with + after a redispatch.
    Retries,
    /// Name of the server.
    Server,
    /// Connections of the server.
    ServerConnections,
    /// Address of the server.
    ServerIp,
    /// Port of the server.
    ServerPort,
    /// Place in the server's queue.
    ServerQueue,
    /// TLS cipher suite of the client connection.
    TlsCipher,
    /// TLS version of the client connection.
    TlsVersion,
    /// Date of acceptance with milliseconds.
    Date,
    /// Date of the request's first byte with milliseconds.
    RequestDate,
    /// Date of the request's first byte, GMT.
    RequestDateGmt,
    /// Date of the request's first byte, local time with zone.
    RequestDateLocal,
    /// Termination state.
    TerminationShort,
    /// Termination state with cookie flags.
    Termination,
}

/// (name without `%`, meaning, one sentence).
pub const VARIABLES: &[(&str, Variable, &str)] = &[
    ("B", Variable::BytesRead, "Bytes sent to the client."),
    (
        "CC",
        Variable::RequestCookie,
        "Captured cookie of the request.",
    ),
    (
        "CS",
        Variable::ResponseCookie,
        "Captured cookie of the response.",
    ),
    ("HM", Variable::HttpMethod, "Method of the request."),
    (
        "HP",
        Variable::HttpPath,
        "Path of the request without the query.",
    ),
    (
        "HPO",
        Variable::HttpPathOnly,
        "Path of the request without origin and query.",
    ),
    (
        "HQ",
        Variable::HttpQuery,
        "Query of the request with its question mark.",
    ),
    ("HU", Variable::HttpUri, "Target of the request."),
    ("HV", Variable::HttpVersion, "HTTP version of the request."),
    ("ID", Variable::UniqueId, "Unique id."),
    ("ST", Variable::Status, "Status sent to the client."),
    ("T", Variable::DateGmt, "Date of acceptance, GMT."),
    (
        "Ta",
        Variable::TimeActive,
        "Active time of the request in milliseconds.",
    ),
    (
        "Tc",
        Variable::TimeConnect,
        "Time of connecting to the server.",
    ),
    (
        "Td",
        Variable::TimeData,
        "Time of transferring the response.",
    ),
    ("Th", Variable::TimeHandshake, "Time of handshakes."),
    ("Ti", Variable::TimeIdle, "Idle time before the request."),
    (
        "Tl",
        Variable::DateLocal,
        "Date of acceptance, local time with zone.",
    ),
    (
        "Tq",
        Variable::TimeAll,
        "Handshake, idle and request time together.",
    ),
    (
        "TR",
        Variable::TimeRequest,
        "Time of receiving the request head.",
    ),
    (
        "Tr",
        Variable::TimeResponse,
        "Time of waiting for the response head.",
    ),
    (
        "Ts",
        Variable::Timestamp,
        "Date of acceptance in seconds since 1970.",
    ),
    ("Tt", Variable::TimeTotal, "Total time of the stream."),
    (
        "Tu",
        Variable::TimeUser,
        "Total time as the user sees it: without idle time.",
    ),
    ("Tw", Variable::TimeQueue, "Time in queues."),
    (
        "U",
        Variable::BytesUploaded,
        "Bytes received from the client.",
    ),
    (
        "ac",
        Variable::ProcessConnections,
        "Connections of the process.",
    ),
    ("b", Variable::Backend, "Name of the backend."),
    (
        "bc",
        Variable::BackendConnections,
        "Connections of the backend.",
    ),
    ("bi", Variable::BackendIp, "Our address towards the server."),
    ("bp", Variable::BackendPort, "Our port towards the server."),
    (
        "bq",
        Variable::BackendQueue,
        "Place in the backend's queue.",
    ),
    ("ci", Variable::ClientIp, "Address of the client."),
    ("cp", Variable::ClientPort, "Port of the client."),
    ("f", Variable::Frontend, "Name of the frontend."),
    (
        "fc",
        Variable::FrontendConnections,
        "Connections of the frontend.",
    ),
    (
        "fi",
        Variable::FrontendIp,
        "Address the client connected to.",
    ),
    (
        "fp",
        Variable::FrontendPort,
        "Port the client connected to.",
    ),
    (
        "ft",
        Variable::FrontendTransport,
        "Name of the frontend, with ~ for TLS.",
    ),
    (
        "hr",
        Variable::RequestCaptures,
        "Captured request headers in braces.",
    ),
    (
        "hrl",
        Variable::RequestCaptureList,
        "Captured request headers one by one.",
    ),
    (
        "hs",
        Variable::ResponseCaptures,
        "Captured response headers in braces.",
    ),
    (
        "hsl",
        Variable::ResponseCaptureList,
        "Captured response headers one by one.",
    ),
    (
        "ms",
        Variable::Milliseconds,
        "Milliseconds of the date of acceptance.",
    ),
    ("r", Variable::Request, "Request line."),
    (
        "rc",
        Variable::Retries,
        "Connection retries, with + after a redispatch.",
    ),
    ("s", Variable::Server, "Name of the server."),
    (
        "sc",
        Variable::ServerConnections,
        "Connections of the server.",
    ),
    ("si", Variable::ServerIp, "Address of the server."),
    ("sp", Variable::ServerPort, "Port of the server."),
    ("sq", Variable::ServerQueue, "Place in the server's queue."),
    (
        "sslc",
        Variable::TlsCipher,
        "TLS cipher suite of the client connection.",
    ),
    (
        "sslv",
        Variable::TlsVersion,
        "TLS version of the client connection.",
    ),
    ("t", Variable::Date, "Date of acceptance with milliseconds."),
    (
        "tr",
        Variable::RequestDate,
        "Date of the request's first byte with milliseconds.",
    ),
    (
        "trg",
        Variable::RequestDateGmt,
        "Date of the request's first byte, GMT.",
    ),
    (
        "trl",
        Variable::RequestDateLocal,
        "Date of the request's first byte, local time with zone.",
    ),
    ("ts", Variable::TerminationShort, "Termination state."),
    (
        "tsc",
        Variable::Termination,
        "Termination state with cookie flags.",
    ),
    (
        "H",
        Variable::Elsewhere,
        "Host name; not known to lines here.",
    ),
    (
        "lc",
        Variable::Elsewhere,
        "Number of lines of the frontend; not known to lines here.",
    ),
    ("pid", Variable::ProcessId, "Process id."),
    (
        "rt",
        Variable::RequestNumber,
        "A number that no other use of it gets.",
    ),
];
