//! `tcp-check` and the checks of Redis, SMTP, MySQL, PostgreSQL, LDAP and SSLv3 (configuration manual §4.2).

use lb_core::health::{
    CheckStatus,
    script::{Act, Connect, Expect, MysqlLogin, Pattern, Report, Script, Step},
};

use super::{
    args::{Arg, Args, Context, Parsed},
    value,
};
use crate::config::diagnostic::Span;

/// The steps of `tcp-check` and which script is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct ScriptCheck {
    /// The section of the lines: those of another begin anew.
    section: String,
    /// Its first line.
    begins_at: Option<Span>,
    steps: Vec<Step>,
    lines: u32,
    /// `tcp-check comment`, for the next step.
    comment: Option<String>,
    choice: Choice,
}

#[derive(Debug, Clone, Default)]
enum Choice {
    /// None: the connection alone.
    #[default]
    Nothing,
    /// `option tcp-check`.
    Written,
    /// One of the others.
    Known(Script),
}

impl ScriptCheck {
    /// Another kind of check is asked for.
    pub(super) fn choose_none(&mut self) {
        self.choice = Choice::Nothing;
    }

    /// `option tcp-check`, `option redis-check` and the like.
    pub(super) fn option(&mut self, word: &Arg<'_>, args: &mut Args<'_>) -> Parsed<()> {
        let known = match word.text {
            "tcp-check" => {
                self.choice = Choice::Written;
                return Ok(());
            }
            "redis-check" => Ok(Script::redis()),
            "smtpchk" => Script::smtp(&hello(args)?),
            "mysql-check" => Ok(mysql(args)?),
            "pgsql-check" => Script::pgsql(user(args)?.text),
            "ldap-check" => Script::ldap(),
            _ => Script::ssl_hello(),
        };
        let known = known.map_err(|e| word.refuse(e.to_string(), "another check"))?;
        self.choice = Choice::Known(known);
        Ok(())
    }

    /// A `tcp-check` line of `section`.
    pub(super) fn line(
        &mut self,
        args: &mut Args<'_>,
        section: &str,
        context: &mut Context<'_>,
    ) -> Parsed<()> {
        const STEPS: &str = "connect, send, send-binary, expect or comment";
        if self.section != section {
            section.clone_into(&mut self.section);
            self.begins_at = Some(args.line().span(0));
            self.steps.clear();
            self.lines = 0;
            self.comment = None;
        }
        let word = args.need("tcp-check", STEPS)?;
        let mut comment = None;
        let act = match word.text {
            "comment" => {
                self.lines += 1;
                let text = args.need("tcp-check comment", "a text")?;
                self.comment = Some(text.text.to_owned());
                return args.end("tcp-check comment");
            }
            "connect" => Act::Connect(connect(args, &mut comment, context)?),
            "send" | "send-lf" => {
                let text = args.need("tcp-check send", "what is sent")?;
                if word.text == "send-lf" {
                    constant(&text)?;
                }
                Act::Send(text.text.as_bytes().to_vec())
            }
            "send-binary" => {
                let text = args.need("tcp-check send-binary", "hexadecimal digits")?;
                Act::Send(hexadecimal(&text)?)
            }
            "expect" => Act::Expect(expect(args, &mut comment)?),
            _ => return Err(word.refuse("this step of a TCP check is not supported", STEPS)),
        };
        while args.skip("comment") {
            let text = args.need("comment", "a text")?;
            comment = Some(text.text.to_owned());
        }
        args.end("tcp-check")?;
        let begins = matches!(self.steps.first().map(|s| &s.act), Some(Act::Connect(_)));
        if matches!(act, Act::Connect(_)) && !self.steps.is_empty() && !begins {
            return Err(word.refuse(
                "the first step of a check with a 'connect' must be a 'connect'",
                "a connect before the other steps",
            ));
        }
        self.lines += 1;
        self.steps.push(Step {
            number: self.lines,
            comment: comment.or_else(|| self.comment.take()),
            act,
        });
        self.comment = None;
        Ok(())
    }

    /// The first `tcp-check` line of `section`, where another check is chosen and the lines have no effect.
    pub(super) fn unused(&self, section: &str) -> Option<&Span> {
        let unused = self.section == section && !matches!(self.choice, Choice::Written);
        self.begins_at.as_ref().filter(|_| unused)
    }

    /// The script of a finished backend, if it has one.
    pub(super) fn finish(self) -> Option<Script> {
        match self.choice {
            Choice::Nothing => None,
            Choice::Written => Some(Script {
                steps: self.steps,
                is_written: true,
            }),
            Choice::Known(script) => Some(script),
        }
    }
}

