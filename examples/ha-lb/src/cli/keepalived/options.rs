//! keepalived's options (keepalived(8)), short and long as getopt_long(3) reads them. An option that has no effect
//! here says so by name.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use rustix::process::Signal;

use crate::supervisor::daemon::{JSON, STATS_CLEAR};

const USAGE: &str = "\
Usage: keepalived [OPTION...]
  -f, --use-file=FILE          configuration (default /etc/keepalived/keepalived.conf)
  -t, --config-test[=LOG]      check the configuration and end: 0, or 5 with findings on standard error or in LOG
  -n, --dont-fork              stay in the foreground
  -P, --vrrp                   virtual routers only
  -C, --check                  virtual servers only
  -l, --log-console            log to the terminal too
  -S, --log-facility=FACILITY  syslog's facility: 0-7, local0-local7, user, daemon
  -G, --no-syslog              do not log to syslog
  -g, --log-file[=FILE]        log to a file too (default /tmp/keepalived.log)
  -p, --pid=FILE               pid file
  -r, --vrrp_pid=FILE          pid file of the VRRP process
  -c, --checkers_pid=FILE      pid file of the process of the virtual servers
  -s, --namespace=NAME         run in this network namespace
  -u, --umask=MASK             umask of the files that are made, in octal
  -e, --all-config             an include that finds no file is an error
  -R, --dont-respawn           end when a process of it dies, instead of starting that again
  -d, --dump-conf              log configuration and state at the start and after each reload
  -i, --config-id=ID           lines that begin with @ID count, and with @^ID do not (default: the host's name)
      --signum=NAME            print the number of a signal: STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON
  -v, --version                print the version
  -h, --help                   print this
Accepted, and said to have no effect: -A -a -B -b -D -I -m -M -V -X -x --all
";

/// What the options ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) file: Option<PathBuf>,
    /// `-t`, with its file.
    pub(super) config_test: Option<Option<PathBuf>>,
    pub(super) foreground: bool,
    /// `-R`.
    pub(super) dont_respawn: bool,
    pub(super) vrrp: bool,
    pub(super) checkers: bool,
    pub(super) log_console: bool,
    /// A number of syslog.
    pub(super) facility: u8,
    pub(super) no_syslog: bool,
    pub(super) log_file: Option<PathBuf>,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) vrrp_pid_file: Option<PathBuf>,
    pub(super) checkers_pid_file: Option<PathBuf>,
    pub(super) namespace: Option<String>,
    pub(super) umask: Option<u32>,
    pub(super) config_id: Option<String>,
    /// `-e`.
    pub(super) every_file: bool,
    /// `-d`.
    pub(super) dump_conf: bool,
    /// Words of options that are passed over, in keepalived's words; with `-t` they are errors.
    pub(super) invalid: Vec<String>,
    /// Options that have no effect, in sentences.
    pub(super) remarks: Vec<String>,
}

/// A command line as it was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Options(Box<Options>),
    Version,
    Say(String),
    /// `--signum`.
    Signal(i32),
    /// What is wrong, as keepalived says it.
    Wrong(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Word,
    /// A word only within the same argument.
    PerhapsWord,
}

use Takes::{Nothing, PerhapsWord, Word};

