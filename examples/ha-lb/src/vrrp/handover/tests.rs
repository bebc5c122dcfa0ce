use std::net::IpAddr;

use vrrp_fsm::{Active, Backup, Heard, Instant, Memory, State};
use vrrp_proto::{
    Priority, Sequence,
    auth_hmac::{self, Mark},
};

use super::*;
use crate::ipc::channel;

fn run<F: Future>(future: impl FnOnce() -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { future().await })
}

fn line() -> (Channel, Channel) {
    let (a, b) = channel::pair().unwrap();
    (Channel::new(a).unwrap(), Channel::new(b).unwrap())
}

fn routers() -> Vec<Left> {
    let heard = Heard {
        source: IpAddr::from([192, 0, 2, 1]),
        priority: Priority::new(200),
        at: Instant::from_nanos(7),
    };
    let backup = State::Backup(Backup {
        active_down_at: Instant::from_nanos(11),
        active_adver_interval: Duration::from_millis(1234),
        since: Instant::from_nanos(3),
        active: Some(heard),
        rival: None,
        preempt_at: Some(Instant::from_nanos(12)),
        resigned: Some(heard.source),
    });
    let active = State::Active(Active {
        adver_at: Instant::from_nanos(u64::MAX),
        sent_at: Instant::from_nanos(1),
        since: Instant::from_nanos(2),
        announce_at: None,
        announced_at: Instant::from_nanos(4),
        announce_repeat: 5,
        reassertion: None,
        install_failed: true,
    });
    let mark = |last, key| Mark {
        source: [10, 0, 0, last].into(),
        key,
        sequence: Sequence::new(u64::MAX - u64::from(last)),
    };
    let hmac = auth_hmac::Memory::new(Some(Sequence::new(u64::MAX)), [mark(1, 2), mark(2, 1)]);
    let left = |name: &str, state, sequence, hmac| {
        let memory = Memory {
            state,
            sequence,
            hmac,
        };
        Left::new(name, memory, None)
    };
    vec![
        left("A", active, Some(77), None),
        left("B", backup, None, Some(hmac)),
        left("C", State::Initialize { started: true }, None, None),
        left(
            "D",
            State::Delayed {
                begins_at: Instant::from_nanos(9),
            },
            None,
            None,
        ),
    ]
}

#[test]
fn what_is_given_is_what_is_taken_and_exactly_one_goes_on() {
    run(async || {
        let (successor, predecessor) = line();
        let given = async {
            assert!(hear(Some(&predecessor)).await);
            give(&predecessor, routers(), Vec::new()).await
        };
        let (taken, given) = tokio::join!(take(&successor), given);
        assert!(given);
        let taken = taken.unwrap().routers;
        assert_eq!(taken, routers());
        for (left, expected) in taken.iter().zip(routers()) {
            assert_eq!(left.memory(), expected.memory());
        }
    });
}

#[test]
fn a_successor_that_dies_or_cannot_read_leaves_the_predecessor_running() {
    run(async || {
        let (successor, predecessor) = line();
        successor.send_bytes(GIVE, &[]).await.unwrap();
        assert!(hear(Some(&predecessor)).await);
        drop(successor);
        assert!(!give(&predecessor, routers(), Vec::new()).await);

        let (successor, predecessor) = line();
        let told = async {
            assert!(hear(Some(&predecessor)).await);
            let strange = br#"{"version":99,"routers":[]}"#.to_vec();
            predecessor.send(&strange, &[]).await.unwrap();
        };
        let (taken, ()) = tokio::join!(take(&successor), told);
        assert_eq!(taken.unwrap_err(), "its document has version 99");
    });
}

#[test]
fn a_predecessor_that_waits_hears_of_successors_one_after_the_other() {
    run(async || {
        let (supervisor, speaker) = line();
        let mut farewell = Farewell::default();
        let (first, theirs) = channel::pair().unwrap();
        let say = async |line: &std::os::fd::OwnedFd| {
            use std::os::fd::AsFd as _;
            supervisor
                .send_bytes(b"successor", &[line.as_fd()])
                .await
                .unwrap();
        };
        say(&theirs).await;
        drop((first, theirs));
        let (second, theirs) = channel::pair().unwrap();
        say(&theirs).await;
        drop(theirs);
        let second = Channel::new(second).unwrap();
        second.send_bytes(GIVE, &[]).await.unwrap();
        assert!(matches!(farewell.asked(&speaker).await, Asked::Give(_)));
        drop(supervisor);
        assert!(matches!(farewell.asked(&speaker).await, Asked::Resign));
    });
}
