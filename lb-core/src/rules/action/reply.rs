//! Answers made by rules: `deny`, `tarpit`, `return` and `redirect`.

use std::{path::Path, sync::Arc};

use super::{
    Action,
    edit::{escape_target, sanitize},
    parse::{format, format_of, header_name},
    spec::{Context, Place},
};
use crate::{
    config::ErrorPage,
    expr::fetch::target::split,
    log::LogFormat,
    request::RequestView,
    rules::{Redirect, Reply, RuleError, RuleWarning, words::Words},
};

/// An answer, compiled.
#[derive(Debug, Clone)]
pub(crate) struct ReplyTemplate {
    status: u16,
    content_type: Option<Arc<str>>,
    headers: Vec<(Arc<str>, LogFormat)>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Empty,
    Text(Arc<[u8]>),
    Format(LogFormat),
    /// The error page of the proxy.
    Default,
    /// A whole message.
    Page(Arc<ErrorPage>),
}

impl ReplyTemplate {
    /// The answer over `view`.
    pub(crate) fn reply(&self, view: &RequestView<'_>) -> Reply {
        let headers = self.headers.iter().map(|(name, format)| {
            let mut value = Vec::new();
            format.write_value(view, &mut value);
            sanitize(&mut value);
            (Arc::clone(name), value)
        });
        // What rules know nothing of is no header.
        let headers = headers.filter(|(_, value)| !value.is_empty());
        let mut body = Vec::new();
        match &self.body {
            Body::Empty | Body::Default | Body::Page(_) => {}
            Body::Text(text) => body.extend_from_slice(text),
            Body::Format(format) => format.write_value(view, &mut body),
        }
        Reply {
            status: self.status,
            content_type: self.content_type.clone(),
            headers: headers.collect(),
            default_page: matches!(self.body, Body::Default),
            page: match &self.body {
                Body::Page(page) => Some(Arc::clone(page)),
                _ => None,
            },
            body,
        }
    }
}

/// The options of an answer: (status, the answer if it has more than a status).
fn options(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    default: u16,
) -> Result<(u16, ReplyTemplate, bool), RuleError> {
    let mut template = ReplyTemplate {
        status: default,
        content_type: None,
        headers: Vec::new(),
        body: Body::Empty,
    };
    let mut own = false;
    let mut said = false;
    let mut section = None;
    while let Some(option) = words.argument() {
        match option {
            "status" | "deny_status" => {
                template.status = words.number("a status")?;
                said = true;
                if !(200..=599).contains(&template.status) {
                    return Err(words
                        .wrong("this status cannot be sent")
                        .expecting("200 to 599"));
                }
                // `deny_status` alone asks for the page of that status, `status` for an answer of one's own.
                if option == "deny_status" {
                    continue;
                }
            }
            "content-type" => {
                let text = words.required("a content type")?;
                if text.bytes().any(|b| b < b' ' || b == 0x7f) {
                    return Err(words.wrong("control characters in the content type"));
                }
                template.content_type = Some(Arc::from(text));
            }
            "string" => template.body = Body::Text(words.required("a text")?.as_bytes().into()),
            "lf-string" => template.body = Body::Format(format(words, context, "a text")?),
            "file" => template.body = Body::Text(file(words, context)?.into()),
            "lf-file" => {
                let content = file(words, context)?;
                let text =
                    String::from_utf8(content).map_err(|_| words.wrong("the file is not UTF-8"))?;
                let at = words.at().saturating_sub(1);
                template.body = Body::Format(format_of(&text, at, context)?);
            }
            "errorfile" => template.body = Body::Page(error_file(words, context)?.into()),
            "errorfiles" => {
                section = Some((words.at(), words.required("an http-errors section")?));
            }
            "default-errorfiles" => template.body = Body::Default,
            "hdr" => {
                let name = header_name(words)?;
                let name = String::from_utf8_lossy(&name).into();
                let value = format(words, context, "a value")?;
                template.headers.push((name, value));
            }
            other => {
                return Err(words.wrong(format!("unexpected '{other}'")).expecting(
                    "status, content-type, string, lf-string, file, lf-file, errorfile, errorfiles, default-errorfiles, hdr, 'if' or 'unless'",
                ));
            }
        }
        own = true;
    }
    if own && matches!(template.body, Body::Default) {
        check_page(template.status, "default-errorfiles", words)?;
    }
    if let Some((at, name)) = section {
        check_page(template.status, "errorfiles", words)?;
        template.body = of_section(name, at, template.status, context)?;
    }
    if let (Body::Page(page), false) = (&template.body, said) {
        template.status = page.status().unwrap_or(template.status);
    }
    if template.content_type.is_none() && matches!(template.body, Body::Text(_) | Body::Format(_)) {
        template.content_type = Some(Arc::from("text/plain"));
    }
    Ok((template.status, template, own))
}