fn connect(
    args: &mut Args<'_>,
    comment: &mut Option<String>,
    context: &mut Context<'_>,
) -> Parsed<Connect> {
    let mut connect = Connect::default();
    while let Some(word) = args.take() {
        match word.text {
            "default" => connect.as_server = true,
            "linger" => connect.linger = true,
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
            "alpn" | "proto" => {
                args.need(word.text, "its value")?;
                context.warn(
                    word.span,
                    format!("'{}' is ignored", word.text),
                    "the check speaks as its steps say",
                );
            }
            _ => {
                return Err(word.refuse(
                    "this word of 'tcp-check connect' is not supported",
                    "default, port, addr, linger or comment; `check-ssl` at the server and `connect default` \
                     for TLS",
                ));
            }
        }
    }
    Ok(connect)
}

fn expect(args: &mut Args<'_>, comment: &mut Option<String>) -> Parsed<Expect> {
    use CheckStatus as S;
    const MATCHES: &str = "string, rstring, binary or rbinary and a pattern";
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
    loop {
        let word = args.need("tcp-check expect", MATCHES)?;
        if word.text == "!" {
            expect.negated = true;
            continue;
        }
        let value = args.need(word.text, "its value")?;
        match word.text {
            "comment" => *comment = Some(value.text.to_owned()),
            "min-recv" => {
                expect.min_recv = match value.text {
                    "-1" => None,
                    _ => usize::try_from(value::number(&value, "min-recv", 0, 65_535)?).ok(),
                };
            }
            "ok-status" => expect.ok = status(&value, OK)?,
            "error-status" => expect.error = status(&value, ERROR)?,
            "tout-status" => expect.timeout = status(&value, TIMEOUT)?,
            "on-success" => expect.on_success = constant(&value)?,
            "on-error" => expect.on_error = constant(&value)?,
            "string" => expect.pattern = Pattern::Text(value.text.as_bytes().to_vec()),
            "binary" => expect.pattern = Pattern::Binary(hexadecimal(&value)?),
            "rstring" | "rbinary" => {
                let pattern = match word.text {
                    "rstring" => Pattern::regex(value.text),
                    _ => Pattern::hex_regex(value.text),
                };
                expect.pattern = pattern.map_err(|e| {
                    value.refuse(
                        format!("not a regular expression: {e}"),
                        "a regular expression",
                    )
                })?;
            }
            _ => return Err(word.refuse("this kind of expectation is not supported", MATCHES)),
        }
        if matches!(word.text, "string" | "binary" | "rstring" | "rbinary") {
            return Ok(expect);
        }
    }
}

fn status(arg: &Arg<'_>, allowed: &[CheckStatus]) -> Parsed<CheckStatus> {
    let found = allowed.iter().find(|status| status.word() == arg.text);
    found.copied().ok_or_else(|| {
        let words: Vec<&str> = allowed.iter().map(|status| status.word()).collect();
        arg.refuse("not a status that may stand here", words.join(", "))
    })
}

/// Log formats here have no variables.
fn constant(arg: &Arg<'_>) -> Parsed<Report> {
    if arg.text.contains('%') {
        return Err(arg.refuse(
            "variables in texts of checks are not supported",
            "a text without %",
        ));
    }
    Ok(Report::Text(arg.text.to_owned()))
}

fn hexadecimal(arg: &Arg<'_>) -> Parsed<Vec<u8>> {
    let digits = arg.text.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok().filter(|t| t.len() == 2)?;
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u8::from_str_radix(text, 16).ok().filter(|_| is_hex)
    });
    digits
        .collect::<Option<_>>()
        .ok_or_else(|| arg.refuse("not pairs of hexadecimal digits", "such as 50494e470d0a"))
}

/// `HELO <domain>` or `EHLO <domain>`; anything else is `HELO localhost`.
fn hello(args: &mut Args<'_>) -> Parsed<String> {
    let Some(word) = args.take() else {
        return Ok("HELO localhost".to_owned());
    };
    let domain = args.take();
    match (word.text, domain) {
        ("HELO" | "EHLO", Some(domain)) => Ok(format!("{} {}", word.text, domain.text)),
        _ => Ok("HELO localhost".to_owned()),
    }
}

fn user<'l>(args: &mut Args<'l>) -> Parsed<Arg<'l>> {
    let word = args.need("user", "user <name>")?;
    if word.text != "user" {
        return Err(word.refuse("unknown word", "user <name>"));
    }
    args.need("user", "a name")
}

fn mysql(args: &mut Args<'_>) -> Parsed<Script> {
    if args.left() == 0 {
        return Ok(Script::mysql(None));
    }
    let name = user(args)?;
    let kind = match args.take() {
        None => MysqlLogin::Post41,
        Some(word) => match word.text {
            "post-41" => MysqlLogin::Post41,
            "pre-41" => MysqlLogin::Pre41,
            _ => return Err(word.refuse("unknown kind of login", "post-41 or pre-41")),
        },
    };
    Ok(Script::mysql(Some((name.text, kind))))
}
