//! One message to many connections, in memory: the time for each connection, and the memory held by one
//! whose reader has stalled.

use std::{
    error::Error,
    hint::black_box,
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use allocation_counter::measure;
use bowline_benches::{Report, is_whole, median};
use bowline_tokio::{Config, Io, Negotiated, Prepared, Role, TrySendError, WebSocket, from_parts};
use criterion::{BenchmarkId, Criterion, Throughput};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Builder,
};

use cpu_time::CpuTime;
use json::json;
#[cfg(feature = "peers")]
use peers::{FastWebSockets, Sinks};

mod cpu_time;
mod json;
#[cfg(feature = "peers")]
#[path = "broadcast/peers.rs"]
mod peers;

const CONNECTIONS: [usize; 2] = [1_000, 10_000];
/// One in this many connections has stalled; 0 means none.
const STALLED: [usize; 2] = [0, 10];
const SIZES: [(usize, &str); 2] = [(100, "100 B"), (4 << 10, "4 KiB")];
/// The number of messages that are sent to a connection whose reader has stalled.
const BEHIND: usize = 1_000;

/// A set of connections that can all be sent one message.
trait Broadcast {
    fn open(streams: Vec<Transport>) -> Self;

    /// Prepares `text` and sends it to all connections. Returns how many had no room for it.
    fn send(&mut self, text: &str) -> usize;
}

struct Ours {
    sockets: Vec<WebSocket<Io<Transport>>>,
    config: Arc<Config>,
}

impl Broadcast for Ours {
    fn open(streams: Vec<Transport>) -> Self {
        let config = Arc::new(Config::default());
        let open = |stream| {
            from_parts(
                stream,
                &[],
                Negotiated::default(),
                Role::Server,
                config.clone(),
            )
        };
        Self {
            sockets: streams.into_iter().map(open).collect(),
            config,
        }
    }

    fn send(&mut self, text: &str) -> usize {
        let message = Prepared::new(text.to_owned(), &self.config);
        let mut full = 0;
        for socket in &mut self.sockets {
            match socket.try_send(&message) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => full += 1,
                Err(error) => panic!("{error}"),
            }
        }
        full
    }
}

