//! What operators do to hosts that run: reloads, checks that fail, flags that leave addresses behind.

use std::{
    fs,
    time::{Duration, Instant},
};

use super::{
    cells::other,
    protocol::{HIGH, Instance, LOW},
    site::{OURS, Outcome, Setting, Site, THEIRS},
};

/// Both hosts read a changed file while `who` is Active: nobody notices on the wire, and sequence numbers go on.
pub(crate) fn reload(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    site.elect(who);
    let began = Instant::now();
    for (host, priority) in [(who, HIGH), (other(who), LOW)] {
        site.write(host, &Instance::of(priority).with("garp_master_delay 7"));
        site.reload(host);
        site.adverts_more(who, 3);
    }
    let adverts = site.timeline.adverts(who, began);
    let late = site.late(who, began) + site.protocol.interval();
    for pair in adverts.windows(2) {
        let gap = pair[1].0.duration_since(pair[0].0);
        assert!(gap <= late, "{gap:?} between two adverts");
        assert_eq!(pair[1].1.priority, HIGH);
        let sequence = pair[0].1.sequence.map(|number| number + 1);
        assert_eq!(pair[1].1.sequence, sequence);
    }
    site.settles(who);
    let said = site.resign(who);
    site.takes_over(other(who), said, site.protocol.skew(LOW), "from priority 0");
    site.finish()
}

/// What takes from the priority of `who`: a script of ours; of keepalived a file, for it cannot run scripts in the
/// namespaces of an ordinary user (`setgroups`).
fn tracking(who: usize) -> Instance {
    let (track, before) = if who == OURS {
        (
            "track_script {\nlevel\n}",
            "global_defs {\nscript_user root\n}\nvrrp_script level {\n\
             script \"/usr/bin/grep -q ^0 /run/level\"\ninterval 1\nweight -60\n}\n",
        )
    } else {
        (
            "track_file {\nlevel\n}",
            "vrrp_track_file level {\nfile /run/level\nweight 1\n}\n",
        )
    };
    let mut instance = Instance::of(HIGH).with(track);
    before.clone_into(&mut instance.before);
    instance
}

/// What `who` tracks fails and takes from its priority, and later passes again.
pub(crate) fn weight(setting: &Setting, who: usize) -> Outcome {
    let mut site = Site::pair(setting);
    let level = site.node(who).path("run/level");
    fs::write(&level, "0").unwrap();
    site.elect_with(who, &tracking(who), &Instance::of(LOW));
    fs::write(&level, "-60").unwrap();
    site.timeline.done("the check fails");
    let failed = Instant::now();
    // The other one goes on waiting from the last advert that it had to respect.
    let lowered = crate::support::wait_for("a lower priority", Duration::from_secs(8), || {
        let adverts = site.timeline.adverts(who, failed).into_iter();
        let mut adverts = adverts.filter(|(_, advert)| advert.priority == HIGH - 60);
        adverts.next().map(|(at, _)| at)
    });
    let adverts = site.timeline.adverts(who, site.began()).into_iter();
    let respected = adverts.filter(|(at, _)| *at < lowered).map(|(at, _)| at);
    let respected = respected.max().unwrap();
    let down = site.protocol.down(LOW);
    site.takes_over(
        other(who),
        respected,
        down,
        "from the last advert of a higher priority",
    );
    fs::write(&level, "0").unwrap();
    let passes = site.timeline.done("the check passes");
    // Its timer runs from the last advert that it respected; the check is run once a second.
    let interval = site.protocol.interval();
    let down = site.protocol.down(HIGH) - interval;
    let more = interval + Duration::from_millis(1200);
    site.takes_over_within(who, passes, down, more, "after its check passes");
    site.finish()
}

/// keepalived's `--dont-release-vrrp`: it ends without a word and leaves the address behind. We take over as after a
/// death; both hosts have the address until keepalived starts again, which removes what it left.
pub(crate) fn dont_release(setting: &Setting, _: usize) -> Outcome {
    let mut site = Site::pair(setting);
    site.flags(THEIRS, &["--dont-release-vrrp"]);
    site.elect(THEIRS);
    site.adverts_more(THEIRS, 1);
    assert_eq!(site.stop(THEIRS), None, "no priority 0");
    let last = site.last_word(THEIRS);
    let down = site.protocol.down(LOW);
    site.speaks_within(OURS, last, down, Duration::ZERO, "from the last advert");
    assert!(site.timeline.holds(THEIRS, site.protocol.probed()));
    let began = site.start_again(THEIRS);
    site.takes_over_from_start(THEIRS, began, site.protocol.down(HIGH));
    site.unjudged()
}
