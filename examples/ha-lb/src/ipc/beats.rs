//! Signs of life: a thread of its own says the same short message again and again, whatever else its process does.
//!
//! A process that is stopped says nothing, nor does one whose `before` does not come back. The other side listens
//! by [`super::silence`].

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use super::channel::Post;
use crate::signals;

/// How often life is shown.
pub const EVERY: Duration = Duration::from_millis(200);

/// Beats of a channel; dropping it ends them: nothing is sent after that.
#[derive(Debug)]
pub struct Beats {
    line: Arc<Mutex<Option<Post>>>,
    _awake: mpsc::Sender<()>,
}

impl Beats {
    /// Sends `post` now and again, each time after `before` said that all is well.
    pub fn start(
        post: Post,
        mut before: impl FnMut() -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let line = Arc::new(Mutex::new(Some(post)));
        let (awake, ended) = mpsc::channel();
        let kept = Arc::clone(&line);
        thread::Builder::new()
            .name("beats".to_owned())
            .spawn(move || {
                // At worst a signal comes here, and is heard all the same.
                let _ = signals::block();
                loop {
                    if before() {
                        // While the other side reads nothing there is no use in telling it more.
                        let _ = lock(&line).as_ref().map(Post::send);
                    }
                    if ended.recv_timeout(EVERY) != Err(mpsc::RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(Self {
            line: kept,
            _awake: awake,
        })
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        lock(&self.line).take();
    }
}

fn lock(line: &Mutex<Option<Post>>) -> std::sync::MutexGuard<'_, Option<Post>> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
