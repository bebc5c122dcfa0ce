//! The lines that `tcp-check` and `http-check` have in common.

use lb_core::health::{
    CheckStatus,
    script::{Act, Connect, Expect, Pattern, Report, Step, StepTls},
};

use crate::config::{
    diagnostic::Span,
    haproxy::{
        args::{Arg, Args, Context, Parsed},
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
        comment: Option<String>,
    ) -> Parsed<()> {
        let begins = matches!(self.steps.first().map(|s| &s.act), Some(Act::Connect(_)));
        if matches!(act, Act::Connect(_)) && !self.steps.is_empty() && !begins {
            return Err(word.refuse(
                "the first step of a check with a 'connect' must be a 'connect'",
                "a connect before the other steps",
            ));
        }
        self.lines += 1;
        let remark = self.comment.take();
        self.steps.push(Step {
            number: self.lines,
            comment: comment.or(remark),
            act,
        });
        Ok(())
    }

    /// Whether nothing but perhaps a connection is there yet.
    pub(in crate::config::haproxy) fn begins(&self) -> bool {
        self.steps.len() <= 1 && self.is_connected()
    }

    /// Whether a connection was just made, if only that at the beginning.
    pub(in crate::config::haproxy) fn is_connected(&self) -> bool {
        let last = self.steps.last().map(|step| &step.act);
        matches!(last, None | Some(Act::Connect(_)))
    }

    /// The steps.
    pub(in crate::config::haproxy) fn finish(self) -> Vec<Step> {
        self.steps
    }
}

/// `connect ...`.
pub(in crate::config::haproxy) fn connect(
    args: &mut Args<'_>,
    comment: &mut Option<String>,
    context: &mut Context<'_>,
) -> Parsed<Connect> {
    let mut connect = Connect::default();
    let (mut ssl, mut tls) = (false, StepTls::default());
    while let Some(word) = args.take() {
        match word.text {
            "default" => connect.as_server = true,
            "linger" => connect.linger = true,
            "ssl" => ssl = true,
            "sni" => tls.sni = Some(args.need("sni", "a host name")?.text.to_owned()),
            "alpn" => {
                let arg = args.need("alpn", "protocols")?;
                tls.alpn = spoken(&arg, context, "it is not offered; servers get what is");
            }
            "port" => {
                let arg = args.need("port", "a port")?;
                let number = value::number(&arg, "port", 1, 65_535)?;
                connect.port = u16::try_from(number).ok();
            }
            "addr" => {
                let arg = args.need("addr", "an IP address")?;
                let addr = arg.text.parse();
                connect.addr =
                    Some(addr.map_err(|_| arg.refuse("not an address", "an IP address"))?);
            }
            "comment" => *comment = Some(args.need("comment", "a text")?.text.to_owned()),
            "proto" => {
                args.need(word.text, "its value")?;
                context.warn(
                    word.span,
                    format!("'{}' is ignored", word.text),
                    "the check speaks as its steps say",
                );
            }
            _ => {
                return Err(word.refuse(
                    "this word of 'connect' is not supported",
                    "default, port, addr, ssl, sni, alpn, linger or comment",
                ));
            }
        }
    }
    connect.tls = ssl.then_some(tls);
    Ok(connect)
}

/// `expect [options] [!] <match> <pattern>`; `pattern` reads the match.
pub(in crate::config::haproxy) fn expect<'l>(
    args: &mut Args<'l>,
    comment: &mut Option<String>,
    matches: &str,
    pattern: impl Fn(&Arg<'l>, &mut Args<'l>) -> Parsed<Pattern>,
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
    loop {
        let word = args.need("expect", matches)?;
        match word.text {
            "!" => expect.negated = true,
            "comment" => *comment = Some(args.need("comment", "a text")?.text.to_owned()),
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
            "on-success" => expect.on_success = report(args)?,
            "on-error" => expect.on_error = report(args)?,
            _ => {
                let mut word = word;
                while let Some(rest) = word.text.strip_prefix('!') {
                    expect.negated = !expect.negated;
                    word.text = rest;
                }
                let usual = Expect::new(pattern(&word, args)?);
                return Ok(Expect {
                    error: error.unwrap_or(usual.error),
                    pattern: usual.pattern,
                    ..expect
                });
            }
        }
    }
}

fn status(args: &mut Args<'_>, allowed: &[CheckStatus]) -> Parsed<CheckStatus> {
    let arg = args.need("expect", "a status")?;
    let found = allowed.iter().find(|status| status.word() == arg.text);
    found.copied().ok_or_else(|| {
        let words: Vec<&str> = allowed.iter().map(|status| status.word()).collect();
        arg.refuse("not a status that may stand here", words.join(", "))
    })
}

fn report(args: &mut Args<'_>) -> Parsed<Report> {
    let arg = args.need("expect", "a text")?;
    Ok(Report::Text(constant(&arg)?.to_owned()))
}

/// Log formats here have no variables.
pub(in crate::config::haproxy) fn constant<'l>(arg: &Arg<'l>) -> Parsed<&'l str> {
    if arg.text.contains('%') {
        return Err(arg.refuse(
            "variables in texts of checks are not supported",
            "a text without %",
        ));
    }
    Ok(arg.text)
}
