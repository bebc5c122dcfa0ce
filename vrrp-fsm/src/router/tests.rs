//! What the matrix of `tests/matrix.rs` cannot show: several events in a row.

use std::{string::ToString, vec, vec::Vec};

use vrrp_proto::Vrid;

use super::*;

mod announcements;
mod policies;

const OWN: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 5));
const OTHER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 6));
const SECOND: Duration = Duration::from_secs(1);

fn config() -> RouterConfig {
    let addresses = vec![IpAddr::from([192, 0, 2, 100])];
    let vrid = Vrid::new(1).unwrap();
    let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, addresses);
    config.primary = Some(OWN);
    config
}

/// A router, and the time at which its next event comes.
struct Subject {
    router: Router,
    now: Instant,
}

impl Subject {
    fn backup(config: RouterConfig) -> Self {
        let mut subject = Self {
            router: Router::new(config).unwrap(),
            now: Instant::from_nanos(1_000_000_000),
        };
        subject.gets(Event::Startup);
        subject
    }

    fn active(config: RouterConfig) -> Self {
        let mut subject = Self::backup(config);
        subject.fires();
        assert_eq!(subject.router.kind(), StateKind::Active);
        subject
    }

    fn gets(&mut self, event: Event) -> Vec<Action> {
        self.router.handle(self.now, event);
        core::iter::from_fn(|| self.router.poll_action()).collect()
    }

    fn hears(&mut self, priority: u8) -> Vec<Action> {
        self.gets(Event::Advertisement(Received {
            source: OTHER,
            priority: Priority::new(priority),
            interval: SECOND,
            version: Version::V3,
        }))
    }

