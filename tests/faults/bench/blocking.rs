//! bowline-blocking, in threads of a world with a clock of its own. A future here never waits, because
//! the calls in it block.

use std::{
    future::Future,
    io,
    net::Shutdown,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bind::{Connect, ConnectError, proto::Config};
use bowline_blocking::{
    BlockingTransport, ClientStream, Clock, Incoming, Io, OptionalTls, WebSocket,
};
use testing::{
    certificates,
    threads::{self, World},
};

use super::{Bench, url};
use crate::plan::{Call, Fault, Plan, Verdict, dead};

#[derive(Clone, Debug)]
pub(crate) struct Blocking {
    tls: bool,
    world: World,
}

impl Bench for Blocking {
    type End = End;
    type Client = WebSocket<ClientStream<End>>;
    type Server = WebSocket<OptionalTls<Io<End>>>;
    type Incoming = Incoming<OptionalTls<Io<End>>>;

    const UNIT: Duration = Duration::from_millis(200);
    const HARMLESS: &'static [Fault] = &[Fault::Pending, Fault::Short, Fault::Interrupted];

    fn new(tls: bool) -> Self {
        let world = World::default();
        Self { tls, world }
    }

    fn url(&self) -> &'static str {
        url(self.tls)
    }

    fn pipe(&self, capacity: usize, near: Plan, far: Plan) -> (End, End) {
        let (a, b) = self.world.pipe(capacity);
        (End::new(a, near), End::new(b, far))
    }

    async fn connect(&self, end: End, to: Connect) -> Result<Self::Client, ConnectError> {
        let connected = bowline_blocking::connect_over(end, to.tls(certificates::shared().1))?;
        Ok(connected.0)
    }

    async fn accept(&self, end: End, config: &Arc<Config>) -> Result<Self::Incoming, String> {
        let tls = self.tls.then(|| certificates::shared().0);
        bowline_blocking::accept_tls(end, tls, config.clone()).map_err(|error| error.to_string())
    }

    async fn both<A, B>(&self, a: A, b: B) -> (A::Output, B::Output)
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        let other = self.world.spawn(|| now(b));
        let a = now(a);
        (a, other.join())
    }

    async fn all<F>(self, games: Vec<F>) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let threads = games.into_iter().map(|game| self.world.spawn(|| now(game)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(threads::Handle::join).collect()
    }

    async fn sleep(&self, time: Duration) {
        self.world.sleep(time);
    }

    fn now(&self) -> Option<Duration> {
        Some(self.world.now())
    }

    async fn play<F: Future<Output: Send> + Send>(&self, game: F) -> F::Output {
        now(game)
    }

    fn run(games: Vec<impl Future<Output = ()> + Send>) {
        games.into_iter().for_each(now);
    }
}

/// Returns the output of a future whose calls block.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a future of the blocking binding waits"),
    }
}

/// One end of a pipe that fails as planned.
#[derive(Debug)]
pub(crate) struct End {
    inner: threads::End,
    plan: Plan,
}

impl End {
    fn new(inner: threads::End, plan: Plan) -> Self {
        plan.set_lives(true);
        Self { inner, plan }
    }

    fn call(
        &self,
        call: Call,
        go: impl FnOnce(&threads::End, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match self.plan.call(call) {
            Verdict::Go(most) => go(&self.inner, most),
            Verdict::Nothing => Ok(0),
            Verdict::Later => Err(io::ErrorKind::WouldBlock.into()),
            Verdict::Fail(kind) => Err(kind.into()),
            Verdict::Dead(fault) => {
                self.inner.shutdown(Shutdown::Both)?;
                dead(fault, call)
            }
        }
    }
}

impl BlockingTransport for End {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.call(Call::Read, |inner, most| {
            let most = most.min(buf.len());
            inner.read(&mut buf[..most])
        })
    }

    fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.call(Call::Read, |inner, most| {
            let most = most.min(buf.len());
            inner.read_now(&mut buf[..most])
        })
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.call(Call::Write, |inner, most| {
            inner.write(&bytes[..most.min(bytes.len())])
        })
    }

    fn flush(&self) -> io::Result<()> {
        self.call(Call::Flush, |_, _| Ok(0)).map(drop)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let set = |inner: &threads::End, _| inner.set_read_timeout(timeout).map(|()| 0);
        self.call(Call::SetTimeout, set).map(drop)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let set = |inner: &threads::End, _| inner.set_write_timeout(timeout).map(|()| 0);
        self.call(Call::SetTimeout, set).map(drop)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let ended = self.call(Call::Shutdown, |inner, _| inner.shutdown(how).map(|()| 0));
        if ended.is_err() && how == Shutdown::Both {
            // The system would end the transport even if it reports an error.
            self.inner.shutdown(how)?;
        }
        ended.map(drop)
    }

    fn clock(&self) -> Clock {
        self.inner.clock()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.plan.set_lives(false);
    }
}
