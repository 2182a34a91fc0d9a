//! Reports the results, as one line each and as a page.

use std::io;

use bowline_benches::Report;

use crate::{
    Measured,
    measure::Sample,
    rows::{Measure, ROWS, Row},
    servers::{Kind, Server},
};

const VERSIONS: &[&str] = &[
    "tokio",
    "smol",
    #[cfg(feature = "peers")]
    "tokio-tungstenite",
    #[cfg(feature = "peers")]
    "fastwebsockets",
    #[cfg(feature = "peers")]
    "tokio-websockets",
    #[cfg(feature = "peers")]
    "soketto",
    #[cfg(feature = "peers")]
    "yawc",
    #[cfg(feature = "peers")]
    "wtx",
    #[cfg(feature = "peers")]
    "sockudo-ws",
];

/// Returns the median of the samples.
fn median(samples: &Result<Vec<Sample>, String>) -> Option<Sample> {
    let mut samples = samples.as_ref().ok()?.clone();
    samples.sort_by(|one, other| one.value.total_cmp(&other.value));
    samples.get(samples.len() / 2).copied()
}

pub(crate) fn print(row: &Row, server: &Server, samples: &Result<Vec<Sample>, String>) {
    let result = match samples {
        Err(reason) => format!("– ({reason})"),
        Ok(all) => {
            let all: Vec<_> = all.iter().map(|sample| number(sample.value)).collect();
            let middle = median(samples).map_or(0.0, |sample| sample.value);
            match row.measure.compression().zip(median(samples)) {
                Some((_, Sample { bytes, .. })) if bytes > 0.0 => {
                    format!("{} ({}), {bytes:.0} bytes", number(middle), all.join(" "))
                }
                _ => format!("{} ({})", number(middle), all.join(" ")),
            }
        }
    };
    println!("{:<32} {:<28} {result}", row.name, server.name);
}

