//! Character classes of RFC 9110 §5.6 and small text helpers.

/// Whether each byte is a `tchar`.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] =
        b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while let [b, tail @ ..] = rest {
        table[*b as usize] = true;
        rest = tail;
    }
    table
};

/// What may stand in an authority: any byte of a name or an address in IPv4.
pub(super) const HOST: u8 = 1;
/// What stands around addresses in IPv6 and before ports.
const HOST_DELIMITER: u8 = 2;
/// What may not stand there.
pub(super) const NO_HOST: u8 = 4;

/// The class of each byte of an authority.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
static HOST_CLASS: [u8; 256] = {
    let mut table = [NO_HOST; 256];
    let mut rest: &[u8] =
        b"-._~%!$&'()*+,;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while let [b, tail @ ..] = rest {
        table[*b as usize] = HOST;
        rest = tail;
    }
    table[b':' as usize] = HOST_DELIMITER;
    table[b'[' as usize] = HOST_DELIMITER;
    table[b']' as usize] = HOST_DELIMITER;
    table
};

/// [`HOST`], [`NO_HOST`] or neither.
pub(super) fn host_class(b: u8) -> u8 {
    HOST_CLASS.get(usize::from(b)).copied().unwrap_or(NO_HOST)
}

/// `tchar`.
pub(super) fn is_tchar(b: u8) -> bool {
    TOKEN.get(usize::from(b)).copied().unwrap_or(false)
}

/// A token of at least one `tchar`.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| is_tchar(b))
}

/// No control character but HTAB.
pub(crate) fn is_field_value(text: &[u8]) -> bool {
    is_free_of_controls(text) || text.iter().all(|&b| b == b'\t' || !b.is_ascii_control())
}

/// Whether there is no control character, HTAB included. Eight bytes are looked at together: most values are some words
/// long.
fn is_free_of_controls(text: &[u8]) -> bool {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = EACH * 0x80;
    let Some(last) = text.last_chunk() else {
        return !text.iter().any(u8::is_ascii_control);
    };
    // The top bit of a byte says that it, or one before it, is a control character.
    let controls = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        let without_del = word ^ (EACH * 0x7f);
        word.wrapping_sub(EACH * 0x20) & !word | without_del.wrapping_sub(EACH) & !without_del
    };
    let (words, _) = text.as_chunks();
    let seen = words
        .iter()
        .fold(controls(last), |seen, word| seen | controls(word));
    seen & TOPS == 0
}

/// The bytes a request target may hold: visible ASCII without `#`.
pub(crate) fn is_target(text: &[u8]) -> bool {
    !text.iter().fold(text.is_empty(), |bad, &b| {
        bad | !(0x21..=0x7e).contains(&b) | (b == b'#')
    })
}

/// Bytes that no reader takes for the end of a word: none of the control characters, and no blank.
pub(super) fn is_unbroken(text: &[u8]) -> bool {
    !text
        .iter()
        .fold(text.is_empty(), |bad, &b| bad | (b <= 0x20) | (b == 0x7f))
}

/// Leading and trailing spaces and tabs as (front, back) counts.
pub(super) fn padding(text: &[u8]) -> (usize, usize) {
    let mut inner = text;
    while let [b' ' | b'\t', rest @ ..] = inner {
        inner = rest;
    }
    let front = text.len() - inner.len();
    while let [rest @ .., b' ' | b'\t'] = inner {
        inner = rest;
    }
    (front, text.len() - front - inner.len())
}

/// The text without surrounding spaces and tabs.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let (front, back) = padding(text);
    text.get(front..text.len() - back).unwrap_or_default()
}

/// Members of a comma-separated list, trimmed; empty members are left out (RFC 9110 §5.6.1).
pub(super) fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&b| b == b',')
        .map(trim)
        .filter(|m| !m.is_empty())
}
