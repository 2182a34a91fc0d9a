use alloc::{boxed::Box, string::String, sync::Arc};
use core::{fmt, time::Duration};

use crate::{
    close::{CloseFrame, Closed},
    config::{Config, Role},
    deflate,
    error::{ConnectionError, Lost, SendError},
    event::{Event, Pull},
    message::{Chunk, ControlPayload},
    negotiated::Negotiated,
    recv::Receiver,
    send::{Sender, outgoing::Outgoing, transmit::Transmit},
    stats::Stats,
    time::Instant,
};

/// The stage of a connection's life (RFC 6455 §7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Both ends may send.
    Open,
    /// A Close was sent or received, or the connection failed; the transport is still needed.
    Closing,
    /// It is over: close the transport.
    Closed,
}

/// One end of an open WebSocket connection, with both halves (RFC 6455 §7).
///
/// The names show four kinds of methods: `handle_*` takes input from the transport and the clock; verbs (`send`,
/// `ping`, `close` …) are commands from the application; `poll_*` and `transmit` return output for both; the others
/// are getters.
pub struct Connection {
    rx: Receiver,
    tx: Sender,
    subprotocol: Option<Box<str>>,
    #[cfg(feature = "deflate")]
    deflate: Option<deflate::Agreed>,
}

impl Connection {
    /// Makes a connection whose opening handshake is complete. Its deadlines begin at the first `handle_timeout`.
    pub fn new(role: Role, negotiated: Negotiated, config: impl Into<Arc<Config>>) -> Self {
        let config = config.into();
        let (inflater, deflater) = deflate::codec(negotiated.compression(), config.compression());
        Self {
            rx: Receiver::new(role, config.clone(), inflater),
            tx: Sender::new(role, config, deflater),
            #[cfg(feature = "deflate")]
            deflate: negotiated.deflate,
            subprotocol: negotiated.subprotocol.map(String::into_boxed_str),
        }
    }

    /// Queues bytes that go before every frame: the end of the opening handshake.
    pub(crate) fn preface(&mut self, bytes: &[u8]) {
        self.tx.preface(bytes);
    }

    /// Returns room to read into. Returns `None` until all events are polled, and after the end.
    pub fn recv_buf(&mut self) -> Option<&mut [u8]> {
        self.rx.recv_buf()
    }

    /// Takes the `len` bytes just read into [`recv_buf`](Self::recv_buf).
    pub fn handle_input(&mut self, len: usize) {
        self.rx.handle_input(len);
    }

