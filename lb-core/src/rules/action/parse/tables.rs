//! Actions on stick tables and maps.

use std::{path::Path, sync::Arc};

use super::{
    super::{
        Action, Track,
        spec::{Context, Place},
    },
    Read, expression, format,
};
use crate::{
    expr::{Expr, PatternFile, Use},
    rules::{RuleError, words::Words},
    stick_table::{Column, Event, Level},
};

pub(in super::super) fn track(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let counter = match words.last().unwrap_or_default() {
        "track-sc0" => 0,
        "track-sc1" => 1,
        _ => 2,
    };
    let at = words.at();
    let key = expression(words, context)?;
    let table = table_of(words, context, at, &key)?;
    Ok(Action::Track(Box::new(Track {
        counter,
        level: match context.place {
            Place::TcpConnection | Place::TcpSession => Level::Connection,
            _ => Level::Stream,
        },
        request: context.place == Place::HttpRequest,
        key,
        table,
    })))
}

/// `[table T]` behind the key at word `at`; without it the table of the proxy where the rule stands.
pub(in crate::rules) fn table_of(
    words: &mut Words<'_>,
    context: &Context<'_>,
    at: usize,
    key: &Expr,
) -> Result<Option<Arc<str>>, RuleError> {
    let definitions = context.site.definitions;
    let mut name = definitions.proxy.clone();
    let mut named_at = at;
    if words.peek() == Some("table") {
        words.argument();
        named_at = words.at();
        name = Some(words.required("the name of a table")?.into());
    } else if definitions.in_defaults {
        let message = "a rule in a defaults section names no table";
        return Err(RuleError::new(at, message).expecting("table <name>"));
    }
    let (Some(proxies), Some(table)) = (&definitions.proxies, &name) else {
        return Ok(name);
    };
    let Some(keys) = proxies.get(table).and_then(|proxy| proxy.table) else {
        let message = format!("unable to find table '{table}'");
        return Err(RuleError::new(named_at, message).expecting("a proxy with a stick-table"));
    };
    if !key.result().casts_to(keys.value_type()) {
        let (found, wanted) = (key.result().name(), keys.value_type().name());
        let message = format!("{found} cannot be a key of table '{table}'");
        return Err(RuleError::new(at, message).expecting(format!("a value of type {wanted}")));
    }
    Ok(name)
}

/// The counter's number in `sc-inc-gpc0(N)`.
fn counter_in(words: &Words<'_>) -> Result<usize, RuleError> {
    let word = words.last().unwrap_or_default();
    let inside = word.split_once('(').and_then(|(_, r)| r.strip_suffix(')'));
    let number = inside.and_then(|text| text.trim().parse().ok());
    number.filter(|number| *number < 3).ok_or_else(|| {
        words
            .wrong(format!("'{word}' misses the number of its counter"))
            .expecting("0, 1 or 2 in parentheses")
    })
}

pub(in super::super) fn increment_gpc0(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    Ok(Action::Increment(counter_in(words)?, Event::Gpc0))
}

pub(in super::super) fn increment_gpc1(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    Ok(Action::Increment(counter_in(words)?, Event::Gpc1))
}

/// Element and counter in `sc-inc-gpc(I,N)`.
fn element_in(words: &Words<'_>) -> Result<(u8, usize), RuleError> {
    let word = words.last().unwrap_or_default();
    let inside = word.split_once('(').and_then(|(_, r)| r.strip_suffix(')'));
    let parts = inside.and_then(|text| text.split_once(','));
    let numbers = parts.and_then(|(element, counter)| {
        let element = element.trim().parse().ok().filter(|n| *n < 100)?;
        let counter = counter.trim().parse().ok().filter(|n| *n < 3)?;
        Some((element, counter))
    });
    numbers.ok_or_else(|| {
        words
            .wrong(format!(
                "'{word}' misses the numbers of its element and its counter"
            ))
            .expecting("0 to 99 and 0, 1 or 2 in parentheses")
    })
}

pub(in super::super) fn increment_gpc(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let (element, counter) = element_in(words)?;
    Ok(Action::Increment(counter, Event::Gpc(element)))
}

pub(in super::super) fn set_gpt(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let (element, counter) = element_in(words)?;
    set_tag(words, context, counter, Column::Gpt(element))
}

pub(in super::super) fn set_gpt0(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let counter = counter_in(words)?;
    set_tag(words, context, counter, Column::Gpt0)
}

fn set_tag(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    counter: usize,
    column: Column,
) -> Read {
    let number: Option<u32> = words.peek().and_then(|word| word.parse().ok());
    let value = match number {
        Some(number) => {
            words.argument();
            Expr::parse(&format!("int({number})"), context.site.definitions)?
        }
        None => expression(words, context)?,
    };
    Ok(Action::SetTag(counter, column, Box::new(value)))
}

/// The file in `set-map(FILE)`, which was read already.
fn map_in(words: &Words<'_>, context: &Context<'_>) -> Result<Arc<PatternFile>, RuleError> {
    let word = words.last().unwrap_or_default();
    let inside = word.split_once('(').and_then(|(_, r)| r.strip_suffix(')'));
    let file = inside.and_then(|name| context.site.definitions.files.named(name));
    file.ok_or_else(|| {
        words
            .wrong(format!("'{word}' misses the file of its map"))
            .expecting("a file in parentheses")
    })
}

pub(in super::super) fn set_map(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let file = map_in(words, context)?;
    let key = format(words, context, "a key")?;
    let value = format(words, context, "a value")?;
    Ok(Action::SetMap(file, key, value))
}

pub(in super::super) fn delete_from_map(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let file = map_in(words, context)?;
    Ok(Action::DeleteKey(file, format(words, context, "a key")?))
}

/// The file in `add-acl(FILE)`, which was read already: an ACL names it, too, or will.
fn patterns_in(words: &Words<'_>, context: &Context<'_>) -> Result<Arc<PatternFile>, RuleError> {
    let word = words.last().unwrap_or_default();
    let inside = word.split_once('(').and_then(|(_, r)| r.strip_suffix(')'));
    let Some(name) = inside.filter(|name| !name.is_empty()) else {
        return Err(words
            .wrong(format!("'{word}' misses the file of its ACL"))
            .expecting("a file in parentheses"));
    };
    let load = || (context.site.loader)(Path::new(name));
    let files = &context.site.definitions.files;
    let file = files.open(name, Use::Acl, load);
    file.map_err(|error| words.wrong(format!("cannot read '{name}': {error}")))
}

pub(in super::super) fn add_pattern(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let file = patterns_in(words, context)?;
    Ok(Action::AddPattern(file, format(words, context, "a key")?))
}

pub(in super::super) fn delete_pattern(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let file = patterns_in(words, context)?;
    Ok(Action::DeleteKey(file, format(words, context, "a key")?))
}
