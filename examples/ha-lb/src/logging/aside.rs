//! Lines of a process that must not wait: a thread of its own writes them. A file on a disk that is busy takes its time
//! whatever `poll` says, and so does a pipe that another process fills between the question and the line.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// Lines that wait at most: each of hundreds of virtual routers may tell of several things at once.
const MOST: usize = 2048;
/// For a line and the calls that write it; a process that is kept in memory keeps all of it.
const STACK: usize = 128 << 10;

/// The way to that thread.
#[derive(Debug)]
pub(super) struct Aside {
    lines: SyncSender<Vec<u8>>,
    /// Closed when all are written.
    written: Receiver<()>,
}

impl Aside {
    /// Starts it. It keeps the rights that the caller has at this moment.
    pub(super) fn start(mut write: impl FnMut(&[u8]) + Send + 'static) -> io::Result<Self> {
        let (lines, queue) = sync_channel::<Vec<u8>>(MOST);
        let (ends, written) = sync_channel(0);
        thread::Builder::new()
            .name("log".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                // At worst a signal comes here, and is heard all the same.
                let _ = crate::signals::block();
                // Whatever hurry its process is in: a thousand lines must not keep an advert from a processor.
                crate::scheduling::as_started();
                for line in queue {
                    write(&line);
                }
                drop(ends);
            })?;
        Ok(Self { lines, written })
    }

    /// Takes a line, unless there are too many already.
    pub(super) fn put(&self, line: &[u8]) -> bool {
        self.lines.try_send(line.to_vec()).is_ok()
    }

    /// Waits for what is not written yet; whether all of it was.
    pub(super) fn finish(self, patience: Duration) -> bool {
        drop(self.lines);
        self.written.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn whoever_logs_does_not_wait_for_a_disk_that_does_not_answer() {
        let (answers, disk) = sync_channel::<()>(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&written);
        let aside = Aside::start(move |line| {
            let _ = disk.recv();
            kept.lock().unwrap().push(line.to_vec());
        })
        .unwrap();
        let line = |number: usize| format!("line {number}\n").into_bytes();
        let taken = (0..10_000)
            .filter(|number| aside.put(&line(*number)))
            .count();
        // One is being written.
        assert!((MOST..=MOST + 1).contains(&taken), "{taken}");
        drop(answers);
        assert!(aside.finish(Duration::from_secs(20)));
        let written = written.lock().unwrap();
        assert_eq!(written.len(), taken, "what was taken is written");
        assert_eq!(written[..100], (0..100).map(line).collect::<Vec<_>>());
    }

    #[test]
    fn the_end_of_a_process_does_not_wait_for_ever_either() {
        let (_answers, disk) = sync_channel::<()>(0);
        let aside = Aside::start(move |_| assert!(disk.recv().is_err())).unwrap();
        assert!(aside.put(b"last words\n"));
        assert!(!aside.finish(Duration::from_millis(10)));
    }
}
