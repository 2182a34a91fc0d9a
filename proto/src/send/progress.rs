use alloc::boxed::Box;

use crate::message::ControlPayload;

/// What has left, in bytes and in messages.
#[derive(Default)]
pub(super) struct Progress {
    /// Bytes that were put into `transmit`, ever.
    pub(super) framed_bytes: u64,
    pub(super) left_bytes: u64,
    /// Messages and chunks that were accepted, that have left, that were flushed.
    pub(super) accepted: u64,
    left: u64,
    pub(super) flushed: u64,
    /// When `left_bytes` reaches the second, the first many messages have left.
    mark: (u64, u64),
    /// Where the last control frame ends.
    pub(super) control_end: u64,
    pings: Option<Box<Pings>>,
}

/// Pings that have not left, with where they end: the application's last, and that of keep-alive.
#[derive(Default)]
struct Pings {
    sent: Option<(u64, ControlPayload)>,
    keep_alive: Option<(u64, ControlPayload)>,
    /// The last that has left.
    left: Option<ControlPayload>,
}

impl Progress {
    #[inline]
    pub(super) fn add(&mut self, bytes: usize) {
        self.framed_bytes = self.framed_bytes.saturating_add(bytes as u64);
    }

    /// A Ping of the application ends at `end`.
    pub(super) fn add_ping(&mut self, end: u64, payload: ControlPayload) {
        self.pings.get_or_insert_default().sent = Some((end, payload));
    }

    /// A Ping of keep-alive ends here.
    pub(super) fn add_keep_alive(&mut self, payload: ControlPayload) {
        self.pings.get_or_insert_default().keep_alive = Some((self.framed_bytes, payload));
    }

    pub(super) fn poll_ping(&mut self) -> Option<ControlPayload> {
        let pings = self.pings.as_mut()?;
        let left = pings.left.take();
        if pings.sent.is_none() && pings.keep_alive.is_none() {
            self.pings = None;
        }
        left
    }

    /// So many bytes have left in all, and so many messages are framed. Returns whether bytes left since the last time.
    #[inline]
    pub(super) fn advance(&mut self, left: u64, framed: u64, flushed: bool) -> bool {
        let moved = left > self.left_bytes;
        self.left_bytes = left;
        if left == self.framed_bytes {
            self.left = framed;
        } else if left >= self.mark.1 {
            self.left = self.left.max(self.mark.0);
            self.mark = (framed, self.framed_bytes);
        }
        if flushed {
            self.flushed = self.left;
        }
        if let Some(pings) = &mut self.pings {
            // Of both the second has a deadline, and so is told of.
            for ping in [&mut pings.sent, &mut pings.keep_alive] {
                if let Some((_, payload)) = ping.take_if(|(end, _)| *end <= left) {
                    pings.left = Some(payload);
                }
            }
        }
        moved
    }
}
