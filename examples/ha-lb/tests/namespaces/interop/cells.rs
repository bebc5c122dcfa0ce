//! The columns of the matrix: what happens, and what must follow. Each is played twice, `who` being ours and theirs.

use std::time::Instant;

use super::{
    protocol::{HIGH, Instance, LOW},
    site::{LATE, OURS, Outcome, Program, Setting, Site, THEIRS},
};

/// Plays a cell.
pub(crate) type Story = fn(&Setting, usize) -> Outcome;

/// The other host of a pair.
pub(crate) fn other(who: usize) -> usize {
    if who == OURS { THEIRS } else { OURS }
}

/// `who` is Active: it advertises at the interval, and the other one is silent.
pub(crate) fn active(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    site.elect(who);
    let began = Instant::now();
    site.adverts_more(who, 5);
    let adverts = site.timeline.adverts(who, began);
    for pair in adverts.windows(2) {
        let gap = pair[1].0.duration_since(pair[0].0);
        site.figure("interval".to_owned(), site.protocol.interval(), gap);
        let late = site.late(who, began);
        // A late advert does not move those after it.
        let allowed = site.protocol.interval() - late.min(site.protocol.interval())
            ..=site.protocol.interval() + late;
        assert!(allowed.contains(&gap), "{gap:?} between two adverts");
    }
    for (_, advert) in adverts {
        let interval = if site.protocol.version == 2 { 1 } else { 10 };
        assert_eq!(
            (advert.version, advert.priority),
            (site.protocol.version, HIGH)
        );
        // keepalived 2.2 leaves unicast adverts over IPv6 the kernel's own hop limit.
        let kernels = who == THEIRS && site.protocol.is_unicast() && site.protocol.ipv6;
        let ttl = if kernels { 64 } else { 255 };
        assert_eq!((advert.interval, advert.ttl), (interval, ttl));
        let is_ah = site.protocol.auth.is_some_and(|(kind, _)| kind == "AH");
        assert_eq!(advert.sequence.is_some(), is_ah);
    }
    site.settles(who);
    site.finish()
}

/// `who`, Active, is stopped: the other one takes over after its Skew_Time.
pub(crate) fn orderly_stop(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    site.elect(who);
    let said = site.resign(who);
    site.takes_over(other(who), said, site.protocol.skew(LOW), "from priority 0");
    site.finish()
}

/// Every process of `who`, Active, is killed: the other one takes over after Active_Down_Interval, and until then
/// nobody answers.
pub(crate) fn silent_death(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    site.elect(who);
    site.adverts_more(who, 1);
    site.kill(who);
    let last = site.last_word(who);
    site.takes_over(
        other(who),
        last,
        site.protocol.down(LOW),
        "from the last advert",
    );
    site.finish()
}

/// `who`, Active, loses its carrier: it gives the addresses up, the other one takes over after Active_Down_Interval;
/// once the cable is back `who` waits its own Active_Down_Interval and takes them again.
pub(crate) fn carrier_loss(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    site.elect(who);
    site.adverts_more(who, 1);
    if who == THEIRS {
        // Its resignation goes into the dead cable and takes a sequence number that ours never hears of.
        site.excuse(&["already processed"]);
    }
    site.cut(who);
    let last = site.last_word(who);
    site.takes_over(
        other(who),
        last,
        site.protocol.down(LOW),
        "from the last advert",
    );
    let mended = site.mend(who);
    site.takes_over_on_return(who, mended, site.protocol.down(HIGH));
    site.falls_silent(other(who), site.last_word(who));
    site.finish()
}

/// `who`, preferred, comes while the other one is Active, and takes over.
pub(crate) fn preempt(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let began = site.start(other(who), &Instance::of(LOW));
    site.takes_over_from_start(other(who), began, site.protocol.down(LOW));
    let began = site.start(who, &Instance::of(HIGH));
    site.takes_over_from_start(who, began, site.protocol.down(HIGH));
    site.adverts_more(who, 2);
    site.settles(who);
    site.finish()
}

/// `who`, preferred but told not to preempt, comes while the other one is Active, and waits until that one resigns.
pub(crate) fn nopreempt(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let began = site.start(other(who), &Instance::of(LOW));
    site.takes_over_from_start(other(who), began, site.protocol.down(LOW));
    site.start(who, &Instance::of(HIGH).with("nopreempt"));
    // Longer than its Active_Down_Interval.
    site.adverts_more(other(who), 5);
    site.settles(other(who));
    let said = site.resign(other(who));
    site.takes_over(who, said, site.protocol.skew(HIGH), "from priority 0");
    site.finish()
}

/// Two Active routers of one priority: the one with the higher address, `who`, stays.
pub(crate) fn tie(setting: &Setting, who: usize) -> Outcome {
    let number = |host: usize| if host == who { 22 } else { 21 };
    let members = [
        (Program::HaLb, number(OURS)),
        (Program::Keepalived, number(THEIRS)),
    ];
    let site = Site::new(setting, &members);
    two_masters(site, who, LOW)
}

/// Two Active routers: the one with the higher priority, `who`, stays.
pub(crate) fn heal(setting: &Setting, who: usize) -> Outcome {
    two_masters(Site::pair(setting), who, HIGH)
}

fn two_masters(mut site: Site, who: usize, priority: u8) -> Outcome {
    // Both counted adverts: with AH the first ones after they meet may have numbers that the other one has used.
    site.excuse(&["already processed", "replay"]);
    let loser = other(who);
    site.partition(true);
    for (host, priority) in [(loser, LOW), (who, priority)] {
        site.start(host, &Instance::of(priority));
    }
    for host in [loser, who] {
        site.adverts_more(host, 2);
    }
    reunite(&mut site, who);
    site.finish()
}

/// The loser hears `who` within one interval and is silent from then on.
fn reunite(site: &mut Site, who: usize) {
    let healed = site.partition(false);
    site.adverts_more(who, 3);
    site.falls_silent(other(who), healed);
    site.settles(who);
    let interval = site.protocol.interval();
    site.judge_from(healed + interval + LATE, who);
    site.adverts_more(who, 3);
}

/// `who`, Active, is stopped and started again: its sequence number begins anew, and it is heard.
pub(crate) fn restart(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    site.elect(who);
    let said = site.resign(who);
    site.takes_over(other(who), said, site.protocol.skew(LOW), "from priority 0");
    let began = site.start_again(who);
    site.takes_over_from_start(who, began, site.protocol.down(HIGH));
    site.adverts_more(who, 2);
    site.settles(who);
    site.finish()
}

/// `who`, Backup, is stopped and started again: it follows, and takes over when the other one leaves.
pub(crate) fn restart_of_the_backup(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    site.elect(other(who));
    assert_eq!(site.stop(who), None, "a Backup has nothing to resign from");
    site.start_again(who);
    site.follows(who, other(who));
    let said = site.resign(other(who));
    site.takes_over(who, said, site.protocol.skew(LOW), "from priority 0");
    site.finish()
}

/// `who`, preferred, is started again while the hosts do not hear each other: both are Active, and the sequence number
/// of `who` is far behind what the other one has heard. That one takes its adverts for replays until `who` has heard
/// one of its own.
pub(crate) fn restart_while_parted(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    site.excuse(&["already processed", "replay"]);
    site.elect(who);
    site.adverts_more(who, 4);
    site.partition(true);
    site.stop(who);
    site.adverts_more(other(who), 1);
    site.start_again(who);
    site.adverts_more(who, 1);
    reunite(&mut site, who);
    site.finish()
}
