//! permessage-deflate (RFC 7692): messages that are compressed.
//!
//! Both ends agree on it in the opening handshake, if both have [`Config::deflate`](crate::Config::deflate):
//!
//! ```
//! use bowline_proto::{Config, deflate::Deflate};
//!
//! # let entropy = |bytes: &mut [u8]| Ok(bytes.fill(7));
//! let mut config = Config::new(entropy);
//! config.deflate = Some(Deflate::default());
//! ```
//!
//! Nothing else changes: messages are compressed as they are framed and inflated as they arrive, and
//! [`max_message_size`](crate::Config::max_message_size) bounds what comes out while it does.
//!
//! # Memory
//!
//! A state is made when the first message needs it. Without context takeover it goes back to a pool
//! after each message, which keeps at most 32 of either kind for the process. With takeover each
//! connection keeps its own until it ends.
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
//! The length of a compressed message tells something of its content. If an attacker may choose a part
//! of what is sent together with a secret, or after it with takeover, lengths give the secret away bit
//! by bit. Send such messages by [`Outgoing::plain`](crate::Outgoing::plain): they are not compressed,
//! and no later message refers to them. So it is with a message in pieces of which the first is one.

use alloc::{boxed::Box, vec::Vec};

mod deflater;
mod inflater;
pub(crate) mod options;

pub(crate) use deflater::Deflater;
pub(crate) use inflater::{Corrupt, Inflater};
pub use options::{Agreed, Deflate, Window};

/// What turns the messages of a connection into bytes and back, if that was agreed on.
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

/// A whole message that is compressed by itself, and the bits of the window it needs; `None` if that
/// is not wanted, or not smaller.
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
