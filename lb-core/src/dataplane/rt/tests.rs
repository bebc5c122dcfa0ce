use std::{
    cell::{Cell, RefCell},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{
    Direction, EventLoop, Listener, Socket, sleep, sleep_until, spawn, timeout, yield_now,
};

/// Runs `root` on a loop of its own and gives what it gives.
fn turn<T>(root: impl Future<Output = T>) -> T {
    let mut result = None;
    let slot = &mut result;
    EventLoop::new()
        .unwrap()
        .block_on(async { *slot = Some(root.await) });
    result.unwrap()
}

fn pair() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (own, _) = listener.accept().unwrap();
    own.set_nonblocking(true).unwrap();
    (Socket::connected(OwnedFd::from(own)).unwrap(), peer)
}

async fn read(socket: &Socket, size: usize) -> Vec<u8> {
    let mut room = vec![0; size];
    let count = std::future::poll_fn(|cx| socket.poll_read(cx, &mut room)).await;
    room.truncate(count.unwrap());
    room
}

#[test]
fn a_socket_wakes_whoever_waits_for_bytes_and_for_the_end() {
    turn(async {
        let (socket, mut peer) = pair();
        let (wanted, next) = std::sync::mpsc::channel();
        let late = std::thread::spawn(move || {
            for piece in [b"one", b"two"] {
                next.recv().unwrap();
                // Time to begin to wait.
                std::thread::sleep(Duration::from_millis(20));
                peer.write_all(piece).unwrap();
            }
        });
        for piece in [&b"one"[..], b"two"] {
            wanted.send(()).unwrap();
            assert_eq!(read(&socket, 64).await, piece);
        }
        assert_eq!(read(&socket, 64).await, b"");
        late.join().unwrap();
    });
}

#[test]
fn what_lies_behind_something_urgent_is_received_although_it_was_reported_with_what_lies_before() {
    turn(async {
        let (socket, mut peer) = pair();
        peer.write_all(b"before").unwrap();
        socket2::SockRef::from(&peer)
            .send_out_of_band(b"!")
            .unwrap();
        peer.write_all(b"behind").unwrap();
        // All of it has come, and the loop has heard of it.
        let mut all = [0; 64];
        while std::future::poll_fn(|cx| socket.poll_peek(cx, &mut all))
            .await
            .unwrap()
            < 6
        {
            yield_now().await;
        }
        sleep(Duration::from_millis(20)).await;
        assert_eq!(read(&socket, 64).await, b"before");
        let rest = timeout(Duration::from_secs(20), read(&socket, 64)).await;
        assert_eq!(rest.as_deref(), Some(&b"behind"[..]));
    });
}

#[test]
fn the_end_is_seen_although_it_was_reported_with_the_last_bytes() {
    turn(async {
        let (socket, mut peer) = pair();
        peer.write_all(b"all of it").unwrap();
        drop(peer);
        yield_now().await;
        // A short read says that nothing is left; the end is.
        assert_eq!(read(&socket, 64).await, b"all of it");
        assert_eq!(read(&socket, 64).await, b"");
    });
}

#[test]
fn half_a_connection_goes_on_and_a_broken_one_says_so() {
    turn(async {
        let (socket, mut peer) = pair();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read(&socket, 64).await, b"");
        let sent = std::future::poll_fn(|cx| socket.poll_write(cx, b"late")).await;
        assert_eq!(sent.unwrap(), 4);
        socket.shut_down().unwrap();
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).unwrap();
        assert_eq!(seen, b"late");

        let (socket, peer) = pair();
        let linger = socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO));
        linger.unwrap();
        let reset = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            drop(peer);
        });
        let mut room = [0; 8];
        let error = std::future::poll_fn(|cx| socket.poll_read(cx, &mut room)).await;
        assert_eq!(
            error.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionReset
        );
        reset.join().unwrap();
    });
}

