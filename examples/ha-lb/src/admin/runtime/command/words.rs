//! Reading the words behind the name of a command.

use std::time::Duration;

use lb_core::backend::Health;

use super::{Command, Probe, Selection, StatForm, State, Target, Weight};

pub(super) fn target(word: Option<&String>) -> Result<Target, String> {
    let (backend, server) = word
        .and_then(|word| word.split_once('/'))
        .ok_or("Require 'backend/server'.")?;
    Ok(Target {
        backend: backend.to_owned(),
        server: server.to_owned(),
    })
}

pub(super) fn weight(word: Option<&String>) -> Result<Weight, String> {
    let word = word.ok_or("Require <weight> or <weight%>.")?;
    let unsigned = word.trim_start_matches(['+', '-']);
    let unit = unsigned.trim_start_matches(|c: char| c.is_ascii_digit());
    if unit.len() == unsigned.len() {
        return Err("Empty weight string empty or preceded by garbage".to_owned());
    }
    let number = word.strip_suffix(unit).unwrap_or(word);
    match unit {
        "%" => {
            let percent = number.parse().map(Weight::Percent);
            percent.map_err(|_| "Relative weight must be positive.".to_owned())
        }
        "" => {
            let absolute = number.parse().ok().filter(|weight| *weight <= 256);
            let expected = "Absolute weight can only be between 0 and 256 inclusive.";
            absolute
                .map(Weight::Absolute)
                .ok_or_else(|| expected.to_owned())
        }
        _ => Err("Trailing garbage in weight string".to_owned()),
    }
}

pub(super) fn number(word: Option<&String>) -> Result<u32, String> {
    word.ok_or("Integer value expected.")?
        .parse()
        .map_err(|_| "Integer value expected.".to_owned())
}

pub(super) fn set_server(words: &[String]) -> Result<Command, String> {
    const USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | \
         check-port | fqdn | health | maxconn | ssl | state | weight";
    const ADDRESS: &str = "set server <b>/<s> addr requires an address and optionally a port.";
    let target = target(words.first())?;
    let value = words.get(2);
    match words.get(1).map(String::as_str) {
        Some("state") => match value.map(String::as_str) {
            Some("ready") => Ok(Command::SetState(target, State::Ready)),
            Some("drain") => Ok(Command::SetState(target, State::Drain)),
            Some("maint") => Ok(Command::SetState(target, State::Maint)),
            _ => Err("'set server <srv> state' expects 'ready', 'drain' and 'maint'.".to_owned()),
        },
        Some("health") => match value.map(String::as_str) {
            Some("up") => Ok(Command::SetHealth(target, Health::Up)),
            Some("stopping") => Ok(Command::SetHealth(target, Health::Stopping)),
            Some("down") => Ok(Command::SetHealth(target, Health::Down)),
            _ => Err("'set server <srv> health' expects 'up', 'stopping', or 'down'.".to_owned()),
        },
        Some("agent") => match value.map(String::as_str) {
            Some("up") => Ok(Command::SetAgent(target, true)),
            Some("down") => Ok(Command::SetAgent(target, false)),
            _ => Err("'set server <srv> agent' expects 'up' or 'down'.".to_owned()),
        },
        Some("addr") => {
            let word = value.ok_or(ADDRESS)?;
            let refused = || format!("Invalid addr '{word}' by 'stats socket command'");
            let ip = word.parse().map_err(|_| refused())?;
            let has_port = words.get(3).is_some_and(|word| word == "port");
            let port = has_port.then(|| words.get(4).cloned().unwrap_or_default());
            Ok(Command::SetAddress(target, ip, port))
        }
        Some(name @ ("check-addr" | "check-port" | "agent-addr" | "agent-port" | "agent-send")) => {
            let probe = probe(name, words.get(2..).unwrap_or_default())?;
            Ok(Command::SetProbe(target, probe))
        }
        Some("fqdn") => {
            let name = value.ok_or("set server <b>/<s> fqdn requires a FQDN.")?;
            Ok(Command::SetProbe(target, Probe::Name(name.clone())))
        }
        Some("ssl") => match value.map(String::as_str) {
            Some("on") => Ok(Command::SetProbe(target, Probe::Tls(true))),
            Some("off") => Ok(Command::SetProbe(target, Probe::Tls(false))),
            _ => Err("'set server <srv> ssl' expects 'on' or 'off'.".to_owned()),
        },
        Some("weight") => Ok(Command::SetWeight(target, weight(value)?)),
        Some("maxconn") => Ok(Command::SetMaxconn(target, number(value)?)),
        _ => Err(USAGE.to_owned()),
    }
}

/// `<number>[us|ms|s|m|h|d]`, seconds by default.
pub(super) fn time(word: &str) -> Result<Duration, String> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| INVALID_TIME.to_owned())?;
    let micros = match word.get(digits.len()..).unwrap_or_default() {
        "us" => 1,
        "ms" => 1000,
        "" | "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(INVALID_TIME.to_owned()),
    };
    let time = number.checked_mul(micros).map(Duration::from_micros);
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| INVALID_TIME.to_owned())
}

const INVALID_TIME: &str = "Invalid timeout value.";

fn probe(name: &str, words: &[String]) -> Result<Probe, String> {
    let value = words.first();
    let of_agent = name.starts_with("agent");
    match name {
        "check-addr" | "agent-addr" => {
            let address = value.ok_or_else(|| {
                format!("set server <b>/<s> {name} requires an address and optionally a port.")
            })?;
            let ip = address.parse();
            let ip = ip.map_err(|_| format!("invalid addr '{address}'"))?;
            let port = match words.get(1).is_some_and(|word| word == "port") {
                true => Some(port(words.get(2).map_or("", String::as_str))?),
                false => None,
            };
            Ok(match of_agent {
                true => Probe::AgentAddress(ip, port),
                false => Probe::CheckAddress(ip, port),
            })
        }
        "check-port" | "agent-port" => {
            let word =
                value.ok_or_else(|| format!("set server <b>/<s> {name} requires a port."))?;
            let port = port(word)?;
            Ok(match of_agent {
                true => Probe::AgentPort(port),
                false => Probe::CheckPort(port),
            })
        }
        _ => Ok(Probe::AgentSend(value.cloned().unwrap_or_default())),
    }
}

fn port(word: &str) -> Result<u16, String> {
    let number: i64 = word
        .parse()
        .map_err(|_| "provided port is not an integer".to_owned())?;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| "provided port is invalid".to_owned())
}

pub(super) fn show_stat(words: &[String]) -> Result<Command, String> {
    let mut selection = Selection::default();
    let mut words = words;
    if let [proxy, kinds, server, rest @ ..] = words
        && let (Ok(kinds), Ok(server)) = (kinds.parse(), server.parse())
    {
        selection = Selection {
            proxy: Some(proxy.clone()).filter(|proxy| proxy != "-1"),
            kinds,
            server,
            ..Selection::default()
        };
        words = rest;
    }
    let has = |form: &str| words.iter().any(|w| w == form);
    selection.hide_down = has("up");
    selection.hide_maintenance = has("no-maint");
    let form = if has("json") {
        StatForm::Json
    } else if has("typed") {
        StatForm::Typed
    } else {
        StatForm::Csv
    };
    Ok(Command::ShowStat(selection, form))
}
