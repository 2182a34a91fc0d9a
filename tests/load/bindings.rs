//! The bindings as hosts of a server that echoes.

use std::{
    io,
    pin::Pin,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bind::{Server, ServerHost, Stop, Tracker};

/// A binding that hosts a server.
pub(crate) trait Binding: 'static {
    const NAME: &str;
    /// How much less is asked of a binding that needs a thread for each connection.
    const DIVISOR: usize = 1;

    /// The bytes for each socket by which the queues of the runtime differ after rounds of the same size.
    const QUEUES: usize = 0;

    type Host: ServerHost;

    fn host() -> Self::Host;

    /// Adds a handler for `/ws` that sends each message back.
    fn echo(server: Server<Self::Host>) -> Server<Self::Host>;

    /// Runs a server in a thread.
    fn serve(server: Server<Self::Host>) -> thread::JoinHandle<io::Result<()>>;

    fn stop(tracker: &Tracker<Self::Host>, stop: Stop) -> usize;

    /// Returns how many tasks there are, besides threads.
    fn tasks() -> usize;
}

/// Makes the handler of a binding. `$wait` is `await`, or nothing.
macro_rules! echo {
    ($server:ident, [$($mode:tt)*], [$($wait:tt)*]) => {
        $server.path("/ws", |mut socket, _| $($mode)* {
            while let Ok(Some(message)) = socket.recv()$($wait)* {
                if socket.send(message)$($wait)*.is_err() {
                    break;
                }
            }
        })
    };
}

pub(crate) struct Tokio;

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

impl Binding for Tokio {
    const NAME: &str = "tokio";

    type Host = bowline_tokio::Tokio;

    fn host() -> Self::Host {
        bowline_tokio::Tokio
    }

    fn echo(server: Server<Self::Host>) -> Server<Self::Host> {
        echo!(server, [async move], [.await])
    }

    fn serve(server: Server<Self::Host>) -> thread::JoinHandle<io::Result<()>> {
        thread::spawn(|| RUNTIME.block_on(server.serve()))
    }

    fn stop(tracker: &Tracker<Self::Host>, stop: Stop) -> usize {
        RUNTIME.block_on(tracker.stop(stop))
    }

    fn tasks() -> usize {
        RUNTIME.metrics().num_alive_tasks()
    }
}

pub(crate) struct Smol;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The tasks of smol, whose executor does not count them.
static TASKS: AtomicUsize = AtomicUsize::new(0);

/// Counts a task until it is dropped.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        TASKS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn spawn(task: Task) {
    TASKS.fetch_add(1, Ordering::Relaxed);
    let counted = Counted;
    let task = async move {
        task.await;
        drop(counted);
    };
    smol::spawn(task).detach();
}

impl Binding for Smol {
    const NAME: &str = "smol";
    const QUEUES: usize = 128;

    type Host = bowline_smol::Smol<fn(Task)>;

    fn host() -> Self::Host {
        bowline_smol::Smol::new(spawn)
    }

    fn echo(server: Server<Self::Host>) -> Server<Self::Host> {
        echo!(server, [async move], [.await])
    }

    fn serve(server: Server<Self::Host>) -> thread::JoinHandle<io::Result<()>> {
        thread::spawn(|| smol::block_on(server.serve()))
    }

    fn stop(tracker: &Tracker<Self::Host>, stop: Stop) -> usize {
        smol::block_on(tracker.stop(stop))
    }

    fn tasks() -> usize {
        TASKS.load(Ordering::Relaxed)
    }
}

pub(crate) struct Blocking;

impl Binding for Blocking {
    const NAME: &str = "blocking";
    const DIVISOR: usize = 10;

    type Host = bowline_blocking::Threads;

    fn host() -> Self::Host {
        bowline_blocking::Threads::default()
    }

    fn echo(server: Server<Self::Host>) -> Server<Self::Host> {
        echo!(server, [], [])
    }

    fn serve(server: Server<Self::Host>) -> thread::JoinHandle<io::Result<()>> {
        thread::spawn(|| server.serve())
    }

    fn stop(tracker: &Tracker<Self::Host>, stop: Stop) -> usize {
        tracker.stop(stop)
    }

    fn tasks() -> usize {
        0
    }
}
