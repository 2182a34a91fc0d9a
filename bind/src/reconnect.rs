//! A client whose connection comes back.

use std::{
    error, fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use proto::{Instant, IntoClose, Message, Outgoing, handshake::Response};

use crate::{
    client::{ClientStream, Connect, ConnectError, connect},
    error::Error,
    read_half::ReadHalf,
    runtime::SendNetwork,
    socket::WebSocket,
    transport::{Timer, Transport},
    write_half::WriteHalf,
};

mod backoff;
pub(crate) mod link;
pub(crate) mod machine;
mod offline;
pub(crate) mod outage;
mod sender;

pub use backoff::Backoff;
use link::Link;
use machine::{Machine, Step};
pub use machine::{ReconnectEvent, ReconnectState};
pub use offline::{Offline, ReconnectSendError};
use outage::outage_of;
pub use outage::{GaveUp, GiveUpReason, Outage};
pub use sender::ReconnectSender;

/// A client that connects again when its connection is lost.
///
/// [`recv`](Self::recv) does everything: it connects, waits, and receives. **Keep calling it**; while no call is pending,
/// no connection is made and no loss is noticed. All methods are cancel-safe. A [`sender`](Self::sender) sends from other
/// tasks.
///
/// Whether another attempt follows depends on the reason ([`Outage::is_transient`]), and when it does depends on a
/// [`Backoff`]. The guide "Reconnecting well" says what an application has to do by itself.
///
/// Dropping this ends the connection without a Close; call [`stop`](Self::stop) to end it properly.
pub struct Reconnect<N: SendNetwork> {
    network: Arc<N>,
    to: Connect,
    clock: N::Clock,
    machine: Machine,
    hook: Option<Hook<N::Stream>>,
    link: Arc<Link<WriteHalf<ClientStream<N::Stream>>>>,
    stage: Stage<N::Stream>,
}

type Socket<S> = WebSocket<ClientStream<S>>;
type Connected<S> = Result<(Socket<S>, Response), ConnectError>;
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Greeted<S> = Result<Socket<S>, Box<dyn error::Error + Send + Sync>>;
type Hook<S> = Box<dyn Fn(Socket<S>) -> Boxed<Greeted<S>> + Send + Sync>;

/// The work that the current step of the machine has begun.
enum Stage<S: Transport> {
    /// Nothing has begun.
    Idle,
    Connecting(Boxed<Connected<S>>),
    Greeting(Boxed<Greeted<S>>, Option<Response>),
    Open {
        read: ReadHalf<ClientStream<S>>,
        write: Arc<WriteHalf<ClientStream<S>>>,
        /// Hands the messages of the queue to the connection.
        draining: Option<Boxed<()>>,
    },
    Waiting(Instant),
}

impl<N: SendNetwork + Default> Reconnect<N> {
    /// Connects as `to` specifies, as often as that is needed. Nothing is done before the first call that receives.
    pub fn new(to: impl Into<Connect>) -> Self {
        Self::over(N::default(), to)
    }
}

impl<N: SendNetwork> Reconnect<N> {
    /// As [`new`](Self::new), over a given network.
    pub fn over(network: N, to: impl Into<Connect>) -> Self {
        let to = to.into();
        Self {
            clock: network.clock(),
            network: Arc::new(network),
            machine: Machine::new(&to),
            hook: None,
            link: Arc::new(Link::new(&to)),
            to,
            stage: Stage::Idle,
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
        self.link.set_offline(offline);
        self
    }

    /// Runs `hook` on each new connection before anything else is sent or received, for example to log in and to subscribe.
    /// It returns the socket that it was given.
    ///
    /// If it fails with an [`Error`], the connection counts as lost. If it fails with an error of its own, the socket gives
    /// up, unless [`retry_if`](Self::retry_if) decides otherwise. It has no deadline of its own, but the socket's keep-alive
    /// works while it receives.
    #[must_use]
    pub fn on_connect<F>(
        mut self,
        hook: impl Fn(Socket<N::Stream>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Greeted<N::Stream>> + Send + 'static,
    {
        self.hook = Some(Box::new(move |socket| Box::pin(hook(socket))));
        self
    }

    /// Returns the sending direction, for other tasks.
    pub fn sender(&self) -> ReconnectSender<ClientStream<N::Stream>> {
        ReconnectSender(self.link.clone())
    }

    /// Sends a message; see [`ReconnectSender::send`]. With [`Offline::Wait`] this would wait for ever without a
    /// connection, because only a call that receives connects.
    ///
    /// # Errors
    ///
    /// As [`ReconnectSender::send`].
    pub fn send<M: Into<Outgoing>>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<(), ReconnectSendError>> + use<N, M> {
        // The future does not borrow this, which only one thread at a time may use.
        let (sender, message) = (self.sender(), message.into());
        async move { sender.send(message).await }
    }

    /// Stops the socket; see [`ReconnectSender::stop`].
    ///
    /// # Errors
    ///
    /// As [`ReconnectSender::stop`].
    pub fn stop<F: IntoClose>(
        &self,
        frame: F,
    ) -> impl Future<Output = Result<(), Error>> + use<N, F> {
        let (sender, frame) = (self.sender(), frame.into_close());
        async move { sender.stop(frame).await }
    }

    /// Returns the stage.
    pub fn state(&self) -> ReconnectState {
        self.link.state()
    }

    /// Returns the next message, from whatever connection. Returns `None` once the socket was stopped, or the peer has closed
    /// with the code 1000 or without one.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] once, if there will be no further attempt. After that it returns `None`.
    pub async fn recv(&mut self) -> Result<Option<Message>, GaveUp> {
        loop {
            match self.recv_event().await? {
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
    pub async fn recv_event(&mut self) -> Result<Option<ReconnectEvent>, GaveUp> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ReconnectEvent>, GaveUp>> {
        loop {
            match self.machine.poll_event() {
                Ok(None) => {}
                event => return Poll::Ready(event),
            }
            if !matches!(self.stage, Stage::Open { .. }) && self.link.poll_stopped(cx).is_ready() {
                self.machine.handle_stop();
                self.link.set(ReconnectState::Ended);
                self.stage = Stage::Idle;
            }
            match &mut self.stage {
                Stage::Idle => match self.machine.step() {
                    Step::Connect => {
                        self.link.set(ReconnectState::Connecting);
                        self.stage = Stage::Connecting(self.connect());
                    }
                    Step::Wait(until) => self.stage = Stage::Waiting(until),
                    Step::End | Step::Receive => return Poll::Ready(Ok(None)),
                },
                Stage::Connecting(connecting) => match ready!(connecting.as_mut().poll(cx)) {
                    Ok((socket, response)) => {
                        self.machine.handle_open(self.clock.now());
                        let greeted = match &self.hook {
                            Some(hook) => hook(socket),
                            None => Box::pin(async { Ok(socket) }),
                        };
                        self.stage = Stage::Greeting(greeted, Some(response));
                    }
                    Err(error) => self.handle_outage(Outage::NotConnected(error), 0),
                },
                Stage::Greeting(greeting, response) => match ready!(greeting.as_mut().poll(cx)) {
                    Ok(socket) => {
                        let response = response.take();
                        self.open(socket, response);
                    }
                    Err(error) => self.handle_outage(error.into(), 0),
                },
                Stage::Waiting(until) => {
                    ready!(self.clock.poll_until(cx, *until));
                    self.machine.handle_timeout();
                    self.stage = Stage::Idle;
                }
                Stage::Open {
                    read,
                    write,
                    draining,
                } => {
                    if let Some(drain) = draining
                        && drain.as_mut().poll(cx).is_ready()
                    {
                        *draining = None;
                    }
                    let outage = match ready!(read.poll_recv(cx)) {
                        Ok(Some(message)) => {
                            let event = ReconnectEvent::Message(message);
                            return Poll::Ready(Ok(Some(event)));
                        }
                        end => outage_of(end, read.closed()),
                    };
                    let unsent = write.stats().dropped;
                    self.handle_outage(outage, unsent);
                }
            }
        }
    }

    fn connect(&self) -> Boxed<Connected<N::Stream>> {
        let (network, to) = (self.network.clone(), self.to.clone());
        Box::pin(async move { connect(&*network, to).await })
    }

    /// Begins to use a connection.
    fn open(&mut self, socket: Socket<N::Stream>, response: Option<Response>) {
        let (read, write) = socket.split();
        let write = Arc::new(write);
        if !self.link.open(&write) {
            return;
        }
        response
            .into_iter()
            .for_each(|it| self.machine.handle_ready(it));
        let draining: Boxed<()> = Box::pin(drain(self.link.clone(), write.clone()));
        self.stage = Stage::Open {
            read,
            write,
            draining: Some(draining),
        };
    }

    fn handle_outage(&mut self, outage: Outage, unsent: u64) {
        match self.link.is_stopped() {
            true => self.machine.handle_stop(),
            false => self.machine.handle_outage(outage, unsent, self.clock.now()),
        }
        self.link.set(self.machine.step().into());
        self.stage = Stage::Idle;
    }
}

/// Hands the messages of the queue to a connection, in order.
async fn drain<S: Transport>(link: Arc<Link<WriteHalf<S>>>, write: Arc<WriteHalf<S>>) {
    while let Some(message) = link.first() {
        // The call that receives reports why the connection takes no more.
        if write.feed(message).await.is_err() {
            return;
        }
        link.remove();
    }
    // An error is reported by the call that receives.
    let _ = write.flush().await;
}

/// Senders learn that there will be no connection any more.
impl<N: SendNetwork> Drop for Reconnect<N> {
    fn drop(&mut self) {
        self.link.set(ReconnectState::Ended);
    }
}

impl<N: SendNetwork> fmt::Debug for Reconnect<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("to", &self.to)
            .field("machine", &self.machine)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}
