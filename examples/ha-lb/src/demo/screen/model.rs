//! What the screen shows, made of what the inner process told. Knows neither terminal nor time.

use std::collections::VecDeque;

use crate::{
    admin::status::State,
    demo::message::{Event, HostView, Message, OriginView, Sample, Snapshot},
};

/// Samples older than this are forgotten; no window is so wide.
const HISTORY_MS: u64 = 120_000;
/// Rates and latencies are those of so long.
const RECENT_MS: u64 = 2_000;
/// Lines of the log that are kept.
const LOG: usize = 200;

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) by_hand: bool,
    pub(super) plan: Vec<String>,
    /// Step under way.
    pub(super) step: Option<usize>,
    pub(super) done: Vec<Event>,
    /// What happened and when, oldest first.
    pub(super) log: VecDeque<(u64, String)>,
    /// What was done and when, for the graph.
    pub(super) marks: Vec<(u64, String)>,
    pub(super) now: Snapshot,
    pub(super) samples: VecDeque<Sample>,
    /// Requests that were asked after the first good answer and failed.
    pub(super) failed: u64,
    served_since: Option<u64>,
    /// Each origin's answers at earlier times, oldest first.
    earlier: VecDeque<(u64, Vec<u64>)>,
}

/// The client's last seconds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Recent {
    pub(super) per_second: u64,
    pub(super) median_us: u64,
    pub(super) longest_us: u64,
}

impl Model {
    pub(super) fn new(by_hand: bool) -> Self {
        Self {
            by_hand,
            ..Self::default()
        }
    }

    /// Takes a message in.
    pub(super) fn hear(&mut self, message: &Message) {
        match message {
            Message::Plan(plan) => self.plan.clone_from(plan),
            Message::Step { at_ms, number } => {
                self.step = Some(*number);
                let what = self.plan.get(*number).cloned().unwrap_or_default();
                self.log(*at_ms, format!("▶ {what}"));
                self.marks.push((*at_ms, what));
            }
            Message::Say { at_ms, text } => {
                self.log(*at_ms, text.clone());
                if let Some(what) = text.strip_suffix(" ...").filter(|_| self.by_hand) {
                    self.marks.push((*at_ms, what.to_owned()));
                }
            }
            Message::Done(event) => self.done.push(event.clone()),
            Message::Broken(why) => self.log(self.now.at_ms, why.clone()),
            Message::Look(look) => self.look(look),
        }
    }

    fn log(&mut self, at_ms: u64, text: String) {
        self.log.push_back((at_ms, text));
        if self.log.len() > LOG {
            self.log.pop_front();
        }
    }

    fn look(&mut self, look: &Snapshot) {
        let mut news = Vec::new();
        for (before, now) in self.now.hosts.iter().zip(&look.hosts) {
            news.extend(host_news(before, now));
        }
        for (before, now) in self.now.origins.iter().zip(&look.origins) {
            news.extend(origin_news(before, now));
        }
        for text in news {
            self.log(look.at_ms, text);
        }
        self.samples.extend(&look.samples);
        self.count_failures(&look.samples);
        let old = look.at_ms.saturating_sub(HISTORY_MS);
        while self
            .samples
            .front()
            .is_some_and(|sample| sample.at_ms < old)
        {
            self.samples.pop_front();
        }
        let answers = look.origins.iter().map(|origin| origin.answers).collect();
        self.earlier.push_back((look.at_ms, answers));
        while self
            .earlier
            .get(1)
            .is_some_and(|(at, _)| at + RECENT_MS <= look.at_ms)
        {
            self.earlier.pop_front();
        }
        self.now = Snapshot {
            samples: Vec::new(),
            ..look.clone()
        };
    }

    /// Counts what is asked once there has been a good answer: before it nobody holds the address.
    fn count_failures(&mut self, samples: &[Sample]) {
        let good = samples.iter().filter(|sample| sample.failed.is_none());
        let first = self.served_since.or_else(|| {
            good.map(|sample| sample.at_ms + sample.took_us / 1000 + 1)
                .min()
        });
        self.served_since = first;
        let failed = samples.iter().filter(|sample| sample.failed.is_some());
        let counted = failed.filter(|sample| first.is_some_and(|first| sample.at_ms >= first));
        self.failed += counted.count() as u64;
    }

    /// Answers a second of one origin, lately.
    pub(super) fn rate(&self, origin: usize) -> u64 {
        let Some((at, answers)) = self.earlier.front() else {
            return 0;
        };
        let before = answers.get(origin).copied().unwrap_or(0);
        let now = self.now.origins.get(origin).map_or(0, |o| o.answers);
        let time = self.now.at_ms.saturating_sub(*at).max(1);
        (now.saturating_sub(before) * 1000 + time / 2) / time
    }