/// Short and long name (one that no letter stands for has none), and whether a word follows.
const TABLE: &[(char, &str, Takes)] = &[
    ('f', "use-file", Word),
    ('P', "vrrp", Nothing),
    ('C', "check", Nothing),
    ('B', "no_bfd", Nothing),
    ('\0', "all", Nothing),
    ('l', "log-console", Nothing),
    ('D', "log-detail", Nothing),
    ('S', "log-facility", Word),
    ('G', "no-syslog", Nothing),
    ('g', "log-file", PerhapsWord),
    ('u', "umask", Word),
    ('X', "release-vips", Nothing),
    ('V', "dont-release-vrrp", Nothing),
    ('I', "dont-release-ipvs", Nothing),
    ('R', "dont-respawn", Nothing),
    ('n', "dont-fork", Nothing),
    ('d', "dump-conf", Nothing),
    ('p', "pid", Word),
    ('r', "vrrp_pid", Word),
    ('T', "genhash", Nothing),
    ('c', "checkers_pid", Word),
    ('a', "address-monitoring", Nothing),
    ('b', "bfd_pid", Word),
    ('x', "snmp", Nothing),
    ('A', "snmp-agent-socket", Word),
    ('s', "namespace", Word),
    ('m', "core-dump", Nothing),
    ('M', "core-dump-pattern", PerhapsWord),
    ('e', "all-config", Nothing),
    ('i', "config-id", Word),
    ('\u{1}', "signum", Word),
    ('t', "config-test", PerhapsWord),
    ('v', "version", Nothing),
    ('h', "help", Nothing),
];

const SIGNUM: char = '\u{1}';
/// syslog's `daemon` and `user`.
const DAEMON: u8 = 3;
const USER: u8 = 1;
const LOCAL0: u8 = 16;

/// Understands `arguments`. Words that are no options are not looked at, as keepalived does not.
pub(super) fn parse(arguments: &[OsString]) -> Parsed {
    let mut options = Options {
        facility: DAEMON,
        ..Options::default()
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let bytes = argument.as_bytes();
        let stop = match bytes {
            b"--" => break,
            [b'-', b'-', long @ ..] => options.long(long, &mut rest),
            [b'-', short @ ..] if !short.is_empty() => options.short(short, &mut rest),
            _ => None,
        };
        if let Some(parsed) = stop {
            return parsed;
        }
    }
    Parsed::Options(Box::new(options))
}

type Rest<'a> = std::slice::Iter<'a, OsString>;

impl Options {
    /// `name` or `name=word`; a beginning that fits one name is enough.
    fn long(&mut self, text: &[u8], rest: &mut Rest<'_>) -> Option<Parsed> {
        let mut parts = text.splitn(2, |b| *b == b'=');
        let name = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let inside = parts.next().map(OsStr::from_bytes);
        let exact = TABLE.iter().find(|(_, long, _)| *long == name);
        let mut begun = TABLE.iter().filter(|(_, long, _)| long.starts_with(&name));
        let entry = exact.or_else(|| begun.next().filter(|_| begun.next().is_none()));
        let Some((short, _, takes)) = entry else {
            return Some(Parsed::Wrong(format!("Unknown option --{name}")));
        };
        let word = match (takes, inside) {
            (Nothing, Some(_)) => {
                let whole = String::from_utf8_lossy(text);
                return Some(Parsed::Wrong(format!("Unknown option --{whole}")));
            }
            (Word, None) => match rest.next() {
                Some(word) => Some(word.as_os_str()),
                None => {
                    let told = format!("Missing parameter for option --{name}");
                    return Some(Parsed::Wrong(told));
                }
            },
            (_, inside) => inside,
        };
        self.apply(*short, &format!("--{name}"), word)
    }

    /// A group of letters; the first that takes a word takes what follows.
    fn short(&mut self, text: &[u8], rest: &mut Rest<'_>) -> Option<Parsed> {
        let mut letters = text;
        while let Some((letter, behind)) = letters.split_first() {
            let letter = char::from(*letter);
            let name = format!("-{letter}");
            let entry = TABLE
                .iter()
                .find(|(short, _, _)| *short == letter && letter > ' ');
            let Some((_, _, takes)) = entry else {
                return Some(Parsed::Wrong(format!("Unknown option {name}")));
            };
            let inside = (!behind.is_empty()).then(|| OsStr::from_bytes(behind));
            let word = match takes {
                Nothing => {
                    letters = behind;
                    if let Some(parsed) = self.apply(letter, &name, None) {
                        return Some(parsed);
                    }
                    continue;
                }
                PerhapsWord => inside,
                Word => match inside.or_else(|| rest.next().map(OsString::as_os_str)) {
                    Some(word) => Some(word),
                    None => {
                        let told = format!("Missing parameter for option {name}");
                        return Some(Parsed::Wrong(told));
                    }
                },
            };
            return self.apply(letter, &name, word);
        }
        None
    }

