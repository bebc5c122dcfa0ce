//! What is done to the cluster, in order, and what must hold.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{DemoError, Event, cluster::Cluster, show::Show};

/// What the probe itself cannot tell: a request that is lost at the wrong moment waits for its own 100 ms, and
/// a connection attempt follows it.
pub(super) const PROBE_RESOLUTION: Duration = Duration::from_millis(250);
/// How long the cluster is watched after an event.
const CALM: Duration = Duration::from_millis(1500);

/// Tells the story; on failure also what the daemons wrote.
pub(super) fn tell(show: &mut Show) -> Result<Vec<Event>, (DemoError, String)> {
    show.say("building three hosts, three origins and a client on one bridge ...");
    let began = Instant::now();
    let mut cluster = Cluster::start().map_err(|error| (error, String::new()))?;
    let events = acts(&mut cluster, show, began);
    let logs = cluster.logs();
    for node in &mut cluster.nodes {
        node.terminate();
    }
    events.map_err(|error| (error, logs))
}

fn acts(cluster: &mut Cluster, show: &mut Show, began: Instant) -> Result<Vec<Event>, DemoError> {
    let first = cluster.settle(None, began)?;
    let elected = began.elapsed();
    show.say(&format!(
        "{} holds 10.77.0.10 after {} ms",
        name(cluster, first),
        elapsed_ms(elected)
    ));
    // The hosts start together: who comes first may still give way to the most preferred one.
    watch(cluster, show, cluster.down_interval(first));

    let mut events = Vec::new();
    let before = Before::now(cluster);
    watch(cluster, show, 2 * CALM);
    events.push(before.measure(cluster, "nothing fails", Duration::ZERO)?);
    show.event(events.last());

    let holder = cluster.settle(None, before.at)?;
    let allowed = cluster.down_interval(holder);
    let what = format!(
        "{} dies: cable cut, every process killed",
        name(cluster, holder)
    );
    let before = Before::now(cluster);
    if let Some(node) = cluster.nodes.get(holder) {
        cluster.lab.cut_cable(&node.host)?;
    }
    if let Some(node) = cluster.nodes.get_mut(holder) {
        node.kill();
    }
    cluster.settle(Some(holder), before.at + CALM)?;
    watch(cluster, show, CALM);
    events.push(before.measure(cluster, &what, allowed)?);
    show.event(events.last());

    let what = format!("{} comes back and takes over again", name(cluster, holder));
    let before = Before::now(cluster);
    if let Some(node) = cluster.nodes.get(holder) {
        cluster.lab.mend_cable(&node.host)?;
    }
    if let Some(node) = cluster.nodes.get_mut(holder) {
        node.start()?;
    }
    returned(cluster, holder, before.at)?;
    watch(cluster, show, CALM);
    events.push(before.measure(cluster, &what, Duration::ZERO)?);
    show.event(events.last());

    let allowed = cluster.skew(holder);
    let what = format!("{} is stopped in order (SIGTERM)", name(cluster, holder));
    let before = Before::now(cluster);
    if let Some(node) = cluster.nodes.get_mut(holder) {
        node.terminate();
    }
    cluster.settle(Some(holder), before.at)?;
    watch(cluster, show, CALM);
    events.push(before.measure(cluster, &what, allowed)?);
    show.event(events.last());
    Ok(events)
}

/// Waits until `node` is the one Active host again.
fn returned(cluster: &Cluster, node: usize, since: Instant) -> Result<(), DemoError> {
    let deadline = since + Duration::from_secs(20);
    while cluster.active() != Some(node) {
        if Instant::now() > deadline {
            return Err(DemoError::TooLate(format!(
                "return of {} ({:?})",
                name(cluster, node),
                cluster.states()
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The client's counters when an event begins.
struct Before {
    at: Instant,
    failures: u64,
    by_origin: BTreeMap<String, u64>,
}

impl Before {
    fn now(cluster: &Cluster) -> Self {
        let traffic = &cluster.traffic;
        Self {
            at: Instant::now(),
            failures: traffic.failures(),
            by_origin: traffic.by_origin(),
        }
    }

    /// What the client saw since.
    fn measure(
        &self,
        cluster: &Cluster,
        what: &str,
        allowed: Duration,
    ) -> Result<Event, DemoError> {
        let active = cluster.settle(None, self.at)?;
        let gap = cluster.traffic.longest_gap(self.at).length();
        let mut by_origin = cluster.traffic.by_origin();
        for (origin, count) in &mut by_origin {
            *count -= self.by_origin.get(origin).copied().unwrap_or(0);
        }
        let milliseconds = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Event {
            what: what.to_owned(),
            gap_ms: gap.as_millis(),
            allowed_ms: allowed.as_millis(),
            held: gap <= allowed + PROBE_RESOLUTION,
            requests_per_second: by_origin.values().sum::<u64>() * 1000 / milliseconds.max(1),
            by_origin,
            failed: cluster.traffic.failures() - self.failures,
            active: name(cluster, active),
        })
    }
}

fn watch(cluster: &Cluster, show: &mut Show, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        show.live(&cluster.states(), &cluster.traffic);
        std::thread::sleep(Duration::from_millis(250));
    }
}

fn name(cluster: &Cluster, node: usize) -> String {
    cluster
        .nodes
        .get(node)
        .map(|node| node.host.name().to_owned())
        .unwrap_or_default()
}

fn elapsed_ms(time: Duration) -> u128 {
    time.as_millis()
}
