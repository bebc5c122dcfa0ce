//! The answers this proxy gives itself, with the wording that HAProxy's users know (and grep for).

use super::{ConnectionOption, write::write_number};

/// Reason phrase and sentence of the page for `status`; 500's for a status without a page.
pub fn page(status: u16) -> (&'static str, &'static str) {
    match status {
        200 => ("OK", "Service ready."),
        400 => ("Bad request", "Your browser sent an invalid request."),
        401 | 407 => (
            "Unauthorized",
            "You need a valid user and password to access this content.",
        ),
        403 => ("Forbidden", "Request forbidden by administrative rules."),
        404 => ("Not Found", "The resource could not be found."),
        405 => (
            "Method Not Allowed",
            "A request was made of a resource using a request method not supported by that resource",
        ),
        408 => (
            "Request Time-out",
            "Your browser didn't send a complete request in time.",
        ),
        410 => (
            "Gone",
            "The resource is no longer available and will not be available again.",
        ),
        413 => (
            "Payload Too Large",
            "The request entity exceeds the maximum allowed.",
        ),
        417 => (
            "Expectation Failed",
            "The expectation of the request cannot be met.",
        ),
        421 => (
            "Misdirected Request",
            "Request sent to a non-authoritative server.",
        ),
        422 => (
            "Unprocessable Content",
            "The server cannot process the contained instructions.",
        ),
        425 => ("Too Early", "Your browser sent early data."),
        429 => (
            "Too Many Requests",
            "You have sent too many requests in a given amount of time.",
        ),
        501 => (
            "Not Implemented",
            "The server does not support the functionality required to fulfill the request.",
        ),
        502 => (
            "Bad Gateway",
            "The server returned an invalid or incomplete response.",
        ),
        503 => (
            "Service Unavailable",
            "No server is available to handle this request.",
        ),
        504 => ("Gateway Time-out", "The server didn't respond in time."),
        505 => (
            "HTTP Version Not Supported",
            "The protocol version of the request is not supported.",
        ),
        _ => (
            "Internal Server Error",
            "An internal server error occurred.",
        ),
    }
}

/// Reason phrase of a status: that of its page, of the registry, or of its class.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        402 => "Payment Required",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        418 => "I'm a teapot",
        423 => "Locked",
        424 => "Failed Dependency",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        507 => "Insufficient Storage",
        511 => "Network Authentication Required",
        500 => page(status).0,
        _ => match (page(status).0 == page(500).0, status / 100) {
            (false, _) => page(status).0,
            (_, 1) => "Informational",
            (_, 2) => "Success",
            (_, 3) => "Redirection",
            (_, 4) => "Client Error",
            (_, 5) => "Server Error",
            _ => "Other",
        },
    }
}

/// Appends an error page with its head: lower-case names, then `extra` fields, then `connection`. An answer to
/// HEAD has the same head and no body.
pub fn write_error_page(
    status: u16,
    extra: &[(&[u8], &[u8])],
    connection: ConnectionOption,
    head_only: bool,
    out: &mut Vec<u8>,
) {
    let (reason, sentence) = page(status);
    start(status, reason, out);
    out.extend_from_slice(b"content-length: ");
    write_number(body_len(status, reason, sentence), out);
    out.extend_from_slice(b"\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n");
    for (name, value) in extra {
        super::write_field(name, value, out);
    }
    finish(connection, out);
    if !head_only {
        write_body(status, reason, sentence, out);
    }
}

/// Appends an error page as HAProxy sends it when there is no valid request to answer: old-style names and
/// always closing.
pub fn write_raw_error_page(status: u16, out: &mut Vec<u8>) {
    let (reason, sentence) = page(status);
    start(status, reason, out);
    out.extend_from_slice(b"Content-length: ");
    write_number(body_len(status, reason, sentence), out);
    out.extend_from_slice(
        b"\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n",
    );
    write_body(status, reason, sentence, out);
}

/// Appends a redirect without a body; `extra` holds `set-cookie` and the like.
pub fn write_redirect(
    status: u16,
    location: &[u8],
    extra: &[(&[u8], &[u8])],
    connection: ConnectionOption,
    out: &mut Vec<u8>,
) {
    start(status, reason_phrase(status), out);
    out.extend_from_slice(b"content-length: 0\r\nlocation: ");
    out.extend_from_slice(location);
    out.extend_from_slice(b"\r\n");
    if matches!(status, 302 | 303 | 307) {
        out.extend_from_slice(b"cache-control: no-cache\r\n");
    }
    for (name, value) in extra {
        super::write_field(name, value, out);
    }
    finish(connection, out);
}

fn start(status: u16, reason: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    write_number(u64::from(status), out);
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn finish(connection: ConnectionOption, out: &mut Vec<u8>) {
    out.extend_from_slice(match connection {
        ConnectionOption::Close => b"connection: close\r\n\r\n",
        ConnectionOption::KeepAlive => b"connection: keep-alive\r\n\r\n".as_slice(),
        ConnectionOption::Absent | ConnectionOption::Upgrade => b"\r\n",
    });
}

const OPEN: &[u8] = b"<html><body><h1>";
const MIDDLE: &[u8] = b"</h1>\n";
const CLOSE: &[u8] = b"\n</body></html>\n";

fn body_len(_status: u16, reason: &str, sentence: &str) -> u64 {
    (OPEN.len() + "400 ".len() + reason.len() + MIDDLE.len() + sentence.len() + CLOSE.len()) as u64
}

fn write_body(status: u16, reason: &str, sentence: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(OPEN);
    write_number(u64::from(status), out);
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(MIDDLE);
    out.extend_from_slice(sentence.as_bytes());
    out.extend_from_slice(CLOSE);
}
