//! Responses whose cookie a cache on the way could keep and hand to others (`option checkcache`).

use crate::{
    expr::fetch::target::members,
    head::HeadRef,
    http1::{Method, is_token},
};

/// Whether a response with this head to a request of `method` sets a cookie and may be cached with it.
pub fn is_cacheable_with_cookie(method: Method, response: HeadRef<'_>) -> bool {
    if response.value(b"set-cookie").is_none() {
        return false;
    }
    let safe = matches!(
        method,
        Method::Get | Method::Head | Method::Options | Method::Trace
    );
    let kept = matches!(
        response.status(),
        200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501
    );
    let is_no_cache = |member: &[u8]| member.eq_ignore_ascii_case(b"no-cache");
    let pragma = response
        .values(b"pragma")
        .flat_map(members)
        .any(is_no_cache);
    let mut cacheable = safe && kept && !pragma;
    // RFC 9111 §3: without a word about its age and without a validator there is nothing that a cache could go by.
    let known = |name| response.value(name).is_some();
    let mut storable = known(b"expires") || known(b"etag") || known(b"last-modified");
    for member in response.values(b"cache-control").flat_map(members) {
        if member.eq_ignore_ascii_case(b"public") {
            (cacheable, storable) = (true, true);
        } else if forbids(member) {
            cacheable = false;
        } else {
            storable |= says_age(member);
        }
    }
    cacheable && storable
}

/// `max-age` or `s-maxage`.
fn says_age(member: &[u8]) -> bool {
    let name = member.split(|b| *b == b'=').next().unwrap_or_default();
    [&b"max-age"[..], b"s-maxage"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a member of `Cache-Control` keeps the cookie out of caches.
fn forbids(member: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"private",
        b"no-cache",
        b"no-store",
        b"max-age=0",
        b"s-maxage=0",
    ];
    const COOKIE: &[u8] = b"no-cache=\"set-cookie";
    let is = |word: &&[u8]| member.eq_ignore_ascii_case(word);
    let (front, behind) = member.split_at(member.len().min(COOKIE.len()));
    let whole = behind.first().is_some_and(|b| !is_token(&[*b]));
    WORDS.iter().any(is) || front.eq_ignore_ascii_case(COOKIE) && whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::testing::World;

    #[test]
    fn a_cookie_that_a_cache_could_keep_is_found() {
        const COOKIE: &str = "Set-Cookie: a=1";
        const TAG: &str = "ETag: t";
        for (method, status, lines, cacheable) in [
            (Method::Get, 200, &[COOKIE][..], false),
            (Method::Get, 200, &[COOKIE, TAG], true),
            (Method::Get, 200, &[COOKIE, "Last-Modified: now"], true),
            (Method::Get, 200, &[COOKIE, "Expires: never"], true),
            (
                Method::Get,
                200,
                &[COOKIE, "Cache-Control: a, s-maxage=9"],
                true,
            ),
            (Method::Get, 200, &[TAG], false),
            (Method::Get, 302, &[COOKIE, TAG], false),
            (Method::Get, 302, &[COOKIE, "Cache-Control: public"], true),
            (Method::Post, 200, &[COOKIE, TAG], false),
            (
                Method::Post,
                200,
                &[COOKIE, "cache-control: max-age=9, PUBLIC"],
                true,
            ),
            (Method::Get, 200, &[COOKIE, TAG, "Pragma: no-cache"], false),
            (
                Method::Get,
                200,
                &[COOKIE, TAG, "Cache-Control: max-age=0"],
                false,
            ),
            (
                Method::Get,
                200,
                &[COOKIE, "Cache-Control: max-age=09"],
                true,
            ),
            (
                Method::Get,
                200,
                &[COOKIE, TAG, "Cache-Control: a, no-store"],
                false,
            ),
            (
                Method::Get,
                200,
                &[COOKIE, TAG, "Cache-Control: no-cache=\"Set-Cookie\""],
                false,
            ),
            (
                Method::Get,
                200,
                &[COOKIE, TAG, "Cache-Control: no-cache=\"set-cookie, x\""],
                false,
            ),
            (
                Method::Get,
                200,
                &[COOKIE, TAG, "Cache-Control: no-cache=\"set-cookie2\""],
                true,
            ),
            (
                Method::Get,
                200,
                &[COOKIE, TAG, "Cache-Control: no-cache=\"x, private\""],
                true,
            ),
            (
                Method::Get,
                200,
                &[COOKIE, TAG, r#"Cache-Control: ext="a\"b", private"#],
                false,
            ),
            (
                Method::Get,
                200,
                &[COOKIE, TAG, r#"Cache-Control: ext="a\", private, b""#],
                true,
            ),
        ] {
            let world = World::new().response(status, lines);
            let head = world.view().response.unwrap();
            assert_eq!(
                is_cacheable_with_cookie(method, head),
                cacheable,
                "{method:?} {status} {lines:?}"
            );
        }
    }
}
