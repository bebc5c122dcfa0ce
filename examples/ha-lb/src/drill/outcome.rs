//! What a round measured, and the bars that it is judged by.

use std::time::Duration;

use serde::Serialize;

use super::{Case, Setup};
use crate::lab::probe::PERIOD;

/// What one round measured.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// For each time after the blow that two hosts answered at once, beyond the resolution of the probes: how long.
    pub doubles: Vec<Duration>,
    /// The same while all was made well again: the preferred host takes the address from one that lives, and that one
    /// answers until it has heard of it.
    pub return_doubles: Vec<Duration>,
    /// The longest time after the blow in which no host answered for the address.
    pub silence: Duration,
    /// The last answer of the struck host after the blow, where it had to fall silent.
    pub last_answer: Option<Duration>,
    /// The longest time after the blow in which the client got nothing.
    pub client: Duration,
    /// The client's requests that were refused.
    pub refused: usize,
    /// The client's requests that failed otherwise.
    pub failed: usize,
    /// The longest time without an answer for the address while all was made well again.
    pub return_silence: Duration,
    /// The same for the client.
    pub return_client: Duration,
    /// The longest time in which the prober itself did not run: it cannot tell better.
    pub resolution: Duration,
    /// Rounds before this one that were held in vain because the machine stood still.
    pub spoilt: usize,
}

/// What a machine that is busy with other things may add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Slack {
    /// To the moment at which a killed process is really gone.
    pub kill: Duration,
    /// To the time without a holder.
    pub address: Duration,
    /// To a client's wait: its own patience with a request that was lost is in it.
    pub client: Duration,
}

impl Outcome {
    /// The bars that were missed, in words. What kept the prober from running kept others too: its longest pause is
    /// slack beside `slack`.
    pub fn missed(&self, case: &Case, setup: &Setup, slack: Slack) -> Vec<String> {
        let mut missed = Vec::new();
        for double in &self.doubles {
            missed.push(format!("two hosts answered at once for {double:.1?}"));
        }
        for double in &self.return_doubles {
            missed.push(format!(
                "two hosts answered at once at the return for {double:.1?}"
            ));
        }
        let mut within = |what: &str, measured: Duration, allowed: Duration, slack: Duration| {
            let slack = slack + self.resolution;
            if measured > allowed + slack {
                missed.push(format!(
                    "{what}: {measured:.1?}, allowed are {allowed:.1?} and {slack:.1?} of slack"
                ));
            }
        };
        if let Some(silence) = case.silent {
            let last = self.last_answer.unwrap_or_default();
            let allowed = silence.allowed(setup) + PERIOD;
            within("the struck host still answered", last, allowed, slack.kill);
        }
        let (address, client) = (case.address.allowed(setup), case.client.allowed(setup));
        within("nobody answered", self.silence, address, slack.address);
        within("the client waited", self.client, client, slack.client);
        let back = Duration::ZERO;
        within(
            "nobody answered at the return",
            self.return_silence,
            back,
            slack.address,
        );
        within(
            "the client waited at the return",
            self.return_client,
            back,
            slack.client,
        );
        if !case.refuses && self.refused > 0 {
            missed.push(format!("{} requests were refused", self.refused));
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: Slack = Slack {
        kill: Duration::from_millis(1),
        address: Duration::from_millis(10),
        client: Duration::from_millis(100),
    };

    #[test]
    fn each_bar_can_be_missed() {
        let setup = Setup::named("v2-1s").unwrap();
        let kill = Case::named("kill balancer").unwrap();
        let fence = Case::named("kill all").unwrap();
        assert!(Outcome::default().missed(kill, setup, SLACK).is_empty());
        let ms = Duration::from_millis;
        let bad = Outcome {
            doubles: vec![ms(6)],
            return_doubles: vec![ms(6)],
            silence: ms(11),
            client: ms(301),
            refused: 1,
            return_silence: ms(11),
            return_client: ms(101),
            ..Outcome::default()
        };
        assert_eq!(bad.missed(kill, setup, SLACK).len(), 7);
        let late = Outcome {
            last_answer: Some(ms(12)),
            silence: ms(3600),
            ..Outcome::default()
        };
        let missed = late.missed(fence, setup, SLACK);
        assert_eq!(missed.len(), 1, "{missed:?}");
        assert!(missed[0].starts_with("the struck host still answered: 12.0ms"));
    }
}
