//! `show table`, `clear table` and `set table`: stick tables on the command line, in HAProxy's words.

use std::{cmp::Ordering, fmt::Write as _, net::IpAddr, sync::Arc, time::Instant};

use lb_core::{
    config::{StatsLevel, TableKey},
    dataplane::Balancer,
    stick_table::{Column, Key, Row, StickTable},
};

/// Which entries of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All.
    All,
    /// The one with this key.
    Key(String),
    /// Those of which all of this holds.
    Data(Vec<Comparison>),
}

/// A column that compares like this to a number.
pub type Comparison = (Column, Operator, u64);

/// Most comparisons of one command.
const COMPARISONS: usize = 4;

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `eq`.
    Equal,
    /// `ne`.
    Unequal,
    /// `lt`.
    Less,
    /// `le`.
    AtMost,
    /// `gt`.
    Greater,
    /// `ge`.
    AtLeast,
}

impl Operator {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Equal,
            "ne" => Self::Unequal,
            "lt" => Self::Less,
            "le" => Self::AtMost,
            "gt" => Self::Greater,
            "ge" => Self::AtLeast,
            _ => return None,
        })
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// The words behind the name of a table.
pub fn filter(words: &[String]) -> Result<Filter, String> {
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    if words.is_empty() {
        return Ok(Filter::All);
    }
    if word(0) == "key" {
        let key = words.get(1).ok_or("Key value expected")?;
        return Ok(Filter::Key(key.clone()));
    }
    if !word(0).starts_with("data.") {
        return Err(
            "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>"
                .to_owned(),
        );
    }
    if words.len() > 3 * COMPARISONS {
        let last = word(3 * COMPARISONS - 1);
        return Err(format!(
            "Detected extra data in filter, 16th word of input, after '{last}'"
        ));
    }
    let numbered = (1..).zip(words.chunks(3));
    let comparisons = numbered.map(|(number, words)| {
        comparison(words).map_err(|why| format!("Filter entry #{number}: {why}"))
    });
    Ok(Filter::Data(comparisons.collect::<Result<_, _>>()?))
}

/// `data.<column> <operator> <number>`.
fn comparison(words: &[String]) -> Result<Comparison, &'static str> {
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let column = word(0).strip_prefix("data.").and_then(Column::named);
    let column = column.ok_or("Unknown data type")?;
    let operator = Operator::named(word(1));
    let operator = operator
        .ok_or("Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\"")?;
    let value = word(2).parse();
    let value = value.map_err(|_| "Require a valid integer value to compare against")?;
    Ok((column, operator, value))
}

/// What `clear table` needs behind the name.
pub fn clear_filter(words: &[String]) -> Result<Filter, String> {
    match words.first().map(String::as_str) {
        None | Some("key") => filter(words),
        Some(word) if word.starts_with("data.") => filter(words),
        Some(_) => Err(CLEAR_USAGE.to_owned()),
    }
}

/// Said when `clear table` names no table.
pub const CLEAR_USAGE: &str = "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>";

/// `key K data.X V data.Y W` behind the name of a table.
pub fn values(words: &[String]) -> Result<(String, Vec<(Column, u64)>), String> {
    let key = match words {
        [word, key, ..] if word == "key" => key.clone(),
        [word] if word == "key" => return Err("Key value expected".to_owned()),
        _ => {
            return Err(
                "Required arguments: <table> key <key> [data.<store_data_type> <value>]*"
                    .to_owned(),
            );
        }
    };
    let mut values = Vec::new();
    for pair in words.get(2..).unwrap_or_default().chunks(2) {
        let name = pair.first().and_then(|word| word.strip_prefix("data."));
        let name = name.ok_or("\"data.<type>\" followed by a value expected")?;
        let column = Column::named(name).ok_or("Unknown data type")?;
        let value = pair.get(1).and_then(|word| word.parse().ok());
        values.push((
            column,
            value.ok_or("Require a valid integer value to store")?,
        ));
    }
    Ok((key, values))
}

fn find<'b>(balancer: &'b Balancer, name: &str) -> Result<&'b Arc<StickTable>, String> {
    let table = balancer.tables.get(name);
    table.ok_or_else(|| "No such table".to_owned())
}

/// A binary key is written as it is shown, its end may be left out if that is zero.
fn key_of(table: &StickTable, text: &str) -> Result<Key, String> {
    let bytes = match table.config().key {
        TableKey::Binary(length) => of_hex(text).filter(|bytes| bytes.len() <= length as usize),
        _ => Some(text.as_bytes().to_vec()),
    };
    let key = bytes.and_then(|bytes| table.key_of_bytes(&bytes));
    key.ok_or_else(|| "Invalid key".to_owned())
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
        _ => None,
    };
    digits.map(byte).collect()
}

/// The entries that a filter means.
fn rows(table: &StickTable, filter: &Filter, now: Instant) -> Result<Vec<Row>, String> {
    let mut rows = table.dump(now);
    match filter {
        Filter::All => {}
        Filter::Key(text) => {
            let key = key_of(table, text)?;
            rows.retain(|row| row.key == key);
        }
        Filter::Data(comparisons) => {
            for (number, (column, operator, value)) in (1..).zip(comparisons) {
                if !table.stores(*column) {
                    let why = "Data type not stored in this table";
                    return Err(format!("Filter entry #{number}: {why}"));
                }
                rows.retain(|row| {
                    let mut cells = row.columns.iter().filter(|cell| cell.column == *column);
                    cells.any(|cell| operator.holds(cell.value.cmp(value)))
                });
            }
        }
    }
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(rows)
}

