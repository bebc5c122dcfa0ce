//! What a client must not be able to do, and what must not be held against one.

use super::{super::control::FAREWELL, *};

fn setting(number: u8, value: u32) -> Vec<u8> {
    [&[0, number], &value.to_be_bytes()[..]].concat()
}

/// RFC 9113 §4.3.1: libraries refuse a block that does not begin with it.
#[test]
fn a_client_that_makes_its_table_smaller_is_told_once_that_none_is_used() {
    let mut pair = Pair::new();
    pair.send(Kind::Settings, 0, 0, &setting(1, 65_536));
    pair.send(Kind::Settings, 0, 0, &setting(1, 100));
    for (number, first) in [(1, [0x20, 0x88]), (3, [0x88, 0x0f])] {
        let key = pair.request(number, WHOLE, &[]).unwrap();
        pair.server.respond(key, 200, fields(), true).unwrap();
        pair.server.release(key);
        pair.collect();
        assert_eq!(pair.payloads.last().unwrap()[..2], first);
        pair.send(Kind::Settings, 0, 0, &setting(1, 0));
    }
}

/// It may use the table of RFC 9113 §6.5.2 until it has seen our settings.
#[test]
fn a_client_may_remember_fields_before_it_knows_that_we_want_a_smaller_table() {
    let limits = Limits {
        header_table: 0,
        ..limits()
    };
    let mut pair = Pair::with(Server::new(limits, now()));
    let mut block = b"\x82\x86\x84\x41\x01a\x40\x01x\x01y".to_vec();
    pair.send(Kind::Headers, WHOLE, 1, &block);
    block.truncate(3);
    block.extend(b"\xbf\xbe");
    pair.send(Kind::Headers, WHOLE, 3, &block);
    assert_eq!(pair.server.failure(), None);
    assert_eq!(pair.events().len(), 2);
}

#[test]
fn what_belongs_to_a_request_that_came_too_late_does_not_end_those_in_time() {
    let mut pair = Pair::new();
    let first = pair.request(1, WHOLE, &[]).unwrap();
    pair.server.leave();
    pair.send(Kind::Ping, ACK, 0, &FAREWELL);
    assert_eq!(pair.request(3, END_HEADERS, &[]), None);
    for padding in [0, 8] {
        pair.send(Kind::Data, padding, 3, &[0; 16_000]);
    }
    pair.send(Kind::WindowUpdate, 0, 3, &[0, 0, 0, 9]);
    pair.send(Kind::Headers, WHOLE, 3, &[]);
    pair.send(Kind::Reset, 0, 3, &[0, 0, 0, 8]);
    assert_eq!((pair.server.failure(), pair.resets()), (None, vec![]));
    pair.server.respond(first, 200, fields(), true).unwrap();
    // A number that it never used is another thing.
    pair.send(Kind::Data, 0, 5, b"x");
    assert_eq!(pair.server.failure(), Some(Code::PROTOCOL));
}

#[test]
fn frames_of_streams_that_cannot_be_are_errors_of_the_connection() {
    for (kind, payload) in [
        (Kind::Data, &b"x"[..]),
        (Kind::Reset, &[0, 0, 0, 8]),
        (Kind::WindowUpdate, &[0, 0, 0, 8]),
    ] {
        for number in [2, 7] {
            let mut pair = Pair::new();
            pair.request(5, WHOLE, &[]).unwrap();
            pair.send(kind, 0, number, payload);
            let failure = pair.server.failure();
            assert_eq!(failure, Some(Code::PROTOCOL), "{kind:?} {number}");
        }
    }
}

#[test]
fn leave_is_given_however_large_windows_are_and_however_much_of_them_is_held() {
    let limits = Limits {
        window: i32::MAX.unsigned_abs(),
        ..limits()
    };
    let mut pair = Pair::with(Server::new(limits, now()));
    pair.server.room_in -= 1 << 30;
    pair.server.return_to_all(1 << 30);
    assert_eq!(pair.server.room_in, i64::from(i32::MAX));

    // All but a little is held by streams that nobody reads: who reads gets on.
    let mut pair = Pair::new();
    let reader = pair.request(1, END_HEADERS, &[]).unwrap();
    for number in (3..33).step_by(2) {
        pair.request(number, END_HEADERS, &[]).unwrap();
        for _ in 0..4 {
            pair.send(Kind::Data, 0, number, &[0; 16_383]);
        }
    }
    for _ in 0..100 {
        pair.send(Kind::Data, 0, 1, &[0; 10_000]);
        assert_eq!(pair.server.read(reader, &mut [0; 10_000]), 10_000);
    }
    assert_eq!(pair.server.failure(), None);
}

