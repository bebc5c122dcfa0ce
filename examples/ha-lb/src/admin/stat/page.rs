//! The statistics page for people: one table for each proxy, readable without scripts and on a small screen.
//!
//! Pure: rows in, HTML out. Whatever comes from a configuration or a server is escaped.

use std::fmt::Write as _;

use super::columns::{
    Column::{self, *},
    Kind, Row,
};

/// What the page says beside the rows.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// `stats show-node`.
    pub node: Option<String>,
    /// `stats show-desc`.
    pub description: Option<String>,
    /// Absent with `stats hide-version`.
    pub version: Option<String>,
    /// Of the balancer process.
    pub pid: u32,
    /// In words.
    pub uptime: String,
    /// Connections now and the most there may be.
    pub connections: (u32, Option<u32>),
    /// Whether servers can be changed (`stats admin`).
    pub admin: bool,
    /// `stats uri`, to which forms and links go.
    pub uri: String,
    /// What came of the last action.
    pub notice: Option<&'static str>,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--up:#2a9d5c;--down:#d1453b;--warn:#c98a12;--off:#7a7f87}\
body{font:14px/1.45 system-ui,sans-serif;margin:1.2rem;max-width:120rem}\
h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .3rem}\
.facts{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;margin:.5rem 0;opacity:.85}\
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.4rem}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{padding:.25rem .55rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}\
th{font-weight:600;font-size:.85em;opacity:.75}tr:last-child td{border-bottom:0}\
th:first-child,td:first-child,.t{text-align:left}tr.sum{font-weight:600;background:#8881}\
.s{padding:.05rem .45rem;border-radius:.7rem;color:#fff;background:var(--off)}\
.up{background:var(--up)}.down{background:var(--down)}.warn{background:var(--warn)}\
.note{border-left:.3rem solid var(--warn);padding:.3rem .7rem;margin:.6rem 0}\
.act{margin:.4rem 0;display:flex;gap:.5rem;flex-wrap:wrap}";

/// A column of the tables: its title, what a pointer shows, and its text.
type Cell = (&'static str, &'static str, fn(&Row) -> String);

const CELLS: &[Cell] = &[
    ("Check", "last health check", |row| {
        let (status, code) = (row.text(CheckStatus), row.text(CheckCode));
        match (status, code, row.text(CheckDuration)) {
            ("", ..) => String::new(),
            (status, "", "") => status.to_owned(),
            (status, "", ms) => format!("{status} in {ms} ms"),
            (status, code, ms) => format!("{status}/{code} in {ms} ms"),
        }
    }),
    ("Weight", "weight in effect", |row| {
        row.text(Weight).to_owned()
    }),
    ("Queue", "waiting now / most", |row| pair(row, Qcur, Qmax)),
    ("Sessions", "now / most / limit", |row| {
        let limit = row.text(Slim);
        let limit = if limit.is_empty() { "∞" } else { limit };
        format!("{} / {limit}", pair(row, Scur, Smax))
    }),
    ("Total", "sessions since the start", |row| {
        row.text(Stot).to_owned()
    }),
    ("Rate", "sessions a second: now / most", |row| {
        pair(row, Rate, RateMax)
    }),
    ("Requests", "HTTP requests since the start", |row| {
        row.text(ReqTot).to_owned()
    }),
    ("In", "bytes from clients", |row| bytes(row.text(Bin))),
    ("Out", "bytes to clients", |row| bytes(row.text(Bout))),
    ("Denied", "requests / responses", |row| {
        pair(row, Dreq, Dresp)
    }),
    ("Errors", "request / connection / response", |row| {
        join(row, &[Ereq, Econ, Eresp])
    }),
    ("Retries", "retries / redispatches", |row| {
        pair(row, Wretr, Wredis)
    }),
    ("2xx", "responses", |row| row.text(Hrsp2xx).to_owned()),
    ("3xx", "responses", |row| row.text(Hrsp3xx).to_owned()),
    ("4xx", "responses", |row| row.text(Hrsp4xx).to_owned()),
    ("5xx", "responses", |row| row.text(Hrsp5xx).to_owned()),
    (
        "Response",
        "average time to the response / in total",
        |row| match row.text(Rtime) {
            "" => String::new(),
            time => format!("{time} / {} ms", row.text(Ttime)),
        },
    ),
    (
        "Changed",
        "since the last change of state",
        |row| match row.text(Lastchg).parse() {
            Ok(seconds) => duration(seconds),
            Err(_) => String::new(),
        },
    ),
    (
        "Down",
        "failed checks / times down / time down",
        |row| match row.text(Downtime).parse() {
            Ok(seconds) => format!("{} / {}", join(row, &[Chkfail, Chkdown]), duration(seconds)),
            Err(_) => String::new(),
        },
    ),
];

