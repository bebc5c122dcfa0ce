//! Signs of life between speaker and supervisor. Hundreds of adverts a second leave little time, and a process that is
//! woken for nothing else costs as much as a dozen of them: while the speaker has other work it is never woken for these.
//!
//! The speaker says that its event loop turns, in a wake-up that it has anyway if there is one. That the supervisor's turns
//! is seen from its reading that: the kernel knows ([`Channel::is_read`](crate::ipc::channel::Channel::is_read)), and
//! an answer would wake the speaker once more. Whatever holds up the one thread of the supervisor holds up its reading; one
//! that is behind, with hundreds of changes before it, reads on all the same.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use crate::ipc::{alarm::Alarm, beats::EVERY, silence::Listening};

/// A supervisor that reads nothing for so long stands still. Beside eight busy processes on two processors the longest
/// pause of a sound one was 0.33 s.
pub(crate) const SILENCE: Duration = Duration::from_millis(800);
/// How much earlier than that life may be shown, if the speaker is awake.
const EARLY: Duration = Duration::from_millis(50);

/// What a turn found of the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It has read everything, or some more: a sign of life is due.
    Reads,
    /// The same, after it had stood still.
    ReadsAgain,
    /// Something waits there, and not for too long yet.
    Waits,
    /// It stands still, from now on.
    StandsStill,
}

/// The speaker's side.
#[derive(Debug)]
pub(super) struct Heartbeat {
    alarm: Alarm,
    times: Times,
}

/// When what is to be done. Pure: time is passed in.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// When the last sign was given.
    said: Instant,
    /// When the next turn may be, and when it has to be.
    may: Instant,
    must: Instant,
    /// A sign was given.
    begun: bool,
    /// From the first time on that one was read.
    watch: Option<Listening>,
}

impl Heartbeat {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            alarm: Alarm::new()?,
            times: Times::new(Instant::now()),
        })
    }

    /// Completes when a [`turn`](Self::turn) is due: a little earlier, if it is polled then. May be dropped and asked again.
    pub(super) async fn due(&mut self) -> io::Result<()> {
        let Times { may, .. } = self.times;
        let mut rings = pin!(self.alarm.at(Some(self.times.next_deadline())));
        poll_fn(|cx| match Instant::now() >= may {
            true => Poll::Ready(Ok(())),
            false => rings.as_mut().poll(cx),
        })
        .await
    }

    /// The supervisor has read since the last turn, or has not.
    pub(super) fn turn(&mut self, is_read: bool) -> Found {
        self.times.turn(Instant::now(), is_read)
    }
}

impl Times {
    fn new(now: Instant) -> Self {
        Self {
            said: now,
            may: now,
            must: now,
            begun: false,
            watch: None,
        }
    }

    fn next_deadline(&self) -> Instant {
        let silence = self.watch.as_ref().and_then(Listening::next_deadline);
        silence.map_or(self.must, |at| at.min(self.must))
    }

    fn turn(&mut self, now: Instant, is_read: bool) -> Found {
        if !is_read {
            // Another message may have been on its way.
            self.must = now + EARLY;
            self.may = self.must;
            return match self.watch.as_mut().is_some_and(|watch| watch.timeout(now)) {
                true => Found::StandsStill,
                false => Found::Waits,
            };
        }
        // It lived after the last sign. A speaker that was kept from running looks late, and not at a silence.
        let lived = now.checked_sub(EVERY * 2);
        let lived = lived.map_or(self.said, |at| at.max(self.said));
        let again = match std::mem::replace(&mut self.begun, true) {
            // Nothing may have been sent to it yet that it could have left unread.
            false => false,
            true => {
                let watch = self.watch.get_or_insert(Listening::new(SILENCE, lived));
                watch.beat(lived)
            }
        };
        (self.said, self.may, self.must) = (now, now + (EVERY - EARLY), now + EVERY);
        match again {
            true => Found::ReadsAgain,
            false => Found::Reads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Turns whenever it has to, from `now` on; when the supervisor, which reads nothing more from `stops` on, was found out.
    fn found_out(times: &mut Times, mut now: Instant, stops: Instant) -> Instant {
        loop {
            now = times.next_deadline().max(now);
            if times.turn(now, times.said < stops) == Found::StandsStill {
                return now;
            }
        }
    }

    #[test]
    fn a_supervisor_that_stands_still_is_found_out_within_its_time_and_not_before() {
        for after in (0..400).step_by(7) {
            let begun = Instant::now();
            let mut times = Times::new(begun);
            let stops = begun + Duration::from_secs(1) + MILLI * after;
            let found = found_out(&mut times, begun, stops) - stops;
            assert!(found <= SILENCE, "{found:?}");
            assert!(found >= SILENCE - EVERY, "{found:?}");
            // Told once, and looked at for ever.
            let now = stops + Duration::from_secs(60);
            assert_eq!(times.turn(now, false), Found::Waits);
            assert!(times.next_deadline() > now);
            assert_eq!(times.turn(now + EVERY, true), Found::ReadsAgain);
            assert_eq!(times.turn(now + EVERY * 2, true), Found::Reads);
        }
    }

    #[test]
    fn a_supervisor_that_has_read_nothing_yet_is_not_judged() {
        let mut now = Instant::now();
        for nothing_was_sent in [false, true] {
            let mut times = Times::new(now);
            if nothing_was_sent {
                assert_eq!(times.turn(now, true), Found::Reads);
            }
            for _ in 0..100 {
                assert_eq!(times.turn(now, false), Found::Waits);
                now = times.next_deadline();
            }
        }
    }

    #[test]
    fn a_speaker_that_stood_still_itself_takes_that_for_nobody_s_silence() {
        let begun = Instant::now();
        for still in (0..3000).step_by(10).map(|millis| MILLI * millis) {
            let mut times = Times::new(begun);
            assert_eq!(times.turn(begun, true), Found::Reads);
            let now = begun + EVERY + still;
            assert_eq!(times.turn(now, true), Found::Reads);
            assert_eq!(times.turn(now + MILLI, false), Found::Waits);
            assert_eq!(times.turn(now + EVERY, true), Found::Reads);
        }
    }

    #[tokio::test]
    async fn who_is_awake_shows_life_a_little_early() {
        let mut heartbeat = Heartbeat::new().unwrap();
        heartbeat.due().await.unwrap();
        assert_eq!(heartbeat.turn(true), Found::Reads);
        let (may, must) = (heartbeat.times.may, heartbeat.times.must);
        assert_eq!(must - may, EARLY);
        tokio::select! {
            biased;
            _ = heartbeat.due() => assert!(Instant::now() >= may, "too early"),
            () = tokio::task::yield_now() => {}
        }
        heartbeat.due().await.unwrap();
        assert!(Instant::now() >= may);
    }
}
