//! HAProxy's typed forms of its statistics: JSON whose every value tells its type and meaning, lines of text that say
//! the same, and the schema of the former (management guide, "Typed output format").

use std::fmt::Write as _;

use super::{
    columns::{Column, Kind, NAMES, Row, TYPES, Value},
    info::Fact,
};

/// The schema of `show info json` and `show stat json`.
pub const SCHEMA: &str = include_str!("schema.json");

/// Origin, nature and scope of a value, as the letters of the lines: `MGP` is a metric, a gauge, of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tags(pub &'static str);

impl Tags {
    /// The letters in words.
    fn words(self) -> [&'static str; 3] {
        let letter = |index: usize| self.0.as_bytes().get(index).copied();
        let origin = match letter(0) {
            Some(b'M') => "Metric",
            Some(b'S') => "Status",
            Some(b'K') => "Key",
            Some(b'C') => "Config",
            Some(b'P') => "Product",
            _ => "Unknown",
        };
        let nature = match letter(1) {
            Some(b'G') => "Gauge",
            Some(b'L') => "Limit",
            Some(b'm') => "Min",
            Some(b'M') => "Max",
            Some(b'R') => "Rate",
            Some(b'C') => "Counter",
            Some(b'D') => "Duration",
            Some(b'A') => "Age",
            Some(b'T') => "Time",
            Some(b'N') => "Name",
            Some(b'O') => "Output",
            Some(b'a') => "Avg",
            _ => "Unknown",
        };
        let scope = match letter(2) {
            Some(b'C') => "Cluster",
            Some(b'P') => "Process",
            Some(b'S') => "Service",
            Some(b's') => "System",
            _ => "Unknown",
        };
        [origin, nature, scope]
    }
}

/// The type of a value; the names are HAProxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the words of the format")]
pub enum Type {
    /// Signed, 32 bits.
    s32,
    /// Unsigned, 32 bits.
    u32,
    /// Unsigned, 64 bits.
    u64,
    /// Text.
    str,
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::s32 => "s32",
            Self::u32 => "u32",
            Self::u64 => "u64",
            Self::str => "str",
        }
    }
}

/// The greatest whole number that every reader of JSON keeps exactly.
const GREATEST: i64 = (1 << 53) - 1;

/// The cells of a row that apply, with their positions.
fn fields(row: &Row) -> impl Iterator<Item = (usize, &'static str, Tags, Type, &Value)> {
    let cells = row.cells().iter().zip(NAMES).zip(TYPES).enumerate();
    cells
        .filter(|(at, ((cell, _), _))| **cell != Value::None && *at != Column::Separator as usize)
        .map(move |(at, ((cell, name), (tags, kind)))| {
            // `-` has a place in the line of CSV only.
            let position = at - usize::from(at > Column::Separator as usize);
            (position, *name, of_kind(row.kind, name, *tags), *kind, cell)
        })
}

/// A backend's server counts and rates are said to be gauges.
fn of_kind(kind: Kind, name: &str, tags: Tags) -> Tags {
    match (kind, name) {
        (Kind::Backend, "act" | "bck" | "rate" | "rate_max") => Tags("MGP"),
        _ => tags,
    }
}

/// A row as an array of typed fields.
pub fn json_row(row: &Row, out: &mut String) {
    let object = match row.kind {
        Kind::Frontend => "Frontend",
        Kind::Backend => "Backend",
        Kind::Server => "Server",
        Kind::Listener => "Listener",
    };
    let (proxy, id) = (row.text(Column::Iid), row.text(Column::Sid));
    out.push('[');
    for (place, (position, name, tags, kind, value)) in fields(row).enumerate() {
        if place > 0 {
            out.push(',');
        }
        let _ = write!(
            out,
            "{{\"objType\":\"{object}\",\"proxyId\":{proxy},\"id\":{id},"
        );
        json_field((position, name), tags, kind, value, out);
    }
    out.push(']');
}

