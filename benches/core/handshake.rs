//! The opening handshake: a server reads a request and answers; a client asks and reads the answer.
//! Clients that always choose a random key are left out, because their answer cannot be prepared.

use std::hint::black_box;

use crate::{
    Cell, Work,
    memory::Memory,
    opening::{self, REQUEST},
    ours::finish,
    peers,
    wire::config,
};

/// The library, its role, and the function that prepares the work.
pub(crate) type Handshake = (&'static str, &'static str, fn() -> Work);

pub(crate) fn cells() -> Vec<Cell> {
    let mut all: Vec<Handshake> = vec![
        ("bowline-proto", "server", opening::server),
        ("bowline-tokio", "server", server_on_tokio),
        ("bowline-proto", "client", opening::client),
    ];
    all.extend(peers::handshakes());
    let cell = |(row, column, new): Handshake| Cell {
        table: "Opening handshake",
        row,
        column,
        times: 1,
        prepare: Box::new(new),
    };
    all.into_iter().map(cell).collect()
}

fn server_on_tokio() -> Work {
    let config = config();
    Box::new(move || {
        let accepted = bowline_tokio::accept_any(Memory::new(REQUEST), config.clone());
        black_box(finish(accepted).expect("it is valid"));
    })
}
