//! Instructions for each message, counted by callgrind. They do not depend on the load of the machine,
//! so a change of a few per cent shows. Needs valgrind, and `cargo install gungraun-runner` in the
//! version of gungraun in `Cargo.lock`.

use std::{collections::HashMap, env, error::Error, fs, path::Path, process::Command};

use bowline_benches::{Report, committed, is_whole, version};
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group};
use proto::{
    Kind::{self, Binary, Text},
    Negotiated,
    Role::{self, Client, Server},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};

use memory::Memory;
use wire::{End, config, frames, message};

mod accepting;
#[allow(dead_code, reason = "no bench uses all of it")]
mod memory;
mod opening;
mod wire;

fn main() -> Result<(), Box<dyn Error>> {
    // When it is run by the runner or under valgrind, gungraun takes over.
    if env::args().any(|arg| arg.starts_with("--home=") || arg == "--gungraun-run") {
        counted::run();
        return Ok(());
    }
    if let Err(missing) = tools() {
        println!("No instructions were counted: {missing}.");
        return Ok(());
    }
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gungraun");
    let _ = fs::remove_dir_all(&home);
    let status = Command::new(env::current_exe()?)
        .args(env::args().skip(1))
        .arg(format!("--home={}", home.display()))
        .arg("--save-summary=json")
        .status()?;
    if !status.success() {
        return Err("the runner failed".into());
    }
    if is_whole() {
        page(&home)?;
    }
    Ok(())
}

/// Returns an error that names the missing tool.
fn tools() -> Result<(), String> {
    let answer = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    answer("valgrind").map_err(|_| "valgrind is not installed")?;
    let wanted = version("gungraun");
    match answer("gungraun-runner") {
        Ok(found) if found.contains(&wanted) => Ok(()),
        _ => Err(format!(
            "`cargo install gungraun-runner --version {wanted}` comes first"
        )),
    }
}

fn page(home: &Path) -> Result<(), Box<dyn Error>> {
    let before = before();
    let about = "Instructions for each message";
    let mut report = Report::new("instructions", about, &["gungraun", "tokio"]);
    report.paragraph(
        "Instructions in user space. `64 × 16 B` means 64 messages that arrive in one read, or are queued before \
         one write; 1 MiB arrives in reads of 128 KiB. The copy that simulates the read is counted. A handshake \
         row is one handshake, with a browser's request. Messages from a client are masked. `before` is the figure \
         of this page in the last commit; another compiler or another valgrind changes it as well.",
    );
    let mut rows = Vec::new();
    for (index, case) in cases().into_iter().enumerate() {
        let each = (count(home, index)? as f64 / (case.rounds * case.batch) as f64).round();
        let (old, change) = match before.get(&case.label) {
            Some(old) => (
                old.to_string(),
                format!("{:+.1} %", (each / old - 1.0) * 100.0),
            ),
            None => ("–".into(), "–".into()),
        };
        rows.push([case.label, each.to_string(), old, change]);
    }
    report.table(["work", "instructions", "before", "change"], &rows);
    report.finish()?;
    Ok(())
}

/// Returns the committed page's number for each case.
fn before() -> HashMap<String, f64> {
    let page = committed("instructions");
    let row = |line: &str| {
        let mut cells = line.split('|').skip(1).map(str::trim);
        Some((cells.next()?.to_owned(), cells.next()?.parse().ok()?))
    };
    page.lines().filter_map(row).collect()
}

/// Returns the count of the case at `index`.
fn count(home: &Path, index: usize) -> Result<u64, Box<dyn Error>> {
    let summary = home.join(format!(
        "bowline-benches/instructions/counted/messages/work.of_{index}/summary.json"
    ));
    let summary: serde_json::Value = serde_json::from_str(&fs::read_to_string(summary)?)?;
    let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new");
    Ok(count
        .and_then(serde_json::Value::as_u64)
        .ok_or("the runner's summary has another form")?)
}

/// The code that gungraun generates.
#[allow(missing_docs, reason = "of what its macros make")]
mod counted {
    use super::*;

    /// The processor's own copy (`rep movsb`) would count as one instruction for each byte.
    const COPIES: &str = "glibc.cpu.x86_rep_movsb_threshold=0x7fffffffffff:\
                          glibc.cpu.x86_rep_stosb_threshold=0x7fffffffffff";

    #[library_benchmark]
    #[benches::of(iter = cases(), setup = Warm::up)]
    fn work(mut warm: Warm) -> Warm {
        (warm.work)(warm.rounds);
        warm
    }

    library_benchmark_group!(
        name = messages,
        config = LibraryBenchmarkConfig::default()
            .tool(Callgrind::with_args(["--cache-sim=no"]))
            .env("GLIBC_TUNABLES", COPIES),
        benchmarks = work
    );
    gungraun::main!(library_benchmark_groups = messages);

    pub(super) fn run() {
        main();
    }
}

/// Repeats the work this many times.
type Work = Box<dyn FnMut(usize)>;

