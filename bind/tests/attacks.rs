//! The memory that a peer can make a socket hold. Each attack runs against the driver, and is reported with its
//! promised bound and the measured peak: bytes on the heap for one socket, without what the thread lends.
//!
//! ```sh
//! cargo test -p bowline-bind --all-features --test attacks -- --nocapture
//! ```

use std::{
    future::Future,
    io::{self, IoSlice},
    iter,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
};

use allocation_counter::{measure, opt_out};
use bowline_bind::{
    Error, ReadHalf, Timer, Transport, TrySendError, WebSocket, WriteHalf, accept, drive,
    proto::{
        Config, Connection, Event, Instant, Message, Negotiated, Role,
        deflate::{Agreed, Deflate},
    },
};
use bytes::Buf;
use testing::frames::{self, Frame};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The memory of an idle socket, split or not.
const SOCKET: u64 = KIB + KIB / 8;
/// Input that was read and not yet taken. A thread lends 128 KiB to read into.
const READ: u64 = 128 * KIB;
/// The memory that a thread keeps afterwards: the loan of each direction.
const LOANS: u64 = 2 * 128 * KIB;

struct Attack {
    what: &'static str,
    /// The reason for the bound.
    promise: &'static str,
    bound: u64,
    /// Returns the peak of a split or unsplit socket, or 0 if the attack does not apply.
    run: fn(bool) -> u64,
}

const fn attack(
    what: &'static str,
    promise: &'static str,
    bound: u64,
    run: fn(bool) -> u64,
) -> Attack {
    Attack {
        what,
        promise,
        bound,
        run,
    }
}

const ATTACKS: &[Attack] = &[
    attack(
        "opens a connection and says nothing",
        "a small socket",
        SOCKET,
        idle,
    ),
    attack(
        "sends half a handshake, byte by byte",
        "max_head_size, twice while it grows, and a read of 16 KiB",
        SOCKET + 48 * KIB,
        half_a_handshake,
    ),
    attack(
        "announces 2^63-1 bytes",
        "the bytes received",
        SOCKET + 512,
        announced,
    ),
    attack(
        "empty fragments without end",
        "nothing for each of max_fragments",
        SOCKET + KIB,
        empty_fragments,
    ),
    attack(
        "fragments of one byte",
        "twice the bytes received",
        SOCKET + 2 * 16 * KIB,
        tiny_fragments,
    ),
    attack(
        "a frame of 1 MiB, a few bytes at a time",
        "twice the bytes received",
        SOCKET + 2 * MIB + 4 * KIB,
        dripping,
    ),
    attack(
        "Pings, and never reads",
        "three control frames, one read",
        SOCKET + KIB + READ,
        pings,
    ),
    attack(
        "never reads what is fed to it",
        "send_high_water and one more message, here of 64 KiB",
        SOCKET + 2 * 64 * KIB + 4 * KIB,
        fed,
    ),
    attack(
        "never reads what try_send sends, 100 bytes at a time",
        "send_high_water, and a quarter more while it grows",
        SOCKET + (64 + 80) * KIB,
        tried,
    ),
    attack(
        "sends without end while we wait to send",
        "one event, here of 64 KiB, and one read, besides what is queued",
        SOCKET + 2 * 64 * KIB + 4 * KIB + 64 * KIB + KIB + READ,
        crossed,
    ),
    attack(
        "1,000 writers wait for it to read: each",
        "a waker and a turn, twice while they grow",
        96,
        writers,
    ),
    attack(
        "a bomb beyond the limit of 1 MiB",
        "max_message_size, a state of 46 KiB, 64 KiB, one read",
        SOCKET + MIB + (46 + 64) * KIB + READ,
        bomb,
    ),
    attack(
        "a bomb that is received in pieces at first, then skipped",
        "pieces of 16 KiB, a state, one read",
        SOCKET + (3 * 16 + 46) * KIB + READ,
        skipped,
    ),
    attack(
        "breaks a rule and goes on",
        "one read",
        SOCKET + KIB + READ,
        goes_on,
    ),
    attack(
        "100,000 messages of one byte, all kept: each",
        "64 bytes",
        64,
        kept,
    ),
    attack(
        "one message of one byte of many, kept",
        "a block of 4 KiB",
        4 * KIB + 256,
        one_kept,
    ),
];

#[test]
fn every_attack_stays_below_its_bound() {
    let mut over = Vec::new();
    println!("| attack | promised | bound | peak, whole | split |");
    println!("| --- | --- | ---: | ---: | ---: |");
    for attack in ATTACKS {
        // The first run leaves the thread with its loans, which do not count for the socket.
        let run = |split| {
            (attack.run)(split);
            (attack.run)(split)
        };
        let peaks = [false, true].map(run);
        let [whole, split] = peaks.map(|bytes| match bytes {
            0 => String::from("–"),
            bytes => bytes.to_string(),
        });
        println!(
            "| {} | {} | {} | {whole} | {split} |",
            attack.what, attack.promise, attack.bound
        );
        if peaks.into_iter().any(|bytes| bytes > attack.bound) {
            over.push(attack.what);
        }
    }
    assert!(over.is_empty(), "{over:?}");
}

