//! A pool of compression states. A state that no message needs is kept for the next message that does, on any
//! connection and thread.

use alloc::vec::Vec;
use std::sync::Mutex;

/// The most states of each kind that are kept. It fills only if this many messages were in progress at once.
const KEPT: usize = 32;

type Pool<K, S> = Mutex<Vec<(K, S)>>;

static INFLATING: Pool<(), zlib_rs::Inflate> = Mutex::new(Vec::new());
static DEFLATING: Pool<Shape, zlib_rs::Deflate> = Mutex::new(Vec::new());

/// The parameters in which one state differs from another.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) level: u8,
    pub(crate) memory_level: u8,
    pub(crate) bits: u8,
}

impl Shape {
    fn state(self) -> zlib_rs::Deflate {
        let mut config = zlib_rs::DeflateConfig::new(self.level.into());
        config.window_bits = i32::from(self.bits).wrapping_neg(); // A raw stream.
        config.mem_level = self.memory_level.into();
        zlib_rs::Deflate::new_with_config(config)
    }
}

/// Returns a state without history.
pub(crate) fn inflate() -> zlib_rs::Inflate {
    // A window of 15 bits can inflate every smaller window too, in the same memory.
    take(&INFLATING, ()).unwrap_or_else(|| zlib_rs::Inflate::new(false, 15))
}

/// Returns a state of this shape without history.
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
    drop(oldest); // Freed outside the lock, because freeing is slow.
}
