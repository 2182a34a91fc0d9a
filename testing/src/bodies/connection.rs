//! Arbitrary operations on one connection: of either role, whole or split, with or without compression.
//!
//! The received messages are compared with a reading of the RFC (`reference.rs`), the sent ones with the
//! application's requests (`outbox.rs`). The rules for every connection are in `end.rs`.

use std::{sync::Arc, time::Duration};

use proto::{
    Chunk, Connection, ConnectionError, Event, Instant, Lost, Message, Negotiated, Role, State,
};

use crate::bodies::{
    application,
    choices::Choices,
    end::{End, Terminal, close_code},
    entropy, options,
    peer::Peer,
    reference::{Reference, Verdict},
    tally,
    wire::Said,
};

/// Runs the choices in `data`, and panics if a promise is broken.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut run = Run::new(&mut choices);
    while !choices.are_over() && run.end.state() != State::Closed {
        run.step(&mut choices);
        run.end.tick();
    }
    run.finish();
}

struct Run {
    end: End,
    peer: Peer,
    reference: Reference,
    pull: Pull,
    /// The chunks of a message that has not ended.
    gathered: Vec<u8>,
    /// Whether the remainder of that message is skipped.
    skips: bool,
    told_eof: bool,
    lost: bool,
}

/// The way in which messages are pulled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pull {
    Whole,
    Chunks,
    /// Sometimes whole, sometimes in chunks.
    Mixed,
}

