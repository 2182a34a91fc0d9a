//! A binding over transports in memory, and the clock that it uses.

use std::{future::Future, sync::Arc, time::Duration};

use bind::{Connect, ConnectError, proto::Config};

use crate::{
    binding::{Incoming, Socket},
    plan::{Fault, Plan},
};

mod blocking;
mod smol;
mod tokio;

pub(crate) use blocking::Blocking;
pub(crate) use smol::Smol;
pub(crate) use tokio::Tokio;

/// A binding for one run of a scenario.
pub(crate) trait Bench: Clone + Send + Sync + 'static {
    type End: Send + 'static;
    type Client: Socket + Sync;
    type Server: Socket + Sync;
    type Incoming: Incoming<Socket = Self::Server>;

    /// A short time by this binding's clock.
    const UNIT: Duration;
    /// The faults that may happen at any time without any effect on the connection.
    const HARMLESS: &'static [Fault];

    fn new(tls: bool) -> Self;
    fn url(&self) -> &'static str;
    fn pipe(&self, capacity: usize, near: Plan, far: Plan) -> (Self::End, Self::End);

    fn connect(
        &self,
        end: Self::End,
        to: Connect,
    ) -> impl Future<Output = Result<Self::Client, ConnectError>> + Send;

    fn accept(
        &self,
        end: Self::End,
        config: &Arc<Config>,
    ) -> impl Future<Output = Result<Self::Incoming, String>> + Send;

    /// Runs two futures at the same time.
    fn both<A, B>(&self, a: A, b: B) -> impl Future<Output = (A::Output, B::Output)> + Send
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static;

    /// Runs all games at the same time.
    fn all<F>(self, games: Vec<F>) -> impl Future<Output = Vec<F::Output>> + Send + 'static
    where
        F: Future<Output: Send> + Send + 'static;

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Returns the time, if it only moves when everything waits.
    fn now(&self) -> Option<Duration>;

    /// Returns the output of `game`, unless it hangs.
    fn play<F: Future<Output: Send> + Send>(
        &self,
        game: F,
    ) -> impl Future<Output = F::Output> + Send;

    /// Runs games that are independent of each other.
    fn run(games: Vec<impl Future<Output = ()> + Send>);
}

const fn url(tls: bool) -> &'static str {
    if tls {
        "wss://localhost/"
    } else {
        "ws://localhost/"
    }
}
