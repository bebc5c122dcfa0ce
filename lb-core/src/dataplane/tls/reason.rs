//! Errors of the library under OpenSSL's reasons, which logs and their readers know.

use std::io;

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

use crate::request::TlsReason;

/// A certificate is not good.
pub(in crate::dataplane) const UNVERIFIED: TlsReason =
    TlsReason::new(134, "certificate verify failed");
/// Nobody is to be served under that name.
pub(in crate::dataplane) const REFUSED_NAME: TlsReason = TlsReason::new(234, "callback failed");
/// Anything else.
const FAILED: TlsReason = TlsReason::new(229, "ssl handshake failure");

/// What a handshake failed over; `None` if it was not the library that said no.
pub(in crate::dataplane) fn of(error: &io::Error) -> Option<TlsReason> {
    library(error).map(reason)
}

/// What OpenSSL says to who speaks HTTP where TLS is spoken.
pub(in crate::dataplane) fn not_secured(first: &[u8]) -> Option<TlsReason> {
    match first {
        b"GET " | b"POST" | b"HEAD" | b"PUT " => Some(TlsReason::new(156, "http request")),
        b"CONN" => Some(TlsReason::new(155, "https proxy request")),
        _ => None,
    }
}

/// What the library said.
pub(in crate::dataplane) fn library(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// The reason for one of its errors.
pub(in crate::dataplane) fn reason(error: &Error) -> TlsReason {
    use PeerIncompatible as P;
    match error {
        Error::InvalidCertificate(_) => UNVERIFIED,
        Error::NoCertificatesPresented => TlsReason::new(199, "peer did not return a certificate"),
        Error::AlertReceived(alert) => alerted(*alert),
        Error::NoApplicationProtocol => TlsReason::new(235, "no application protocol"),
        Error::DecryptError => TlsReason::new(281, "decryption failed or bad record mac"),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::InvalidEmptyPayload
            | InvalidMessage::MessageTooLarge,
        ) => TlsReason::new(267, "wrong version number"),
        Error::PeerSentOversizedRecord => TlsReason::new(146, "data length too long"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            TlsReason::new(244, "unexpected message")
        }
        Error::PeerIncompatible(why) => match why {
            P::NoCipherSuitesInCommon => TlsReason::new(193, "no shared cipher"),
            P::NoKxGroupsInCommon | P::NamedGroupsExtensionRequired => {
                TlsReason::new(101, "no suitable key share")
            }
            P::NoSignatureSchemesInCommon
            | P::SignatureAlgorithmsExtensionRequired
            | P::NoCertificateRequestSignatureSchemesInCommon => {
                TlsReason::new(118, "no suitable signature algorithm")
            }
            P::ServerDoesNotSupportTls12Or13
            | P::ServerTlsVersionIsDisabledByOurConfig
            | P::SupportedVersionsExtensionRequired
            | P::Tls12NotOffered
            | P::Tls12NotOfferedOrEnabled => TlsReason::new(258, "unsupported protocol"),
            _ => FAILED,
        },
        _ => FAILED,
    }
}

/// An alert of the peer: a thousand and its number.
fn alerted(alert: AlertDescription) -> TlsReason {
    let number = u8::from(alert);
    let text = match number {
        10 => "sslv3 alert unexpected message",
        20 => "sslv3 alert bad record mac",
        40 => "sslv3 alert handshake failure",
        42 => "sslv3 alert bad certificate",
        43 => "sslv3 alert unsupported certificate",
        44 => "sslv3 alert certificate revoked",
        45 => "sslv3 alert certificate expired",
        46 => "sslv3 alert certificate unknown",
        47 => "sslv3 alert illegal parameter",
        48 => "tlsv1 alert unknown ca",
        49 => "tlsv1 alert access denied",
        50 => "tlsv1 alert decode error",
        51 => "tlsv1 alert decrypt error",
        70 => "tlsv1 alert protocol version",
        71 => "tlsv1 alert insufficient security",
        80 => "tlsv1 alert internal error",
        86 => "tlsv1 alert inappropriate fallback",
        90 => "tlsv1 alert user cancelled",
        109 => "tlsv13 alert missing extension",
        110 => "tlsv1 unsupported extension",
        112 => "tlsv1 unrecognized name",
        113 => "tlsv1 bad certificate status response",
        116 => "tlsv13 alert certificate required",
        120 => "tlsv1 alert no application protocol",
        _ => return TlsReason::new(1000 + u16::from(number), "alert"),
    };
    TlsReason::new(1000 + u16::from(number), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_says_has_openssls_number() {
        let of = |error: Error| reason(&error).to_string();
        assert_eq!(
            of(PeerIncompatible::NoCipherSuitesInCommon.into()),
            "error:0A0000C1:SSL routines::no shared cipher"
        );
        assert_eq!(
            of(Error::AlertReceived(AlertDescription::UnknownCA)),
            "error:0A000418:SSL routines::tlsv1 alert unknown ca"
        );
        assert_eq!(super::of(&io::ErrorKind::UnexpectedEof.into()), None);
    }
}
