//! What processes use: CPU time and memory, from /proc.

use std::{fs, time::Duration};

use serde::Serialize;

/// CPU time of some processes until now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage(Duration);

impl Usage {
    /// As the scheduler counts it, all threads together.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut nanos = 0;
        for pid in pids {
            let threads = fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten();
            for thread in threads.flatten() {
                let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
                let first = text.split_ascii_whitespace().next();
                nanos += first.and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        Self(Duration::from_nanos(nanos))
    }

    /// Since another time.
    pub(crate) fn since(self, before: Self) -> Duration {
        self.0.saturating_sub(before.0)
    }
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Memory {
    /// Resident, what is shared with others counted whole.
    pub(crate) resident: u64,
    /// Resident, what is shared with others counted in part.
    pub(crate) proportional: u64,
}

/// Of one process.
pub(crate) fn memory(pid: u32) -> Memory {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number =
            line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
        number.unwrap_or(0) * 1024
    };
    Memory {
        resident: field("Rss:"),
        proportional: field("Pss:"),
    }
}

/// A process and its descendants, itself first.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        let threads = fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten();
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_ascii_whitespace()
                    .filter_map(|word| word.parse::<u32>().ok()),
            );
        }
        next += 1;
    }
    found
}