/// The page.
pub fn html(rows: &[Row], context: &Context) -> String {
    let mut page = String::with_capacity(4096 + rows.len() * 1024);
    let title = context.node.as_deref().unwrap_or("ha-lb");
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Statistics: {title}</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head><body>\n\
         <h1>Statistics: {title}</h1>\n",
        title = escape(title)
    );
    facts(&mut page, context);
    let mut rest = rows;
    while let Some(first) = rest.first() {
        let name = first.text(Pxname);
        let length = rest
            .iter()
            .take_while(|row| row.text(Pxname) == name)
            .count();
        let (proxy, others) = rest.split_at(length.max(1));
        table(&mut page, name, proxy, context);
        rest = others;
    }
    page.push_str("</body></html>\n");
    page
}

fn facts(page: &mut String, context: &Context) {
    if let Some(description) = &context.description {
        let _ = writeln!(page, "<p>{}</p>", escape(description));
    }
    let uri = escape(&context.uri);
    let limit = context
        .connections
        .1
        .map_or_else(String::new, |most| format!(" of {most}"));
    let version = context
        .version
        .as_deref()
        .map_or_else(String::new, |version| {
            format!("<span>version {}</span>", escape(version))
        });
    let _ = writeln!(
        page,
        "<div class=\"facts\">{version}<span>pid {}</span><span>up {}</span><span>{}{limit} connections</span>\
         <a href=\"{uri};csv\">CSV</a><a href=\"{uri};json\">JSON</a><a href=\"{uri}\">refresh</a></div>",
        context.pid,
        escape(&context.uptime),
        context.connections.0,
    );
    if let Some(notice) = context.notice {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(notice));
    }
}

fn table(page: &mut String, name: &str, rows: &[Row], context: &Context) {
    let changeable = context.admin && rows.iter().any(|row| row.kind == Kind::Server);
    let _ = writeln!(page, "<h2>{}</h2>", escape(name));
    if changeable {
        let _ = writeln!(
            page,
            "<form method=\"post\" action=\"{}\">",
            escape(&context.uri)
        );
    }
    page.push_str("<div class=\"scroll\"><table><tr>");
    if changeable {
        page.push_str("<th></th>");
    }
    page.push_str("<th class=\"t\">Name</th><th class=\"t\">Status</th>");
    for (title, hint, _) in CELLS {
        let _ = write!(page, "<th title=\"{hint}\">{title}</th>");
    }
    page.push_str("</tr>\n");
    for row in rows {
        line(page, row, changeable);
    }
    page.push_str("</table></div>\n");
    if changeable {
        let _ = writeln!(
            page,
            "<input type=\"hidden\" name=\"b\" value=\"#{}\"><div class=\"act\">\
             <button name=\"action\" value=\"ready\">Ready</button>\
             <button name=\"action\" value=\"drain\">Drain</button>\
             <button name=\"action\" value=\"maint\">Maintenance</button></div></form>",
            rows.first().map_or("", |row| row.text(Iid))
        );
    }
}

