//! A source of randomness that is the same in every run of the same bytes, and that can run dry.

use std::cell::Cell;

use proto::EntropyError;

thread_local! {
    static STATE: Cell<u32> = const { Cell::new(0) };
    static DRAWS: Cell<u32> = const { Cell::new(0) };
}

/// Starts again, with `draws` draws.
pub(crate) fn reset(draws: u32) {
    STATE.set(0x9E37_79B9);
    DRAWS.set(draws);
}

/// Whether the next draw fails.
pub(crate) fn is_dry() -> bool {
    DRAWS.get() == 0
}

pub(crate) fn draw(bytes: &mut [u8]) -> Result<(), EntropyError> {
    DRAWS.set(DRAWS.get().checked_sub(1).ok_or(EntropyError)?);
    let mut state = STATE.get();
    for byte in bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    STATE.set(state);
    Ok(())
}
