//! Reading and rewriting a [`Head`] together with the bytes it was parsed from.

use super::{ARENA, Field, Head, Text, Version};

/// A head and the received bytes it refers to.
#[derive(Debug, Clone, Copy)]
pub struct HeadRef<'a> {
    head: &'a Head,
    received: &'a [u8],
}

impl<'a> HeadRef<'a> {
    /// `received` must be the bytes that `head` was parsed from (or empty when all text is in the arena).
    pub fn new(head: &'a Head, received: &'a [u8]) -> Self {
        Self { head, received }
    }

    /// The bytes of a piece of text; empty if it does not lie in this message.
    pub fn text(self, text: Text) -> &'a [u8] {
        let (from, start) = if text.start & ARENA == 0 {
            (self.received, text.start)
        } else {
            (self.head.arena.as_slice(), text.start & !ARENA)
        };
        from.get(start as usize..start as usize + text.len())
            .unwrap_or_default()
    }

    /// Method of a request.
    pub fn method(self) -> &'a [u8] {
        self.text(self.head.method)
    }

    /// Target of a request as received or rewritten.
    pub fn target(self) -> &'a [u8] {
        self.text(self.head.target)
    }

    /// Reason phrase of a response.
    pub fn reason(self) -> &'a [u8] {
        self.text(self.head.target)
    }

    /// Version.
    pub fn version(self) -> Version {
        self.head.version
    }

    /// Status of a response, 0 in a request.
    pub fn status(self) -> u16 {
        self.head.status
    }

    /// Field lines in order: (name, value).
    pub fn fields(self) -> impl DoubleEndedIterator<Item = (&'a [u8], &'a [u8])> + Clone {
        self.head
            .fields
            .iter()
            .map(move |f| (self.text(f.name), self.text(f.value)))
    }

    /// Values of the field lines called `name`, in order; names compare without case.
    pub fn values(self, name: &'a [u8]) -> impl DoubleEndedIterator<Item = &'a [u8]> + Clone {
        // By length first: most names are told apart without a look at them.
        self.head
            .fields
            .iter()
            .filter(move |f| f.name.len() == name.len())
            .filter(move |f| self.text(f.name).eq_ignore_ascii_case(name))
            .map(move |f| self.text(f.value))
    }

    /// The line of a field as it was received, its end included, if nothing has changed it since and nothing but one
    /// space stands between colon and value.
    pub(crate) fn line(self, field: &Field) -> Option<&'a [u8]> {
        let (name, value) = (field.name, field.value);
        let colon = name.start.checked_add(name.len)?;
        // The arena begins where no received text is.
        if value.start.checked_sub(2)? != colon || value.start & ARENA != 0 {
            return None;
        }
        let end = value.start as usize + value.len();
        let line = self.received.get(name.start as usize..end + 2)?;
        let is_plain = line.ends_with(b"\r\n") && line.get(name.len()..)?.starts_with(b": ");
        is_plain.then_some(line)
    }

    /// Field lines in order.
    pub(crate) fn lines(self) -> impl Iterator<Item = &'a Field> {
        self.head.fields.iter()
    }

    /// Its size as HAProxy counts it in its log, its byte counters and `req.len`, which is that of its own form of
    /// messages: 20 bytes for the start line beside its words, every name and value, and one byte for the end.
    /// `connection` and its kind are not part of it.
    pub fn weight(self) -> u64 {
        let words = match self.head.status {
            0 => self.head.method.len() + self.head.target.len(),
            _ => 3 + self.head.target.len(),
        };
        let fields: usize = self
            .lines()
            .filter(|field| {
                let is = |known: &[u8]| self.text(field.name).eq_ignore_ascii_case(known);
                field.name.len() != 10 || !(is(b"connection") || is(b"keep-alive"))
            })
            .map(|field| field.name.len() + field.value.len())
            .sum();
        (20 + "HTTP/1.1".len() + words + fields + 1) as u64
    }

    /// The first field line called `name`.
    pub fn value(self, name: &'a [u8]) -> Option<&'a [u8]> {
        self.values(name).next()
    }
}

/// Most text that rules may add to one message. What they replace counts until the message is over.
const ADDED: usize = 64 * 1024;

/// A head that may be rewritten, and the received bytes it refers to.
#[derive(Debug)]
pub struct HeadMut<'a> {
    head: &'a mut Head,
    received: &'a [u8],
}

impl<'a> HeadMut<'a> {
    /// See [`HeadRef::new`].
    pub fn new(head: &'a mut Head, received: &'a [u8]) -> Self {
        Self { head, received }
    }

    /// Reads the message as it stands now.
    pub fn as_ref(&self) -> HeadRef<'_> {
        HeadRef::new(self.head, self.received)
    }

    /// Whether rules may add so many bytes more.
    pub fn has_room(&self, more: usize) -> bool {
        self.head.arena.len().saturating_add(more) <= ADDED
    }

    /// Appends a field line.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let field = Field {
            name: self.head.store(name),
            value: self.head.store(value),
        };
        self.head.fields.push(field);
    }

    /// Removes every field line called `name`; true if there was one.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.remove_if(|n, _| n.eq_ignore_ascii_case(name))
    }

    /// Removes every field line for which `condemned(name, value)` is true; true if there was one.
    pub fn remove_if(&mut self, condemned: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        let before = self.head.fields.len();
        let mut fields = std::mem::take(&mut self.head.fields);
        let view = HeadRef::new(self.head, self.received);
        fields.retain(|f| !condemned(view.text(f.name), view.text(f.value)));
        self.head.fields = fields;
        self.head.fields.len() != before
    }

    /// Removes the field lines called `name` and appends one.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// Replaces the value of the field line at `index` of the order of [`HeadRef::fields`].
    pub fn set_value_at(&mut self, index: usize, value: &[u8]) {
        let value = self.head.store(value);
        if let Some(field) = self.head.fields.get_mut(index) {
            field.value = value;
        }
    }

    /// Replaces the target of a request.
    pub fn set_target(&mut self, target: &[u8]) {
        self.head.target = self.head.store(target);
    }

    /// Replaces the method of a request.
    pub fn set_method(&mut self, method: &[u8]) {
        self.head.method = self.head.store(method);
    }

    /// Replaces status and reason of a response.
    pub fn set_status(&mut self, status: u16, reason: &[u8]) {
        self.head.status = status;
        self.head.target = self.head.store(reason);
    }
}
