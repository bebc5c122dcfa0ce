//! `tcp-check` and the checks of Redis, SMTP, MySQL, PostgreSQL, LDAP and SSLv3 (configuration manual §4.2).

pub(super) mod steps;

use lb_core::health::script::{Act, MysqlLogin, Pattern, Script, Slot};

use super::args::{Arg, Args, Context, Parsed};
use crate::config::diagnostic::Span;
use steps::{Aside, Steps};

/// The steps of `tcp-check` and which script is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct ScriptCheck {
    steps: Steps,
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
            "spop-check" => Ok(Script::spop()),
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
        const STEPS: &str = "connect, send, send-lf, send-binary, send-binary-lf, expect, set-var(<name>), \
                             set-var-fmt(<name>), unset-var(<name>) or comment";
        const MATCHES: &str =
            "string, string-lf, rstring, binary, binary-lf or rbinary and a pattern";
        self.steps.enter(section, args);
        let word = args.need("tcp-check", STEPS)?;
        let mut aside = Aside::default();
        let act = match word.text {
            "comment" => return self.steps.remark(args),
            "connect" => Act::Connect(steps::connect(args, &mut aside, context)?),
            "send" | "send-lf" => {
                let text = args.need("tcp-check send", "what is sent")?;
                if word.text == "send-lf" {
                    aside.text(&text, Slot::Sent)?;
                }
                Act::Send(text.text.as_bytes().to_vec())
            }
            "send-binary" => {
                let text = args.need("tcp-check send-binary", "hexadecimal digits")?;
                Act::Send(hexadecimal(&text)?)
            }
            "send-binary-lf" => {
                let text = args.need("tcp-check send-binary-lf", "hexadecimal digits")?;
                Act::Send(live_hexadecimal(&text, Slot::SentHex, &mut aside)?)
            }
            "expect" => Act::Expect(steps::expect(
                args,
                &mut aside,
                MATCHES,
                |word, args, aside| {
                    let value = args.need(word.text, "its value")?;
                    let pattern = match word.text {
                        "string-lf" => {
                            let text = aside.text(&value, Slot::Sought)?;
                            return Ok(Pattern::Text(text.as_bytes().to_vec()));
                        }
                        "binary-lf" => {
                            let bytes = live_hexadecimal(&value, Slot::SoughtHex, aside)?;
                            return Ok(Pattern::Binary(bytes));
                        }
                        "string" => return Ok(Pattern::Text(value.text.as_bytes().to_vec())),
                        "binary" => return Ok(Pattern::Binary(hexadecimal(&value)?)),
                        "rstring" => Pattern::regex(value.text),
                        "rbinary" => Pattern::hex_regex(value.text),
                        _ => {
                            let message = "this kind of expectation is not supported";
                            return Err(word.refuse(message, MATCHES));
                        }
                    };
                    pattern.map_err(|e| {
                        let message = format!("not a regular expression: {e}");
                        value.refuse(message, "a regular expression")
                    })
                },
            )?),
            _ => match steps::variable(&word, args) {
                Some(act) => act?,
                None => {
                    return Err(word.refuse("this step of a TCP check is not supported", STEPS));
                }
            },
        };
        while args.skip("comment") {
            aside.comment = Some(args.need("comment", "a text")?.text.to_owned());
        }
        args.end("tcp-check")?;
        self.steps.push(&word, act, aside)
    }

    /// The first `tcp-check` line of `section`, where another check is chosen and the lines have no effect.
    pub(super) fn unused(&self, section: &str) -> Option<&Span> {
        let written = matches!(self.choice, Choice::Written);
        self.steps.begin_in(section).filter(|_| !written)
    }

    /// The script of a finished backend, if it has one.
    pub(super) fn finish(self) -> Option<Script> {
        match self.choice {
            Choice::Nothing => None,
            Choice::Written => Some(Script {
                is_written: true,
                ..Script::new(self.steps.finish())
            }),
            Choice::Known(script) => Some(script),
        }
    }
}

/// The same with variables among the digits, which are filled in at `slot`.
fn live_hexadecimal(arg: &Arg<'_>, slot: Slot, aside: &mut Aside) -> Parsed<Vec<u8>> {
    match arg.text.contains('%') {
        true => aside.text(arg, slot).map(|_| Vec::new()),
        false => hexadecimal(arg),
    }
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
