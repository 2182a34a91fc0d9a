//! One end, driven in any way, and the rules that hold for every connection.

use std::{sync::Arc, time::Duration};

use proto::{
    Chunk, CloseCode, CloseFrame, Closed, Config, Connection, ConnectionError, ControlPayload,
    Deadline, Event, Initiator, Instant, Kind, Lost, Message, Outgoing, Prepared, ProtocolError,
    Role, SendError, State,
};

use crate::{
    bodies::{
        entropy,
        outbox::{How, Outbox},
        tally,
        watch::Watch,
        wire::Said,
        words,
    },
    ends::{halves::Halves, until_quiet},
};

pub(crate) struct End {
    pub(crate) role: Role,
    pub(crate) config: Arc<Config>,
    halves: Halves,
    pub(crate) now: Instant,
    pub(crate) outbox: Outbox,
    pub(crate) watch: Watch,
    streaming: Option<Kind>,
    state: State,
    /// Whether the application closed, a Close of ours is owed, or nothing more can be sent.
    closing: bool,
    pub(crate) terminal: Option<Terminal>,
    pub(crate) initiator: Option<Initiator>,
    aborted: bool,
    transport_ended: bool,
    /// Whether the close deadline may have passed without having been polled.
    timed: bool,
}

/// The result that ended the events.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Terminal {
    Close(Option<CloseFrame>),
    Error(ConnectionError),
}

impl End {
    pub(crate) fn new(
        role: Role,
        connection: Connection,
        config: &Arc<Config>,
        now: Instant,
    ) -> Self {
        let window = connection.deflate().map(|agreed| agreed.send);
        Self {
            role,
            config: config.clone(),
            halves: Halves::new(connection, 16 << 10),
            now,
            outbox: Outbox::new(role, config, window),
            watch: Watch::new(),
            streaming: None,
            state: State::Open,
            closing: false,
            terminal: None,
            initiator: None,
            aborted: false,
            transport_ended: false,
            timed: false,
        }
    }

    /// Drives the halves separately from here on.
    pub(crate) fn split(&mut self) {
        self.halves.split();
        self.check();
    }

    // ---- Verbs ------------------------------------------------------------------------------------

    pub(crate) fn send(&mut self, message: &Message, how: How) -> Result<(), SendError> {
        let outgoing = match how {
            How::Plain => Outgoing::uncompressed(message.clone()),
            How::Prepared => Prepared::new(message.clone(), &self.config).into(),
            How::Usual | How::Chunks => message.clone().into(),
        };
        let expected = match self.streaming {
            Some(_) if !self.closing => Err(SendError::Unfinished),
            _ => self.may_send(message.len()),
        };
        // Checked before it is sent, because it may fill the output.
        let sent = self.halves.send(outgoing);
        self.sent(sent, expected);
        if sent.is_ok() {
            let content = message.as_bytes().to_vec();
            self.outbox.message(message.kind(), content, true, how);
        }
        self.check();
        sent
    }

    pub(crate) fn send_chunk(&mut self, chunk: Chunk) -> Result<(), SendError> {
        let (kind, fin) = (chunk.data.kind(), chunk.fin);
        let expected = match self.streaming {
            Some(begun) if begun != kind && !self.closing => Err(SendError::KindChanged),
            _ => self.may_send(chunk.data.len()),
        };
        let content = chunk.data.as_bytes().to_vec();
        let how = if fin && self.streaming.is_none() {
            How::Usual
        } else {
            How::Chunks
        };
        let sent = self.halves.send_chunk(chunk);
        self.sent(sent, expected);
        if sent.is_ok() {
            self.outbox.message(kind, content, fin, how);
            self.streaming = (!fin).then_some(kind);
        }
        self.check();
        sent
    }

    pub(crate) fn streaming(&self) -> Option<Kind> {
        self.streaming
    }

    pub(crate) fn ping(&mut self, payload: Vec<u8>) -> Result<(), SendError> {
        let frame = ControlPayload::new(payload.clone()).unwrap();
        let expected = self.may_send(0);
        let sent = self.halves.ping(frame);
        self.sent(sent, expected);
        if sent.is_ok() {
            self.outbox.control(Said::Ping(payload));
        }
        self.check();
        sent
    }

    pub(crate) fn pong(&mut self, payload: Vec<u8>) -> Result<(), SendError> {
        let frame = ControlPayload::new(payload.clone()).unwrap();
        let expected = self.may_send(0);
        let sent = self.halves.pong(frame);
        self.sent(sent, expected);
        if sent.is_ok() {
            self.outbox.control(Said::Pong(payload));
        }
        self.check();
        sent
    }

