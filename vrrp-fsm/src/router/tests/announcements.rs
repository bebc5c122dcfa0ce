//! When an Active router announces its addresses, and against whom.

use super::*;

/// When announcements come, in milliseconds from now on, and how often each address is announced.
fn announced(subject: &mut Subject, within: Duration) -> Vec<(u128, u8)> {
    let from = subject.now;
    let mut announced = Vec::new();
    while subject.now + subject.left() < from + within {
        for action in subject.fires() {
            if let Action::Announce { repeat } = action {
                announced.push((subject.now.since(from).as_millis(), repeat));
            }
        }
    }
    announced
}

/// When one that is Active against another announces between its schedule's times.
const IN_BETWEEN: [(u128, u8); 8] = [
    (10, 1),
    (30, 1),
    (70, 1),
    (150, 1),
    (310, 1),
    (630, 1),
    (1270, 1),
    (2550, 1),
];

/// The first milliseconds decide which of two hosts neighbours send to, and the one that gives way may be the later one.
#[test]
fn whoever_took_over_in_the_same_moment_does_not_keep_the_neighbours() {
    let mut preempting = Subject::backup(config());
    preempting.after(SECOND * 3).hears(50);
    let taken = preempting.fires();
    assert!(taken.contains(&Action::Announce { repeat: 5 }));
    let mut both = Subject::active(config());
    let heard = both.after(Duration::from_millis(2)).hears(50);
    assert!(
        !heard.contains(&Action::Announce { repeat: 5 }),
        "announced just now"
    );
    // The one before resigns, and of two that follow the lower one begins first.
    let mut third = Subject::backup(config());
    third.after(SECOND).hears(200);
    third.hears(0);
    third.after(Duration::from_millis(1)).hears(50);
    assert!(third.fires().contains(&Action::Announce { repeat: 5 }));
    for (mut subject, second) in [(preempting, 5000), (both, 4998), (third, 5000)] {
        let all = announced(&mut subject, SECOND * 60);
        assert_eq!(all, [&IN_BETWEEN[..], &[(second, 5)]].concat());
    }
    let mut alone = Subject::active(config());
    assert_eq!(announced(&mut alone, SECOND * 60), [(5000, 5)]);
}

#[test]
fn whoever_asks_for_no_announcements_against_others_makes_none_in_between() {
    let mut quiet = config();
    quiet.announcements.lower_priority_repeat = 0;
    let mut both = Subject::active(quiet.clone());
    both.hears(50);
    let mut preempting = Subject::backup(quiet);
    preempting.hears(50);
    preempting.fires();
    for mut subject in [both, preempting] {
        assert_eq!(announced(&mut subject, SECOND * 60), [(5000, 5)]);
    }
}

#[test]
fn addresses_are_announced_at_once_after_the_delay_and_then_by_the_refresh() {
    let mut refreshed = config();
    refreshed.announcements.refresh = Some(Duration::from_secs(60));
    let mut subject = Subject::active(refreshed);
    let entered = subject.now;
    let mut announced = Vec::new();
    while subject.now.since(entered) < Duration::from_secs(130) {
        for action in subject.fires() {
            if let Action::Announce { repeat } = action {
                announced.push((subject.now.since(entered).as_secs(), repeat));
            }
        }
    }
    assert_eq!(announced, [(5, 5), (65, 1), (125, 1)]);
}

#[test]
fn a_lower_active_is_answered_each_time_and_announced_against_once_per_interval() {
    let mut subject = Subject::active(config());
    let send = Action::Send {
        priority: Priority::new(100),
    };
    let announce = Action::Announce { repeat: 5 };
    subject.after(Duration::from_millis(500));
    let warning = Action::Warn(Warning::TwoActives {
        source: OTHER,
        priority: Priority::new(50),
    });
    assert_eq!(subject.hears(50), [warning, send]);
    subject.after(Duration::from_millis(500));
    assert_eq!(subject.hears(50), [send, announce], "warned of only once");
    subject.after(Duration::from_millis(10));
    assert_eq!(subject.hears(50), [send]);
}

#[test]
fn a_storm_is_answered_no_oftener_than_the_shortest_skew_time_asks_for() {
    for priority in [0, 50] {
        let mut subject = Subject::active(config());
        subject.after(Duration::from_millis(500));
        let mut sent = 0;
        let end = subject.now + SECOND;
        while subject.now < end {
            let answers = subject.hears(priority);
            assert!(
                !answers.is_empty() || subject.left() <= SECOND / 256,
                "an answer within the Skew_Time of priority 254"
            );
            let fired = if subject.left().is_zero() {
                subject.gets(Event::Timeout)
            } else {
                Vec::new()
            };
            for action in answers.iter().chain(&fired) {
                sent += u32::from(matches!(action, Action::Send { .. }));
            }
            subject.after(Duration::from_micros(100).min(subject.left()));
        }
        assert!(
            (200..=257).contains(&sent),
            "{sent} after priority {priority}"
        );
    }
}

#[test]
fn announcements_against_a_lower_active_have_a_count_and_a_delay_of_their_own() {
    let mut config = config();
    config.announcements.lower_priority_repeat = 2;
    config.announcements.lower_priority_delay = Duration::from_secs(3);
    let mut subject = Subject::active(config);
    subject.after(SECOND);
    assert!(subject.hears(50).contains(&Action::Announce { repeat: 2 }));
    let all = announced(&mut subject, SECOND * 10);
    assert_eq!(all, [&IN_BETWEEN[..], &[(3000, 2)]].concat());
}
