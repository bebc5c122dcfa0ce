//! Caches through exchanges: what is stored, what is found, and for how long.

mod bounds;
mod coming;
mod finding;
mod storing;

use super::*;
use crate::{
    head::{Head, HeadMut},
    log::date::write_http,
    test_clock,
};

/// 2026-11-20 22:51:45 GMT.
const DATE: u64 = 1_795_215_105;

fn date() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(DATE)
}

fn http_date(seconds: u64) -> String {
    let mut text = Vec::new();
    write_http(i64::try_from(seconds).unwrap(), &mut text);
    String::from_utf8(text).unwrap()
}

fn head(fields: &[(&str, &str)]) -> Head {
    let mut head = Head::default();
    let mut edit = HeadMut::new(&mut head, b"");
    for (name, value) in fields {
        edit.add(name.as_bytes(), value.as_bytes());
    }
    head
}

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Head {
    let mut request = head(fields);
    let mut edit = HeadMut::new(&mut request, b"");
    edit.set_method(method.as_bytes());
    edit.set_target(target.as_bytes());
    edit.add(b"host", b"www.example");
    request
}

fn response(status: u16, fields: &[(&str, &str)]) -> Head {
    let mut response = head(fields);
    HeadMut::new(&mut response, b"").set_status(status, b"OK");
    response
}

/// One exchange: true if the response came from the cache.
fn exchange(
    cache: &Arc<Cache>,
    now: Instant,
    request: &Head,
    response: &Head,
    body: &[u8],
) -> bool {
    let mut visit = Visit::default();
    visit.look(cache, now, HeadRef::new(request, b""));
    if visit.found().is_some() {
        return true;
    }
    visit.store(cache, (now, date()), HeadRef::new(response, b""));
    for candidate in visit.take_candidates() {
        if let Some(mut keeping) = candidate.begin()
            && keeping.add(body)
        {
            keeping.finish();
        }
    }
    false
}

fn found(cache: &Arc<Cache>, now: Instant, request: &Head) -> Option<Found> {
    let mut visit = Visit::default();
    visit.look(cache, now, HeadRef::new(request, b""));
    visit.found().cloned()
}

fn cache(adjust: impl FnOnce(&mut CacheConfig)) -> Arc<Cache> {
    let mut config = CacheConfig::new(1 << 20);
    adjust(&mut config);
    Arc::new(Cache::new("c", config))
}

/// Whether a response to a plain GET is found again.
fn is_kept(status: u16, fields: &[(&str, &str)]) -> bool {
    let (cache, now) = (cache(|_| {}), test_clock::now());
    let get = request("GET", "/", &[]);
    exchange(&cache, now, &get, &response(status, fields), b"body");
    found(&cache, now, &get).is_some()
}
