//! Masking and UTF-8.

use std::hint::black_box;

use bytes::Bytes;
use proto::{Utf8Bytes, mask};

use crate::{Cell, Work, peers};

/// The name of an implementation, and its function.
pub(crate) type Mask = (&'static str, fn(&mut [u8], [u8; 4]));
pub(crate) type Check = (&'static str, fn(&Bytes) -> bool);

const SIZES: [(&str, usize); 4] = [
    ("16 B", 16),
    ("1 KiB", 1 << 10),
    ("16 KiB", 16 << 10),
    ("1 MiB", 1 << 20),
];

/// How often the work is repeated, because one run takes less time than reading the clock.
const TIMES: usize = 16;

pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut masks: Vec<Mask> = vec![
        ("byte by byte", |bytes, key| {
            for (byte, key) in bytes.iter_mut().zip(key.iter().cycle()) {
                *byte ^= key;
            }
        }),
        ("bowline-proto", |bytes, key| mask::apply(bytes, key, 0)),
    ];
    masks.extend(peers::masks());
    for (row, apply) in masks {
        cells.extend(SIZES.map(|(column, size)| Cell {
            table: "Mask",
            row,
            column,
            times: TIMES,
            prepare: Box::new(move || masked(apply, size)),
        }));
    }
    // "Mixed" text has characters of one to four bytes.
    for (table, pattern) in [("UTF-8, ASCII", "Zephyr, "), ("UTF-8, mixed", "aéあ😀 bö")] {
        let mut checks: Vec<Check> = vec![
            ("std", |bytes| std::str::from_utf8(bytes).is_ok()),
            ("bowline-proto", |bytes| {
                Utf8Bytes::try_from(bytes.clone()).is_ok()
            }),
        ];
        checks.extend(peers::checks());
        for (row, check) in checks {
            cells.extend(SIZES.map(|(column, size)| Cell {
                table,
                row,
                column,
                times: TIMES,
                prepare: Box::new(move || checked(check, pattern, size)),
            }));
        }
    }
    cells
}

fn masked(apply: fn(&mut [u8], [u8; 4]), size: usize) -> Work {
    let mut bytes = vec![0x5A; size];
    Box::new(move || {
        for key in 0..TIMES as u32 {
            apply(black_box(&mut bytes), key.to_be_bytes());
        }
    })
}

fn checked(check: fn(&Bytes) -> bool, pattern: &str, size: usize) -> Work {
    // The text is cut between characters and padded.
    let mut text = pattern.repeat(size / pattern.len());
    text.extend(std::iter::repeat_n(' ', size - text.len()));
    let bytes = Bytes::from(text);
    Box::new(move || {
        for _ in 0..TIMES {
            assert!(check(black_box(&bytes)));
        }
    })
}
