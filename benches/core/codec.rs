//! From bytes to messages and back, the same for every library.

use proto::{
    Kind::{Binary, Text},
    Message,
    Role::{self, Client, Server},
};

use crate::{
    Cell, Work,
    memory::Memory,
    wire::{frames, message},
};

/// A library, or a part of one.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    pub(crate) name: &'static str,
    pub(crate) decode: Option<fn(Role, Memory) -> Decode>,
    pub(crate) encode: Option<fn(Role, &Message, Memory) -> Encode>,
}

/// The table from which the chart is drawn.
pub(crate) const CHART: &str = "Decode text, server";

/// Our goals on the machine of the committed page, in the order of `FLOWS`.
pub(crate) const GOALS: [(&str, [&str; 5]); 2] = [
    (CHART, ["–", "25", "60", "480", "40000"]),
    ("Encode, server", ["–", "10", "–", "–", "–"]),
];

/// Receives this many messages, and returns their total length.
pub(crate) type Decode = Box<dyn FnMut(usize) -> usize>;

/// Sends the message this many times.
pub(crate) type Encode = Box<dyn FnMut(usize)>;

/// Message sizes, with the number of frames that one read returns, or that are sent between flushes.
const FLOWS: [(&str, usize, usize); 5] = [
    ("16 B, one by one", 16, 1),
    ("16 B", 16, 64),
    ("1 KiB", 1 << 10, 64),
    ("16 KiB", 16 << 10, 4),
    ("1 MiB", 1 << 20, 1),
];

pub(crate) fn cells(codecs: &[Codec]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (table, kind, role) in [
        (CHART, Text, Server),
        ("Decode binary, server", Binary, Server),
        ("Decode text, client", Text, Client),
    ] {
        for codec in codecs {
            let Some(new) = codec.decode else { continue };
            cells.extend(row(table, codec.name, move |size, batch| {
                let wire = frames(role, &message(kind, size), batch);
                let mut decode = new(role, Memory::new(wire));
                Box::new(move || assert_eq!(decode(batch), batch * size))
            }));
        }
    }
    for (table, role) in [("Encode, server", Server), ("Encode, client", Client)] {
        for codec in codecs {
            let Some(new) = codec.encode else { continue };
            cells.extend(row(table, codec.name, move |size, batch| {
                encode(new, role, size, batch)
            }));
        }
    }
    cells
}

/// Returns a cell for each flow. `work` gets the size and the batch.
fn row(
    table: &'static str,
    row: &'static str,
    work: impl Fn(usize, usize) -> Work + Copy + 'static,
) -> impl Iterator<Item = Cell> {
    FLOWS.into_iter().map(move |(column, size, batch)| Cell {
        table,
        row,
        column,
        times: batch,
        prepare: Box::new(move || work(size, batch)),
    })
}

fn encode(
    new: fn(Role, &Message, Memory) -> Encode,
    role: Role,
    size: usize,
    batch: usize,
) -> Work {
    let message = message(Text, size);
    let memory = Memory::new([].as_slice()).resting();
    let written = memory.written();
    let mut encode = new(role, &message, memory);
    encode(batch);
    // The other role receives what this one sends.
    let other = if role == Server { Client } else { Server };
    assert_eq!(written.get(), frames(other, &message, batch).len());
    Box::new(move || encode(batch))
}
