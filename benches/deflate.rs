//! permessage-deflate: the speed of compressing and inflating, the size of the results, and a
//! connection's memory.

use std::{error::Error, hint::black_box, path::Path};

use allocation_counter::measure;
use bowline_benches::{Report, is_whole, median};
use bytes::Buf;
use criterion::{BenchmarkId, Criterion, Throughput};
use proto::{
    Chunk, Config, Connection, EntropyError, Event, Message, Negotiated, Pull, Role,
    deflate::{Agreed, Deflate},
};

use cpu_time::CpuTime;
use json::json;

mod cpu_time;
mod json;

const SIZES: [(usize, &str); 3] = [(100, "100 B"), (1 << 10, "1 KiB"), (16 << 10, "16 KiB")];
/// The number of messages of each size. No two within a window are the same.
const MESSAGES: usize = 512;
const LEVELS: [u8; 2] = [1, 6];

fn main() -> Result<(), Box<dyn Error>> {
    let measured = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut criterion = CpuTime::criterion(&measured, 300, 1500, 30);
    let mut rows = Vec::new();
    for (size, label) in SIZES {
        let messages: Vec<Message> = (0..MESSAGES as u32)
            .map(|seed| json(size, seed).into())
            .collect();
        let plain = Way {
            level: 0,
            takeover: false,
        };
        let ways = LEVELS.iter().flat_map(|level| {
            [true, false].map(|takeover| Way {
                level: *level,
                takeover,
            })
        });
        for way in [plain].into_iter().chain(ways) {
            let wire = way.wire(&messages);
            let bytes: usize = wire.iter().map(Vec::len).sum();
            way.send(&mut criterion, size, &messages);
            way.receive(&mut criterion, size, &wire);
            rows.push((size, label, way, bytes));
        }
    }
    criterion.final_summary();
    if !is_whole() {
        return Ok(());
    }

    let about = "Compression: speed, size, memory";
    let mut report = Report::new("deflate", about, &["zlib-rs", "criterion"]);
    report.paragraph(
        "JSON in messages of three sizes, all different. MB of content for each second of CPU time, without a \
         transport: from `send` to the bytes to write, and from the bytes read to the message. The compressed \
         size counts whole frames.",
    );
    let (mut table, mut bars) = (Vec::new(), Vec::new());
    for (size, label, way, bytes) in rows {
        let label = format!("{label}, {}", way.name());
        let speed = |what: &str| -> Result<f64, Box<dyn Error>> {
            let nanos = median(&measured, what, &format!("{}/{size}", way.name()))?;
            Ok(size as f64 * 1000.0 / nanos)
        };
        let (send, receive) = (speed("send")?, speed("receive")?);
        if way.level > 0 {
            bars.push((label.clone(), send));
        }
        table.push([
            label,
            format!("{send:.0}"),
            format!("{receive:.0}"),
            format!("{:.0} %", bytes as f64 * 100.0 / (size * MESSAGES) as f64),
        ]);
    }
    report.table(["message", "send, MB/s", "receive, MB/s", "left"], &table);
    report.chart("Compressed and sent, MB/s", &bars)?;
    report.paragraph(
        "KiB held by each of 1,000 connections, including the connection and its `Config`, after it has sent \
         and received a message of 1 KiB. The pools of threads are not counted.",
    );
    report.table(["`Config::deflate`", "KiB"], &memory());
    report.finish()?;
    Ok(())
}

/// A way to compress messages; level 0 does not compress.
#[derive(Clone, Copy)]
struct Way {
    level: u8,
    takeover: bool,
}

impl Way {
    fn name(self) -> String {
        match (self.level, self.takeover) {
            (0, _) => "plain".into(),
            (level, true) => format!("level {level} with takeover"),
            (level, false) => format!("level {level} without"),
        }
    }

    fn end(self, role: Role) -> Connection {
        let mut options = Deflate::default();
        options.level = self.level;
        (options.send.takeover, options.recv.takeover) = (self.takeover, self.takeover);
        connection(role, (self.level > 0).then_some(options))
    }

