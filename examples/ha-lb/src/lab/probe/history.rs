//! What the prober heard, and what follows from it. Pure: time is passed in.

use std::time::{Duration, Instant};

use super::PERIOD;

/// A time from one answer to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub from: Instant,
    /// The last.
    pub to: Instant,
}

impl Span {
    /// From its first moment to its last.
    pub fn length(self) -> Duration {
        self.to.saturating_duration_since(self.from)
    }

    /// How long both lasted at once. A span inside another counts for more than [`PERIOD`], however short it is: the
    /// other's host answered before it and after it.
    fn shared_with(self, other: Self) -> Option<Duration> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        let shared = to.checked_duration_since(from)?;
        let inside = |inner: Self, outer: Self| outer.from < inner.from && inner.to < outer.to;
        let least = if inside(self, other) || inside(other, self) {
            PERIOD * 2
        } else {
            Duration::ZERO
        };
        Some(shared.max(least))
    }
}

/// The answers of one host to the questions of one round.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    arp: Option<Instant>,
    tcp: Option<Instant>,
    refused: bool,
}

impl Answers {
    fn span(self) -> Option<Span> {
        let from = self.arp.into_iter().chain(self.tcp).min()?;
        let to = self.arp.into_iter().chain(self.tcp).max()?;
        Some(Span { from, to })
    }
}

/// Every round of questions and its answers, by the number of the host in the prober's list.
#[derive(Debug, Clone)]
pub struct History {
    rounds: Vec<Instant>,
    hosts: Vec<Vec<Answers>>,
}

impl History {
    pub(super) fn new(hosts: usize) -> Self {
        Self {
            rounds: Vec::new(),
            hosts: vec![Vec::new(); hosts],
        }
    }

    pub(super) fn begin_round(&mut self, now: Instant) -> usize {
        self.rounds.push(now);
        for host in &mut self.hosts {
            host.push(Answers::default());
        }
        self.rounds.len() - 1
    }

    /// An ARP reply names no question: it is one to the latest before it.
    pub(super) fn arp(&mut self, host: usize, at: Instant) {
        let round = self.rounds.partition_point(|asked| *asked <= at);
        let answers = self.hosts.get_mut(host);
        let answers = answers.and_then(|host| host.get_mut(round.saturating_sub(1)));
        if let Some(answers) = answers {
            answers.arp.get_or_insert(at);
        }
    }

    pub(super) fn tcp(&mut self, host: usize, round: usize, at: Instant, refused: bool) {
        let answers = self.hosts.get_mut(host);
        if let Some(answers) = answers.and_then(|host| host.get_mut(round)) {
            answers.tcp.get_or_insert(at);
            answers.refused |= refused;
        }
    }

    /// The rounds that were asked since `since`, with what one host answered.
    fn answers(&self, host: usize, since: Instant) -> impl Iterator<Item = (Instant, Answers)> {
        let first = self.rounds.partition_point(|asked| *asked < since);
        let answers = self.hosts.get(host).into_iter().flatten();
        self.rounds
            .iter()
            .copied()
            .zip(answers.copied())
            .skip(first)
    }

    /// When `host` answered every question, since `since`: one span for each time in between two unanswered ones.
    pub fn spans(&self, host: usize, since: Instant) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut open: Option<Span> = None;
        for (_, answers) in self.answers(host, since) {
            match (answers.span(), &mut open) {
                (Some(span), Some(open)) => open.to = open.to.max(span.to),
                (Some(span), None) => open = Some(span),
                (None, _) => spans.extend(open.take()),
            }
        }
        spans.extend(open);
        spans
    }

    /// For each time that two hosts answered at once since `since`: how long.
    pub fn doubles(&self, since: Instant) -> Vec<Duration> {
        let spans: Vec<Vec<Span>> = (0..self.hosts.len())
            .map(|host| self.spans(host, since))
            .collect();
        let mut doubles = Vec::new();
        for (number, one) in spans.iter().enumerate() {
            let others = spans.iter().skip(number + 1).flatten();
            for other in others {
                doubles.extend(one.iter().filter_map(|span| span.shared_with(*other)));
            }
        }
        doubles
    }

    /// The longest time since `since` in which nobody answered, counted up to `until`.
    pub fn longest_silence(&self, since: Instant, until: Instant) -> Span {
        let mut moments: Vec<Instant> = (0..self.hosts.len())
            .flat_map(|host| self.answers(host, since))
            .filter_map(|(_, answers)| answers.span())
            .flat_map(|span| [span.from, span.to])
            .filter(|at| *at < until)
            .chain([since, until])
            .collect();
        moments.sort_unstable();
        let pairs = moments.windows(2).filter_map(|pair| match pair {
            [from, to] => Some(Span {
                from: *from,
                to: *to,
            }),
            _ => None,
        });
        let whole = Span {
            from: since,
            to: until,
        };
        pairs.max_by_key(|span| span.length()).unwrap_or(whole)
    }

    /// The last answer of `host` before it fell silent for the first time after `since`; `None` if it never answered.
    pub fn last_answer(&self, host: usize, since: Instant) -> Option<Instant> {
        // The round under way at `since` may be answered after it.
        let early = since.checked_sub(PERIOD * 2).unwrap_or(since);
        let mut spans = self.spans(host, early).into_iter();
        spans.next().map(|span| span.to)
    }

    /// The hosts that answered each of the last questions, for `time`; nobody before so much time was observed.
    pub fn steady(&self, now: Instant, time: Duration) -> Vec<usize> {
        let since = now.checked_sub(time).unwrap_or(now);
        let seen_long_enough = self.rounds.first().is_some_and(|first| *first < since);
        let hosts = 0..self.hosts.len();
        let steady = hosts.filter(|host| {
            let mut asked: Vec<_> = self.answers(*host, since).collect();
            // The newest question may still be under way.
            asked.pop();
            seen_long_enough && !asked.is_empty() && asked.iter().all(|(_, a)| a.span().is_some())
        });
        steady.collect()
    }

    /// The hosts that answered anything since `since`.
    pub fn heard(&self, since: Instant) -> Vec<usize> {
        let hosts = 0..self.hosts.len();
        let heard =
            hosts.filter(|host| self.answers(*host, since).any(|(_, a)| a.span().is_some()));
        heard.collect()
    }

    /// SYNs since `since` that were answered by a reset: nothing listened.
    pub fn refusals(&self, since: Instant) -> usize {
        let hosts = 0..self.hosts.len();
        let all = hosts.flat_map(|host| self.answers(host, since));
        all.filter(|(_, answers)| answers.refused).count()
    }

    /// The longest time since `since` in which the prober itself asked nothing: it can tell nothing better than this.
    pub fn longest_pause(&self, since: Instant) -> Duration {
        let first = self.rounds.partition_point(|asked| *asked < since);
        let asked = self
            .rounds
            .get(first.saturating_sub(1)..)
            .unwrap_or_default();
        let pauses = asked.windows(2).filter_map(|pair| match pair {
            [from, to] => Some(to.saturating_duration_since(*from)),
            _ => None,
        });
        pauses.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
