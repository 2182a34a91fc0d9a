//! permessage-deflate (RFC 7692): compressed messages.
//!
//! Both ends agree on it in the opening handshake, if both have set [`Config::deflate`](crate::Config::deflate):
//!
//! ```
//! use bowline_proto::{Config, deflate::Deflate};
//!
//! # let entropy = |bytes: &mut [u8]| Ok(bytes.fill(7));
//! let mut config = Config::new(entropy);
//! config.deflate = Some(Deflate::default());
//! ```
//!
//! Nothing else changes. Messages are compressed as they are framed and inflated as they arrive, and
//! [`max_message_size`](crate::Config::max_message_size) is enforced during inflation.
//!
//! # Memory
//!
//! A state is allocated when the first message needs it. Without context takeover it returns to a pool after each
//! message; the process has one pool of inflaters and one of deflaters, and each keeps at most 32. With takeover
//! each connection keeps its own states until it ends.
//!
//! | state | KiB |
//! |---|---|
//! | inflating, whatever the window | 46 |
//! | compressing, window 15, memory level 8 (the default) | 371 |
//! | compressing, window 12, memory level 5 ([`Deflate::low_memory`]) | 161 |
//! | compressing, window 9, memory level 1 | 134 |
//!
//! # Secrets
//!
//! The length of a compressed message reveals something about its content. If an attacker can choose a part of what
//! is sent together with a secret, or after it with takeover, the lengths give the secret away bit by bit. Send
//! such messages with [`Outgoing::uncompressed`](crate::Outgoing::uncompressed): they are not compressed, and no later message
//! refers to them. The same holds for a message in pieces whose first piece is uncompressed.

use alloc::{boxed::Box, vec::Vec};

mod deflater;
mod inflater;
pub(crate) mod options;

pub(crate) use deflater::Deflater;
pub(crate) use inflater::{Corrupt, Inflater};
pub use options::{Agreed, Deflate, Window};

/// Makes the states for a connection that agreed on compression.
pub(crate) fn codec(
    agreed: Option<Agreed>,
    options: Option<Deflate>,
) -> (Option<Box<Inflater>>, Option<Box<Deflater>>) {
    let Some(agreed) = agreed else {
        return (None, None);
    };
    let options = options.unwrap_or_default();
    let deflater = Window::BITS.contains(&agreed.send.bits);
    (
        Some(Box::new(Inflater::new(agreed.recv.takeover))),
        deflater.then(|| Box::new(Deflater::new(&options, agreed.send))),
    )
}

/// Compresses a whole message by itself. Returns the number of window bits it needs and the result, or `None` if
/// compression is off or does not make it smaller.
pub(crate) fn whole(payload: &[u8], options: Option<Deflate>) -> Option<(u8, Vec<u8>)> {
    let options = options?;
    let window = Window {
        takeover: false,
        ..options.send
    };
    let mut deflater = Deflater::new(&options, window);
    if payload.len() < options.threshold {
        return None;
    }
    let deflated = deflater.deflate(payload, true)?;
    (deflated.len() < payload.len()).then(|| (deflater.bits(), deflated))
}
