use std::{
    error, fmt,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use bind::{
    Backoff, Connect, Error, GaveUp, Offline, Outage, ReconnectEvent, ReconnectSendError,
    ReconnectState, Timer, TrySendError,
    internal::{self, Link, Machine, Route, Step, outage_of},
    proto::{IntoClose, Message, Outgoing},
};

use crate::{
    clock::Clock,
    connect::{ClientStream, Threads},
    error::TryRecvError,
    run::Runner,
    socket::WebSocket,
    split::{ReadHalf, WriteHalf},
};

/// A client that connects again when its connection is lost.
///
/// [`recv`](Self::recv) does everything: it connects, waits, and receives. **Keep calling it**; while no call is pending,
/// no connection is made and no loss is noticed. A [`sender`](Self::sender) sends from other threads.
///
/// Whether another attempt follows depends on the reason ([`Outage::is_transient`]), and when it does depends on a
/// [`Backoff`]. The guide "Reconnecting well" says what an application has to do by itself.
///
/// Dropping this ends the connection without a Close; call [`stop`](Self::stop) to end it properly.
pub struct Reconnect {
    to: Connect,
    machine: Machine,
    hook: Option<Box<Hook>>,
    shared: Arc<Shared>,
    open: Option<(ReadHalf<ClientStream>, Arc<WriteHalf<ClientStream>>)>,
}

/// The state that the thread that receives shares with those that send.
#[derive(Debug)]
struct Shared {
    link: Link<WriteHalf<ClientStream>>,
    /// The connection that is being made. A thread that is blocked in a read of it is woken only by its end.
    connecting: Mutex<Option<Arc<Threads>>>,
}

impl Shared {
    fn connecting(&self) -> MutexGuard<'_, Option<Arc<Threads>>> {
        self.connecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

type Socket = WebSocket<ClientStream>;
type HookError = Box<dyn error::Error + Send + Sync>;
type Hook = dyn Fn(&mut Socket) -> Result<(), HookError> + Send + Sync;

/// How long a call receives before it hands more messages of the queue to a connection that had no room for them.
const DRAIN: Duration = Duration::from_millis(20);

impl Reconnect {
    /// Connects as `to` specifies, as often as that is needed. Nothing is done before the first call that receives.
    pub fn new(to: impl Into<Connect>) -> Self {
        let to = to.into();
        Self {
            machine: Machine::new(&to),
            hook: None,
            shared: Arc::new(Shared {
                link: Link::new(&to),
                connecting: Mutex::default(),
            }),
            to,
            open: None,
        }
    }

    /// Sets the delays between attempts, and when to give up.
    #[must_use]
    pub fn policy(mut self, policy: Backoff) -> Self {
        self.machine.policy = policy;
        self
    }

    /// Decides whether another attempt follows an outage, instead of [`Outage::is_transient`]. The limits of the
    /// [`Backoff`] still hold.
    #[must_use]
    pub fn retry_if(mut self, retry_if: impl Fn(&Outage) -> bool + Send + Sync + 'static) -> Self {
        self.machine.retry_if = Some(Box::new(retry_if));
        self
    }

    /// Sets what becomes of a message that is sent while there is no connection. The default is that the call fails.
    #[must_use]
    pub fn offline(self, offline: Offline) -> Self {
        self.shared.link.set_offline(offline);
        self
    }

    /// Runs `hook` on each new connection before anything else is sent or received, for example to log in and to subscribe.
    ///
    /// If it fails with an [`Error`], the connection counts as lost. If it fails with an error of its own, the socket gives
    /// up, unless [`retry_if`](Self::retry_if) decides otherwise. It has no deadline of its own, but the socket's keep-alive
    /// works while it receives.
    #[must_use]
    pub fn on_connect(
        mut self,
        hook: impl Fn(&mut Socket) -> Result<(), HookError> + Send + Sync + 'static,
    ) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Returns the sending direction, for other threads.
    pub fn sender(&self) -> ReconnectSender {
        ReconnectSender(self.shared.clone())
    }

    /// Sends a message; see [`ReconnectSender::send`]. With [`Offline::Wait`] this would wait for ever without a
    /// connection, because only a call that receives connects.
    ///
    /// # Errors
    ///
    /// As [`ReconnectSender::send`].
    pub fn send(&self, message: impl Into<Outgoing>) -> Result<(), ReconnectSendError> {
        self.sender().send(message)
    }

    /// Stops the socket; see [`ReconnectSender::stop`].
    ///
    /// # Errors
    ///
    /// As [`ReconnectSender::stop`].
    pub fn stop(&self, frame: impl IntoClose) -> Result<(), Error> {
        self.sender().stop(frame)
    }

    /// Returns the stage.
    pub fn state(&self) -> ReconnectState {
        self.shared.link.state()
    }

    /// Returns the next message, from whatever connection. Returns `None` once the socket was stopped, or the peer has closed
    /// with the code 1000 or without one.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] once, if there will be no further attempt. After that it returns `None`.
    pub fn recv(&mut self) -> Result<Option<Message>, GaveUp> {
        loop {
            match self.recv_event()? {
                Some(ReconnectEvent::Message(message)) => return Ok(Some(message)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// As [`recv`](Self::recv), but also tells when a connection opens, when it is lost, and how long the next attempt waits.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_event(&mut self) -> Result<Option<ReconnectEvent>, GaveUp> {
        loop {
            if let Some(event) = self.machine.poll_event()? {
                return Ok(Some(event));
            }
            match self.machine.step() {
                Step::Connect => self.connect(),
                Step::Wait(until) => {
                    let wait = internal::within(self.stopped(), Clock::default(), Some(until));
                    match run(wait) {
                        None => self.machine.handle_timeout(),
                        Some(()) => self.end(),
                    }
                }
                Step::Receive => {
                    if let Some(message) = self.receive() {
                        return Ok(Some(ReconnectEvent::Message(message)));
                    }
                }
                Step::End => return Ok(None),
            }
        }
    }

    fn connect(&mut self) {
        if self.shared.link.is_stopped() {
            return self.end();
        }
        self.shared.link.set(ReconnectState::Connecting);
        let threads = Arc::new(Threads::default());
        *self.shared.connecting() = Some(threads.clone());
        let mut connecting = pin!(bind::connect(&*threads, self.to.clone()));
        let connected = threads.runner().run(poll_fn(|cx| {
            if let Poll::Ready(connected) = connecting.as_mut().poll(cx) {
                return Poll::Ready(Some(connected));
            }
            // This comes last, so that a call that stops the socket after it finds the transport that this thread waits for.
            self.shared.link.poll_stopped(cx).map(|()| None)
        }));
        let (inner, response) = match connected {
            None => return self.end(),
            Some(Err(error)) => return self.handle_outage(Outage::NotConnected(error), 0),
            Some(Ok(connected)) => connected,
        };
        self.machine.handle_open(Clock::default().now());
        let mut socket = WebSocket::new(inner, threads.runner().clone());
        if let Some(hook) = &self.hook
            && let Err(error) = hook(&mut socket)
        {
            return self.handle_outage(error.into(), 0);
        }
        *self.shared.connecting() = None;
        let (read, write) = socket.split();
        let write = Arc::new(write);
        if !self.shared.link.open(&write) {
            return self.end();
        }
        self.machine.handle_ready(response);
        self.open = Some((read, write));
    }

    /// Returns the next message of the connection, or `None` if there is none for now.
    fn receive(&mut self) -> Option<Message> {
        let (read, write) = self.open.as_mut()?;
        let received = match drain(&self.shared.link, write) {
            true => read.recv(),
            false => match read.recv_timeout(DRAIN) {
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Failed(error)) => Err(error),
                Ok(message) => Ok(message),
            },
        };
        if let Ok(Some(message)) = received {
            return Some(message);
        }
        let outage = outage_of(received, read.closed());
        let unsent = write.stats().dropped;
        self.open = None;
        self.handle_outage(outage, unsent);
        None
    }

    fn handle_outage(&mut self, outage: Outage, unsent: u64) {
        if self.shared.link.is_stopped() {
            return self.end();
        }
        self.machine
            .handle_outage(outage, unsent, Clock::default().now());
        self.shared.link.set(self.machine.step().into());
    }

    fn end(&mut self) {
        self.machine.handle_stop();
        self.shared.link.set(ReconnectState::Ended);
    }

    fn stopped(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| self.shared.link.poll_stopped(cx))
    }
}

/// Hands the messages of the queue to a connection, in order, as long as that has room. Returns whether none remain.
fn drain(link: &Link<WriteHalf<ClientStream>>, write: &WriteHalf<ClientStream>) -> bool {
    while let Some(message) = link.first() {
        match write.try_send(message) {
            Ok(()) => link.remove(),
            Err(TrySendError::Full(_)) => return false,
            // The call that receives reports why the connection takes no more.
            Err(TrySendError::Failed(_)) => return true,
        }
    }
    true
}

/// Senders learn that there will be no connection any more.
impl Drop for Reconnect {
    fn drop(&mut self) {
        self.shared.link.set(ReconnectState::Ended);
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("to", &self.to)
            .field("machine", &self.machine)
            .field("link", &self.shared.link)
            .finish_non_exhaustive()
    }
}

/// The sending direction of a [`Reconnect`]. Clones send over the same socket, from any number of threads.
#[derive(Clone, Debug)]
pub struct ReconnectSender(Arc<Shared>);

impl ReconnectSender {
    /// Sends a message over the current connection. If there is none, [`Offline`] decides.
    ///
    /// A message that was handed to a connection is never sent again.
    ///
    /// # Errors
    ///
    /// [`ReconnectSendError`]; all errors but `Failed` return the message.
    pub fn send(&self, message: impl Into<Outgoing>) -> Result<(), ReconnectSendError> {
        let mut message = message.into();
        loop {
            match self.0.link.route(message) {
                Route::Done(done) => return done,
                Route::Later(seen, again) => {
                    message = again;
                    run(poll_fn(|cx| self.0.link.poll_change(cx, seen)));
                }
                Route::Direct(half, again) => {
                    message = again;
                    match half.feed(message.clone()) {
                        Ok(()) => return half.flush().map_err(ReconnectSendError::Failed),
                        Err(error) => self.0.link.refused(&half, error)?,
                    }
                }
            }
        }
    }

    /// Stops the socket for ever. If there is a connection, runs the closing handshake, as [`WriteHalf::close`] does. A
    /// connection that is being made ends at once, and so do calls of `on_connect` over it. The call that receives returns `None`.
    ///
    /// # Errors
    ///
    /// Those of [`WriteHalf::close`].
    pub fn stop(&self, frame: impl IntoClose) -> Result<(), Error> {
        let half = self.0.link.stop();
        if let Some(threads) = self.0.connecting().take() {
            threads.runner().end();
        }
        match half {
            Some(half) => half.close(frame),
            None => Ok(()),
        }
    }

    /// Returns the stage.
    pub fn state(&self) -> ReconnectState {
        self.0.link.state()
    }

    /// Waits until the stage is another one than `state`, and returns it.
    pub fn state_change(&self, state: ReconnectState) -> ReconnectState {
        run(poll_fn(|cx| self.0.link.poll_state(cx, state)))
    }

    /// Returns the number of messages that wait for a connection ([`Offline::Queue`]).
    pub fn queued(&self) -> usize {
        self.0.link.queued()
    }
}

/// Runs a future that needs no transport.
fn run<F: Future>(future: F) -> F::Output {
    Runner::new(Clock::default()).run(future)
}