/// `show table`: all tables, or one with its entries.
pub fn show(
    balancer: &Balancer,
    wanted: Option<&str>,
    filter: &Filter,
    level: StatsLevel,
    now: Instant,
) -> Result<String, String> {
    let mut text = String::new();
    let Some(name) = wanted else {
        // The last declared first, as HAProxy lists them.
        for proxy in balancer.config.proxies.iter().rev() {
            let sections = proxy.peers.iter();
            let own = sections.flat_map(|s| s.tables.iter().map(|(name, _)| s.table_name(name)));
            for name in std::iter::once(Arc::clone(&proxy.name)).chain(own) {
                if let Some(table) = balancer.tables.get(&name) {
                    head(&mut text, &name, table, now);
                }
            }
        }
        return Ok(text);
    };
    let table = find(balancer, name)?;
    let rows = rows(table, filter, now)?;
    if rows.is_empty() && matches!(filter, Filter::Key(_)) {
        return Ok(text);
    }
    head(&mut text, name, table, now);
    if level < StatsLevel::Operator {
        text.push_str("# contents not dumped due to insufficient privileges\n");
        return Ok(text);
    }
    for row in rows {
        line(&mut text, table, &row);
    }
    Ok(text)
}

fn head(text: &mut String, name: &str, table: &StickTable, now: Instant) {
    let config = table.config();
    let kind = match config.key {
        TableKey::Ip => "ip",
        TableKey::Ipv6 => "ipv6",
        TableKey::Integer => "integer",
        TableKey::String(_) => "string",
        TableKey::Binary(_) => "binary",
    };
    let (size, used) = (config.size, table.len(now));
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "# table: {name}, type: {kind}, size:{size}, used:{used}"
    );
}

fn line(text: &mut String, table: &StickTable, row: &Row) {
    let key = match (table.config().key, row.key.ip()) {
        (TableKey::Ipv6, Some(IpAddr::V4(ip))) => ip.to_ipv6_mapped().to_string(),
        (TableKey::Binary(_), _) => hex(row.key.bytes().unwrap_or_default()),
        _ => row.key.to_string(),
    };
    let left = row.time_to_live.map_or(0, |left| left.as_millis());
    // HAProxy shows where an entry lies; a number of its own tells entries apart as well.
    let number = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let _ = write!(
        text,
        "{:#x}: key={key} use={} exp={left}",
        number & 0x7fff_ffff_fff0,
        row.holders
    );
    for cell in &row.columns {
        let column = cell.column.name();
        let _ = match (cell.period_ms, cell.column) {
            (_, Column::ServerKey) => {
                let server = cell.text.as_deref().unwrap_or("-");
                write!(text, " {column}={server}")
            }
            (Some(period), _) => write!(text, " {column}({period})={}", cell.value),
            (None, _) => write!(text, " {column}={}", cell.value),
        };
    }
    text.push('\n');
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `clear table`: what is in use stays.
pub fn clear(balancer: &Balancer, name: &str, filter: &Filter, now: Instant) -> Result<(), String> {
    let table = find(balancer, name)?;
    if *filter == Filter::All {
        table.clear();
        return Ok(());
    }
    for row in rows(table, filter, now)? {
        if !table.remove(&row.key) && matches!(filter, Filter::Key(_)) {
            return Err("Entry currently in use, cannot remove".to_owned());
        }
    }
    Ok(())
}

/// `set table`: makes the entry if need be.
pub fn set(
    balancer: &Balancer,
    name: &str,
    key: &str,
    values: &[(Column, u64)],
    now: Instant,
) -> Result<(), String> {
    let table = find(balancer, name)?;
    let key = key_of(table, key)?;
    if values.iter().any(|(column, _)| !table.stores(*column)) {
        return Err("Data type not stored in this table".to_owned());
    }
    if !table.enter(now, &key) {
        return Err("Unable to allocate a new entry".to_owned());
    }
    for (column, value) in values {
        table.set(now, &key, *column, *value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn filters_are_read_or_refused_in_haproxys_words() {
        assert_eq!(filter(&[]), Ok(Filter::All));
        assert_eq!(filter(&words("key a")), Ok(Filter::Key("a".into())));
        assert_eq!(
            filter(&words("data.gpc0 ge 3")),
            Ok(Filter::Data(vec![(Column::Gpc0, Operator::AtLeast, 3)]))
        );
        for (text, said) in [
            ("key", "Key value expected"),
            ("data.nope gt 1", "Filter entry #1: Unknown data type"),
            (
                "data.gpc0 gt x",
                "Filter entry #1: Require a valid integer value to compare against",
            ),
        ] {
            assert_eq!(filter(&words(text)).unwrap_err(), said);
        }
        assert_eq!(clear_filter(&words("foo")).unwrap_err(), CLEAR_USAGE);
    }

    #[test]
    fn values_to_set_are_read_or_refused() {
        assert_eq!(
            values(&words("key a data.gpc0 5 data.gpt0 1")),
            Ok(("a".into(), vec![(Column::Gpc0, 5), (Column::Gpt0, 1)]))
        );
        for (text, said) in [
            ("key", "Key value expected"),
            ("key a data.nope 3", "Unknown data type"),
            (
                "key a data.gpc0 x",
                "Require a valid integer value to store",
            ),
        ] {
            assert_eq!(values(&words(text)).unwrap_err(), said);
        }
    }
}
