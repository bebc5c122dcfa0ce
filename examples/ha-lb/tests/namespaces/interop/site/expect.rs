//! What must follow in a cell, and when; and the judgement over the whole.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Figure, OURS, Outcome, PATIENCE, Program, Site};
use crate::{interop::timeline::Event, support::wait_for};

/// A router never acts before the protocol's time. Both programs count in microseconds from when they read the clock,
/// which is after the frame that the witness stamped; the witness's own clocks are compared to this.
const EARLY: Duration = Duration::from_millis(2);
/// What a busy machine adds, beside what the gauge sees of it.
pub(crate) const LATE: Duration = Duration::from_millis(100);
/// The same of another program: how punctual that is beside compilers is not what is judged here.
const PEERS_LATE: Duration = Duration::from_secs(1);
/// From the start of a program to its first timer.
const STARTUP: Duration = Duration::from_millis(2500);
/// The kernel tells of a lost carrier at most once a second (`linkwatch`).
const LINKWATCH: Duration = Duration::from_millis(1100);

impl Site {
    /// `who` becomes Active `theory` after `since`, neither earlier nor much later, and it alone holds the addresses.
    pub(crate) fn takes_over(&mut self, who: usize, since: Instant, theory: Duration, what: &str) {
        self.takes_over_within(who, since, theory, Duration::ZERO, what);
    }

    /// The same after carrier returned to `who`.
    pub(crate) fn takes_over_on_return(&mut self, who: usize, since: Instant, theory: Duration) {
        self.takes_over_within(who, since, theory, LINKWATCH, "from the carrier's return");
    }

    /// The same from the start of `who`.
    pub(crate) fn takes_over_from_start(&mut self, who: usize, since: Instant, theory: Duration) {
        self.takes_over_within(who, since, theory, STARTUP, "from its start");
    }

    /// The same of FRRouting, whose kernel always has the addresses: only what the witness hears counts. Over IPv6 its
    /// first advert is lost, for the device that it leaves by is not ready yet.
    pub(crate) fn takes_over_by_ear(
        &mut self,
        who: usize,
        since: Instant,
        theory: Duration,
        what: &str,
    ) {
        let more = self.protocol.interval();
        self.speaks_within(who, since, theory, more, what);
        self.only_answers(who);
    }

    /// `who` speaks in time after its start, and alone answers.
    pub(crate) fn speaks_from_start(&mut self, who: usize, since: Instant, theory: Duration) {
        self.speaks_within(who, since, theory, STARTUP, "from its start");
        self.only_answers(who);
    }

    fn early(&self, who: usize) -> Duration {
        match self.members[who].program {
            Program::HaLb | Program::Keepalived => EARLY,
            // It counts whole hundredths of a second.
            Program::Frr => EARLY + Duration::from_millis(10),
        }
    }

    /// Whether it is this program.
    fn is_ours(&self, who: usize) -> bool {
        matches!(self.members[who].program, Program::HaLb)
    }

    /// What `who` may be late since then: keepalived changes addresses in the thread that keeps its time, so that it
    /// waits for the kernel's lock too.
    pub(crate) fn late(&self, who: usize, since: Instant) -> Duration {
        match self.members[who].program {
            Program::HaLb => LATE + self.gauge.processor(since),
            Program::Keepalived | Program::Frr => PEERS_LATE + self.gauge.lock(since),
        }
    }

    /// The same, not later than `more` after that.
    pub(crate) fn takes_over_within(
        &mut self,
        who: usize,
        since: Instant,
        theory: Duration,
        more: Duration,
        what: &str,
    ) {
        let first = self.speaks_within(who, since, theory, more, what);
        self.holds_alone(who, first);
    }

    /// Only the first half of [`Self::takes_over`]: whoever has the addresses. Returns when it spoke.
    pub(crate) fn speaks_within(
        &mut self,
        who: usize,
        since: Instant,
        theory: Duration,
        more: Duration,
        what: &str,
    ) -> Instant {
        let first = self.first_advert(who, since, theory + more + PATIENCE);
        let took = first.duration_since(since);
        let late = self.late(who, since) + more;
        let name = self.name(who).to_owned();
        assert!(
            took + self.early(who) >= theory,
            "{name}, {what}: {took:?} is before {theory:?}"
        );
        assert!(
            took <= theory + late,
            "{name}, {what}: {took:?}, {theory:?} and {late:?} allowed"
        );
        let what = format!("{name} Active, {what}");
        self.figures.push(Figure { what, theory, took });
        self.speakers.push(who);
        first
    }

    /// The first advert of `who` since then that is no resignation.
    fn first_advert(&self, who: usize, since: Instant, patience: Duration) -> Instant {
        wait_for(&format!("{} speaks", self.name(who)), patience, || {
            let adverts = self.timeline.adverts(who, since).into_iter();
            let mut adverts = adverts.filter(|(_, advert)| advert.priority > 0);
            adverts.next().map(|(at, _)| at)
        })
    }

