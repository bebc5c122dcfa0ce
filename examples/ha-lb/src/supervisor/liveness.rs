//! Track scripts that only ask whether the balancer runs: `killall -0 haproxy`, `pidof haproxy`,
//! `pgrep haproxy`, `systemctl is-active haproxy`.
//!
//! Where this daemon runs the balancer such a script is not executed: the answer is the balancer's own
//! liveness, known at the moment it changes. A balancer that dies gets [`GRACE`] to serve again on the same
//! sockets, in which clients merely wait; one that dies twice in a row gets none.

use std::time::{Duration, Instant};

use super::backoff::PROVEN;

/// How long a balancer may be away before the scripts that ask for it fail.
pub const GRACE: Duration = Duration::from_millis(200);

/// A balancer of which nothing was heard for so long hangs: it shows itself every 0.2 s, so that this is seen within
/// 0.9 s. Beside eight busy processes on two processors the longest pause of a sound one was 0.33 s.
pub const HANGS: Duration = Duration::from_millis(700);

/// Whether a command's only purpose is to ask if HAProxy runs.
pub fn asks_for_the_balancer(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    asks(&words)
}

fn asks(words: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    let targets = |known_options: &dyn Fn(&str) -> bool| {
        let mut targets = arguments.iter().filter(|a| !a.starts_with('-'));
        let only = targets.next();
        only.is_some_and(|target| is_haproxy(target))
            && targets.next().is_none()
            && arguments
                .iter()
                .filter(|a| a.starts_with('-'))
                .all(|option| known_options(option))
    };
    match name {
        "killall" | "pkill" => match arguments {
            // The signal as its own word.
            ["-s" | "--signal", "0", rest @ ..] => {
                let words: Vec<&str> = ["killall", "-0"].iter().chain(rest).copied().collect();
                asks(&words)
            }
            _ => {
                arguments.contains(&"-0")
                    && targets(&|o| matches!(o, "-0" | "-q" | "--quiet" | "-e" | "--exact" | "-x"))
            }
        },
        "pidof" => targets(&|o| matches!(o, "-s" | "-x" | "-q" | "-c")),
        "pgrep" => targets(&|o| matches!(o, "-x" | "--exact" | "-c" | "--count" | "-o" | "-n")),
        "systemctl" => {
            let quiet = |o: &&str| matches!(*o, "-q" | "--quiet");
            let (flags, words): (Vec<&str>, Vec<&str>) =
                arguments.iter().copied().partition(|w| w.starts_with('-'));
            flags.iter().all(quiet)
                && matches!(
                    words.as_slice(),
                    ["is-active", "haproxy" | "haproxy.service"]
                )
        }
        "sh" | "bash" | "dash" => match arguments {
            ["-c", line] => {
                let line = line.replace(">/dev/null", "").replace("> /dev/null", "");
                let line = line.replace("2>&1", "");
                if line.contains(['|', '&', ';', '$', '`', '<', '>', '(', '*', '\'', '"', '\\']) {
                    return false;
                }
                let words: Vec<&str> = line.split_whitespace().collect();
                asks(&words)
            }
            _ => false,
        },
        _ => false,
    }
}

fn is_haproxy(target: &str) -> bool {
    target == "haproxy" || target.ends_with("/haproxy")
}

/// What the supervisor knows of the balancer, and the answer that scripts get. Pure: time is passed in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Liveness {
    /// Serves, as far as is known.
    serving: bool,
    /// It was lost, and until then the scripts still pass.
    until: Option<Instant>,
    /// When it was lost the last time.
    last_loss: Option<Instant>,
    /// The answer given last.
    answer: Option<bool>,
    /// It was lost because it hangs, and its death is to follow: that is no second loss.
    condemned: bool,
}

impl Liveness {
    /// The balancer serves. The new answer, if it changed.
    pub fn serves(&mut self) -> Option<bool> {
        self.serving = true;
        self.condemned = false;
        self.until = None;
        self.say(true)
    }

    /// The balancer hangs and is killed. The new answer, if it changed at once.
    pub fn condemned(&mut self, now: Instant) -> Option<bool> {
        let answer = self.lost(now);
        self.condemned = true;
        answer
    }

    /// The balancer died. The new answer, if it changed at once.
    pub fn lost(&mut self, now: Instant) -> Option<bool> {
        if std::mem::take(&mut self.condemned) {
            return None;
        }
        let was_serving = std::mem::take(&mut self.serving);
        let again = self
            .last_loss
            .replace(now)
            .is_some_and(|last| now.saturating_duration_since(last) < PROVEN);
        if was_serving && !again {
            self.until = Some(now + GRACE);
            return None;
        }
        self.until = None;
        self.say(false)
    }