struct Case {
    label: String,
    rounds: usize,
    /// The number of messages in a round.
    batch: usize,
    prepare: Box<dyn Fn() -> Work>,
}

/// Work that has made its one-time allocations.
struct Warm {
    work: Work,
    rounds: usize,
}

impl Warm {
    fn up(case: Case) -> Self {
        let mut work = (case.prepare)();
        work(1);
        Self {
            work,
            rounds: case.rounds,
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case =
        |label: &str, role, size: usize, batch: usize, prepare: Box<dyn Fn() -> Work>| {
            cases.push(Case {
                label: format!("{label}, {}", name(role, size, batch)),
                rounds: ((32 << 20) / (size * batch)).clamp(1, 32),
                batch,
                prepare,
            });
        };
    for (role, size, batch) in [
        (Server, 16, 64),
        (Server, 16, 1),
        (Server, 1 << 10, 1),
        (Server, 16 << 10, 1),
        (Server, 1 << 20, 1),
        (Client, 16, 64),
        (Client, 16, 1),
        (Client, 16 << 10, 1),
    ] {
        for (kind, label) in [(Text, "decode text"), (Binary, "decode binary")] {
            let prepare = move || decode(role, kind, size, batch);
            case(label, role, size, batch, Box::new(prepare));
        }
    }
    for role in [Server, Client] {
        for size in [16, 1 << 10, 1 << 20] {
            for batch in [1, 64] {
                let prepare = move || encode(role, size, batch);
                case("encode", role, size, batch, Box::new(prepare));
            }
        }
    }
    for (label, prepare) in [
        ("echo in the core", echo_in_core as fn(usize) -> Work),
        ("echo on tokio", echo_on_tokio),
        ("the same bytes on tokio, without WebSocket", bytes_on_tokio),
    ] {
        for batch in [1, 64] {
            case(label, Server, 16, batch, Box::new(move || prepare(batch)));
        }
    }
    for (label, prepare) in [
        (
            "opening handshake, server",
            opening::server as fn() -> Box<dyn FnMut()>,
        ),
        ("opening handshake, client", opening::client),
        ("a client is let in, by a bare accept loop", accepting::bare),
        (
            "a client is let in, by a server with every limit",
            accepting::limited,
        ),
    ] {
        cases.push(Case {
            label: label.into(),
            rounds: 32,
            batch: 1,
            prepare: Box::new(move || {
                let mut open = prepare();
                Box::new(move |rounds| (0..rounds).for_each(|_| open()))
            }),
        });
    }
    cases
}

fn name(role: Role, size: usize, batch: usize) -> String {
    let size = match size {
        0..0x400 => format!("{size} B"),
        0x400..0x10_0000 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    };
    let role = format!("{role:?}").to_lowercase();
    format!("{role}, {batch} × {size}")
}

fn decode(role: Role, kind: Kind, size: usize, batch: usize) -> Work {
    let mut memory = Memory::new(frames(role, &message(kind, size), batch));
    let mut end = End::new(role);
    Box::new(move |rounds| {
        let mut left = rounds * batch;
        while left > 0 {
            end.read(&mut memory, |_, message| {
                drop(message);
                left -= 1;
            });
        }
    })
}

fn encode(role: Role, size: usize, batch: usize) -> Work {
    let memory = Memory::new([].as_slice());
    let message = message(Text, size);
    let mut end = End::new(role);
    Box::new(move |rounds| {
        for _ in 0..rounds {
            for _ in 0..batch {
                end.send(message.clone());
            }
            end.write(&memory);
        }
    })
}

fn echo_in_core(batch: usize) -> Work {
    let mut memory = sixteen(batch);
    let mut end = End::new(Server);
    Box::new(move |rounds| {
        for _ in 0..rounds {
            end.read(&mut memory, End::send);
            end.write(&memory);
        }
    })
}

fn echo_on_tokio(batch: usize) -> Work {
    let runtime = runtime();
    let memory = sixteen(batch).resting();
    let negotiated = Negotiated::default();
    let mut socket = bowline_tokio::from_parts(memory, &[], negotiated, Server, config());
    Box::new(move |rounds| {
        runtime.block_on(async {
            for _ in 0..rounds * batch {
                let message = socket.recv().await.expect("it is valid");
                let message = message.expect("there is always one more");
                socket.feed(message).await.expect("it is open");
            }
        });
    })
}

/// The runtime and the transport alone.
fn bytes_on_tokio(batch: usize) -> Work {
    let runtime = runtime();
    let mut memory = sixteen(batch).resting();
    let mut buf = vec![0; 4 << 10];
    Box::new(move |rounds| {
        runtime.block_on(async {
            for _ in 0..rounds {
                let len = AsyncReadExt::read(&mut memory, &mut buf).await;
                let len = len.expect("it never fails");
                let written = memory.write_all(&buf[..len]).await;
                written.expect("it never fails");
            }
        });
    })
}

fn sixteen(batch: usize) -> Memory {
    Memory::new(frames(Server, &message(Text, 16), batch))
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("it can be built")
}
