//! How long something is served, and how much memory all of it takes.

use proptest::prelude::*;

use super::*;

#[test]
fn memory_is_never_more_than_allowed_and_what_was_used_goes_last() {
    let now = test_clock::now();
    let cache = cache(|config| (config.total, config.object) = (64 << 10, 20 << 10));
    let answer = response(200, &[("etag", "\"1\"")]);
    let get = |n: usize| request("GET", &format!("/{n}"), &[]);
    let body = vec![b'x'; 7000];
    for n in 0..100 {
        exchange(&cache, now, &get(n), &answer, &body);
        assert!(
            found(&cache, now, &get(0)).is_some(),
            "{n}: the one in use went"
        );
    }
    let kept: usize = cache.listed(now).iter().map(|entry| entry.blocks).sum();
    assert_eq!(kept + cache.available_blocks(), 64);
    assert_eq!(cache.listed(now).len(), 8);
    assert!(found(&cache, now, &get(99)).is_some());
    assert!(found(&cache, now, &get(50)).is_none());
    // More than one may have is not kept, and takes nothing with it.
    let large = response(200, &[("etag", "\"1\""), ("content-length", "21504")]);
    exchange(&cache, now, &get(1000), &large, &[b'x'; 21 << 10]);
    assert!(found(&cache, now, &get(1000)).is_none());
    assert_eq!(cache.listed(now).len(), 8);
    // What is being sent keeps its memory, so it stays.
    let sending: Vec<_> = (0..100)
        .filter_map(|n| found(&cache, now, &get(n)))
        .collect();
    assert_eq!(sending.len(), 8);
    exchange(&cache, now, &get(1001), &answer, &[b'x'; 19 << 10]);
    assert!(found(&cache, now, &get(1001)).is_none());
    assert_eq!(cache.listed(now)[0].users, 1);
    drop(sending);
    exchange(&cache, now, &get(1001), &answer, &[b'x'; 19 << 10]);
    assert!(found(&cache, now, &get(1001)).is_some());
}

proptest! {
    /// A response is served as long as the least of what it says and `max-age` allows, less its age, and not a second
    /// longer; its age is told right all the time.
    #[test]
    fn nothing_is_served_past_its_time(
        most in 1u64..100,
        stated in prop::option::of(0u64..120),
        shared in prop::option::of(0u64..120),
        expires in prop::option::of(0u64..120),
        age in prop::option::of(0u64..120),
        steps in prop::collection::vec(0u64..150, 1..20),
    ) {
        let cache = cache(|config| config.max_age = Duration::from_secs(most));
        let mut fields = vec![("etag".to_owned(), "\"1\"".to_owned())];
        let mut field = |name: &str, value: String| fields.push((name.to_owned(), value));
        if let Some(stated) = stated {
            field("cache-control", format!("max-age={stated}"));
        }
        if let Some(shared) = shared {
            field("cache-control", format!("s-maxage={shared}"));
        }
        if let Some(expires) = expires {
            field("expires", http_date(DATE + expires));
        }
        if let Some(age) = age {
            field("age", age.to_string());
        }
        let said = shared.or(stated).or(expires).unwrap_or(most);
        let lifetime = said.saturating_sub(age.unwrap_or(0)).min(most);
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let (start, get) = (test_clock::now(), request("GET", "/", &[]));
        exchange(&cache, start, &get, &response(200, &fields), b"");
        for step in steps {
            let now = start + Duration::from_secs(step);
            let found = found(&cache, now, &get);
            prop_assert_eq!(found.is_some(), step < lifetime, "at {} of {}", step, lifetime);
            if let Some(found) = found {
                prop_assert_eq!(found.object.age(now), age.unwrap_or(0) + step);
            }
        }
    }

    /// Whatever is asked for and kept, no more memory is taken than there is, and all of it is given back.
    #[test]
    fn memory_is_accounted_for(
        acts in prop::collection::vec((0usize..12, 0usize..9000, 0u8..5), 1..200)
    ) {
        let now = test_clock::now();
        let cache = cache(|config| (config.total, config.object) = (40 << 10, 8 << 10));
        let answer = response(200, &[("etag", "\"1\"")]);
        let mut held = Vec::new();
        for (name, size, act) in acts {
            let get = request("GET", &format!("/{name}"), &[]);
            match act {
                0 => held.extend(found(&cache, now, &get)),
                1 => held.truncate(held.len() / 2),
                2 => {
                    let post = request("POST", &format!("/{name}"), &[]);
                    exchange(&cache, now, &post, &response(200, &[]), b"");
                }
                _ => {
                    exchange(&cache, now, &get, &answer, &vec![b'x'; size]);
                }
            }
            let kept: usize = cache.listed(now).iter().map(|entry| entry.blocks).sum();
            prop_assert!(kept + cache.available_blocks() <= 40);
        }
        held.clear();
        let kept: usize = cache.listed(now).iter().map(|entry| entry.blocks).sum();
        prop_assert_eq!(kept + cache.available_blocks(), 40);
    }
}
