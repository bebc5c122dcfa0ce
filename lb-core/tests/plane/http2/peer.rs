//! Beside another implementation: what the `h2` crate writes with all of header compression and flow control arrives,
//! and what comes back is what it reads.

use proptest::prelude::*;

use super::{ask, proxy, request, with_client};
use crate::common::{Origin, Plane};

/// A request: fields, some of them again and again, and content.
type Message = (Vec<(String, String)>, Option<usize>);

fn message() -> impl Strategy<Value = Message> {
    let name = "x-[a-c]|x-[a-z]{1,20}|accept|user-agent|x-long-name-that-takes-room";
    let value = "[ -~]{0,60}|[a-z]{1,4}|[0-9]{300}";
    let fields = prop::collection::vec((name, value), 0..12);
    (fields, prop::option::of(0usize..200_000))
}

/// Lines of a head, in no order: the library groups fields of a name.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.sort_unstable();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn requests_arrive_and_answers_come_back_whatever_is_in_them(messages in prop::collection::vec(message(), 1..12)) {
        let origin = Origin::echo();
        let plane = Plane::start(vec![proxy(&origin)]);
        let answers = with_client(plane.address(), async |client| {
            let mut answers = Vec::new();
            for (at, (fields, length)) in messages.iter().enumerate() {
                let mut list: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                let digits = length.map(|length| length.to_string());
                let content = length.map(|length| "x".repeat(length));
                list.extend(digits.iter().map(|digits| ("content-length", digits.as_str())));
                let request = request("POST", &format!("/{at}"), &list);
                let pieces: Vec<&str> = content.iter().map(String::as_str).collect();
                answers.push(ask(&client, request, &pieces).await.unwrap());
            }
            answers
        });
        for (at, (answer, (fields, length))) in answers.iter().zip(&messages).enumerate() {
            prop_assert_eq!(answer.status, 200);
            let (head, body) = answer.body.split_once("\r\n\r\n").unwrap();
            let line = format!("POST /{at} HTTP/1.1");
            prop_assert_eq!(head.lines().next(), Some(line.as_str()));
            let mut wanted = vec!["host: web.test".to_owned()];
            wanted.extend(fields.iter().map(|(name, value)| format!("{name}: {}", value.trim())));
            wanted.extend(length.map(|length| format!("content-length: {length}")));
            wanted.sort_unstable();
            prop_assert_eq!(lines(head), wanted);
            prop_assert_eq!(body.len(), length.unwrap_or(0));
        }
        plane.stop();
    }
}