    fn apply(&mut self, letter: char, name: &str, word: Option<&OsStr>) -> Option<Parsed> {
        let path = word.map(|word| PathBuf::from(OsString::from_vec(word.as_bytes().to_vec())));
        let shown = word.unwrap_or_default().to_string_lossy();
        match letter {
            'f' => self.file = path,
            'P' => self.vrrp = true,
            'C' => self.checkers = true,
            'l' => self.log_console = true,
            'G' => self.no_syslog = true,
            'g' => self.log_file = path.or_else(|| Some("/tmp/keepalived.log".into())),
            'n' => self.foreground = true,
            'R' => self.dont_respawn = true,
            'p' => self.pid_file = path,
            'r' => self.vrrp_pid_file = path,
            'c' => self.checkers_pid_file = path,
            's' => self.namespace = Some(shown.into_owned()),
            't' => self.config_test = Some(path),
            'S' => match facility(&shown) {
                Some(facility) => self.facility = facility,
                None => self.invalid.push(format!("Invalid log facility '{shown}'")),
            },
            'u' => match u32::from_str_radix(&shown, 8) {
                Ok(mask) => {
                    let mask = mask & 0o777;
                    self.umask = Some(mask);
                }
                Err(_) => self.remarks.push(format!("Invalid --umask option {shown}")),
            },
            'v' => return Some(Parsed::Version),
            'h' => return Some(Parsed::Say(USAGE.to_owned())),
            SIGNUM => return Some(signum(&shown)),
            'e' => self.every_file = true,
            'd' => self.dump_conf = true,
            'i' => self.config_id = Some(shown.into_owned()),
            'T' => {
                return Some(Parsed::Wrong(format!("Option {name} is not supported")));
            }
            letter => self.no_effect(letter, name),
        }
        None
    }

    fn no_effect(&mut self, letter: char, name: &str) {
        let instead = match letter {
            'I' => "virtual servers are balanced without the kernel's tables",
            'V' => "addresses are always removed at the end",
            'x' | 'A' => "there is no SNMP",
            'm' | 'M' => "the service manager decides about core dumps",
            'B' | 'b' => {
                "neighbours are watched by the process of the virtual routers, where the file names any"
            }
            'D' => "the log is detailed in any case",
            'X' => "addresses are always removed at the end",
            'a' => "changes of virtual addresses alone are logged",
            _ => "a process runs where there is something for it to do",
        };
        self.remarks
            .push(format!("{name} has no effect: {instead}"));
    }
}

/// `0`-`7` and `local0`-`local7`, `user`, `daemon`.
fn facility(name: &str) -> Option<u8> {
    match name {
        "user" => Some(USER),
        "daemon" => Some(DAEMON),
        _ => {
            let digits = name.strip_prefix("local").unwrap_or(name);
            let number: u8 = digits.parse().ok()?;
            (number < 8).then_some(LOCAL0 + number)
        }
    }
}