    /// When to call [`Liveness::timeout`].
    pub fn next_deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Time has passed. The new answer, if it changed.
    pub fn timeout(&mut self, now: Instant) -> Option<bool> {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            return self.say(false);
        }
        None
    }

    /// The present answer; `None` before the balancer served for the first time.
    pub fn answer(&self) -> Option<bool> {
        self.answer
    }

    fn say(&mut self, answer: bool) -> Option<bool> {
        (self.answer.replace(answer) != Some(answer)).then_some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_questions_for_haproxy_are_recognised() {
        for line in [
            "killall -0 haproxy",
            "/usr/bin/killall -0 haproxy",
            "killall -q -0 haproxy",
            "killall -s 0 haproxy",
            "pkill -0 -x haproxy",
            "pidof haproxy",
            "/bin/pidof -x haproxy",
            "pidof /usr/sbin/haproxy",
            "pgrep haproxy",
            "pgrep -x haproxy",
            "systemctl is-active haproxy",
            "systemctl is-active --quiet haproxy.service",
            "systemctl -q is-active haproxy",
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(asks(&words), "{line}");
            assert!(asks(&["/bin/sh", "-c", line]), "sh -c {line}");
        }
        assert!(asks(&["sh", "-c", "killall -0 haproxy >/dev/null 2>&1"]));
    }

    #[test]
    fn anything_else_is_executed_as_written() {
        for line in [
            "killall haproxy",
            "killall -9 haproxy",
            "killall -0 nginx",
            "killall -0 haproxy nginx",
            "killall -0 -u haproxy",
            "pidof nginx",
            "pgrep -u haproxy haproxy",
            "pgrep -f haproxy.cfg",
            "systemctl is-active nginx",
            "systemctl status haproxy",
            "systemctl restart haproxy",
            "/etc/keepalived/check_haproxy.sh",
            "",
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(!asks(&words), "{line}");
        }
        assert!(!asks(&[
            "sh",
            "-c",
            "killall -0 haproxy || systemctl restart haproxy"
        ]));
        assert!(!asks(&[
            "sh",
            "-c",
            "pidof haproxy && curl -f http://127.0.0.1/"
        ]));
    }

    #[test]
    fn a_balancer_that_is_back_within_the_grace_is_never_reported() {
        let now = Instant::now();
        let mut liveness = Liveness::default();
        assert_eq!(liveness.answer(), None);
        assert_eq!(liveness.serves(), Some(true));
        assert_eq!(liveness.lost(now), None);
        assert_eq!(liveness.next_deadline(), Some(now + GRACE));
        assert_eq!(liveness.timeout(now + GRACE / 2), None);
        assert_eq!(liveness.serves(), None);
        assert_eq!(liveness.next_deadline(), None);
        assert_eq!(liveness.answer(), Some(true));
    }

    #[test]
    fn a_balancer_that_stays_away_fails_when_the_grace_ends_and_passes_when_it_serves() {
        let now = Instant::now();
        let mut liveness = Liveness::default();
        liveness.serves();
        liveness.lost(now);
        assert_eq!(liveness.timeout(now + GRACE), Some(false));
        assert_eq!(liveness.next_deadline(), None);
        assert_eq!(liveness.serves(), Some(true));
    }

    #[test]
    fn a_second_death_within_ten_seconds_fails_at_once() {
        let now = Instant::now();
        let mut liveness = Liveness::default();
        liveness.serves();
        liveness.lost(now);
        liveness.serves();
        assert_eq!(liveness.lost(now + Duration::from_secs(9)), Some(false));
        assert_eq!(liveness.serves(), Some(true));
        assert_eq!(liveness.lost(now + Duration::from_secs(60)), None);
    }

    #[test]
    fn one_that_hangs_and_is_killed_is_lost_once() {
        let now = Instant::now();
        let mut liveness = Liveness::default();
        liveness.serves();
        assert_eq!(liveness.condemned(now), None);
        assert_eq!(liveness.lost(now + GRACE / 4), None);
        assert_eq!(liveness.next_deadline(), Some(now + GRACE));
        assert_eq!(liveness.serves(), None);
        // The next one within ten seconds is the second.
        assert_eq!(liveness.condemned(now + GRACE), Some(false));
        assert_eq!(liveness.lost(now + GRACE), None);
        assert_eq!(liveness.serves(), Some(true));
    }

    #[test]
    fn a_balancer_that_never_served_fails() {
        let mut liveness = Liveness::default();
        assert_eq!(liveness.lost(Instant::now()), Some(false));
    }
}