impl Run {
    fn new(choices: &mut Choices<'_>) -> Self {
        let role = choices.of(&[Role::Client, Role::Server]);
        let pull = choices.of(&[Pull::Whole, Pull::Whole, Pull::Chunks, Pull::Mixed]);
        entropy::reset(match choices.below(32) {
            31 => choices.of(&[0, 1]),
            _ => u32::MAX,
        });
        let config = options::config(choices);
        let agreed = choices.flip().then(|| options::agreed(choices));
        let mut negotiated = Negotiated::default();
        negotiated.deflate = agreed;
        let reference = Reference::new(role, &config, agreed.map(|agreed| agreed.recv));
        let config = Arc::new(config);
        let now = Instant::EPOCH;
        let connection = Connection::new(role, negotiated, config.clone());
        Self {
            end: End::new(role, connection, &config, now),
            peer: Peer::new(role, agreed),
            reference,
            pull,
            gathered: Vec::new(),
            skips: false,
            told_eof: false,
            lost: false,
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(32) {
            0..=4 => self.peer.message(choices),
            5 => self.peer.control(choices),
            6 if choices.one_in(4) => self.peer.close(choices),
            7 if choices.one_in(4) => {
                self.peer.damage(choices);
                self.reference.damage();
            }
            6..=12 => self.feed(choices),
            13..=17 => {
                let times = choices.of(&[1, 2, usize::MAX]);
                let chunks = choices.flip();
                self.poll(chunks, times);
            }
            18..=21 => {
                let most = choices.of(&[usize::MAX, 1, 2, 7, 100, 0, 5000, usize::MAX]);
                let flushed = !choices.one_in(8);
                let vectored = choices.flip();
                self.end.write(most, flushed, vectored);
            }
            22..=24 => application::send(&mut self.end, choices),
            25 => application::chunk(&mut self.end, choices),
            26 => application::control(&mut self.end, choices),
            27 if choices.one_in(4) => self.end.close(application::close_frame(choices)),
            27 => self.end.split(),
            28 => {
                let millis = 1 << choices.below(16);
                self.end.advance(Duration::from_millis(millis));
            }
            29 => {
                if let Some(at) = self.end.poll_timeout() {
                    self.end.now = self.end.now.max(at);
                }
            }
            30 if choices.one_in(8) => self.eof(),
            31 if choices.one_in(8) => {
                self.lost = true;
                self.end
                    .lose(choices.of(&[Lost::Reset, Lost::Failed, Lost::Eof]));
            }
            31 if choices.one_in(8) => self.end.abort(),
            _ => self.end.take_back(),
        }
    }

    /// Delivers some of what the peer wrote.
    fn feed(&mut self, choices: &mut Choices<'_>) {
        if self.told_eof || self.lost {
            return;
        }
        let most = choices.of(&[usize::MAX, 1, 2, 3, 50, 1460]);
        let copied = choices.flip();
        self.feed_some(most, copied);
    }

    fn feed_some(&mut self, most: usize, copied: bool) {
        let bytes = self.peer.wrote();
        let bytes = &bytes[..bytes.len().min(most)];
        if bytes.is_empty() || self.end.state() == State::Closed {
            return;
        }
        let taken = if copied {
            self.end.receive(bytes)
        } else {
            self.end.read(bytes).unwrap_or(0)
        };
        self.reference.feed(&bytes[..taken]);
        self.peer.delivered(taken);
        if self.pull != Pull::Mixed {
            // The pull method is known, and so is the limit of every message.
            self.reference.ask(self.pull == Pull::Chunks, true);
            self.reference.read_all();
        }
    }

    fn eof(&mut self) {
        if !self.told_eof {
            self.told_eof = true;
            self.end.eof();
        }
    }

    fn poll(&mut self, chunks: bool, times: usize) {
        let chunks = match self.pull {
            Pull::Whole => false,
            Pull::Chunks => true,
            Pull::Mixed => chunks,
        };
        for _ in 0..times {
            // A message that was given out in part is skipped when whole messages are asked for.
            let delivered = !self.gathered.is_empty();
            self.skips |= !chunks && delivered;
            self.skips |= self.reference.ask(chunks, delivered);
            let over = self.end.terminal.is_some();
            let polled = self.end.poll(chunks);
            if !over && !self.end.is_skipping() {
                // In the meantime another method may ask, and the next message will belong to it.
                self.reference.read();
                if self.skip() {
                    self.reference.read();
                }
            }
            match polled {
                Ok(Some(event)) => self.heard(event),
                Ok(None) if self.end.is_skipping() => tally::count("step of skipping"),
                Ok(None) => {
                    self.assert_all_heard(chunks);
                    return self.end.watch.unfinished(self.reference.which());
                }
                Err(error) => self.failed(error),
            }
        }
    }

    /// Returns what the reference says comes next.
    fn next(&mut self) -> Option<Said> {
        self.reference.said.pop_front()
    }

    /// Leaves out the remainder of a skipped message, if that comes next.
    fn skip(&mut self) -> bool {
        if self.skips
            && let Some(Said::Message(message)) = self.reference.said.front()
        {
            assert!(message.content.starts_with(&self.gathered));
            self.reference.said.pop_front();
            self.gathered.clear();
            self.skips = false;
            return true;
        }
        false
    }

    fn heard(&mut self, event: Event<Chunk>) {
        if self.reference.verdict == Some(Verdict::Anything) && self.reference.said.is_empty() {
            return;
        }
        let said = match event {
            Event::Data(Chunk { data, fin }) => {
                if let Message::Text(text) = &data {
                    assert!(str::from_utf8(text.as_bytes()).is_ok());
                }
                let kind = data.kind();
                assert!(!self.skips, "a message that was to be skipped");
                if !fin {
                    assert!(!data.is_empty(), "an empty chunk");
                    return self.gathered.extend_from_slice(data.as_bytes());
                }
                let next = self.next();
                let mut content = std::mem::take(&mut self.gathered);
                content.extend_from_slice(data.as_bytes());
                let Some(Said::Message(message)) = next else {
                    panic!("a message that nobody sent, where {next:?} was");
                };
                assert_eq!(message.kind, kind);
                assert!(message.content == content, "a message as it was sent");
                return;
            }
            Event::Ping(payload) => Said::Ping(payload.to_vec()),
            Event::Pong(payload) => Said::Pong(payload.to_vec()),
            Event::Close(frame) => {
                let body = frame.map_or(Vec::new(), |frame| {
                    let mut body = frame.code().get().to_be_bytes().to_vec();
                    body.extend_from_slice(frame.reason().as_bytes());
                    body
                });
                Said::Close(body)
            }
        };
        assert_eq!(self.next(), Some(said));
    }

    fn failed(&mut self, error: ConnectionError) {
        match error {
            ConnectionError::Protocol(error) => {
                if self.reference.verdict.is_none() && self.reference.unfinished().is_some() {
                    // The reference may know more of compressed data than was inflated by now.
                    self.reference.feed(self.peer.wrote());
                    self.reference.read_all();
                }
                let code = close_code(error);
                match self.reference.verdict {
                    Some(Verdict::Anything) => {}
                    Some(Verdict::Failed(expected)) => assert_eq!(code, expected, "{error}"),
                    other => panic!("{error}, where {other:?} was expected"),
                }
            }
            ConnectionError::Lost(_) => assert!(self.told_eof || self.lost),
            ConnectionError::TimedOut(_) => self.reference.said.clear(),
            ConnectionError::Entropy => assert!(entropy::is_dry()),
            error => panic!("{error}"),
        }
    }

    /// Checks that everything received was polled.
    fn assert_all_heard(&mut self, chunks: bool) {
        let failed = matches!(self.end.terminal, Some(Terminal::Error(_)));
        if failed || self.end.state() == State::Closed {
            return;
        }
        match self.reference.verdict {
            Some(Verdict::Anything) => return,
            Some(Verdict::Failed(code)) => panic!("it should have failed with {code}"),
            _ => {}
        }
        let said = &self.reference.said;
        assert!(said.is_empty(), "not delivered: {said:?}");
        // After a Close, data that was not given out is discarded.
        if let Some((content, deflated)) = self.reference.unfinished()
            && chunks
            && !self.skips
            && self.end.terminal.is_none()
        {
            assert!(content.starts_with(&self.gathered));
            assert!(
                deflated || content.len() == self.gathered.len(),
                "chunks are held back"
            );
        }
    }

    /// Delivers and writes everything, and then ends the transport.
    fn finish(&mut self) {
        while !self.peer.wrote().is_empty() && self.end.state() != State::Closed {
            if self.told_eof || self.lost {
                break;
            }
            self.feed_some(usize::MAX, true);
            self.poll(self.pull != Pull::Whole, usize::MAX);
            self.write_all();
        }
        self.poll(self.pull != Pull::Whole, usize::MAX);
        self.write_all();
        self.end.tick();
        // Writing may have stopped because there are no masking keys.
        self.poll(self.pull != Pull::Whole, usize::MAX);
        if self.end.terminal.is_none() && self.end.state() != State::Closed {
            self.end.outbox.assert_settled();
        }
        self.end.close(None);
        self.eof();
        self.poll(self.pull != Pull::Whole, usize::MAX);
        self.write_all();
        self.assert_over();
    }

    /// More than the number of frames of one byte that an input can ask to send.
    const WRITES: usize = 20_000_000;

    fn write_all(&mut self) {
        for _ in 0..Self::WRITES {
            if self.end.write(usize::MAX, true, false).0.is_empty() {
                return;
            }
        }
        panic!("no end of output");
    }

    fn assert_over(&mut self) {
        assert_eq!(self.end.state(), State::Closed);
        let closed = self.end.closed().unwrap();
        let (code, cause) = match &self.end.terminal {
            Some(Terminal::Close(Some(frame))) => (frame.code().get(), None),
            Some(Terminal::Close(None)) => (1005, None),
            Some(Terminal::Error(error)) => (1006, Some(*error)),
            None => (1006, None),
        };
        assert_eq!((closed.code, closed.cause), (code, cause));
        let sent = self.end.outbox.close.is_some();
        assert_eq!(closed.clean, code != 1006 && sent, "{closed:?}");
        assert_eq!(Some(closed.initiator), self.end.initiator);
        assert_eq!(self.end.poll(false), Ok(None));
    }
}
