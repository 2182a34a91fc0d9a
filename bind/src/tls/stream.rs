use std::{
    fmt,
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{
    ClientConfig, ClientConnection, CommonState, Connection, ServerConfig, ServerConnection,
    pki_types::ServerName,
};

use crate::transport::Transport;

/// TLS over another transport.
///
/// It has no buffers of its own: rustls reads and writes the transport below. The handshake of a server runs during
/// the first reads and writes.
pub(crate) struct TlsStream<S> {
    io: S,
    tls: Connection,
    /// Whether the transport below may hold buffered bytes.
    unflushed: bool,
    /// Whether a call that writes is waiting for the transport below.
    write_waits: bool,
    /// Whether nothing more can be read from the transport below.
    ended: bool,
    shut_down: bool,
}

impl<S> TlsStream<S> {
    pub(crate) fn client(
        io: S,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, rustls::Error> {
        let tls = ClientConnection::new(config, name)?;
        Ok(Self::new(io, tls.into()))
    }

    pub(crate) fn server(io: S, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let tls = ServerConnection::new(config)?;
        Ok(Self::new(io, tls.into()))
    }

    const fn new(io: S, tls: Connection) -> Self {
        Self {
            io,
            tls,
            unflushed: false,
            write_waits: false,
            ended: false,
            shut_down: false,
        }
    }

    /// Returns the transport below.
    pub(crate) const fn get_ref(&self) -> &S {
        &self.io
    }
}

impl<S: Transport> TlsStream<S> {
    /// Runs the handshake to its end. Ready only once our last part of it is sent.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.flush(cx))?;
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.receive(cx))?;
            if self.ended && self.tls.is_handshaking() {
                let why = "the peer ended the connection during the TLS handshake";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
        }
    }

    /// Reads once from the transport below, and decrypts what came.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut below = Below {
            io: &mut self.io,
            cx,
        };
        self.ended = ready!(poll(self.tls.read_tls(&mut below)))? == 0;
        let processed = self.tls.process_new_packets();
        self.answer(cx);
        match processed {
            Ok(_) => Poll::Ready(Ok(())),
            Err(error) => {
                self.ended = true;
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)))
            }
        }
    }

    /// Sends the answer that what was received may need: a part of the handshake, new keys, or an alert. A read does
    /// not wait until the answer is sent. If a call that writes is waiting, this leaves the answer to that call,
    /// because a transport that takes bytes from a read would no longer wake the call that writes.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if !self.write_waits && self.tls.wants_write() {
            let _ = self.flush(cx);
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        if self.unflushed {
            ready!(self.io.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the encrypted bytes.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut below = Below {
                io: &mut self.io,
                cx,
            };
            if ready!(poll(self.tls.write_tls(&mut below)))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> Transport for TlsStream<S> {
    type Clock = S::Clock;

    fn clock(&self) -> S::Clock {
        self.io.clock()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.tls.is_handshaking() {
            ready!(self.poll_handshake(cx))?;
        }
        self.answer(cx);
        // Session tickets, for example, contain nothing to read. Once there is something to read, the transport below
        // is not read from again until that is taken.
        while !self.ended && self.tls.wants_read() {
            ready!(self.receive(cx))?;
        }
        // This fails if the transport has ended without a close_notify (RFC 8446 §6.1).
        poll(self.tls.reader().read(buf))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    /// Takes as much as rustls buffers, which is 64 KiB, even if nothing can be sent yet.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tls.is_handshaking() {
            let polled = self.poll_handshake(cx);
            self.write_waits = polled.is_pending();
            ready!(polled)?;
        }
        loop {
            let taken = self.tls.writer().write_vectored(bufs)?;
            let sent = self.poll_send(cx)?;
            self.write_waits = sent.is_pending();
            if taken > 0 || bufs.iter().all(|buf| buf.is_empty()) {
                return Poll::Ready(Ok(taken));
            }
            ready!(sent);
        }
    }

    /// Returns true, because rustls encrypts several pieces as if they were one.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.flush(cx);
        self.write_waits = flushed.is_pending();
        flushed
    }

    /// Sends a close_notify, and then ends our direction of the transport below.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut_down {
            // RFC 8446 §6.1: "Each party MUST send a "close_notify" alert before closing its write side".
            self.tls.send_close_notify();
            self.shut_down = true;
        }
        ready!(self.poll_send(cx))?;
        // This also flushes.
        self.io.poll_shutdown(cx)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.peer_addr()
    }

    fn tls(&self) -> Option<&CommonState> {
        Some(&self.tls)
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsStream").field(&self.io).finish()
    }
}

/// The transport below with the traits that rustls uses. A call that would have to wait fails with `WouldBlock`.
struct Below<'a, 'b, S> {
    io: &'a mut S,
    cx: &'a mut Context<'b>,
}

impl<S: Transport> Read for Below<'_, '_, S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        result(self.io.poll_read(self.cx, buf))
    }
}

impl<S: Transport> Write for Below<'_, '_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        result(self.io.poll_write(self.cx, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.io.is_write_vectored() {
            return result(self.io.poll_write_vectored(self.cx, bufs));
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.write(first.map_or(&[], |buf| buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        result(self.io.poll_flush(self.cx))
    }
}

fn result<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn poll<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}
