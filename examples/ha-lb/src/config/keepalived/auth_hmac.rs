//! `auth_hmac` of an instance: keys with numbers, inline or in files, and what is done with them. No diagnostic and
//! no dump ever contains a secret.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use vrrp_proto::auth_hmac::{AntiReplay, Authenticator, Key, Mode, Settings};

use super::{
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
    lexer::Word,
};
use crate::config::diagnostic::{Diagnostic, Span};

/// `auth_hmac`: adverts of either version carry a trailer that proves who sent them.
#[derive(Clone)]
pub struct AuthHmac {
    secrets: Vec<(u8, Vec<u8>)>,
    authenticator: Authenticator<Vec<Key>>,
    /// Files that hold secrets.
    pub files: Vec<PathBuf>,
}

impl AuthHmac {
    /// With the sequence numbers of one that has just begun.
    pub fn authenticator(&self) -> Authenticator<Vec<Key>> {
        self.authenticator.clone()
    }

    /// How it behaves.
    pub fn settings(&self) -> &Settings {
        self.authenticator.settings()
    }

    /// Mode, and the key that is signed with, for an operator.
    pub fn describe(&self) -> String {
        let Settings {
            mode, active_key, ..
        } = self.settings();
        let mode = MODES.iter().find(|(_, known)| known == mode);
        format!(
            "hmac, {}, key {active_key}",
            mode.map_or("", |(word, _)| word)
        )
    }
}

impl PartialEq for AuthHmac {
    fn eq(&self, other: &Self) -> bool {
        (&self.secrets, self.settings(), &self.files)
            == (&other.secrets, other.settings(), &other.files)
    }
}

impl Eq for AuthHmac {}

impl fmt::Debug for AuthHmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<u8> = self.secrets.iter().map(|(id, _)| *id).collect();
        write!(f, "AuthHmac({keys:?}, {:?})", self.settings())
    }
}

/// Words of `mode`. That with an underscore is a slip worth forgiving.
const MODES: [(&str, Mode); 4] = [
    ("enforce", Mode::Enforce),
    ("permissive", Mode::Permissive),
    ("receive-only", Mode::ReceiveOnly),
    ("receive_only", Mode::ReceiveOnly),
];
/// keepalived's bounds of `time_window`.
const WINDOW: std::ops::RangeInclusive<u64> = 1..=300;

/// The block while it is read.
pub(super) struct Draft {
    pub(super) span: Span,
    keys: Vec<(u8, Vec<u8>)>,
    files: Vec<PathBuf>,
    active_key: Option<(u8, Word)>,
    mode: Option<Mode>,
    by_time: Option<bool>,
    window: Option<(u64, Span)>,
}

pub(super) const TABLE: Table<Draft> = Table {
    block: "auth_hmac",
    keywords: &[&[
        Keyword::repeated(
            "key",
            Takes::words(2, 2, "a number from 1 to 255 and a secret"),
            key,
            "A key of 32 to 64 bytes: text, `hex:` and digits, or `file:` and a path. All of them are accepted.",
        ),
        Keyword::read(
            "active_key",
            Takes::one("number of a key"),
            |d, n, c| {
                d.active_key = n
                    .arguments
                    .first()
                    .and_then(|word| Some((c.number(word, 1..=u8::MAX)?, word.clone())));
            },
            "The key that is signed with.",
        ),
        Keyword::read(
            "anti_replay",
            Takes::one("time or monotonic"),
            |d, n, c| {
                d.by_time = n.arguments.first().and_then(|word| {
                    let ways = [("time", true), ("monotonic", false)];
                    c.choice(word, "protection against replays", &ways)
                });
            },
            "What old adverts are recognised by: their time, for which clocks must agree, or their number alone (time).",
        ),
        Keyword::read(
            "time_window",
            Takes::one("seconds"),
            |d, n, c| {
                d.window = n
                    .arguments
                    .first()
                    .and_then(|word| Some((c.number(word, WINDOW)?, n.keyword.span.clone())));
            },
            "How far clocks may be apart (three intervals, at least 5 s).",
        ),
        Keyword::read(
            "mode",
            Takes::one("receive-only, permissive or enforce"),
            |d, n, c| {
                d.mode = n
                    .arguments
                    .first()
                    .and_then(|word| c.choice(word, "mode", &MODES));
            },
            "receive-only: nothing is signed yet; permissive: adverts that are not signed are accepted; enforce: they \
             are not (enforce).",
        ),
    ]],
};

pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Draft {
    let mut draft = Draft {
        span: node.keyword.span.clone(),
        keys: Vec::new(),
        files: Vec::new(),
        active_key: None,
        mode: None,
        by_time: None,
        window: None,
    };
    context.read(&mut draft, inside(node), &TABLE);
    draft
}

