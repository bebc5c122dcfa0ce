//! Tables and their entries on the wire.

use std::{sync::Arc, time::Duration};

use super::wire::{Reader, put_number};
use crate::{
    config::TableKey,
    stick_table::{Change, Column, Datum, Key, StickTable},
};

/// Servers' names that each side remembers of the other's messages.
const NAMES: usize = 128;

/// Longest name of a table or a server that is taken from others.
const LONGEST_NAME: usize = 256;

/// Type and length of keys on the wire.
fn key_of(key: TableKey) -> (u64, u64) {
    match key {
        TableKey::Integer => (2, 4),
        TableKey::Ip => (4, 4),
        TableKey::Ipv6 => (5, 16),
        // One for the end of the string.
        TableKey::String(length) => (6, u64::from(length) + 1),
        TableKey::Binary(length) => (7, length.into()),
    }
}

/// Number of a column's type.
fn bit(column: Column) -> u64 {
    let singles = [
        Column::ServerId,
        Column::Gpt0,
        Column::Gpc0,
        Column::Gpc0Rate,
        Column::ConnCnt,
        Column::ConnRate,
        Column::ConnCur,
        Column::SessCnt,
        Column::SessRate,
        Column::HttpReqCnt,
        Column::HttpReqRate,
        Column::HttpErrCnt,
        Column::HttpErrRate,
        Column::BytesInCnt,
        Column::BytesInRate,
        Column::BytesOutCnt,
        Column::BytesOutRate,
        Column::Gpc1,
        Column::Gpc1Rate,
        Column::ServerKey,
        Column::HttpFailCnt,
        Column::HttpFailRate,
    ];
    let place = singles.iter().position(|one| *one == column);
    match column {
        Column::Gpt(_) => GPT,
        Column::Gpc(_) => GPC,
        Column::GpcRate(_) => GPC_RATE,
        _ => place.unwrap_or_default() as u64,
    }
}

const GPT: u64 = 22;
const GPC: u64 = 23;
const GPC_RATE: u64 = 24;

/// The columns of a type, of which an array has so many.
fn columns_of(bit: u64, elements: u8) -> Vec<Column> {
    match bit {
        GPT => (0..elements).map(Column::Gpt).collect(),
        GPC => (0..elements).map(Column::Gpc).collect(),
        GPC_RATE => (0..elements).map(Column::GpcRate).collect(),
        bit => Column::ALL
            .into_iter()
            .chain([Column::ServerKey])
            .filter(|column| self::bit(*column) == bit)
            .collect(),
    }
}

fn name(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= LONGEST_NAME).then_some(text)
}

fn is_rate(bit: u64) -> bool {
    matches!(bit, 3 | 5 | 8 | 10 | 12 | 14 | 16 | 18 | 21 | GPC_RATE)
}

/// Writes the definition of a table: `number` is ours for it.
pub(super) fn put_definition(number: u64, name: &str, table: &StickTable, out: &mut Vec<u8>) {
    let config = table.config();
    let (kind, length) = key_of(config.key);
    put_number(number, out);
    put_number(name.len() as u64, out);
    out.extend_from_slice(name.as_bytes());
    put_number(kind, out);
    put_number(length, out);
    let (mut bits, mut parameters) = (0_u64, Vec::new());
    let columns: Vec<_> = table.columns().collect();
    for (column, period) in &columns {
        let bit = bit(*column);
        if bits & (1 << bit) != 0 {
            continue;
        }
        bits |= 1 << bit;
        let elements = columns.iter().filter(|(other, _)| self::bit(*other) == bit);
        if bit >= GPT {
            put_number(bit, &mut parameters);
            put_number(elements.count() as u64, &mut parameters);
            if is_rate(bit) {
                put_number(*period, &mut parameters);
            }
        } else if is_rate(bit) {
            put_number(bit, &mut parameters);
            put_number(*period, &mut parameters);
        }
    }
    put_number(bits, out);
    let expire = config.expire.unwrap_or_default().as_millis();
    put_number(u64::try_from(expire).unwrap_or(u64::MAX), out);
    out.extend_from_slice(&parameters);
}

/// A table as the other side defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// The other side's number for it.
    pub(super) number: u64,
    pub(super) name: String,
    key: (u64, u64),
    /// What its updates carry, in order: whether it is a rate, and the period of one.
    columns: Vec<(Column, bool, u64)>,
}

