//! Responses that a cache keeps, to clients that speak HTTP/2.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    cache::{cache, caches},
    common::rules,
};

#[test]
fn clients_of_both_versions_are_answered_from_the_same() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let body = "content ".repeat(20_000);
    let sent = body.clone();
    let origin = Origin::http(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let length = sent.len();
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"1\"";
        format!("{head}\r\nContent-Length: {length}\r\n\r\n{sent}").into_bytes()
    });
    let cache = cache(|_| {});
    let mut proxy = proxy(&origin);
    proxy.rules = rules(|rules| caches(rules, &cache));
    let plane = Plane::start(vec![proxy]);
    with_client(plane.address(), async |client| {
        for hit in ["0,", "1,c", "1,c"] {
            let answer = ask(&client, get("/x"), &[]).await.unwrap();
            assert_eq!((answer.status, answer.headers["x-hit"] == hit), (200, true));
            assert!(answer.body == body);
        }
        let known = request("GET", "/x", &[("if-none-match", "\"1\"")]);
        let answer = ask(&client, known, &[]).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (304, ""));
        let head = ask(&client, request("HEAD", "/x", &[]), &[]).await.unwrap();
        assert_eq!(
            head.headers["content-length"],
            body.len().to_string().as_str()
        );
        assert_eq!(head.body, "");
    });
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    plane.stop();
}
