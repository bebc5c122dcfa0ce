//! `stick`, `force-persist`, `ignore-persist`: who goes back to the server it had.

use std::sync::Arc;

use super::{Parsed, RulesBuilder, stage};
use crate::rules::{
    Persist,
    action::{self, Context, Place},
    stick::Stick,
    words::Words,
};

impl RulesBuilder<'_> {
    /// `stick on|match|store-request|store-response KEY [table T] [if|unless CONDITION]`.
    pub fn stick(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let mut cursor = Words::new(words);
        const WORDS: &str = "on, match, store-request or store-response";
        let (matches, stores, place) = match cursor.required(WORDS)? {
            "on" => (true, true, Place::TcpContent),
            "match" => (true, false, Place::TcpContent),
            "store-request" => (false, true, Place::TcpContent),
            "store-response" => (false, true, Place::TcpResponse),
            other => {
                return Err(cursor
                    .wrong(format!("unexpected '{other}' after 'stick'"))
                    .expecting(WORDS));
            }
        };
        let stage = stage(place);
        let mut warnings = Vec::new();
        let mut slots = self.rules.slots;
        let mut context = Context {
            place,
            site: self.site(stage),
            slots: &mut slots,
            side: self.side,
            warnings: &mut warnings,
        };
        let at = cursor.at();
        let key = action::expression(&mut cursor, &mut context)?;
        let table = action::table_of(&mut cursor, &context, at, &key)?;
        let condition = self.condition_after(&cursor, stage, &mut warnings)?;
        let list = match place {
            Place::TcpResponse => &mut self.rules.learned,
            _ => &mut self.rules.sticks,
        };
        list.push(Stick {
            matches,
            stores,
            key,
            table,
            condition,
        });
        Ok(warnings)
    }

    /// Proxies whose tables `stick` lines use: they have to store servers.
    pub fn stick_tables(&self) -> impl Iterator<Item = &Arc<str>> {
        let all = self.rules.sticks.iter().chain(&self.rules.learned);
        all.filter_map(|s| s.table.as_ref())
    }

    /// `force-persist if|unless CONDITION` and `ignore-persist if|unless CONDITION`.
    pub fn persist(&mut self, persist: Persist, words: &[&str]) -> Parsed {
        let (condition, warnings) = self.condition_alone(words)?;
        self.rules.persist.push((persist, condition));
        Ok(warnings)
    }
}
