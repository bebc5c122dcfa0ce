//! Clients that take their time: what they hold, and what they leave to others.

use super::*;

/// A response to `GET /name` that begins to come.
fn begin(cache: &Arc<Cache>, now: Instant, name: usize, length: usize) -> Option<Keeping> {
    let get = request("GET", &format!("/{name}"), &[]);
    let length = length.to_string();
    let answer = response(200, &[("etag", "\"1\""), ("content-length", &length)]);
    let mut visit = Visit::default();
    visit.look(cache, now, HeadRef::new(&get, b""));
    visit.store(cache, (now, date()), HeadRef::new(&answer, b""));
    visit.take_candidates().pop()?.begin()
}

fn finish(mut keeping: Keeping, content: &[u8]) {
    assert!(keeping.add(content));
    keeping.finish();
}

fn content(cache: &Arc<Cache>, now: Instant, name: usize) -> Option<Vec<u8>> {
    let get = request("GET", &format!("/{name}"), &[]);
    found(cache, now, &get).map(|found| found.object.body().to_vec())
}

#[test]
fn a_slow_response_keeps_nobody_from_having_a_newer_one_kept() {
    let (cache, start) = (cache(|_| {}), test_clock::now());
    let at = |ms| start + Duration::from_millis(ms);
    let mut slow = begin(&cache, start, 0, 3).unwrap();
    // Of many at once one is kept.
    assert!(begin(&cache, at(900), 0, 3).is_none());
    let newer = begin(&cache, at(1000), 0, 3).unwrap();
    assert!(begin(&cache, at(1100), 0, 3).is_none());
    finish(newer, b"new");
    assert_eq!(content(&cache, at(1200), 0).unwrap(), b"new");
    // What comes late is older than what is kept.
    assert!(!slow.add(b"old"));
    slow.finish();
    assert_eq!(content(&cache, at(1200), 0).unwrap(), b"new");
    // The other way round the newer one is the last.
    let first = begin(&cache, start, 1, 3).unwrap();
    let second = begin(&cache, at(1000), 1, 3).unwrap();
    finish(first, b"old");
    assert_eq!(content(&cache, at(1200), 1).unwrap(), b"old");
    finish(second, b"new");
    assert_eq!(content(&cache, at(1200), 1).unwrap(), b"new");
}

#[test]
fn slow_responses_of_one_name_are_few_and_the_next_one_is_kept() {
    let (cache, start) = (cache(|_| {}), test_clock::now());
    let free = cache.available_blocks();
    let at = |second| start + Duration::from_secs(second);
    let mut crowd: Vec<_> = (0..100)
        .filter_map(|second| begin(&cache, at(second), 0, 3))
        .collect();
    assert_eq!(crowd.len(), 100);
    let one = (free - cache.available_blocks()) / 4;
    // The others have given their memory back, though their clients do not move.
    assert_eq!(free - cache.available_blocks(), 4 * one);
    assert!((1..10).contains(&one));
    assert!(!crowd[95].add(b"old"));
    assert!(crowd[96].add(b"old"));
    finish(begin(&cache, at(100), 0, 3).unwrap(), b"new");
    assert_eq!(content(&cache, at(100), 0).unwrap(), b"new");
    for keeping in crowd {
        keeping.finish();
    }
    assert_eq!(content(&cache, at(100), 0).unwrap(), b"new");
    assert_eq!(free - cache.available_blocks(), one);
}

#[test]
fn slow_responses_leave_half_of_the_cache_to_what_is_kept() {
    let now = test_clock::now();
    let cache = cache(|config| (config.total, config.object) = (1 << 20, 64 << 10));
    for name in 0..6 {
        finish(
            begin(&cache, now, name, 60 << 10).unwrap(),
            &vec![b'x'; 60 << 10],
        );
    }
    let slow: Vec<_> = (100..200)
        .filter_map(|name| begin(&cache, now, name, 60 << 10))
        .collect();
    assert_eq!(slow.len(), 8);
    assert!((0..6).all(|name| content(&cache, now, name).is_some()));
    // Once they are slow they go for others, the oldest first; what has just begun does not.
    let later = now + Duration::from_secs(1);
    let others: Vec<_> = (200..300)
        .filter_map(|name| begin(&cache, later, name, 60 << 10))
        .collect();
    assert_eq!(others.len(), 8);
    assert!(slow.into_iter().all(|mut keeping| !keeping.add(b"old")));
    for (keeping, name) in others.into_iter().zip(200..) {
        finish(keeping, &vec![b'y'; 60 << 10]);
        assert!(content(&cache, later, name).is_some(), "{name}");
    }
}

#[test]
fn a_slow_response_without_a_length_ends_where_others_need_its_room() {
    let now = test_clock::now();
    let cache = cache(|config| (config.total, config.object) = (1 << 20, 256 << 10));
    let begin = |at: Instant, name: &str| {
        let mut visit = Visit::default();
        visit.look(&cache, at, HeadRef::new(&request("GET", name, &[]), b""));
        let answer = response(200, &[("etag", "\"1\"")]);
        visit.store(&cache, (at, date()), HeadRef::new(&answer, b""));
        visit.take_candidates().pop().unwrap().begin().unwrap()
    };
    let later = now + Duration::from_secs(1);
    let part = vec![b'x'; 200 << 10];
    let (mut first, mut second) = (begin(now, "/1"), begin(now, "/2"));
    assert!(first.add(&part) && second.add(&part));
    let mut third = begin(later, "/3");
    assert!(third.add(&part));
    assert!(!first.add(b"more") && second.add(b"more"));
    third.finish();
    second.finish();
    assert_eq!(cache.listed(later).len(), 2);
}

#[test]
fn what_is_being_sent_is_replaced_and_its_memory_counts_until_it_is_sent() {
    let now = test_clock::now();
    let cache = cache(|config| (config.total, config.object) = (256 << 10, 64 << 10));
    let free = cache.available_blocks();
    finish(begin(&cache, now, 0, 50_000).unwrap(), &[b'a'; 50_000]);
    let one = free - cache.available_blocks();
    let get = request("GET", "/0", &[]);
    let sending = found(&cache, now, &get).unwrap();
    // It is too old for somebody, who has it fetched again meanwhile.
    let later = now + Duration::from_secs(70);
    finish(begin(&cache, later, 0, 50_000).unwrap(), &[b'b'; 50_000]);
    assert_eq!(content(&cache, later, 0).unwrap(), [b'b'; 50_000]);
    assert_eq!(sending.object.body(), [b'a'; 50_000]);
    assert_eq!(free - cache.available_blocks(), 2 * one);
    drop(sending);
    assert_eq!(free - cache.available_blocks(), one);
}

#[test]
fn what_many_are_being_sent_goes_later_than_what_nobody_is() {
    let now = test_clock::now();
    let cache = cache(|config| (config.total, config.object) = (1 << 20, 16 << 10));
    let mut sending = Vec::new();
    let mut stored = 0;
    for name in 0..400 {
        if let Some(keeping) = begin(&cache, now, name, 7_000) {
            finish(keeping, &[b'x'; 7_000]);
            stored += 1;
        }
        if name < 100 {
            let get = request("GET", &format!("/{name}"), &[]);
            sending.push(found(&cache, now, &get).unwrap());
        }
    }
    // However many are in use, the others come and go.
    assert_eq!(stored, 400);
    assert!((0..100).all(|name| content(&cache, now, name).is_some()));
    assert!(content(&cache, now, 399).is_some());
    drop(sending);
    let kept: usize = cache.listed(now).iter().map(|entry| entry.blocks).sum();
    assert_eq!(kept + cache.available_blocks(), 1024);
}
