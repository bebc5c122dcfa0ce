use super::*;

/// Ten rounds, 5 ms apart; each text has a letter for each round in which that host answers.
fn history(hosts: &[&str]) -> (History, Instant) {
    let began = Instant::now();
    let mut history = History::new(hosts.len());
    for round in 0..hosts.iter().map(|host| host.len()).max().unwrap_or(0) {
        let at = began + PERIOD * u32::try_from(round).unwrap_or(0);
        assert_eq!(history.begin_round(at), round);
        for (number, host) in hosts.iter().enumerate() {
            let soon = at + Duration::from_micros(100);
            match host.as_bytes().get(round) {
                Some(b'a') => history.arp(number, soon),
                Some(b't') => history.tcp(number, round, soon, false),
                Some(b'r') => history.tcp(number, round, soon, true),
                _ => {}
            }
        }
    }
    (history, began)
}

fn ms(time: Duration) -> u128 {
    time.as_millis()
}

#[test]
fn one_after_the_other_is_no_double_answer() {
    let (history, began) = history(&["aaaat.....", ".....taaaa"]);
    assert_eq!(history.doubles(began), []);
    let silence = history.longest_silence(began, began + PERIOD * 9);
    assert_eq!(ms(silence.length()), 0, "each question was answered");
}

#[test]
fn two_that_answer_at_once_are_found_however_short_it_is() {
    let (history, began) = history(&["aaaaaaa...", "....tttttt"]);
    assert_eq!(history.doubles(began).len(), 1);
    assert_eq!(ms(history.doubles(began)[0].length()), 10);
    let (history, began) = self::history(&["aaaaaaaaaa", "....t....."]);
    assert!(
        history.doubles(began)[0].length() > PERIOD,
        "once in the middle"
    );
}

#[test]
fn an_unanswered_question_ends_a_span() {
    let (history, began) = history(&["aa..tt...."]);
    let spans = history.spans(0, began);
    assert_eq!(spans.len(), 2);
    assert_eq!(ms(spans[0].length()), 5);
    assert_eq!(ms(spans[1].from - began), 20);
    let last = history.last_answer(0, began + Duration::from_millis(1));
    assert_eq!(ms(last.unwrap() - began), 5);
}

#[test]
fn the_last_answer_before_the_blow_is_the_last_answer() {
    let (history, began) = history(&["aaa......."]);
    let blow = began + Duration::from_millis(12);
    assert!(history.last_answer(0, blow).unwrap() < blow);
    assert_eq!(history.last_answer(0, began + PERIOD * 6), None);
    let (history, began) = self::history(&["aaa....aaa"]);
    let last = history.last_answer(0, began + PERIOD);
    assert_eq!(ms(last.unwrap() - began), 10, "not the one of its return");
}

#[test]
fn silence_is_counted_from_answer_to_answer_or_to_the_end() {
    let (history, began) = history(&["aaa......."]);
    let silence = history.longest_silence(began, began + Duration::from_millis(60));
    assert_eq!(ms(silence.length()), 49);
    let (history, began) = self::history(&["aaa.......", ".....aaa.a"]);
    let silence = history.longest_silence(began, began + PERIOD * 10);
    assert_eq!(ms(silence.length()), 15);
    assert_eq!(ms(silence.from - began), 10);
}

#[test]
fn a_pause_of_the_prober_is_no_silence() {
    let (mut history, began) = history(&["aaa"]);
    let later = began + Duration::from_millis(500);
    history.begin_round(later);
    history.arp(0, later);
    let silence = history.longest_silence(began, later + PERIOD);
    assert_eq!(ms(silence.length()), 0);
    assert_eq!(ms(history.longest_pause(began)), 490);
}

#[test]
fn refusals_are_answers_and_are_counted() {
    let (history, began) = history(&["ttrrtttttt"]);
    assert_eq!(history.refusals(began), 2);
    assert_eq!(history.spans(0, began).len(), 1);
    assert_eq!(history.steady(began + PERIOD * 10, PERIOD * 5), [0]);
    assert_eq!(
        history.steady(began + PERIOD * 10, PERIOD * 20),
        [0_usize; 0]
    );
}
