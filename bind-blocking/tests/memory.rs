//! How much heap memory a thread keeps that has waited for a long time, whatever its peer has sent
//! before.
//!
//! ```sh cargo test -p bowline-blocking --all-features --test memory -- --nocapture ```
//!
//! The example `idle_threads` measures resident memory, which also has the stack and what the allocator
//! keeps.

use std::{
    alloc::System,
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use bowline_blocking::{
    BlockingTransport, Config, Io, Message, Negotiated, Role, WebSocket, from_parts,
};
use cap::Cap;
use testing::frames::Frame;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The number of threads in each case.
const COUNT: usize = 20;
/// The most bytes that each of them may hold, including its socket.
const BOUND: i64 = 8 << 10;

/// The name, the number of messages and their length. All messages are received before the first is
/// dropped.
const CASES: [(&str, usize, usize); 6] = [
    ("nothing", 0, 0),
    ("100 bytes", 1, 100),
    ("1 MiB", 1, 1 << 20),
    ("100 KB", 1, 100_000),
    ("40 x 16 KiB", 40, 16 << 10),
    ("2 x 255 KB, read late", 2, 255_000),
];

/// What a thread has received, and what it does then.
struct Case {
    messages: usize,
    len: usize,
    does: Does,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// It waits in `recv` of the socket.
    Receives,
    /// It waits in `recv` of a read half.
    Splits,
    /// It waits in `send` while another thread has the right to write.
    Sends,
}

/// This is one test, because the allocator counts for the whole process.
#[test]
fn a_thread_that_waits_for_long_keeps_8_kib_at_the_most() {
    let mut over = Vec::new();
    for does in [Does::Receives, Does::Splits, Does::Sends] {
        for (name, messages, len) in CASES {
            let case = Case {
                messages,
                len,
                does,
            };
            // The first thread allocates everything that all threads share.
            held(&case, 1, i64::MAX);
            let held = held(&case, COUNT, BOUND);
            println!("{does:?}, after {name}: {held}");
            if held > BOUND {
                over.push((does, name, held));
            }
        }
    }
    assert!(over.is_empty(), "{over:?}");
}

/// Returns the heap bytes for each of `count` threads that have waited for long. Waits up to five
/// seconds until they are no more than `bound`.
fn held(case: &Case, count: usize, bound: i64) -> i64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let frame = frame(case.len);
    let stuck = (case.does == Does::Sends).then(|| stuck(&listener, addr));
    let mut peers = Vec::with_capacity(count);
    let mut threads = Vec::with_capacity(count);
    let (received, all_received) = mpsc::sync_channel(count);
    let before = allocated();
    for _ in 0..count {
        let mut peer = TcpStream::connect(addr).unwrap();
        let stream = listener.accept().unwrap().0;
        let (messages, does, received) = (case.messages, case.does, received.clone());
        let sender = stuck.as_ref().map(|(sender, ..)| sender.clone());
        threads.push(thread::spawn(move || {
            let mut socket = socket(stream);
            let done = || received.send(()).unwrap();
            match (does, sender) {
                (Does::Receives, _) => {
                    receive(messages, || socket.recv().unwrap());
                    done();
                    while let Ok(Some(_)) = socket.recv() {}
                }
                (Does::Splits, _) => {
                    let (mut receiver, _sender) = socket.split();
                    receive(messages, || receiver.recv().unwrap());
                    done();
                    while let Ok(Some(_)) = receiver.recv() {}
                }
                (Does::Sends, sender) => {
                    receive(messages, || socket.recv().unwrap());
                    done();
                    let _ = sender.unwrap().send("a word");
                }
            }
        }));
        for _ in 0..messages {
            peer.write_all(&frame).unwrap();
        }
        all_received.recv().unwrap();
        peers.push(peer);
    }
    let each = || (allocated() - before) / count as i64;
    let began = Instant::now();
    while each() > bound && began.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(20));
    }
    // The thread that writes wakes the others now and then, and they then need a little memory for a
    // moment.
    let mut least = each();
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(10));
        least = least.min(each());
    }
    drop((peers, stuck));
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    least
}

/// Returns a write half whose peer reads nothing, while another thread writes to it and keeps the right
/// to write.
fn stuck(
    listener: &TcpListener,
    addr: SocketAddr,
) -> (bowline_blocking::WriteHalf<Io<TcpStream>>, TcpStream) {
    let peer = TcpStream::connect(addr).unwrap();
    let (_receiver, sender) = socket(listener.accept().unwrap().0).split();
    let writer = sender.clone();
    thread::spawn(move || writer.send(vec![0; 64 << 20]));
    while sender.try_send("").is_ok() {
        thread::sleep(Duration::from_millis(1));
    }
    (sender, peer)
}

fn receive(count: usize, mut next: impl FnMut() -> Option<Message>) {
    let messages: Vec<Message> = (0..count).map_while(|_| next()).collect();
    assert_eq!(messages.len(), count);
}

fn socket<S: BlockingTransport>(stream: S) -> WebSocket<Io<S>> {
    let config = Arc::new(Config::default());
    from_parts(
        stream,
        &[],
        Negotiated::default(),
        Role::Server,
        config.clone(),
    )
}

/// A masked binary frame.
fn frame(len: usize) -> Vec<u8> {
    Frame::binary(vec![7; len]).from(Role::Client)
}

fn allocated() -> i64 {
    ALLOCATOR.allocated() as i64
}
