//! The room, which passes each message to everybody.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use bowline_tokio::{Config, Prepared};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// One queue for everybody, which each visitor reads at their own pace.
pub(crate) struct Room {
    log: Mutex<Log>,
    news: Notify,
    config: Arc<Config>,
}

impl Room {
    /// Makes a room for visitors whose sockets have this `config`.
    pub(crate) fn new(config: &Arc<Config>) -> Self {
        Self {
            log: Mutex::default(),
            news: Notify::new(),
            config: config.clone(),
        }
    }

    /// Frames and compresses a line once for everybody.
    fn line(&self, line: &Value) -> Prepared {
        Prepared::new(line.to_string(), &self.config)
    }

    fn change(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.log());
        self.news.notify_waiters();
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The latest lines, as JSON. Their size is bounded, and the room does not wait for a visitor who is so slow as to
/// miss some.
#[derive(Default)]
struct Log {
    online: usize,
    /// The number of visitors so far.
    visitors: u64,
    lines: VecDeque<Prepared>,
    /// The size of `lines`.
    bytes: usize,
    /// The number of older lines that were dropped.
    gone: u64,
    /// The numbers of the latest messages, counting lines from the beginning.
    said: VecDeque<u64>,
}

impl Log {
    /// The bytes of lines that are kept for visitors who have yet to read them.
    const MAX_BYTES: usize = 32 << 20;
    /// The number of messages that are shown to visitors who join later.
    const MAX_SAID: usize = 20;

    fn say(&mut self, line: Prepared) {
        if self.said.len() == Self::MAX_SAID {
            self.said.pop_front();
        }
        self.said.push_back(self.count());
        self.push(line);
    }

    fn push(&mut self, line: Prepared) {
        self.bytes += Self::size(&line);
        self.lines.push_back(line);
        while self.bytes > Self::MAX_BYTES
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= Self::size(&oldest);
            self.gone += 1;
        }
    }

    /// An upper bound: the text, its compressed form, and their overhead.
    fn size(line: &Prepared) -> usize {
        line.message().len() * 2 + 256
    }

    fn count(&self) -> u64 {
        self.gone + self.lines.len() as u64
    }

    /// Returns the line with this number; `None` if it was dropped.
    fn line(&self, count: u64) -> Option<Prepared> {
        let line = usize::try_from(count.checked_sub(self.gone)?).ok()?;
        self.lines.get(line).cloned()
    }
}

/// A place in the room, which is given up however the socket ends.
pub(crate) struct Seat<'a> {
    room: &'a Room,
    name: &'a str,
    /// Distinguishes visitors of the same name.
    id: u64,
    /// The line that tells the visitor its id.
    hello: Option<Prepared>,
    /// The numbers of earlier messages, as in [`Log::said`].
    past: VecDeque<u64>,
    /// The number of the next line to read.
    read: u64,
}

impl<'a> Seat<'a> {
    pub(crate) fn new(room: &'a Room, name: &'a str) -> Self {
        let (mut id, mut past, mut read) = (0, VecDeque::new(), 0);
        room.change(|log| {
            id = log.visitors;
            log.visitors += 1;
            past = log.said.clone();
            read = log.count();
            log.online += 1;
            log.push(room.line(&json!({ "joined": name, "online": log.online })));
        });
        Self {
            room,
            name,
            id,
            hello: Some(room.line(&json!({ "you": id }))),
            past,
            read,
        }
    }

    /// Passes on a message to everybody.
    pub(crate) fn say(&self, text: &str) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = at.map_or(0, |at| at.as_millis() as u64);
        let line = json!({ "id": self.id, "from": self.name, "text": text, "at": at });
        let line = self.room.line(&line);
        self.room.change(|log| log.say(line));
    }

    /// Returns the next line, or `None` if it was dropped already. If this is dropped while it waits, no
    /// line is lost.
    pub(crate) async fn next(&mut self) -> Option<Prepared> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        loop {
            let news = {
                let log = self.room.log();
                while let Some(count) = self.past.pop_front() {
                    // An earlier message that was dropped is simply not shown.
                    if let Some(line) = log.line(count) {
                        return Some(line);
                    }
                }
                if log.count() > self.read {
                    let line = log.line(self.read);
                    self.read += 1;
                    return line;
                }
                // This is made under the lock, so it notices every line that comes after this check.
                self.room.news.notified()
            };
            news.await;
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.room.change(|log| {
            log.online -= 1;
            let left = json!({ "left": self.name, "online": log.online });
            log.push(self.room.line(&left));
        });
    }
}
