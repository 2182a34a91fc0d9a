//! bowline-smol. Its timers are those of async-io, which keep real time, so all games are played at the
//! same time and wait together.

use std::{future::Future, sync::Arc, time::Duration};

use ::smol::{LocalExecutor, Timer};
use bind::{Connect, ConnectError, proto::Config};
use bowline_smol::{ClientStream, Incoming, Io, OptionalTls, WebSocket};
use testing::certificates;

use super::{Bench, url};
use crate::{
    pipe::{End, pipe},
    plan::{Fault, Plan},
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Smol {
    tls: bool,
}

impl Bench for Smol {
    type End = End;
    type Client = WebSocket<ClientStream<End>>;
    type Server = WebSocket<OptionalTls<Io<End>>>;
    type Incoming = Incoming<OptionalTls<Io<End>>>;

    const UNIT: Duration = Duration::from_millis(20);
    const HARMLESS: &'static [Fault] = &[Fault::Pending, Fault::Short];

    fn new(tls: bool) -> Self {
        Self { tls }
    }

    fn url(&self) -> &'static str {
        url(self.tls)
    }

    fn pipe(&self, capacity: usize, near: Plan, far: Plan) -> (End, End) {
        pipe(capacity, near, far)
    }

    async fn connect(&self, end: End, to: Connect) -> Result<Self::Client, ConnectError> {
        let connected = bowline_smol::connect_over(end, to.tls(certificates::shared().1)).await?;
        Ok(connected.0)
    }

    async fn accept(&self, end: End, config: &Arc<Config>) -> Result<Self::Incoming, String> {
        let tls = self.tls.then(|| certificates::shared().0);
        let accepted = bowline_smol::accept_tls(end, tls, config.clone()).await;
        accepted.map_err(|error| error.to_string())
    }

    async fn both<A, B>(&self, a: A, b: B) -> (A::Output, B::Output)
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        futures_util::future::join(a, b).await
    }

    async fn all<F>(self, games: Vec<F>) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        futures_util::future::join_all(games).await
    }

    async fn sleep(&self, time: Duration) {
        Timer::after(time).await;
    }

    fn now(&self) -> Option<Duration> {
        None
    }

    async fn play<F: Future<Output: Send> + Send>(&self, game: F) -> F::Output {
        game.await
    }

    fn run(games: Vec<impl Future<Output = ()> + Send>) {
        let executor = LocalExecutor::new();
        let games: Vec<_> = games.into_iter().map(|game| executor.spawn(game)).collect();
        ::smol::block_on(executor.run(async {
            for game in games {
                game.await;
            }
        }));
    }
}
