use super::*;

const MS: Duration = Duration::from_millis(1);

fn settings() -> Settings {
    Settings {
        min_rx: 10 * MS,
        min_tx: 10 * MS,
        idle_tx: 1000 * MS,
        multiplier: 5,
        passive: false,
    }
}

/// Two sessions on a wire that takes no time.
struct Pair {
    now: Instant,
    ends: [Session; 2],
    /// What of each end gets through.
    heard: [bool; 2],
    sent: [Vec<(Instant, Packet)>; 2],
    changes: Vec<(Instant, usize, Change)>,
}

impl Pair {
    fn new(settings: [Settings; 2]) -> Self {
        let now = Instant::now();
        let [one, other] = settings;
        Self {
            now,
            ends: [Session::new(one, 1, now), Session::new(other, 2, now)],
            heard: [true; 2],
            sent: [Vec::new(), Vec::new()],
            changes: Vec::new(),
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let next = self.ends.iter().filter_map(Session::next_deadline).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            for at in [0, 1] {
                let change = self.ends[at].timeout(self.now);
                self.changes
                    .extend(change.map(|change| (self.now, at, change)));
                while let Some(packet) = self.ends[at].transmit(self.now) {
                    self.sent[at].push((self.now, packet));
                    if self.heard[at] {
                        let parsed = Packet::parse(&packet.emit()).unwrap();
                        let change = self.ends[1 - at].hears(&parsed, self.now);
                        self.changes
                            .extend(change.map(|change| (self.now, 1 - at, change)));
                    }
                }
            }
        }
        self.now = until;
    }

    fn states(&self) -> [State; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }
}

#[test]
fn two_ends_come_up_at_once_and_agree_on_the_slower_interval() {
    let slow = Settings {
        min_rx: 300 * MS,
        ..settings()
    };
    let mut pair = Pair::new([settings(), slow]);
    pair.run(MS);
    assert_eq!(pair.states(), [State::Up, State::Up]);
    assert_eq!(
        pair.ends[0].interval(),
        Some(300 * MS),
        "the other takes no more"
    );
    assert_eq!(pair.ends[1].interval(), Some(10 * MS));
    assert_eq!(pair.ends[0].detection_time(), Some(50 * MS));
    assert_eq!(pair.ends[1].detection_time(), Some(5 * 300 * MS));
    pair.run(10_000 * MS);
    assert_eq!(pair.states(), [State::Up, State::Up]);
    let polls = |at: usize| {
        pair.sent[at]
            .iter()
            .filter(|(_, packet)| packet.poll)
            .count()
    };
    assert!(
        polls(0) > 0 && polls(0) < 5,
        "a Poll Sequence ends with its answer"
    );
    assert!(pair.sent[0].iter().any(|(_, packet)| packet.last));
    let gaps = |at: usize| {
        let times = pair.sent[at].iter().map(|(at, _)| *at).skip(10);
        let times: Vec<_> = times.collect();
        let gaps = times.windows(2).map(|two| two[1] - two[0]);
        gaps.collect::<Vec<_>>()
    };
    for gap in gaps(0) {
        assert!((225 * MS..=300 * MS).contains(&gap), "{gap:?}");
    }
}

#[test]
fn silence_is_noticed_after_the_detection_time_and_told_to_the_other_side() {
    let mut pair = Pair::new([settings(); 2]);
    pair.run(500 * MS);
    pair.changes.clear();
    let cut = pair.now;
    pair.heard[0] = false;
    pair.run(100 * MS);
    let (at, who, change) = pair.changes[0];
    assert!(!change.ended);
    assert_eq!(
        (who, change.to, change.why),
        (1, State::Down, Diagnostic::Expired)
    );
    assert!((40 * MS..=50 * MS).contains(&(at - cut)), "{:?}", at - cut);
    let (told, who, change) = pair.changes[1];
    assert_eq!(
        (who, change.to, change.why),
        (0, State::Down, Diagnostic::NeighbourDown)
    );
    assert_eq!(told, at, "at once");
    // Slowly while it is down.
    pair.sent[1].clear();
    pair.run(10_000 * MS);
    assert!(
        (10..=15).contains(&pair.sent[1].len()),
        "{}",
        pair.sent[1].len()
    );
    pair.heard[0] = true;
    pair.run(1500 * MS);
    assert_eq!(pair.states(), [State::Up, State::Up]);
}

#[test]
fn an_end_that_is_ended_by_hand_is_told_apart_from_a_lost_one() {
    let mut pair = Pair::new([settings(); 2]);
    pair.run(500 * MS);
    pair.ends[0].end();
    let last = pair.ends[0].packet();
    assert_eq!(
        (last.state, last.diagnostic),
        (State::AdminDown, Diagnostic::Administrative)
    );
    let change = pair.ends[1].hears(&last, pair.now).unwrap();
    assert_eq!(
        (change.to, change.why),
        (State::Down, Diagnostic::NeighbourDown)
    );
    assert!(change.ended);
}

#[test]
fn two_passive_ends_stay_silent_and_one_is_woken() {
    let passive = Settings {
        passive: true,
        ..settings()
    };
    let mut pair = Pair::new([passive; 2]);
    pair.run(5000 * MS);
    assert!(pair.sent.iter().all(Vec::is_empty));
    let mut pair = Pair::new([passive, settings()]);
    pair.run(MS);
    assert_eq!(pair.states(), [State::Up, State::Up]);
}

#[test]
fn a_session_goes_on_in_another_process_without_a_word() {
    let mut pair = Pair::new([settings(); 2]);
    pair.run(500 * MS);
    pair.changes.clear();
    let memory = serde_json::to_vec(&pair.ends[0].memory()).unwrap();
    // What a handover takes.
    pair.now += 20 * MS;
    let memory = serde_json::from_slice(&memory).unwrap();
    pair.ends[0] = Session::resume(settings(), memory, pair.now);
    pair.run(5000 * MS);
    assert_eq!(pair.changes, []);
    assert_eq!(pair.states(), [State::Up, State::Up]);
}

#[test]
fn other_intervals_are_agreed_upon_without_a_change_of_state() {
    let mut pair = Pair::new([settings(); 2]);
    pair.run(500 * MS);
    pair.changes.clear();
    let slower = Settings {
        min_rx: 300 * MS,
        min_tx: 300 * MS,
        ..settings()
    };
    pair.ends[0].reconfigure(slower, pair.now);
    assert_eq!(
        pair.ends[0].interval(),
        Some(10 * MS),
        "until the other end knows"
    );
    pair.run(2000 * MS);
    assert_eq!(pair.ends[0].interval(), Some(300 * MS));
    assert_eq!(pair.ends[1].interval(), Some(300 * MS));
    assert_eq!(pair.ends[1].detection_time(), Some(1500 * MS));
    pair.ends[0].reconfigure(settings(), pair.now);
    pair.run(2000 * MS);
    assert_eq!(pair.ends[1].interval(), Some(10 * MS));
    assert_eq!(pair.changes, []);
}

#[test]
fn a_neighbour_that_began_anew_is_down_first() {
    let mut pair = Pair::new([settings(); 2]);
    pair.run(500 * MS);
    pair.ends[0] = Session::new(settings(), 77, pair.now);
    pair.changes.clear();
    pair.run(2500 * MS);
    let seen: Vec<State> = pair
        .changes
        .iter()
        .filter(|one| one.1 == 1)
        .map(|one| one.2.to)
        .collect();
    assert_eq!(seen[0], State::Down, "it did not hear us: {seen:?}");
    assert_eq!(pair.states(), [State::Up, State::Up]);
}
