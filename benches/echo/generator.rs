//! The other end of every connection: it sends frames made beforehand and checks all that comes back.

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

/// Connections whose answers never wait for this thread longer than for their turn.
pub(crate) struct Generator {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    connections: Vec<Connection>,
    depth: usize,
    buffer: Vec<u8>,
}

/// When nothing further is sent.
#[derive(Clone, Copy)]
pub(crate) enum Enough {
    At(Instant),
    Messages(usize),
}

/// What came back.
#[derive(Clone, Copy, Default)]
pub(crate) struct Answered {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Generator {
    /// Opens the connections of `load`. A server that is `raw` knows nothing of WebSockets: it sends back
    /// the very bytes.
    pub(crate) fn connect(addr: SocketAddr, load: &Load, raw: bool) -> io::Result<Self> {
        let streams = match raw {
            true => upgrade::connect(addr, load.connections)?,
            false => upgrade::upgrade(addr, load.connections, load.compression)?,
        };
        Self::new(streams, load, raw)
    }

    /// Over connections that are open.
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
            // No two begin with the same message, where they may begin with any.
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

    /// Each connection sends `depth` messages and, when all are answered, as many again, until it is `enough`;
    /// returns when all are answered.
    ///
    /// # Errors
    ///
    /// If an answer is not what was sent, or none comes.
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

    /// Compressed answers are counted from here on, and no longer inflated: that would hold up the server.
    pub(crate) fn trust(&mut self) {
        for connection in &mut self.connections {
            if let Answers::Inflated(answers) = &mut connection.answers {
                answers.trust();
            }
        }
    }

    /// The connections, for another load.
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
    /// Bytes of requests that the socket had no room for.
    unsent: usize,
    answers: Answers,
    /// Messages that are not answered.
    waiting: usize,
}

enum Answers {
    /// Known to the byte.
    Same(frames::Reader),
    /// Whatever inflates to what was sent.
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

    /// All there is to be read.
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
