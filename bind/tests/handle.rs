//! Handles, which queue from anywhere; the calls that write what they queued; and outlets, which write for a caller
//! that waits for many sockets.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
    time::Duration,
};

use bowline_bind::{
    Error, Handle, Outlet, QueueError, WebSocket, drive,
    proto::{
        CloseCode, Connection, ConnectionError, Deadline, Instant, Message, Negotiated, Outgoing,
        Role, SendError,
    },
};
use testing::world::*;

/// A handle may be kept in a list with handles of other transports, and any thread may use it.
#[test]
fn a_handle_is_erased() {
    const fn shared<T: Clone + Send + Sync + Unpin + 'static>() {}
    shared::<Handle>();
    const fn moves<T: Send + Sync + Unpin + 'static>() {}
    moves::<Outlet>();
    assert_eq!(size_of::<Handle>(), 2 * size_of::<usize>());
}

mod threads {
    //! A transport that may move between threads. Those of the worlds may not.

    use std::{
        collections::VecDeque,
        io,
        sync::{Arc, Mutex},
        task::{Context, Poll, Waker},
    };

    use bowline_bind::{Handle, Timer, Transport, proto::Instant};

    #[derive(Clone)]
    pub(super) struct Still;

    impl Timer for Still {
        fn now(&self) -> Instant {
            Instant::EPOCH
        }

        fn poll_until(&mut self, _: &mut Context<'_>, _: Instant) -> Poll<()> {
            Poll::Pending
        }
    }

    #[derive(Default)]
    pub(super) struct Lane {
        pub(super) bytes: VecDeque<u8>,
        pub(super) room: usize,
        pub(super) ended: bool,
        pub(super) reader: Option<Waker>,
        pub(super) writer: Option<Waker>,
    }

    #[derive(Clone)]
    pub(super) struct Pipe {
        pub(super) input: Arc<Mutex<Lane>>,
        pub(super) output: Arc<Mutex<Lane>>,
        /// This is used when the transport is dropped.
        pub(super) last: Arc<Mutex<Option<Handle>>>,
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            let last = self.last.lock().unwrap().take();
            if let Some(handle) = last {
                assert!(handle.queue("too late").is_err());
            }
        }
    }

    impl Transport for Pipe {
        type Clock = Still;

        fn clock(&self) -> Still {
            Still
        }

        fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
            let mut lane = self.input.lock().unwrap();
            let len = lane.bytes.len().min(buf.len());
            if len == 0 && !lane.ended {
                lane.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            for (place, byte) in buf.iter_mut().zip(lane.bytes.drain(..len)) {
                *place = byte;
            }
            Poll::Ready(Ok(len))
        }

        fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let mut lane = self.output.lock().unwrap();
            let len = buf.len().min(lane.room);
            if len == 0 {
                lane.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            lane.room -= len;
            lane.bytes.extend(&buf[..len]);
            lane.reader.take().into_iter().for_each(Waker::wake);
            Poll::Ready(Ok(len))
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}

use threads::{Lane, Pipe};

/// A server over a pipe that takes this many bytes. The test holds the other end.
fn server(room: usize) -> (WebSocket<Pipe>, Pipe) {
    let lane = |room| {
        Arc::new(Mutex::new(Lane {
            room,
            ..Lane::default()
        }))
    };
    let pipe = Pipe {
        input: lane(0),
        output: lane(room),
        last: Arc::default(),
    };
    let mut config = config();
    config.send_high_water = 1000;
    let connection = Connection::new(Role::Server, Negotiated::default(), config);
    (drive(connection, pipe.clone()), pipe)
}

fn written(pipe: &Pipe) -> Vec<u8> {
    pipe.output.lock().unwrap().bytes.drain(..).collect()
}

/// A frame of a server.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, payload.len() as u8], payload].concat()
}

#[test]
fn a_handle_queues_and_does_not_write() {
    let (socket, pipe) = server(usize::MAX);
    let (_reader, writer) = socket.split();
    let handle = writer.handle();
    handle.queue("one").unwrap();
    let both = ["two", "three"].map(Outgoing::from);
    handle.queue_all(&mut both.into_iter()).unwrap();
    assert_eq!(written(&pipe), b"");
    World::default().block_on(async move { writer.flush().await.unwrap() });
    let frames = ["one", "two", "three"].map(|text| frame(0x81, text.as_bytes()));
    assert_eq!(written(&pipe), frames.concat());
}

