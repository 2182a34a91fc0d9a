use std::{collections::VecDeque, time::Duration};

use proto::Instant;

/// One direction of a network, with a capacity and a delay, which may break.
pub struct Link {
    bytes: VecDeque<u8>,
    /// The times at which octets arrive, in order, and how many at each.
    arrivals: VecDeque<(Instant, usize)>,
    capacity: usize,
    delay: Duration,
    /// The time at which the end arrives, after everything that was written.
    end: Option<Instant>,
    /// Whether everything that is written vanishes.
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

    /// Changes the capacity, in octets.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Returns how many octets the link takes now.
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

    /// Returns everything that has arrived, regardless of the writes it came in: a stream has no boundaries.
    pub fn arrived(&mut self, now: Instant) -> &[u8] {
        let due = self.arrivals.iter().take_while(|(due, _)| *due <= now);
        let len = due.map(|(_, len)| len).sum();
        &self.bytes.make_contiguous()[..len]
    }

    /// Removes the first `len` octets, which were read.
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

    /// Loses all but the first `len` octets on the way.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
        let mut left = len;
        for (_, part) in &mut self.arrivals {
            *part = left.min(*part);
            left -= *part;
        }
        self.arrivals.retain(|(_, part)| *part > 0);
    }

    /// Returns how many octets are on the way, or have arrived and were not read.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether everything has arrived and was read, and the end has arrived.
    pub fn has_ended(&self, now: Instant) -> bool {
        self.is_empty() && self.end.is_some_and(|end| end <= now)
    }

    /// Returns when something arrives next.
    pub fn next(&self) -> Option<Instant> {
        self.arrivals.front().map(|part| part.0).or(self.end)
    }
}
