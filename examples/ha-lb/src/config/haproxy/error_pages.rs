//! Error pages: `errorfile`, `errorloc`, `http-errors` sections and `errorfiles` (configuration manual §4.2, §12.4).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use lb_core::config::{ErrorFiles, ErrorPage};

use super::{
    args::{Admitted, Arg, Args, Context, Parsed, admit, arity},
    document::Section,
    draft::Draft,
    keywords::HTTP_ERRORS,
};
use crate::config::diagnostic::{Diagnostic, Span};

/// Pages by the names of their sections.
pub(super) type Sections = BTreeMap<String, ErrorFiles>;

/// A line of a proxy that gives pages; of two for one status the later one holds.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// `errorfile` or `errorloc`.
    Page(u16, Arc<ErrorPage>),
    /// `errorfiles`.
    Section(OfSection),
}

/// `errorfiles` of a proxy.
#[derive(Debug, Clone)]
pub(super) struct OfSection {
    section: String,
    /// Empty: every page of the section.
    statuses: BTreeSet<u16>,
    at: Span,
}

/// Reads an `http-errors` section.
pub(super) fn section(section: &Section, context: &mut Context<'_>) -> (String, ErrorFiles) {
    let mut pages = ErrorFiles::new();
    for line in &section.lines {
        let mut args = Args::new(line, 0);
        let result = entry(&mut args, &mut pages, context);
        context.collect(result);
    }
    (section.header.text(1).to_owned(), pages)
}

fn entry(args: &mut Args<'_>, pages: &mut ErrorFiles, context: &mut Context<'_>) -> Parsed<()> {
    let word = args.need("http-errors", "errorfile")?;
    let language = "keyword '{}' in 'http-errors' section";
    if let Admitted::Use(found) = admit(context, HTTP_ERRORS, &word, language)? {
        arity(args, word.text, found)?;
        let (status, page) = file(args, context)?;
        pages.insert(status, Arc::new(page));
    }
    Ok(())
}

/// `errorfile <status> <file>`.
pub(super) fn file(args: &mut Args<'_>, context: &Context<'_>) -> Parsed<(u16, ErrorPage)> {
    let status = next_status(args)?;
    let path = args.need("errorfile", "a file")?;
    let contents = context
        .files
        .read(&PathBuf::from(path.text))
        .map_err(|error| {
            let message = format!("unable to read the error file {}: {error}", path.text);
            Box::new(Diagnostic::error(path.span.clone(), message))
        })?;
    let page = ErrorPage::parse(&contents).map_err(|error| {
        let message = format!("errorfile : '{}': {error}", path.text);
        Box::new(Diagnostic::error(path.span.clone(), message))
    })?;
    Ok((status, page))
}

/// `errorloc <status> <url>`.
pub(super) fn location(answer: &str, args: &mut Args<'_>, draft: &mut Draft) -> Parsed<()> {
    let status = next_status(args)?;
    let url = args.need("errorloc", "a URL")?.text;
    let page = ErrorPage::redirect(answer, url);
    draft.error_pages.push(Wanted::Page(status, Arc::new(page)));
    Ok(())
}

/// `errorfiles <name> [<status> ...]`.
pub(super) fn of_section(args: &mut Args<'_>) -> Parsed<Wanted> {
    let name = args.need("errorfiles", "the name of an http-errors section")?;
    let mut statuses = BTreeSet::new();
    while let Some(word) = args.take() {
        statuses.insert(status(&word)?);
    }
    Ok(Wanted::Section(OfSection {
        section: name.text.to_owned(),
        statuses,
        at: name.span,
    }))
}

/// Gives a proxy its pages, once the sections that it names are read.
pub(super) fn complete(draft: &mut Draft, sections: &Sections, context: &mut Context<'_>) {
    for wanted in std::mem::take(&mut draft.error_pages) {
        let wanted = match wanted {
            Wanted::Page(status, page) => {
                draft.proxy.error_files.insert(status, page);
                continue;
            }
            Wanted::Section(wanted) => wanted,
        };
        let Some(pages) = sections.get(&wanted.section) else {
            let message = format!(
                "unable to find the http-errors section '{}'",
                wanted.section
            );
            let finding = Diagnostic::error(wanted.at, message);
            let known = sections.keys().map(String::as_str);
            let suggestion = super::keywords::closest(&wanted.section, known);
            context.diagnostics.push(
                finding
                    .expected("the name of an http-errors section")
                    .suggestion(suggestion),
            );
            continue;
        };
        for status in &wanted.statuses {
            if !pages.contains_key(status) {
                let message = format!(
                    "the http-errors section '{}' has no page for {status}",
                    wanted.section
                );
                let finding = Diagnostic::error(wanted.at.clone(), message);
                context.diagnostics.push(finding);
            }
        }
        let chosen = |status: &u16| wanted.statuses.is_empty() || wanted.statuses.contains(status);
        for (status, page) in pages.iter().filter(|(status, _)| chosen(status)) {
            draft.proxy.error_files.insert(*status, Arc::clone(page));
        }
    }
}

fn next_status(args: &mut Args<'_>) -> Parsed<u16> {
    status(&args.need("error page", "a status")?)
}

fn status(word: &Arg<'_>) -> Parsed<u16> {
    let code = word.text.parse().ok();
    code.filter(|code| ErrorPage::STATUSES.contains(code))
        .ok_or_else(|| {
            word.refuse(
                "no error page has this status",
                "400, 403, 404, 408, 500, 502, 503, 504 and others",
            )
        })
}