fn file(words: &mut Words<'_>, context: &Context<'_>) -> Result<Vec<u8>, RuleError> {
    let name = words.required("a file name")?;
    (context.site.loader)(Path::new(name))
        .map_err(|e| words.wrong(format!("cannot read '{name}': {e}")))
}

fn error_file(words: &mut Words<'_>, context: &Context<'_>) -> Result<ErrorPage, RuleError> {
    let content = file(words, context)?;
    ErrorPage::parse(&content).map_err(|error| {
        words
            .wrong(format!("this is no answer: {error}"))
            .expecting("a whole HTTP response")
    })
}

/// Refuses a status for which there are no pages.
fn check_page(status: u16, argument: &str, words: &Words<'_>) -> Result<(), RuleError> {
    match ErrorPage::STATUSES.contains(&status) {
        true => Ok(()),
        false => Err(words
            .wrong(format!(
                "status code '{status}' not handled by default with '{argument}' argument"
            ))
            .expecting("400, 403, 404, 408, 500, 502, 503, 504 and others")),
    }
}

/// The page for `status` of an `http-errors` section, the word at `at`; an answer without content if it has none.
fn of_section(
    name: &str,
    at: usize,
    status: u16,
    context: &mut Context<'_>,
) -> Result<Body, RuleError> {
    let Some(pages) = context.site.definitions.error_files.get(name) else {
        let message = format!("unable to find the http-errors section '{name}'");
        return Err(RuleError::new(at, message).expecting("the name of an http-errors section"));
    };
    if let Some(page) = pages.get(&status) {
        return Ok(Body::Page(Arc::clone(page)));
    }
    context.warnings.push(RuleWarning {
        word: at,
        message: format!(
            "status '{status}' referenced by an http reply not declared in http-errors section '{name}'; no content is \
             sent"
        ),
    });
    Ok(Body::Empty)
}

/// `http-error`: the status and what is answered with it.
pub(in crate::rules) fn error(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
) -> Result<(u16, ReplyTemplate), RuleError> {
    if words.peek() != Some("status") {
        return Err(RuleError::new(words.at(), "missing status").expecting("status N"));
    }
    let (status, template, _) = options(words, context, 0)?;
    words.finish()?;
    Ok((status, template))
}

/// The options of an answer that is the page of its status where nothing else is said.
fn own_or_page(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    default: u16,
) -> Result<(u16, ReplyTemplate, bool), RuleError> {
    let answer = options(words, context, default)?;
    if !answer.2 {
        check_page(answer.0, "default-errorfiles", words)?;
    }
    Ok(answer)
}

pub(super) fn deny(words: &mut Words<'_>, context: &mut Context<'_>) -> Result<Action, RuleError> {
    let default = if context.place == Place::HttpResponse {
        502
    } else {
        403
    };
    let (status, template, own) = own_or_page(words, context, default)?;
    Ok(Action::Deny(status, own.then(|| Arc::new(template))))
}

pub(super) fn tarpit(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
) -> Result<Action, RuleError> {
    let (status, template, own) = own_or_page(words, context, 500)?;
    Ok(Action::Tarpit(status, own.then(|| Arc::new(template))))
}

pub(super) fn reply(words: &mut Words<'_>, context: &mut Context<'_>) -> Result<Action, RuleError> {
    let (_, template, _) = options(words, context, 200)?;
    Ok(Action::Return(Arc::new(template)))
}

