//! The traits of a binding besides its transport: name resolution, connections and tasks.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, PoisonError, mpsc},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use proto::Config;

use crate::{
    sync::Mutex,
    transport::{AnyTransport, Timer, Transport},
};

/// A connection that is being made.
pub type Reaching<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// The means by which a binding reaches a server.
///
/// The futures are named types, so that a future built on them is `Send` exactly if they are.
pub trait Network {
    /// The clock by which connecting waits.
    type Clock: Timer;
    /// A TCP connection.
    type Tcp;
    /// The transport over a TCP connection.
    type Stream: Transport<Clock = Self::Clock>;
    /// A name that is being resolved.
    type Resolving: Future<Output = io::Result<Vec<SocketAddr>>>;
    /// A TCP connection that is being made. Several are made at once, and all but one of them are dropped.
    type Connecting: Future<Output = io::Result<Self::Tcp>> + Unpin;

    /// A connection that is not TCP: to a Unix socket, or from a [`Connector`](crate::Connector).
    type Other: 'static;

    /// Returns a clock that waits for nothing yet.
    fn clock(&self) -> Self::Clock;

    /// Fails if nothing can be waited for here, as far as the runtime can find that out beforehand.
    ///
    /// # Errors
    ///
    /// The reason.
    fn ready(&self) -> io::Result<()> {
        Ok(())
    }

    /// Returns the addresses of a host, each with this port. Dropping the future abandons the lookup.
    fn resolve(&self, host: String, port: u16) -> Self::Resolving;

    /// Makes a TCP connection to `addr`, with or without `TCP_NODELAY`. The caller drops the future after `time` at the
    /// latest. What still runs then, such as a thread, has to end by itself after `time`.
    fn connect(&self, addr: SocketAddr, nodelay: bool, time: Option<Duration>) -> Self::Connecting;

    /// Makes a transport of a TCP connection.
    fn stream(&self, tcp: Self::Tcp, config: &Config) -> Self::Stream;

    /// Connects to a Unix socket.
    fn unix(&self, path: PathBuf) -> Reaching<Self::Other> {
        drop(path);
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    /// Makes a transport of a connection that is not TCP.
    fn other(&self, other: Self::Other, config: &Config) -> AnyTransport<Self::Clock>;
}

/// A network whose connections may move between threads. Every network is one whose types all may.
pub trait SendNetwork:
    Network<
        Clock: Send + Sync,
        Tcp: Send,
        Stream: Send + Sync,
        Resolving: Send,
        Connecting: Send,
        Other: Send,
    > + Send
    + Sync
    + 'static
{
}

impl<N> SendNetwork for N where
    N: Network<
            Clock: Send + Sync,
            Tcp: Send,
            Stream: Send + Sync,
            Resolving: Send,
            Connecting: Send,
            Other: Send,
        > + Send
        + Sync
        + 'static
{
}

/// A binding that can also run tasks beside the caller.
pub trait Runtime: Network {
    /// Runs `task` to its end, whether or not the caller is still there.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>);
}

/// Fails if a new TCP connection leads from a port to the same port. If nothing listens on a port of this machine, and the
/// system happens to pick that port for the client's end, TCP connects the client to itself (RFC 9293 §3.5).
///
/// # Errors
///
/// [`io::ErrorKind::ConnectionRefused`].
pub fn refuse_itself(local: SocketAddr, peer: SocketAddr) -> io::Result<()> {
    if local == peer {
        let why = "nothing listens there, and the client would be connected to itself";
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, why));
    }
    Ok(())
}

/// Calls `f`, which blocks, in a thread of its own. If the future is dropped, the thread runs on, because nothing can
/// interrupt it.
pub fn in_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> InThread<T> {
    let (answer, answered) = mpsc::channel();
    let waker = Arc::new(Mutex::new(None));
    let wakes = Wakes(waker.clone());
    let spawned = thread::Builder::new().spawn(move || {
        // This is dropped last, even if `f` panics.
        let _wakes = wakes;
        let answer = answer;
        // This fails if the future was dropped.
        let _ = answer.send(f());
    });
    InThread {
        answered,
        waker,
        failed: spawned.err(),
    }
}

/// The future of [`in_thread`]. It fails if the thread could not be started or has panicked.
#[derive(Debug)]
pub struct InThread<T> {
    answered: mpsc::Receiver<T>,
    waker: Arc<Mutex<Option<Waker>>>,
    failed: Option<io::Error>,
}

impl<T> Future for InThread<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        // The waker is stored before the answer is looked for, so that a later wake reaches this task.
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        *waker = Some(cx.waker().clone());
        drop(waker);
        match self.answered.try_recv() {
            Ok(value) => Poll::Ready(Ok(value)),
            Err(mpsc::TryRecvError::Empty) => Poll::Pending,
            Err(mpsc::TryRecvError::Disconnected) => {
                Poll::Ready(Err(io::Error::other("a thread has panicked")))
            }
        }
    }
}

/// Wakes the waiting task when dropped.
struct Wakes(Arc<Mutex<Option<Waker>>>);

impl Drop for Wakes {
    fn drop(&mut self) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        waker.into_iter().for_each(Waker::wake);
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Thread(thread::Thread);

    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn wait<T>(mut future: InThread<T>) -> io::Result<T> {
        let waker = Waker::from(Arc::new(Thread(thread::current())));
        loop {
            match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return value,
                Poll::Pending => thread::park(),
            }
        }
    }

    #[test]
    fn what_a_thread_comes_to_wakes_the_task_that_waits() {
        let (go, goes) = mpsc::channel();
        let mut future = in_thread(move || goes.recv().unwrap());
        let polled = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        go.send(7).unwrap();
        assert_eq!(wait(future).unwrap(), 7);
    }

    #[test]
    fn a_thread_that_panics_is_an_error_and_not_a_hang() {
        let future = in_thread(|| -> () { std::panic::resume_unwind(Box::new("on purpose")) });
        assert!(wait(future).is_err());
    }

    /// This covers a lookup that hangs, which is abandoned at the deadline.
    #[test]
    fn nobody_waits_for_a_thread_whose_future_was_dropped() {
        let (go, goes) = mpsc::channel::<()>();
        drop(in_thread(move || goes.recv().is_err()));
        // This fails unless the thread was still waiting.
        go.send(()).unwrap();
    }
}
