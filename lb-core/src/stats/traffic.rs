//! What is counted on each request or connection, a cell per worker.

use std::time::Duration;

use super::{
    Buckets, Sliding, Tally,
    histogram::{Histogram, Sample},
    tally::{CELLS, place},
};

/// Class of a response status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// `hrsp_1xx`.
    Informational,
    /// `hrsp_2xx`.
    Success,
    /// `hrsp_3xx`.
    Redirection,
    /// `hrsp_4xx`.
    ClientError,
    /// `hrsp_5xx`.
    ServerError,
    /// `hrsp_other`.
    Other,
}

impl StatusClass {
    /// The class of `status`.
    pub fn of(status: u16) -> Self {
        match status {
            100..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

/// Queue, connect, response and total time of one stream in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timers {
    /// In the queue (`qtime`).
    pub queue_ms: u32,
    /// Connecting (`ctime`).
    pub connect_ms: u32,
    /// Until the response's head (`rtime`); 0 in TCP mode.
    pub response_ms: u32,
    /// All in all (`ttime`).
    pub total_ms: u32,
}

/// The same of one stream, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// In the queue.
    pub queue: Duration,
    /// Connecting.
    pub connect: Duration,
    /// Until the response's head; nothing in TCP mode.
    pub response: Duration,
    /// All in all.
    pub total: Duration,
}

/// The same as they are counted, in the order of [`Timer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Samples([Sample; 4]);

impl From<Times> for Samples {
    fn from(times: Times) -> Self {
        let in_order = [times.queue, times.connect, times.response, times.total];
        Self(in_order.map(Sample::new))
    }
}

/// One of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// In the queue.
    Queue,
    /// Connecting.
    Connect,
    /// Until the response's head.
    Response,
    /// All in all.
    Total,
}

/// The counters of one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Cell {
    /// Sessions or streams (`stot`).
    pub sessions: Tally,
    /// Times chosen by the balancing (`lbtot`).
    pub chosen: Tally,
    /// HTTP requests (`req_tot`).
    pub requests: Tally,
    /// Bytes from the client (`bin`).
    pub bytes_in: Tally,
    /// Bytes to the client (`bout`).
    pub bytes_out: Tally,
    /// Requests refused by a rule (`dreq`).
    pub denied_requests: Tally,
    /// Responses refused by a rule (`dresp`).
    pub denied_responses: Tally,
    /// Invalid requests and clients that went away before one was complete (`ereq`).
    pub request_errors: Tally,
    /// Connections to servers that failed (`econ`).
    pub connect_errors: Tally,
    /// Invalid or missing responses (`eresp`).
    pub response_errors: Tally,
    /// Connect retries (`wretr`).
    pub retries: Tally,
    /// Redispatches to another server (`wredis`).
    pub redispatches: Tally,
    /// Transfers broken off by the client (`cli_abrt`).
    pub client_aborts: Tally,
    /// Transfers broken off by the server (`srv_abrt`).
    pub server_aborts: Tally,
    /// Requests answered here (`intercepted`).
    pub intercepted: Tally,
    /// New connections to servers (`connect`).
    pub connects: Tally,
    /// Requests on a kept connection (`reuse`).
    pub reuses: Tally,
    /// Rules that could not rewrite (`wrew`).
    pub failed_rewrites: Tally,
    /// Internal errors (`eint`).
    pub internal_errors: Tally,
    responses: [Tally; 6],
    timed: Tally,
    times: [Sliding; 4],
    histograms: [Histogram; 4],
    /// Requests looked for in caches (`cache_lookups`).
    pub cache_lookups: Tally,
    /// Those of them that were found (`cache_hits`).
    pub cache_hits: Tally,
}

impl Cell {
    /// A response with `status` went to the client.
    pub fn count_response(&self, status: u16) {
        if let Some(counter) = self.responses.get(StatusClass::of(status) as usize) {
            counter.increment();
        }
    }

