//! A client and a server over a simulated network.

/// Runs what `data` chooses, and panics where a promise is broken.
pub fn run(data: &[u8]) {
    let _ = data;
}