    /// What the client sees lately.
    pub(super) fn recent(&self) -> Recent {
        let since = self.now.at_ms.saturating_sub(RECENT_MS);
        let recent = self.samples.iter().rev().take_while(|s| s.at_ms >= since);
        let good = recent.filter(|sample| sample.failed.is_none());
        let mut took: Vec<u64> = good.map(|sample| sample.took_us).collect();
        took.sort_unstable();
        Recent {
            per_second: (0..self.now.origins.len())
                .map(|origin| self.rate(origin))
                .sum(),
            median_us: took.get(took.len() / 2).copied().unwrap_or(0),
            longest_us: took.last().copied().unwrap_or(0),
        }
    }

    /// The host that holds the address.
    pub(super) fn holder(&self) -> Option<&HostView> {
        self.now.hosts.iter().find(|host| holds(host))
    }
}

/// Whether a host holds the address, as far as others can see.
pub(super) fn holds(host: &HostView) -> bool {
    host.state == Some(State::Active) && host.cable
}

fn host_news(before: &HostView, now: &HostView) -> Vec<String> {
    let name = &now.name;
    let mut news = Vec::new();
    match (before.cable, now.cable) {
        (true, false) => news.push(format!("{name}: cable cut")),
        (false, true) => news.push(format!("{name}: cable in")),
        _ => {}
    }
    match (before.state, now.state) {
        (Some(_), None) => news.push(format!("{name}: gone")),
        (before, Some(state)) if before != Some(state) => news.push(format!("{name}: {state}")),
        _ => {}
    }
    if now.restarts > before.restarts {
        news.push(format!("{name}: balancer started again"));
    }
    news
}

fn origin_news(before: &OriginView, now: &OriginView) -> Option<String> {
    let name = &now.name;
    if before.alive != now.alive {
        let what = if now.alive { "started" } else { "died" };
        return Some(format!("{name}: {what}"));
    }
    let down = |origin: &OriginView| origin.status.starts_with("DOWN");
    match (before.status.as_str(), now.status.as_str()) {
        // Nobody was Active for a moment.
        ("", _) | (_, "") => None,
        _ if down(now) && !down(before) => Some(format!("{name}: found down")),
        _ if down(before) && !down(now) => Some(format!("{name}: found up")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::message::Failure;

    fn look(at_ms: u64, state: Option<State>, answers: u64) -> Message {
        Message::Look(Snapshot {
            at_ms,
            hosts: vec![HostView {
                name: "lb1".to_owned(),
                state,
                cable: true,
                ..HostView::default()
            }],
            origins: vec![OriginView {
                name: "web1".to_owned(),
                answers,
                ..OriginView::default()
            }],
            samples: vec![Sample {
                at_ms,
                took_us: at_ms,
                failed: None,
            }],
            waiting_ms: 0,
        })
    }

    #[test]
    fn changes_from_look_to_look_are_news() {
        let mut model = Model::new(false);
        model.hear(&look(0, None, 0));
        model.hear(&look(100, Some(State::Backup), 0));
        model.hear(&look(200, Some(State::Backup), 0));
        model.hear(&look(300, Some(State::Active), 0));
        model.hear(&look(400, None, 0));
        let log: Vec<&str> = model.log.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(log, ["lb1: Backup", "lb1: Active", "lb1: gone"]);
    }

    #[test]
    fn what_was_asked_before_anybody_had_answered_is_no_failure() {
        let sample = |at_ms: u64, took_ms: u64, failed: bool| Sample {
            at_ms,
            took_us: took_ms * 1000,
            failed: failed.then_some(Failure::Silent),
        };
        let mut model = Model::new(false);
        model.count_failures(&[
            sample(0, 500, true),
            sample(100, 400, false),
            sample(120, 500, true),
        ]);
        assert_eq!(model.failed, 0);
        model.count_failures(&[sample(499, 500, true), sample(502, 500, true)]);
        assert_eq!(model.failed, 1);
    }

    #[test]
    fn rates_and_latencies_are_those_of_the_last_seconds() {
        let mut model = Model::new(false);
        for tenth in 0..100 {
            model.hear(&look(tenth * 100, Some(State::Active), tenth * 5));
        }
        let recent = model.recent();
        assert_eq!(recent.per_second, 50);
        assert_eq!(recent.longest_us, 9_900);
        assert!((8_800..=9_000).contains(&recent.median_us), "{recent:?}");
    }
}
