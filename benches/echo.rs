//! Echo over loopback: a server's CPU time for each message, and the memory of a connection, for
//! Bowline, the floor and other libraries.
//!
//! `cargo bench -p bowline-benches --bench echo -- WORD…` measures every row and server whose names
//! contain all of the words. The server is a process on a core of its own; this process generates the
//! load on the first core.

use std::{env, error::Error, io};

use bowline_benches::is_whole;

use measure::Sample;
use rows::{Measure, ROWS, Row};
use servers::{Deflate, Server};

#[path = "echo/bare.rs"]
mod bare;
#[path = "echo/floor.rs"]
mod floor;
#[path = "echo/frames.rs"]
mod frames;
#[path = "echo/generator.rs"]
mod generator;
mod json;
#[path = "echo/measure.rs"]
mod measure;
#[path = "echo/ours.rs"]
mod ours;
#[path = "echo/page.rs"]
mod page;
#[cfg(feature = "peers")]
#[path = "echo/peers.rs"]
mod peers;
#[path = "echo/process.rs"]
mod process;
#[path = "echo/rows.rs"]
mod rows;
#[path = "echo/servers.rs"]
mod servers;
#[path = "echo/upgrade.rs"]
mod upgrade;

/// For each row and each server: the samples, or why there are none.
type Measured = Vec<Vec<Result<Vec<Sample>, String>>>;

fn main() -> Result<(), Box<dyn Error>> {
    let servers = servers::all();
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [first, name, compression] = &args[..]
        && first == "serve"
    {
        let server = servers.iter().find(|server| server.name == name);
        return Ok(serve(server.ok_or("no such server")?, compression)?);
    }
    // This describes the machine, so it must run before this process is pinned to one core.
    let page = page::new();
    process::many_files()?;
    process::pin(0)?;
    let wanted = |row: &str, server: &Server| {
        let name = format!("{row} {}", server.name);
        args.iter().all(|word| name.contains(word.as_str()))
    };
    let none_yet = |row: &Row| {
        let samples = |server| cannot(row, server).map_or(Ok(Vec::new()), |it| Err(it.to_owned()));
        servers.iter().map(samples).collect()
    };
    let mut measured: Measured = ROWS.iter().map(none_yet).collect();
    // Measures everything once before the next round. A disturbance of a minute then spoils one round of
    // many rows, which the median ignores, and not all rounds of one row.
    let rounds = ROWS.iter().map(|row| row.measure.rounds()).max();
    for round in 0..rounds.unwrap_or_default() {
        eprintln!("round {}", round + 1);
        for (row, samples) in ROWS.iter().zip(&mut measured) {
            if round < row.measure.rounds() {
                one_round(row, &servers, samples, wanted);
            }
        }
    }
    for (row, samples) in ROWS.iter().zip(&measured) {
        for (server, samples) in servers.iter().zip(samples) {
            if wanted(row.name, server) {
                page::print(row, server, samples);
            }
        }
    }
    if is_whole() {
        page::keep(page, &servers, &measured)?;
    }
    Ok(())
}

fn one_round(
    row: &Row,
    servers: &[Server],
    measured: &mut [Result<Vec<Sample>, String>],
    wanted: impl Fn(&str, &Server) -> bool,
) {
    for (server, samples) in servers.iter().zip(measured) {
        if let Ok(list) = samples
            && wanted(row.name, server)
        {
            match row.measure.round(server) {
                Ok(sample) => list.push(sample),
                Err(error) => *samples = Err(error.to_string()),
            }
        }
    }
}

fn serve(server: &Server, compression: &str) -> io::Result<()> {
    let compression = match compression {
        "plain" => None,
        other => Some(other == "takeover"),
    };
    (server.serve)(process::listen()?, compression)
}

/// Returns why `row` cannot be measured on `server`.
fn cannot(row: &Row, server: &Server) -> Option<&'static str> {
    match (row.measure.compression(), server.deflate) {
        (Some(_), Deflate::None) => return Some("no compression"),
        (Some(true), Deflate::WithoutTakeover) => return Some("no context takeover"),
        _ => {}
    }
    match row.measure {
        Measure::Upgrade => server.upgrade,
        _ => None,
    }
}
