//! A socket whose pending futures are dropped and whose calls are then repeated.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
    time::Duration,
};

use bind::{
    Error, TrySendError,
    proto::{
        Chunk, Closed, ControlPayload, Event, IntoClose, Kind, Message, Outgoing, State as Life,
    },
};

use crate::binding::{ReadHalf, Socket, WriteHalf};

/// The loss that the documentation of a future allows when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cut {
    /// A handshake: the connection is gone.
    Opening,
    /// Nothing is lost or half done, so the call is repeated.
    Nothing,
    /// A message, which either was not queued or will be written completely.
    Message,
    /// A piece of a message, or the guard of a message.
    Piece,
}

/// Chooses which future of one end is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cutter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    which: Which,
    waits: usize,
    cut: Option<Cut>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Which {
    #[default]
    None,
    /// The future that waits for this time, counted from 1, as soon as it waits.
    Wait(usize),
    /// Every future that loses nothing, each time it is woken.
    Every,
}

impl Cutter {
    pub(crate) fn new(which: Which) -> Self {
        Self(Arc::new(Mutex::new(State {
            which,
            ..State::default()
        })))
    }

    /// Returns what was dropped.
    pub(crate) fn cut(&self) -> Option<Cut> {
        self.state().cut
    }

    /// Returns the output of `future`, unless the future is dropped.
    pub(crate) async fn run<F: Future>(&self, cut: Cut, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut waited = false;
        poll_fn(|cx| {
            if waited && matches!(self.state().which, Which::Every) && cut == Cut::Nothing {
                return Poll::Ready(None);
            }
            waited = true;
            match future.as_mut().poll(cx) {
                Poll::Pending if self.is_over(cut) => Poll::Ready(None),
                polled => polled.map(Some),
            }
        })
        .await
    }

    fn is_over(&self, cut: Cut) -> bool {
        let mut state = self.state();
        state.waits += 1;
        let is_over = matches!(state.which, Which::Wait(number) if number == state.waits);
        if is_over {
            state.cut = Some(cut);
        }
        is_over
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

/// A socket, or a half.
#[derive(Clone, Debug)]
pub(crate) struct Cutting<S> {
    pub(crate) inner: S,
    pub(crate) cutter: Cutter,
}

impl<S> Cutting<S> {
    fn also<H>(&self, inner: H) -> Cutting<H> {
        let cutter = self.cutter.clone();
        Cutting { inner, cutter }
    }
}

/// For calls that can be repeated unchanged.
macro_rules! repeated {
    ($self:ident, $call:expr) => {
        loop {
            if let Some(done) = $self.cutter.run(Cut::Nothing, $call).await {
                return done;
            }
        }
    };
}

/// For calls that may or may not have queued something. The next call writes what was queued.
macro_rules! written {
    ($self:ident, $cut:expr, $call:expr) => {
        match $self.cutter.run($cut, $call).await {
            Some(done) => done,
            None => $self.inner.flush().await,
        }
    };
}

macro_rules! receiving {
    () => {
        async fn recv(&mut self) -> Result<Option<Message>, Error> {
            repeated!(self, self.inner.recv())
        }

        async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
            repeated!(self, self.inner.recv_event())
        }

        async fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
            repeated!(self, self.inner.recv_chunk())
        }

        fn closed(&self) -> Option<Closed> {
            self.inner.closed()
        }

        fn latency(&self) -> Option<Duration> {
            self.inner.latency()
        }
    };
}

macro_rules! sending {
    ($this:ty) => {
        async fn send(self: $this, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
            written!(self, Cut::Message, self.inner.send(message))
        }

        async fn feed(self: $this, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
            let message = message.into();
            repeated!(self, self.inner.feed(message.clone()))
        }

        async fn flush(self: $this) -> Result<(), Error> {
            repeated!(self, self.inner.flush())
        }

        fn try_send(self: $this, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
            self.inner.try_send(message)
        }

        async fn send_chunk(
            self: $this,
            chunk: Chunk<impl Into<Outgoing> + Send>,
        ) -> Result<(), Error> {
            written!(self, Cut::Piece, self.inner.send_chunk(chunk))
        }

        async fn send_pieces(
            self: $this,
            kind: Kind,
            pieces: Vec<impl Into<Outgoing> + Send>,
        ) -> Result<(), Error> {
            written!(self, Cut::Piece, self.inner.send_pieces(kind, pieces))
        }

        async fn leave_pieces(self: $this, kind: Kind, pieces: Vec<Message>) -> Result<(), Error> {
            written!(self, Cut::Piece, self.inner.leave_pieces(kind, pieces))
        }

        async fn ping(self: $this, payload: ControlPayload) -> Result<(), Error> {
            repeated!(self, self.inner.ping(payload.clone()))
        }

        async fn pong(self: $this, payload: ControlPayload) -> Result<(), Error> {
            repeated!(self, self.inner.pong(payload.clone()))
        }

        async fn close(self: $this, frame: impl IntoClose + Send) -> Result<(), Error> {
            let frame = frame.into_close();
            repeated!(self, self.inner.close(frame.clone()))
        }

        async fn finish(self: $this, frame: impl IntoClose + Send) -> Result<(), Error> {
            let frame = frame.into_close();
            repeated!(self, self.inner.finish(frame.clone()))
        }

        fn abort(self: $this) {
            self.inner.abort();
        }

        fn state(&self) -> Life {
            self.inner.state()
        }
    };
}

impl<S: Socket + Sync> Socket for Cutting<S> {
    type ReadHalf = Cutting<S::ReadHalf>;
    type WriteHalf = Cutting<S::WriteHalf>;

    receiving!();
    sending!(&mut Self);

    fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol()
    }

    fn split(self) -> (Self::ReadHalf, Self::WriteHalf) {
        let other = self.also(());
        let (read, write) = self.inner.split();
        (other.also(read), other.also(write))
    }
}

impl<H: ReadHalf> ReadHalf for Cutting<H> {
    receiving!();
}

impl<H: WriteHalf> WriteHalf for Cutting<H> {
    sending!(&Self);

    fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }
}
