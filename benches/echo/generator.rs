//! The peer of every connection: it sends prepared frames and checks everything that comes back.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    rc::Rc,
    time::Instant,
};

use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    io::Errno,
};

use crate::{
    frames::{self, Inflated, Load},
    upgrade,
};

/// Connections that are served in turn; no answer waits for anything but its turn.
pub(crate) struct Generator {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    connections: Vec<Connection>,
    depth: usize,
    buffer: Vec<u8>,
}

/// The time or number at which nothing more is sent.
#[derive(Clone, Copy)]
pub(crate) enum Enough {
    At(Instant),
    Messages(usize),
}

/// The answers that came back.
#[derive(Clone, Copy, Default)]
pub(crate) struct Answered {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Generator {
    /// Opens the connections of `load`. A `raw` server does not speak WebSocket, and sends back the same
    /// bytes.
    pub(crate) fn connect(addr: SocketAddr, load: &Load, raw: bool) -> io::Result<Self> {
        let streams = match raw {
            true => upgrade::connect(addr, load.connections)?,
            false => upgrade::upgrade(addr, load.connections, load.compression)?,
        };
        Self::new(streams, load, raw)
    }

    /// Uses connections that are open already.
    pub(crate) fn new(streams: Vec<TcpStream>, load: &Load, raw: bool) -> io::Result<Self> {
        let messages = frames::messages(load);
        let requests = Rc::new(frames::requests(load, &messages));
        let answers = match raw {
            true => requests.clone(),
            false => Rc::new(frames::answers(load, &messages)),
        };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for (index, stream) in streams.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, flags)?;
            // Every connection begins with another message, unless it must begin with the first.
            let first = match load.compression.is_some() {
                true => 0,
                false => index % requests.frames(),
            };
            connections.push(Connection {
                stream,
                requests: requests.reader(first),
                unsent: 0,
                waiting: 0,
                answers: match load.compression {
                    Some(_) => Answers::Inflated(Box::new(Inflated::new(load, messages.clone()))),
                    None => Answers::Same(answers.reader(first)),
                },
            });
        }
        Ok(Self {
            epoll,
            events: Vec::with_capacity(256),
            connections,
            depth: load.depth,
            buffer: vec![0; 256 << 10],
        })
    }

    /// On each connection, sends `depth` messages, waits until all are answered, and repeats this until
    /// it is `enough`.
    ///
    /// # Errors
    ///
    /// If an answer is wrong or missing.
    pub(crate) fn run(&mut self, enough: Enough) -> io::Result<Answered> {
        let mut answered = Answered::default();
        let mut sent = 0;
        for connection in &mut self.connections {
            connection.queue(self.depth);
            connection.write()?;
            sent += self.depth;
        }
        while answered.messages < sent {
            self.wait()?;
            let more = match enough {
                Enough::At(end) => Instant::now() < end,
                Enough::Messages(all) => sent < all,
            };
            for event in &self.events {
                let connection = &mut self.connections[event.data.u64() as usize];
                let arrived = connection.read(&mut self.buffer)?;
                let waiting = connection.waiting.checked_sub(arrived.messages);
                connection.waiting =
                    waiting.ok_or_else(|| io::Error::other("an answer to nothing"))?;
                if more && connection.waiting == 0 {
                    connection.queue(self.depth);
                    sent += self.depth;
                }
                connection.write()?;
                answered.messages += arrived.messages;
                answered.bytes += arrived.bytes;
            }
        }
        Ok(answered)
    }

    /// From here on, compressed answers are counted and no longer inflated, because inflating would
    /// delay the server.
    pub(crate) fn trust(&mut self) {
        for connection in &mut self.connections {
            if let Answers::Inflated(answers) = &mut connection.answers {
                answers.trust();
            }
        }
    }

    /// Returns the connections, for another load.
    #[allow(dead_code)] // By the echo bench.
    pub(crate) fn into_streams(self) -> Vec<TcpStream> {
        let streams = self.connections.into_iter();
        streams.map(|connection| connection.stream).collect()
    }

    fn wait(&mut self) -> io::Result<()> {
        const LONGEST: Timespec = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        loop {
            self.events.clear();
            match epoll::wait(
                &self.epoll,
                spare_capacity(&mut self.events),
                Some(&LONGEST),
            ) {
                Err(Errno::INTR) => {}
                Ok(0) => return Err(io::Error::other("no answer for 10 seconds")),
                other => return Ok(other.map(drop)?),
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    requests: frames::Reader,
    /// Bytes of requests for which the socket had no room.
    unsent: usize,
    answers: Answers,
    /// The number of unanswered messages.
    waiting: usize,
}

enum Answers {
    /// The expected bytes are known.
    Same(frames::Reader),
    /// The bytes must inflate to the message that was sent.
    Inflated(Box<Inflated>),
}

impl Connection {
    fn queue(&mut self, messages: usize) {
        self.unsent += self.requests.ahead(self.unsent, messages);
        self.waiting += messages;
    }

    fn write(&mut self) -> io::Result<()> {
        while self.unsent > 0 {
            let (one, other) = self.requests.next(self.unsent);
            let slices = [IoSlice::new(one), IoSlice::new(other)];
            match self.stream.write_vectored(&slices) {
                Ok(written) => {
                    self.requests.advance(written);
                    self.unsent -= written;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads everything that has arrived.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Answered> {
        let mut arrived = Answered::default();
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("the server closed the connection")),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(arrived),
                Err(error) => return Err(error),
            };
            arrived.bytes += read;
            arrived.messages += match &mut self.answers {
                Answers::Same(expected) => expected.check(&buffer[..read])?,
                Answers::Inflated(answers) => answers.check(&buffer[..read])?,
            };
            if read < buffer.len() {
                return Ok(arrived);
            }
        }
    }
}
