//! What was measured, told: a line at a time, and the whole as a page.

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

/// The middle one of the samples, by value.
fn median(samples: &Result<Vec<Sample>, String>) -> Option<Sample> {
    let mut samples = samples.as_ref().ok()?.clone();
    samples.sort_by(|one, other| one.value.total_cmp(&other.value));
    samples.get(samples.len() / 2).copied()
}

pub(crate) fn print(row: &Row, server: &Server, samples: &Result<Vec<Sample>, String>) {
    let told = match samples {
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
    println!("{:<32} {:<28} {told}", row.name, server.name);
}

/// Three digits that count, or all before the point.
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
        "The server has a process and a core of its own, the generator another; each sends and checks whole \
         messages. One thread serves all connections, but for blocking, where each has its own. \
         `TCP_NODELAY` is set. Rows are connections x size of a message, and depth is how many messages a \
         connection sends before it waits for all their answers. Median of five rounds, of three for \
         compression and upgrades; in a round every row of every server has its turn, so that what disturbs the \
         machine for a while spoils few rounds of many rows.",
    );
    #[cfg(feature = "peers")]
    report.paragraph(crate::peers::NOTES);
    goals(&mut report, servers, measured);
    report.paragraph("Microseconds of the server's CPU, the system's included, for each message.");
    table(
        &mut report,
        servers,
        measured,
        |row| matches!(row.measure, Measure::Cpu(load) if load.compression.is_none()),
    );
    report.paragraph(
        "Compressed: microseconds for each message of 512 B, and bytes of the frame that answers it.",
    );
    table(
        &mut report,
        servers,
        measured,
        |row| matches!(row.measure, Measure::Cpu(load) if load.compression.is_some()),
    );
    report.paragraph(
        "Microseconds of the server's CPU for a connection that is accepted, upgraded (TCP only: a byte is \
         sent back) and ended by its peer without a Close; resident bytes of one that has answered a message and waits, of 2,000 \
         (compressed, of 500).",
    );
    table(&mut report, servers, measured, |row| {
        matches!(row.measure, Measure::Upgrade | Measure::Idle(_))
    });
    report.paragraph(
        "For each message: system calls, counted by perf, of 50 connections; instructions without those of \
         the system, counted by callgrind as the difference of a long run and a short one.",
    );
    table(&mut report, servers, measured, |row| {
        matches!(
            row.measure,
            Measure::SystemCalls(_) | Measure::Instructions(_)
        )
    });
    report.paragraph(
        "For each thousand messages: how often a thread of the server makes room for another thread, or for          another process that wants its core. On smol async-io has a thread of its own, which looks at the sockets as well; with a loop of          its own the server's thread does it after every 8 tasks, and not only after 200 (see the crate docs of `bowline-smol`).",
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

/// What we want of each row, what it is, and what the others need.
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
        "Ours and what we want it to be, in the units of the tables below; the floor is TCP alone on the same \
         runtime, the best peer the one that needs least there.",
    );
    report.table(
        ["row", "goal", "ours", "reached", "floor", "best peer"],
        &table,
    );
}

/// A line for each server that has anything to tell of these rows.
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

/// Why there is nothing, where there is nothing.
fn reasons(report: &mut Report, servers: &[Server], measured: &Measured) {
    let mut all: Vec<(&str, Vec<&str>, Vec<&str>)> = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let mut missing: Vec<(&str, Vec<&str>)> = Vec::new();
        for (row, samples) in ROWS.iter().zip(measured) {
            let Err(reason) = &samples[index] else {
                continue;
            };
            match missing.iter_mut().find(|(told, _)| told == reason) {
                Some((_, rows)) => rows.push(row.name),
                None => missing.push((reason, vec![row.name])),
            }
        }
        for (reason, rows) in missing {
            match all
                .iter_mut()
                .find(|(told, of, _)| *told == reason && *of == rows)
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
        "What is missing, and why:\n\n{}",
        lines.join("\n")
    ));
}