#[test]
fn news_of_a_closed_socket_does_not_concern_the_next_one_in_its_place() {
    turn(async {
        for _ in 0..100 {
            let (old, mut peer) = pair();
            let duplicate = old.as_fd().try_clone_to_owned().unwrap();
            assert!(poll_once(&old).is_none());
            drop(old);
            // The next one has the descriptor and the place of the old one, whose other descriptor still hears.
            let (new, mut other) = pair();
            assert!(poll_once(&new).is_none());
            peer.write_all(b"for the old one").unwrap();
            yield_now().await;
            assert!(poll_once(&new).is_none());
            other.write_all(b"new").unwrap();
            assert_eq!(read(&new, 64).await, b"new");
            drop(duplicate);
        }
    });
}

/// What a socket has without waiting.
fn poll_once(socket: &Socket) -> Option<usize> {
    let mut cx = Context::from_waker(Waker::noop());
    match socket.poll_read(&mut cx, &mut [0; 8]) {
        Poll::Ready(read) => Some(read.unwrap()),
        Poll::Pending => None,
    }
}

#[test]
fn a_full_socket_is_written_to_again_when_there_is_room() {
    turn(async {
        let (socket, mut peer) = pair();
        let bytes = vec![7; 1 << 20];
        let whole = 8 * bytes.len();
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            let mut room = vec![0; 1 << 16];
            let mut seen = 0;
            while seen < whole {
                seen += peer.read(&mut room).unwrap();
            }
        });
        let mut sent = 0;
        while sent < whole {
            let rest = &bytes[..bytes.len().min(whole - sent)];
            sent += std::future::poll_fn(|cx| socket.poll_write(cx, rest))
                .await
                .unwrap();
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_busy_task_does_not_starve_the_others() {
    turn(async {
        let (socket, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        let late = Rc::new(Cell::new(false));
        let slept = Rc::clone(&late);
        spawn(async move {
            sleep(Duration::from_millis(1)).await;
            slept.set(true);
        });
        let turns = Rc::new(Cell::new(0));
        let counted = Rc::clone(&turns);
        spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        // Bytes that are never taken: ready for ever.
        let mut room = [0; 8];
        while !late.get() || turns.get() < 50 {
            let peeked = std::future::poll_fn(|cx| socket.poll_peek(cx, &mut room)).await;
            assert_eq!(peeked.unwrap(), 1);
        }
    });
}

#[test]
fn what_a_connection_came_to_is_known() {
    turn(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let begin = || {
            let socket = socket2::Socket::new(
                socket2::Domain::IPV4,
                socket2::Type::STREAM.nonblocking(),
                None,
            );
            let socket = socket.unwrap();
            let _ = socket.connect(&address.into());
            Socket::connecting(socket.into()).unwrap()
        };
        let standing = begin();
        std::future::poll_fn(|cx| standing.poll_connected(cx))
            .await
            .unwrap();
        drop(listener);
        let refused = begin();
        let error = std::future::poll_fn(|cx| refused.poll_connected(cx)).await;
        assert_eq!(
            error.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn what_is_wrong_with_a_connection_is_known_although_it_is_not_closed() {
    turn(async {
        // Of datagrams that nobody takes the kernel tells without closing anything, as of a server that a router says
        // cannot be reached.
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = nobody.local_addr().unwrap();
        // It holds its port, and takes nothing but from itself.
        nobody.connect(address).unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(address).unwrap();
        socket.send(b"?").unwrap();
        let socket = Socket::connecting(socket.into()).unwrap();
        let error = std::future::poll_fn(|cx| socket.poll_connected(cx)).await;
        assert_eq!(
            error.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn listeners_give_connections_with_their_addresses() {
    turn(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Listener::new(listener.into()).unwrap();
        for _ in 0..3 {
            let client = TcpStream::connect(address).unwrap();
            let (_, from) = std::future::poll_fn(|cx| listener.poll_accept(cx))
                .await
                .unwrap();
            assert_eq!(from, client.local_addr().ok());
        }
    });
}

#[test]
fn deadlines_pass_in_their_order_and_not_early() {
    turn(async {
        let mut all_waited = false;
        while !all_waited {
            let begun = Instant::now();
            let order = Rc::new(RefCell::new(Vec::new()));
            for millis in [30, 10, 20] {
                let order = Rc::clone(&order);
                spawn(async move {
                    sleep_until(begun + Duration::from_millis(millis)).await;
                    order.borrow_mut().push(millis);
                });
            }
            yield_now().await;
            // Where this thread stood still, some were over before others began to wait.
            all_waited = begun.elapsed() < Duration::from_millis(10);
            let endless = timeout(
                Duration::from_millis(40),
                std::future::poll_fn(|_| Poll::<()>::Pending),
            );
            assert_eq!(endless.await, None);
            assert!(begun.elapsed() >= Duration::from_millis(40));
            while order.borrow().len() < 3 {
                yield_now().await;
            }
            assert!(!all_waited || *order.borrow() == [10, 20, 30]);
        }
        let done = timeout(Duration::from_secs(60), async { 5 }).await;
        assert_eq!(done, Some(5));
    });
}

#[test]
fn other_threads_wake_tasks_and_aborted_ones_drop_what_they_hold() {
    turn(async {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let held = Rc::new(());
        let kept = Rc::clone(&held);
        let task = spawn(async move {
            std::future::pending::<()>().await;
            drop(kept);
        });
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            sender.send(1).unwrap();
        });
        assert_eq!(receiver.await, Ok(1));
        assert_eq!(Rc::strong_count(&held), 2);
        task.abort();
        yield_now().await;
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn what_is_left_at_the_end_is_dropped_with_its_sockets() {
    let mut peer = turn(async {
        let (socket, peer) = pair();
        spawn(async move {
            std::future::poll_fn(|cx| socket.poll_ready(Direction::Read, cx)).await;
            std::future::pending::<()>().await;
            drop(socket);
        });
        yield_now().await;
        peer
    });
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn what_another_thread_asks_of_a_busy_loop_does_not_wait_for_its_tasks() {
    let late = Rc::new(Cell::new(0));
    let (asked, hears) = std::sync::mpsc::channel::<Waker>();
    let has_asked = Arc::new(AtomicBool::new(false));
    let tells = Arc::clone(&has_asked);
    let asks = std::thread::spawn(move || {
        hears.recv().unwrap().wake();
        tells.store(true, Ordering::SeqCst);
    });
    turn(async {
        for _ in 0..2_000 {
            let (late, has_asked) = (Rc::clone(&late), Arc::clone(&has_asked));
            spawn(async move {
                late.set(late.get() + u32::from(has_asked.load(Ordering::SeqCst)));
                std::thread::sleep(Duration::from_millis(1));
            });
        }
        let mut given = false;
        std::future::poll_fn(|cx| {
            if given {
                return Poll::Ready(());
            }
            given = true;
            asked.send(cx.waker().clone()).unwrap();
            Poll::Pending
        })
        .await;
    });
    asks.join().unwrap();
    assert!(late.get() < 100, "{} tasks came first", late.get());
}

#[test]
fn a_socket_goes_to_another_loop_and_leaves_nothing_behind() {
    let (take, taken) = std::sync::mpsc::channel::<Socket>();
    let (told, heard) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        turn(async {
            // The first is dropped as it is, the second makes itself at home.
            drop(taken.recv().unwrap());
            let mut socket = taken.recv().unwrap();
            // A socket of this loop in the same place as that one had in its own.
            let (mine, mut peer) = pair();
            socket.settle().unwrap();
            told.send(()).unwrap();
            peer.write_all(b"mine").unwrap();
            assert_eq!(read(&mine, 64).await, b"mine");
            assert_eq!(read(&socket, 64).await, b"moved");
        });
    });
    turn(async {
        let (first, mut first_peer) = pair();
        let (second, mut second_peer) = pair();
        for socket in [&first, &second] {
            // Each has been waited for here.
            assert_eq!(
                timeout(Duration::from_millis(1), read(socket, 1)).await,
                None
            );
        }
        take.send(first).unwrap();
        take.send(second).unwrap();
        heard.recv().unwrap();
        second_peer.write_all(b"moved").unwrap();
        assert_eq!(first_peer.read(&mut [0]).unwrap(), 0);
        // Whatever takes their places here is not mixed up with them.
        for _ in 0..3 {
            let (socket, mut peer) = pair();
            peer.write_all(b"here").unwrap();
            assert_eq!(read(&socket, 64).await, b"here");
            drop(peer);
            assert_eq!(read(&socket, 64).await, b"");
        }
        assert_eq!(super::reactor::here(super::reactor::Reactor::known), 0);
    });
    other.join().unwrap();
}
