//! Events, or parts of one, that were received before the application took them.

use std::{collections::VecDeque, mem};

use proto::{Chunk, Event, Message, Pull};

use super::{Input, opened::Opened};

/// The purpose of the call that runs the loop. It decides what happens to the events that are received.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Call {
    /// It takes the next event.
    Receives,
    /// It waits for output: one event is kept, and nothing more is received until the application takes it.
    Sends,
    /// It writes what other calls queue, and does not receive.
    Writes,
    /// It waits for the end: some events are kept, and all after them are discarded.
    Closes,
    /// No read half exists: all events are discarded.
    Discards,
}

/// The bounds of what is kept while a connection closes. The event that passes one of them is the last.
const MAX_BYTES: usize = 64 << 10;
const MAX_EVENTS: usize = 128;

#[derive(Default)]
pub(super) struct Parked {
    /// In the order in which they came.
    events: VecDeque<Event<Chunk>>,
    /// The number of bytes of data in the events.
    bytes: usize,
    /// Whether all later events are discarded.
    lossy: bool,
    /// The part that `recv_into` has not copied yet of the message that it began.
    pub(super) opened: Option<Opened>,
}

impl Parked {
    fn goes_on_in_chunks(&self) -> bool {
        let unfinished = |event: &Event<Chunk>| matches!(event, Event::Data(chunk) if !chunk.fin);
        self.lossy || self.events.back().is_some_and(unfinished)
    }
}

impl<T> Input<T> {
    /// Returns the first kept event, for a call that pulls as `pull` says.
    #[cold]
    pub(super) fn unpark_for(&mut self, pull: Pull) -> Option<Event<Chunk>> {
        while let Some(event) = self.unpark() {
            let event = match event {
                Event::Data(chunk) if pull == Pull::Messages => self.whole(chunk).map(Event::Data),
                event => Some(event),
            };
            if let Some(event) = event {
                if let Event::Data(chunk) = &event {
                    self.inside = !chunk.fin;
                }
                return Some(event);
            }
        }
        None
    }

    /// Returns the first kept event.
    pub(super) fn unpark(&mut self) -> Option<Event<Chunk>> {
        let parked = self.parked.as_mut()?;
        let event = parked.events.pop_front();
        if let Some(Event::Data(chunk)) = &event {
            parked.bytes -= chunk.data.len();
        }
        self.tidy();
        event
    }

    /// Frees the memory once no event is kept.
    pub(super) fn tidy(&mut self) {
        if let Some(parked) = &mut self.parked
            && parked.events.is_empty()
        {
            if parked.lossy || parked.opened.is_some() {
                parked.events = VecDeque::new();
            } else {
                self.parked = None;
            }
        }
    }

    /// Returns the message that begins with `chunk`, the first that was kept. A message belongs to the method by
    /// which the application first sees it. If the application has begun this message in chunks, it is skipped.
    /// Otherwise the kept chunks are joined, or put back if the end of the message is missing.
    pub(super) fn whole(&mut self, chunk: Chunk) -> Option<Chunk> {
        if mem::replace(&mut self.inside, !chunk.fin) {
            return None;
        }
        let mut chunks = vec![chunk];
        while let Some(last) = chunks.last()
            && !last.fin
        {
            match self.unpark_chunk() {
                Some(next) => chunks.push(next),
                None => break,
            }
        }
        if chunks.last().is_some_and(|last| last.fin) {
            self.inside = false;
            return self.join(chunks);
        }
        if !self.is_lossy() {
            self.inside = false;
            chunks.into_iter().for_each(|chunk| self.rx.put_back(chunk));
        }
        None
    }

    /// Joins the chunks to one message. Returns `None` if it exceeds the limit of assembled messages.
    fn join(&self, mut chunks: Vec<Chunk>) -> Option<Chunk> {
        if chunks.len() == 1 {
            return chunks.pop();
        }
        let len: usize = chunks.iter().map(|chunk| chunk.data.len()).sum();
        if len > self.rx.config().max_message_size {
            return None;
        }
        let mut bytes = Vec::with_capacity(len);
        for chunk in &chunks {
            bytes.extend_from_slice(chunk.data.as_bytes());
        }
        let data = match chunks.first()?.data {
            Message::Text(_) => Message::Text(String::from_utf8(bytes).ok()?.into()),
            Message::Binary(_) => Message::Binary(bytes.into()),
        };
        Some(Chunk { data, fin: true })
    }

    /// Returns the next kept chunk, even if control frames were kept before it.
    fn unpark_chunk(&mut self) -> Option<Chunk> {
        let parked = self.parked.as_mut()?;
        let is_data = |event: &Event<Chunk>| matches!(event, Event::Data(_));
        let index = parked.events.iter().position(is_data)?;
        let Some(Event::Data(chunk)) = parked.events.remove(index) else {
            return None;
        };
        parked.bytes -= chunk.data.len();
        self.tidy();
        Some(chunk)
    }

    pub(super) fn park(&mut self, call: Call, event: Event<Chunk>) {
        let parked = self.parked.get_or_insert_default();
        if parked.lossy {
            return;
        }
        if let Event::Data(chunk) = &event {
            parked.bytes += chunk.data.len();
        }
        parked.events.push_back(event);
        parked.lossy =
            call == Call::Closes && (parked.bytes > MAX_BYTES || parked.events.len() >= MAX_EVENTS);
    }

    /// Discards all events, because the application receives nothing any more.
    pub(super) fn discard(&mut self) {
        if !self.is_lossy() {
            let parked = self.parked.insert(Box::default());
            parked.lossy = true;
        }
    }

    /// Returns the number of kept events. It changes when there is an event for the application, or room again.
    pub(crate) fn parked(&self) -> usize {
        self.parked.as_ref().map_or(0, |parked| parked.events.len())
    }

    /// Whether the next event has to wait for the application.
    pub(super) fn is_full(&self, call: Call) -> bool {
        let waits = |parked: &Parked| {
            let opened = parked.opened.as_ref();
            !parked.lossy && (!parked.events.is_empty() || opened.is_some_and(Opened::has_piece))
        };
        call == Call::Sends && self.parked.as_deref().is_some_and(waits)
    }

    pub(super) fn is_lossy(&self) -> bool {
        self.parked.as_ref().is_some_and(|parked| parked.lossy)
    }

    /// Returns how to pull the next event. An event that will be discarded is not assembled, and a message whose
    /// first chunks are kept continues in chunks.
    #[inline]
    pub(super) fn next_pull(&self) -> Pull {
        match &self.parked {
            Some(parked) if parked.goes_on_in_chunks() => Pull::Chunks,
            _ => self.pull,
        }
    }
}
