//! The rows of a proxy's two tables.

use std::fmt::Write as _;

use super::{
    super::super::columns::Column::*, Bytes, Column, Count, Esc, Kind, Row, Seconds, daemon::badge,
};

/// The columns of the first table behind name, state and check.
const MAIN: [&str; 9] = [
    "Weight",
    "Queue",
    "Sessions",
    "Per second",
    "Total",
    "Bytes",
    "Errors",
    "Retries",
    "Denied",
];

/// The columns of the folded table behind the name: group and title.
const MORE: [(&str, &[&str]); 6] = [
    ("Requests", &["total", "per second", "intercepted"]),
    ("Responses", &["1xx", "2xx", "3xx", "4xx", "5xx", "other"]),
    (
        "Average / longest, ms",
        &["queue", "connect", "response", "total"],
    ),
    ("Connections", &["new", "reused", "idle", "chosen"]),
    (
        "Trouble",
        &[
            "retries",
            "redispatched",
            "client aborts",
            "server aborts",
            "rewrites",
            "internal",
        ],
    ),
    (
        "Checks",
        &["failed", "times down", "time down", "rise / fall"],
    ),
];

/// `pick`: there is a column for ticks, here or in other tables.
pub(super) fn main_head(pick: bool, changeable: bool, out: &mut String) {
    out.push_str("<table class=cards role=table><thead role=rowgroup><tr role=row>");
    if pick {
        out.push_str("<th class=pick role=columnheader>");
        if changeable {
            out.push_str("<input type=checkbox class=all hidden aria-label=\"all servers\">");
        }
        out.push_str("</th>");
    }
    out.push_str(
        "<th class=\"t name\" role=columnheader>Name</th><th class=\"t state\" role=columnheader>State</th>\
         <th class=\"t check\" role=columnheader>Last check</th>",
    );
    for title in MAIN {
        let class = title.to_ascii_lowercase();
        let _ = write!(out, "<th role=columnheader class=\"{class}\">{title}</th>");
    }
    out.push_str("</tr></thead><tbody role=rowgroup>\n");
}

/// How a row is shown: the class of its state.
fn class(status: &str) -> &'static str {
    let (word, rest) = status.split_once(' ').unwrap_or((status, ""));
    match word {
        "UP" if rest.is_empty() || rest.starts_with('(') => "up",
        "OPEN" => "up",
        "DOWN" => "down",
        "UP" | "FULL" | "STOP" | "NOLB" | "DRAIN" | "MAINT" => "warn",
        _ => "",
    }
}

pub(super) fn main(row: &Row, pick: bool, changeable: bool, legends: bool, out: &mut String) {
    let status = row.text(Status);
    let class = class(&status);
    let server = row.kind == Kind::Server;
    let row_class = match (server, class) {
        (false, _) => "sum",
        (true, "up") => "",
        (true, class) => class,
    };
    let _ = write!(out, "<tr role=row class=\"{row_class}\"");
    let name = row.text(Svname);
    if server {
        let _ = write!(out, " id=\"{}/{}\"", Esc(&row.text(Pxname)), Esc(&name));
    }
    out.push('>');
    if pick {
        out.push_str("<td class=pick role=cell>");
        if server && changeable {
            let name = Esc(&name);
            let _ = write!(
                out,
                "<input type=checkbox name=s value=\"{name}\" aria-label=\"{name}\">"
            );
        }
        out.push_str("</td>");
    }
    out.push_str("<th role=rowheader>");
    let _ = match row.kind {
        Kind::Frontend => write!(out, "Frontend"),
        Kind::Backend => write!(out, "Backend"),
        Kind::Server | Kind::Listener => write!(out, "{}", Esc(&name)),
    };
    if server && row.number(Bck) == Some(1) {
        out.push_str(" <small>backup</small>");
    }
    if server && legends {
        let _ = write!(out, "<small>{}</small>", Esc(&row.text(Addr)));
        if let cookie @ [_, ..] = row.text(Cookie).as_bytes() {
            let cookie = String::from_utf8_lossy(cookie);
            let _ = write!(out, "<small>cookie {}</small>", Esc(&cookie));
        }
    }
    let _ = write!(
        out,
        "</th><td class=\"t state\" role=cell>{}",
        badge(class, &status)
    );
    if let Some(since) = row.number(Lastchg) {
        let _ = write!(out, "<small>for {}</small>", Seconds(since));
    }
    out.push_str("</td>");
    check(row, out);
    numbers(row, out);
    out.push_str("</tr>\n");
}

