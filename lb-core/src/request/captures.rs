//! Values that are kept for the log (`capture`, `declare capture`), in slots of the frontend.

/// Whose slot it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The request's.
    Request,
    /// The response's.
    Response,
}

/// Captured values in the order of their declarations; `None` where nothing was found.
#[derive(Debug, Default)]
pub struct Captures {
    /// `capture request header` and `http-request capture`.
    pub request: Vec<Option<Vec<u8>>>,
    /// `capture response header`.
    pub response: Vec<Option<Vec<u8>>>,
}

/// A value for a slot.
pub(super) type Capture = (Side, usize, Vec<u8>);

impl Captures {
    /// Forgets every value.
    pub fn clear(&mut self) {
        self.request.clear();
        self.response.clear();
    }

    /// The value of a slot.
    pub(crate) fn value(&self, side: Side, slot: usize) -> Option<&[u8]> {
        let slots = match side {
            Side::Request => &self.request,
            Side::Response => &self.response,
        };
        slots.get(slot)?.as_deref()
    }

    /// Sets the value of a slot. One that was never declared is no slot.
    pub(super) fn put(&mut self, (side, slot, value): Capture) {
        let slots = match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        };
        if let Some(place) = slots.get_mut(slot) {
            *place = Some(value);
        }
    }
}
