//! Lines of a head: where each ends, and the field lines as [`Field`]s.

use super::{Error, Leniency, Limits, text};
use crate::head::{Field, Head, HeadRef, Text};

/// One complete line: `start..end` without its line end, `next` is where the following one begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) next: usize,
}

impl Line {
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

/// Finds the line that begins at `start`; `None` if its end has not arrived.
pub(super) fn line(
    bytes: &[u8],
    start: usize,
    limits: Limits,
    leniency: Leniency,
) -> Result<Option<Line>, Error> {
    let rest = bytes.get(start..).unwrap_or_default();
    let Some(length) = memchr::memchr(b'\n', rest) else {
        if bytes.len() >= limits.head_bytes {
            return Err(Error::TooLarge(limits.head_bytes));
        }
        return Ok(None);
    };
    let next = start + length + 1;
    if next > limits.head_bytes {
        return Err(Error::TooLarge(limits.head_bytes));
    }
    let end = match rest.get(..length) {
        Some([.., b'\r']) => start + length - 1,
        _ if leniency.loose_syntax => start + length,
        _ => return Err(Error::LineEnd),
    };
    Ok(Some(Line { start, end, next }))
}

/// Reads field lines from `*at` on into `head`; true once the empty line has been passed.
pub(super) fn read(
    bytes: &[u8],
    at: &mut usize,
    head: &mut Head,
    limits: Limits,
    leniency: Leniency,
) -> Result<bool, Error> {
    while let Some(found) = line(bytes, *at, limits, leniency)? {
        *at = found.next;
        let content = found.of(bytes);
        match content.first() {
            None => return Ok(true),
            Some(b' ' | b'\t') if leniency.loose_syntax => unfold(bytes, content, head)?,
            Some(b' ' | b'\t') => return Err(Error::Folded),
            Some(_) => {
                if head.fields.len() >= limits.fields {
                    return Err(Error::TooManyFields(limits.fields));
                }
                head.push(field(content, found.start, leniency)?);
            }
        }
    }
    Ok(false)
}

/// One field line that starts at `start` of the received bytes.
fn field(content: &[u8], start: usize, leniency: Leniency) -> Result<Field, Error> {
    let mut colon = content
        .iter()
        .position(|&b| !text::is_tchar(b))
        .unwrap_or(content.len());
    // RFC 9112 §5.1: no white space between name and colon.
    if colon == 0 || content.get(colon) != Some(&b':') {
        let odd = leniency.odd_characters.then(|| odd_name(content));
        colon = odd.flatten().ok_or(Error::FieldName)?;
    }
    let value = content.get(colon + 1..).unwrap_or_default();
    if !text::is_field_value(value) {
        // NUL and CR are never passed on: RFC 9110 §5.5.
        if !leniency.loose_syntax || value.iter().any(|b| matches!(b, 0 | b'\r')) {
            return Err(Error::FieldValue);
        }
    }
    let (front, back) = text::padding(value);
    Ok(Field {
        name: Text::received(start, colon),
        value: Text::received(start + colon + 1 + front, value.len() - front - back),
    })
}

/// Length of a name that is no token.
fn odd_name(content: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', content)?;
    text::is_unbroken(content.get(..colon)?).then_some(colon)
}

/// RFC 9112 §5.2: a folded line is joined to the value before it by a space.
fn unfold(bytes: &[u8], content: &[u8], head: &mut Head) -> Result<(), Error> {
    if content.iter().any(|b| matches!(b, 0 | b'\r')) {
        return Err(Error::FieldValue);
    }
    let Some(last) = head.fields.last().copied() else {
        return Err(Error::Folded);
    };
    let mut joined = HeadRef::new(head, bytes).text(last.value).to_vec();
    joined.push(b' ');
    joined.extend_from_slice(text::trim(content));
    let value = head.store(text::trim(&joined));
    if let Some(last) = head.fields.last_mut() {
        last.value = value;
    }
    Ok(())
}
