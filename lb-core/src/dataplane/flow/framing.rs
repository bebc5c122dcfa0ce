//! Which of the received bytes belong to the message, and what of them the sink gets.

use super::{Detour, Fault, Flow, Side};
use crate::http1::Body;

impl Flow {
    /// Finds out which of the received bytes belong to the body.
    pub(super) fn approve(&mut self, from: &mut Side) -> Result<(), Fault> {
        match self.detour {
            None => {}
            Some(Detour::Squeeze(_)) => return self.compress(from),
            Some(Detour::Tee(_)) => self.keep(from)?,
        }
        if let Some(decoder) = &mut self.unwrap {
            if self.ahead_sent < self.ahead.len() || self.body.is_done() {
                return Ok(());
            }
            self.ahead.clear();
            self.ahead_sent = 0;
            while !from.input.is_empty() && !decoder.is_done() {
                let piece = decoder
                    .next_piece(from.input.bytes())
                    .map_err(|_| Fault::Malformed)?;
                let content = from.input.bytes().get(piece.data).unwrap_or_default();
                self.ahead.extend_from_slice(content);
                self.bytes += content.len() as u64;
                from.input.consume(piece.consumed);
            }
            if decoder.is_done() {
                self.body = Body::Done;
            } else if from.ended {
                return Err(Fault::Truncated);
            }
            return Ok(());
        }
        self.pass_body(from)?;
        if self.hidden {
            from.input.consume(self.approved);
            self.approved = 0;
        }
        // The end of the source ends a body without a length.
        let over = from.ended && !self.body.is_done() && self.approved == from.input.len();
        if over && !self.body.ends_at_close() {
            return Err(Fault::Truncated);
        }
        Ok(())
    }

    /// Counts what has come of the body, and takes extensions of chunks out of it: they mean nothing to the next hop
    /// (RFC 9112 §7.1.1), and readers differ about what ends them.
    fn pass_body(&mut self, from: &mut Side) -> Result<(), Fault> {
        let mut read = self.approved;
        while !self.body.is_done() && read < from.input.len() {
            let fresh = from.input.bytes().get(read..).unwrap_or_default();
            let passed = self.body.pass_to_extension(fresh);
            let progress = passed.map_err(|_| Fault::Malformed)?;
            let stays = progress.consumed - progress.extension;
            from.input.slide(read, self.approved, stays);
            read += progress.consumed;
            self.approved += stays;
            self.framing += progress.framing - progress.extension as u64;
        }
        let rest = from.input.len() - read;
        from.input.slide(read, self.approved, rest);
        from.input.shorten(read - self.approved);
        Ok(())
    }

    /// Shows what has come of the body to the caches that keep it.
    fn keep(&mut self, from: &mut Side) -> Result<(), Fault> {
        let before = self.approved;
        self.pass_body(from)?;
        let fresh = from.input.bytes().get(before..self.approved);
        if let Some(Detour::Tee(tee)) = &mut self.detour
            && !tee.see(fresh.unwrap_or_default())
        {
            self.detour = None;
        }
        Ok(())
    }

    /// Puts what has come of the content before what goes next, compressed.
    fn compress(&mut self, from: &mut Side) -> Result<(), Fault> {
        let Some(Detour::Squeeze(squeeze)) = &mut self.detour else {
            return Ok(());
        };
        // What is sent behind a head goes with it.
        let waits = self.ahead_sent < self.ahead.len() && (self.ahead_sent > 0 || self.bytes > 0);
        if waits || self.body.is_done() {
            return Ok(());
        }
        if self.ahead_sent == self.ahead.len() {
            self.ahead.clear();
            self.ahead_sent = 0;
        }
        let passed = squeeze.pass(from.input.bytes(), &mut self.ahead);
        self.bytes += squeeze.sent();
        let (taken, over) = passed.map_err(|_| Fault::Malformed)?;
        from.input.consume(taken);
        if over {
            self.body = Body::Done;
        } else if from.ended {
            return Err(Fault::Truncated);
        }
        Ok(())
    }
}
