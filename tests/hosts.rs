//! The bindings as hosts of a server, for all tests that run servers.

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
pub trait Hosting: 'static {
    /// The host.
    type Host: ServerHost;

    /// Returns a host.
    fn host() -> Self::Host;

    /// Runs a server in a thread.
    fn serve(server: Server<Self::Host>) -> thread::JoinHandle<io::Result<()>>;

    /// Stops a server, and returns how many connections did not end by themselves.
    fn stop(tracker: &Tracker<Self::Host>, stop: Stop) -> usize;

    /// Returns how many tasks there are, besides threads.
    fn tasks() -> usize;
}

/// The binding for tokio, with a runtime of two threads.
#[derive(Debug)]
pub struct Tokio;

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

impl Hosting for Tokio {
    type Host = bowline_tokio::Tokio;

    fn host() -> Self::Host {
        bowline_tokio::Tokio
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

/// The binding for smol, with smol's own executor.
#[derive(Debug)]
pub struct Smol;

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

impl Hosting for Smol {
    type Host = bowline_smol::Smol<fn(Task)>;

    fn host() -> Self::Host {
        bowline_smol::Smol::new(spawn)
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

/// The binding for threads.
#[derive(Debug)]
pub struct Blocking;

impl Hosting for Blocking {
    type Host = bowline_blocking::Threads;

    fn host() -> Self::Host {
        bowline_blocking::Threads::default()
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
