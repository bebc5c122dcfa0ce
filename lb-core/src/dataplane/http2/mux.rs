//! A client's connection as its streams share it: the engine, and who waits for it.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use super::{
    incoming::{Content, broken},
    outgoing::Sink,
};
use crate::http2::{self, Code, Event, Key, Server};

/// A connection.
#[derive(Debug)]
pub(super) struct Mux {
    server: RefCell<Server>,
    /// Those who serve streams, by [`Key::index`].
    wakers: RefCell<Vec<Option<Waker>>>,
    /// Who reads and writes the socket.
    front: RefCell<Option<Waker>>,
    /// The connection is to end unnoticed, by a reset that lives for so many hops.
    vanishes: Cell<Option<u8>>,
    /// How packets to the client are to be marked from now on.
    tos: Cell<Option<u8>>,
}

impl Mux {
    pub(super) fn new(server: Server) -> Self {
        Self {
            server: RefCell::new(server),
            wakers: RefCell::default(),
            front: RefCell::default(),
            vanishes: Cell::default(),
            tos: Cell::default(),
        }
    }

    /// Uses the engine.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Server) -> T) -> T {
        work(&mut self.server.borrow_mut())
    }

    /// Uses the engine for a stream; what that gives the socket to send is sent.
    pub(super) fn serve<T>(&self, work: impl FnOnce(&mut Server) -> T) -> T {
        let mut server = self.server.borrow_mut();
        let done = work(&mut server);
        if !server.output().is_empty()
            && let Some(front) = self.front.borrow().as_ref()
        {
            front.wake_by_ref();
        }
        done
    }

    /// Wakes `cx` when there is something to send.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        keep(&mut self.front.borrow_mut(), cx);
    }

    /// The connection ends with all its streams, and the client is not to notice.
    pub(super) fn vanish(&self, hops: u8) {
        self.vanishes.set(Some(hops));
        if let Some(front) = self.front.borrow().as_ref() {
            front.wake_by_ref();
        }
    }

    /// Whether it has been told to.
    pub(super) fn vanishes(&self) -> Option<u8> {
        self.vanishes.get()
    }

    /// Has packets to the client marked from now on; what the stream says then is sent afterwards.
    pub(super) fn set_tos(&self, tos: u8) {
        self.tos.set(Some(tos));
    }

    /// How they are to be marked, if that has changed.
    pub(super) fn take_tos(&self) -> Option<u8> {
        self.tos.take()
    }

    /// The next request; whom other events concern is woken.
    pub(super) fn next_request(&self) -> Option<Key> {
        loop {
            let event = self.server.borrow_mut().next_event()?;
            match event {
                Event::Request(key) => return Some(key),
                Event::Stirred(key) => {
                    let wakers = self.wakers.borrow();
                    if let Some(Some(waker)) = wakers.get(key.index()) {
                        waker.wake_by_ref();
                    }
                }
            }
        }
    }

    fn wait(&self, key: Key, cx: &Context<'_>) {
        let mut wakers = self.wakers.borrow_mut();
        if wakers.len() <= key.index() {
            wakers.resize(key.index() + 1, None);
        }
        if let Some(waker) = wakers.get_mut(key.index()) {
            keep(waker, cx);
        }
    }

    /// Gives memory back that only busy connections need.
    pub(super) fn shrink(&self) {
        self.server.borrow_mut().shrink();
        self.wakers.take();
    }
}

fn keep(place: &mut Option<Waker>, cx: &Context<'_>) {
    if place.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
        *place = Some(cx.waker().clone());
    }
}

/// A stream of it. Several of these may stand for the same.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) mux: Rc<Mux>,
    pub(super) key: Key,
}

impl Branch {
    /// The request has ended, or its stream was cancelled: waits for the latter.
    pub(super) fn poll_reset(&self, cx: &Context<'_>) -> Poll<io::Error> {
        match self.mux.with(|server| server.poll_reset(self.key)) {
            Some(code) => Poll::Ready(broken(code)),
            None => {
                self.mux.wait(self.key, cx);
                Poll::Pending
            }
        }
    }
}

impl Content for Branch {
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.mux.with(|server| server.content(self.key)) {
            Err(code) => Poll::Ready(Err(broken(code))),
            Ok(http2::Content::Some(count)) => Poll::Ready(Ok(count)),
            Ok(http2::Content::End) => Poll::Ready(Ok(0)),
            Ok(http2::Content::None) => {
                self.mux.wait(self.key, cx);
                Poll::Pending
            }
        }
    }

    fn take(&mut self, room: &mut [u8]) {
        self.mux.serve(|server| server.read(self.key, room));
    }

    fn poll_trailers(&mut self, _: &mut Context<'_>, text: &mut Vec<u8>) -> Poll<io::Result<()>> {
        self.mux
            .with(|server| text.extend_from_slice(server.trailers(self.key)));
        Poll::Ready(Ok(()))
    }
}

impl Sink for Branch {
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        match self.mux.with(|server| server.room(self.key)) {
            Err(code) => Poll::Ready(Err(broken(code))),
            Ok(0) => {
                self.mux.wait(self.key, cx);
                Poll::Pending
            }
            Ok(room) => Poll::Ready(Ok(room.min(wanted))),
        }
    }

    fn send(&mut self, bytes: &[u8], last: bool) -> io::Result<()> {
        self.mux
            .serve(|server| server.send(self.key, bytes, last))
            .map_err(broken)
    }

    fn send_trailers(&mut self, text: &[u8]) -> io::Result<()> {
        let fields = super::message::lines(text);
        self.mux
            .serve(|server| server.send_trailers(self.key, fields))
            .map_err(broken)
    }

    fn reset(&mut self, code: Code) {
        self.mux.serve(|server| server.reset(self.key, code));
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        Self::poll_reset(self, cx)
    }
}
