use std::{collections::VecDeque, time::Duration};

use proto::Instant;

/// One direction of a network: it holds so much, takes its time, and may break.
pub struct Link {
    bytes: VecDeque<u8>,
    /// When the octets arrive, in their order, and how many at a time.
    arrivals: VecDeque<(Instant, usize)>,
    capacity: usize,
    delay: Duration,
    /// When the end arrives, after all that was written.
    end: Option<Instant>,
    /// What is written vanishes.
    pub is_black_hole: bool,
}

impl Link {
    pub fn new(capacity: usize, delay: Duration) -> Self {
        Self {
            bytes: VecDeque::new(),
            arrivals: VecDeque::new(),
            capacity,
            delay,
            end: None,
            is_black_hole: false,
        }
    }

    /// Changes how many octets the link holds.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// How many octets the link takes now.
    pub fn room(&self) -> usize {
        match self.end {
            Some(_) => 0,
            None => self.capacity.saturating_sub(self.bytes.len()),
        }
    }

    pub fn put(&mut self, bytes: &[u8], now: Instant) {
        assert!(bytes.len() <= self.room());
        if !bytes.is_empty() && !self.is_black_hole {
            self.bytes.extend(bytes);
            self.arrivals.push_back((self.due(now), bytes.len()));
        }
    }

    pub fn end(&mut self, now: Instant) {
        if !self.is_black_hole {
            let due = self.due(now);
            self.end.get_or_insert(due);
        }
    }

    fn due(&self, now: Instant) -> Instant {
        now.checked_add(self.delay).unwrap()
    }

    /// All that has arrived, whatever writes it came in: a stream has no borders.
    pub fn arrived(&mut self, now: Instant) -> &[u8] {
        let due = self.arrivals.iter().take_while(|(due, _)| *due <= now);
        let len = due.map(|(_, len)| len).sum();
        &self.bytes.make_contiguous()[..len]
    }

    /// The first `len` octets were read.
    pub fn took(&mut self, len: usize) {
        self.bytes.drain(..len);
        let mut left = len;
        while let Some((_, part)) = self.arrivals.front_mut()
            && left > 0
        {
            let taken = left.min(*part);
            *part -= taken;
            left -= taken;
            if *part == 0 {
                self.arrivals.pop_front();
            }
        }
    }

    /// All but the first `len` octets is lost on the way.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
        let mut left = len;
        for (_, part) in &mut self.arrivals {
            *part = left.min(*part);
            left -= *part;
        }
        self.arrivals.retain(|(_, part)| *part > 0);
    }

    /// How many octets are on the way, or have arrived and were not read.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether all has arrived and was read, and the end has arrived.
    pub fn has_ended(&self, now: Instant) -> bool {
        self.is_empty() && self.end.is_some_and(|end| end <= now)
    }

    /// When something arrives next.
    pub fn next(&self) -> Option<Instant> {
        self.arrivals.front().map(|part| part.0).or(self.end)
    }
}