/// A redirection, compiled.
#[derive(Debug, Clone)]
pub(crate) struct RedirectTemplate {
    kind: RedirectKind,
    to: LogFormat,
    status: u16,
    drop_query: bool,
    append_slash: bool,
    ignore_empty: bool,
    cookies: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RedirectKind {
    /// The location itself.
    Location,
    /// What is put before the path.
    Prefix,
    /// The scheme; host and path stay.
    Scheme,
}

pub(crate) fn redirect(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
) -> Result<Action, RuleError> {
    let mut target = None;
    let mut template = RedirectTemplate {
        kind: RedirectKind::Location,
        to: LogFormat::default(),
        status: 302,
        drop_query: false,
        append_slash: false,
        ignore_empty: false,
        cookies: Vec::new(),
    };
    while let Some(option) = words.argument() {
        match option {
            "prefix" | "scheme" if context.place == Place::HttpResponse => {
                let message = "a response is only redirected to a 'location'";
                return Err(words.wrong(message).expecting("location"));
            }
            "location" | "prefix" | "scheme" => {
                let kind = match option {
                    "location" => RedirectKind::Location,
                    "prefix" => RedirectKind::Prefix,
                    _ => RedirectKind::Scheme,
                };
                target = Some((kind, format(words, context, "a destination")?));
            }
            "code" => {
                template.status = words.number("a status")?;
                if !matches!(template.status, 301 | 302 | 303 | 307 | 308) {
                    return Err(words
                        .wrong("this status does not redirect")
                        .expecting("301, 302, 303, 307 or 308"));
                }
            }
            "drop-query" => template.drop_query = true,
            "append-slash" => template.append_slash = true,
            "ignore-empty" => template.ignore_empty = true,
            "set-cookie" => {
                let cookie = cookie(words)?;
                template.cookies.push([cookie, b"; path=/;"].concat());
            }
            "clear-cookie" => {
                let cookie = cookie(words)?;
                template
                    .cookies
                    .push([cookie, b"; path=/; Max-Age=0;"].concat());
            }
            other => {
                return Err(words.wrong(format!("unexpected '{other}'")).expecting(
                    "location, prefix, scheme, code, drop-query, append-slash, ignore-empty, set-cookie, clear-cookie, 'if' or 'unless'",
                ));
            }
        }
    }
    let (kind, to) = target.ok_or_else(|| {
        RuleError::new(words.at(), "missing destination of the redirection")
            .expecting("location, prefix or scheme")
    })?;
    template.kind = kind;
    template.to = to;
    Ok(Action::Redirect(Arc::new(template)))
}

fn cookie<'w>(words: &mut Words<'w>) -> Result<&'w [u8], RuleError> {
    let text = words.required("a cookie")?;
    if text.bytes().any(|b| b <= b' ' || b == 0x7f || b == b';') {
        return Err(words
            .wrong(format!("'{text}' is no cookie"))
            .expecting("NAME=VALUE"));
    }
    Ok(text.as_bytes())
}

impl RedirectTemplate {
    /// The redirection over `view`; `None` if it is empty and `ignore-empty` was given.
    pub(crate) fn redirect(&self, view: &RequestView<'_>) -> Option<Redirect> {
        let mut location = Vec::new();
        self.to.write_value(view, &mut location);
        if location.is_empty() && self.ignore_empty {
            return None;
        }
        let head = view.request;
        let target = split(head.map(|h| h.target()).unwrap_or_default());
        match self.kind {
            RedirectKind::Location => {}
            RedirectKind::Prefix => {
                // "/" alone means: no prefix.
                if location == b"/" {
                    location.clear();
                }
                self.path(&target, &mut location);
            }
            RedirectKind::Scheme => {
                location.extend_from_slice(b"://");
                let host = head.and_then(|h| h.value(b"host"));
                location.extend_from_slice(host.unwrap_or_default());
                self.path(&target, &mut location);
            }
        }
        Some(Redirect {
            status: self.status,
            location: escape_target(&location),
            cookies: self.cookies.clone(),
        })
    }

    fn path(&self, target: &crate::expr::fetch::target::Target<'_>, location: &mut Vec<u8>) {
        let path: &[u8] = if target.path.is_empty() {
            b"/"
        } else {
            target.path
        };
        location.extend_from_slice(path);
        if self.append_slash && location.last() != Some(&b'/') {
            location.push(b'/');
        }
        if let Some(query) = target.query.filter(|_| !self.drop_query) {
            location.push(b'?');
            location.extend_from_slice(query);
        }
    }
}
