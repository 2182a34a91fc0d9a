//! A binding over transports in memory, with the time it keeps.

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

/// For one run of a scenario.
pub(crate) trait Bench: Clone + Send + Sync + 'static {
    type End: Send + 'static;
    type Client: Socket + Sync;
    type Server: Socket + Sync;
    type Incoming: Incoming<Socket = Self::Server>;

    /// What lasts a moment here.
    const UNIT: Duration;
    /// What its transports may do at any time, and nobody notices.
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

    /// What both come to, at the same time.
    fn both<A, B>(&self, a: A, b: B) -> impl Future<Output = (A::Output, B::Output)> + Send
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static;

    /// What all come to, at the same time.
    fn all<F>(self, games: Vec<F>) -> impl Future<Output = Vec<F::Output>> + Send + 'static
    where
        F: Future<Output: Send> + Send + 'static;

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// The time, if it is one in which nobody waits for long.
    fn now(&self) -> Option<Duration>;

    /// What `game` comes to, unless it hangs.
    fn play<F: Future<Output: Send> + Send>(
        &self,
        game: F,
    ) -> impl Future<Output = F::Output> + Send;

    /// Runs games that do not know of each other.
    fn run(games: Vec<impl Future<Output = ()> + Send>);
}

const fn url(tls: bool) -> &'static str {
    if tls {
        "wss://localhost/"
    } else {
        "ws://localhost/"
    }
}
