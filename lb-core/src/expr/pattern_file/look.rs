//! What a value finds in a file of patterns (`get map`, `get acl`).

use super::{Entry, PatternFile, View, lock};
use crate::expr::{
    Value,
    map::{Map, MapMatch},
    matcher::{Matcher, Method},
};

/// What a value finds for one of the uses of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How values are compared, as `-m` names it.
    pub method: &'static str,
    /// Upper and lower case are alike.
    pub ignore_case: bool,
    /// The entry that fits.
    pub entry: Option<Entry>,
}

impl PatternFile {
    /// What `value` finds, for each use of the file.
    pub fn look(&self, value: &[u8]) -> Vec<Found> {
        let entries: Vec<Entry> = self.entries().into_iter().map(|(_, e)| e).collect();
        let views = lock(&self.views);
        let views = views.iter().filter_map(|view| match view {
            View::Map(view) => {
                let by = view.upgrade()?.by;
                let fits = |entry: &Entry| {
                    let one = [(1, &*entry.key, &*entry.value)];
                    let map = Map::build("", one.into_iter(), by);
                    map.is_ok_and(|map| fits(&map, by, value))
                };
                Some(found(by.method(), false, &entries, fits))
            }
            View::Matcher(view) => {
                let view = view.upgrade()?;
                let fits = |entry: &Entry| {
                    let pattern = String::from_utf8_lossy(&entry.key).into_owned();
                    let matcher = Matcher::new(view.method, &[(0, pattern)], view.ignore_case);
                    matcher.is_ok_and(|matcher| matcher.matches(&Value::text(value)))
                };
                Some(found(view.method, view.ignore_case, &entries, fits))
            }
        });
        views.collect()
    }
}

fn fits(map: &Map, by: MapMatch, value: &[u8]) -> bool {
    match by {
        MapMatch::Network => {
            let address = Value::text(value).address();
            address
                .and_then(|address| map.of_address(address))
                .is_some()
        }
        MapMatch::Number => {
            let number = Value::text(value).integer();
            number.and_then(|number| map.of_number(number)).is_some()
        }
        _ => map.of_text(value).is_some(),
    }
}

/// The first entry that fits; of beginnings and networks the longest.
fn found(
    method: Method,
    ignore_case: bool,
    entries: &[Entry],
    fits: impl Fn(&Entry) -> bool,
) -> Found {
    let mut fitting = entries.iter().filter(|entry| fits(entry));
    let entry = match method {
        Method::Beg => fitting.max_by_key(|entry| entry.key.len()),
        Method::Ip => fitting.max_by_key(|entry| {
            let mask = entry.key.rsplit(|byte| *byte == b'/').next();
            let mask = mask.filter(|mask| mask.len() < entry.key.len());
            mask.map_or(Some(128), |mask| Value::text(mask).integer())
        }),
        _ => fitting.next(),
    };
    Found {
        method: method.name(),
        ignore_case,
        entry: entry.cloned(),
    }
}
