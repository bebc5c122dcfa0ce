//! The lines that `tcp-check` and `http-check` have in common.

use lb_core::{
    expr::{Definitions, Written},
    health::{
        CheckStatus,
        script::{
            Act, Connect, Expect, Formatted, Live, Pattern, Report, Slot, Source, Step, StepTls,
        },
    },
    request::Assignment,
    rules::RuleError,
};

use crate::config::{
    diagnostic::{Diagnostic, Span},
    haproxy::{
        args::{Arg, Args, Context, Parsed},
        bind, server,
        tls::spoken,
        value,
    },
};

/// The lines of one section.
#[derive(Debug, Clone, Default)]
pub(in crate::config::haproxy) struct Steps {
    /// The section: lines of another begin anew.
    section: String,
    /// Its first line.
    begins_at: Option<Span>,
    steps: Vec<Step>,
    lines: u32,
    /// A line with a comment alone, for the next step.
    comment: Option<String>,
}

/// What a line says beside what its step does.
#[derive(Debug, Default)]
pub(in crate::config::haproxy) struct Aside {
    /// `comment`.
    pub(in crate::config::haproxy) comment: Option<String>,
    /// What is filled in for each check.
    pub(in crate::config::haproxy) live: Vec<Live>,
}

impl Aside {
    /// A text that may hold variables; with them it is filled in at `slot`.
    pub(in crate::config::haproxy) fn text<'l>(
        &mut self,
        arg: &Arg<'l>,
        slot: Slot,
    ) -> Parsed<&'l str> {
        if arg.text.contains('%') {
            let source = Source::Format(format(arg)?);
            self.live.push(Live { slot, source });
        }
        Ok(arg.text)
    }

    /// An expression, of which the value is filled in at `slot`.
    fn expression(&mut self, arg: &Arg<'_>, slot: Slot) -> Parsed<()> {
        let source = Source::Expr(written(arg)?);
        self.live.push(Live { slot, source });
        Ok(())
    }
}

fn format(arg: &Arg<'_>) -> Parsed<Formatted> {
    Formatted::parse(arg.text).map_err(|error| wrong(arg, error))
}

fn written(arg: &Arg<'_>) -> Parsed<Written> {
    Written::parse(arg.text, &Definitions::default()).map_err(|error| wrong(arg, error))
}

fn wrong(arg: &Arg<'_>, error: RuleError) -> Box<Diagnostic> {
    let mut finding = Diagnostic::error(arg.span.clone(), error.message);
    finding.expected = error.expected;
    Box::new(finding)
}

/// `set-var(NAME[,CONDITION...])`, `set-var-fmt(...)` and `unset-var(...)`; `None` for other words.
pub(in crate::config::haproxy) fn variable(
    word: &Arg<'_>,
    args: &mut Args<'_>,
) -> Option<Parsed<Act>> {
    let (action, rest) = word.text.split_once('(')?;
    if !matches!(action, "set-var" | "set-var-fmt" | "unset-var") {
        return None;
    }
    let mut read = || {
        let name = rest.strip_suffix(')').ok_or_else(|| {
            word.refuse(
                format!("'{}' misses its variable", word.text),
                "a variable in parentheses",
            )
        })?;
        let to = Assignment::of_check(name).map_err(|error| wrong(word, error))?;
        Ok(match action {
            "unset-var" if to.is_conditional() => {
                let message = "'unset-var' takes no conditions";
                return Err(word.refuse(message, "a variable in parentheses"));
            }
            "unset-var" => Act::Unset(to),
            "set-var" => {
                let value = args.need(action, "an expression")?;
                Act::Set(to, Source::Expr(written(&value)?))
            }
            _ => {
                let value = args.need(action, "a text")?;
                Act::Set(to, Source::Format(format(&value)?))
            }
        })
    };
    Some(read())
}

impl Steps {
    /// A line of `section` follows; those of another one are forgotten.
    pub(in crate::config::haproxy) fn enter(&mut self, section: &str, args: &Args<'_>) {
        if self.section != section {
            *self = Self {
                section: section.to_owned(),
                begins_at: Some(args.line().span(0)),
                ..Self::default()
            };
        }
    }

    /// The first line, if `section` has one of its own.
    pub(in crate::config::haproxy) fn begin_in(&self, section: &str) -> Option<&Span> {
        self.begins_at.as_ref().filter(|_| self.section == section)
    }

    /// `comment <text>`.
    pub(in crate::config::haproxy) fn remark(&mut self, args: &mut Args<'_>) -> Parsed<()> {
        self.lines += 1;
        let text = args.need("comment", "a text")?;
        self.comment = Some(text.text.to_owned());
        args.end("comment")
    }

    /// The step of the line that begins with `word`.
    pub(in crate::config::haproxy) fn push(
        &mut self,
        word: &Arg<'_>,
        act: Act,
        aside: Aside,
    ) -> Parsed<()> {
        let first = self.real().next();
        if act.is_connect() && first.is_some_and(|first| !first.is_connect()) {
            return Err(word.refuse(
                "the first step of a check with a 'connect' must be a 'connect'",
                "a connect before the other steps",
            ));
        }
        self.lines += 1;
        let remark = match act.is_of_variables() {
            true => None,
            false => self.comment.take(),
        };
        self.steps.push(Step {
            number: self.lines,
            comment: aside.comment.or(remark),
            act,
            live: aside.live,
        });
        Ok(())
    }

    /// What is done but for variables.
    fn real(&self) -> impl DoubleEndedIterator<Item = &Act> {
        let acts = self.steps.iter().map(|step| &step.act);
        acts.filter(|act| !act.is_of_variables())
    }

