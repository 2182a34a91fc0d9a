use alloc::boxed::Box;

use crate::message::ControlPayload;

/// The progress of output, in bytes and in messages.
#[derive(Default)]
pub(super) struct Progress {
    /// The number of bytes ever put into `transmit`.
    pub(super) framed_bytes: u64,
    pub(super) sent_bytes: u64,
    /// The numbers of messages and chunks that were accepted, sent and flushed.
    pub(super) accepted: u64,
    sent: u64,
    pub(super) flushed: u64,
    /// A pair of a message count and a byte count: when `sent_bytes` reaches the second, the first many messages
    /// were sent.
    mark: (u64, u64),
    /// The position after the last control frame, in framed bytes.
    pub(super) control_end: u64,
    pings: Option<Box<Pings>>,
}

/// The Pings that were framed but not sent, with the byte counts at which they end: the application's last, and
/// that of keep-alive.
#[derive(Default)]
struct Pings {
    application: Option<(u64, ControlPayload)>,
    keep_alive: Option<(u64, ControlPayload)>,
    /// The last one that was sent.
    last_sent: Option<ControlPayload>,
}

impl Progress {
    #[inline]
    pub(super) fn add(&mut self, bytes: usize) {
        self.framed_bytes = self.framed_bytes.saturating_add(bytes as u64);
    }

    /// Notes that a Ping of the application ends at `end`.
    pub(super) fn add_ping(&mut self, end: u64, payload: ControlPayload) {
        self.pings.get_or_insert_default().application = Some((end, payload));
    }

    /// Notes that a Ping of keep-alive ends here.
    pub(super) fn add_keep_alive(&mut self, payload: ControlPayload) {
        self.pings.get_or_insert_default().keep_alive = Some((self.framed_bytes, payload));
    }

    pub(super) fn poll_ping(&mut self) -> Option<ControlPayload> {
        let pings = self.pings.as_mut()?;
        let sent = pings.last_sent.take();
        if pings.application.is_none() && pings.keep_alive.is_none() {
            self.pings = None;
        }
        sent
    }

    /// Notes how many bytes were sent, and how many messages were framed. Returns whether it is more than the last time.
    #[inline]
    pub(super) fn advance(&mut self, sent: u64, framed: u64, flushed: bool) -> bool {
        let moved = sent > self.sent_bytes;
        self.sent_bytes = sent;
        if sent == self.framed_bytes {
            self.sent = framed;
        } else if sent >= self.mark.1 {
            self.sent = self.sent.max(self.mark.0);
            self.mark = (framed, self.framed_bytes);
        }
        if flushed {
            self.flushed = self.sent;
        }
        if let Some(pings) = &mut self.pings {
            // If both were sent together, report the keep-alive Ping: only that one has a deadline.
            for ping in [&mut pings.application, &mut pings.keep_alive] {
                if let Some((_, payload)) = ping.take_if(|(end, _)| *end <= sent) {
                    pings.last_sent = Some(payload);
                }
            }
        }
        moved
    }
}