fn check(row: &Row, out: &mut String) {
    out.push_str("<td class=\"t check\" role=cell>");
    let status = row.text(CheckStatus);
    if row.kind == Kind::Backend {
        let (active, backup) = (row.number(Act).unwrap_or(0), row.number(Bck).unwrap_or(0));
        let _ = write!(out, "<small>{active} active, {backup} backup</small>");
    } else if !status.is_empty() {
        let _ = write!(out, "{}", Esc(&status));
        if let Some(code) = row.number(CheckCode) {
            let _ = write!(out, "/{code}");
        }
        out.push_str("<small>");
        if let Some(time) = row.number(CheckDuration) {
            let _ = write!(out, "in {time} ms");
        }
        let said = row.text(LastChk);
        if !said.is_empty() {
            let _ = write!(out, " {}", Esc(&said));
        }
        out.push_str("</small>");
    }
    out.push_str("</td>");
}

/// A limit that means something: without `maxconn` there is none to speak of.
fn limit(of: Option<u64>) -> Option<u64> {
    of.filter(|limit| (1..u64::from(u32::MAX / 10)).contains(limit))
}

/// The most there ever was, and of how many.
fn most(of: Option<u64>, limit: Option<u64>) -> String {
    match (of.unwrap_or(0), limit) {
        (0, None) => String::new(),
        (most, None) => format!("most {}", Count(most)),
        (most, Some(limit)) => format!("most {} of {}", Count(most), Count(limit)),
    }
}

fn numbers(row: &Row, out: &mut String) {
    let mut titles = MAIN.into_iter();
    let mut cell = |of: Option<u64>, below: String, out: &mut String| {
        let title = titles.next().unwrap_or_default();
        let Some(value) = of else {
            return out.push_str("<td role=cell></td>");
        };
        let dim = if value == 0 { " class=z" } else { "" };
        let _ = write!(
            out,
            "<td role=cell{dim} data-l=\"{title}\">{}",
            Count(value)
        );
        if !below.is_empty() {
            let _ = write!(out, "<small>{below}</small>");
        }
        out.push_str("</td>");
    };
    let slow = row.number(Throttle);
    let slow = slow.map_or_else(String::new, |percent| format!("starts slowly, {percent} %"));
    cell(row.number(Weight), slow, out);
    let queue = most(row.number(Qmax), row.number(Qlimit));
    cell(row.number(Qcur), queue, out);
    let sessions = most(row.number(Smax), limit(row.number(Slim)));
    cell(row.number(Scur), sessions, out);
    let rate = most(row.number(RateMax), limit(row.number(RateLim)));
    cell(row.number(Rate), rate, out);
    let last = row.number(Lastsess);
    let last = last.map_or_else(String::new, |ago| format!("last {} ago", Seconds(ago)));
    cell(row.number(Stot), last, out);
    titles.next();
    bytes(row, out);
    let mut titles = MAIN.into_iter().skip(6);
    for parts in [
        &[("request", Ereq), ("connect", Econ), ("response", Eresp)][..],
        &[("retried", Wretr), ("elsewhere", Wredis)],
        &[("requests", Dreq), ("responses", Dresp)],
    ] {
        split(row, titles.next().unwrap_or_default(), parts, out);
    }
}