/// This holds for any number of sockets, because the buffers are lent to one after the other.
#[test]
fn a_thread_lends_one_buffer_for_each_direction() {
    const COUNT: usize = 100;
    let held = thread::spawn(move || {
        let peer = || Peer {
            takes: usize::MAX,
            ..Peer::new(of(FRAME.repeat(1000)))
        };
        let mut peers: Vec<Peer> = iter::repeat_with(peer).take(COUNT).collect();
        let mut sockets = Vec::with_capacity(COUNT);
        let held = measure(|| {
            while let Some(peer) = peers.pop() {
                let mut socket = Socket::new(false, peer, config(), None);
                for _ in 0..1100 {
                    if let Poll::Ready(event) = socket.poll_event() {
                        event.unwrap().unwrap();
                        while poll(socket.feed("x".into())).is_pending() {}
                    }
                }
                sockets.push(socket);
            }
        });
        held.bytes_current as u64
    });
    let held = held.join().unwrap();
    println!("{COUNT} sockets of a thread: {held}");
    assert!(held <= LOANS + COUNT as u64 * SOCKET, "{held}");
}

// ---- A peer -------------------------------------------------------------------------------------

/// A masked frame with a message of one byte.
const FRAME: [u8; 7] = [0x82, 0x81, 0, 0, 0, 0, 7];

type Says = Box<dyn FnMut(&mut [u8]) -> usize>;

/// A peer that acts at once, without memory that would be counted.
struct Peer {
    /// Fills a read with what the peer says, or returns 0.
    says: Says,
    /// The number of bytes that the peer still takes.
    takes: usize,
}

impl Peer {
    fn new(says: impl FnMut(&mut [u8]) -> usize + 'static) -> Self {
        Self {
            says: Box::new(says),
            takes: 0,
        }
    }
}

fn silence() -> impl FnMut(&mut [u8]) -> usize {
    |_| 0
}

/// Says `bytes`, in reads of any size.
fn of(bytes: Vec<u8>) -> impl FnMut(&mut [u8]) -> usize {
    dripped(bytes, usize::MAX)
}

/// Says `bytes`, `step` of them in each read.
fn dripped(bytes: Vec<u8>, step: usize) -> impl FnMut(&mut [u8]) -> usize {
    let mut at = 0;
    move |room| {
        let len = step.min(room.len()).min(bytes.len() - at);
        room[..len].copy_from_slice(&bytes[at..at + len]);
        at += len;
        len
    }
}

/// Says `first`, and then `next` for `count` times, one frame in each read.
fn frames(first: Vec<u8>, next: Vec<u8>, count: usize) -> impl FnMut(&mut [u8]) -> usize {
    let mut said = 0;
    move |room| {
        let frame = if said == 0 { &first } else { &next };
        if said > count {
            return 0;
        }
        said += 1;
        room[..frame.len()].copy_from_slice(frame);
        frame.len()
    }
}

/// Says `frame` again and again, without a pause or an end.
fn endless(frame: Vec<u8>) -> impl FnMut(&mut [u8]) -> usize {
    let mut at = 0;
    move |room| {
        for byte in &mut *room {
            *byte = frame[at];
            at = (at + 1) % frame.len();
        }
        room.len()
    }
}

/// Returns a frame of a client whose masking key is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    frames::encode(first, payload, Some([0; 4]))
}

impl Transport for Peer {
    type Clock = Still;

    fn clock(&self) -> Still {
        Still
    }

    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match (self.says)(buf) {
            0 => Poll::Pending,
            len => Poll::Ready(Ok(len)),
        }
    }

    fn poll_write(&mut self, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let len = buf.len().min(self.takes);
        self.takes -= len;
        match len {
            0 => Poll::Pending,
            len => Poll::Ready(Ok(len)),
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let buf = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, buf.map_or(&[], |buf| buf))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn half_closes(&self) -> bool {
        true
    }
}

/// A clock that stands still.
#[derive(Clone)]
struct Still;

impl Timer for Still {
    fn now(&self) -> Instant {
        Instant::EPOCH
    }

    fn poll_until(&mut self, _: &mut Context<'_>, _: Instant) -> Poll<()> {
        Poll::Pending
    }
}

// ---- A server's socket --------------------------------------------------------------------------

enum Socket {
    Whole(Box<WebSocket<Peer>>),
    Split(Box<(ReadHalf<Peer>, WriteHalf<Peer>)>),
}

