//! `option httpchk` and `http-check` (configuration manual §4.2).

mod answer;

use lb_core::health::script::{
    Act, Connect, Expect, HttpPattern, Live, Pattern, Request, Script, Slot, Step,
};

use super::{
    args::{Arg, Args, Context, Parsed},
    script_check::steps::{self, Aside, Steps},
};
use crate::config::diagnostic::{Diagnostic, Span};

/// What an HTTP check sends and expects.
#[derive(Debug, Clone, Default)]
pub(super) struct HttpCheck {
    /// `option httpchk` was given.
    pub(super) enabled: bool,
    /// The section of its lines.
    section: String,
    /// What it says of the first request.
    option: Draft,
    /// The first `http-check send`, whose step in the list is a placeholder.
    send: Option<Draft>,
    steps: Steps,
    disable_on_404: bool,
    send_state: bool,
}

/// What is said of a request.
#[derive(Debug, Clone, Default)]
struct Draft {
    method: Option<String>,
    target: Option<String>,
    version: Option<String>,
    headers: Vec<(String, String)>,
    body: String,
    /// What of it is filled in for each check.
    live: Vec<Live>,
}

impl Draft {
    /// `self`, and what it leaves open as `other` says.
    fn or(self, other: Self) -> Self {
        let either = |mine: Vec<_>, other| if mine.is_empty() { other } else { mine };
        Self {
            method: self.method.or(other.method),
            target: self.target.or(other.target),
            version: self.version.or(other.version),
            headers: either(self.headers, other.headers),
            body: if self.body.is_empty() {
                other.body
            } else {
                self.body
            },
            // The line of the option has no variables.
            live: self.live,
        }
    }

    fn finish(self) -> Request {
        let usual = Request::default();
        Request {
            method: self.method.unwrap_or(usual.method),
            target: self.target.unwrap_or(usual.target),
            version: self.version.unwrap_or(usual.version),
            headers: self.headers,
            body: self.body.into_bytes(),
        }
    }
}

impl HttpCheck {
    /// `option httpchk [<uri> | <method> <uri> [<version>]]`. The version may carry headers behind `\r\n`, as
    /// older files have them.
    pub(super) fn option(
        &mut self,
        section: &str,
        args: &mut Args<'_>,
        context: &mut Context<'_>,
    ) -> Parsed<()> {
        self.begin(section);
        self.enabled = true;
        let words: Vec<Arg<'_>> = std::iter::from_fn(|| args.take()).collect();
        let option = &mut self.option;
        match words.as_slice() {
            [] => {}
            [uri] => option.target = Some(uri.text.to_owned()),
            [method, uri, rest @ ..] => {
                option.method = Some(method.text.to_owned());
                option.target = Some(uri.text.to_owned());
                if let Some(version) = rest.first() {
                    option.version_and_headers(version)?;
                    if version.text.contains("\r\n") {
                        context.diagnostics.push(Diagnostic::warning(
                            version.span.clone(),
                            "'option httpchk' : hiding headers or body at the end of the version string is deprecated. \
                             Please, consider to use 'http-check send' directive instead.",
                        ));
                    }
                }
                // `HTTP/1.1\r\nHost:` and the name behind an unescaped space.
                if let (Some(more), Some((_, value))) = (rest.get(1), option.headers.last_mut()) {
                    if !value.is_empty() {
                        return Err(more.refuse(
                            "'option httpchk' takes no further argument",
                            "the end of the line",
                        ));
                    }
                    more.text.clone_into(value);
                }
            }
        }
        Ok(())
    }

    /// What defaults say of requests and steps ends with the first line of a section of its own.
    fn begin(&mut self, section: &str) {
        if self.section != section {
            section.clone_into(&mut self.section);
            self.send = None;
            self.option = Draft::default();
            self.steps = Steps::default();
        }
    }

    /// A `http-check` line of `section`.
    pub(super) fn line(
        &mut self,
        args: &mut Args<'_>,
        section: &str,
        context: &mut Context<'_>,
    ) -> Parsed<()> {
        const LINES: &str = "connect, send, expect, comment, set-var(<name>), set-var-fmt(<name>), unset-var(<name>), \
                             disable-on-404 or send-state";
        let word = args.need("http-check", LINES)?;
        match word.text {
            "disable-on-404" => {
                self.disable_on_404 = true;
                return args.end("http-check disable-on-404");
            }
            "send-state" => {
                self.send_state = true;
                return args.end("http-check send-state");
            }
            _ => {}
        }
        self.begin(section);
        self.steps.enter(section, args);
        let mut aside = Aside::default();
        let act = match word.text {
            "comment" => return self.steps.remark(args),
            "connect" => Act::Connect(steps::connect(args, &mut aside, context)?),
            "send" => {
                let mut draft = send(args, &mut aside)?;
                if !self.steps.is_connected() {
                    return Err(word.refuse(
                        "a request behind another step needs a connection of its own",
                        "http-check connect before it",
                    ));
                }
                if self.steps.begins() {
                    self.send = Some(draft.clone());
                }
                aside.live = std::mem::take(&mut draft.live);
                Act::Request(draft.finish())
            }
            "expect" => Act::Expect(steps::expect(
                args,
                &mut aside,
                answer::MATCHES,
                answer::pattern,
            )?),
            _ => match steps::variable(&word, args) {
                Some(act) => act?,
                None => {
                    let message = "this kind of 'http-check' is not supported";
                    return Err(word.refuse(message, LINES));
                }
            },
        };
        args.end("http-check")?;
        self.steps.push(&word, act, aside)
    }