    /// Returns the bytes written for each message.
    fn wire(self, messages: &[Message]) -> Vec<Vec<u8>> {
        let mut server = self.end(Role::Server);
        let write = |message: &Message| {
            let mut wire = Vec::new();
            write(&mut server, message, |bytes| wire.extend_from_slice(bytes));
            wire
        };
        messages.iter().map(write).collect()
    }

    fn send(self, criterion: &mut Criterion<CpuTime>, size: usize, messages: &[Message]) {
        let mut server = self.end(Role::Server);
        let mut next = messages.iter().cycle();
        let mut group = criterion.benchmark_group("send");
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new(self.name(), size), |bencher| {
            bencher.iter(|| {
                let message = next.next().expect("there is always one more");
                write(&mut server, message, |bytes| {
                    black_box(bytes);
                });
            });
        });
    }

    /// The messages repeat in a circle, so the first one refers to nothing before itself.
    fn receive(self, criterion: &mut Criterion<CpuTime>, size: usize, wire: &[Vec<u8>]) {
        let mut client = self.end(Role::Client);
        let mut next = wire.iter().cycle();
        let mut group = criterion.benchmark_group("receive");
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new(self.name(), size), |bencher| {
            bencher.iter(|| {
                let frame = next.next().expect("there is always one more");
                assert_eq!(read(&mut client, frame).len(), size);
            });
        });
    }
}

fn connection(role: Role, options: Option<Deflate>) -> Connection {
    let keys: fn(&mut [u8]) -> Result<(), EntropyError> = |bytes| {
        bytes.fill(0x5A);
        Ok(())
    };
    let mut config = Config::new(keys);
    config.deflate = options;
    let mut negotiated = Negotiated::default();
    negotiated.deflate = options.map(|options| Agreed {
        send: options.send,
        recv: options.recv,
    });
    Connection::new(role, negotiated, config)
}

fn write(conn: &mut Connection, message: &Message, mut write: impl FnMut(&[u8])) {
    conn.send(message.clone()).expect("it is open");
    while let Some(transmit) = conn.transmit() {
        write(transmit.chunk());
        transmit.advance(transmit.chunk().len());
        conn.handle_sent(true);
    }
}

fn read(conn: &mut Connection, mut wire: &[u8]) -> Message {
    loop {
        wire = &wire[conn.receive(wire)..];
        if let Some(event) = conn.poll_data(Pull::Messages).expect("it is valid") {
            let Event::Data(Chunk { data, .. }) = event else {
                panic!("{event:?}");
            };
            return data;
        }
    }
}

/// Returns what connections with different options hold between messages.
fn memory() -> Vec<[String; 2]> {
    let mut small = Deflate::default();
    (small.send.bits, small.memory_level) = (12, 5);
    let all = [
        ("`None`", None),
        ("`Deflate::default()`", Some(Deflate::default())),
        (
            "the same with `send.bits` 12, `memory_level` 5",
            Some(small),
        ),
        ("`Deflate::low_memory()`", Some(Deflate::low_memory())),
    ];
    // Each has a thread of its own, because the pool belongs to the thread.
    all.map(|(what, options)| {
        let measured = std::thread::spawn(move || held(options)).join();
        let held = measured.expect("nothing fails") as f64 / 1000.0;
        [what.to_owned(), format!("{:.1}", held / 1024.0)]
    })
    .into()
}

/// Returns the bytes that 1,000 connections hold.
fn held(options: Option<Deflate>) -> i64 {
    let message = json(1 << 10, 0).into();
    let mut wire = Vec::new();
    let mut peer = connection(Role::Client, options);
    write(&mut peer, &message, |bytes| wire.extend_from_slice(bytes));
    let open = || {
        let mut server = connection(Role::Server, options);
        write(&mut server, &message, |bytes| {
            black_box(bytes);
        });
        read(&mut server, &wire);
        // A driver also does this before it waits.
        assert_eq!(server.poll_data(Pull::Messages), Ok(None));
        server
    };
    // This fills the pool.
    drop(open());
    let mut connections = Vec::new();
    measure(|| connections.extend((0..1000).map(|_| open()))).bytes_current
}