    /// The times of a stream that ended well: averages, maxima and histograms.
    pub fn record_times(&self, times: Samples) {
        self.record_histograms(times);
        let count = self.timed.value();
        for (sliding, sample) in self.times.iter().zip(times.0) {
            sliding.record(sample.ms(), count);
        }
    }

    /// The same for the histograms alone.
    pub fn record_histograms(&self, times: Samples) {
        self.timed.increment();
        for (histogram, sample) in self.histograms.iter().zip(times.0) {
            histogram.record(sample);
        }
    }

    fn clear(&self) {
        let counters = [
            &self.sessions,
            &self.chosen,
            &self.requests,
            &self.bytes_in,
            &self.bytes_out,
            &self.denied_requests,
            &self.denied_responses,
            &self.request_errors,
            &self.connect_errors,
            &self.response_errors,
            &self.retries,
            &self.redispatches,
            &self.client_aborts,
            &self.server_aborts,
            &self.intercepted,
            &self.connects,
            &self.reuses,
            &self.failed_rewrites,
            &self.internal_errors,
            &self.timed,
            &self.cache_lookups,
            &self.cache_hits,
        ];
        counters
            .into_iter()
            .chain(&self.responses)
            .for_each(Tally::clear);
        self.times.iter().for_each(Sliding::clear);
        self.histograms.iter().for_each(Histogram::clear);
    }
}

/// The cells of all workers.
#[derive(Debug)]
pub struct Traffic {
    cells: Box<[Cell; CELLS]>,
}

impl Traffic {
    /// All zero.
    pub fn new() -> Self {
        Self {
            cells: Box::default(),
        }
    }

    /// The cell of the calling worker, to count in.
    pub fn cell(&self) -> &Cell {
        let [first, ..] = &*self.cells;
        self.cells.get(place()).unwrap_or(first)
    }

    /// A counter summed over the workers: `traffic.total(|c| &c.bytes_in)`.
    pub fn total(&self, counter: impl Fn(&Cell) -> &Tally) -> u64 {
        self.cells.iter().map(|cell| counter(cell).value()).sum()
    }

    /// Responses of one class.
    pub fn responses(&self, class: StatusClass) -> u64 {
        let of = |cell: &Cell| cell.responses.get(class as usize).map_or(0, Tally::value);
        self.cells.iter().map(of).sum()
    }

    /// Averages over about the last 1024 streams.
    pub fn average_times(&self) -> Timers {
        let timed: u64 = self.cells.iter().map(|cell| cell.timed.value()).sum();
        Self::timers(|timer| {
            let weighted: u64 = self
                .cells
                .iter()
                .filter_map(|cell| Some((cell.times.get(timer)?, cell.timed.value())))
                .map(|(sliding, count)| u64::from(sliding.average(count)).saturating_mul(count))
                .sum();
            u32::try_from(weighted.checked_div(timed).unwrap_or(0)).unwrap_or(u32::MAX)
        })
    }

    /// The longest times (`qtime_max` and so on).
    pub fn longest_times(&self) -> Timers {
        Self::timers(|timer| {
            let of = |cell: &Cell| cell.times.get(timer).map_or(0, Sliding::max);
            self.cells.iter().map(of).max().unwrap_or(0)
        })
    }

    /// How long each stream that ended well took.
    pub fn histogram(&self, timer: Timer) -> Buckets {
        let mut buckets = Buckets::default();
        for cell in self.cells.iter() {
            if let Some(histogram) = cell.histograms.get(timer as usize) {
                histogram.add_to(&mut buckets, cell.timed.value());
            }
        }
        buckets
    }

    /// Everything back to zero (`clear counters all`).
    pub fn clear(&self) {
        self.cells.iter().for_each(Cell::clear);
    }

    fn timers(of: impl Fn(usize) -> u32) -> Timers {
        Timers {
            queue_ms: of(0),
            connect_ms: of(1),
            response_ms: of(2),
            total_ms: of(3),
        }
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self::new()
    }
}
