//! States that no message needs, kept for the next connection of the thread.

use alloc::vec::Vec;
use core::cell::Cell;
use std::thread::LocalKey;

/// How many of a kind a thread keeps.
const KEPT: usize = 4;

type Pool<K, S> = Cell<Vec<(K, S)>>;

std::thread_local! {
    static INFLATING: Pool<(), zlib_rs::Inflate> = const { Cell::new(Vec::new()) };
    static DEFLATING: Pool<Shape, zlib_rs::Deflate> = const { Cell::new(Vec::new()) };
}

/// What makes one state differ from another.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub(super) level: u8,
    pub(super) memory_level: u8,
    pub(super) bits: u8,
}

impl Shape {
    fn state(self) -> zlib_rs::Deflate {
        let mut config = zlib_rs::DeflateConfig::new(self.level.into());
        config.window_bits = i32::from(self.bits).wrapping_neg(); // Raw.
        config.mem_level = self.memory_level.into();
        zlib_rs::Deflate::new_with_config(config)
    }
}

/// A state that remembers nothing.
pub(super) fn inflate() -> zlib_rs::Inflate {
    // It reads every smaller window too, in the same memory.
    take(&INFLATING, ()).unwrap_or_else(|| zlib_rs::Inflate::new(false, 15))
}

/// A state of this shape that remembers nothing.
pub(super) fn deflate(shape: Shape) -> zlib_rs::Deflate {
    take(&DEFLATING, shape).unwrap_or_else(|| shape.state())
}

pub(super) fn give_inflate(mut state: zlib_rs::Inflate) {
    state.reset(false);
    give(&INFLATING, (), state);
}

pub(super) fn give_deflate(shape: Shape, mut state: zlib_rs::Deflate) {
    state.reset();
    give(&DEFLATING, shape, state);
}

fn take<K: PartialEq, S>(pool: &'static LocalKey<Pool<K, S>>, key: K) -> Option<S> {
    // A thread that ends has no pool any more.
    let taken = pool.try_with(|pool| {
        let mut kept = pool.take();
        let found = kept.iter().rposition(|(other, _)| *other == key);
        let state = found.map(|at| kept.swap_remove(at).1);
        pool.set(kept);
        state
    });
    taken.ok().flatten()
}

fn give<K, S>(pool: &'static LocalKey<Pool<K, S>>, key: K, state: S) {
    let _ = pool.try_with(|pool| {
        let mut kept = pool.take();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((key, state));
        pool.set(kept);
    });
}
