//! What everybody hears.

use std::collections::VecDeque;

use bowline_tokio::Utf8Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The last that was told, as JSON: one queue for all, which each reads at their own pace. It is
/// bounded, and nobody waits for those who fall out of it.
#[derive(Default)]
pub(crate) struct Room {
    online: usize,
    lines: VecDeque<Utf8Bytes>,
    /// In `lines`.
    bytes: usize,
    /// How many lines there were before those.
    gone: u64,
}

impl Room {
    /// How far somebody may fall behind, in bytes.
    const MAX_BYTES: usize = 32 << 20;
    /// What a line takes beside its text.
    const OVERHEAD: usize = 64;

    pub(crate) fn tell(&mut self, line: Value) {
        let line = Utf8Bytes::from(line.to_string());
        self.bytes += line.len() + Self::OVERHEAD;
        self.lines.push_back(line);
        while self.bytes > Self::MAX_BYTES
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len() + Self::OVERHEAD;
            self.gone += 1;
        }
    }

    fn count(&self) -> u64 {
        self.gone + self.lines.len() as u64
    }
}

/// A place in the room, which is left however the socket ends.
pub(crate) struct Seat<'a> {
    room: &'a watch::Sender<Room>,
    name: &'a str,
    news: watch::Receiver<Room>,
    /// How many lines were read, or were told before.
    read: u64,
}

impl<'a> Seat<'a> {
    pub(crate) fn new(room: &'a watch::Sender<Room>, name: &'a str) -> Self {
        let mut read = 0;
        room.send_modify(|room| {
            read = room.count();
            room.online += 1;
            room.tell(json!({ "joined": name, "online": room.online }));
        });
        Self {
            room,
            name,
            news: room.subscribe(),
            read,
        }
    }

    /// The next line; `None` if it is gone already. Dropped before it is there, nothing is lost.
    pub(crate) async fn next(&mut self) -> Option<Utf8Bytes> {
        let news = self.news.wait_for(|room| room.count() > self.read);
        let room = news.await.ok()?;
        let line = usize::try_from(self.read.checked_sub(room.gone)?).ok()?;
        self.read += 1;
        room.lines.get(line).cloned()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.room.send_modify(|room| {
            room.online -= 1;
            room.tell(json!({ "left": self.name, "online": room.online }));
        });
    }
}
