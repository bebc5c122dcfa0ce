//! What the log says of how slow readers ended.

use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

use serde::Serialize;

/// As the manual has it (8.5): the client's timeout struck while it was being sent data.
const BY_ITS_TIMEOUT: &str = "cD--";
/// The log has milliseconds, and proxies look at their clocks at other moments than the log does.
const ROUNDED: Duration = Duration::from_millis(20);

/// The readers that have ended.
#[derive(Debug, Default, Serialize)]
pub(super) struct Ended {
    pub(super) count: u64,
    /// By their termination state.
    pub(super) states: BTreeMap<String, u64>,
    /// How long the shortest of them was there.
    pub(super) soonest: Duration,
    /// And the longest.
    pub(super) latest: Duration,
}

impl Ended {
    /// Of the proxy that may write into `scratch`: it logs to its output.
    pub(super) fn read(scratch: &Path) -> io::Result<Self> {
        let output = fs::read(scratch.join("output"))?;
        let text = String::from_utf8_lossy(&output);
        let mut ended = Self::default();
        // The last line may be half of one.
        let whole = text.rfind('\n').and_then(|end| text.get(..end));
        for (state, lasted) in whole.unwrap_or_default().lines().filter_map(reader) {
            ended.soonest = match ended.count {
                0 => lasted,
                _ => ended.soonest.min(lasted),
            };
            ended.latest = ended.latest.max(lasted);
            ended.count += 1;
            *ended.states.entry(state.to_owned()).or_default() += 1;
        }
        Ok(ended)
    }

    /// What is not as `count` readers end that `timeout client` cuts off.
    pub(super) fn faults(&self, count: u64, timeout: Duration) -> Vec<String> {
        let mut faults = Vec::new();
        if self.count != count {
            faults.push(format!("{} of {count} readers have ended", self.count));
        }
        for (state, count) in self.states.iter().filter(|(s, _)| *s != BY_ITS_TIMEOUT) {
            faults.push(format!("{count} readers ended as {state}"));
        }
        if self.count > 0 && self.soonest + ROUNDED < timeout {
            faults.push(format!("a reader ended after {:?}", self.soonest));
        }
        faults
    }
}

/// State and duration in a line of `option httplog` (8.2.3), if it is one of the readers.
fn reader(line: &str) -> Option<(&str, Duration)> {
    let mut words = line.split_ascii_whitespace().skip(2);
    let frontend = words.next()?;
    if frontend.trim_end_matches('~') != "slow" {
        return None;
    }
    let timers = words.nth(1)?;
    let all: u64 = timers
        .rsplit('/')
        .next()?
        .trim_start_matches('+')
        .parse()
        .ok()?;
    // Behind the status, the bytes and two cookies.
    Some((words.nth(4)?, Duration::from_millis(all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_readers_are_understood_and_what_is_wrong_in_them_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let line = |frontend, all, state| {
            format!(
                "127.0.0.1:1 [22/Nov/2026:10:00:00.000] {frontend} origins/one 0/0/0/1/{all} 200 9999 - - {state} \
                 1/1/0/0/0 0/0 \"GET /4194304 HTTP/1.1\"\n"
            )
        };
        let timeout = Duration::from_secs(3);
        let write = |lines: &[String]| {
            fs::write(folder.path().join("output"), lines.concat()).unwrap();
            Ended::read(folder.path()).unwrap()
        };
        let good = [
            "[NOTICE] ready\n".to_owned(),
            line("ordinary", 1, "----"),
            line("slow~", 3_004, "cD--"),
            line("slow", 2_999, "cD--"),
            "127.0.0.1:1 [22/Nov".to_owned(),
        ];
        let ended = write(&good);
        assert_eq!(
            (ended.count, ended.latest),
            (2, Duration::from_millis(3_004))
        );
        assert!(ended.faults(2, timeout).is_empty());
        assert_eq!(ended.faults(3, timeout).len(), 1);
        for wrong in [line("slow", 3_000, "CD--"), line("slow", 2_000, "cD--")] {
            assert_eq!(write(&[wrong]).faults(1, timeout).len(), 1);
        }
    }
}