#[test]
fn requests_that_nobody_serves_do_not_allow_for_cancelled_ones() {
    for cheap in ["too large", "refused", "ended"] {
        let mut pair = Pair::new();
        let long = "y".repeat(15_500);
        let fields: &[(&str, &str)] = match cheap {
            "too large" => &[("x", &long)],
            _ => &[],
        };
        let mut number = 1;
        if cheap == "refused" {
            for _ in 0..100 {
                pair.request(number, WHOLE, fields).unwrap();
                number += 2;
            }
        }
        if cheap == "ended" {
            let key = pair.request(number, END_HEADERS, fields).unwrap();
            pair.server.release(key);
        }
        for _ in 0..160 {
            pair.collect();
            if cheap != "ended" {
                number += 2;
            }
            pair.request(number, WHOLE, fields);
        }
        let ended = (pair.server.flood(), pair.server.failure());
        match cheap {
            "ended" => assert_eq!(ended, (None, Some(Code::PROTOCOL))),
            _ => assert_eq!(ended, (Some(Flood::Resets), None), "{cheap}"),
        }
    }
}

#[test]
fn a_client_that_asks_by_pings_how_fast_content_comes_is_no_flood() {
    let mut pair = Pair::new();
    let key = pair.request(1, WHOLE, &[]).unwrap();
    pair.server.respond(key, 200, fields(), false).unwrap();
    for _ in 0..5000 {
        pair.server.send(key, b"x", false).unwrap();
        pair.send(Kind::Ping, 0, 0, &[0; 8]);
        pair.collect();
    }
    assert_eq!(pair.server.flood(), None);
    for _ in 0..1001 {
        pair.send(Kind::Ping, 0, 0, &[0; 8]);
    }
    assert_eq!(pair.server.flood(), Some(Flood::SmallFrames));
}

#[test]
fn streams_that_waited_for_room_are_forgotten_with_their_end() {
    let mut pair = Pair::new();
    for number in (1..).step_by(2).take(100) {
        let key = pair.request(number, WHOLE, &[]).unwrap();
        pair.server.respond(key, 200, fields(), false).unwrap();
        let room = pair.server.room(key).unwrap();
        pair.server.send(key, &vec![0; room], false).unwrap();
        pair.server.room(key).unwrap();
        pair.send(Kind::Reset, 0, number, &[0, 0, 0, 8]);
        pair.server.release(key);
        pair.collect();
    }
    assert!(pair.server.blocked.is_empty());
}

#[test]
fn large_frames_are_for_content_alone() {
    for (kind, length, failure) in [
        (Kind::Data, 60_000, None),
        (Kind::Data, 60_001, Some(Code::FLOW_CONTROL)),
        (Kind::Headers, 60_000, Some(Code::COMPRESSION)),
        (Kind::Headers, 70_000, Some(Code::FRAME_SIZE)),
        (Kind::Settings, 70_000, Some(Code::FRAME_SIZE)),
        (Kind::Other, 70_000, Some(Code::FRAME_SIZE)),
    ] {
        let limits = Limits {
            frame: 1 << 20,
            window: 60_000,
            ..limits()
        };
        let mut pair = Pair::with(Server::new(limits, now()));
        pair.request(1, END_HEADERS, &[]).unwrap();
        let stream = u32::from(kind != Kind::Settings);
        pair.send(kind, END_HEADERS, stream, &vec![0xff; length]);
        assert_eq!(pair.server.failure(), failure, "{kind:?} {length}");
    }
}

#[test]
fn of_many_windows_in_one_frame_the_last_counts() {
    let mut pair = Pair::new();
    let key = pair.request(1, WHOLE, &[]).unwrap();
    let window = |value: u32| [&[0, 4][..], &value.to_be_bytes()].concat();
    pair.send(Kind::WindowUpdate, 0, 1, &1_u32.to_be_bytes());
    pair.send(
        Kind::Settings,
        0,
        0,
        &[window(i32::MAX.unsigned_abs()), window(9)].concat(),
    );
    assert_eq!(pair.server.failure(), None);
    assert_eq!(pair.server.room(key), Ok(10));
    pair.send(Kind::Settings, 0, 0, &[window(1 << 31), window(9)].concat());
    assert_eq!(pair.server.failure(), Some(Code::FLOW_CONTROL));
}
