//! The frame of every page: head, style, script, and the policy that lets a browser run nothing else.

use std::{fmt::Write as _, sync::OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::super::html::Esc;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Fields of the head beside the policy. The referrer stays: without it browsers do not tell where a form comes from.
pub(in super::super) const POLICY_HEADERS: &str = "x-content-type-options: nosniff\r\nx-frame-options: DENY\r\n\
                                                   referrer-policy: same-origin\r\n";

/// `Content-Security-Policy`: our own style and script by their hashes, forms to ourselves, nothing else.
pub(in super::super) fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let hash = |text: &str| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        )
    })
}

/// Everything up to the first words. `refresh` is the pause in seconds and the address to go to.
pub(super) fn open(title: &str, refresh: Option<(u64, String)>, out: &mut String) {
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width, initial-scale=1\"><meta name=color-scheme content=\"light dark\">\
         <title>{} - statistics</title><link rel=icon href=\"data:,\"><style>{STYLE}</style>",
        Esc(title)
    );
    match refresh {
        Some((every, at)) => {
            let at = Esc(&at).to_string();
            let _ = writeln!(
                out,
                "<noscript><meta http-equiv=refresh content=\"{every};url={at}\"></noscript></head>\
                 <body id=top data-refresh={every} data-at=\"{at}\">"
            );
        }
        None => out.push_str("</head><body id=top>\n"),
    }
}

/// Everything after the last words.
pub(super) fn close(out: &mut String) {
    let _ = writeln!(out, "<script>{SCRIPT}</script></body></html>");
}