    /// `who`, Active since its advert at `first`, puts the addresses in place and announces them, all others give
    /// them up, and to a third host nobody else is there.
    fn holds_alone(&self, who: usize, first: Instant) {
        let name = self.name(who);
        let probed = self.protocol.probed();
        let added = Event::Added {
            on: who,
            address: probed,
        };
        for event in [added, Event::Announced { from: who }] {
            let at = wait_for(&format!("{name}: {event:?}"), PATIENCE, || {
                let mut since = self.timeline.since(first).into_iter();
                since.find(|(_, one)| *one == event).map(|(at, _)| at)
            });
            let took = at.duration_since(first);
            // The kernel says that it has an address of IPv6 once its own work on it got the lock too.
            let locks = if self.protocol.ipv6 { 2 } else { 1 };
            let slack = if self.is_ours(who) { LATE } else { PEERS_LATE };
            let late = slack + self.gauge.lock(first) * locks;
            assert!(
                took <= late,
                "{name}: {event:?} {took:?} after its first advert"
            );
        }
        self.settles(who);
    }

    /// Waits until `who` alone has all addresses; then only it answers.
    pub(crate) fn settles(&self, who: usize) {
        let vips: Vec<IpAddr> = self
            .protocol
            .vips()
            .iter()
            .map(|vip| vip.parse().unwrap())
            .collect();
        let name = self.name(who);
        wait_for(
            &format!("{name} alone holds the addresses"),
            PATIENCE,
            || {
                let right = |host| {
                    vips.iter()
                        .all(|vip| self.timeline.holds(host, *vip) == (host == who))
                };
                // FRRouting always has them; zebra tells its device in its own time that it may not answer.
                let quiet = |host: usize| {
                    let lately = self.timeline.answers(Instant::now() - LATE);
                    lately.iter().all(|(_, from)| *from != host)
                };
                let in_order = |host: usize| match self.members[host].program {
                    Program::Frr => host == who || quiet(host),
                    Program::HaLb | Program::Keepalived => right(host),
                };
                (0..self.members.len()).all(in_order).then_some(())
            },
        );
        self.only_answers(who);
    }

    /// From now on only `who` answers the witness.
    fn only_answers(&self, who: usize) {
        let name = self.name(who);
        let settled = Instant::now();
        let answers = wait_for(&format!("{name} answers"), PATIENCE, || {
            let answers = self.timeline.answers(settled);
            (answers.iter().filter(|(_, from)| *from == who).count() >= 3).then_some(answers)
        });
        let others = answers.iter().filter(|(_, from)| *from != who).count();
        assert_eq!(others, 0, "only {name} may answer");
    }

    /// Ends what still runs and judges the whole: who spoke, who answered, what the logs say.
    pub(crate) fn finish(self) -> Outcome {
        self.timeline.done("the cell is judged");
        assert_eq!(
            self.timeline.speakers(self.judged_from),
            self.speakers,
            "who spoke as Active"
        );
        let grace = LATE + self.gauge.lock(self.judged_from);
        let mut usurpers = self.timeline.usurpers(self.judged_from, grace);
        usurpers.retain(|(_, who)| self.is_ours(*who));
        assert!(
            usurpers.is_empty(),
            "answered and was not Active: {usurpers:?}"
        );
        for who in 0..self.members.len() {
            self.nobody_saw_a_bogus_packet(who);
        }
        self.unjudged()
    }

    /// Ends what still runs: the cell has asserted what there is to assert.
    pub(crate) fn unjudged(mut self) -> Outcome {
        self.end();
        Outcome {
            figures: std::mem::take(&mut self.figures),
            frames: self.timeline.frames(OURS),
            _site: self,
        }
    }

    fn nobody_saw_a_bogus_packet(&self, who: usize) {
        let member = &self.members[who];
        let log = member.node.log();
        let words: &[&str] = match member.program {
            Program::HaLb => &["rejected", "ERROR", "panicked"],
            Program::Frr => &["Datagram invalid", "iscard", "ismatch"],
            Program::Keepalived => &[
                "bogus",
                "expect",
                "AH : invalid",
                "already processed",
                "invalid",
                "mismatch",
                "checksum",
                "Received AH",
                "No AH",
                "not present",
                "not a unicast peer",
                "not in range",
                "send advert",
            ],
        };
        for word in words {
            let lines = log.lines().filter(|line| line.contains(word));
            let bad: Vec<_> = lines
                .filter(|line| !self.excused.iter().any(|excuse| line.contains(excuse)))
                .collect();
            assert!(bad.is_empty(), "{}: {bad:#?}", self.name(who));
        }
        if member.program == Program::HaLb && member.running {
            let status = member.node.status().unwrap();
            let rejected = status["instances"][0]["counters"]["rejected"]
                .as_array()
                .unwrap();
            let counted = rejected.iter().filter(|one| {
                one["count"] != 0 && !self.excused.iter().any(|excuse| one["cause"] == *excuse)
            });
            assert_eq!(counted.count(), 0, "{}: {rejected:?}", self.name(who));
        }
    }

    /// The last advert of `who` that told the others to wait.
    pub(crate) fn last_word(&self, who: usize) -> Instant {
        self.timeline.last_advert(who).unwrap()
    }

    pub(crate) fn figure(&mut self, what: String, theory: Duration, took: Duration) {
        self.figures.push(Figure { what, theory, took });
    }

    /// `who` speaks, and says nothing as Active any more since `since` but within one interval and what a busy
    /// machine adds.
    pub(crate) fn falls_silent(&mut self, who: usize, since: Instant) {
        let allowed = self.protocol.interval() + self.late(who, since);
        let last = self.last_word(who);
        let took = last.saturating_duration_since(since);
        assert!(
            took <= allowed,
            "{} still spoke {took:?} later",
            self.name(who)
        );
    }
}