fn key(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let [id, written, ..] = node.arguments.as_slice() else {
        return;
    };
    let Some(number) = id.text.parse().ok().filter(|number| *number != 0) else {
        // The words may be swapped: then this one is the secret.
        let why = Diagnostic::error(id.span.clone(), "this is no number of a key");
        context
            .diagnostics
            .push(why.expected("a whole number from 1 to 255, and the secret after it"));
        return;
    };
    if draft.keys.iter().any(|(known, _)| *known == number) {
        let why = Diagnostic::error(id.span.clone(), "a second key of this number");
        context
            .diagnostics
            .push(why.found(&id.text).expected("another number"));
        return;
    }
    let (secret, of) = match written.text.strip_prefix("file:") {
        Some(path) => {
            let path = Path::new(path);
            draft.files.push(path.to_owned());
            match from_file(path, written, context) {
                Some(text) => (secret(&text), format!("the key in {}", path.display())),
                None => return,
            }
        }
        None => (secret(written.text.as_bytes()), "the key".to_owned()),
    };
    let Some(secret) = secret else {
        let why = format!("{of} is not made of pairs of hex digits");
        let why = Diagnostic::error(written.span.clone(), why);
        context
            .diagnostics
            .push(why.expected("`hex:` and 64 to 128 digits"));
        return;
    };
    match Key::new(number, &secret) {
        Ok(_) => draft.keys.push((number, secret)),
        Err(_) => context.diagnostics.push(
            Diagnostic::error(
                written.span.clone(),
                format!("{of} has {} bytes", secret.len()),
            )
            .expected("32 to 64 bytes (`openssl rand -hex 32`, with `hex:` before it)"),
        ),
    }
}

/// The secret that a text stands for.
fn secret(text: &[u8]) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix(b"hex:") else {
        return Some(text.to_vec());
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    let secret = pairs.iter().map(byte).collect::<Option<Vec<u8>>>();
    secret.filter(|_| rest.is_empty())
}

fn from_file(path: &Path, written: &Word, context: &mut Context<'_>) -> Option<Vec<u8>> {
    match context.files.read(path) {
        Ok(text) => {
            if let Some(mode) = context.files.mode(path).filter(|mode| mode & 0o077 != 0) {
                let why = format!("others than its owner can use this file (mode {mode:04o})");
                context.diagnostics.push(
                    Diagnostic::warning(written.span.clone(), why)
                        .found(path.display().to_string())
                        .expected("mode 0600"),
                );
            }
            Some(text.trim_ascii_end().to_vec())
        }
        Err(error) => {
            context.diagnostics.push(
                Diagnostic::error(written.span.clone(), format!("cannot read a key: {error}"))
                    .found(path.display().to_string())
                    .expected("a file with a key"),
            );
            None
        }
    }
}

impl Draft {
    /// `None` if something is missing, which is said, or was refused before.
    pub(super) fn finish(
        self,
        interval: Duration,
        strict: bool,
        context: &mut Context<'_>,
    ) -> Option<AuthHmac> {
        let mode = self.mode.unwrap_or(Mode::Enforce);
        if strict && mode != Mode::Enforce {
            let why = "strict mode needs `mode enforce`";
            let why = Diagnostic::error(self.span.clone(), why);
            context.diagnostics.push(why.expected("`mode enforce`"));
        }
        let by_time = self.by_time.unwrap_or(true);
        if let (Some((_, span)), false) = (&self.window, by_time) {
            let why = Diagnostic::warning(span.clone(), "`time_window` without time");
            let why = why.action("it is ignored: `anti_replay monotonic` asks no clock");
            context.diagnostics.push(why);
        }
        let window = self.window.map(|(seconds, _)| Duration::from_secs(seconds));
        let first = self.keys.first().map(|(id, _)| *id);
        let active = match (&self.active_key, mode) {
            (Some((id, _)), _) => Some(*id),
            // Nothing is signed with it.
            (None, Mode::ReceiveOnly) => first,
            (None, _) => None,
        };
        let Some(active_key) = active else {
            let (what, expected) = match first {
                None => ("`auth_hmac` without a key", "`key 1 file:PATH`"),
                Some(_) => ("`auth_hmac` without `active_key`", "`active_key`"),
            };
            let why = Diagnostic::error(self.span.clone(), what);
            context.diagnostics.push(why.expected(expected));
            return None;
        };
        let keys = self.keys.iter().map(|(id, secret)| Key::new(*id, secret));
        let keys = keys.collect::<Result<Vec<Key>, _>>().ok()?;
        let settings = Settings {
            mode,
            active_key,
            anti_replay: match by_time {
                true => {
                    AntiReplay::Time(window.unwrap_or_else(|| AntiReplay::default_window(interval)))
                }
                false => AntiReplay::Monotonic,
            },
        };
        match Authenticator::new(keys, settings) {
            Ok(authenticator) => Some(AuthHmac {
                secrets: self.keys,
                authenticator,
                files: self.files,
            }),
            Err(error) => {
                let span = self.active_key.map_or(self.span, |(_, word)| word.span);
                let why = Diagnostic::error(span, error.to_string());
                context
                    .diagnostics
                    .push(why.expected("the number of one of the keys"));
                None
            }
        }
    }
}
