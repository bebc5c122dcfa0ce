//! The `global` section (configuration manual §3) and `stats socket` lines.

mod http2;
mod messages;
mod stats;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use lb_core::{config::Global, request::ProcessVariables};

use super::{
    args::{Admitted, Arg, Args, Context, Parsed, admit, arity},
    default_path::{Based, DefaultPath},
    document::Section,
    external_check,
    keywords::GLOBAL,
    log, server_state, server_tls,
    tls::{self, ExtraFiles},
    unix_socket,
    value::{self, Unit},
};
use crate::config::diagnostic::{Diagnostic, Span};

/// The global section and what later sections take from it.
#[derive(Default)]
pub(super) struct Draft {
    /// The result.
    pub(super) global: Global,
    /// `set-var`.
    pub(super) variables: Arc<ProcessVariables>,
    /// What is said of TLS.
    pub(super) tls: tls::Defaults,
    /// What is said of TLS to servers.
    server_tls: server_tls::Defaults,
    /// `server-state-file` and `server-state-base`.
    pub(super) states: server_state::Files,
    /// `unix-bind`.
    pub(super) unix_bind: unix_socket::Defaults,
    /// `localpeer`.
    pub(super) local_peer: Option<String>,
    /// `default-path`.
    pub(super) default_path: DefaultPath,
    /// What is said of programs that check servers.
    pub(super) programs: external_check::Permission,
    /// Where `zero-warning` was given.
    pub(super) zero_warning: Option<Span>,
    /// Keywords of which only the first counts, where several sections have them.
    once: BTreeSet<&'static str>,
}

impl Draft {
    /// What holds for TLS to servers unless their lines say otherwise.
    pub(super) fn tls_to_servers(&self) -> server_tls::Defaults {
        server_tls::Defaults {
            common: self.tls.clone(),
            ..self.server_tls.clone()
        }
    }
}

/// What may be said once: the name that HAProxy has for it, and its keywords.
const ONCE: &[(&str, &[&str])] = &[
    ("'maxconn'", &["maxconn"]),
    ("user/uid", &["user", "uid"]),
    ("group/gid", &["group", "gid"]),
    ("'chroot'", &["chroot"]),
    ("'pidfile'", &["pidfile"]),
    ("'tune.rcvbuf.client'", &["tune.rcvbuf.client"]),
    ("'tune.sndbuf.client'", &["tune.sndbuf.client"]),
    ("'tune.rcvbuf.server'", &["tune.rcvbuf.server"]),
    ("'tune.sndbuf.server'", &["tune.sndbuf.server"]),
];

/// How large messages may be.
const MESSAGES: [&str; 3] = ["tune.bufsize", "tune.maxrewrite", "tune.http.maxhdr"];

/// Reads one `global` section into `draft`; a file may have several.
pub(super) fn read(section: &Section, draft: &mut Draft, context: &mut Context<'_>) {
    for line in &section.lines {
        let mut args = Args::new(line, 0);
        let result = match args.peek() {
            // One directory does not begin in the one before it.
            "default-path" => keyword(&mut args, draft, context),
            _ => {
                let file = line.span(0).file;
                let directory = draft.default_path.directory(Path::new(&*file));
                let files = Based::new(context.files, directory);
                keyword(&mut args, draft, &mut context.beside(&files))
            }
        };
        context.collect(result);
    }
}

