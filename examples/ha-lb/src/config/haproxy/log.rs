//! `log` lines (configuration manual §4.2, "log").

use std::{net::SocketAddr, sync::Arc};

use lb_core::config::{LogHeader, LogSample, LogTarget, SyslogAddress};

use super::{
    address::{self, Host, Port},
    args::{Arg, Args, Context, Parsed},
    value,
};

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
    "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

const SAMPLE: &str = "ranges and the size of a round, such as 1-3,5:8";

/// `<address> [len <n>] [format <f>] [sample ...] <facility> [<max level> [<min level>]]`.
pub(super) fn target(args: &mut Args<'_>, context: &mut Context<'_>) -> Parsed<LogTarget> {
    let address = address(&args.need("log", "an address and a facility")?, context)?;
    let mut max_len = 1024;
    let mut header = LogHeader::default();
    let mut sample = None;
    loop {
        if args.skip("len") {
            let arg = args.need("len", "a number of bytes")?;
            max_len = value::number(&arg, "len", 80, 65_535)? as usize;
        } else if args.skip("format") {
            let format = args.need("format", "a syslog format")?;
            match format.text {
                "local" => header = LogHeader::Local,
                "rfc3164" => header = LogHeader::Rfc3164,
                "rfc5424" => header = LogHeader::Rfc5424,
                "timed" => header = LogHeader::Timed,
                "iso" => header = LogHeader::Iso,
                "priority" => header = LogHeader::Priority,
                "short" => header = LogHeader::Level,
                "raw" => header = LogHeader::None,
                _ => {
                    return Err(format.refuse(
                        "unknown log format",
                        "local, rfc3164, rfc5424, priority, short, timed, iso or raw",
                    ));
                }
            }
        } else if args.skip("sample") {
            sample = Some(Arc::new(sample_of(&args.need("sample", SAMPLE)?)?));
        } else {
            break;
        }
    }
    let facility = args.need("log", "a facility such as local0")?;
    let facility = index(&facility, &FACILITIES, "log facility")?;
    let mut level = |default: u8| match args.take() {
        Some(arg) => index(&arg, &LEVELS, "log level"),
        None => Ok(default),
    };
    let target = LogTarget {
        address,
        max_len,
        facility,
        level: level(7)?,
        min_level: level(0)?,
        header,
        sample,
    };
    args.end("log")?;
    Ok(target)
}

/// `<ranges>:<size>`.
fn sample_of(arg: &Arg<'_>) -> Parsed<LogSample> {
    let read = || {
        let (ranges, size) = arg.text.rsplit_once(':')?;
        let size: u32 = size.parse().ok()?;
        let range = |text: &str| {
            let (low, high) = text.split_once('-').unwrap_or((text, text));
            let (low, high) = (low.parse().ok()?, high.parse().ok()?);
            (1 <= low && low <= high && high <= size).then_some(low..=high)
        };
        let ranges: Option<Vec<_>> = ranges.split(',').map(range).collect();
        Some(LogSample::new(ranges?, size))
    };
    read().ok_or_else(|| arg.refuse("not a sample of log lines", SAMPLE))
}

fn index(arg: &Arg<'_>, names: &[&str], what: &str) -> Parsed<u8> {
    names
        .iter()
        .position(|name| *name == arg.text)
        .and_then(|index| u8::try_from(index).ok())
        .ok_or_else(|| arg.refuse(format!("unknown {what}"), names.join(", ")))
}

fn address(arg: &Arg<'_>, context: &Context<'_>) -> Parsed<SyslogAddress> {
    match arg.text {
        "stdout" => return Ok(SyslogAddress::Fd(1)),
        "stderr" => return Ok(SyslogAddress::Fd(2)),
        _ => {}
    }
    let text = ["udp@", "udp4@", "udp6@"]
        .iter()
        .find_map(|prefix| arg.text.strip_prefix(prefix))
        .unwrap_or(arg.text);
    let address = address::parse(arg, text)?;
    let port = match address.port {
        Port::Missing => 514,
        Port::One(port) => port,
        Port::Range(..) | Port::Offset(_) => {
            return Err(arg.refuse("a log address takes one port", "address:port"));
        }
    };
    match &address.host {
        Host::Unix(path) => Ok(SyslogAddress::Unix(path.clone())),
        Host::Abstract(_) => Err(arg.refuse(
            "an abstract socket takes no log",
            "an IP address, a path or fd@N",
        )),
        Host::Fd(fd) => Ok(SyslogAddress::Fd(*fd)),
        Host::Ip(_) | Host::Name(_) => address::resolve(context, &address)
            .first()
            .map(|ip| SyslogAddress::Udp(SocketAddr::new(*ip, port)))
            .ok_or_else(|| arg.refuse("the log host has no address", "a host that resolves")),
    }
}
