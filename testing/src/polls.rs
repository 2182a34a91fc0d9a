//! Polling as most tests do it, for whole messages or for chunks.

use proto::{Chunk, Connection, ConnectionError, Event, Pull, Receiver};

pub trait Polls {
    fn poll(&mut self, pull: Pull) -> Result<Option<Event<Chunk>>, ConnectionError>;

    /// Returns the next whole message or control frame.
    fn poll_event(&mut self) -> Result<Option<Event>, ConnectionError> {
        let event = self.poll(Pull::Messages)?;
        Ok(event.map(|event| {
            event.map(|chunk| {
                assert!(chunk.fin, "a message is whole");
                chunk.data
            })
        }))
    }

    /// Returns the next chunk or control frame.
    fn poll_chunk(&mut self) -> Result<Option<Event<Chunk>>, ConnectionError> {
        self.poll(Pull::Chunks)
    }
}

impl Polls for Connection {
    fn poll(&mut self, pull: Pull) -> Result<Option<Event<Chunk>>, ConnectionError> {
        self.poll_data(pull)
    }
}

impl Polls for Receiver {
    fn poll(&mut self, pull: Pull) -> Result<Option<Event<Chunk>>, ConnectionError> {
        self.poll_data(pull)
    }
}
