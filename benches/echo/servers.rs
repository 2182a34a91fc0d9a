//! The servers there are: the floor of each runtime, ours, and the peers.

use std::{future::Future, io, net::TcpListener, sync::Arc, thread};

use crate::{floor, frames::Takeover, ours};

/// What sends back what it receives.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether it knows compression.
    pub(crate) deflate: bool,
    /// Serves until its process ends.
    pub(crate) serve: fn(TcpListener, Option<Takeover>) -> io::Result<()>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Kind {
    /// TCP and nothing else: the bytes come back as they are.
    Raw,
    /// Frames, and nothing that is not needed to send them back.
    Least,
    Ours,
    Peer,
}

/// Floors and ours, and then the peers, if they are compiled.
pub(crate) fn all() -> Vec<Server> {
    let server = |name, kind, deflate, serve| Server {
        name,
        kind,
        deflate,
        serve,
    };
    #[cfg_attr(not(feature = "peers"), allow(unused_mut))]
    let mut all = vec![
        server("tokio, TCP only", Kind::Raw, false, floor::tokio),
        server("tokio, least frames", Kind::Least, false, floor::frames),
        server("bowline-tokio", Kind::Ours, true, ours::tokio),
        server("smol, TCP only", Kind::Raw, false, floor::smol),
        server("bowline-smol", Kind::Ours, true, ours::smol),
        server("blocking, TCP only", Kind::Raw, false, floor::blocking),
        server("bowline-blocking", Kind::Ours, true, ours::blocking),
    ];
    #[cfg(feature = "peers")]
    all.extend(crate::peers::all());
    all
}

/// Each connection is a task of one thread.
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

pub(crate) fn on_smol<E, F>(listener: TcpListener, echo: E) -> io::Result<()>
where
    E: Fn(smol::net::TcpStream) -> F,
    F: Future<Output: Send> + Send + 'static,
{
    let executor = Arc::new(smol::Executor::new());
    smol::block_on(executor.run(async {
        let listener: smol::net::TcpListener = smol::Async::new(listener)?.into();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            executor.spawn(echo(stream)).detach();
        }
    }))
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
