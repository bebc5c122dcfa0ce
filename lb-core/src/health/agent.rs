//! What an agent says of its server (`agent-check`): a line of words.

use super::CheckStatus;
use crate::backend::AdminAction;

/// The words of an agent, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentAnswer {
    /// `75%`: share of the configured weight.
    pub weight: Option<u16>,
    /// `maxconn:30`.
    pub maxconn: Option<u32>,
    /// `ready`, `drain`, `maint`.
    pub admin: Option<AdminAction>,
    /// `up` (true), `down`, `fail`, `stopped` (false).
    pub up: Option<bool>,
    /// How the check ended; unknown where the answer was cut off, and nothing of it counts; no answer at all where nothing
    /// came.
    pub status: CheckStatus,
    /// What statistics and log lines show of it.
    pub detail: String,
}

impl AgentAnswer {
    /// Reads the first line of `text`, which has to be a whole one.
    pub fn parse(text: &[u8]) -> Self {
        let end = text
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n' | 0));
        let mut answer = Self::default();
        if text.is_empty() {
            answer.status = CheckStatus::L7Response;
            "TCPCHK got an empty response at step 2".clone_into(&mut answer.detail);
            return answer;
        }
        let Some(line) = end.and_then(|end| text.get(..end)) else {
            answer.status = CheckStatus::Unknown;
            "Ignoring incomplete line from agent".clone_into(&mut answer.detail);
            return answer;
        };
        let line = String::from_utf8_lossy(line);
        let mut unknown = None;
        // A sharp within a word is part of it.
        let starts = line.match_indices('#').map(|(at, _)| at).find(|at| {
            line.get(..*at)
                .is_some_and(|l| l.is_empty() || l.ends_with([' ', '\t', ',']))
        });
        let (words, comment) = match starts.and_then(|at| line.split_at_checked(at)) {
            Some((words, comment)) => (words, Some(comment.trim_start_matches('#').trim())),
            None => (&*line, None),
        };
        for word in words.split([' ', '\t', ',']).filter(|w| !w.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "ready" => answer.admin = Some(AdminAction::Ready),
                "drain" => answer.admin = Some(AdminAction::Drain),
                "maint" => answer.admin = Some(AdminAction::Maintenance),
                "up" => answer.decide(true, word),
                "down" | "fail" | "stopped" => answer.decide(false, word),
                other => match number(other) {
                    Some(Number::Percent(share)) => answer.weight = Some(share),
                    Some(Number::Maxconn(most)) => answer.maxconn = Some(most),
                    None => unknown = Some(word.to_owned()),
                },
            }
        }
        answer.status = match answer.up {
            Some(true) => CheckStatus::L7Ok,
            Some(false) => CheckStatus::L7Status,
            // Nothing was said of the health, so nothing of it changes.
            None => CheckStatus::Checked,
        };
        answer.detail = match (answer.up, unknown, comment) {
            (Some(_), _, Some(comment)) if !comment.is_empty() => {
                format!("via agent : {} ({comment})", answer.detail)
            }
            (Some(_), ..) => format!("via agent : {}", answer.detail),
            (None, Some(word), _) => format!("agent reports an error : {word}"),
            (None, None, _) => String::new(),
        };
        answer
    }

    fn decide(&mut self, up: bool, word: &str) {
        self.up = Some(up);
        self.detail = word.to_owned();
    }
}

enum Number {
    Percent(u16),
    Maxconn(u32),
}

fn number(word: &str) -> Option<Number> {
    if let Some(most) = word.strip_prefix("maxconn:") {
        return most.parse().ok().map(Number::Maxconn);
    }
    let share: u16 = word.strip_suffix('%')?.parse().ok()?;
    Some(Number::Percent(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_come_in_any_order() {
        let answer = AgentAnswer::parse(b"maxconn:30,75%\tready up\nignored");
        assert_eq!(answer.weight, Some(75));
        assert_eq!(answer.maxconn, Some(30));
        assert_eq!(answer.admin, Some(AdminAction::Ready));
        assert_eq!(answer.up, Some(true));
        assert_eq!(answer.status, CheckStatus::L7Ok);
    }

    #[test]
    fn a_reason_follows_a_sharp() {
        let answer = AgentAnswer::parse(b"down #disk is full\r\n");
        assert_eq!(answer.up, Some(false));
        assert_eq!(answer.detail, "via agent : down (disk is full)");
        let answer = AgentAnswer::parse(b"up 75% # all is fine\n");
        assert_eq!(answer.detail, "via agent : up (all is fine)");
    }

    #[test]
    fn what_says_nothing_of_the_health_leaves_it() {
        assert_eq!(AgentAnswer::parse(b"50%\n").status, CheckStatus::Checked);
        assert_eq!(AgentAnswer::parse(b"up").status, CheckStatus::Unknown);
        let odd = AgentAnswer::parse(b"HTTP/1.0 400 Bad\n");
        assert_eq!((odd.up, odd.status), (None, CheckStatus::Checked));
        assert_eq!(odd.detail, "agent reports an error : Bad");
        assert_eq!(AgentAnswer::parse(b"failed\n").up, None);
    }
}