/// Formats three significant digits, or all digits before the point.
fn number(value: f64) -> String {
    match value {
        ..1.0 => format!("{value:.3}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

pub(crate) fn new() -> Report {
    Report::new(
        "echo",
        "Echo over loopback: CPU, instructions, memory",
        VERSIONS,
    )
}

/// Writes the page and its chart.
pub(crate) fn keep(mut report: Report, servers: &[Server], measured: &Measured) -> io::Result<()> {
    report.paragraph(
        "The server is a process on a core of its own, and the load generator is on another; both send whole \
         messages, and the generator checks them. One thread serves all connections, except for blocking, \
         where each connection has a thread. `TCP_NODELAY` is set. Rows are connections x message size, and \
         depth is the number of messages that a connection sends before it waits for their answers. Values \
         are the median of five rounds, or of three for compression and upgrades. Each round measures every \
         row of every server, so that a temporary disturbance of the machine spoils few rounds of many rows.",
    );
    #[cfg(feature = "peers")]
    report.paragraph(crate::peers::NOTES);
    goals(&mut report, servers, measured);
    report.paragraph(
        "Microseconds of the server's CPU time, including the system's, for each message.",
    );
    table(
        &mut report,
        servers,
        measured,
        |row| matches!(row.measure, Measure::Cpu(load) if load.compression.is_none()),
    );
    report.paragraph(
        "With compression: microseconds for each message of 512 B, and the bytes of the frame that answers \
         it.",
    );
    table(
        &mut report,
        servers,
        measured,
        |row| matches!(row.measure, Measure::Cpu(load) if load.compression.is_some()),
    );
    report.paragraph(
        "Microseconds of the server's CPU time for a connection that is accepted, upgraded (TCP only: a byte \
         is sent back) and ended by its peer without a Close; and resident bytes of a connection that has \
         answered a message and waits, of 2,000 connections (500 with compression).",
    );
    table(&mut report, servers, measured, |row| {
        matches!(row.measure, Measure::Upgrade | Measure::Idle(_))
    });
    report.paragraph(
        "For each message: system calls, counted by perf, with 50 connections; and instructions without those \
         of the system, counted by callgrind as the difference between a long run and a short one.",
    );
    table(&mut report, servers, measured, |row| {
        matches!(
            row.measure,
            Measure::SystemCalls(_) | Measure::Instructions(_)
        )
    });
    report.paragraph(
        "For each thousand messages: how often a thread of the server yields to another thread or to another \
         process that wants its core. With smol, async-io has a thread of its own that also polls the \
         sockets. With a loop of its own, the server's thread polls them after every 8 tasks instead of after \
         200 (see the crate docs of `bowline-smol`).",
    );
    table(&mut report, servers, measured, |row| {
        matches!(row.measure, Measure::Switches(_))
    });
    reasons(&mut report, servers, measured);
    for name in [
        "50x16 B, depth 1",
        "50x16 B, depth 64",
        "100x1 KiB, depth 16",
        "10x16 KiB, depth 4",
    ] {
        let found = ROWS.iter().zip(measured).find(|(row, _)| row.name == name);
        let bars = found.iter().flat_map(|(_, samples)| {
            let bar = |(server, samples): (&Server, _)| {
                Some((server.name.to_owned(), median(samples)?.value))
            };
            servers.iter().zip(*samples).filter_map(bar)
        });
        report.chart(
            &format!("{name}: µs of CPU for a message"),
            &bars.collect::<Vec<_>>(),
        )?;
    }
    report.finish()
}

/// A table of our rows: the goal, the result, and the results of the others.
fn goals(report: &mut Report, servers: &[Server], measured: &Measured) {
    let mut table = Vec::new();
    for (row, samples) in ROWS.iter().zip(measured) {
        let value = |wanted: &dyn Fn(&Server) -> bool| {
            servers
                .iter()
                .zip(samples)
                .filter(|(server, _)| wanted(server))
                .filter_map(|(server, samples)| Some((median(samples)?.value, server.name)))
                .min_by(|one, other| one.0.total_cmp(&other.0))
        };
        let cell =
            |found: Option<(f64, &str)>| found.map_or_else(|| "–".into(), |found| number(found.0));
        for (ours, goal) in row.goals {
            let runtime = servers.iter().find(|server| server.name == *ours);
            let runtime = runtime.map(|server| server.runtime);
            let measured = value(&|server| server.name == *ours);
            let floor =
                value(&|server| server.kind == Kind::Raw && Some(server.runtime) == runtime);
            let peer =
                value(&|server| server.kind == Kind::Peer && Some(server.runtime) == runtime);
            let verdict = match measured {
                Some((value, _)) if value <= *goal => "yes",
                Some(_) => "**no**",
                None => "–",
            };
            table.push([
                format!("{}, {}", row.name, ours.trim_start_matches("bowline-")),
                format!("≤ {goal}"),
                cell(measured),
                verdict.into(),
                cell(floor),
                peer.map_or_else(
                    || "–".into(),
                    |(value, name)| format!("{} {name}", number(value)),
                ),
            ]);
        }
    }
    report.paragraph(
        "Our results and goals, in the units of the tables below. The floor is TCP alone on the same runtime, \
         and the best peer is the one with the lowest number.",
    );
    report.table(
        ["row", "goal", "ours", "reached", "floor", "best peer"],
        &table,
    );
}

/// Adds a table with a line for each server that has a result in these rows.
fn table(report: &mut Report, servers: &[Server], measured: &Measured, of: fn(&Row) -> bool) {
    let rows: Vec<_> = ROWS
        .iter()
        .zip(measured)
        .filter(|(row, _)| of(row))
        .collect();
    let mut head = vec!["server".to_owned()];
    head.extend(rows.iter().map(|(row, _)| row.name.to_owned()));
    let mut lines = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let cells: Vec<_> = rows
            .iter()
            .map(|(row, samples)| cell(row, &samples[index]))
            .collect();
        if cells.iter().any(|cell| cell != "–") {
            lines.push([vec![server.name.to_owned()], cells].concat());
        }
    }
    report.table(&head, &lines);
}

fn cell(row: &Row, samples: &Result<Vec<Sample>, String>) -> String {
    match (median(samples), row.measure) {
        (None, _) => "–".into(),
        (Some(sample), Measure::Cpu(load)) if load.compression.is_some() => {
            format!("{}; {:.0} B", number(sample.value), sample.bytes)
        }
        (Some(sample), _) => number(sample.value),
    }
}

/// Adds the reasons for missing results.
fn reasons(report: &mut Report, servers: &[Server], measured: &Measured) {
    let mut all: Vec<(&str, Vec<&str>, Vec<&str>)> = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let mut missing: Vec<(&str, Vec<&str>)> = Vec::new();
        for (row, samples) in ROWS.iter().zip(measured) {
            let Err(reason) = &samples[index] else {
                continue;
            };
            match missing.iter_mut().find(|(known, _)| known == reason) {
                Some((_, rows)) => rows.push(row.name),
                None => missing.push((reason, vec![row.name])),
            }
        }
        for (reason, rows) in missing {
            match all
                .iter_mut()
                .find(|(known, of, _)| *known == reason && *of == rows)
            {
                Some((_, _, servers)) => servers.push(server.name),
                None => all.push((reason, rows, vec![server.name])),
            }
        }
    }
    let lines = all.iter().map(|(reason, rows, servers)| {
        format!("- {}: {reason} ({}).", rows.join("; "), servers.join("; "))
    });
    let lines: Vec<_> = lines.collect();
    report.paragraph(&format!(
        "Missing results and their reasons:\n\n{}",
        lines.join("\n")
    ));
}
