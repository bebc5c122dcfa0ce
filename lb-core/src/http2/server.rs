//! A connection of a client, seen from the server: bytes in, requests and their content out; answers in, bytes out.
//! No I/O and no clock.
//!
//! ```text
//! bytes of the client -> receive -> next_event: Request | Stirred
//!                                   content, read, trailers   <- whoever serves the stream
//!         output, sent <- ... <-    respond, room, send, send_trailers, reset, release
//! ```
//!
//! Memory of a connection is bounded: content that nobody has read by the windows that the client was given; frames
//! that wait to be sent by [`OUTPUT`] and [`GRACE`] for each stream (see [`Server::is_full`]); a head by [`BLOCK`].

mod control;
mod heads;
mod receive;
mod stream;

use std::{collections::VecDeque, time::Instant};

use super::{
    Flood, Manners,
    frame::{self, Code, Kind},
    hpack::{Decoder, Fields},
};
use receive::Reading;
pub use stream::Content;
use stream::Stream;

/// Frames that wait to be sent, after which streams send no more.
const OUTPUT: usize = 64 * 1024;
/// What a stream may send beyond that in all: short answers do not wait for long ones.
const GRACE: usize = 16 * 1024;
/// Bytes of a head with its continuations, unless longer ones are asked for.
const BLOCK: usize = 64 * 1024;
/// Windows of a stream that a connection has.
const WINDOWS: i64 = 16;
/// The window of everything before something else is agreed on (RFC 9113 §6.9.2).
const FIRST_WINDOW: i64 = 65_535;
/// The largest window (RFC 9113 §6.9.1).
const MAX_WINDOW: i64 = (1 << 31) - 1;
/// The table of fields that a client may use before it has seen our settings (RFC 9113 §6.5.2).
const FIRST_TABLE: u32 = 4096;
/// The last number of all.
const MAX_STREAM: u32 = (1 << 31) - 1;

/// What a client is told it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the table of [`Decoder`].
    pub header_table: u32,
    /// Bytes of content that one stream may have on the way to us.
    pub window: u32,
    /// Streams at once.
    pub streams: u32,
    /// Bytes of a frame's payload.
    pub frame: u32,
    /// Bytes of the fields of a head, and 32 for each. Longer ones are answered with 431.
    pub head: u32,
    /// Clients are told that WebSockets go over it (RFC 8441).
    pub websockets: bool,
}

/// A stream, from its [`Event::Request`] to [`Server::release`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u32);

impl Key {
    /// A small number that no other stream has meanwhile.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A request came; see [`Server::take_request`].
    Request(Key),
    /// What was waited for may have come: content, room, or the end of the stream.
    Stirred(Key),
}

/// How far the connection is with ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Leaving {
    No,
    /// The client was told, and asked to confirm: requests of before are still served.
    Told,
    /// It knows which request was the last.
    Last,
    /// Nothing is read any more.
    Over,
}

/// What the client knows of the table that our blocks refer to: none is needed, so that one word is enough for all
/// times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resize {
    No,
    /// It has made its table smaller, and waits for the next block to agree (RFC 9113 §4.3.1).
    Due,
    Done,
}

/// A connection.
#[derive(Debug)]
pub struct Server {
    limits: Limits,
    reading: Reading,
    decoder: Decoder,
    fields: Fields,
    manners: Manners,
    streams: Vec<Stream>,
    free: Vec<Key>,
    /// Those on the wire by their numbers, which only grow.
    numbers: VecDeque<(u32, Key)>,
    /// Streams that somebody serves.
    held: usize,
    /// The last number that the client has used.
    last: u32,
    /// The last one of a request that came too late, while we leave.
    ignored: u32,
    ended_here: VecDeque<u32>,
    /// What the client may still send, what it is owed, and what both are at most.
    room_in: i64,
    owed: i64,
    whole_in: i64,
    /// What may still be sent, and how a stream begins.
    room_out: i64,
    first_out: i64,
    /// The client's settings have been answered.
    greeted: bool,
    /// The client has seen our settings.
    agreed: bool,
    /// Whether it was told that our blocks need no table.
    resize: Resize,
    output: Vec<u8>,
    sent: usize,
    block: Vec<u8>,
    /// Streams that wait for room that all of them share.
    blocked: VecDeque<Key>,
    events: VecDeque<Event>,
    leaving: Leaving,
    peer_leaves: bool,
    /// The client has ended its direction.
    ended: bool,
    failure: Option<Code>,
    flood: Option<Flood>,
    malformed: u32,
    unheard: u32,
}

