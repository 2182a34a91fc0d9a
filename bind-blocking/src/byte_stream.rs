//! A socket, or one message of it, with the traits of `std::io`.

use std::{
    fmt,
    future::poll_fn,
    io::{Read, Result, Write},
};

use bind::{Error, ReadBytes, Transport, WriteBytes, proto::Kind};

use crate::{
    run::Runner,
    socket::WebSocket,
    split::{ReadHalf, Streaming},
};

/// A socket as a stream of bytes, with the traits of `std::io`.
///
/// Reading returns the payloads of all messages, one after the other. The stream ends when the peer closes normally; any
/// other end is an error, because data may be missing. Each write queues a binary message of at most 64 KiB, as
/// [`feed`](WebSocket::feed) does; flush to wait until it is sent. To send a Close, take the socket back with
/// [`into_inner`](Self::into_inner) and [`close`](WebSocket::close) it.
///
/// Use [`MessageReader`] to read a single message, and [`Streaming`] to write one.
#[derive(Debug)]
pub struct ByteStream<S: Transport>(WebSocket<S>);

impl<S: Transport> ByteStream<S> {
    /// Makes a stream of `socket`.
    pub const fn new(socket: WebSocket<S>) -> Self {
        Self(socket)
    }

    /// Returns the socket.
    pub fn into_inner(self) -> WebSocket<S> {
        self.0
    }
}

impl<S: Transport> Read for ByteStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let WebSocket { inner, runner } = &mut self.0;
        runner.run(poll_fn(|cx| inner.poll_read(cx, buf)))
    }
}

impl<S: Transport> Write for ByteStream<S> {
    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        let WebSocket { inner, runner } = &mut self.0;
        runner.run(poll_fn(|cx| inner.poll_write(cx, buf)))
    }

    fn flush(&mut self) -> Result<()> {
        let WebSocket { inner, runner } = &mut self.0;
        runner.run(poll_fn(|cx| inner.poll_flush(cx)))
    }
}

/// One message that is read as bytes. If the connection ends before the message does, that is an error.
///
/// [`WebSocket::read_message`] and [`ReadHalf::read_message`] return it. If it is dropped, the next call that receives
/// skips the remainder of the message.
///
/// ```no_run
/// # fn f(mut socket: bowline_blocking::WebSocket<bowline_blocking::ClientStream>)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use std::{fs::File, io};
///
/// // A message of any size goes into a file, in bounded memory.
/// if let Some(mut message) = socket.read_message()? {
///     io::copy(&mut message, &mut File::create("film.mkv")?)?;
/// }
/// # Ok(()) }
/// ```
pub struct MessageReader<'a, S: Transport>(Inner<'a, S>);

enum Inner<'a, S: Transport> {
    Socket(bind::MessageReader<&'a mut bind::WebSocket<S>>, &'a Runner),
    Half(bind::MessageReader<&'a mut bind::ReadHalf<S>>, &'a Runner),
}

impl<S: Transport> MessageReader<'_, S> {
    /// Returns the kind of the message. A read of a text message may end inside a character.
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Inner::Socket(message, _) => message.kind(),
            Inner::Half(message, _) => message.kind(),
        }
    }
}

impl<S: Transport> Read for MessageReader<'_, S> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        match &mut self.0 {
            Inner::Socket(message, runner) => runner.run(poll_fn(|cx| message.poll_read(cx, buf))),
            Inner::Half(message, runner) => {
                runner.receive(poll_fn(|cx| message.poll_read(cx, buf)))
            }
        }
    }
}

impl<S: Transport> fmt::Debug for MessageReader<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Socket(message, _) => message.fmt(f),
            Inner::Half(message, _) => message.fmt(f),
        }
    }
}

impl<S: Transport> WebSocket<S> {
    /// Returns the next message, to be read as bytes, as soon as its first piece has arrived; or `None` once the
    /// connection has closed. If a message was not read to its end, its remainder is skipped.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn read_message(&mut self) -> std::result::Result<Option<MessageReader<'_, S>>, Error> {
        let message = self.runner.run(self.inner.read_message())?;
        Ok(message.map(|message| MessageReader(Inner::Socket(message, &self.runner))))
    }
}

impl<S: Transport> ReadHalf<S> {
    /// Returns the next message, to be read as bytes; see [`WebSocket::read_message`].
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn read_message(&mut self) -> std::result::Result<Option<MessageReader<'_, S>>, Error> {
        let message = self.runner.receive(self.inner.read_message())?;
        Ok(message.map(|message| MessageReader(Inner::Half(message, &self.runner))))
    }
}

/// Written bytes are gathered, and sent in pieces of 64 KiB or when they are flushed, because a peer may limit the number
/// of frames of a message. A text message must be UTF-8 as a whole. The message ends with [`finish`](Streaming::finish),
/// which also flushes.
impl<S: Transport> Write for Streaming<'_, S> {
    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        self.run_io(|message, cx| message.poll_write(cx, buf))
    }

    fn flush(&mut self) -> Result<()> {
        self.run_io(|message, cx| message.poll_flush(cx))
    }
}
