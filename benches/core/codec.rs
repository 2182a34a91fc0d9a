//! From bytes to messages, and back: the same for every library.

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

/// The table that the page draws.
pub(crate) const CHART: &str = "Decode text, server";

/// What ours are to reach on the machine of the committed page, by `FLOWS`.
pub(crate) const GOALS: [(&str, [&str; 5]); 2] = [
    (CHART, ["–", "25", "60", "480", "40000"]),
    ("Encode, server", ["–", "10", "–", "–", "–"]),
];

/// Receives so many messages, and tells how many bytes they had.
pub(crate) type Decode = Box<dyn FnMut(usize) -> usize>;

/// Sends the message so many times.
pub(crate) type Encode = Box<dyn FnMut(usize)>;

/// How large messages are, and how many frames a read finds, or are sent before the transport is flushed.
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

/// A cell for each of the flows, of which `work` is told the size and the batch.
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
    // What one end sends the other receives.
    let other = if role == Server { Client } else { Server };
    assert_eq!(written.get(), frames(other, &message, batch).len());
    Box::new(move || encode(batch))
}
