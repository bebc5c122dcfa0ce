//! Of scripts, processes and files that are tracked.

use super::{Example, PROCESS, SCRIPT, Shows::Runs, TRACKED_FILE, example};

pub(super) const EXAMPLES: &[Example] = &[
    example(SCRIPT, "script", Runs, "+script /b"),
    example(SCRIPT, "interval", Runs, "+interval 3"),
    example(SCRIPT, "timeout", Runs, "+timeout 3"),
    example(SCRIPT, "weight", Runs, "+weight 3 reverse"),
    example(SCRIPT, "rise", Runs, "+rise 3"),
    example(SCRIPT, "fall", Runs, "+fall 3"),
    example(SCRIPT, "user", Runs, "+user root"),
    example(SCRIPT, "init_fail", Runs, "+init_fail"),
    example(PROCESS, "process", Runs, "+process haproxy"),
    example(PROCESS, "weight", Runs, "+weight 3"),
    example(PROCESS, "quorum", Runs, "+quorum 3"),
    example(PROCESS, "quorum_max", Runs, "+quorum_max 3"),
    example(PROCESS, "full_command", Runs, "+full_command"),
    example(PROCESS, "param_match", Runs, "+param_match partial"),
    example(PROCESS, "delay", Runs, "+delay 3"),
    example(PROCESS, "fork_delay", Runs, "+fork_delay 3"),
    example(PROCESS, "terminate_delay", Runs, "+terminate_delay 3"),
    example(TRACKED_FILE, "file", Runs, "+file /g"),
    example(TRACKED_FILE, "weight", Runs, "+weight 3"),
    example(TRACKED_FILE, "init_file", Runs, "+init_file 3"),
];
