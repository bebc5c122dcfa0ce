//! The inner process: has the cluster, tells the story or does what it is told.

use std::{
    process::ExitCode,
    sync::mpsc::{self, Receiver},
    time::Instant,
};

use super::{
    DemoError,
    cluster::{Cluster, ORIGINS, VIP},
    deed::Deed,
    hand::Hand,
    message::Message,
    teller::Teller,
};
use crate::lab::enclosure;

/// The story. lb1 is preferred, so each step finds it Active unless it is away.
const STORY: [Deed; 12] = [
    Deed::Nothing,
    Deed::KillOrigin(1),
    Deed::StartOrigin(1),
    Deed::KillBalancer(0),
    Deed::Reload(ORIGINS),
    Deed::Cut(0),
    Deed::Mend(0),
    Deed::Kill(0),
    Deed::Start(0),
    Deed::Stop(0),
    Deed::Fail(1),
    Deed::Heal,
];

/// Runs the cluster; `by_hand` until the outer process ends it, else to the end of the story.
pub(super) fn run(by_hand: bool) -> ExitCode {
    let (orders, hands) = mpsc::channel();
    let teller = Teller::new();
    let listening = enclosure::listen_to_the_outer_process(move |line| {
        if let Ok(hand) = line.parse::<Hand>() {
            // Once the story is over nobody takes orders.
            let _ = orders.send(hand);
        }
    });
    if let Err(error) = listening {
        teller.tell(&Message::Broken(format!("leash: {error}")));
        return ExitCode::FAILURE;
    }
    match play(by_hand, &teller, &hands) {
        Ok(()) => ExitCode::SUCCESS,
        Err(told) => {
            teller.tell(&Message::Broken(told));
            ExitCode::FAILURE
        }
    }
}

fn play(by_hand: bool, teller: &Teller, hands: &Receiver<Hand>) -> Result<(), String> {
    let story: &[Deed] = if by_hand { &[] } else { &STORY };
    teller.tell(&Message::Plan(
        story.iter().map(|deed| deed.what()).collect(),
    ));
    teller.say("building three hosts, four origins and a client on one bridge");
    let began = Instant::now();
    let mut cluster = Cluster::start(teller).map_err(|error| error.to_string())?;
    let told = begin(&cluster, teller, began)
        .and_then(|()| tell(&mut cluster, teller, story))
        .map(|()| {
            if by_hand {
                obey(&mut cluster, teller, hands);
            }
        });
    // Whatever still runs ends with this process, the first of its namespace.
    told.map_err(|error| format!("{error}\n{}", cluster.logs()))
}

/// The hosts start together: whoever comes first may still give way to the most preferred one.
fn begin(cluster: &Cluster, teller: &Teller, began: Instant) -> Result<(), DemoError> {
    let first = cluster.settle(began)?;
    let name = cluster.name(first);
    teller.say(format!(
        "{name} holds {VIP} after {} ms",
        began.elapsed().as_millis()
    ));
    let all_serve = |_: &Cluster, look: &super::watch::Look| {
        look.statuses.iter().all(|status| {
            let balancer = status.as_ref().and_then(|status| status.balancer.as_ref());
            balancer.is_some_and(|balancer| balancer.ready)
        })
    };
    cluster.wait("the start of every balancer", began, all_serve)?;
    // Requests of the time before that are still under way would be counted as the first step's.
    let settled = Instant::now();
    cluster.wait("an answer to every request", began, |cluster, _| {
        let oldest = cluster.client.oldest_under_way();
        oldest.is_none_or(|asked| asked > settled)
    })
}

fn tell(cluster: &mut Cluster, teller: &Teller, story: &[Deed]) -> Result<(), DemoError> {
    for (number, deed) in story.iter().enumerate() {
        let at_ms = teller.now_ms();
        teller.tell(&Message::Step { at_ms, number });
        deed.perform(cluster, teller)?;
    }
    Ok(())
}

/// Does what it is told until nobody is left to tell.
fn obey(cluster: &mut Cluster, teller: &Teller, hands: &Receiver<Hand>) {
    teller.say("everything is in your hands now");
    while let Ok(hand) = hands.recv() {
        let Some(deed) = hand.deed(cluster) else {
            teller.say(format!(
                "{hand}: nothing is left to do that to; h brings all back"
            ));
            continue;
        };
        teller.say(format!("{} ...", deed.what()));
        if let Err(error) = deed.perform(cluster, teller) {
            teller.say(error.to_string());
        }
    }
}