fn bytes(row: &Row, out: &mut String) {
    let (given, taken) = (row.number(Bin).unwrap_or(0), row.number(Bout).unwrap_or(0));
    let dim = if given + taken == 0 { " class=z" } else { "" };
    let _ = write!(
        out,
        "<td role=cell{dim} data-l=Bytes>{}\u{a0}in<small>{}\u{a0}out</small></td>",
        Bytes(given),
        Bytes(taken)
    );
}

/// A sum, and its parts where there are any.
fn split(row: &Row, title: &str, parts: &[(&str, Column)], out: &mut String) {
    let values = parts
        .iter()
        .filter_map(|(word, column)| Some((word, row.number(*column)?)));
    let Some(sum) = values
        .clone()
        .map(|(_, value)| value)
        .reduce(u64::saturating_add)
    else {
        return out.push_str("<td role=cell></td>");
    };
    let dim = if sum == 0 { " class=z" } else { "" };
    let _ = write!(out, "<td role=cell{dim} data-l={title}>{}", Count(sum));
    for (word, value) in values.filter(|(_, value)| *value > 0) {
        let _ = write!(out, "<small>{word} {}</small>", Count(value));
    }
    out.push_str("</td>");
}

pub(super) fn more_head(name: &str, out: &mut String) {
    let _ = write!(
        out,
        "<details id=\"more:{name}\"><summary>Requests, responses, times, connections and checks of {name}</summary>\
         <div class=scroll tabindex=0 role=region aria-label=\"More about {name}\"><table><thead><tr>\
         <th class=t rowspan=2>Name</th>"
    );
    for (group, titles) in MORE {
        let _ = write!(out, "<th colspan={}>{group}</th>", titles.len());
    }
    out.push_str("</tr><tr>");
    for (_, titles) in MORE {
        for title in titles {
            let _ = write!(out, "<th>{title}</th>");
        }
    }
    out.push_str("</tr></thead><tbody>\n");
}

pub(super) fn more(row: &Row, out: &mut String) {
    let name = match row.kind {
        Kind::Frontend => "Frontend".into(),
        Kind::Backend => "Backend".into(),
        Kind::Server | Kind::Listener => row.text(Svname),
    };
    let sum = if matches!(row.kind, Kind::Server | Kind::Listener) {
        ""
    } else {
        " class=sum"
    };
    let _ = write!(out, "<tr{sum}><th>{}</th>", Esc(&name));
    for column in [
        ReqTot,
        ReqRate,
        Intercepted,
        Hrsp1xx,
        Hrsp2xx,
        Hrsp3xx,
        Hrsp4xx,
        Hrsp5xx,
        HrspOther,
    ] {
        number(row, column, out);
    }
    for (average, longest) in [
        (Qtime, QtimeMax),
        (Ctime, CtimeMax),
        (Rtime, RtimeMax),
        (Ttime, TtimeMax),
    ] {
        pair(row, average, longest, out);
    }
    for column in [
        Connect,
        Reuse,
        IdleConnCur,
        Lbtot,
        Wretr,
        Wredis,
        CliAbrt,
        SrvAbrt,
        Wrew,
        Eint,
        Chkfail,
        Chkdown,
    ] {
        number(row, column, out);
    }
    match row.number(Downtime) {
        Some(0) => out.push_str("<td class=z>0"),
        Some(time) => {
            let _ = write!(out, "<td>{}", Seconds(time));
        }
        None => out.push_str("<td>"),
    }
    pair(row, CheckRise, CheckFall, out);
    out.push_str("</tr>\n");
}

fn number(row: &Row, column: Column, out: &mut String) {
    let _ = match row.number(column) {
        Some(0) => write!(out, "<td class=z>0"),
        Some(value) => write!(out, "<td>{}", Count(value)),
        None => write!(out, "<td>"),
    };
}

fn pair(row: &Row, first: Column, second: Column, out: &mut String) {
    let _ = match (row.number(first), row.number(second)) {
        (Some(0), Some(0)) => write!(out, "<td class=z>0"),
        (Some(first), Some(second)) => write!(out, "<td>{first} / {second}"),
        _ => write!(out, "<td>"),
    };
}
