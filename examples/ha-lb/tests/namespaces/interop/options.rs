//! Keywords that change what is on the wire or what is accepted from it, beside keepalived's own reading of them.

use std::time::Duration;

use super::{
    cells::other,
    protocol::{HIGH, Instance, LOW},
    site::{OURS, Outcome, Setting, Site, THEIRS},
};
use crate::support::wait_for;

const PATIENCE: Duration = Duration::from_secs(8);

/// `who` is stopped once it is Active: the other one must have heard it all the time.
fn hand_over(mut site: Site, who: usize) -> Outcome {
    site.adverts_more(who, 4);
    site.settles(who);
    let said = site.resign(who);
    let skew = site.protocol.skew(LOW);
    site.takes_over(other(who), said, skew, "from priority 0");
    site.finish()
}

/// `who` advertises at three times the other one's interval: the other one learns it, and uses its own once Active.
pub(crate) fn mixed_intervals(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let slow = site.protocol.interval() * 3;
    site.elect_with(who, &Instance::of(HIGH).every(slow), &Instance::of(LOW));
    site.adverts_more(who, 2);
    site.kill(who);
    let last = site.last_word(who);
    let down = site.protocol.down_at(LOW, slow);
    site.takes_over(other(who), last, down, "from the last advert");
    let began = std::time::Instant::now();
    site.adverts_more(other(who), 4);
    let late = site.late(other(who), began);
    for pair in site.timeline.adverts(other(who), began).windows(2) {
        let gap = pair[1].0.duration_since(pair[0].0);
        assert!(
            gap <= site.protocol.interval() + late,
            "{gap:?} between two adverts"
        );
    }
    site.finish()
}

/// We leave the pseudo-header out of our sums (`v3_checksum_as_v2`, which keepalived 2.2 does not have) and follow one
/// that does not.
pub(crate) fn other_checksums(setting: &Setting, _: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let ours = Instance::of(LOW).with("v3_checksum_as_v2");
    site.elect_with(THEIRS, &Instance::of(HIGH), &ours);
    hand_over(site, THEIRS)
}

/// The same when we are preferred: keepalived 2.2 drops such adverts and becomes Active too. We say so.
pub(crate) fn dropped_checksums(setting: &Setting, _: usize) -> Outcome {
    ignored_by_keepalived(setting, &Instance::of(HIGH).with("v3_checksum_as_v2"))
}

/// keepalived lists fewer addresses: we follow it, and count that.
pub(crate) fn fewer_addresses(setting: &Setting, _: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let mut more = Instance::of(LOW);
    more.more_addresses.push("10.77.0.101");
    site.elect_with(THEIRS, &Instance::of(HIGH), &more);
    site.adverts_more(THEIRS, 2);
    wait_for("the mismatch is counted", PATIENCE, || {
        (site.ask(OURS, "/counters/address_mismatches").as_u64() > Some(0)).then_some(())
    });
    hand_over(site, THEIRS)
}

/// We list more addresses than keepalived: up to 2.3.2 it drops our adverts and becomes Active too. We say so.
pub(crate) fn more_addresses(setting: &Setting, _: usize) -> Outcome {
    let mut more = Instance::of(HIGH);
    more.more_addresses.push("10.77.0.101");
    ignored_by_keepalived(setting, &more)
}

fn ignored_by_keepalived(setting: &Setting, ours: &Instance) -> Outcome {
    let mut site = Site::pair(setting);
    let began = site.start(OURS, ours);
    site.takes_over_from_start(OURS, began, site.protocol.down(HIGH));
    let began = site.start(THEIRS, &Instance::of(LOW));
    let (down, startup) = (site.protocol.down(LOW), Duration::from_secs(3));
    site.speaks_within(THEIRS, began, down, startup, "from its start");
    wait_for("we say that there are two", PATIENCE, || {
        let rivals = site.ask(OURS, "/counters/rivals").as_u64() > Some(0);
        let said = site.node(OURS).log().contains("10.77.0.12 is Active too");
        (rivals && said).then_some(())
    });
    site.unjudged()
}

/// `skip_check_adv_addr` on both hosts.
pub(crate) fn skip_check(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let line = "skip_check_adv_addr";
    site.elect_with(
        who,
        &Instance::of(HIGH).with(line),
        &Instance::of(LOW).with(line),
    );
    hand_over(site, who)
}

/// `who` sends with a TTL that the other one wants.
pub(crate) fn wanted_ttl(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let instance = |priority| {
        let mut instance = Instance::of(priority).with("unicast_ttl 64");
        instance.of_peers = "min_ttl 60 max_ttl 70";
        instance
    };
    site.elect_with(who, &instance(HIGH), &instance(LOW));
    let adverts = site.timeline.adverts(who, site.began());
    assert!(
        adverts.iter().all(|(_, advert)| advert.ttl == 64),
        "{adverts:?}"
    );
    hand_over(site, who)
}

/// keepalived sends with a TTL that we do not want: we count that and do not follow.
pub(crate) fn unwanted_ttl(setting: &Setting, _: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let began = site.start(THEIRS, &Instance::of(HIGH).with("unicast_ttl 64"));
    site.takes_over_from_start(THEIRS, began, site.protocol.down(HIGH));
    let mut ours = Instance::of(LOW);
    ours.of_peers = "min_ttl 255";
    let began = site.start(OURS, &ours);
    let (down, startup) = (site.protocol.down(LOW), Duration::from_secs(3));
    site.speaks_within(OURS, began, down, startup, "from its start");
    assert!(site.rejected(OURS, "hop_limit") > 0);
    site.unjudged()
}

/// `preempt_delay`: `who`, preferred, respects the other one for so long.
pub(crate) fn preempt_delay(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let began = site.start(other(who), &Instance::of(LOW));
    site.takes_over_from_start(other(who), began, site.protocol.down(LOW));
    let began = site.start(who, &Instance::of(HIGH).with("preempt_delay 1"));
    let down = site.protocol.down(HIGH);
    site.takes_over_from_start(
        who,
        began,
        Duration::from_secs(1) + down - site.protocol.interval(),
    );
    site.finish()
}
