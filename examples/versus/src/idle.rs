//! Memory of connections that wait: so many are opened, each makes one request, then, after a moment, the proxy's
//! growth is read.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{
    Fatal,
    contender::Running,
    load::{PATIENCE, Plan},
    process,
    race::Round,
};

/// A connection that has been silent for so long waits.
const SILENCE: Duration = Duration::from_secs(2);

/// Opens `connections` and divides what the proxy's memory grew by.
pub(crate) fn measure(
    running: &Running,
    plan: &Plan<'_>,
    connections: usize,
) -> Result<Round, Fatal> {
    // The first few bring pools and tables with them.
    let mut open = Vec::with_capacity(connections + 64);
    for _ in 0..64 {
        open.push(ask(plan)?);
    }
    thread::sleep(SILENCE);
    let pids = process::tree(running.pid())?;
    let before = process::memory(&pids);
    for _ in 0..connections {
        open.push(ask(plan)?);
    }
    thread::sleep(SILENCE);
    let after = process::memory(&pids);
    for stream in &mut open {
        // Nobody was thrown out to make room.
        stream.set_nonblocking(true)?;
        let mut room = [0; 1];
        if stream.read(&mut room).is_ok() {
            return Err("a waiting connection was closed".into());
        }
    }
    Ok(Round {
        requests: open.len() as u64,
        peak_memory: process::peak_memory(&pids),
        bytes_per_connection: Some(after.saturating_sub(before) as f64 / connections as f64),
        ..Round::default()
    })
}

fn ask(plan: &Plan<'_>) -> Result<TcpStream, Fatal> {
    let mut stream = TcpStream::connect(plan.target)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(plan.request)?;
    let mut answer = Vec::new();
    let mut room = [0; 4096];
    let complete = |answer: &[u8]| {
        let head = memchr::memmem::find(answer, b"\r\n\r\n");
        head.is_some_and(|head| answer.len() == head + 4 + plan.body)
    };
    while !complete(&answer) {
        let count = stream.read(&mut room)?;
        answer.extend_from_slice(room.get(..count).unwrap_or_default());
        if count == 0 || !answer.starts_with(b"HTTP/1.1 200") {
            return Err("no good answer for a connection that was to wait".into());
        }
    }
    Ok(stream)
}
