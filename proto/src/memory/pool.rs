//! States that no message needs, kept for the next that does, of whatever connection and thread.

use alloc::vec::Vec;
use std::sync::Mutex;

/// How many of a kind are kept: of as many messages the compression was under way at once.
const KEPT: usize = 32;

type Pool<K, S> = Mutex<Vec<(K, S)>>;

static INFLATING: Pool<(), zlib_rs::Inflate> = Mutex::new(Vec::new());
static DEFLATING: Pool<Shape, zlib_rs::Deflate> = Mutex::new(Vec::new());

/// What makes one state differ from another.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) level: u8,
    pub(crate) memory_level: u8,
    pub(crate) bits: u8,
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
pub(crate) fn inflate() -> zlib_rs::Inflate {
    // It reads every smaller window too, in the same memory.
    take(&INFLATING, ()).unwrap_or_else(|| zlib_rs::Inflate::new(false, 15))
}

/// A state of this shape that remembers nothing.
pub(crate) fn deflate(shape: Shape) -> zlib_rs::Deflate {
    take(&DEFLATING, shape).unwrap_or_else(|| shape.state())
}

pub(crate) fn give_inflate(mut state: zlib_rs::Inflate) {
    state.reset(false);
    give(&INFLATING, (), state);
}

pub(crate) fn give_deflate(shape: Shape, mut state: zlib_rs::Deflate) {
    state.reset();
    give(&DEFLATING, shape, state);
}

fn take<K: PartialEq, S>(pool: &Pool<K, S>, key: K) -> Option<S> {
    let mut kept = pool.lock().ok()?;
    let at = kept.iter().rposition(|(other, _)| *other == key)?;
    Some(kept.remove(at).1)
}

fn give<K, S>(pool: &Pool<K, S>, key: K, state: S) {
    let Ok(mut kept) = pool.lock() else {
        return;
    };
    let oldest = (kept.len() >= KEPT).then(|| kept.remove(0));
    kept.push((key, state));
    drop(kept);
    drop(oldest); // Which takes longer than others should wait.
}