fn line(page: &mut String, row: &Row, changeable: bool) {
    let name = row.text(Svname);
    page.push_str(if row.kind == Kind::Server {
        "<tr>"
    } else {
        "<tr class=\"sum\">"
    });
    if changeable {
        if row.kind == Kind::Server {
            let name = escape(name);
            let _ = write!(
                page,
                "<td><input type=\"checkbox\" name=\"s\" value=\"{name}\" aria-label=\"{name}\"></td>"
            );
        } else {
            page.push_str("<td></td>");
        }
    }
    let status = row.text(Status);
    let class = match status.split(' ').next().unwrap_or_default() {
        "UP" if status.contains('/') => "s warn",
        "UP" | "OPEN" => "s up",
        "DOWN" | "STOP" => "s down",
        "FULL" | "NOLB" | "DRAIN" | "MAINT" => "s warn",
        _ => "s",
    };
    let shown = match row.kind {
        Kind::Frontend => "Frontend",
        Kind::Backend => "Backend",
        Kind::Server => name,
    };
    let hint = match row.text(Addr) {
        "" => String::new(),
        address => format!(" title=\"{}\"", escape(address)),
    };
    let _ = write!(
        page,
        "<td class=\"t\"{hint}>{}</td><td class=\"t\"><span class=\"{class}\">{}</span></td>",
        escape(shown),
        escape(status)
    );
    for (_, _, text) in CELLS {
        let _ = write!(page, "<td>{}</td>", escape(&text(row)));
    }
    page.push_str("</tr>\n");
}

fn pair(row: &Row, now: Column, most: Column) -> String {
    join(row, &[now, most])
}

/// The cells that apply, with slashes.
fn join(row: &Row, columns: &[Column]) -> String {
    let texts: Vec<&str> = columns
        .iter()
        .map(|c| row.text(*c))
        .filter(|t| !t.is_empty())
        .collect();
    texts.join(" / ")
}

fn bytes(text: &str) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let Ok(mut value) = text.parse::<u64>() else {
        return String::new();
    };
    let mut tenths = 0;
    let mut unit = 0;
    while value >= 1000 && unit + 1 < UNITS.len() {
        tenths = value % 1000 / 100;
        value /= 1000;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 {
        format!("{value} {name}")
    } else {
        format!("{value}.{tenths} {name}")
    }
}

/// The two greatest units of a time.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_proxy_has_a_table_and_forms_appear_only_where_servers_can_be_changed() {
        let mut server = Row::new(Kind::Server, "b<1>", "s&1", (6, 1));
        server.set(Status, "UP 1/3");
        server.set(Bin, 1_234_567);
        let rows = [
            Row::new(Kind::Frontend, "f", "FRONTEND", (5, 0)),
            server,
            Row::new(Kind::Backend, "b<1>", "BACKEND", (6, 0)),
        ];
        let mut context = Context {
            uri: "/stats".to_owned(),
            ..Context::default()
        };
        let page = html(&rows, &context);
        assert_eq!(page.matches("<table>").count(), 2);
        assert!(page.contains("<h2>b&lt;1&gt;</h2>"), "{page}");
        assert!(page.contains("<td>1.2 MB</td>"), "{page}");
        assert!(
            page.contains("<span class=\"s warn\">UP 1/3</span>"),
            "{page}"
        );
        assert!(!page.contains("<form"), "{page}");

        context.admin = true;
        let page = html(&rows, &context);
        assert_eq!(page.matches("<form").count(), 1);
        assert!(page.contains("name=\"s\" value=\"s&amp;1\""), "{page}");
        assert!(page.contains("name=\"b\" value=\"#6\""), "{page}");
    }

    #[test]
    fn times_are_told_in_two_units() {
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(61), "1 min 1 s");
        assert_eq!(duration(3_700), "1 h 1 min");
        assert_eq!(duration(90_000), "1 d 1 h");
    }
}