impl Server {
    /// A connection of which nothing has been read; what it says first is in the output.
    pub fn new(limits: Limits, now: Instant) -> Self {
        let window = i64::from(limits.window);
        let whole_in = (window * WINDOWS).clamp(FIRST_WINDOW, MAX_WINDOW);
        let mut server = Self {
            reading: Reading::default(),
            decoder: Decoder::new(limits.header_table.max(FIRST_TABLE) as usize),
            fields: Fields::default(),
            manners: Manners::new(now),
            streams: Vec::new(),
            free: Vec::new(),
            numbers: VecDeque::new(),
            held: 0,
            last: 0,
            ignored: 0,
            ended_here: VecDeque::new(),
            room_in: whole_in,
            owed: 0,
            whole_in,
            room_out: FIRST_WINDOW,
            first_out: FIRST_WINDOW,
            greeted: false,
            agreed: false,
            resize: Resize::No,
            output: Vec::new(),
            sent: 0,
            block: Vec::new(),
            blocked: VecDeque::new(),
            events: VecDeque::new(),
            leaving: Leaving::No,
            peer_leaves: false,
            ended: false,
            failure: None,
            flood: None,
            malformed: 0,
            unheard: 0,
            limits,
        };
        server.greet();
        server
    }

    /// What happened since this was last asked.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes to be sent.
    pub fn output(&self) -> &[u8] {
        self.output.get(self.sent..).unwrap_or_default()
    }

