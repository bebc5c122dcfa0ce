mod hostile;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    http2::{
        Frame,
        frame::{ACK, END_HEADERS, END_STREAM, write},
        hpack::encode,
    },
    test_clock::now,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const WHOLE: u8 = END_STREAM | END_HEADERS;

fn limits() -> Limits {
    Limits {
        header_table: 4096,
        window: 65_535,
        streams: 100,
        frame: 16_384,
        head: 15 * 1024,
        websockets: true,
    }
}

/// A client that writes frames by hand, and the connection it has.
struct Pair {
    server: Server,
    sent: Vec<Frame>,
    payloads: Vec<Vec<u8>>,
}

impl Pair {
    fn new() -> Self {
        Self::with(Server::new(limits(), now()))
    }

    fn with(server: Server) -> Self {
        let mut pair = Self {
            server,
            sent: Vec::new(),
            payloads: Vec::new(),
        };
        pair.server.receive(PREFACE, now());
        pair.send(Kind::Settings, 0, 0, &[]);
        pair.send(Kind::Settings, ACK, 0, &[]);
        pair.collect();
        pair.sent.clear();
        pair.payloads.clear();
        pair
    }

    fn send(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        write(kind, flags, stream, payload, &mut bytes);
        self.server.receive(&bytes, now());
    }

    fn request(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) -> Option<Key> {
        let mut block = Vec::new();
        let pseudo = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
        ];
        for (name, value) in pseudo.iter().chain(fields) {
            encode(name.as_bytes(), value.as_bytes(), &mut block);
        }
        self.send(Kind::Headers, flags, stream, &block);
        self.events().into_iter().find_map(|event| match event {
            Event::Request(key) => Some(key),
            Event::Stirred(_) => None,
        })
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.server.next_event()).collect()
    }

    /// Takes what the server sends.
    fn collect(&mut self) {
        let output = self.server.output().to_vec();
        self.server.sent(output.len());
        let mut rest = &output[..];
        while let Some(frame) = Frame::read(rest) {
            let (payload, after) = rest[9..].split_at(frame.length as usize);
            self.sent.push(frame);
            self.payloads.push(payload.to_vec());
            rest = after;
        }
    }

    fn resets(&mut self) -> Vec<(u32, u32)> {
        self.collect();
        let frames = self.sent.iter().zip(&self.payloads);
        let resets = frames.filter(|(frame, _)| frame.kind == Kind::Reset);
        resets
            .map(|(frame, code)| (frame.stream, u32::from(code[3])))
            .collect()
    }
}

fn fields() -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
    [(&b"server"[..], &b"x"[..])].into_iter()
}

#[test]
fn whole_requests_are_answered_when_the_client_has_ended_its_direction() {
    let mut pair = Pair::new();
    let whole = pair.request(1, WHOLE, &[]).unwrap();
    let half = pair.request(3, END_HEADERS, &[]).unwrap();
    pair.send(Kind::Data, 0, 3, b"half");
    pair.server.end();
    assert_eq!(pair.server.content(whole), Ok(Content::End));
    // What has come may be read.
    assert_eq!(pair.server.content(half), Ok(Content::Some(4)));
    pair.server.read(half, &mut [0; 4]);
    assert_eq!(pair.server.content(half), Err(Code::CANCEL));
    pair.server.release(half);
    assert!(!pair.server.is_over());
    pair.server.respond(whole, 200, fields(), true).unwrap();
    pair.server.release(whole);
    assert!(pair.server.is_over());
    pair.collect();
    assert!(
        pair.sent
            .iter()
            .any(|f| f.kind == Kind::Headers && f.stream == 1)
    );
}