    /// Whether nothing but perhaps a connection is there yet.
    pub(in crate::config::haproxy) fn begins(&self) -> bool {
        self.real().count() <= 1 && self.is_connected()
    }

    /// Whether a connection was just made, if only that at the beginning.
    pub(in crate::config::haproxy) fn is_connected(&self) -> bool {
        self.real().next_back().is_none_or(Act::is_connect)
    }

    /// The steps.
    pub(in crate::config::haproxy) fn finish(self) -> Vec<Step> {
        self.steps
    }
}

/// `connect ...`.
pub(in crate::config::haproxy) fn connect(
    args: &mut Args<'_>,
    aside: &mut Aside,
    context: &mut Context<'_>,
) -> Parsed<Connect> {
    let mut connect = Connect::default();
    let mut port = None;
    let (mut ssl, mut tls) = (false, StepTls::default());
    while let Some(word) = args.take() {
        match word.text {
            "default" => connect.as_server = true,
            "linger" => connect.linger = true,
            "send-proxy" => connect.send_proxy = true,
            "ssl" => ssl = true,
            "sni" => tls.sni = Some(args.need("sni", "a host name")?.text.to_owned()),
            "alpn" => {
                let arg = args.need("alpn", "protocols")?;
                tls.alpn = spoken(&arg, context, "it is not offered; servers get what is");
            }
            "port" => {
                let arg = args.need("port", "a port")?;
                match arg.text.starts_with(|first: char| first.is_ascii_digit()) {
                    true => port = Some(server::port(&arg)?),
                    false => aside.expression(&arg, Slot::Port)?,
                }
            }
            "addr" => {
                let arg = args.need("addr", "an IP address")?;
                let (addr, behind) = server::address_of(&arg, context)?;
                connect.addr = Some(addr);
                connect.port = behind;
            }
            "comment" => aside.comment = Some(args.need("comment", "a text")?.text.to_owned()),
            "proto" => {
                let arg = args.need("proto", "a protocol")?;
                connect.protocol = Some(bind::protocol(&arg)?);
            }
            _ => {
                return Err(word.refuse(
                    "this word of 'connect' is not supported",
                    "default, port, addr, send-proxy, ssl, sni, alpn, proto, linger or comment",
                ));
            }
        }
    }
    connect.port = port.or(connect.port);
    connect.tls = ssl.then_some(tls);
    Ok(connect)
}

/// `expect [!] <match> <pattern>` with options before and behind it; `pattern` reads the match.
pub(in crate::config::haproxy) fn expect<'l>(
    args: &mut Args<'l>,
    aside: &mut Aside,
    matches: &str,
    pattern: impl Fn(&Arg<'l>, &mut Args<'l>, &mut Aside) -> Parsed<Pattern>,
) -> Parsed<Expect> {
    use CheckStatus as S;
    const OK: &[S] = &[S::L7Ok, S::L7OkConditional, S::L6Ok, S::L4Ok];
    const ERROR: &[S] = &[
        S::L7OkConditional,
        S::L7Response,
        S::L7Status,
        S::L6Response,
        S::L4Connection,
    ];
    const TIMEOUT: &[S] = &[S::L7Timeout, S::L6Timeout, S::L4Timeout];
    let mut expect = Expect::new(Pattern::Text(Vec::new()));
    let mut error = None;
    let mut found = None;
    while found.is_none() || args.left() > 0 {
        let word = args.need("expect", matches)?;
        match word.text {
            "!" => expect.negated = true,
            "comment" => aside.comment = Some(args.need("comment", "a text")?.text.to_owned()),
            "status-code" => {
                let arg = args.need("status-code", "an expression")?;
                aside.expression(&arg, Slot::Code)?;
            }
            "min-recv" => {
                let value = args.need("min-recv", "a number of bytes")?;
                expect.min_recv = match value.text {
                    "-1" => None,
                    _ => usize::try_from(value::number(&value, "min-recv", 0, 65_535)?).ok(),
                };
            }
            "ok-status" => expect.ok = status(args, OK)?,
            "error-status" => error = Some(status(args, ERROR)?),
            "tout-status" => expect.timeout = status(args, TIMEOUT)?,
            "on-success" => expect.on_success = report(args, aside, Slot::OnSuccess)?,
            "on-error" => expect.on_error = report(args, aside, Slot::OnError)?,
            _ if found.is_some() => {
                let message = "one thing is expected already";
                return Err(word.refuse(message, "an option of it, or the end of the line"));
            }
            _ => {
                let mut word = word;
                while let Some(rest) = word.text.strip_prefix('!') {
                    expect.negated = !expect.negated;
                    word.text = rest;
                }
                found = Some(Expect::new(pattern(&word, args, aside)?));
            }
        }
    }
    Ok(match found {
        Some(usual) => Expect {
            error: error.unwrap_or(usual.error),
            pattern: usual.pattern,
            ..expect
        },
        None => expect,
    })
}

fn status(args: &mut Args<'_>, allowed: &[CheckStatus]) -> Parsed<CheckStatus> {
    let arg = args.need("expect", "a status")?;
    let found = allowed.iter().find(|status| status.word() == arg.text);
    found.copied().ok_or_else(|| {
        let words: Vec<&str> = allowed.iter().map(|status| status.word()).collect();
        arg.refuse("not a status that may stand here", words.join(", "))
    })
}

fn report(args: &mut Args<'_>, aside: &mut Aside, slot: Slot) -> Parsed<Report> {
    let arg = args.need("expect", "a text")?;
    Ok(Report::Text(aside.text(&arg, slot)?.to_owned()))
}
