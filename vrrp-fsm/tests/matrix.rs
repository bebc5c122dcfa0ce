//! The whole table of RFC 9568 §6.4: every state times every event, with the actions, the state
//! after it and the next deadline, for v3 and v2.
//!
//! The expected tables are `matrix/v3.txt` and `matrix/v2.txt`, to be read beside the RFC. A
//! mismatch prints the table as it is.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fmt::Write as _, net::IpAddr, time::Duration};

use vrrp_fsm::{
    Action, Event, FaultKind, FaultReason, Instant, Policy, Received, Router, RouterConfig,
    RouterId, Warning,
};
use vrrp_proto::{Family, Priority, Version, Vrid};

const OWN: &str = "192.0.2.5";
const LOWER: &str = "192.0.2.4";
const HIGHER: &str = "192.0.2.6";

/// When the state of the row is entered, and how much later the event happens.
const ENTERED: Instant = Instant::from_nanos(10_000_000_000);
const LATER: Duration = Duration::from_millis(400);

#[derive(Clone, Copy)]
enum Setup {
    Initialize,
    Fault,
    Backup,
    BackupNoPreempt,
    Active,
    ActiveResignsAtOnce,
    ActiveAsKeepalived,
    OwnerInitialize,
    OwnerActive,
    OwnerAsKeepalived,
    Delayed,
}

