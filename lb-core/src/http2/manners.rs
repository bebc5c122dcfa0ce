//! Floods: frames that cost their sender nothing and us something (CVE-2019-9512 to -9518, CVE-2023-44487).
//!
//! A peer is allowed [`SMALL`] small frames in [`SPAN`] and one for each piece of content that it is sent, and
//! [`RESETS`] cancelled requests and one for every second request beside. (Heads without end are limited by whoever reads them.)

use std::time::{Duration, Instant};

use super::frame::{ACK, END_STREAM, Frame, Kind};

/// Small frames that are too many in [`SPAN`].
const SMALL: u32 = 1000;
/// How long small frames are counted together.
const SPAN: Duration = Duration::from_secs(10);
/// Cancelled requests that anybody may have.
const RESETS: u64 = 100;

/// What a peer does too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Requests that it cancels.
    Resets,
    /// Frames without content: pings, settings, priorities, empty data, unknown ones.
    SmallFrames,
    /// Pieces of a head (CVE-2024-27316).
    Head,
}

impl Flood {
    /// What is said of it in a log.
    pub fn words(self) -> &'static str {
        match self {
            Self::Resets => "too many cancelled requests",
            Self::SmallFrames => "too many small frames",
            Self::Head => "a head without end",
        }
    }
}

/// What was counted of one peer.
#[derive(Debug, Clone)]
pub struct Manners {
    since: Instant,
    small: u32,
    opened: u64,
    resets: u64,
}

impl Manners {
    /// Nothing yet.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            small: 0,
            opened: 0,
            resets: 0,
        }
    }

    /// Counts a frame that came; tells if that was one too many.
    pub fn note(&mut self, now: Instant, frame: Frame) -> Option<Flood> {
        match frame.kind {
            Kind::Reset => return self.note_fault(),
            Kind::Data if frame.length > 0 || frame.has(END_STREAM) => {}
            // What answers us was asked for.
            Kind::Settings | Kind::Ping if frame.has(ACK) => {}
            Kind::Data | Kind::Priority | Kind::Settings | Kind::Ping | Kind::Other => {
                if now.saturating_duration_since(self.since) > SPAN {
                    self.since = now;
                    self.small = 0;
                }
                self.small += 1;
                return (self.small > SMALL).then_some(Flood::SmallFrames);
            }
            Kind::Headers | Kind::GoAway | Kind::WindowUpdate | Kind::Continuation | Kind::Push => {
            }
        }
        None
    }

    /// Counts a request that somebody serves.
    pub fn note_request(&mut self) {
        self.opened += 1;
    }

    /// Counts content that goes to the peer, which may answer each piece by a ping: gRPC measures its way like that.
    pub fn note_content(&mut self) {
        self.small = self.small.saturating_sub(1);
    }

    /// Counts a request that had to be cancelled for what the peer did (CVE-2025-8671), as one that it cancelled.
    pub fn note_fault(&mut self) -> Option<Flood> {
        self.resets += 1;
        let many = self.resets > RESETS + self.opened / 2;
        many.then_some(Flood::Resets)
    }

    /// Requests so far.
    pub fn opened(&self) -> u64 {
        self.opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::now;

    fn frame(kind: Kind, length: u32, flag: bool) -> Frame {
        Frame {
            kind,
            length,
            flags: u8::from(flag),
            stream: 1,
        }
    }

    fn first_flood(frames: impl Iterator<Item = Frame>, pause: Duration) -> Option<(usize, Flood)> {
        let mut now = now();
        let mut manners = Manners::new(now);
        frames.enumerate().find_map(|(at, frame)| {
            now += pause;
            if frame.kind == Kind::Headers {
                manners.note_request();
            }
            manners.note(now, frame).map(|flood| (at, flood))
        })
    }

    #[test]
    fn a_flood_of_resets_is_noticed_and_a_browser_that_leaves_a_page_is_not() {
        let rapid =
            (0..1000).flat_map(|_| [frame(Kind::Headers, 20, true), frame(Kind::Reset, 4, false)]);
        let (at, flood) = first_flood(rapid, Duration::ZERO).unwrap();
        assert_eq!(flood, Flood::Resets);
        assert!((200..=402).contains(&at), "{at}");
        let page = (0..20).flat_map(|_| {
            let requests = (0..100).map(|_| frame(Kind::Headers, 20, true));
            requests.chain((0..40).map(|_| frame(Kind::Reset, 4, false)))
        });
        assert_eq!(first_flood(page, Duration::ZERO), None);
    }

    #[test]
    fn small_frames_are_counted_by_the_time_they_come_in() {
        for (kind, length) in [
            (Kind::Ping, 8),
            (Kind::Settings, 0),
            (Kind::Data, 0),
            (Kind::Priority, 5),
            (Kind::Other, 0),
        ] {
            let frames = || (0..5000).map(|_| frame(kind, length, false));
            let seen = first_flood(frames(), Duration::ZERO);
            assert_eq!(seen, Some((1000, Flood::SmallFrames)), "{kind:?}");
            assert_eq!(first_flood(frames(), Duration::from_millis(20)), None);
        }
        let content = (0..5000).map(|_| frame(Kind::Data, 1, false));
        assert_eq!(first_flood(content, Duration::ZERO), None);
        let updates = (0..5000).map(|_| frame(Kind::WindowUpdate, 4, false));
        assert_eq!(first_flood(updates, Duration::ZERO), None);
    }
}
