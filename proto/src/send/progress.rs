use crate::ControlPayload;

/// What has left, in bytes and in messages.
#[derive(Default)]
pub(super) struct Progress {
    /// Bytes that were put into `transmit`, ever.
    pub(super) framed_bytes: u64,
    pub(super) left_bytes: u64,
    /// Messages and chunks that were accepted, that are framed, that have left, that were flushed.
    pub(super) accepted: u64,
    pub(super) framed: u64,
    left: u64,
    pub(super) flushed: u64,
    /// When `left_bytes` reaches the second, the first many messages have left.
    mark: (u64, u64),
    /// Where the last control frame ends.
    pub(super) control_end: u64,
    /// Where the application's last Ping ends, and that of keep-alive.
    pub(super) ping: Option<(u64, ControlPayload)>,
    pub(super) keep_alive: Option<(u64, ControlPayload)>,
    pub(super) ping_left: Option<ControlPayload>,
    /// Messages from this one on were dropped.
    pub(super) dropped_from: Option<u64>,
}

impl Progress {
    pub(super) fn add(&mut self, bytes: usize) {
        self.framed_bytes = self.framed_bytes.saturating_add(bytes as u64);
    }

    /// Whether bytes left since the last time.
    pub(super) fn advance(&mut self, left: u64, flushed: bool) -> bool {
        let moved = left > self.left_bytes;
        self.left_bytes = left;
        if left == self.framed_bytes {
            self.left = self.framed;
        } else if left >= self.mark.1 {
            self.left = self.left.max(self.mark.0);
            self.mark = (self.framed, self.framed_bytes);
        }
        if flushed {
            self.flushed = self.left;
        }
        // Of both the second has a deadline, and so is told of.
        for ping in [&mut self.ping, &mut self.keep_alive] {
            if let Some((_, payload)) = ping.take_if(|(end, _)| *end <= left) {
                self.ping_left = Some(payload);
            }
        }
        moved
    }
}