#[derive(Clone, Copy)]
enum Stimulus {
    At(Event),
    /// A timeout exactly at the deadline.
    Due,
    /// A timeout one nanosecond before it.
    Early,
    /// A timeout long after it.
    Late,
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn router(version: Version, setup: Setup) -> Router {
    let mut config = RouterConfig::new(
        Vrid::new(1).unwrap(),
        Family::Ipv4,
        version,
        vec![address("192.0.2.100")],
    );
    config.primary = Some(address(OWN));
    config.policy.resign_at_once = matches!(setup, Setup::ActiveResignsAtOnce);
    if matches!(setup, Setup::ActiveAsKeepalived | Setup::OwnerAsKeepalived) {
        config.policy = Policy::keepalived();
    }
    if matches!(setup, Setup::Delayed) {
        config.policy.startup_delay = Duration::from_secs(5);
    }
    config.preempt = !matches!(setup, Setup::BackupNoPreempt);
    if matches!(
        setup,
        Setup::OwnerInitialize | Setup::OwnerActive | Setup::OwnerAsKeepalived
    ) {
        config.priority = Priority::OWNER;
    }
    let mut router = Router::new(config).unwrap();
    let way: &[Event] = match setup {
        Setup::Initialize | Setup::OwnerInitialize => &[],
        Setup::Fault => &[Event::Fault(FaultReason::InterfaceDown), Event::Startup],
        Setup::Backup
        | Setup::BackupNoPreempt
        | Setup::OwnerActive
        | Setup::OwnerAsKeepalived
        | Setup::Delayed => &[Event::Startup],
        Setup::Active | Setup::ActiveResignsAtOnce | Setup::ActiveAsKeepalived => {
            // Entered by the timer: started one Active_Down_Interval earlier.
            let down = Duration::from_micros(3_609_375);
            router.handle(ENTERED.before(down), Event::Startup);
            drain(&mut router);
            &[Event::Timeout]
        }
    };
    for event in way {
        router.handle(ENTERED, *event);
        drain(&mut router);
    }
    router
}

fn drain(router: &mut Router) -> Vec<Action> {
    std::iter::from_fn(|| router.poll_action()).collect()
}

fn advert(version: Version, priority: u8, source: &str) -> Stimulus {
    Stimulus::At(Event::Advertisement(Received {
        source: address(source),
        priority: Priority::new(priority),
        interval: Duration::from_secs(1),
        version,
    }))
}

fn slow_advert(version: Version, priority: u8) -> Stimulus {
    Stimulus::At(Event::Advertisement(Received {
        source: address(HIGHER),
        priority: Priority::new(priority),
        interval: Duration::from_secs(2),
        version,
    }))
}

fn stimuli(version: Version) -> Vec<(&'static str, Stimulus)> {
    let other = match version {
        Version::V2 => Version::V3,
        Version::V3 => Version::V2,
    };
    let at = Stimulus::At;
    vec![
        ("Startup", at(Event::Startup)),
        ("Shutdown", at(Event::Shutdown)),
        ("Timeout at the deadline", Stimulus::Due),
        ("Timeout too early", Stimulus::Early),
        ("Timeout 3.1 s late", Stimulus::Late),
        ("advert 0", advert(version, 0, HIGHER)),
        ("advert higher", advert(version, 150, LOWER)),
        (
            "advert equal, from a higher address",
            advert(version, 100, HIGHER),
        ),
        (
            "advert equal, from a lower address",
            advert(version, 100, LOWER),
        ),
        ("advert lower", advert(version, 50, HIGHER)),
        ("advert 255", advert(version, 255, HIGHER)),
        ("advert higher, interval 2 s", slow_advert(version, 150)),
        ("advert lower, interval 2 s", slow_advert(version, 50)),
        ("advert from our own address", advert(version, 150, OWN)),
        ("advert of the other version", advert(other, 150, HIGHER)),
        (
            "advert of the other family",
            advert(version, 150, "2001:db8::6"),
        ),
        ("Priority 90", at(Event::Priority(Priority::new(90)))),
        ("Priority 110", at(Event::Priority(Priority::new(110)))),
        ("Fault", at(Event::Fault(FaultReason::Operator))),
        ("Recovered", at(Event::Recovered(FaultKind::Interface))),
        (
            "PrimaryAddress changed",
            at(Event::PrimaryAddress(Some(address("192.0.2.9")))),
        ),
        ("PrimaryAddress gone", at(Event::PrimaryAddress(None))),
        ("Installed", at(Event::Installed)),
        ("InstallFailed", at(Event::InstallFailed)),
        ("AddressLost", at(Event::AddressLost)),
        ("LeaseExpired", at(Event::LeaseExpired)),
        ("Succeeded", at(Event::Succeeded)),
        ("Promote (by its sync group)", at(Event::Promote)),
        (
            "StepBack (by its sync group)",
            at(Event::StepBack(RouterId::new(7))),
        ),
    ]
}

fn row(router: &mut Router, stimulus: Stimulus) -> String {
    let deadline = router.next_deadline().unwrap_or(ENTERED);
    let (now, event) = match stimulus {
        Stimulus::At(event) => (ENTERED + LATER, event),
        Stimulus::Due => (deadline, Event::Timeout),
        Stimulus::Early => (deadline.before(Duration::from_nanos(1)), Event::Timeout),
        Stimulus::Late => (deadline + Duration::from_millis(3100), Event::Timeout),
    };
    router.handle(now, event);
    let actions: Vec<String> = drain(router).iter().map(brief).collect();
    let kind = router.state().kind();
    let timer = router.next_deadline().map_or(String::new(), |at| {
        format!(" {:.6}", at.since(now).as_secs_f64())
    });
    format!("{:<16} | {}", format!("{kind}{timer}"), actions.join(", "))
}

fn brief(action: &Action) -> String {
    match action {
        Action::Send { priority } => format!("send {priority}"),
        Action::Install => "install".into(),
        Action::Remove => "remove".into(),
        Action::Repair => "repair".into(),
        Action::Announce { repeat } => format!("announce x{repeat}"),
        Action::Transition(transition) => format!("tell \"{transition}\""),
        Action::Group(transition) => format!("tell \"{transition}\""),
        Action::Priority(change) => format!("tell \"{change}\""),
        Action::Warn(warning) => match warning {
            Warning::SameAddress { .. } => "warn SameAddress".into(),
            Warning::TwoOwners { .. } => "warn TwoOwners".into(),
            Warning::TwoActives { .. } => "warn TwoActives".into(),
            Warning::IntervalMismatch { .. } => "warn IntervalMismatch".into(),
            other => format!("warn {other:?}"),
        },
    }
}

fn table(version: Version) -> String {
    let setups = [
        ("Initialize", Setup::Initialize),
        ("Fault (the interface is down)", Setup::Fault),
        ("Backup", Setup::Backup),
        ("Backup, Preempt_Mode false", Setup::BackupNoPreempt),
        ("Active", Setup::Active),
        ("Active, resign_at_once", Setup::ActiveResignsAtOnce),
        ("Active, as keepalived", Setup::ActiveAsKeepalived),
        ("Initialize, owner", Setup::OwnerInitialize),
        ("Active, owner", Setup::OwnerActive),
        ("Active, owner, as keepalived", Setup::OwnerAsKeepalived),
        ("Initialize, startup delay 5 s", Setup::Delayed),
    ];
    let mut text = String::new();
    for (name, setup) in setups {
        writeln!(text, "== {name}").unwrap();
        for (event, stimulus) in stimuli(version) {
            let mut router = router(version, setup);
            let row = row(&mut router, stimulus);
            writeln!(text, "{event:<35} | {}", row.trim_end()).unwrap();
        }
        writeln!(text).unwrap();
    }
    text
}

/// The lines that begin with `#` explain.
fn compare(version: Version, expected: &str) {
    let expected: String = expected
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    let actual = table(version);
    assert!(actual == expected, "the table is now:\n{actual}");
}

#[test]
fn every_event_in_every_state_of_version_3() {
    compare(Version::V3, include_str!("matrix/v3.txt"));
}

#[test]
fn every_event_in_every_state_of_version_2() {
    compare(Version::V2, include_str!("matrix/v2.txt"));
}