/// Takes everything that is written, or nothing if it is stalled. Reads never return anything.
struct Transport {
    stalled: bool,
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.stalled {
            true => Poll::Pending,
            false => Poll::Ready(Ok(black_box(bytes).len())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.stalled {
            true => Poll::Pending,
            false => Poll::Ready(Ok(black_box(slices).iter().map(|slice| slice.len()).sum())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Library {
    name: &'static str,
    speed: fn(&mut Criterion<CpuTime>, &str),
    behind: fn() -> i64,
}

impl Library {
    const fn new<B: Broadcast>(name: &'static str) -> Self {
        Self {
            name,
            speed: speed::<B>,
            behind: behind::<B>,
        }
    }
}

const LIBRARIES: &[Library] = &[
    Library::new::<Ours>("bowline-tokio"),
    #[cfg(feature = "peers")]
    Library::new::<Sinks<tokio_tungstenite::WebSocketStream<Transport>>>("tokio-tungstenite"),
    #[cfg(feature = "peers")]
    Library::new::<FastWebSockets>("fastwebsockets"),
    #[cfg(feature = "peers")]
    Library::new::<Sinks<tokio_websockets::WebSocketStream<Transport>>>("tokio-websockets"),
    #[cfg(feature = "peers")]
    Library::new::<Sinks<yawc::WebSocket<Transport>>>("yawc"),
    #[cfg(feature = "peers")]
    Library::new::<Sinks<sockudo_ws::WebSocketStream<Transport>>>("sockudo-ws"),
];

const VERSIONS: &[&str] = &[
    "criterion",
    #[cfg(feature = "peers")]
    "tokio-tungstenite",
    #[cfg(feature = "peers")]
    "fastwebsockets",
    #[cfg(feature = "peers")]
    "tokio-websockets",
    #[cfg(feature = "peers")]
    "yawc",
    #[cfg(feature = "peers")]
    "sockudo-ws",
];

fn speed<B: Broadcast>(criterion: &mut Criterion<CpuTime>, name: &str) {
    let mut group = criterion.benchmark_group("broadcast");
    for (size, _) in SIZES {
        let text = json(size, 0);
        for connections in CONNECTIONS {
            group.throughput(Throughput::Elements(connections as u64));
            for one_in in STALLED {
                let id = BenchmarkId::new(name, id(size, connections, one_in));
                let mut opened = None;
                group.bench_function(id, |bencher| {
                    let all = opened.get_or_insert_with(|| open::<B>(connections, one_in, &text));
                    bencher.iter(|| all.send(&text));
                });
            }
        }
    }
}

/// Opens connections, of which one in `one_in` has been stalled for so long that it has no more room.
fn open<B: Broadcast>(connections: usize, one_in: usize, text: &str) -> B {
    let stalled = |index: usize| one_in > 0 && index.is_multiple_of(one_in);
    let transport = |index| Transport {
        stalled: stalled(index),
    };
    let mut all = B::open((0..connections).map(transport).collect());
    let sends = if one_in > 0 { BEHIND } else { 1 };
    let full = (0..sends).map(|_| all.send(text)).last();
    let expected = (0..connections).filter(|index| stalled(*index)).count();
    assert_eq!(full, Some(expected), "no room for those, and for no other");
    all
}

fn id(size: usize, connections: usize, stalled: usize) -> String {
    format!("{size}-{connections}-{stalled}")
}

/// Returns by how many bytes a connection has grown since its reader stalled.
fn behind<B: Broadcast>() -> i64 {
    let mut one = B::open(vec![Transport { stalled: true }]);
    let text = json(SIZES[0].0, 0);
    let sent = measure(|| {
        for _ in 0..BEHIND {
            one.send(&text);
        }
    });
    sent.bytes_current
}

fn main() -> Result<(), Box<dyn Error>> {
    let measured = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut criterion = CpuTime::criterion(&measured, 300, 600, 20);
    // Tokio's sockets need timers.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    for library in LIBRARIES {
        (library.speed)(&mut criterion, library.name);
    }
    criterion.final_summary();
    if !is_whole() {
        return Ok(());
    }

    let about = "One message to many connections";
    let mut report = Report::new("broadcast", about, VERSIONS);
    report.paragraph(
        "Nanoseconds of CPU time for each connection, in memory, including the preparation of the message. \
         The transports take everything at once; where one in ten has stalled, the stalled ones take nothing. \
         Ours is `try_send(&Prepared)`, which skips connections without room. The other libraries send a \
         clone of the message on each connection, and are polled once.",
    );
    let mut table = Vec::new();
    let mut charts = Vec::new();
    for (size, label) in SIZES {
        for connections in CONNECTIONS {
            for stalled in STALLED {
                let what = match stalled {
                    0 => format!("{label} to {connections}"),
                    _ => format!("{label} to {connections}, 1 in {stalled} stalled"),
                };
                let (mut row, mut bars) = (vec![what.clone()], Vec::new());
                for Library { name, .. } in LIBRARIES {
                    let id = format!("{name}/{}", id(size, connections, stalled));
                    let nanos = median(&measured, "broadcast", &id)? / connections as f64;
                    row.push(format!("{nanos:.0}"));
                    bars.push(((*name).to_owned(), nanos));
                }
                table.push(row);
                charts.push((what, bars));
            }
        }
    }
    let names = LIBRARIES.iter().map(|library| library.name);
    let head: Vec<_> = ["message"].into_iter().chain(names).collect();
    report.table(&head, &table);
    for (what, bars) in charts {
        report.chart(&format!("{what}: ns of CPU for each connection"), &bars)?;
    }
    report.paragraph(&format!(
        "Bytes held by a connection that was sent {BEHIND} messages of {} and whose reader took none.",
        SIZES[0].1,
    ));
    let behind = LIBRARIES
        .iter()
        .map(|library| [library.name.to_owned(), (library.behind)().to_string()]);
    report.table(["library", "bytes"], &behind.collect::<Vec<_>>());
    report.finish()?;
    Ok(())
}
