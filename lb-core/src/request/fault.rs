//! Why connections fail, under the numbers and in the words of HAProxy (manual 7.3.3, "fc_err_str") and OpenSSL.

use std::fmt;

/// What went wrong with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The client left before its PROXY header.
    ProxyEmpty = 11,
    /// Its connection broke before that.
    ProxyAborted = 12,
    /// The header took too long.
    ProxyTimeout = 13,
    /// The client left in the middle of it.
    ProxyTruncated = 14,
    /// There is something else in its place.
    NoProxy = 15,
    /// It is malformed.
    ProxyHeader = 16,
    /// It tells of a protocol that is not known.
    ProxyProtocol = 17,
    /// The peer left before it had said anything whole.
    Empty = 24,
    /// Its connection broke before that.
    Aborted = 25,
    /// The handshake took too long.
    Timeout = 26,
    /// There are as many sessions as there may be.
    TooMany = 27,
    /// A certificate above the client's is not good.
    Authority = 30,
    /// The client's certificate is not good.
    Certificate = 31,
    /// The server's certificate is not for the host that its line names.
    NotConfiguredHost = 32,
    /// The server's certificate is not for the host that was asked for.
    NotExpectedHost = 33,
    /// The handshake failed in another way.
    Handshake = 34,
}

impl Trouble {
    /// HAProxy's number for it.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// HAProxy's words for it.
    pub fn text(self) -> &'static str {
        match self {
            Self::ProxyEmpty => "Connection closed while waiting for PROXY protocol header",
            Self::ProxyAborted => "Connection error while waiting for PROXY protocol header",
            Self::ProxyTimeout => "Timeout while waiting for PROXY protocol header",
            Self::ProxyTruncated => "Truncated PROXY protocol header received",
            Self::NoProxy => "Received something which does not look like a PROXY protocol header",
            Self::ProxyHeader => "Received an invalid PROXY protocol header",
            Self::ProxyProtocol => "Received an unhandled protocol in the PROXY protocol header",
            Self::Empty => "Connection closed during SSL handshake",
            Self::Aborted => "Connection error during SSL handshake",
            Self::Timeout => "Timeout during SSL handshake",
            Self::TooMany => "Too many SSL connections",
            Self::Authority => "SSL client CA chain cannot be verified",
            Self::Certificate => "SSL client certificate not trusted",
            Self::NotConfiguredHost => {
                "Server presented an SSL certificate different from the configured one"
            }
            Self::NotExpectedHost => {
                "Server presented an SSL certificate different from the expected one"
            }
            Self::Handshake => "SSL handshake failure",
        }
    }

    /// Whether nothing was exchanged: probes end so (`option dontlognull`).
    pub fn is_of_silence(self) -> bool {
        matches!(
            self,
            Self::ProxyEmpty | Self::ProxyAborted | Self::Empty | Self::Aborted
        )
    }
}

/// What the TLS library said, as OpenSSL would have: one of its reasons (`SSL_R_...`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsReason {
    code: u16,
    text: &'static str,
}

/// OpenSSL's number for itself in errors (`ERR_LIB_SSL`), in its place.
const LIBRARY: u32 = 20 << 23;

impl TlsReason {
    /// The reason of that number.
    pub const fn new(code: u16, text: &'static str) -> Self {
        Self { code, text }
    }

    /// What `openssl errstr` takes.
    pub fn number(self) -> u32 {
        LIBRARY | u32::from(self.code)
    }
}

/// `error:0A0000C1:SSL routines::no shared cipher`.
impl fmt::Display for TlsReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error:{:08X}:SSL routines::{}", self.number(), self.text)
    }
}

/// Why a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What it was.
    pub trouble: Trouble,
    /// What the TLS library said, if that said no.
    pub reason: Option<TlsReason>,
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self {
            trouble,
            reason: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssl_knows_the_numbers() {
        let reason = TlsReason::new(193, "no shared cipher");
        assert_eq!(reason.number(), 0x0a00_00c1);
        assert_eq!(
            reason.to_string(),
            "error:0A0000C1:SSL routines::no shared cipher"
        );
        assert_eq!(Trouble::Handshake.number(), 34);
    }
}
