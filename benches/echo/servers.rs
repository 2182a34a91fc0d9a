//! The servers: the floor of each runtime, Bowline, and the peers.

use std::{future::Future, io, net::TcpListener, sync::Arc, thread};

use crate::{floor, frames::Takeover, ours};

/// A server that echoes.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) runtime: Runtime,
    pub(crate) kind: Kind,
    pub(crate) deflate: Deflate,
    /// Why its connections and upgrades are not measured, if they are not.
    pub(crate) upgrade: Option<&'static str>,
    /// Serves until the process ends.
    pub(crate) serve: fn(TcpListener, Option<Takeover>) -> io::Result<()>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Kind {
    /// TCP alone: the bytes are sent back unchanged.
    Raw,
    /// Frames, with only the work that sending them back requires.
    Least,
    Ours,
    Peer,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Runtime {
    Tokio,
    Smol,
    /// One thread for each connection.
    Blocking,
}

/// The support for RFC 7692.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Deflate {
    None,
    #[cfg_attr(not(feature = "peers"), allow(dead_code))]
    WithoutTakeover,
    Full,
}

impl Server {
    pub(crate) fn new(
        name: &'static str,
        (runtime, kind, deflate): (Runtime, Kind, Deflate),
        serve: fn(TcpListener, Option<Takeover>) -> io::Result<()>,
    ) -> Self {
        Self {
            name,
            runtime,
            kind,
            deflate,
            upgrade: None,
            serve,
        }
    }
}

/// Returns the floors, Bowline, and the peers if they are compiled in.
pub(crate) fn all() -> Vec<Server> {
    use {Deflate::*, Kind::*, Runtime::*};
    #[cfg_attr(not(feature = "peers"), allow(unused_mut))]
    let mut all = vec![
        Server::new("tokio, TCP only", (Tokio, Raw, None), floor::tokio),
        Server::new("tokio, least frames", (Tokio, Least, None), floor::frames),
        Server::new("bowline-tokio", (Tokio, Ours, Full), ours::tokio),
        Server::new(
            "bowline-tokio, split",
            (Tokio, Ours, Full),
            ours::tokio_split,
        ),
        Server::new("smol, TCP only", (Smol, Raw, None), floor::smol),
        Server::new("bowline-smol", (Smol, Ours, Full), ours::smol),
        Server::new(
            "bowline-smol, own loop",
            (Smol, Ours, Full),
            ours::smol_in_turns,
        ),
        Server::new("blocking, TCP only", (Blocking, Raw, None), floor::blocking),
        Server::new("bowline-blocking", (Blocking, Ours, Full), ours::blocking),
    ];
    #[cfg(feature = "peers")]
    all.extend(crate::peers::all());
    all
}

/// Each connection is a task on one thread.
pub(crate) fn on_tokio<E, F>(listener: TcpListener, echo: E) -> io::Result<()>
where
    E: Fn(tokio::net::TcpStream) -> F,
    F: Future<Output: Send> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(echo(stream));
        }
    })
}

/// Each connection is a task on one thread, which polls the sockets when no task can go on, or after 200
/// tasks.
pub(crate) fn on_smol<E, F>(listener: TcpListener, echo: E) -> io::Result<()>
where
    E: Fn(smol::net::TcpStream) -> F,
    F: Future<Output: Send> + Send + 'static,
{
    let executor = Arc::new(smol::Executor::new());
    smol::block_on(executor.run(listen(listener, &executor, echo)))
}

/// The same, but polling the sockets after every few tasks: the crate docs of `bowline-smol` say why.
pub(crate) fn on_smol_in_turns<E, F>(listener: TcpListener, echo: E) -> io::Result<()>
where
    E: Fn(smol::net::TcpStream) -> F,
    F: Future<Output: Send> + Send + 'static,
{
    let executor = Arc::new(smol::Executor::new());
    let turns = async {
        loop {
            for _ in 0..TURN {
                executor.tick().await;
            }
            smol::future::yield_now().await;
        }
    };
    smol::block_on(smol::future::or(listen(listener, &executor, echo), turns))
}

/// The number of tasks that run between two polls of the sockets.
const TURN: usize = 8;

async fn listen<E, F>(
    listener: TcpListener,
    executor: &smol::Executor<'static>,
    echo: E,
) -> io::Result<()>
where
    E: Fn(smol::net::TcpStream) -> F,
    F: Future<Output: Send> + Send + 'static,
{
    let listener: smol::net::TcpListener = smol::Async::new(listener)?.into();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        executor.spawn(echo(stream)).detach();
    }
}

/// Each connection has a thread.
pub(crate) fn on_threads<T: Send + 'static>(
    listener: TcpListener,
    echo: impl Fn(std::net::TcpStream) -> T + Send + Sync + 'static,
) -> io::Result<()> {
    let echo = Arc::new(echo);
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let echo = echo.clone();
        thread::Builder::new().spawn(move || echo(stream))?;
    }
}
