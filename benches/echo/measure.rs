//! Measures one round of one server, for each kind of row.

use std::{
    env, fs, io,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    frames::{Cycle, Load, Takeover},
    generator::{Enough, Generator},
    process::Process,
    rows::Measure,
    servers::{Kind, Server},
    upgrade,
};

/// The result of a round.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    /// The bytes that the server sent for each message.
    pub(crate) bytes: f64,
}

/// How long messages are sent while CPU time is measured.
const MEASURED: Duration = Duration::from_millis(150);

/// The number of connections whose memory is compared with that of a few.
const IDLE: usize = 2000;
/// Fewer connections are compared with compression, because its state is large.
const IDLE_DEFLATE: usize = 500;
const FEW: usize = 100;

impl Measure {
    /// # Errors
    ///
    /// If the server cannot be measured.
    pub(crate) fn round(self, server: &Server) -> io::Result<Sample> {
        let value = |value| Sample { value, bytes: 0.0 };
        match self {
            Self::Cpu(load) => cpu(server, &load),
            Self::Upgrade => upgrades(server).map(value),
            Self::Idle(compression) => idle(server, compression).map(value),
            Self::SystemCalls(load) => system_calls(server, &load).map(value),
            Self::Switches(load) => switches(server, &load).map(value),
            Self::Instructions(load) => instructions(server, &load).map(value),
        }
    }
}

fn start(server: &Server, compression: Option<Takeover>, under: &[&str]) -> io::Result<Process> {
    let compression = match compression {
        None => "plain",
        Some(true) => "takeover",
        Some(false) => "no-takeover",
    };
    Process::start(under, &["serve", server.name, compression])
}

fn cpu(server: &Server, load: &Load) -> io::Result<Sample> {
    let mut process = start(server, load.compression, &[])?;
    let mut generator = Generator::connect(process.addr, load, server.kind == Kind::Raw)?;
    warm_up(&mut generator, load)?;
    let before = process.cpu()?;
    let answered = generator.run(Enough::At(Instant::now() + MEASURED))?;
    let used = process.cpu()? - before;
    let messages = answered.messages as f64;
    Ok(Sample {
        value: used.as_secs_f64() * 1e6 / messages,
        bytes: answered.bytes as f64 / messages,
    })
}

fn upgrades(server: &Server) -> io::Result<f64> {
    let mut process = start(server, None, &[])?;
    let addr = process.addr;
    let open = |count| match server.kind {
        Kind::Raw => upgrade::connect(addr, count),
        _ => upgrade::upgrade(addr, count, None),
    };
    drop(open(FEW)?);
    let before = process.cpu()?;
    drop(open(IDLE)?);
    // The server may not have noticed the last closes yet.
    sleep(Duration::from_millis(50));
    let used = process.cpu()? - before;
    Ok(used.as_secs_f64() * 1e6 / IDLE as f64)
}

fn idle(server: &Server, compression: Option<Takeover>) -> io::Result<f64> {
    let process = start(server, compression, &[])?;
    let (count, size) = match compression {
        None => (IDLE, 16),
        Some(_) => (IDLE_DEFLATE, 512),
    };
    let open = |connections| {
        let load = Load {
            connections,
            size,
            depth: 1,
            text: true,
            compression,
        };
        let raw = server.kind == Kind::Raw;
        let mut generator = Generator::connect(process.addr, &load, raw)?;
        generator.run(Enough::Messages(connections))?;
        io::Result::Ok(generator)
    };
    let _few = open(FEW)?;
    let before = process.resident()?;
    let _many = open(count)?;
    let grown = process.resident()?.saturating_sub(before);
    Ok(grown as f64 / count as f64)
}

fn system_calls(server: &Server, load: &Load) -> io::Result<f64> {
    let process = start(server, load.compression, &[])?;
    let mut generator = Generator::connect(process.addr, load, server.kind == Kind::Raw)?;
    warm_up(&mut generator, load)?;
    let mut messages = 0;
    let calls = process.system_calls(|| {
        let answered = generator.run(Enough::At(Instant::now() + MEASURED))?;
        messages = answered.messages;
        Ok(())
    })?;
    Ok(calls as f64 / messages as f64)
}

fn switches(server: &Server, load: &Load) -> io::Result<f64> {
    let process = start(server, load.compression, &[])?;
    let mut generator = Generator::connect(process.addr, load, server.kind == Kind::Raw)?;
    warm_up(&mut generator, load)?;
    let before = process.switches()?;
    let answered = generator.run(Enough::At(Instant::now() + MEASURED))?;
    let switches = process.switches()? - before;
    Ok(switches as f64 * 1e3 / answered.messages as f64)
}

/// Returns the difference between two runs, which leaves out what a server does only once.
fn instructions(server: &Server, load: &Load) -> io::Result<f64> {
    let once = load.depth * load.connections;
    let short = once * (500 / once).max(10);
    let long = 5 * short;
    let more = instructions_of(server, load, long)? as f64;
    let less = instructions_of(server, load, short)? as f64;
    Ok((more - less) / (long - short) as f64)
}

/// Measures a server that gets this many messages in its life.
fn instructions_of(server: &Server, load: &Load, messages: usize) -> io::Result<u64> {
    let seen = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.out");
    let output = format!("--callgrind-out-file={}", seen.display());
    let callgrind = ["valgrind", "--tool=callgrind", &output];
    let process = start(server, load.compression, &callgrind)?;
    let mut generator = Generator::connect(process.addr, load, server.kind == Kind::Raw)?;
    generator.run(Enough::Messages(messages))?;
    process.end()?;
    let seen = fs::read_to_string(seen)?;
    let total = seen.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.parse().ok());
    total.ok_or_else(|| io::Error::other("callgrind counts nothing"))
}

/// How long a connection is used before anything is measured; each message is sent at least once.
fn warm_up(generator: &mut Generator, load: &Load) -> io::Result<()> {
    const AT_LEAST: Duration = Duration::from_millis(30);
    let start = Instant::now();
    generator.run(Enough::Messages(Cycle::length(load) * load.connections))?;
    generator.trust();
    generator.run(Enough::At(start + AT_LEAST)).map(drop)
}