    /// The first line of `section` that has no effect for lack of the option.
    pub(super) fn unused(&self, section: &str) -> Option<&Span> {
        self.steps.begin_in(section).filter(|_| !self.enabled)
    }

    /// The check of a finished backend, if it has one.
    pub(super) fn finish(self) -> Option<Script> {
        if !self.enabled {
            return None;
        }
        let mut steps = self.steps.finish();
        let real = |from: usize, steps: &[Step]| {
            let skipped = steps.iter().skip(from);
            from + skipped
                .take_while(|step| step.act.is_of_variables())
                .count()
        };
        let mut begin = real(0, &steps);
        if steps.get(begin).is_some_and(|step| step.act.is_connect()) {
            begin = real(begin + 1, &steps);
        }
        match (self.send, steps.get_mut(begin)) {
            (Some(send), Some(step)) => {
                step.live.clone_from(&send.live);
                step.act = Act::Request(send.or(self.option).finish());
            }
            _ => steps.insert(begin, step(Act::Request(self.option.finish()))),
        }
        let ask = steps
            .iter()
            .rposition(|step| matches!(step.act, Act::Request(_)));
        let mut behind = steps.iter().skip(ask.unwrap_or(0));
        if !behind.any(|step| matches!(step.act, Act::Expect(_))) {
            let good = Pattern::Http(HttpPattern::Status(vec![200..=399]));
            steps.push(step(Act::Expect(Expect::new(good))));
        }
        Some(Script {
            disable_on_404: self.disable_on_404,
            send_state: self.send_state,
            ..Script::new(as_server(steps))
        })
    }
}

/// Checks of HTTP name no step in what they report.
fn step(act: Act) -> Step {
    Step {
        number: 0,
        comment: None,
        act,
        live: Vec::new(),
    }
}

/// A bare `http-check connect` is a connection as the server's line says.
fn as_server(mut steps: Vec<Step>) -> Vec<Step> {
    for step in &mut steps {
        if let Act::Connect(connect) = &mut step.act
            && *connect == Connect::default()
        {
            connect.as_server = true;
        }
    }
    steps
}

impl Draft {
    fn version_and_headers(&mut self, arg: &Arg<'_>) -> Parsed<()> {
        let mut parts = arg.text.split("\r\n");
        self.version = parts.next().map(str::to_owned);
        self.headers.clear();
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once(':')
                .ok_or_else(|| arg.refuse("not a header", "HTTP/1.1\\r\\nHost:\\ name"))?;
            self.headers
                .push((name.trim().to_owned(), value.trim().to_owned()));
        }
        Ok(())
    }
}

/// `http-check send ...`.
fn send(args: &mut Args<'_>, aside: &mut Aside) -> Parsed<Draft> {
    const WORDS: &str = "meth, uri, ver, hdr, body or comment";
    let mut draft = Draft::default();
    while let Some(word) = args.take() {
        let value = args.need(word.text, "its value")?;
        match word.text {
            "meth" => draft.method = Some(value.text.to_owned()),
            "uri" => draft.target = Some(value.text.to_owned()),
            "uri-lf" => draft.target = Some(usual_target(aside.text(&value, Slot::Target)?)),
            "ver" => draft.version = Some(value.text.to_owned()),
            "hdr" => {
                let field = args.need("hdr", "a name and a value")?;
                let name = value.text;
                // The bounds of messages are the check's own.
                let frames = ["content-length", "transfer-encoding"];
                if !frames.iter().any(|frame| name.eq_ignore_ascii_case(frame)) {
                    let field = aside.text(&field, Slot::Field(draft.headers.len()))?;
                    draft.headers.push((name.to_owned(), field.to_owned()));
                }
            }
            "body" => value.text.clone_into(&mut draft.body),
            "body-lf" => aside.text(&value, Slot::Body)?.clone_into(&mut draft.body),
            "comment" => aside.comment = Some(value.text.to_owned()),
            _ => {
                let message = "this word of 'http-check send' is not supported";
                return Err(word.refuse(message, WORDS));
            }
        }
    }
    draft.live = std::mem::take(&mut aside.live);
    Ok(draft)
}

/// What is asked for where a text with variables comes to nothing.
fn usual_target(text: &str) -> String {
    match text.contains('%') {
        true => Request::default().target,
        false => text.to_owned(),
    }
}