fn keyword(args: &mut Args<'_>, draft: &mut Draft, context: &mut Context<'_>) -> Parsed<()> {
    let negated = args.left() > 1 && args.skip("no");
    let word = args.need("global", "a keyword")?;
    if negated && word.text == "log" {
        draft.global.logs.clear();
        return args.end("no log");
    }
    let entry = match admit(context, GLOBAL, &word, "keyword '{}' in 'global' section")? {
        Admitted::Use(entry) => entry,
        Admitted::Skip(_) => return Ok(()),
    };
    if negated && word.text == "insecure-fork-wanted" {
        draft.programs.forks = false;
        return args.end("no insecure-fork-wanted");
    }
    if negated {
        return Err(word.refuse("'no' does not go with this keyword", "no log"));
    }
    arity(args, word.text, entry)?;
    let once = ONCE.iter().find(|(_, names)| names.contains(&word.text));
    if let Some((name, _)) = once
        && !draft.once.insert(name)
    {
        context.warn(
            word.span,
            format!("{name} already specified. Continuing."),
            "the first one holds",
        );
        return Ok(());
    }
    let global = &mut draft.global;
    match word.text {
        "log" => {
            let target = log::target(args, context)?;
            global.logs.push(target);
            return Ok(());
        }
        "stats" => return stats::read(args, draft, context),
        "default-path" => {
            draft.default_path = DefaultPath::read(args, context.files)?;
            return Ok(());
        }
        "unix-bind" => return draft.unix_bind.read(args),
        name if name.starts_with("ssl-default-") || name.starts_with("ssl-load-") => {
            return tls_defaults(name, args, draft, context);
        }
        "description" => {
            let words: Vec<&str> = std::iter::from_fn(|| args.take())
                .map(|arg| arg.text)
                .collect();
            global.description = Some(words.join(" "));
            return Ok(());
        }
        "set-var" | "set-var-fmt" => return set_variable(&word, args, &draft.variables),
        "h1-case-adjust" => {
            let from = args.need(word.text, "a header name in lower case")?;
            let to = args.need(word.text, "the same name as it is to be sent")?;
            let case = Arc::make_mut(&mut global.header_case);
            return case
                .add(from.text, to.text)
                .map_err(|error| from.refuse(error.to_string(), "name Name"));
        }
        "h1-case-adjust-file" => return header_case(args, draft, context),
        "nbproc" => return value::number(&args.need("nbproc", "1")?, "nbproc", 1, 64).map(drop),
        "daemon" => global.daemon = true,
        "external-check" => draft.programs.granted = true,
        "insecure-fork-wanted" => draft.programs.forks = true,
        "insecure-setuid-wanted" => global.setuid_programs = true,
        "h2-workaround-bogus-websocket-clients" => global.http2.without_websockets = true,
        "h1-accept-payload-with-any-method" => global.old_content = true,
        "nosplice" => global.max_pipes = Some(0),
        "localpeer" => draft.local_peer = text(args),
        "zero-warning" => draft.zero_warning = Some(word.span),
        "log-send-hostname" => {
            global.log_send_hostname = Some(text(args).unwrap_or_else(host_name))
        }
        name => {
            // Every keyword below takes exactly one argument; those without effect take none.
            let Some(arg) = args.take() else {
                return Ok(());
            };
            if name.starts_with("tune.h2.") {
                return http2::read(name, &arg, &mut draft.global.http2, context);
            }
            if MESSAGES.contains(&name) {
                return messages::read(name, &arg, &mut draft.global.messages, context);
            }
            single(name, &arg, draft, context)?;
        }
    }
    Ok(())
}

/// `h1-case-adjust-file`.
fn header_case(args: &mut Args<'_>, draft: &mut Draft, context: &mut Context<'_>) -> Parsed<()> {
    let file = args.need("h1-case-adjust-file", "a file")?;
    let unreadable = |error| file.refuse(format!("cannot read it: {error}"), "a readable file");
    let bytes = context
        .files
        .read(Path::new(file.text))
        .map_err(unreadable)?;
    let case = Arc::make_mut(&mut draft.global.header_case);
    for (number, line) in (1..).zip(String::from_utf8_lossy(&bytes).lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut names = line.split_ascii_whitespace();
        let pair = (names.next(), names.next(), names.next());
        let added = match pair {
            (Some(from), Some(to), None) => case.add(from, to).map_err(|e| e.to_string()),
            _ => Err("not two names".to_owned()),
        };
        added.map_err(|what| file.refuse(format!("line {number}: {what}"), "name Name"))?;
    }
    Ok(())
}

/// `set-var` and `set-var-fmt`.
fn set_variable(
    word: &Arg<'_>,
    args: &mut Args<'_>,
    variables: &Arc<ProcessVariables>,
) -> Parsed<()> {
    let name = args.need(word.text, "a variable")?;
    let value = args.need(word.text, "a value")?;
    let now = (std::time::Instant::now(), std::time::SystemTime::now());
    let set = match word.text {
        "set-var" => variables.set_expression(now, name.text, value.text),
        _ => variables.set_format(now, name.text, value.text),
    };
    set.map_err(|error| {
        let at = match error.word {
            0 => name.span,
            _ => value.span,
        };
        let mut finding = Diagnostic::error(at, error.message);
        finding.expected = error.expected;
        Box::new(finding)
    })
}

/// A number of which 0 sets no limit.
fn limit(arg: &Arg<'_>, name: &str) -> Parsed<Option<u32>> {
    let limit = value::number(arg, name, 0, u32::MAX)?;
    Ok(Some(limit).filter(|limit| *limit > 0))
}

