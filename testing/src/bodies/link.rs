use std::{collections::VecDeque, time::Duration};

use proto::Instant;

/// One direction of a network: it holds so much, takes its time, and may break.
pub(crate) struct Link {
    parts: VecDeque<(Instant, Vec<u8>)>,
    len: usize,
    capacity: usize,
    delay: Duration,
    /// When the end arrives, behind all that was written.
    end: Option<Instant>,
    /// What is written vanishes.
    pub(crate) is_black_hole: bool,
}

impl Link {
    pub(crate) fn new(capacity: usize, delay: Duration) -> Self {
        Self {
            parts: VecDeque::new(),
            len: 0,
            capacity,
            delay,
            end: None,
            is_black_hole: false,
        }
    }

    /// How much it takes now.
    pub(crate) fn room(&self) -> usize {
        match self.end {
            Some(_) => 0,
            None => self.capacity - self.len,
        }
    }

    pub(crate) fn put(&mut self, bytes: Vec<u8>, now: Instant) {
        assert!(bytes.len() <= self.room());
        if !bytes.is_empty() && !self.is_black_hole {
            self.len += bytes.len();
            self.parts.push_back((self.due(now), bytes));
        }
    }

    pub(crate) fn end(&mut self, now: Instant) {
        if !self.is_black_hole {
            let due = self.due(now);
            self.end.get_or_insert(due);
        }
    }

    fn due(&self, now: Instant) -> Instant {
        now.checked_add(self.delay).unwrap()
    }

    /// What has arrived first of all that has.
    pub(crate) fn front(&self, now: Instant) -> &[u8] {
        match self.parts.front() {
            Some((due, bytes)) if *due <= now => bytes,
            _ => &[],
        }
    }

    pub(crate) fn took(&mut self, len: usize) {
        if let Some((_, bytes)) = self.parts.front_mut() {
            bytes.drain(..len);
            self.len -= len;
            if bytes.is_empty() {
                self.parts.pop_front();
            }
        }
    }

    /// Whether all has arrived, and the end.
    pub(crate) fn has_ended(&self, now: Instant) -> bool {
        self.parts.is_empty() && self.end.is_some_and(|end| end <= now)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// When something arrives next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.parts.front().map(|part| part.0).or(self.end)
    }
}