    /// The first `count` bytes of the output were sent.
    pub fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.output.len());
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        } else if self.sent > OUTPUT {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        self.unblock();
    }

    /// So much waits to be sent that nothing should be read: the client sends and does not receive.
    pub fn is_full(&self) -> bool {
        let most = OUTPUT + GRACE * (self.limits.streams as usize).saturating_add(4);
        self.output().len() > most
    }

    /// Gives memory back that only busy connections need.
    pub fn shrink(&mut self) {
        if self.held == 0 && self.output.is_empty() {
            self.output = Vec::new();
            self.block = Vec::new();
            self.fields = Fields::default();
            self.decoder.shrink();
            self.streams = Vec::new();
            self.free = Vec::new();
            self.numbers = VecDeque::new();
            self.events = VecDeque::new();
            self.blocked = VecDeque::new();
        }
    }

    /// No stream will be served beyond those that have come, or are on the way.
    pub fn leave(&mut self) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Told;
            self.say_goodbye(MAX_STREAM, Code::NO_ERROR);
            frame::write(Kind::Ping, 0, 0, &control::FAREWELL, &mut self.output);
        }
    }

    /// Ends the connection and all its streams.
    pub fn abandon(&mut self, code: Code) {
        if self.leaving == Leaving::Over {
            return;
        }
        self.leaving = Leaving::Over;
        self.say_goodbye(self.last, code);
        self.end_all(code);
    }

    /// The client sends nothing more, and may listen all the same: requests that came whole are answered, the others have
    /// broken off. In a tunnel it is the end of what goes there.
    pub fn end(&mut self) {
        self.ended = true;
        if self.leaving < Leaving::Over && self.reading.is_at_preface() {
            self.unheard += 1;
        }
        for at in 0..self.streams.len() {
            let Ok(at) = u32::try_from(at) else {
                return;
            };
            let key = Key(at);
            if let Some(stream) = self.stream(key) {
                stream.truncated = std::mem::take(&mut stream.receives) && !stream.is_tunnel;
            }
            self.forget_if_done(key);
            self.stir(key);
        }
    }

    /// Whether the client has ended its direction.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The client has gone: nothing will be read or sent.
    pub fn lose(&mut self) {
        self.leaving = Leaving::Over;
        self.output.clear();
        self.sent = 0;
        self.end_all(Code::CANCEL);
    }

    /// Nothing is left to be done but sending the output.
    pub fn is_over(&self) -> bool {
        match self.leaving {
            Leaving::Over => true,
            Leaving::Last => self.held == 0,
            _ => (self.peer_leaves || self.ended) && self.held == 0,
        }
    }

    /// Whether the client has said that it speaks HTTP/2.
    pub fn has_begun(&self) -> bool {
        self.greeted
    }

    /// Why the client's frames ended the connection.
    pub fn failure(&self) -> Option<Code> {
        self.failure
    }

    /// What the client did too much of.
    pub fn flood(&self) -> Option<Flood> {
        self.flood
    }

    /// Requests that were no valid ones, since this was last asked.
    pub fn take_malformed(&mut self) -> u32 {
        std::mem::take(&mut self.malformed)
    }

    /// What came in place of requests since this was last asked, and of which no stream tells: a preface or frames that end
    /// the connection while it has no stream, a head that is none, the end before the preface.
    pub fn take_unheard(&mut self) -> u32 {
        std::mem::take(&mut self.unheard)
    }

    /// Whether not a byte has come.
    pub fn is_silent(&self) -> bool {
        self.reading.is_silent()
    }

    fn say_goodbye(&mut self, last: u32, code: Code) {
        frame::head(Kind::GoAway, 0, 0, 8, &mut self.output);
        self.output.extend_from_slice(&last.to_be_bytes());
        self.output.extend_from_slice(&code.0.to_be_bytes());
    }

    /// The client broke the rules for connections.
    fn fail(&mut self, code: Code) {
        if self.leaving < Leaving::Over {
            self.failure = Some(code);
            if self.held == 0 {
                self.unheard = self.unheard.saturating_add(1);
            }
            self.abandon(code);
        }
    }

    fn note_flood(&mut self, flood: Option<Flood>) {
        if let Some(flood) = flood
            && self.leaving < Leaving::Over
        {
            self.flood = Some(flood);
            self.abandon(Code::CALM);
        }
    }

    fn end_all(&mut self, code: Code) {
        for at in 0..self.streams.len() {
            if let Some(stream) = self.streams.get_mut(at) {
                stream.reset.get_or_insert(code);
            }
            if let Ok(at) = u32::try_from(at) {
                self.stir(Key(at));
            }
        }
        self.numbers.clear();
    }

    fn stream(&mut self, key: Key) -> Option<&mut Stream> {
        self.streams.get_mut(key.index())
    }

    /// Whether nothing can have come of a number: the client has not used it, or cannot.
    fn is_idle(&self, number: u32) -> bool {
        number.is_multiple_of(2) || number > self.last.max(self.ignored)
    }

    /// The stream of a number, if it is on the wire.
    fn find(&self, number: u32) -> Option<Key> {
        let at = self.numbers.binary_search_by_key(&number, |(n, _)| *n);
        self.numbers.get(at.ok()?).map(|(_, key)| *key)
    }

    /// Tells whoever waits at a stream.
    fn stir(&mut self, key: Key) {
        if let Some(stream) = self.streams.get_mut(key.index())
            && std::mem::take(&mut stream.waits)
        {
            self.events.push_back(Event::Stirred(key));
        }
    }

    /// There may be room again for those that wait for it.
    fn unblock(&mut self) {
        if self.room_out <= 0 || self.output().len() > OUTPUT / 2 {
            return;
        }
        while let Some(key) = self.blocked.pop_front() {
            if let Some(stream) = self.stream(key) {
                stream.queued = false;
            }
            self.stir(key);
        }
    }
}

#[cfg(test)]
mod tests;
