//! bowline-tokio, on one thread, whose clock jumps to the next deadline when no task can go on.

use std::{future::Future, sync::Arc, time::Duration};

use ::tokio::{
    runtime::Builder,
    time::{self, Instant},
};
use bind::{Connect, ConnectError, proto::Config};
use bowline_tokio::{ClientStream, Incoming, Io, OptionalTls, WebSocket};
use testing::certificates;

use super::{Bench, url};
use crate::{
    pipe::{End, pipe},
    plan::{Fault, Plan},
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokio {
    tls: bool,
    began: Instant,
}

impl Bench for Tokio {
    type End = End;
    type Client = WebSocket<ClientStream<End>>;
    type Server = WebSocket<OptionalTls<Io<End>>>;
    type Incoming = Incoming<OptionalTls<Io<End>>>;

    const UNIT: Duration = Duration::from_secs(2);
    const HARMLESS: &'static [Fault] = &[Fault::Pending, Fault::Short];

    fn new(tls: bool) -> Self {
        let began = Instant::now();
        Self { tls, began }
    }

    fn url(&self) -> &'static str {
        url(self.tls)
    }

    fn pipe(&self, capacity: usize, near: Plan, far: Plan) -> (End, End) {
        pipe(capacity, near, far)
    }

    async fn connect(&self, end: End, to: Connect) -> Result<Self::Client, ConnectError> {
        let connected = bowline_tokio::connect_over(end, to.tls(certificates::shared().1)).await?;
        Ok(connected.0)
    }

    async fn accept(&self, end: End, config: &Arc<Config>) -> Result<Self::Incoming, String> {
        let tls = self.tls.then(|| certificates::shared().0);
        let accepted = bowline_tokio::accept_tls(end, tls, config.clone()).await;
        accepted.map_err(|error| error.to_string())
    }

    async fn both<A, B>(&self, a: A, b: B) -> (A::Output, B::Output)
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        ::tokio::join!(a, b)
    }

    async fn all<F>(self, games: Vec<F>) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        futures_util::future::join_all(games).await
    }

    async fn sleep(&self, time: Duration) {
        time::sleep(time).await;
    }

    fn now(&self) -> Option<Duration> {
        Some(self.began.elapsed())
    }

    async fn play<F: Future<Output: Send> + Send>(&self, game: F) -> F::Output {
        let played = time::timeout(Duration::from_secs(3600), game).await;
        played.expect("a task waits forever")
    }

    fn run(games: Vec<impl Future<Output = ()> + Send>) {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        for game in games {
            runtime.block_on(game);
        }
    }
}
