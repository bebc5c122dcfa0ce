use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::{
    admin::status::State,
    demo::message::{HostView, Message, OriginView, Snapshot},
};

fn model() -> Model {
    let host = |name: &str, state, cable| HostView {
        name: name.to_owned(),
        state: Some(state),
        priority: 110,
        cable,
        speaker: true,
        balancer: true,
        restarts: 0,
    };
    let origin = |name: &str, alive, status: &str| OriginView {
        name: name.to_owned(),
        alive,
        status: status.to_owned(),
        answers: 100,
    };
    let mut model = Model::new(false);
    model.hear(&Message::Plan(vec![
        "nothing fails".into(),
        "lb1's cable is cut".into(),
    ]));
    model.hear(&Message::Look(Snapshot {
        at_ms: 12_300,
        hosts: vec![
            host("lb1", State::Fault, false),
            host("lb2", State::Active, true),
            host("lb3", State::Backup, true),
        ],
        origins: vec![
            origin("web1", true, "UP"),
            origin("web2", false, "DOWN"),
            origin("web3", true, "UP"),
            origin("web4", true, ""),
        ],
        samples: Vec::new(),
        waiting_ms: 0,
    }));
    model.hear(&Message::Step {
        at_ms: 12_000,
        number: 1,
    });
    model
}

fn drawn(width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, &model())).unwrap();
    terminal.backend().to_string()
}

#[test]
fn eighty_by_twenty_four_shows_who_holds_the_address_what_is_broken_and_the_step() {
    let screen = drawn(80, 24);
    for expected in [
        "10.77.0.10: lb2 holds it",
        "● Active 10.77.0.10",
        "╳ cable cut",
        "✕ Fault",
        "○ Backup",
        "web2 ✕",
        "found down",
        "step 2 of 2",
        "12.3 s",
        "▶ lb1's cable is cut",
        "q quit",
    ] {
        assert!(
            screen.contains(expected),
            "{expected} is missing:\n{screen}"
        );
    }
}

#[test]
fn every_window_size_is_drawn() {
    for width in [1, 10, 40, 75, 76, 77, 80, 133, 400] {
        for height in [1, 5, 21, 22, 23, 24, 50, 120] {
            let screen = drawn(width, height);
            let large_enough = width >= 76 && height >= 22;
            assert_eq!(
                screen.contains("lb2 holds it"),
                large_enough,
                "{width}x{height}\n{screen}"
            );
        }
    }
}