#[test]
fn a_handle_that_finds_no_room_gives_the_message_back() {
    let (socket, _pipe) = server(0);
    let (_reader, writer) = socket.split();
    let handle = writer.handle();
    handle.queue(vec![1; 600]).unwrap();
    handle.queue(vec![2; 600]).unwrap();
    let mut more = [vec![3; 10], vec![4; 10]].map(Outgoing::from).into_iter();
    match handle.queue_all(&mut more).unwrap_err() {
        QueueError::Full {
            message,
            bytes,
            messages,
        } => {
            assert_eq!(*message.message(), Message::from(vec![3; 10]));
            assert_eq!((bytes, messages), (1200, 2));
        }
        other => panic!("{other:?}"),
    }
    // The messages after it were not taken.
    assert_eq!(more.len(), 1);
}

#[test]
fn what_handles_queue_is_written_by_a_call_that_drives() {
    let world = World::default();
    let (socket, pipe) = server(usize::MAX);
    let (_reader, writer) = socket.split();
    let handles = [writer.handle(), writer.clone().handle()];
    world.spawn(async move { writer.drive().await.unwrap() });
    let timer = world.clone();
    world.block_on(async move {
        for handle in &handles {
            timer.sleep(Duration::from_secs(1)).await;
            handle.queue("at once").unwrap();
            timer.sleep(Duration::from_secs(1)).await;
            assert_eq!(written(&pipe), frame(0x81, b"at once"));
        }
        assert_eq!(handles[0].id(), handles[1].id());
        // The Close comes after everything queued before it, and is the last frame.
        handles[0].queue("last").unwrap();
        handles[1].close(CloseCode::NORMAL);
        let late = handles[0].queue("too late").unwrap_err();
        assert!(
            matches!(late, QueueError::Failed(Error::Send(SendError::Closed))),
            "{late:?}"
        );
        timer.sleep(Duration::from_secs(1)).await;
        let close = frame(0x88, &1000_u16.to_be_bytes());
        assert_eq!(written(&pipe), [frame(0x81, b"last"), close].concat());
    });
}

/// A call that drives only writes. Messages are left to the read half.
#[test]
fn a_call_that_drives_receives_nothing() {
    let world = World::default();
    let (socket, pipe) = server(usize::MAX);
    let (mut reader, writer) = socket.split();
    let handle = writer.handle();
    world.spawn_daemon(async move { writer.drive().await.unwrap() });
    let timer = world.clone();
    world.block_on(async move {
        let masked = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
        pipe.input.lock().unwrap().bytes.extend(masked);
        handle.queue("meanwhile").unwrap();
        timer.sleep(Duration::from_secs(1)).await;
        assert_eq!(pipe.input.lock().unwrap().bytes.len(), masked.len());
        assert_eq!(reader.recv().await.unwrap(), Some("hi".into()));
    });
}

/// A handle is not a half: it does not keep the transport alive.
#[test]
fn the_transport_goes_with_the_last_half() {
    let (socket, pipe) = server(usize::MAX);
    let (reader, writer) = socket.split();
    let clone = writer.clone();
    let handle = clone.handle();
    drop(reader);
    drop(writer);
    handle.queue("still there").unwrap();
    assert_eq!(Arc::strong_count(&pipe.output), 2);
    assert_eq!(handle.closed(), None);
    drop(clone);
    assert_eq!(Arc::strong_count(&pipe.output), 1);
    assert!(!handle.closed().unwrap().clean);
    assert!(matches!(
        handle.queue("gone").unwrap_err(),
        QueueError::Failed(_)
    ));
}

/// Dropping the transport may take a while, for example if a thread has to write first.
#[test]
fn the_transport_is_dropped_without_a_lock() {
    for reader_first in [false, true] {
        let (socket, pipe) = server(usize::MAX);
        let (reader, writer) = socket.split();
        *pipe.last.lock().unwrap() = Some(writer.handle());
        if reader_first {
            drop(reader);
            drop(writer);
        } else {
            drop(writer);
            drop(reader);
        }
        assert!(pipe.last.lock().unwrap().is_none());
    }
}

