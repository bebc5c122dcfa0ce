//! The kinds of slow readers: one table.

use std::path::Path;

use crate::Fatal;

/// Readers that are alike.
#[derive(Debug)]
pub(super) struct Kind {
    /// For `--kind` and the report.
    pub(super) name: &'static str,
    /// One line for a reader of the report.
    pub(super) about: &'static str,
    pub(super) over: Over,
    pub(super) manner: Manner,
}

/// What they speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// HTTP/1, a request for each connection.
    Http,
    /// The same in TLS.
    Tls,
    /// HTTP/2, [`STREAMS`] requests for each connection.
    Http2(Windows),
}

/// What they let the proxy send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Windows {
    /// 64 kB, as clients begin, and never more.
    First,
    /// As much as it likes.
    Wide,
}

/// What they do behind the first bytes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Nothing.
    Sticks,
    /// They read a few kilobytes a second, until the measurement is over.
    Trickles,
}

/// Requests on a connection in HTTP/2.
pub(super) const STREAMS: u32 = 10;

const fn kind(name: &'static str, about: &'static str, over: Over, manner: Manner) -> Kind {
    Kind {
        name,
        about,
        over,
        manner,
    }
}

/// In this order.
pub(super) const KINDS: &[Kind] = &[
    kind(
        "h1-stuck",
        "HTTP/1, nothing is read behind the first bytes",
        Over::Http,
        Manner::Sticks,
    ),
    kind(
        "h1-trickle",
        "HTTP/1, 8 kB a second",
        Over::Http,
        Manner::Trickles,
    ),
    kind(
        "tls-stuck",
        "HTTP/1 in TLS, nothing is read behind the first bytes",
        Over::Tls,
        Manner::Sticks,
    ),
    kind(
        "tls-trickle",
        "HTTP/1 in TLS, 8 kB a second",
        Over::Tls,
        Manner::Trickles,
    ),
    kind(
        "h2-stuck",
        "HTTP/2, ten streams a connection, windows that are never opened again",
        Over::Http2(Windows::First),
        Manner::Sticks,
    ),
    kind(
        "h2-wide-stuck",
        "HTTP/2, ten streams a connection, wide windows and nothing is read",
        Over::Http2(Windows::Wide),
        Manner::Sticks,
    ),
    kind(
        "h2-trickle",
        "HTTP/2, ten streams a connection, wide windows, 8 kB a second for each connection",
        Over::Http2(Windows::Wide),
        Manner::Trickles,
    ),
];

/// Those of these names, or all.
pub(super) fn choose(names: &[String]) -> Result<Vec<&'static Kind>, Fatal> {
    if let Some(unknown) = names.iter().find(|n| KINDS.iter().all(|k| k.name != **n)) {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        return Err(format!("there is no kind {unknown}, only {}", known.join(", ")).into());
    }
    let wanted = |kind: &&Kind| names.is_empty() || names.iter().any(|n| n == kind.name);
    Ok(KINDS.iter().filter(wanted).collect())
}

impl Kind {
    /// The words behind the address of their `bind` line.
    pub(super) fn bind(&self, pem: &Path) -> String {
        match self.over {
            Over::Http => String::new(),
            Over::Tls => format!(" ssl crt {}", pem.display()),
            Over::Http2(_) => " proto h2".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_chosen_by_their_names() {
        assert_eq!(choose(&[]).unwrap().len(), KINDS.len());
        let chosen = choose(&["tls-stuck".to_owned()]).unwrap();
        assert_eq!((chosen.len(), chosen[0].over), (1, Over::Tls));
        assert!(choose(&["none".to_owned()]).is_err());
    }
}