#[test]
fn a_request_is_answered_and_nothing_of_it_is_left() {
    let mut pair = Pair::new();
    let key = pair.request(1, WHOLE, &[]).unwrap();
    let request = pair.server.take_request(key);
    assert_eq!(request.text, b"POST / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(request.origin, b"http://a");
    assert_eq!(pair.server.content(key), Ok(Content::End));
    pair.server.respond(key, 200, fields(), false).unwrap();
    assert!(pair.server.room(key).unwrap() >= 65_000);
    pair.server.send(key, b"body", true).unwrap();
    pair.server.recycle(key, request);
    pair.server.release(key);
    pair.collect();
    let kinds: Vec<_> = pair.sent.iter().map(|f| (f.kind, f.flags)).collect();
    assert_eq!(
        kinds,
        [(Kind::Headers, END_HEADERS), (Kind::Data, END_STREAM)]
    );
    assert!(pair.server.numbers.is_empty() && pair.server.held == 0);
    // Its place is used again.
    assert_eq!(pair.request(3, WHOLE, &[]), Some(key));
}

#[test]
fn of_a_length_that_is_said_twice_one_goes_on() {
    let mut pair = Pair::new();
    for (stream, value, length) in [(1, "5, 5", "5"), (3, "0,0", "0"), (5, "7", "7")] {
        let stated = [("content-length", value), ("content-length", length)];
        let key = pair.request(stream, END_HEADERS, &stated).unwrap();
        let text = pair.server.take_request(key).text;
        let text = String::from_utf8(text).unwrap();
        let fields = format!("host: a\r\ncontent-length: {length}\r\n\r\n");
        assert!(text.ends_with(&fields), "{text}");
    }
    for (stream, value) in [(7, "5, 6"), (9, "5,"), (11, ""), (13, "+5")] {
        let stated = [("content-length", value)];
        assert_eq!(pair.request(stream, END_HEADERS, &stated), None, "{value}");
    }
    assert_eq!(pair.resets().len(), 4);
}

#[test]
fn whose_content_is_read_may_always_send_most_of_a_window() {
    let mut pair = Pair::new();
    let key = pair.request(1, END_HEADERS, &[]).unwrap();
    let mut room = 65_535;
    for length in (1..400).map(|at| at * 37 % 4_000) {
        pair.send(Kind::Data, 0, 1, &vec![0; length]);
        pair.server.read(key, &mut vec![0; length]);
        pair.collect();
        let frames = pair.sent.drain(..).zip(pair.payloads.drain(..));
        let given =
            frames.filter(|(frame, _)| frame.kind == Kind::WindowUpdate && frame.stream == 1);
        room -= length;
        room += given
            .map(|(_, more)| u32::from_be_bytes(more[..].try_into().unwrap()) as usize)
            .sum::<usize>();
        assert!((57_000..=65_535).contains(&room), "{room}");
    }
}

#[test]
fn whoever_waits_is_told_of_content_of_room_and_of_the_end() {
    let mut pair = Pair::new();
    let key = pair.request(1, END_HEADERS, &[]).unwrap();
    assert_eq!(pair.server.content(key), Ok(Content::None));
    pair.send(Kind::Data, 0, 1, b"abc");
    assert_eq!(pair.events(), [Event::Stirred(key)]);
    assert_eq!(pair.server.content(key), Ok(Content::Some(3)));
    // Nobody waits: nobody is told.
    pair.send(Kind::Data, 0, 1, b"def");
    assert_eq!(pair.events(), []);
    let mut room = [0; 10];
    assert_eq!(pair.server.read(key, &mut room), 6);
    pair.server.respond(key, 200, fields(), false).unwrap();
    pair.server.send(key, &[0; 65_535], false).unwrap();
    assert_eq!(pair.server.room(key), Ok(0));
    pair.send(Kind::WindowUpdate, 0, 1, &100u32.to_be_bytes());
    assert_eq!(pair.events(), [Event::Stirred(key)]);
    // The connection's window is used up as well.
    assert_eq!(pair.server.room(key), Ok(0));
    pair.collect();
    pair.send(Kind::WindowUpdate, 0, 0, &100u32.to_be_bytes());
    assert_eq!(pair.events(), [Event::Stirred(key)]);
    assert_eq!(pair.server.room(key), Ok(100));
    assert_eq!(pair.server.content(key), Ok(Content::None));
    pair.send(Kind::Reset, 0, 1, &8u32.to_be_bytes());
    assert_eq!(pair.events(), [Event::Stirred(key)]);
    assert_eq!(pair.server.room(key), Err(Code::CANCEL));
    pair.server.release(key);
    assert_eq!(pair.resets(), []);
}

#[test]
fn leave_to_send_more_is_given_for_what_was_read_and_for_what_nobody_will_read() {
    let mut pair = Pair::new();
    let given = |pair: &mut Pair| -> u32 {
        pair.collect();
        let frames = pair.sent.drain(..).zip(pair.payloads.drain(..));
        let updates = frames.filter(|(f, _)| f.kind == Kind::WindowUpdate && f.stream == 0);
        updates
            .map(|(_, more)| u32::from_be_bytes(more.try_into().unwrap()))
            .sum()
    };
    let mut sent = 0;
    for (number, take) in (0..40).map(|n| (2 * n + 1, n % 2 == 0)) {
        let key = pair.request(number, END_HEADERS, &[]).unwrap();
        for _ in 0..3 {
            pair.send(Kind::Data, 0, number, &[1; 16_000]);
            sent += 16_000;
            if take {
                assert_eq!(pair.server.read(key, &mut [0; 20_000]), 16_000);
            }
        }
        pair.server.respond(key, 200, fields(), true).unwrap();
        pair.server.release(key);
    }
    assert!(pair.server.failure().is_none());
    let given = given(&mut pair);
    assert!(sent - given <= 65_535 * 4, "{given} of {sent}");
    // RFC 9113 §8.1: what still comes is not wanted.
    pair.send(Kind::Data, END_STREAM, 79, b"late");
    assert!(pair.server.failure().is_none());
}

#[test]
fn a_client_whose_requests_must_be_cancelled_all_the_time_is_cut_off() {
    let mut pair = Pair::new();
    for number in (1..).step_by(2).take(300) {
        // CVE-2025-8671: the server is made to cancel what it has begun.
        if let Some(key) = pair.request(number, END_HEADERS, &[]) {
            pair.send(Kind::WindowUpdate, 0, number, &[0; 4]);
            pair.server.release(key);
        }
    }
    assert_eq!(pair.server.flood(), Some(Flood::Resets));
    assert!(pair.server.take_malformed() <= 210);
}

#[test]
fn streams_that_nobody_has_ended_yet_count_although_their_client_cancelled_them() {
    let mut pair = Pair::new();
    for number in (1..).step_by(2).take(201) {
        pair.request(number, WHOLE, &[]);
        pair.send(Kind::Reset, 0, number, &8u32.to_be_bytes());
    }
    assert_eq!(pair.server.held, 200);
    assert_eq!(pair.resets(), [(401, 7)]);
}

#[test]
fn a_farewell_lets_requests_that_are_on_the_way_in_and_no_later_ones() {
    let mut pair = Pair::new();
    let first = pair.request(1, WHOLE, &[]).unwrap();
    pair.server.leave();
    let second = pair.request(3, WHOLE, &[]).unwrap();
    pair.collect();
    let ping = pair.sent.iter().position(|f| f.kind == Kind::Ping).unwrap();
    let question = pair.payloads[ping].clone();
    pair.send(Kind::Ping, ACK, 0, &question);
    assert_eq!(pair.request(5, WHOLE, &[]), None);
    pair.collect();
    let last = pair.payloads.last().unwrap();
    assert_eq!(last[..], [0, 0, 0, 3, 0, 0, 0, 0]);
    for key in [first, second] {
        assert!(!pair.server.is_over());
        pair.server.respond(key, 204, fields(), true).unwrap();
        pair.server.release(key);
    }
    assert!(pair.server.is_over());
}

#[test]
fn heads_and_answers_longer_than_a_frame_are_continued() {
    let mut pair = Pair::new();
    let key = pair.request(1, WHOLE, &[]).unwrap();
    let long = vec![b'y'; 40_000];
    let fields = [(&b"x"[..], &long[..])];
    pair.server
        .respond(key, 200, fields.into_iter(), true)
        .unwrap();
    pair.collect();
    let kinds: Vec<_> = pair.sent.iter().map(|f| (f.kind, f.flags)).collect();
    assert_eq!(
        kinds,
        [
            (Kind::Headers, END_STREAM),
            (Kind::Continuation, 0),
            (Kind::Continuation, END_HEADERS)
        ]
    );
}

/// What a client does to windows, and a server to streams.
#[derive(Debug, Clone)]
enum Act {
    Open,
    Send(usize, usize),
    Update(usize, u32),
    UpdateAll(u32),
    Initial(u32),
    Take,
    Cancel(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Open),
        (0usize..8, 1usize..50_000).prop_map(|(of, count)| Act::Send(of, count)),
        (0usize..8, 1u32..50_000).prop_map(|(of, more)| Act::Update(of, more)),
        (1u32..100_000).prop_map(Act::UpdateAll),
        (0u32..100_000).prop_map(Act::Initial),
        Just(Act::Take),
        (0usize..8).prop_map(Act::Cancel),
    ]
}