    pub(crate) fn close(&mut self, frame: Option<CloseFrame>) {
        match self.state() {
            State::Open => drop(self.initiator.get_or_insert(Initiator::Local)),
            State::Closing => {}
            State::Closed => return,
        }
        if !self.closing {
            self.outbox.closes(frame.as_ref(), false);
        }
        self.closing = true;
        self.halves.close(frame);
        self.watch.closing();
        self.check();
    }

    pub(crate) fn abort(&mut self) {
        self.initiator.get_or_insert(Initiator::Local);
        (self.closing, self.aborted) = (true, true);
        self.halves.abort();
        assert_eq!(self.state(), State::Closed);
        self.watch.ended(true);
        tally::count("abort");
        self.check();
    }

    /// Returns the possible results of sending `len` bytes of data, or a control frame.
    fn may_send(&self, len: usize) -> Result<(), SendError> {
        if self.closing {
            Err(SendError::Closed)
        } else if len > self.config.max_send_size {
            let max = self.config.max_send_size as u64;
            Err(SendError::TooBig { max })
        } else {
            Ok(())
        }
    }

    fn sent(&mut self, sent: Result<(), SendError>, expected: Result<(), SendError>) {
        if let Err(error) = sent {
            words::one_line(&error);
        }
        let dry = self.role == Role::Client && entropy::is_dry();
        match (sent, expected) {
            (Err(SendError::Entropy), Ok(())) if dry => {}
            // It may have run dry while an earlier message was framed.
            (Err(SendError::Closed), _) if dry || self.timed => self.closing = true,
            _ => assert_eq!(sent, expected),
        }
    }

    // ---- Input ------------------------------------------------------------------------------------