/// The rest of an object, from `"field"` on.
fn json_field(
    (position, name): (usize, &str),
    tags: Tags,
    kind: Type,
    value: &Value,
    out: &mut String,
) {
    let [origin, nature, scope] = tags.words();
    let _ = write!(
        out,
        "\"field\":{{\"pos\":{position},\"name\":\"{name}\"}},\"processNum\":1,\"tags\":{{\"origin\":\"{origin}\",\
         \"nature\":\"{nature}\",\"scope\":\"{scope}\"}},\"value\":{{\"type\":\"{}\",\"value\":",
        kind.word()
    );
    match value {
        Value::None => out.push_str("null"),
        Value::Number(number) => {
            let _ = write!(out, "{}", number.clamp(&-GREATEST, &GREATEST));
        }
        Value::Text(text) => out.push_str(&serde_json::Value::from(&**text).to_string()),
    }
    out.push_str("}}");
}

/// A row as lines `S.3.1.17.status.1:SGP:str:UP`.
pub fn lines(row: &Row, out: &mut String) {
    let object = match row.kind {
        Kind::Frontend => 'F',
        Kind::Backend => 'B',
        Kind::Server => 'S',
        Kind::Listener => 'L',
    };
    let (proxy, id) = (row.text(Column::Iid), row.text(Column::Sid));
    for (position, name, Tags(tags), kind, value) in fields(row) {
        let kind = kind.word();
        let _ = write!(
            out,
            "{object}.{proxy}.{id}.{position}.{name}.1:{tags}:{kind}:"
        );
        text(value, out);
        out.push('\n');
    }
}

fn text(value: &Value, out: &mut String) {
    match value {
        Value::None => {}
        Value::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Text(text) => out.push_str(text),
    }
}

/// Rows as one JSON document.
pub fn json(rows: &[Row]) -> String {
    let mut out = String::from("[");
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        json_row(row, &mut out);
    }
    out.push(']');
    out
}

/// Rows as typed lines.
pub fn stat_lines(rows: &[Row]) -> String {
    rows.iter().fold(String::new(), |mut out, row| {
        lines(row, &mut out);
        out
    })
}

/// `show info json`.
pub fn info_json(facts: &[Fact]) -> String {
    let mut out = String::from("[");
    for (place, fact) in facts.iter().enumerate() {
        out.push_str(if place > 0 { ",{" } else { "{" });
        json_field(
            (fact.position, fact.name),
            fact.tags,
            fact.kind,
            &fact.value,
            &mut out,
        );
    }
    out.push(']');
    out
}

/// `show info typed`.
pub fn info_lines(facts: &[Fact]) -> String {
    let mut out = String::new();
    for fact in facts {
        let (position, name) = (fact.position, fact.name);
        let (Tags(tags), kind) = (fact.tags, fact.kind.word());
        let _ = write!(out, "{position}.{name}.1:{tags}:{kind}:");
        text(&fact.value, &mut out);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let mut row = Row::new(Kind::Server, "b", "a\"\u{1}<", (3, 1));
        row.set(Column::Lastsess, -1);
        row.set(Column::Bin, u64::MAX);
        row.set(Column::SslSess, 7u32);
        row
    }

    #[test]
    fn every_field_of_a_row_tells_what_it_is() {
        let parsed: serde_json::Value = serde_json::from_str(&json(&[row(), row()])).unwrap();
        let fields = parsed[1].as_array().unwrap();
        let field = |name: &str| {
            let mut fields = fields.iter();
            fields.find(|field| field["field"]["name"] == name).unwrap()
        };
        assert_eq!(
            *field("svname"),
            serde_json::json!({
                "objType": "Server", "proxyId": 3, "id": 1, "field": {"pos": 1, "name": "svname"}, "processNum": 1,
                "tags": {"origin": "Key", "nature": "Name", "scope": "Service"},
                "value": {"type": "str", "value": "a\"\u{1}<"},
            })
        );
        assert_eq!(
            field("lastsess")["value"],
            serde_json::json!({"type": "s32", "value": -1})
        );
        assert_eq!(field("bin")["value"]["value"], GREATEST);
        assert_eq!(
            field("ssl_sess")["field"]["pos"],
            103,
            "`-` has no position"
        );
        assert!(!fields.iter().any(|field| field["field"]["name"] == "-"));
    }

    #[test]
    fn the_lines_say_the_same() {
        let mut out = String::new();
        lines(&row(), &mut out);
        assert!(out.starts_with("S.3.1.0.pxname.1:KNS:str:b\n"), "{out}");
        assert!(out.contains("\nS.3.1.55.lastsess.1:MAP:s32:-1\n"), "{out}");
    }

    #[test]
    fn the_schema_is_json() {
        serde_json::from_str::<serde_json::Value>(SCHEMA).unwrap();
    }
}
