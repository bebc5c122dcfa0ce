//! haproxy's flags (management guide §3): which there are, which take a word, what they ask for. A flag that has no
//! effect here says so by name.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

/// The flags in short.
pub(super) const USAGE: &str = "\
Usage : haproxy [-f <file or folder>]* [-- <file>*] [options]
        -v, -vv                 version; with what it was built
        -c, -cc <condition>     check the files and end; evaluate a condition and end
        -f <file or folder>     configuration; a folder stands for its *.cfg in lexical order
        -C <folder>             change to this folder before reading files
        -D, -db, -d             into the background; never into the background
        -W, -Ws                 as a master with a worker; the same and tell systemd
        -p <file>               pid file of a background process or master
        -n <n>, -N <n>          connections of the process; of each proxy that has no maxconn
        -sf <pid>*, -st <pid>*  finish, or end at once, these processes when this one serves
        -q, -V                  write nothing; write again
        -dW                     refuse files that cause warnings
        -L <name>               name of this host, $HAPROXY_LOCALPEER
        -S <bind>[,<option>]*   the master's command line, with -W or -Ws
        -m <MB>                 connections of the process without a maxconn: as many as fit
        -x <socket>, -d... are accepted and said to have no effect
";

/// What the flags ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `-v` is 1, `-vv` 2.
    pub(super) version: u8,
    /// `-c`.
    pub(super) check: bool,
    /// `-cc`.
    pub(super) condition: Option<String>,
    /// `-f`, and what stands behind `--`.
    pub(super) files: Vec<PathBuf>,
    /// `-C`.
    pub(super) folder: Option<PathBuf>,
    /// `-D`.
    pub(super) daemon: bool,
    /// `-db`, `-d`, `-Ws`.
    pub(super) foreground: bool,
    /// `-W`, `-Ws`.
    pub(super) master: bool,
    /// `-L`.
    pub(super) local_peer: Option<String>,
    /// `-Ws`.
    pub(super) notify: bool,
    /// `-S`, each as written.
    pub(super) master_sockets: Vec<String>,
    /// `-p`.
    pub(super) pid_file: Option<PathBuf>,
    /// `-n`.
    pub(super) maxconn: Option<u32>,
    /// `-m`.
    pub(super) memory: Option<u32>,
    /// `-N`.
    pub(super) proxy_maxconn: Option<u32>,
    /// Process numbers behind `-sf` and `-st`.
    pub(super) relieved: Vec<i32>,
    /// `-st`.
    pub(super) relieve_at_once: bool,
    /// `-q` without a later `-V`.
    pub(super) quiet: bool,
    /// `-dW`.
    pub(super) zero_warning: bool,
    /// Flags that have no effect, in sentences.
    pub(super) remarks: Vec<String>,
}

/// A command line as it was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Flags(Box<Flags>),
    /// Something in it is no flag.
    Usage,
    /// A flag lacks its word, or cannot be carried out; the sentence says which.
    Wrong(String),
}

/// Understands `arguments`.
pub(super) fn parse(arguments: &[OsString]) -> Parsed {
    let mut flags = Flags::default();
    let mut rest = arguments.iter().map(OsString::as_os_str).peekable();
    while let Some(argument) = rest.next() {
        let Some(flag) = argument.to_str().and_then(|text| text.strip_prefix('-')) else {
            return Parsed::Usage;
        };
        if flag == "-" {
            flags.files.extend(rest.map(PathBuf::from));
            return Parsed::Flags(Box::new(flags));
        }
        if matches!(flag, "sf" | "st") {
            flags.relieve_at_once = flag == "st";
            while let Some(pid) = rest.peek().and_then(|word| number(word)) {
                flags.relieved.push(pid);
                rest.next();
            }
            continue;
        }
        if flags.alone(flag) {
            continue;
        }
        if !takes_a_word(flag) {
            return Parsed::Usage;
        }
        let Some(word) = rest.next() else {
            return match flag {
                "cc" => Parsed::Usage,
                _ => Parsed::Wrong(format!("-{flag} lacks its argument.")),
            };
        };
        flags.with_word(flag, word);
    }
    Parsed::Flags(Box::new(flags))
}

fn number<N: std::str::FromStr>(word: &OsStr) -> Option<N> {
    word.to_str()?.parse().ok()
}

fn takes_a_word(flag: &str) -> bool {
    matches!(
        flag,
        "cc" | "f" | "C" | "p" | "n" | "N" | "m" | "L" | "S" | "x"
    )
}