fn config() -> Config {
    Config::new(|_| unreachable!("a server draws no randomness"))
}

fn agreed() -> Agreed {
    let options = Deflate::default();
    let (send, recv) = (options.send, options.recv);
    Agreed { send, recv }
}

fn connection(config: Config, deflate: Option<Agreed>) -> Connection {
    let mut negotiated = Negotiated::default();
    negotiated.deflate = deflate;
    Connection::new(Role::Server, negotiated, config)
}

impl Socket {
    fn new(split: bool, peer: Peer, config: Config, deflate: Option<Agreed>) -> Self {
        let socket = drive(connection(config, deflate), peer);
        if split {
            Self::Split(Box::new(socket.split()))
        } else {
            Self::Whole(Box::new(socket))
        }
    }

    fn poll_event(&mut self) -> Poll<Result<Option<Event>, Error>> {
        match self {
            Self::Whole(socket) => poll(socket.recv_event()),
            Self::Split(halves) => poll(halves.0.recv_event()),
        }
    }

    async fn feed(&mut self, message: Message) -> Result<(), Error> {
        match self {
            Self::Whole(socket) => socket.feed(message).await,
            Self::Split(halves) => halves.1.feed(message).await,
        }
    }

    fn try_send(&mut self, message: Message) -> Result<(), TrySendError> {
        match self {
            Self::Whole(socket) => socket.try_send(message),
            Self::Split(halves) => halves.1.try_send(message),
        }
    }
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Returns the most that was held at one time while `run` ran.
fn peak(run: impl FnOnce()) -> u64 {
    measure(run).bytes_max
}

/// Returns the peak while receiving until the peer has nothing more to say, or until the end. Events are dropped.
fn receive(split: bool, peer: Peer, config: Config, deflate: Option<Agreed>) -> u64 {
    peak(|| {
        let mut socket = Socket::new(split, peer, config, deflate);
        for _ in 0..20_000 {
            match socket.poll_event() {
                Poll::Ready(Ok(Some(_))) | Poll::Pending => {}
                Poll::Ready(_) => return,
            }
        }
    })
}

// ---- The attacks --------------------------------------------------------------------------------

fn idle(split: bool) -> u64 {
    let peer = Peer::new(silence());
    peak(|| {
        let mut socket = Socket::new(split, peer, config(), None);
        assert!(socket.poll_event().is_pending());
    })
}

fn half_a_handshake(split: bool) -> u64 {
    if split {
        return 0;
    }
    let line = "x".repeat(8000);
    let head = format!("GET / HTTP/1.1\r\nX: {line}\r\nY: {line}");
    let peer = Peer::new(dripped(head.into(), 1));
    let config = Arc::new(config());
    peak(|| {
        let mut accepting = pin!(accept(peer, config.clone()));
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..1000 {
            assert!(accepting.as_mut().poll(cx).is_pending());
        }
    })
}

fn announced(split: bool) -> u64 {
    let mut config = config();
    config.max_message_size = usize::MAX;
    let mut header = vec![0x82, 0xFF, 0x7F];
    header.extend([0xFF; 7]);
    header.extend([0; 4]);
    receive(split, Peer::new(of(header)), config, None)
}

fn fragments(split: bool, payload: &[u8]) -> u64 {
    let fragments = frames(frame(1, payload), frame(0, payload), 16_384);
    receive(split, Peer::new(fragments), config(), None)
}

fn empty_fragments(split: bool) -> u64 {
    fragments(split, b"")
}

fn tiny_fragments(split: bool) -> u64 {
    fragments(split, b"x")
}

fn dripping(split: bool) -> u64 {
    let mut frame = frame(0x82, &vec![7; MIB as usize]);
    frame.pop();
    receive(split, Peer::new(dripped(frame, 100)), config(), None)
}

fn pings(split: bool) -> u64 {
    let peer = Peer::new(endless(frame(0x89, &[7; 125])));
    receive(split, peer, config(), None)
}

fn fed(split: bool) -> u64 {
    let peer = Peer::new(silence());
    peak(|| {
        let mut socket = Socket::new(split, peer, config(), None);
        while poll(socket.feed(vec![7; 64 << 10].into())).is_ready() {}
        for _ in 0..1000 {
            opt_out(|| assert!(poll(socket.feed(vec![7; 64 << 10].into())).is_pending()));
        }
    })
}

fn tried(split: bool) -> u64 {
    let peer = Peer::new(silence());
    peak(|| {
        let mut socket = Socket::new(split, peer, config(), None);
        let mut sent = 0;
        while socket.try_send(vec![7; 100].into()).is_ok() {
            sent += 1;
        }
        assert!((600..700).contains(&sent), "{sent}");
    })
}

fn crossed(split: bool) -> u64 {
    let peer = Peer::new(endless(frame(0x82, &[7; 64 << 10])));
    peak(|| {
        let mut socket = Socket::new(split, peer, config(), None);
        while poll(socket.feed(vec![7; 64 << 10].into())).is_ready() {}
        // A call that sends does not read while the read half is waiting.
        let _one = split.then(|| socket.poll_event());
        for _ in 0..1000 {
            opt_out(|| assert!(poll(socket.feed("".into())).is_pending()));
        }
    })
}

/// Returns what each of 1,000 writers of one socket adds, without its message.
fn writers(split: bool) -> u64 {
    if !split {
        return 0;
    }
    const COUNT: usize = 1000;
    let peer = Peer::new(silence());
    let socket = drive(connection(config(), None), peer);
    let (_read, write) = socket.split();
    while poll(write.feed(vec![7; 64 << 10])).is_ready() {}
    let mut waiting: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
    for _ in 0..COUNT {
        waiting.push(Box::pin(write.send(vec![7; 64 << 10])));
    }
    let cx = &mut Context::from_waker(Waker::noop());
    let held = peak(|| {
        for _ in 0..3 {
            for writer in &mut waiting {
                assert!(writer.as_mut().poll(cx).is_pending());
            }
        }
    });
    held / COUNT as u64
}

/// Returns a compressed message of 16 MiB of zeros.
fn bomb_frame() -> Vec<u8> {
    let mut config = config();
    config.max_send_size = usize::MAX;
    let mut sender = connection(config, Some(agreed()));
    sender.send(vec![0; 16 << 20]).unwrap();
    let mut bytes = Vec::new();
    while let Some(output) = sender.transmit() {
        bytes.extend_from_slice(output.chunk());
        output.advance(output.chunk().len());
        sender.handle_sent(true);
    }
    bytes
}

/// Returns the frames as a client sends them.
fn masked(frames: &[u8]) -> Vec<u8> {
    let frames = Frame::read_all(frames, Role::Server);
    let masked = frames.iter().map(|frame| frame.encode(Some([0; 4])));
    masked.collect::<Vec<_>>().concat()
}

fn bomb(split: bool) -> u64 {
    let mut config = config();
    config.max_message_size = MIB as usize;
    let peer = Peer::new(of(masked(&bomb_frame())));
    receive(split, peer, config, Some(agreed()))
}

fn skipped(split: bool) -> u64 {
    let bytes = masked(&bomb_frame());
    let peer = Peer::new(of([&bytes[..], &FRAME].concat()));
    peak(|| {
        let mut socket = Socket::new(split, peer, config(), Some(agreed()));
        let first = loop {
            let polled = match &mut socket {
                Socket::Whole(socket) => poll(socket.recv_chunk()),
                Socket::Split(halves) => poll(halves.0.recv_chunk()),
            };
            if let Poll::Ready(chunk) = polled {
                break chunk.unwrap().unwrap();
            }
        };
        assert!(!first.fin);
        let mut turns = 0;
        while socket.poll_event().is_pending() {
            turns += 1;
        }
        assert!((4..20).contains(&turns), "{turns}");
    })
}

fn goes_on(split: bool) -> u64 {
    let mut said = Some(frame(0x83, b""));
    let mut more = endless(vec![7]);
    let peer = Peer {
        takes: usize::MAX,
        ..Peer::new(move |room: &mut [u8]| match said.take() {
            Some(frame) => of(frame)(room),
            None => more(room),
        })
    };
    peak(|| {
        let mut socket = Socket::new(split, peer, config(), None);
        for _ in 0..200 {
            assert!(socket.poll_event().is_pending());
        }
    })
}

/// Receives `COUNT` messages of one byte and keeps some. Returns how many bytes each kept one holds.
fn keep(split: bool, keeps: fn(usize) -> bool) -> u64 {
    const COUNT: usize = 100_000;
    let peer = Peer::new(of(FRAME.repeat(COUNT)));
    let mut kept: Vec<Message> = Vec::with_capacity(COUNT);
    let mut socket = Socket::new(split, peer, config(), None);
    let held = measure(|| {
        let mut seen = 0;
        while seen < COUNT {
            if let Poll::Ready(event) = socket.poll_event() {
                let Ok(Some(Event::Data(message))) = event else {
                    panic!("{event:?}");
                };
                if keeps(seen) {
                    kept.push(message);
                }
                seen += 1;
            }
        }
        // The first poll may only let other tasks run.
        for _ in 0..2 {
            assert!(socket.poll_event().is_pending());
        }
    });
    held.bytes_current as u64 / kept.len() as u64
}

fn kept(split: bool) -> u64 {
    keep(split, |_| true)
}

fn one_kept(split: bool) -> u64 {
    keep(split, |seen| seen == 5_000)
}
