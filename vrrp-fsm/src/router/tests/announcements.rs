//! When an Active router announces its addresses, and against whom.

use super::*;

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
    let heard = subject.now;
    assert!(subject.hears(50).contains(&Action::Announce { repeat: 2 }));
    let mut announced = Vec::new();
    while subject.now.since(heard) < Duration::from_secs(10) {
        for action in subject.fires() {
            if let Action::Announce { repeat } = action {
                announced.push((subject.now.since(heard).as_secs(), repeat));
            }
        }
    }
    assert_eq!(announced, [(3, 2)]);
}