impl Flags {
    /// A flag that takes no word; whether there is one of this name.
    fn alone(&mut self, flag: &str) -> bool {
        match flag {
            "v" => self.version = 1,
            "vv" => self.version = 2,
            "c" => self.check = true,
            "q" => self.quiet = true,
            "V" => self.quiet = false,
            "D" => self.daemon = true,
            "W" => self.master = true,
            "Ws" => {
                self.master = true;
                self.foreground = true;
                self.notify = true;
            }
            "db" => self.foreground = true,
            "d" => {
                self.foreground = true;
                self.no_effect("-d (debug mode)", "traffic is not printed");
            }
            "dW" => self.zero_warning = true,
            // What they switch off is either not there or is what makes this program work.
            "de" | "dp" | "dS" | "dG" | "dL" | "dD" => {
                self.no_effect(&format!("-{flag}"), "there is nothing to switch");
            }
            "dR" => self.no_effect("-dR", "workers need SO_REUSEPORT"),
            // A server whose host has no address is always but warned about.
            "dr" => {}
            "dV" => self.no_effect("-dV", "write `verify none` on server lines"),
            _ if flag.starts_with("dM") || flag.starts_with("dK") => {
                self.no_effect(&format!("-{flag}"), "there is nothing to show");
            }
            _ => return false,
        }
        true
    }

    fn with_word(&mut self, flag: &str, word: &OsStr) {
        let path = || PathBuf::from(word);
        let shown = word.to_string_lossy();
        match flag {
            "cc" => self.condition = Some(shown.into_owned()),
            "f" => self.files.push(path()),
            "C" => self.folder = Some(path()),
            "p" => self.pid_file = Some(path()),
            // haproxy reads what is no number as none.
            "n" => self.maxconn = number(word).filter(|n| *n > 0),
            "N" => self.proxy_maxconn = number(word).filter(|n| *n > 0),
            "m" => self.memory = number(word).filter(|n| *n > 0),
            "L" => self.local_peer = Some(shown.into_owned()),
            "S" => self.master_sockets.push(shown.into_owned()),
            _ => self.no_effect(
                &format!("-x {shown}"),
                "the new process listens beside the old one (SO_REUSEPORT), and -sf lets that one finish",
            ),
        }
    }

    fn no_effect(&mut self, what: &str, instead: &str) {
        self.remarks
            .push(format!("{what} has no effect: {instead}."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Parsed {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&words)
    }

    fn flags(line: &str) -> Flags {
        match parsed(line) {
            Parsed::Flags(flags) => *flags,
            other => Flags {
                remarks: vec![format!("{line}: {other:?}")],
                ..Flags::default()
            },
        }
    }

    #[test]
    fn debian_s_unit_file_is_understood() {
        let run = flags(
            "-Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock",
        );
        assert!(run.master && run.notify && run.foreground && !run.check && !run.quiet);
        assert_eq!(run.files, [PathBuf::from("/etc/haproxy/haproxy.cfg")]);
        assert_eq!(run.pid_file, Some("/run/haproxy.pid".into()));
        assert_eq!(run.master_sockets, ["/run/haproxy-master.sock"]);
        assert!(run.remarks.is_empty());
        let check = flags("-Ws -f /etc/haproxy/haproxy.cfg -c -q -S /run/haproxy-master.sock");
        assert!(check.check && check.quiet);
    }

    #[test]
    fn each_flag_asks_for_its_own() {
        type Test = fn(&Flags) -> bool;
        let table: [(&str, Test); 22] = [
            ("-v", |f| f.version == 1),
            ("-vv", |f| f.version == 2),
            ("-c", |f| f.check),
            ("-cc 1", |f| f.condition.as_deref() == Some("1")),
            ("-q", |f| f.quiet),
            ("-q -V", |f| !f.quiet),
            ("-D", |f| f.daemon && !f.foreground),
            ("-db", |f| f.foreground),
            ("-d", |f| f.foreground && f.remarks.len() == 1),
            ("-W", |f| f.master && !f.notify && !f.foreground),
            ("-dW", |f| f.zero_warning),
            ("-n 20", |f| f.maxconn == Some(20)),
            ("-n abc", |f| f.maxconn.is_none() && f.remarks.is_empty()),
            ("-m 16", |f| f.memory == Some(16) && f.remarks.is_empty()),
            ("-N 7", |f| f.proxy_maxconn == Some(7)),
            ("-C /tmp", |f| f.folder == Some("/tmp".into())),
            ("-sf 1 22 -c", |f| {
                f.relieved == [1, 22] && !f.relieve_at_once && f.check
            }),
            ("-st 5", |f| f.relieved == [5] && f.relieve_at_once),
            ("-sf -f a", |f| f.relieved.is_empty() && f.files.len() == 1),
            ("-f a -f b -- c d", |f| f.files.len() == 4),
            ("-de -dMno-merge -x /run/s", |f| f.remarks.len() == 3),
            ("-L me -dr", |f| {
                f.local_peer.as_deref() == Some("me") && f.remarks.is_empty()
            }),
        ];
        for (line, test) in table {
            assert!(test(&flags(line)), "{line}: {:?}", flags(line));
        }
    }

    #[test]
    fn what_is_no_flag_shows_the_usage() {
        for line in ["-h", "--help", "-k", "extra", "-f a extra", "-cc", "-sx 1"] {
            assert_eq!(parsed(line), Parsed::Usage, "{line}");
        }
        for line in ["-f", "-p", "-x"] {
            assert!(matches!(parsed(line), Parsed::Wrong(_)), "{line}");
        }
    }
}
