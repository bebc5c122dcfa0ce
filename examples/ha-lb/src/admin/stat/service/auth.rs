//! Who may see the page (`stats http-request`, `stats auth`), and which forms are not sent by somebody else's page.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use lb_core::{
    config::{StatsAccess, StatsPage},
    head::HeadRef,
    request::RequestView,
};

/// Whether a client is let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission<'p> {
    /// It is.
    Granted,
    /// It is not.
    Denied,
    /// It has to say who it is, in this realm.
    Asked(&'p str),
}

/// What the first `stats http-request` line says whose condition holds, or else `stats auth`.
pub(super) fn admission<'p>(
    page: &'p StatsPage,
    view: &RequestView<'_>,
    request: HeadRef<'_>,
) -> Admission<'p> {
    let rule = page.access.iter().find(|rule| rule.condition.holds(view));
    match rule.map(|rule| &rule.access) {
        Some(StatsAccess::Allow) => Admission::Granted,
        Some(StatsAccess::Deny) => Admission::Denied,
        Some(StatsAccess::Auth(realm)) => Admission::Asked(realm),
        None if is_admitted(page, request.value(b"authorization")) => Admission::Granted,
        None => Admission::Asked(&page.realm),
    }
}

/// RFC 7617. Without `stats auth` everyone is admitted.
fn is_admitted(page: &StatsPage, given: Option<&[u8]>) -> bool {
    if page.auth.is_empty() {
        return true;
    }
    let Some((scheme, encoded)) = given.and_then(|value| value.split_at_checked(6)) else {
        return false;
    };
    let Ok(decoded) = BASE64_STANDARD.decode(encoded.trim_ascii()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"basic ")
        && page.auth.iter().any(|(user, password)| {
            let expected = format!("{user}:{password}");
            same(expected.as_bytes(), &decoded)
        })
}

/// Takes as long for a near miss as for a far one.
fn same(expected: &[u8], given: &[u8]) -> bool {
    let differing = expected
        .iter()
        .zip(given)
        .fold(0, |differing, (a, b)| differing | (a ^ b));
    expected.len() == given.len() && differing == 0
}

/// Writes HAProxy's 401.
pub(super) fn unauthorized(realm: &str, request: HeadRef<'_>, out: &mut Vec<u8>) {
    const BODY: &str = "<html><body><h1>401 Unauthorized</h1>\nYou need a valid user and password to access this \
                        content.\n</body></html>\n";
    let realm = realm.replace('"', "\\\"");
    let head = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\
         www-authenticate: Basic realm=\"{realm}\"\r\n\r\n",
        BODY.len()
    );
    out.extend_from_slice(head.as_bytes());
    if request.method() != b"HEAD" {
        out.extend_from_slice(BODY.as_bytes());
    }
}

/// Whether a form comes from this page or from a program. Browsers send the user's password along with forms of any
/// page, but they tell where a form stands; programs tell nothing and are believed, as HAProxy believes everyone.
pub(super) fn is_from_here(request: HeadRef<'_>) -> bool {
    // Where it is sent it is right even behind a proxy that changes `Host`.
    if let Some(site) = request.value(b"sec-fetch-site") {
        return site == b"same-origin" || site == b"none";
    }
    let Some(origin) = request.value(b"origin") else {
        return true;
    };
    let host = request.value(b"host").unwrap_or_default();
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    let mut authorities = schemes
        .iter()
        .filter_map(|scheme| origin.strip_prefix(*scheme));
    authorities.any(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use lb_core::{
        head::Head,
        http1::{Leniency, Limits, Progress, RequestDecoder},
    };

    use super::*;

    fn page(auth: &[(&str, &str)]) -> StatsPage {
        StatsPage {
            uri: "/stats".to_owned(),
            realm: "HAProxy-04 Statistics".to_owned(),
            auth: auth
                .iter()
                .map(|(u, p)| ((*u).to_owned(), (*p).to_owned()))
                .collect(),
            access: Vec::new(),
            refresh: None,
            admin: None,
            hide_version: false,
            show_legends: false,
            show_node: None,
            show_desc: None,
            scope: Vec::new(),
        }
    }

    #[test]
    fn users_are_admitted_by_name_and_password() {
        let page = page(&[("admin", "password"), ("two", "b:c")]);
        let header = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        assert!(is_admitted(
            &page,
            Some(header("admin:password").as_bytes())
        ));
        assert!(is_admitted(
            &page,
            Some(header("two:b:c").replace("Basic", "basic").as_bytes())
        ));
        for wrong in [
            "admin:passwor",
            "admin:passwordx",
            "admin:",
            "two:password",
            "",
        ] {
            assert!(
                !is_admitted(&page, Some(header(wrong).as_bytes())),
                "{wrong}"
            );
        }
        assert!(!is_admitted(&page, None));
        assert!(!is_admitted(&page, Some(b"Basic ???")));
        assert!(is_admitted(&self::page(&[]), None));
    }

    #[test]
    fn the_401_is_haproxy_s() {
        let golden = include_str!("../../../../tests/golden/k8s-ingress.transcript.txt");
        let start = golden.find("HTTP/1.1 401").unwrap();
        let end = start + golden[start..].find("\n$ ").unwrap();
        let head = Head::default();
        let mut out = Vec::new();
        unauthorized("HAProxy-04 Statistics", HeadRef::new(&head, b""), &mut out);
        let answer = String::from_utf8(out).unwrap().replace('\r', "");
        let recorded = golden[start..end].replace('\r', "");
        assert_eq!(answer.trim_end(), recorded.trim_end());
    }

    #[test]
    fn forms_of_other_pages_are_refused_and_programs_are_believed() {
        let from_here = |fields: &str| {
            let bytes = format!("POST /stats HTTP/1.1\r\nHost: lb:8404\r\n{fields}\r\n");
            let mut head = Head::default();
            let limits = Limits::default();
            let mut decoder = RequestDecoder::new(limits, Leniency::HAPROXY);
            let decoded = decoder.decode(bytes.as_bytes(), &mut head);
            assert!(matches!(decoded, Ok(Progress::Complete(_))), "{fields}");
            is_from_here(HeadRef::new(&head, bytes.as_bytes()))
        };
        assert!(from_here(""));
        assert!(from_here("Origin: http://lb:8404\r\n"));
        assert!(from_here("Origin: https://LB:8404\r\n"));
        assert!(from_here(
            "Origin: https://public\r\nSec-Fetch-Site: same-origin\r\n"
        ));
        for foreign in [
            "Origin: http://evil\r\n",
            "Origin: http://lb\r\n",
            "Origin: null\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Origin: http://lb:8404\r\nSec-Fetch-Site: same-site\r\n",
        ] {
            assert!(!from_here(foreign), "{foreign}");
        }
    }
}
