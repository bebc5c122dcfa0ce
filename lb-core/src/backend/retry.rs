//! What to do when a server could not be reached.

use std::time::Duration;

use super::{Backend, Persistence};

/// Next step after a failed connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// The same server again, after this pause.
    Retry(Duration),
    /// Another server, at once: assign again with the failed one excluded.
    Redispatch,
    /// 503.
    GiveUp,
}

impl Backend {
    /// `failures` counts the failed connections of this stream, the last one included; `how` is how its server
    /// was chosen. Retries wait a second or `timeout connect`, whichever is shorter.
    pub fn after_failure(
        &self,
        failures: u32,
        how: Persistence,
        connect_timeout: Option<Duration>,
    ) -> AfterFailure {
        let retries = self.config().retries;
        if failures > retries {
            return AfterFailure::GiveUp;
        }
        let due = match self.config().redispatch {
            None | Some(0) => return AfterFailure::Retry(Self::turn_around(connect_timeout)),
            // Every so many failures, or so many before the last retry (`-1` is the last).
            Some(every @ 1..) => failures.is_multiple_of(every.unsigned_abs()),
            Some(before_last) => {
                let period = i64::from(retries) + 1 + i64::from(before_last);
                period <= 0 || i64::from(failures) % period == 0
            }
        };
        // Where any server may serve, another one is tried at once.
        let (active, backup) = self.usable_servers();
        let anyone =
            !how.is_direct() && self.config().balance.is_indifferent() && active + backup > 1;
        if due || anyone {
            AfterFailure::Redispatch
        } else {
            AfterFailure::Retry(Self::turn_around(connect_timeout))
        }
    }

    /// What is waited before the same server is tried again.
    pub fn turn_around(connect_timeout: Option<Duration>) -> Duration {
        const TURN_AROUND: Duration = Duration::from_secs(1);
        connect_timeout.map_or(TURN_AROUND, |t| t.min(TURN_AROUND))
    }
}
