//! The core without sockets: the time from bytes to messages and back, from 16 B to 1 MiB, in both
//! roles, and the time of its parts: masking, UTF-8 and the opening handshake. The feature `peers`
//! measures other libraries too.

use std::{env, error::Error, fs, io, path::Path, process::Command};

use bowline_benches::{Report, is_whole, median};
use criterion::BenchmarkId;
use tokio::runtime::Builder;

use cpu_time::CpuTime;

#[path = "core/codec.rs"]
mod codec;
mod cpu_time;
#[path = "core/floors.rs"]
mod floors;
#[path = "core/handshake.rs"]
mod handshake;
#[allow(dead_code, reason = "no bench uses all of it")]
mod memory;
mod opening;
#[path = "core/ours.rs"]
mod ours;
#[path = "core/parts.rs"]
mod parts;
#[cfg_attr(feature = "peers", path = "core/peers/mod.rs")]
#[cfg_attr(not(feature = "peers"), path = "core/absent.rs")]
mod peers;
mod wire;

/// A measurement, and its place on the page.
struct Cell {
    table: &'static str,
    row: &'static str,
    column: &'static str,
    /// The number of units, as named in the table, that one run of `Work` performs.
    times: usize,
    prepare: Box<dyn Fn() -> Work>,
}

type Work = Box<dyn FnMut()>;

impl Cell {
    /// Returns the filter for the row.
    fn filter(&self) -> String {
        format!("^{}/{}/", self.table, self.row)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let measured = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion-core");
    let cells = cells();
    if !is_whole() {
        measure(&measured, &cells)?;
        return Ok(());
    }
    // Old results must not be reported as new ones.
    let _ = fs::remove_dir_all(&measured);
    // Each row has a process of its own, because earlier allocations make a difference.
    let mut rows: Vec<String> = cells.iter().map(Cell::filter).collect();
    rows.dedup();
    for row in rows {
        let program = env::current_exe()?;
        let status = Command::new(program).args(["--bench", &row]).status()?;
        if !status.success() {
            return Err(format!("{row} failed").into());
        }
    }
    page(&measured, &cells)
}

fn measure(measured: &Path, cells: &[Cell]) -> io::Result<()> {
    let mut criterion = CpuTime::criterion(measured, 100, 400, 20).nresamples(1_000);
    // Some libraries need a runtime, although nothing here waits.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();

    for cell in cells {
        let id = BenchmarkId::new(cell.row, cell.column);
        let mut group = criterion.benchmark_group(cell.table);
        group.bench_function(id, |bencher| {
            let work = (cell.prepare)();
            bencher.iter(work);
        });
    }
    criterion.final_summary();
    Ok(())
}

fn cells() -> Vec<Cell> {
    let mut codecs = floors::codecs();
    codecs.extend(ours::codecs());
    codecs.extend(peers::codecs());
    let mut cells = codec::cells(&codecs);
    cells.extend(parts::cells());
    cells.extend(handshake::cells());
    cells
}

fn page(measured: &Path, cells: &[Cell]) -> Result<(), Box<dyn Error>> {
    let mut versions = vec!["bytes", "criterion", "tokio"];
    if cfg!(feature = "peers") {
        versions.extend([
            "fastwebsockets",
            "soketto",
            "sockudo-ws",
            "tokio-websockets",
            "tungstenite",
            "wtx",
            "yawc",
        ]);
    }
    let mut report = Report::new("core", "The core, without sockets", &versions);
    report.paragraph(
        "Median CPU time in ns. Messages come from memory and go to memory. One read returns what was asked \
         for, or what there is: 64 messages of 16 B or 1 KiB, 4 of 16 KiB, one of 1 MiB, or always one of 16 \
         B. As many messages are sent between flushes, if the library can postpone a flush. Text is ASCII.",
    );
    let mut tables: Vec<&str> = cells.iter().map(|cell| cell.table).collect();
    tables.dedup();
    for table in tables {
        let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.table == table).collect();
        let columns = distinct(cells.iter().map(|cell| cell.column));
        let mut rows = Vec::new();
        for name in distinct(cells.iter().map(|cell| cell.row)) {
            let mut row = vec![name.to_owned()];
            for column in &columns {
                let cell = cells
                    .iter()
                    .find(|cell| cell.row == name && cell.column == *column);
                row.push(match cell {
                    Some(cell) => {
                        let id = format!("{name}/{column}");
                        number(median(measured, table, &id)? / cell.times as f64)
                    }
                    None => "–".into(),
                });
            }
            rows.push(row);
        }
        for (about, goal) in codec::GOALS {
            if about == table {
                rows.push(
                    ["goal"]
                        .iter()
                        .chain(&goal)
                        .map(ToString::to_string)
                        .collect(),
                );
            }
        }
        report.paragraph(&format!("## {table}"));
        report.table([&[""], columns.as_slice()].concat(), &rows);
        if table == codec::CHART {
            let bar = |row: &Vec<String>| Some((row[0].clone(), row.get(2)?.parse().ok()?));
            let bars: Vec<(String, f64)> = rows.iter().filter_map(bar).collect();
            report.chart(&format!("{table}: ns for each of 64 × 16 B"), &bars)?;
        }
    }
    report.paragraph(
        "The rows by hand give each message memory of its own, and rely on valid input with one frame for \
         each message; they unmask and check with the functions of bowline-proto. No number includes waking a \
         task by a runtime: `bowline-tokio` and the other sockets are polled until they are done.",
    );
    for note in peers::NOTES {
        report.paragraph(note);
    }
    report.finish()?;
    Ok(())
}

fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

fn number(nanos: f64) -> String {
    let digits = usize::from(nanos < 10.0);
    format!("{nanos:.digits$}")
}