    /// Lets time go by without firing anything.
    fn after(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    /// Goes to the deadline and fires it.
    fn fires(&mut self) -> Vec<Action> {
        self.now = self.router.next_deadline().unwrap();
        self.gets(Event::Timeout)
    }

    fn left(&self) -> Duration {
        self.router.next_deadline().unwrap().since(self.now)
    }
}

fn told(actions: &[Action]) -> Vec<std::string::String> {
    let tell = |action: &Action| match action {
        Action::Transition(transition) => Some(transition.to_string()),
        _ => None,
    };
    actions.iter().filter_map(tell).collect()
}

#[test]
fn a_stream_of_resignations_does_not_hold_the_takeover_off() {
    let mut subject = Subject::backup(config());
    subject.hears(200);
    subject.hears(0);
    let skew = Duration::from_micros(609_375);
    assert_eq!(subject.left(), skew);
    subject.after(Duration::from_millis(500)).hears(0);
    assert_eq!(subject.left(), skew - Duration::from_millis(500));
    let transition = told(&subject.fires());
    assert_eq!(transition, ["Backup -> Active: 192.0.2.6 resigned"]);
}

#[test]
fn an_advert_after_a_resignation_takes_it_back() {
    let mut subject = Subject::backup(config());
    subject.hears(0);
    subject.hears(200);
    assert_eq!(subject.left(), Duration::from_micros(3_609_375));
}

#[test]
fn a_lower_active_is_preempted_when_the_timer_ends() {
    let mut subject = Subject::backup(config());
    for _ in 0..3 {
        subject.after(SECOND).hears(50);
    }
    assert_eq!(
        told(&subject.fires()),
        ["Backup -> Active: own priority 100 is higher than 50 of 192.0.2.6"]
    );
}

#[test]
fn a_preempt_delay_follows_the_lower_active_until_its_end() {
    let mut delayed = config();
    delayed.preempt_delay = Duration::from_secs(10);
    let mut subject = Subject::backup(delayed);
    let full = Duration::from_micros(3_609_375);
    for _ in 0..10 {
        subject.after(SECOND).hears(50);
        assert_eq!(subject.left(), full, "followed");
    }
    subject.after(SECOND).hears(50);
    assert_eq!(subject.left(), full - SECOND, "discarded");
    // A higher one in between begins the delay anew.
    subject.hears(200);
    subject.after(SECOND).hears(50);
    assert_eq!(subject.left(), full);
}

#[test]
fn a_preempt_delay_does_not_delay_a_takeover_by_silence() {
    let mut delayed = config();
    delayed.preempt_delay = Duration::from_secs(1000);
    let mut subject = Subject::backup(delayed);
    subject.after(SECOND).hears(50);
    let actions = subject.fires();
    assert_eq!(
        told(&actions),
        ["Backup -> Active: no advert from 192.0.2.6 for 3.61 s"]
    );
}

#[test]
fn a_learned_interval_is_forgotten_when_active_and_after_a_fault() {
    let slow = Event::Advertisement(Received {
        source: OTHER,
        priority: Priority::new(200),
        interval: 2 * SECOND,
        version: Version::V3,
    });
    let learned = Duration::from_micros(7_218_750);
    let mut subject = Subject::backup(config());
    subject.gets(slow);
    assert_eq!(subject.left(), learned);
    subject.fires();
    assert_eq!(subject.left(), SECOND, "Active keeps its own");

    subject.gets(slow);
    assert_eq!(subject.left(), learned);
    subject.gets(Event::Fault(FaultReason::InterfaceDown));
    subject.gets(Event::Recovered(FaultKind::Interface));
    assert_eq!(subject.left(), Duration::from_micros(3_609_375));
}

#[test]
fn every_fault_must_be_gone() {
    let mut subject = Subject::active(config());
    subject.gets(Event::Fault(FaultReason::InterfaceDown));
    assert!(subject.gets(Event::PrimaryAddress(None)).is_empty());
    let actions = subject.gets(Event::Recovered(FaultKind::Interface));
    assert_eq!(
        told(&actions),
        ["Fault -> Fault: the interface has no address to send from"],
        "what holds it now is told"
    );
    assert_eq!(subject.router.next_deadline(), None);
    let actions = subject.gets(Event::PrimaryAddress(Some(OWN)));
    assert_eq!(told(&actions), ["Fault -> Backup: the fault is gone"]);
}

#[test]
fn a_successor_resigns_for_its_predecessor_and_waits_for_skew_time() {
    let mut subject = Subject::backup(config());
    let send = Action::Send {
        priority: Priority::RESIGN,
    };
    assert_eq!(subject.gets(Event::Succeeded), [send]);
    assert_eq!(subject.left(), Duration::from_micros(609_375));
    assert_eq!(
        told(&subject.fires()),
        ["Backup -> Active: this host was Active until its VRRP process died"]
    );
    // Somebody else was quicker.
    let mut subject = Subject::backup(config());
    subject.gets(Event::Succeeded);
    subject.hears(200);
    assert_eq!(subject.left(), Duration::from_micros(3_609_375));
}

#[test]
fn a_script_that_was_waited_for_and_fails_is_told() {
    let script = crate::Object::Script(1);
    let mut subject = Subject {
        router: Router::new(config()).unwrap(),
        now: Instant::from_nanos(1_000_000_000),
    };
    subject.gets(Event::Fault(FaultReason::Waiting(script)));
    subject.gets(Event::Startup);
    let actions = subject.gets(Event::Fault(FaultReason::Tracked(script)));
    assert_eq!(told(&actions), ["Fault -> Fault: script 1 failed"]);
    assert!(
        subject
            .gets(Event::Fault(FaultReason::Tracked(script)))
            .is_empty(),
        "once"
    );
}

#[test]
fn without_a_primary_address_a_router_waits_for_one() {
    let mut subject = Subject::backup(RouterConfig {
        primary: None,
        ..config()
    });
    assert_eq!(
        subject.router.faults().first(),
        Some(FaultReason::NoPrimaryAddress)
    );
    subject.gets(Event::PrimaryAddress(Some(OWN)));
    assert_eq!(subject.router.kind(), StateKind::Backup);
}

#[test]
fn policies_change_what_is_sent_and_nothing_else() {
    let mut quiet = config();
    quiet.policy.lower_priority_no_advert = true;
    quiet.announcements.lower_priority_repeat = 0;
    let mut subject = Subject::active(quiet);
    subject.hears(50);
    assert!(subject.after(SECOND).hears(50).is_empty());

    let mut polite = config();
    polite.policy.higher_priority_send_advert = true;
    let actions = Subject::active(polite).hears(200);
    let send = Action::Send {
        priority: Priority::new(100),
    };
    assert_eq!(actions[..2], [send, Action::Remove]);

    let mut deaf = config();
    deaf.priority = Priority::OWNER;
    deaf.policy.owner_ignore_adverts = true;
    let mut subject = Subject::backup(deaf);
    assert_eq!(subject.router.kind(), StateKind::Active);
    assert!(subject.hears(255).is_empty());
}

#[test]
fn only_a_silence_that_others_could_have_noticed_makes_an_active_step_back() {
    // Priority 254 gives up after 3 intervals and 2/256.
    let shortest = Duration::from_nanos(3_007_812_500);
    let mut subject = Subject::active(config());
    subject.after(shortest);
    assert_eq!(subject.gets(Event::Timeout).len(), 1, "one advert");
    subject.after(shortest + Duration::from_nanos(1));
    let actions = subject.hears(50);
    assert_eq!(
        told(&actions),
        ["Active -> Backup: own adverts stalled for 3.01 s: others may have taken over"]
    );
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Send { .. }))
    );
}

#[test]
fn a_late_timer_keeps_the_rhythm() {
    let mut subject = Subject::active(config());
    subject.after(Duration::from_millis(1300));
    subject.gets(Event::Timeout);
    assert_eq!(subject.left(), Duration::from_millis(700));
    subject.after(Duration::from_millis(2700));
    subject.gets(Event::Timeout);
    assert_eq!(subject.left(), SECOND, "found anew");
}

