use super::*;

const SCRIPT: Object = Object::Script(1);
const LINK: Object = Object::Interface(7);

fn track(object: Object, weight: i16) -> Track {
    Track {
        object,
        weight,
        reverse: false,
    }
}

fn priority(tracks: &[(Track, Health)], base: u8) -> Verdict {
    let mut all = Tracks::new(tracks.iter().map(|(track, _)| *track));
    for (track, health) in tracks {
        all.set(track.object, *health);
    }
    all.verdict(Priority::new(base))
}

#[test]
fn weights_move_the_priority_by_keepalived_s_rules() {
    let table = [
        (10, false, Health::Up, 110),
        (10, false, Health::Down, 100),
        (-10, false, Health::Up, 100),
        (-10, false, Health::Down, 90),
        (10, true, Health::Up, 90),
        (10, true, Health::Down, 100),
        (-10, true, Health::Up, 100),
        (-10, true, Health::Down, 110),
        (253, false, Health::Up, 254),
        (-253, false, Health::Down, 1),
    ];
    for (weight, reverse, health, expected) in table {
        let track = Track {
            object: SCRIPT,
            weight,
            reverse,
        };
        assert_eq!(
            priority(&[(track, health)], 100),
            Verdict::Priority(Priority::new(expected)),
            "weight {weight} reverse {reverse} {health:?}"
        );
    }
}

#[test]
fn weight_zero_faults_and_reverse_turns_it_round() {
    let plain = track(LINK, 0);
    let reverse = Track {
        reverse: true,
        ..plain
    };
    let fault = Verdict::Fault(FaultReason::Tracked(LINK));
    let fine = Verdict::Priority(Priority::new(100));
    assert_eq!(priority(&[(plain, Health::Down)], 100), fault);
    assert_eq!(priority(&[(plain, Health::Up)], 100), fine);
    assert_eq!(priority(&[(reverse, Health::Up)], 100), fault);
    assert_eq!(priority(&[(reverse, Health::Down)], 100), fine);
}

#[test]
fn a_file_adds_its_value_times_the_weight_and_faults_at_minus_254() {
    // As keepalived 2.2.7 has it, but for the words.
    let table = [
        (5, 1, false, Some(105)),
        (-3, 1, false, Some(97)),
        (300, 1, false, Some(254)),
        (-253, 1, false, Some(1)),
        (-254, 1, false, None),
        (5, 10, false, Some(150)),
        (5, 10, true, Some(50)),
        (5, -10, true, Some(150)),
        (-26, 10, false, None),
        (-26, 10, true, Some(254)),
        (5, 254, true, None),
        (i32::MIN, 254, false, None),
        (i32::MAX, 254, false, Some(254)),
        (5, 0, false, None),
        (0, 0, false, Some(100)),
        (5, 0, true, Some(100)),
        (0, 0, true, None),
    ];
    const FILE: Object = Object::File(2);
    for (value, weight, reverse, expected) in table {
        let track = Track {
            object: FILE,
            weight,
            reverse,
        };
        let expected = expected.map_or(Verdict::Fault(FaultReason::Tracked(FILE)), |priority| {
            Verdict::Priority(Priority::new(priority))
        });
        let health = Health::Value(value);
        assert_eq!(
            priority(&[(track, health)], 100),
            expected,
            "value {value} weight {weight} reverse {reverse}"
        );
    }
}

#[test]
fn what_is_not_known_yet_can_be_taken_for_harmless() {
    for object in [SCRIPT, LINK, Object::File(2), Object::Process(3)] {
        for (weight, reverse) in [(0, false), (0, true), (9, false), (9, true)] {
            let track = Track {
                object,
                weight,
                reverse,
            };
            assert_ne!(track.effect(track.harmless()), Some(Effect::Fault));
        }
    }
}

#[test]
fn a_script_without_result_holds_the_router_out_and_an_interface_does_not() {
    assert_eq!(
        Tracks::new([track(SCRIPT, 5), track(LINK, 5)]).verdict(Priority::new(100)),
        Verdict::Fault(FaultReason::Waiting(SCRIPT))
    );
    assert_eq!(
        Tracks::new([track(LINK, 5)]).verdict(Priority::new(100)),
        Verdict::Priority(Priority::new(105))
    );
}

#[test]
fn an_owner_keeps_its_priority_but_can_fault() {
    assert_eq!(
        Tracks::new([track(SCRIPT, -50)]).verdict(Priority::OWNER),
        Verdict::Priority(Priority::OWNER),
        "a weight is nothing to wait for"
    );
    assert_eq!(
        priority(&[(track(SCRIPT, -50), Health::Down)], 255),
        Verdict::Priority(Priority::OWNER)
    );
    assert_eq!(
        priority(&[(track(SCRIPT, 0), Health::Down)], 255),
        Verdict::Fault(FaultReason::Tracked(SCRIPT))
    );
}

#[test]
fn the_first_result_decides_alone_and_later_ones_are_counted() {
    let mut counter = Counter::new(3, 2);
    assert_eq!(counter.result(false), Some(Health::Down));
    assert_eq!(counter.result(true), None);
    assert_eq!(counter.result(true), None);
    assert_eq!(
        counter.result(false),
        None,
        "a failure starts the count again"
    );
    assert_eq!(counter.result(true), None);
    assert_eq!(counter.result(true), None);
    assert_eq!(counter.result(true), Some(Health::Up));
    assert_eq!(counter.result(false), None);
    assert_eq!(counter.result(false), Some(Health::Down));
    assert_eq!(Counter::new(2, 1).failed().health(), Health::Down);
}
