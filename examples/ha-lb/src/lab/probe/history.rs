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

    /// When both lasted at once. A span inside another is taken for longer than [`PERIOD`], however short it is: the
    /// other's host answered before it and after it.
    fn shared_with(self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        let inside = |inner: Self, outer: Self| outer.from < inner.from && inner.to < outer.to;
        let least = if inside(self, other) || inside(other, self) {
            PERIOD * 2
        } else {
            Duration::ZERO
        };
        (from <= to).then(|| Self {
            from,
            to: to.max(from + least),
        })
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

    /// The times at which two hosts answered at once, since `since`.
    pub fn doubles(&self, since: Instant) -> Vec<Span> {
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

    /// The longest time from one answer to the next, whosever, with a question in between that nobody answered; from
    /// `since` up to `until`. Without such a question it was the prober that paused.
    pub fn longest_silence(&self, since: Instant, until: Instant) -> Span {
        let mut longest = Span {
            from: since,
            to: since,
        };
        let (mut last, mut unanswered) = (since, false);
        let first = self.rounds.partition_point(|asked| *asked < since);
        let rounds = self.rounds.iter().enumerate().skip(first);
        for (round, _) in rounds.take_while(|(_, asked)| **asked < until) {
            let answers = self.hosts.iter().filter_map(|host| host.get(round)?.span());
            let (from, to) = answers.fold((None, None), |(from, to), span| {
                (
                    Some(from.map_or(span.from, |at: Instant| at.min(span.from))),
                    to.max(Some(span.to)),
                )
            });
            let (Some(from), Some(to)) = (from, to) else {
                unanswered = true;
                continue;
            };
            let pause = Span {
                from: last,
                to: from,
            };
            if std::mem::take(&mut unanswered) && pause.length() > longest.length() {
                longest = pause;
            }
            last = last.max(to);
        }
        let open = Span {
            from: last,
            to: until,
        };
        match unanswered && open.length() > longest.length() {
            true => open,
            false => longest,
        }
    }

    /// The last answer of `host` before it fell silent, counted from the last question before `since`; `None` if that
    /// was not answered any more.
    pub fn last_answer(&self, host: usize, since: Instant) -> Option<Instant> {
        let next = self.rounds.partition_point(|asked| *asked <= since);
        let answers = self.hosts.get(host)?.get(next.saturating_sub(1)..)?;
        let mut spans = answers.iter().map_while(|answers| answers.span());
        let first = spans.next()?;
        Some(spans.fold(first.to, |last, span| last.max(span.to)))
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
