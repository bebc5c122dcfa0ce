//! `cache` sections (configuration manual §6), and the place of `filter cache` among filters (§9.4).

use std::{sync::Arc, time::Duration};

use lb_core::cache::{Cache, CacheConfig, Caches};

use super::{
    args::{Admitted, Arg, Args, Context, Parsed, admit, arity},
    document::Section,
    keywords::CACHE,
    value,
};
use crate::config::diagnostic::{Diagnostic, Span};

/// Most megabytes of a cache.
const MOST: u32 = 4095;

/// Reads one section; `None` if there can be no such cache.
pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Option<Arc<Cache>> {
    let mut config = CacheConfig::new(0);
    let mut object = None;
    for line in &section.lines {
        let mut args = Args::new(line, 0);
        let result = entry(&mut args, &mut config, &mut object, context);
        context.collect(result);
    }
    let (name, header) = (section.header.text(1), &section.header);
    let mut refuse = |span: Span, message: String, expected: &str| {
        let finding = Diagnostic::error(span, message);
        context.diagnostics.push(finding.expected(expected));
        None
    };
    if config.total == 0 {
        let message = format!("Size not specified for cache '{name}'");
        return refuse(header.span(1), message, "total-max-size <megabytes>");
    }
    config.object = config.total / 256;
    if let Some((bytes, span)) = object {
        let half = config.total / 2;
        if bytes > half {
            let message = format!(
                "\"max-object-size\" is limited to an half of \"total-max-size\" => {half}"
            );
            return refuse(span, message, "no more than that");
        }
        config.object = bytes;
    }
    Some(Arc::new(Cache::new(name, config)))
}

/// Takes a cache, whose name must be its own.
pub(super) fn add(
    caches: &mut Caches,
    section: &Section,
    cache: Arc<Cache>,
    context: &mut Context<'_>,
) {
    if let Some(other) = caches.insert(Arc::clone(cache.name()), cache) {
        let message = format!("Duplicate cache name '{}'", other.name());
        let finding = Diagnostic::error(section.header.span(1), message);
        context
            .diagnostics
            .push(finding.expected("a name of its own"));
    }
}

fn entry(
    args: &mut Args<'_>,
    config: &mut CacheConfig,
    object: &mut Option<(usize, Span)>,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let word = args.need("cache", "a keyword")?;
    let language = "keyword '{}' in 'cache' section";
    let found = match admit(context, CACHE, &word, language)? {
        Admitted::Use(found) => found,
        Admitted::Skip(_) => return Ok(()),
    };
    arity(args, word.text, found)?;
    let arg = args.need(word.text, "a value")?;
    let number = |high| value::number(&arg, word.text, 1, high);
    let most = i32::MAX.unsigned_abs();
    match word.text {
        "total-max-size" => config.total = (number(MOST)? as usize) << 20,
        "max-object-size" => *object = Some((number(u32::MAX)? as usize, arg.span.clone())),
        "max-age" => config.max_age = Duration::from_secs(number(most)?.into()),
        "max-secondary-entries" => config.variants = number(most)? as usize,
        _ => config.process_vary = switch(&arg)?,
    }
    Ok(())
}

fn switch(arg: &Arg<'_>) -> Parsed<bool> {
    match arg.text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(arg.refuse("enable or disable vary processing", "on or off")),
    }
}

/// A filter of a proxy, and where it was given.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    /// `filter compression`.
    Compression,
    /// `filter trace`.
    Trace,
    /// `filter cache <name>`.
    Cache(String, Span),
    /// The same, for a rule with that cache.
    Implied(String, Span),
}

/// The filters of a proxy in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Filters(Vec<Filter>);

impl Filters {
    /// One more; a rule with a cache means its filter, unless there is one.
    pub(super) fn add(&mut self, filter: Filter) {
        let same = |other: &Filter| match (other, &filter) {
            (Filter::Cache(a, _) | Filter::Implied(a, _), Filter::Implied(b, _)) => a == b,
            _ => false,
        };
        if !self.0.iter().any(same) {
            self.0.push(filter);
        }
    }

    /// What a cache keeps is for clients that take no compression, too: it must come first. `title` is the proxy.
    pub(super) fn check(&self, title: &str, caches: &Caches, context: &mut Context<'_>) {
        let mut compresses = false;
        for (at, filter) in self.0.iter().enumerate() {
            let (name, span, explicit) = match filter {
                Filter::Compression => {
                    compresses = true;
                    continue;
                }
                Filter::Trace => continue,
                Filter::Cache(name, span) => (name, span, true),
                Filter::Implied(name, span) => (name, span, false),
            };
            let earlier = || self.0.iter().take(at);
            let twice = |other: &Filter| matches!(other, Filter::Cache(n, _) if n == name);
            let message = if explicit && !caches.contains_key(name.as_str()) {
                format!(
                    "{title}: unable to find the cache '{name}' referenced by the filter 'cache'"
                )
            } else if explicit && earlier().any(twice) {
                format!("{title}: multiple explicit declarations of the cache filter '{name}'")
            } else if compresses {
                format!(
                    "{title}: unable to enable the compression filter before the cache '{name}'"
                )
            } else {
                continue;
            };
            let finding = Diagnostic::error(span.clone(), message);
            context.diagnostics.push(finding);
        }
    }
}
