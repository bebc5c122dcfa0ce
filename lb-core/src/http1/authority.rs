//! Authorities: of targets, of `Host`, and the ports that go without saying (RFC 3986 §6.2.3, RFC 9110 §4.2).

use crate::head::{Head, HeadRef};

/// Scheme and authority of an absolute target.
pub(super) fn split(target: &[u8]) -> Option<(&[u8], &[u8])> {
    if matches!(target, [b'/', ..]) {
        return None;
    }
    let scheme_end = memchr::memmem::find(target, b"://")?;
    let (scheme, rest) = target.split_at(scheme_end);
    let valid = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let rest = rest.get(3..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|b| matches!(b, b'/' | b'?'))
        .unwrap_or(rest.len());
    valid.then(|| (scheme, rest.get(..end).unwrap_or_default()))
}

/// What stands behind the colon of a port, which may be nothing.
pub(super) fn port(authority: &[u8]) -> Option<&[u8]> {
    parts(authority).1
}

/// Host and port.
fn parts(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memrchr(b':', authority) {
        Some(colon) if !authority.get(colon..).unwrap_or_default().contains(&b']') => {
            let (host, port) = authority.split_at(colon);
            (host, port.get(1..))
        }
        _ => (authority, None),
    }
}

/// The port that a scheme has without saying so.
fn default_port(scheme: &[u8]) -> Option<&'static [u8]> {
    if scheme.eq_ignore_ascii_case(b"http") {
        Some(b"80")
    } else if scheme.eq_ignore_ascii_case(b"https") {
        Some(b"443")
    } else {
        None
    }
}

/// The host alone, if the port that is written behind it is none, or that of the scheme.
pub(super) fn without_default_port<'a>(scheme: &[u8], authority: &'a [u8]) -> Option<&'a [u8]> {
    let (host, port) = parts(authority);
    let port = port?;
    (port.is_empty() || Some(port) == default_port(scheme)).then_some(host)
}

/// Whether both name one place.
pub(super) fn are_same(scheme: &[u8], a: &[u8], b: &[u8]) -> bool {
    let bare = |authority| without_default_port(scheme, authority).unwrap_or(authority);
    bare(a).eq_ignore_ascii_case(bare(b))
}

/// Whether `host` is the target of CONNECT; a port that some scheme has anyway may be left out.
pub(super) fn is_that_of_connect(target: &[u8], host: &[u8]) -> bool {
    let ((wanted, wanted_port), (name, port)) = (parts(target), parts(host));
    let usual = matches!(wanted_port, Some(b"80" | b"443"));
    let port = port.filter(|port| !port.is_empty());
    let same = port == wanted_port || port.is_none() && usual;
    same && wanted.eq_ignore_ascii_case(name)
}

/// Replaces the value of `Host`.
pub(super) fn set_host(head: &mut Head, bytes: &[u8], host: &[u8]) {
    let value = head.store(host);
    let view = HeadRef::new(head, bytes);
    let is_host = |field: &crate::head::Field| view.text(field.name).eq_ignore_ascii_case(b"host");
    let index = head.fields.iter().position(is_host);
    if let Some(field) = index.and_then(|index| head.fields.get_mut(index)) {
        field.value = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_scheme_goes_without_saying() {
        let bare = |scheme: &str, authority: &'static str| {
            without_default_port(scheme.as_bytes(), authority.as_bytes())
                .map(|host| std::str::from_utf8(host).unwrap())
        };
        assert_eq!(bare("http", "h:80"), Some("h"));
        assert_eq!(bare("https", "h:"), Some("h"));
        assert_eq!(bare("HTTPS", "[::1]:443"), Some("[::1]"));
        assert_eq!(bare("https", "h:80"), None);
        assert_eq!(bare("http", "[::1]"), None);
        assert_eq!(bare("ftp", "h:80"), None);
    }
}