    /// Reads from the front of `bytes` into the end's own memory, or into a loan. Returns how many bytes it took,
    /// or `None` if earlier input is not polled completely.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        let taken = self.halves.read(bytes)?;
        self.watch.heard();
        self.check();
        Some(taken)
    }

    /// Lets the end copy the front of `bytes`, and returns how many bytes it took.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> usize {
        self.take_back();
        let taken = self.halves.receive(bytes);
        if taken > 0 {
            self.watch.heard();
        }
        self.check();
        taken
    }

    pub(crate) fn eof(&mut self) {
        self.halves.eof();
        self.watch.ended(false);
        self.transport_ended = true;
        self.check();
    }

    pub(crate) fn lose(&mut self, lost: Lost) {
        self.closing = true;
        self.halves.lose(lost);
        self.watch.ended(true);
        self.transport_ended = true;
        self.check();
    }

    /// Takes the loan back, if there is one.
    pub(crate) fn take_back(&mut self) {
        self.halves.take_back();
    }

    // ---- Output -----------------------------------------------------------------------------------

    /// Returns the next event, with whole messages or chunks.
    pub(crate) fn poll(&mut self, chunks: bool) -> Result<Option<Event<Chunk>>, ConnectionError> {
        let polled = self.halves.poll(chunks);
        if !matches!(polled, Ok(None)) {
            assert!(
                self.terminal.is_none(),
                "{polled:?} after {:?}",
                self.terminal
            );
            // Only an error that existed before and was not polled.
            assert!(!self.aborted || polled.is_err(), "{polled:?} after the end");
        }
        match &polled {
            Ok(None) if self.is_skipping() => {
                assert!(
                    self.state() != State::Closed,
                    "something to skip after the end"
                );
            }
            Ok(None) => {
                self.watch.polled();
                let over = self.watch.is_over() && !self.aborted;
                assert!(
                    !over || self.state() != State::Open,
                    "{:?} did not come",
                    self.watch
                );
            }
            Ok(Some(Event::Data(chunk))) => {
                tally::count(match (chunk.fin, chunks) {
                    (false, _) => "chunk",
                    (true, true) => "last chunk",
                    (true, false) => "message",
                });
                self.watch.data();
            }
            Ok(Some(Event::Ping(payload))) => {
                tally::count("Ping");
                self.outbox.heard_ping(payload);
            }
            Ok(Some(Event::Pong(_))) => tally::count("Pong"),
            Ok(Some(Event::Close(frame))) => {
                if self.config.reply_to_close {
                    self.outbox.closes(frame.as_ref(), true);
                    self.closing = true;
                }
                self.initiator.get_or_insert(Initiator::Peer);
                self.watch.closing();
                tally::count("Close");
                self.terminal = Some(Terminal::Close(frame.clone()));
            }
            Err(error) => self.failed(*error),
        }
        if self.halves.wants_input() {
            // The last message was taken, and it is known that there is no more, although nothing asked for it.
            self.watch.polled();
        }
        self.check();
        polled
    }

    /// Whether there may be another event although there was none.
    pub(crate) fn is_skipping(&self) -> bool {
        self.halves.is_skipping()
    }

    fn failed(&mut self, error: ConnectionError) {
        words::one_line(&error);
        let name = format!("{error:?}");
        // The name without its numbers.
        let name = name.split_once(" {").map_or(&name[..], |(name, _)| name);
        tally::count(name.trim_end_matches(|c: char| c.is_ascii_digit() || "()".contains(c)));
        if let ConnectionError::TimedOut(deadline) = error {
            self.watch.assert_over(deadline, &self.config);
        }
        self.watch.closing();
        if let ConnectionError::Protocol(_) = error {
            self.owes(error);
        }
        self.closing = true;
        self.terminal = Some(Terminal::Error(error));
        let by = match error {
            ConnectionError::Lost(_) => Initiator::Peer,
            _ => Initiator::Local,
        };
        self.initiator.get_or_insert(by);
    }

    /// Makes one write of at most `most` bytes, in one slice or in several, and returns what it contained.
    pub(crate) fn write(
        &mut self,
        most: usize,
        flushed: bool,
        vectored: bool,
    ) -> (Vec<u8>, Vec<Said>) {
        let dry = self.role == Role::Client && entropy::is_dry();
        let part = self.halves.take(most, vectored);
        if dry {
            self.closing |= self.state() == State::Closed;
        }
        self.halves.sent(flushed);
        let said = self.outbox.wrote(&part);
        let kept = self.outbox.take_kept();
        let waits = self.halves.has_output() || !flushed;
        self.watch.wrote(!part.is_empty(), waits, kept);
        self.check();
        (part, said)
    }

    // ---- Time -------------------------------------------------------------------------------------

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.halves.poll_timeout()
    }

    pub(crate) fn advance(&mut self, duration: Duration) {
        self.now = self.now.checked_add(duration).unwrap();
    }

    /// Passes the time until it is not asked for any more. Returns whether it was asked for.
    pub(crate) fn tick(&mut self) -> bool {
        self.watch.tick(self.now, &self.config);
        until_quiet(|| {
            let is_due = self.poll_timeout().is_some_and(|at| at <= self.now);
            let asks = is_due && self.state() != State::Closed;
            if asks {
                self.handle_timeout();
            }
            asks
        })
    }

    fn handle_timeout(&mut self) {
        let before = self.state();
        self.timed |= before == State::Closing;
        self.halves.handle_timeout(self.now);
        if before == State::Open && self.state() != State::Open {
            self.watch.closing();
            self.closing = true;
            if self.config.message_timeout.is_some() {
                self.owes(ConnectionError::TimedOut(Deadline::Message));
            }
            if self.config.idle_timeout.is_some() {
                self.owes(ConnectionError::TimedOut(Deadline::Idle));
            }
        }
        self.check();
    }

    /// The peer must be informed why the connection failed.
    fn owes(&mut self, error: ConnectionError) {
        let code = match error {
            ConnectionError::Protocol(error) => close_code(error),
            ConnectionError::TimedOut(Deadline::Message) => 1008,
            ConnectionError::TimedOut(Deadline::Idle) => 1001,
            _ => return,
        };
        let code = CloseCode::new(code).unwrap();
        let frame = CloseFrame::new(code, error.to_string()).unwrap();
        self.outbox.closes(Some(&frame), true);
    }

    // ---- What always holds ------------------------------------------------------------------------

    pub(crate) fn state(&self) -> State {
        self.halves.state()
    }

    pub(crate) fn wants_shutdown(&self) -> bool {
        self.halves.wants_shutdown()
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        self.halves.closed()
    }

    fn check(&mut self) {
        let state = self.state();
        let rank = |state| match state {
            State::Open => 0,
            State::Closing => 1,
            State::Closed => 2,
        };
        assert!(
            rank(self.state) <= rank(state),
            "{state:?} after {:?}",
            self.state
        );
        self.state = state;
        assert_eq!(self.closed().is_some(), state == State::Closed);
        if state == State::Closed {
            words::short(&self.halves);
            words::one_line(&self.closed().expect("it is closed"));
            assert!(!self.halves.has_output(), "output after the end");
            assert!(self.wants_shutdown());
        }
        if let Some(sender) = self.halves.sender() {
            assert_eq!(sender.accepted(), self.outbox.accepted());
            assert!(
                sender.flushed() <= self.outbox.sent(),
                "reported as sent, but is not"
            );
            assert_eq!(sender.streaming(), self.streaming);
        }
    }
}

/// Returns the code of §7.4.1; 1009 and 1008 for limits.
pub(crate) fn close_code(error: ProtocolError) -> u16 {
    match error {
        ProtocolError::Utf8 | ProtocolError::Deflate => 1007,
        ProtocolError::FrameTooBig { .. }
        | ProtocolError::MessageTooBig { .. }
        | ProtocolError::StreamTooBig { .. } => 1009,
        ProtocolError::TooManyFragments { .. } => 1008,
        _ => 1002,
    }
}