proptest! {
    #[test]
    fn no_more_is_ever_sent_than_the_client_has_room_for(acts in prop::collection::vec(act(), 1..200)) {
        let mut pair = Pair::new();
        let (mut number, mut initial, mut all) = (1, 65_535i64, 65_535i64);
        let mut keys = Vec::new();
        let mut rooms: BTreeMap<u32, i64> = BTreeMap::new();
        for act in acts {
            match act {
                Act::Open => {
                    if let Some(key) = pair.request(number, WHOLE, &[]) {
                        pair.server.respond(key, 200, fields(), false).unwrap();
                        keys.push((number, key));
                        rooms.insert(number, initial);
                    }
                    number += 2;
                }
                Act::Send(of, count) => {
                    if let Some(&(_, key)) = keys.get(of) {
                        let room = pair.server.room(key).unwrap();
                        pair.server.send(key, &vec![0; count.min(room)], false).unwrap();
                    }
                }
                Act::Update(of, more) => {
                    if let Some(&(of, _)) = keys.get(of) {
                        pair.send(Kind::WindowUpdate, 0, of, &more.to_be_bytes());
                        *rooms.get_mut(&of).unwrap() += i64::from(more);
                    }
                }
                Act::UpdateAll(more) => {
                    pair.send(Kind::WindowUpdate, 0, 0, &more.to_be_bytes());
                    all += i64::from(more);
                }
                Act::Initial(window) => {
                    let value = window.to_be_bytes();
                    pair.send(Kind::Settings, 0, 0, &[&[0, 4], &value[..]].concat());
                    for room in rooms.values_mut() {
                        *room += i64::from(window) - initial;
                    }
                    initial = i64::from(window);
                }
                Act::Take => pair.collect(),
                Act::Cancel(of) => {
                    if of < keys.len() {
                        let (number, key) = keys.remove(of);
                        pair.send(Kind::Reset, 0, number, &8u32.to_be_bytes());
                        pair.server.release(key);
                    }
                }
            }
            pair.events();
            // What is on the way has used its room up when it was written.
            let output = pair.server.output().len();
            prop_assert!(output <= OUTPUT + keys.len() * (GRACE + 100) + number as usize * 100 + 50_000);
        }
        pair.collect();
        let failure = pair.server.failure();
        prop_assert_eq!(failure, None);
        let mut sums: BTreeMap<u32, i64> = BTreeMap::new();
        for frame in pair.sent.iter().filter(|f| f.kind == Kind::Data) {
            *sums.entry(frame.stream).or_default() += i64::from(frame.length);
            all -= i64::from(frame.length);
        }
        prop_assert!(all >= 0);
        for &(number, key) in &keys {
            let left = rooms[&number] - sums.get(&number).copied().unwrap_or(0);
            prop_assert_eq!(left, pair.server.stream(key).unwrap().room_out);
        }
    }

    #[test]
    fn whatever_comes_means_the_same_however_it_is_cut(
        frames in prop::collection::vec((0u8..11, any::<u8>(), 0u32..9, prop::collection::vec(any::<u8>(), 0..60)), 0..40),
        step in any::<u8>(),
    ) {
        let mut bytes = vec![step];
        for (kind, flags, stream, payload) in frames {
            let length = u8::try_from(payload.len()).unwrap();
            bytes.extend([0, 0, length, kind, flags]);
            bytes.extend(stream.to_be_bytes());
            bytes.extend(payload);
        }
        crate::fuzzing::http2(&bytes);
    }

    #[test]
    fn requests_are_the_same_however_they_are_cut(
        requests in prop::collection::vec((any::<bool>(), "[a-z]{0,20}", 0usize..40_000, any::<u8>()), 1..8),
        step in any::<u8>(),
    ) {
        let mut bytes = vec![step];
        for (number, (stated, path, length, padding)) in (1..).step_by(2).zip(requests) {
            let mut block = Vec::new();
            let path = format!("/{path}");
            let digits = length.to_string();
            let mut list = vec![(":method", "PUT"), (":path", &path), (":scheme", "https"), (":authority", "b")];
            if stated {
                list.push(("content-length", &digits));
            }
            for (name, value) in list {
                encode(name.as_bytes(), value.as_bytes(), &mut block);
            }
            write(Kind::Headers, 0, number, &block[..3], &mut bytes);
            write(Kind::Continuation, END_HEADERS, number, &block[3..], &mut bytes);
            for piece in vec![7; length].chunks(16_000) {
                write(Kind::Data, 0, number, piece, &mut bytes);
            }
            let padded = [&[padding][..], &vec![0; usize::from(padding)]].concat();
            write(Kind::Data, 9, number, &padded, &mut bytes);
        }
        crate::fuzzing::http2(&bytes);
    }
}