#[test]
fn tracking_never_touches_0_and_255() {
    let mut subject = Subject::backup(config());
    subject.gets(Event::Priority(Priority::OWNER));
    assert_eq!(subject.router.priority(), Priority::new(254));
    subject.gets(Event::Priority(Priority::RESIGN));
    assert_eq!(subject.router.priority(), Priority::new(1));
    let mut owner = config();
    owner.priority = Priority::OWNER;
    let mut subject = Subject::backup(owner);
    subject.gets(Event::Priority(Priority::new(10)));
    assert_eq!(subject.router.priority(), Priority::OWNER);
}

#[test]
fn an_owner_preempts_whatever_its_preempt_mode() {
    let mut owner = config();
    owner.priority = Priority::OWNER;
    owner.preempt = false;
    let mut subject = Subject::backup(owner);
    subject.after(4 * SECOND);
    subject.gets(Event::Timeout);
    assert_eq!(subject.router.kind(), StateKind::Backup, "too late");
    let before = subject.left();
    subject.hears(200);
    assert_eq!(subject.left(), before, "discarded");
}

#[test]
fn impossible_configurations_are_refused() {
    let refuse = |change: &dyn Fn(&mut RouterConfig)| {
        let mut config = config();
        change(&mut config);
        Router::new(config).unwrap_err()
    };
    let short = Duration::from_millis(5);
    assert_eq!(
        refuse(&|config| config.priority = Priority::RESIGN),
        ConfigError::PriorityZero
    );
    assert_eq!(
        refuse(&|config| config.interval = short),
        ConfigError::IntervalV3(short)
    );
    assert_eq!(
        refuse(&|config| {
            config.version = Version::V2;
            config.interval = Duration::from_millis(1500);
        }),
        ConfigError::IntervalV2(Duration::from_millis(1500))
    );
    assert_eq!(
        refuse(&|config| config.addresses.clear()),
        ConfigError::NoAddress
    );
    let other_family = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(
        refuse(&|config| config.addresses.push(other_family)),
        ConfigError::AddressFamily(other_family)
    );
    assert_eq!(
        refuse(&|config| config.addresses = vec![OWN; 256]),
        ConfigError::TooManyAddresses(256)
    );
    assert_eq!(
        refuse(&|config| config.policy.down_timer_adverts = 0),
        ConfigError::DownTimerAdverts(0)
    );
}

#[test]
fn a_successor_goes_on_in_silence_with_the_timers_of_its_predecessor() {
    let mut old = Subject::active(config());
    old.after(SECOND / 2);
    let (state, deadline) = (*old.router.state(), old.router.next_deadline());
    let mut new = Subject {
        router: Router::new(config()).unwrap(),
        now: old.now,
    };
    new.router.resume(new.now, state);
    let asked: Vec<_> = core::iter::from_fn(|| new.router.poll_action()).collect();
    assert_eq!(asked, [Action::Install], "no advert, no announcement");
    assert_eq!(new.router.next_deadline(), deadline);
    assert_eq!(new.fires(), old.fires(), "the same advert at the same time");

    let mut backup = Subject::backup(config());
    backup.hears(200);
    let mut new = Router::new(config()).unwrap();
    new.resume(backup.now, *backup.router.state());
    assert_eq!(new.poll_action(), None);
    assert_eq!(new.next_deadline(), backup.router.next_deadline());
}

#[test]
fn a_successor_that_comes_too_late_lets_go_and_puts_nothing_up() {
    let old = Subject::active(config());
    let mut new = Router::new(config()).unwrap();
    new.resume(old.now + 5 * SECOND, *old.router.state());
    let asked: Vec<_> = core::iter::from_fn(|| new.poll_action()).collect();
    assert_eq!(asked[0], Action::Remove);
    assert_eq!(
        told(&asked),
        ["Active -> Backup: own adverts stalled for 5.00 s: others may have taken over"]
    );
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn a_successor_that_finds_a_fault_resigns_and_one_that_finds_none_takes_part() {
    let old = Subject::active(config());
    let mut faulty = config();
    faulty.primary = None;
    let mut new = Router::new(faulty.clone()).unwrap();
    new.resume(old.now, *old.router.state());
    let asked: Vec<_> = core::iter::from_fn(|| new.poll_action()).collect();
    assert_eq!(asked[0], Action::Install);
    assert!(asked.contains(&Action::Remove), "{asked:?}");
    assert_eq!(new.kind(), StateKind::Fault);

    let held = State::Initialize { started: true };
    let mut new = Router::new(faulty).unwrap();
    new.resume(old.now, held);
    assert_eq!(new.poll_action(), None, "still held");
    let mut new = Router::new(config()).unwrap();
    new.resume(old.now, held);
    assert_eq!(new.kind(), StateKind::Backup);
}