/// keepalived 2.2's names.
fn signum(name: &str) -> Parsed {
    Parsed::Signal(match name {
        "STOP" => Signal::TERM.as_raw(),
        "RELOAD" => Signal::HUP.as_raw(),
        "DATA" => Signal::USR1.as_raw(),
        "STATS" => Signal::USR2.as_raw(),
        "STATS_CLEAR" => STATS_CLEAR,
        "JSON" => JSON,
        _ => return Parsed::Wrong(format!("Unknown sigfunc {name}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Parsed {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&words)
    }

    fn options(line: &str) -> Options {
        match parsed(line) {
            Parsed::Options(options) => *options,
            other => Options {
                remarks: vec![format!("{line}: {other:?}")],
                ..Options::default()
            },
        }
    }

    #[test]
    fn each_option_asks_for_its_own_in_every_form() {
        type Test = fn(&Options) -> bool;
        let table: [(&str, Test); 28] = [
            ("--dont-fork", |o| o.foreground && o.facility == DAEMON),
            ("-n", |o| o.foreground),
            ("-nlD", |o| {
                o.foreground && o.log_console && o.remarks.len() == 1
            }),
            ("-f /a", |o| o.file == Some("/a".into())),
            ("-f/a", |o| o.file == Some("/a".into())),
            ("-nf /a", |o| o.foreground && o.file == Some("/a".into())),
            ("--use-file /a", |o| o.file == Some("/a".into())),
            ("--use-file=/a", |o| o.file == Some("/a".into())),
            ("--use=/a", |o| o.file == Some("/a".into())),
            ("-P", |o| o.vrrp && !o.checkers),
            ("--check", |o| o.checkers),
            ("-t", |o| o.config_test == Some(None)),
            ("-t/log -n", |o| {
                o.config_test == Some(Some("/log".into())) && o.foreground
            }),
            ("--config-test=/log", |o| {
                o.config_test == Some(Some("/log".into()))
            }),
            ("-p /p -r /r -c /c", |o| {
                [&o.pid_file, &o.vrrp_pid_file, &o.checkers_pid_file]
                    .iter()
                    .all(|f| f.is_some())
            }),
            ("-S 3", |o| o.facility == 19),
            ("-S local7 -G", |o| o.facility == 23 && o.no_syslog),
            ("-S 9", |o| o.facility == DAEMON && o.invalid.len() == 1),
            ("-g", |o| o.log_file == Some("/tmp/keepalived.log".into())),
            ("-g/l --log-console", |o| {
                o.log_file == Some("/l".into()) && o.log_console
            }),
            ("-i one", |o| o.config_id.as_deref() == Some("one")),
            ("-u 9", |o| o.umask.is_none() && o.remarks.len() == 1),
            ("-s blue", |o| o.namespace.as_deref() == Some("blue")),
            ("-R -x -X -a -m -I -D --all", |o| {
                o.dont_respawn && o.remarks.len() == 7
            }),
            ("-d", |o| o.dump_conf && o.remarks.is_empty()),
            ("-M -A socket -b pid -B -V", |o| o.remarks.len() == 5),
            ("extra", |o| *o == options("")),
            ("-- -n", |o| !o.foreground),
        ];
        for (line, test) in table {
            assert!(test(&options(line)), "{line}: {:?}", options(line));
        }
    }

    #[test]
    fn what_cannot_be_understood_is_said_in_keepalived_s_words() {
        for (line, told) in [
            ("--foo", "Unknown option --foo"),
            ("-nZ", "Unknown option -Z"),
            ("-f", "Missing parameter for option -f"),
            ("--use-file", "Missing parameter for option --use-file"),
            ("--signum=X", "Unknown sigfunc X"),
            ("-T", "Option -T is not supported"),
            ("--dont-fork=3", "Unknown option --dont-fork=3"),
        ] {
            assert_eq!(parsed(line), Parsed::Wrong(told.to_owned()), "{line}");
        }
        // More than one name begins like that.
        assert!(matches!(parsed("--log"), Parsed::Wrong(_)));
    }

    #[test]
    fn signals_have_keepalived_s_numbers() {
        for (name, number) in [
            ("STOP", 15),
            ("RELOAD", 1),
            ("DATA", 10),
            ("STATS", 12),
            ("STATS_CLEAR", 63),
            ("JSON", 36),
        ] {
            assert_eq!(
                parsed(&format!("--signum={name}")),
                Parsed::Signal(number),
                "{name}"
            );
            assert_eq!(
                parsed(&format!("--signum {name}")),
                Parsed::Signal(number),
                "{name}"
            );
        }
        assert_eq!(parsed("-v"), Parsed::Version);
    }
}