/// Keywords with one argument.
fn single(name: &str, arg: &Arg<'_>, draft: &mut Draft, context: &mut Context<'_>) -> Parsed<()> {
    let global = &mut draft.global;
    let text = || Some(arg.text.to_owned());
    match name {
        "chroot" => global.chroot = Some(PathBuf::from(arg.text)),
        "pidfile" => global.pidfile = Some(PathBuf::from(arg.text)),
        "ssl-server-verify" => {
            draft.server_tls.trusting = match arg.text {
                "none" => true,
                "required" => false,
                _ => return Err(arg.refuse("unknown way to verify", "none or required")),
            };
        }
        "ca-base" => draft.tls.ca_base = Some(PathBuf::from(arg.text)),
        "crt-base" => draft.tls.crt_base = Some(PathBuf::from(arg.text)),
        "user" => global.user = text(),
        "group" => global.group = text(),
        "uid" => global.user = value::number(arg, name, 0, u32::MAX).map(|_| text())?,
        "gid" => global.group = value::number(arg, name, 0, u32::MAX).map(|_| text())?,
        "log-tag" => global.log_tag = text(),
        "server-state-file" => draft.states.all = Some(PathBuf::from(arg.text)),
        "server-state-base" => draft.states.base = Some(PathBuf::from(arg.text)),
        "node" => {
            let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            if arg.text.is_empty() || !arg.text.bytes().all(is_name) {
                return Err(arg.refuse("not a node name", "letters, digits, '.', '-' and '_'"));
            }
            global.node = text();
        }
        "maxconn" => global.maxconn = Some(value::number(arg, name, 1, 100_000_000)?),
        "maxconnrate" => global.maxconnrate = limit(arg, name)?,
        "maxsessrate" => global.maxsessrate = limit(arg, name)?,
        "maxsslconn" => global.maxsslconn = limit(arg, name)?,
        "maxsslrate" => global.maxsslrate = limit(arg, name)?,
        // `nosplice` holds wherever it stands.
        "maxpipes" if global.max_pipes == Some(0) => {}
        "maxpipes" => global.max_pipes = limit(arg, name)?,
        "fd-hard-limit" => global.fd_hard_limit = Some(value::number(arg, name, 1, u32::MAX)?),
        "nbthread" => global.nbthread = Some(value::number(arg, name, 1, 64)?),
        "spread-checks" => {
            let percent = value::number(arg, name, 0, 50)?;
            global.spread_checks = u8::try_from(percent).unwrap_or(50);
        }
        "max-spread-checks" => {
            // 0 stands for no bound.
            let most = value::time(arg, name, Unit::Milliseconds)?;
            global.max_spread = Some(most).filter(|most| !most.is_zero());
        }
        "hard-stop-after" => {
            global.hard_stop_after = Some(value::time(arg, name, Unit::Milliseconds)?);
        }
        "tune.rcvbuf.client" => global.client_buffers.receive = value::buffer(arg, name, context),
        "tune.sndbuf.client" => global.client_buffers.send = value::buffer(arg, name, context),
        "tune.rcvbuf.server" => global.server_buffers.receive = value::buffer(arg, name, context),
        "tune.sndbuf.server" => global.server_buffers.send = value::buffer(arg, name, context),
        "tune.idle-pool.shared" => {
            global.idle_apart = match arg.text {
                "on" => false,
                "off" => true,
                _ => return Err(arg.refuse("neither on nor off", "on or off")),
            };
        }
        // Variables were applied by the lexer.
        _ => {}
    }
    Ok(())
}

/// `ssl-default-...` and `ssl-load-...`.
fn tls_defaults(
    name: &str,
    args: &mut Args<'_>,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Parsed<()> {
    match name {
        "ssl-default-bind-options" => {
            let mut words = std::mem::take(&mut draft.tls.binds);
            while let Some(option) = args.take() {
                match option.text {
                    "strict-sni" => draft.tls.strict_sni = true,
                    "alpn" | "verify" | "ca-file" | "ca-verify-file" | "crl-file" | "ciphers"
                    | "ciphersuites" | "curves" | "ecdhe" => {
                        return Err(tls::unknown_option(&option));
                    }
                    _ if words.apply(&option, args, &draft.tls, context)? => {}
                    _ => return Err(tls::unknown_option(&option)),
                }
            }
            draft.tls.binds = words;
        }
        "ssl-default-server-options" => {
            while let Some(option) = args.take() {
                // Whether the memory of sessions is a ticket is up to the server.
                let known = matches!(option.text, "no-tls-tickets" | "tls-tickets");
                if !known && !draft.server_tls.versions.apply(&option, args, context)? {
                    return Err(tls::unknown_option(&option));
                }
            }
        }
        "ssl-load-extra-files" => {
            let mut extra = ExtraFiles {
                bundle: false,
                key: false,
                ocsp: false,
                ..draft.tls.extra
            };
            while let Some(kind) = args.take() {
                match kind.text {
                    "all" => (extra.bundle, extra.key, extra.ocsp) = (true, true, true),
                    "bundle" => extra.bundle = true,
                    "key" => extra.key = true,
                    "ocsp" => extra.ocsp = true,
                    "none" | "issuer" | "sctl" => {}
                    _ => {
                        let expected = "none, all, bundle, sctl, ocsp, issuer or key";
                        return Err(kind.refuse("unknown kind of file", expected));
                    }
                }
            }
            draft.tls.extra = extra;
        }
        "ssl-load-extra-del-ext" => draft.tls.extra.shortened = true,
        _ => {
            let arg = args.need(name, "a list of names")?;
            let (chosen, kind) = match name.strip_prefix("ssl-default-server-") {
                Some(kind) => (&mut draft.server_tls.algorithms, kind),
                None => (
                    draft.tls.binds.algorithms(),
                    name.trim_start_matches("ssl-default-bind-"),
                ),
            };
            tls::algorithms(kind, &arg, chosen, context)?;
        }
    }
    Ok(())
}

fn text(args: &mut Args<'_>) -> Option<String> {
    args.take().map(|arg| arg.text.to_owned())
}

pub(super) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