#[test]
fn no_two_sockets_have_the_same_id() {
    let ids = [0; 3].map(|_| server(0).0.split().1.handle().id());
    assert!(ids[0] < ids[1] && ids[1] < ids[2]);
}

/// Remembers that it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Flag {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn an_outlet_writes_what_was_offered_and_goes_on_when_there_is_room() {
    let (socket, pipe) = server(10);
    let (_reader, writer) = socket.split();
    let outlet = writer.into_outlet();
    let flag = Arc::new(Flag::default());
    outlet.register(&Waker::from(flag.clone()));
    outlet.offer(vec![7; 20]).unwrap();
    outlet.handle().queue("and this").unwrap();
    assert_eq!(written(&pipe), b"", "it writes only when asked to");
    assert!(!flag.take());
    assert!(outlet.write().is_pending());
    let mut all = written(&pipe);
    assert_eq!((all.len(), outlet.queued_bytes()), (10, 22));
    // Without room the transport is not asked again, and nothing wakes.
    assert!(outlet.write().is_pending());
    let mut lane = pipe.output.lock().unwrap();
    lane.room = 100;
    let writer = lane.writer.take();
    drop(lane);
    assert!(!flag.take());
    writer.unwrap().wake();
    assert!(flag.take());
    assert!(outlet.write().is_ready());
    all.extend(written(&pipe));
    assert_eq!(
        all,
        [frame(0x82, &[7; 20]), frame(0x81, b"and this")].concat()
    );
    assert_eq!((outlet.queued_bytes(), outlet.deadline()), (0, None));
}

#[test]
fn an_outlet_ends_a_peer_that_takes_nothing_by_the_deadline() {
    let (socket, _pipe) = server(0);
    let (_reader, writer) = socket.split();
    let outlet = writer.into_outlet();
    assert_eq!(outlet.deadline(), None);
    outlet.offer("never").unwrap();
    assert!(outlet.write().is_pending());
    // The outlet needs the current time before it can return a deadline.
    let at = |secs| {
        Instant::EPOCH
            .checked_add(Duration::from_secs(secs))
            .unwrap()
    };
    assert!(outlet.deadline().unwrap() <= at(100));
    outlet.handle_timeout(at(100));
    let deadline = outlet.deadline().unwrap();
    assert!(deadline > at(100));
    outlet.handle_timeout(at(101));
    assert_eq!(outlet.closed(), None);
    outlet.handle_timeout(deadline);
    let cause = outlet.closed().unwrap().cause;
    assert_eq!(cause, Some(ConnectionError::TimedOut(Deadline::Write)));
    assert!(outlet.write().is_ready(), "nothing will be written");
    assert!(outlet.offer("late").is_err());
}

/// An outlet does not receive. It learns of the end from the half that does.
#[test]
fn an_outlet_is_woken_by_the_end() {
    let world = World::default();
    let (socket, pipe) = server(usize::MAX);
    let (mut reader, writer) = socket.split();
    let outlet = writer.into_outlet();
    let flag = Arc::new(Flag::default());
    outlet.register(&Waker::from(flag.clone()));
    pipe.input.lock().unwrap().ended = true;
    world.block_on(async move { assert!(reader.recv().await.is_err()) });
    assert!(flag.take());
    assert!(outlet.closed().is_some());
}

#[test]
fn an_outlet_is_a_half() {
    let (socket, pipe) = server(usize::MAX);
    let (reader, writer) = socket.split();
    let outlet = writer.into_outlet();
    drop(reader);
    outlet.offer("still there").unwrap();
    assert!(outlet.write().is_ready());
    assert_eq!(Arc::strong_count(&pipe.output), 2);
    drop(outlet);
    assert_eq!(Arc::strong_count(&pipe.output), 1);
}

/// A message from a handle wakes the outlet, if nothing was queued before.
#[test]
fn an_outlet_is_woken_by_a_handle() {
    let (socket, _pipe) = server(usize::MAX);
    let (_reader, writer) = socket.split();
    let outlet = writer.into_outlet();
    let flag = Arc::new(Flag::default());
    outlet.register(&Waker::from(flag.clone()));
    outlet.handle().queue("from elsewhere").unwrap();
    assert!(flag.take());
    assert!(outlet.write().is_ready());
}
