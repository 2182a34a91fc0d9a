//! What everybody hears.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use bowline_tokio::{Config, Prepared};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// One queue for all, which each reads at their own pace.
pub(crate) struct Room {
    told: Mutex<Told>,
    news: Notify,
    config: Arc<Config>,
}

impl Room {
    /// Of visitors whose sockets have this `config`.
    pub(crate) fn new(config: &Arc<Config>) -> Self {
        Self {
            told: Mutex::default(),
            news: Notify::new(),
            config: config.clone(),
        }
    }

    /// Framed and compressed once, for everybody.
    fn line(&self, line: &Value) -> Prepared {
        Prepared::new(line.to_string(), &self.config)
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told());
        self.news.notify_waiters();
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last that was told, as JSON. It is bounded, and nobody waits for those who fall out of it.
#[derive(Default)]
struct Told {
    online: usize,
    /// How many visitors there have been.
    visitors: u64,
    lines: VecDeque<Prepared>,
    /// In `lines`.
    bytes: usize,
    /// How many lines there were before those.
    gone: u64,
    /// Of the last messages, how many lines there were before each.
    said: VecDeque<u64>,
}

impl Told {
    /// How far somebody may fall behind, in bytes.
    const MAX_BYTES: usize = 32 << 20;
    /// So many messages are shown to those who come later.
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

    /// At the most: its text, the same compressed, and what is around them.
    fn size(line: &Prepared) -> usize {
        line.message().len() * 2 + 256
    }

    fn count(&self) -> u64 {
        self.gone + self.lines.len() as u64
    }

    /// The line behind the first `count`; `None` if it is gone.
    fn line(&self, count: u64) -> Option<Prepared> {
        let line = usize::try_from(count.checked_sub(self.gone)?).ok()?;
        self.lines.get(line).cloned()
    }
}

/// A place in the room, which is left however the socket ends.
pub(crate) struct Seat<'a> {
    room: &'a Room,
    name: &'a str,
    /// Tells visitors of the same name apart.
    id: u64,
    /// Tells the visitor its id.
    hello: Option<Prepared>,
    /// Messages from before, as in [`Told::said`].
    past: VecDeque<u64>,
    /// How many lines were read, or were told before.
    read: u64,
}

impl<'a> Seat<'a> {
    pub(crate) fn new(room: &'a Room, name: &'a str) -> Self {
        let (mut id, mut past, mut read) = (0, VecDeque::new(), 0);
        room.change(|told| {
            id = told.visitors;
            told.visitors += 1;
            past = told.said.clone();
            read = told.count();
            told.online += 1;
            told.push(room.line(&json!({ "joined": name, "online": told.online })));
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

    /// Tells everybody what the visitor says.
    pub(crate) fn say(&self, text: &str) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = at.map_or(0, |at| at.as_millis() as u64);
        let line = json!({ "id": self.id, "from": self.name, "text": text, "at": at });
        let line = self.room.line(&line);
        self.room.change(|told| told.say(line));
    }

    /// The next line; `None` if it is gone already. Dropped before it is there, nothing is lost.
    pub(crate) async fn next(&mut self) -> Option<Prepared> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        loop {
            let news = {
                let told = self.room.told();
                while let Some(count) = self.past.pop_front() {
                    // What is gone of the past is not missed.
                    if let Some(line) = told.line(count) {
                        return Some(line);
                    }
                }
                if told.count() > self.read {
                    let line = told.line(self.read);
                    self.read += 1;
                    return line;
                }
                // It is made before the lock goes, so it hears of what is said after that.
                self.room.news.notified()
            };
            news.await;
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.room.change(|told| {
            told.online -= 1;
            let left = json!({ "left": self.name, "online": told.online });
            told.push(self.room.line(&left));
        });
    }
}
