//! `retry-on`: the failures after which a request goes out again (HAProxy's manual §4.2).

/// A failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryEvent {
    /// `conn-failure`: there was no connection to the server.
    NoConnection,
    /// `empty-response`: the connection ended before anything of a response came.
    Empty,
    /// `junk-response`: what came is no response, or only a part of its head.
    Junk,
    /// `response-timeout`: the server let its time pass.
    Timeout,
    /// The server answered with this status, one of [`Self::STATUSES`].
    Status(u16),
}

impl RetryEvent {
    /// The statuses that can be tried again.
    pub const STATUSES: [u16; 10] = [401, 403, 404, 408, 425, 500, 501, 502, 503, 504];

    /// Its place in a set; none for other statuses.
    fn bit(self) -> u16 {
        match self {
            Self::NoConnection => 1,
            Self::Empty => 1 << 1,
            Self::Junk => 1 << 2,
            Self::Timeout => 1 << 3,
            Self::Status(status) => Self::STATUSES
                .iter()
                .position(|known| *known == status)
                .map_or(0, |at| 1 << (at + 4)),
        }
    }
}

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryOn(u16);

impl RetryOn {
    /// `none`.
    pub const NONE: Self = Self(0);

    /// The set with one more.
    #[must_use]
    pub fn with(self, event: RetryEvent) -> Self {
        Self(self.0 | event.bit())
    }

    /// `all-retryable-errors`: those of connections and of the server, and 500, 502, 503 and 504.
    pub fn all() -> Self {
        let statuses = [500, 502, 503, 504].map(RetryEvent::Status);
        let others = [
            RetryEvent::NoConnection,
            RetryEvent::Empty,
            RetryEvent::Junk,
            RetryEvent::Timeout,
        ];
        let all = statuses.into_iter().chain(others);
        all.fold(Self::NONE, Self::with)
    }

    /// Whether it has the failure.
    pub fn contains(self, event: RetryEvent) -> bool {
        self.0 & event.bit() != 0
    }

    /// Whether it has one of requests that have been sent: they have to be kept.
    pub fn repeats_requests(self) -> bool {
        self.0 & !RetryEvent::NoConnection.bit() != 0
    }
}

/// `conn-failure`.
impl Default for RetryOn {
    fn default() -> Self {
        Self::NONE.with(RetryEvent::NoConnection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_a_place_of_its_own() {
        let statuses = RetryEvent::STATUSES.map(RetryEvent::Status);
        let others = [
            RetryEvent::NoConnection,
            RetryEvent::Empty,
            RetryEvent::Junk,
            RetryEvent::Timeout,
        ];
        let events: Vec<_> = statuses.into_iter().chain(others).collect();
        for event in &events {
            let set = RetryOn::NONE.with(*event);
            let found: Vec<_> = events.iter().filter(|e| set.contains(**e)).collect();
            assert_eq!(found, [event]);
        }
        assert!(!RetryOn::all().contains(RetryEvent::Status(501)));
        assert!(!RetryOn::default().repeats_requests());
    }
}