impl Definition {
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let mut reader = Reader(content);
        let number = reader.number()?;
        let name = name(reader.counted()?)?.to_owned();
        let key = (reader.number()?, reader.number()?);
        let bits = reader.number()?;
        // Versions before 2.0.something end here.
        let _expire = reader.number();
        let mut columns = Vec::new();
        for bit in (0..=GPC_RATE).filter(|bit| bits & (1 << bit) != 0) {
            let (mut elements, mut period) = (1, 0);
            if is_rate(bit) || bit >= GPT {
                let named = reader.number();
                if bit >= GPT {
                    elements = u8::try_from(reader.number()?).ok().filter(|n| *n <= 100)?;
                }
                if is_rate(bit) {
                    period = reader.number().filter(|_| named == Some(bit)).unwrap_or(0);
                }
            }
            let of_bit = columns_of(bit, elements).into_iter();
            columns.extend(of_bit.map(|column| (column, is_rate(bit), period)));
        }
        Some(Self {
            number,
            name,
            key,
            columns,
        })
    }

    /// Whether `table` can take its entries.
    pub(super) fn fits(&self, table: &StickTable) -> bool {
        self.key == key_of(table.config().key)
    }

    /// Which of its columns `table` can take: those that it has, with the same period.
    pub(super) fn wanted(&self, table: &StickTable) -> Vec<bool> {
        let own: Vec<_> = table.columns().collect();
        let columns = self.columns.iter();
        let wanted = columns.map(|(column, _, period)| own.contains(&(*column, *period)));
        wanted.collect()
    }

    /// Reads an entry: its key, and into `data` those of its columns that are wanted.
    pub(super) fn read_entry(
        &self,
        reader: &mut Reader<'_>,
        kind: TableKey,
        wanted: &[bool],
        names: &mut HeardNames,
        data: &mut Vec<(Column, Datum)>,
    ) -> Option<Key> {
        let key = read_key(reader, kind)?;
        data.clear();
        for ((column, rate, _), wanted) in self.columns.iter().zip(wanted) {
            let datum = match (column, rate) {
                (Column::ServerKey, _) => Datum::Text(names.read(reader)?),
                (_, true) => Datum::Rate {
                    age: reader.number()?,
                    current: reader.number()?,
                    previous: reader.number()?,
                },
                (_, false) => Datum::Number(reader.number()?),
            };
            if *wanted {
                data.push((*column, datum));
            }
        }
        Some(key)
    }
}

fn read_key(reader: &mut Reader<'_>, kind: TableKey) -> Option<Key> {
    Some(match kind {
        TableKey::Integer => Key::from_integer(reader.word()?),
        TableKey::Ip => {
            let bytes: [u8; 4] = reader.take(4)?.try_into().ok()?;
            Key::from_ip(bytes.into())
        }
        TableKey::Ipv6 => {
            let bytes: [u8; 16] = reader.take(16)?.try_into().ok()?;
            Key::from_ip(bytes.into())
        }
        TableKey::String(most) => {
            let bytes = reader.counted()?;
            Key::from_bytes(bytes.get(..most as usize).unwrap_or(bytes))
        }
        TableKey::Binary(length) => Key::from_bytes(reader.take(length as usize)?),
    })
}

/// Writes the key and the columns of an entry.
pub(super) fn put_entry(
    change: &Change,
    table: &StickTable,
    names: &mut ToldNames,
    out: &mut Vec<u8>,
) {
    change.key.put(table.config().key, out);
    for datum in &change.data {
        match datum {
            Datum::Number(number) => put_number(*number, out),
            Datum::Rate {
                age,
                current,
                previous,
            } => {
                put_number(*age, out);
                put_number(*current, out);
                put_number(*previous, out);
            }
            Datum::Text(None) => put_number(0, out),
            Datum::Text(Some(text)) => names.put(text, out),
        }
    }
}

/// What is left of an entry's time, in milliseconds; 0 for ever.
pub(super) fn milliseconds(left: Option<Duration>) -> u32 {
    let left = left.map_or(0, |left| left.as_millis());
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// Names that the other side has told: later messages hold their number alone.
#[derive(Debug)]
pub(super) struct HeardNames(Vec<Option<Arc<str>>>);

impl Default for HeardNames {
    fn default() -> Self {
        Self(vec![None; NAMES])
    }
}

impl HeardNames {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<Option<Arc<str>>> {
        let mut inside = Reader(reader.counted()?);
        if inside.0.is_empty() {
            return Some(None);
        }
        let number = usize::try_from(inside.number()?).ok()?.checked_sub(1)?;
        let place = self.0.get_mut(number)?;
        if !inside.0.is_empty() {
            *place = Some(Arc::from(name(inside.counted()?)?));
        }
        Some(place.clone())
    }
}

/// Names that the other side has been told, by their numbers.
#[derive(Debug, Default)]
pub(super) struct ToldNames {
    names: Vec<Arc<str>>,
    /// The next that gives its number to another.
    oldest: usize,
}

impl ToldNames {
    fn put(&mut self, name: &Arc<str>, out: &mut Vec<u8>) {
        let known = self.names.iter().position(|other| other == name);
        let place = known.unwrap_or_else(|| self.enter(name));
        let mut content = Vec::new();
        put_number(place as u64 + 1, &mut content);
        if known.is_none() {
            put_number(name.len() as u64, &mut content);
            content.extend_from_slice(name.as_bytes());
        }
        put_number(content.len() as u64, out);
        out.extend_from_slice(&content);
    }

    fn enter(&mut self, name: &Arc<str>) -> usize {
        if self.names.len() < NAMES {
            self.names.push(Arc::clone(name));
            return self.names.len() - 1;
        }
        let place = self.oldest;
        self.oldest = (place + 1) % NAMES;
        if let Some(old) = self.names.get_mut(place) {
            *old = Arc::clone(name);
        }
        place
    }
}