    /// Copies as many of `bytes` as fit, and returns how many it took: all of them, if at most 64 KiB wait.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        self.rx.receive(bytes)
    }

    /// Handles the end of the peer's direction of the transport. It takes effect after everything received before
    /// it was polled.
    pub fn handle_eof(&mut self) {
        self.rx.handle_eof();
    }

    /// Handles a failure of the transport. Nothing more can be sent, but everything received before is still
    /// delivered.
    pub fn handle_error(&mut self, lost: Lost) {
        self.tx.handle_end(ConnectionError::Lost(lost));
        self.rx.handle_end(ConnectionError::Lost(lost));
    }

    /// Handles an attempt to write, whether it succeeded or not. `flushed` says whether the transport holds no
    /// unwritten bytes itself.
    pub fn handle_sent(&mut self, flushed: bool) {
        self.tx.handle_sent(flushed);
        self.rx.meet(&mut self.tx);
    }

    /// Handles the passing of time. Call this when [`poll_timeout`](Self::poll_timeout) says so, after one more
    /// attempt to read.
    pub fn handle_timeout(&mut self, now: Instant) {
        // A deadline of one half ends both in `meet`.
        let _ = self.rx.handle_timeout(now);
        self.rx.meet(&mut self.tx);
        let _ = self.tx.handle_timeout(now);
        self.rx.meet(&mut self.tx);
    }

    /// Queues a whole message; see [`Sender::send`].
    pub fn send(&mut self, message: impl Into<Outgoing>) -> Result<(), SendError> {
        self.tx.send(message)
    }

    /// Queues a piece of a message; see [`Sender::send_chunk`].
    pub fn send_chunk(&mut self, chunk: Chunk<impl Into<Outgoing>>) -> Result<(), SendError> {
        self.tx.send_chunk(chunk)
    }

    /// Queues a Ping; see [`Sender::ping`].
    pub fn ping(&mut self, payload: ControlPayload) -> Result<(), SendError> {
        self.tx.ping(payload)
    }

    /// Queues an unsolicited Pong; see [`Sender::pong`].
    pub fn pong(&mut self, payload: ControlPayload) -> Result<(), SendError> {
        self.tx.pong(payload)
    }

    /// Closes our direction, after the messages queued before (RFC 6455 §7.1.2). Data is still delivered until the
    /// peer's Close or the close deadline, which begins now.
    pub fn close(&mut self, frame: Option<CloseFrame>) {
        if self.state() != State::Closed {
            self.tx.close(frame);
            self.rx.meet(&mut self.tx);
        }
    }

    /// Ends the connection at once, without a Close; the caller then drops the transport.
    pub fn abort(&mut self) {
        self.tx.abort();
        self.rx.meet(&mut self.tx);
    }

    /// Returns the next control frame, or the next message or chunk, as `pull` says; see [`Receiver::poll_data`].
    pub fn poll_data(&mut self, pull: Pull) -> Result<Option<Event<Chunk>>, ConnectionError> {
        let event = self.rx.poll_data(pull);
        self.rx.meet(&mut self.tx);
        event
    }

    /// Whether to ask for the next event again although there was none; see
    /// [`Receiver::is_skipping`].
    /// [`Receiver::is_skipping`].
    pub fn is_skipping(&self) -> bool {
        self.rx.is_skipping()
    }

    /// Returns what to write to the transport; see [`Sender::transmit`]. Call [`handle_sent`](Self::handle_sent)
    /// afterwards.
    pub fn transmit(&mut self) -> Option<&mut Transmit> {
        // This may end the connection, if there is no randomness for a mask.
        self.tx.fill();
        self.rx.meet(&mut self.tx);
        self.tx.transmit()
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). A moment in the past means at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.rx.poll_timeout(), self.tx.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the caller should write before it queues more.
    pub fn is_full(&self) -> bool {
        self.tx.is_full()
    }

    /// Returns the stage of the connection's life.
    pub fn state(&self) -> State {
        if self.rx.is_done() {
            State::Closed
        } else if self.rx.is_closing() || self.tx.is_closing() {
            State::Closing
        } else {
            State::Open
        }
    }

    /// Whether to end our direction of the transport now.
    pub fn wants_shutdown(&self) -> bool {
        self.state() == State::Closed || self.tx.wants_shutdown()
    }

    /// Returns how the connection ended, or `None` before [`State::Closed`].
    pub fn closed(&self) -> Option<Closed> {
        self.rx.closed().filter(|_| self.rx.is_done())
    }

    /// Returns the subprotocol that was agreed on, if there is one (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the compression that was agreed on, if any (RFC 7692).
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<deflate::Agreed> {
        self.deflate
    }

    /// Returns the time between the last Ping and its Pong.
    pub fn latency(&self) -> Option<Duration> {
        self.rx.latency()
    }

    /// Returns which end of the connection this is.
    pub fn role(&self) -> Role {
        self.rx.role()
    }

    /// Returns counts of everything that passed over the connection.
    pub fn stats(&self) -> Stats {
        self.tx.stats(self.rx.traffic())
    }

    /// Returns the two halves, to be driven separately. They exchange what each must know of the other in
    /// [`Receiver::meet`].
    pub fn split(self) -> (Receiver, Sender) {
        (self.rx, self.tx)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("rx", &self.rx)
            .field("tx", &self.tx)
            .finish()
    }
}
