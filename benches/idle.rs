//! The memory of an idle connection on tokio (its task, its socket's registration and its timer), and
//! that of the floor, before an echo, after an echo, and after a large message.

use std::{
    env,
    error::Error,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    pin::pin,
    sync::Arc,
    task::Context,
    time::Duration,
};

use allocation_counter::measure;
use bowline_benches::{Report, is_whole};
use bowline_tokio::{Config, accept_any};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
    time::sleep,
};

use frames::Load;
use generator::{Enough, Generator};
use process::Process;

#[path = "echo/bare.rs"]
mod bare;
// These modules contain more than is needed here.
#[allow(dead_code)]
#[path = "echo/frames.rs"]
mod frames;
#[allow(dead_code)]
#[path = "echo/generator.rs"]
mod generator;
mod json;
#[allow(dead_code)]
#[path = "echo/process.rs"]
mod process;
#[path = "echo/upgrade.rs"]
mod upgrade;

/// The number of connections to measure, if the system allows so many, and of those that are open before
/// and are not counted.
const MANY: usize = 10_000;
const FEW: usize = 100;
/// The sizes of the small and the large message.
const SIZES: [usize; 2] = [16, 64 << 10];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Stream,
    StreamAndSleep,
    Ours,
}

const KINDS: [(&str, Kind); 3] = [
    ("a task with a `TcpStream`", Kind::Stream),
    (
        "a task with a `TcpStream` and a `Sleep`",
        Kind::StreamAndSleep,
    ),
    ("bowline-tokio", Kind::Ours),
];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [first, name] = &args[..]
        && first == "serve"
    {
        let found = KINDS.iter().find(|(kind, _)| kind == name);
        let (_, kind) = found.ok_or("no such server")?;
        return Ok(serve(*kind)?);
    }
    let mut report = Report::new("idle", "What an idle connection holds", &["tokio"]);
    // The server is another process, with as many descriptors of its own.
    let many = MANY.min(process::many_files()?.saturating_sub(2 * FEW));
    process::pin(0)?;
    let mut rows = Vec::new();
    for (name, kind) in KINDS {
        if args.iter().all(|word| name.contains(word.as_str())) {
            let held = held(name, kind, many)?;
            println!("{name}: {held:?}");
            let cells = held
                .into_iter()
                .flat_map(|held| [held.resident, held.allocated]);
            rows.push(
                [
                    vec![name.into()],
                    cells.map(|bytes| bytes.to_string()).collect(),
                ]
                .concat(),
            );
        }
    }
    if !is_whole() {
        return Ok(());
    }
    report.paragraph(&format!(
        "Bytes for each of {many} connections to one process with one thread: once they are open, after each \
         has answered {} bytes, and after each has answered {} KiB, 50 at a time. Resident is by how much the \
         process has grown for the system; allocated is the memory that was allocated and not freed. {FEW} \
         connections were open before, so that shared memory is not counted. The floors do not speak \
         WebSocket, and lend one buffer for each read.",
        SIZES[0],
        SIZES[1] >> 10,
    ));
    let head = [
        "server",
        "open: resident",
        "allocated",
        "after an echo: resident",
        "allocated",
        "after 64 KiB: resident",
        "allocated",
    ];
    report.table(head, &rows);
    report.finish()?;
    Ok(())
}

/// The bytes that a connection holds.
#[derive(Debug)]
struct Held {
    resident: i64,
    allocated: i64,
}

/// Returns the bytes of a connection when they are open, and after a message of each size.
fn held(name: &str, kind: Kind, many: usize) -> io::Result<Vec<Held>> {
    let process = Process::start(&[], &["serve", name])?;
    let mut control = TcpStream::connect(process.addr)?;
    let open = |count| match kind {
        Kind::Ours => upgrade::upgrade(process.addr, count, None),
        _ => upgrade::connect(process.addr, count),
    };
    let mut few = open(FEW)?;
    for size in SIZES {
        few = echo(few, size, kind)?;
    }
    let mut look = || {
        let resident = process.resident()? as i64;
        control.write_all(b"?")?;
        let mut allocated = [0; 8];
        control.read_exact(&mut allocated)?;
        io::Result::Ok((resident, i64::from_le_bytes(allocated)))
    };
    let before = look()?;
    let mut grown = || {
        let now = look()?;
        io::Result::Ok(Held {
            resident: (now.0 - before.0) / many as i64,
            allocated: (now.1 - before.1) / many as i64,
        })
    };
    let mut streams = open(many)?;
    let mut all = vec![grown()?];
    for size in SIZES {
        streams = echo(streams, size, kind)?;
        all.push(grown()?);
    }
    Ok(all)
}

/// Sends a message of `size` bytes on each connection, on 50 at a time.
fn echo(streams: Vec<TcpStream>, size: usize, kind: Kind) -> io::Result<Vec<TcpStream>> {
    let mut waiting = streams.into_iter();
    let mut done = Vec::with_capacity(waiting.len());
    while waiting.len() > 0 {
        let some: Vec<_> = waiting.by_ref().take(50).collect();
        let load = Load {
            connections: some.len(),
            size,
            depth: 1,
            text: true,
            compression: None,
        };
        let mut generator = Generator::new(some, &load, kind != Kind::Ours)?;
        generator.run(Enough::Messages(load.connections))?;
        done.append(&mut generator.into_streams());
    }
    Ok(done)
}

/// Serves. Each byte on the first connection asks how much is allocated.
fn serve(kind: Kind) -> io::Result<()> {
    let listener = process::listen()?;
    let (control, _) = listener.accept()?;
    control.set_nonblocking(true)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut control = runtime.block_on(async { tokio::net::TcpStream::from_std(control) })?;
    runtime.spawn(accept(listener, kind));
    let mut allocated = 0;
    loop {
        let mut asked = Ok(0);
        // All tasks run inside this call.
        let run = || asked = runtime.block_on(control.read_u8());
        allocated += measure(run).bytes_current;
        asked?;
        runtime.block_on(control.write_all(&allocated.to_le_bytes()))?;
    }
}

async fn accept(listener: TcpListener, kind: Kind) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let config = Arc::new(Config::default());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let config = config.clone();
        match kind {
            Kind::Stream => drop(tokio::spawn(bare::echo(stream, |_| ()))),
            Kind::StreamAndSleep => drop(tokio::spawn(async {
                let mut sleep = pin!(sleep(Duration::from_secs(3600)));
                let mut armed = |cx: &mut Context<'_>| {
                    let _ = sleep.as_mut().poll(cx);
                };
                bare::echo(stream, &mut armed).await
            })),
            Kind::Ours => drop(tokio::spawn(async move {
                let mut socket = accept_any(stream, config).await?;
                while let Some(message) = socket.recv().await? {
                    socket.feed(message).await?;
                }
                Ended::Ok(())
            })),
        }
    }
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;
