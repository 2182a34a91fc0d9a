//! One end, in any way to drive it, and what holds of every connection whatever happens.

use std::{sync::Arc, time::Duration};

use bytes::Buf;
use proto::{
    Chunk, CloseCode, CloseFrame, Closed, Config, Connection, ControlPayload, Deadline, Event,
    Initiator, Instant, Kind, Lost, Message, Outgoing, Prepared, ProtocolError, Pull, Receiver,
    RecvBuf, RecvError, Role, SendError, Sender, State,
};

use crate::bodies::{
    entropy,
    outbox::{How, Outbox},
    tally,
    watch::Watch,
    wire::Said,
    words,
};

pub(crate) struct End {
    pub(crate) role: Role,
    pub(crate) config: Arc<Config>,
    halves: Halves,
    loan: Option<Box<RecvBuf>>,
    pub(crate) now: Instant,
    pub(crate) outbox: Outbox,
    pub(crate) watch: Watch,
    streaming: Option<Kind>,
    state: State,
    /// The application closed, or a Close of ours is owed, or nothing can be sent.
    closing: bool,
    pub(crate) terminal: Option<Terminal>,
    pub(crate) initiator: Option<Initiator>,
    aborted: bool,
    transport_ended: bool,
    /// The close deadline may have passed, and not been polled.
    timed: bool,
}

/// What ended the events.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Terminal {
    Close(Option<CloseFrame>),
    Error(RecvError),
}

enum Halves {
    Glued(Box<Connection>),
    Apart(Box<(Receiver, Sender)>),
    /// While they are taken apart.
    Nowhere,
}

macro_rules! either {
    ($end:ident, $conn:ident => $glued:expr, ($rx:ident, $tx:ident) => $apart:expr) => {
        match &mut $end.halves {
            Halves::Glued($conn) => $glued,
            Halves::Apart(halves) => {
                #[allow(unused_variables)]
                let ($rx, $tx) = &mut **halves;
                $apart
            }
            Halves::Nowhere => unreachable!(),
        }
    };
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
            halves: Halves::Glued(Box::new(connection)),
            loan: Some(RecvBuf::new(16 << 10)),
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

    /// Drives the halves apart from here on.
    pub(crate) fn split(&mut self) {
        self.halves = match std::mem::replace(&mut self.halves, Halves::Nowhere) {
            Halves::Glued(connection) => Halves::Apart(Box::new(connection.split())),
            apart => apart,
        };
        self.check();
    }

    // ---- Verbs ------------------------------------------------------------------------------------

    pub(crate) fn send(&mut self, message: &Message, how: How) -> Result<(), SendError> {
        let outgoing = match how {
            How::Plain => Outgoing::plain(message.clone()),
            How::Prepared => Prepared::new(message.clone(), &self.config).into(),
            How::Usual | How::Chunks => message.clone().into(),
        };
        let expected = match self.streaming {
            Some(_) if !self.closing => Err(SendError::Unfinished),
            _ => self.may_send(message.len()),
        };
        // Before it is sent: the output may be full of it.
        let sent = either!(self, conn => conn.send(outgoing), (rx, tx) => tx.send(outgoing));
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
        let sent = either!(self, conn => conn.send_chunk(chunk), (rx, tx) => tx.send_chunk(chunk));
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
        let sent = either!(self, conn => conn.ping(frame), (rx, tx) => tx.ping(frame));
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
        let sent = either!(self, conn => conn.pong(frame), (rx, tx) => tx.pong(frame));
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
        either!(self, conn => conn.close(frame), (rx, tx) => {
            tx.close(frame);
            rx.meet(tx);
        });
        self.watch.closing();
        self.check();
    }

    pub(crate) fn abort(&mut self) {
        self.initiator.get_or_insert(Initiator::Local);
        (self.closing, self.aborted) = (true, true);
        either!(self, conn => conn.abort(), (rx, tx) => {
            tx.abort();
            rx.meet(tx);
        });
        assert_eq!(self.state(), State::Closed);
        self.watch.ended(true);
        tally::count("abort");
        self.check();
    }

    /// What may come of sending `len` bytes of data, or a control frame.
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
            // It may have run dry in the middle of what was sent before.
            (Err(SendError::Closed), _) if dry || self.timed => self.closing = true,
            _ => assert_eq!(sent, expected),
        }
    }

    // ---- Input ------------------------------------------------------------------------------------

    /// Reads from the front of `bytes` into the end's own memory, or a loan; tells how many were taken, or
    /// `None` if not all was polled that was read before.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        let loan = &mut self.loan;
        let fill = |room: &mut [u8]| {
            assert!(!room.is_empty(), "an empty read would look like the end");
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            len
        };
        let taken = either!(self, conn => {
            let taken = fill(conn.recv_buf()?);
            conn.handle_input(taken);
            taken
        }, (rx, tx) => {
            if rx.wants_loan() && let Some(loan) = loan.take() {
                rx.lend(loan);
            }
            let taken = fill(rx.recv_buf()?);
            rx.handle_input(taken);
            taken
        });
        self.watch.heard();
        self.check();
        Some(taken)
    }

    /// Has a copy taken of the front of `bytes`, and tells how many.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> usize {
        self.take_back();
        let taken = either!(self, conn => conn.receive(bytes), (rx, tx) => rx.receive(bytes));
        assert!(taken <= bytes.len());
        if taken > 0 {
            self.watch.heard();
        }
        self.check();
        taken
    }

    pub(crate) fn eof(&mut self) {
        either!(self, conn => conn.handle_eof(), (rx, tx) => rx.handle_eof());
        self.watch.ended(false);
        self.transport_ended = true;
        self.check();
    }

    pub(crate) fn lose(&mut self, lost: Lost) {
        self.closing = true;
        either!(self, conn => conn.handle_error(lost), (rx, tx) => {
            tx.handle_end(RecvError::Lost(lost));
            rx.handle_end(RecvError::Lost(lost));
        });
        self.watch.ended(true);
        self.transport_ended = true;
        self.check();
    }

    /// Gives the loan back, if there is one.
    pub(crate) fn take_back(&mut self) {
        if let Halves::Apart(halves) = &mut self.halves
            && let Some(loan) = halves.0.take_back()
        {
            assert_eq!(loan.size(), 16 << 10, "it comes back as it was lent");
            self.loan = Some(loan);
        }
    }

    // ---- Output -----------------------------------------------------------------------------------

    /// The next event, whole messages or chunks.
    pub(crate) fn poll(&mut self, chunks: bool) -> Result<Option<Event<Chunk>>, RecvError> {
        let pull = if chunks { Pull::Chunks } else { Pull::Messages };
        let polled = either!(self, conn => conn.poll_data(pull), (rx, tx) => rx.poll_data(pull));
        self.meet();
        if !matches!(polled, Ok(None)) {
            assert!(
                self.terminal.is_none(),
                "{polled:?} behind {:?}",
                self.terminal
            );
            // Only an error that was there before, and not polled.
            assert!(
                !self.aborted || polled.is_err(),
                "{polled:?} behind the end"
            );
        }
        match &polled {
            Ok(None) if self.is_skipping() => {
                assert!(
                    self.state() != State::Closed,
                    "something to skip behind the end"
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
        if self.wants_input() {
            // The last was taken: that there is nothing more was not asked for, and is known.
            self.watch.polled();
        }
        self.check();
        polled
    }

    fn wants_input(&mut self) -> bool {
        either!(self, conn => conn.recv_buf().is_some(), (rx, tx) => rx.wants_input())
    }

    /// Whether there may be an event although there was none.
    pub(crate) fn is_skipping(&mut self) -> bool {
        either!(self, conn => conn.is_skipping(), (rx, tx) => rx.is_skipping())
    }

    fn failed(&mut self, error: RecvError) {
        words::one_line(&error);
        let name = format!("{error:?}");
        // Without its numbers.
        let name = name.split_once(" {").map_or(&name[..], |(name, _)| name);
        tally::count(name.trim_end_matches(|c: char| c.is_ascii_digit() || "()".contains(c)));
        if let RecvError::TimedOut(deadline) = error {
            self.watch.assert_over(deadline, &self.config);
        }
        self.watch.closing();
        if let RecvError::Protocol(_) = error {
            self.owes(error);
        }
        self.closing = true;
        self.terminal = Some(Terminal::Error(error));
        let by = match error {
            RecvError::Lost(_) => Initiator::Peer,
            _ => Initiator::Local,
        };
        self.initiator.get_or_insert(by);
    }

    /// One write of at most `most` bytes, in one slice or in several, and what it said.
    pub(crate) fn write(
        &mut self,
        most: usize,
        flushed: bool,
        vectored: bool,
    ) -> (Vec<u8>, Vec<Said>) {
        let dry = self.role == Role::Client && entropy::is_dry();
        let transmit = either!(self, conn => conn.transmit(), (rx, tx) => tx.transmit());
        let mut part = Vec::new();
        if let Some(transmit) = transmit {
            assert!(transmit.has_remaining());
            if vectored {
                let mut slices = [std::io::IoSlice::new(&[]); 4];
                let count = transmit.chunks_vectored(&mut slices);
                for slice in &slices[..count] {
                    let len = slice.len().min(most - part.len());
                    part.extend_from_slice(&slice[..len]);
                }
            } else {
                let chunk = transmit.chunk();
                part.extend_from_slice(&chunk[..chunk.len().min(most)]);
            }
            assert!(!part.is_empty() || most == 0, "an empty write");
            transmit.advance(part.len());
        }
        if dry {
            self.closing |= self.state() == State::Closed;
        }
        either!(self, conn => conn.handle_sent(flushed), (rx, tx) => tx.handle_sent(flushed));
        self.meet();
        let pings = self.outbox.keep_alives();
        let said = self.outbox.wrote(&part);
        let pinged = self.outbox.keep_alives() > pings;
        let waits = self.has_output() || !flushed;
        self.watch.wrote(!part.is_empty(), waits, pinged);
        self.check();
        (part, said)
    }

    /// Whether something waits to be written.
    pub(crate) fn has_output(&mut self) -> bool {
        either!(self, conn => conn.transmit().is_some(), (rx, tx) => tx.transmit().is_some())
    }

    // ---- Time -------------------------------------------------------------------------------------

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        either!(self, conn => conn.poll_timeout(), (rx, tx) => {
            [rx.poll_timeout(), tx.poll_timeout()].into_iter().flatten().min()
        })
    }

    pub(crate) fn advance(&mut self, duration: Duration) {
        self.now = self.now.checked_add(duration).unwrap();
    }

    /// Tells the time until nobody asks for it, and whether somebody did.
    pub(crate) fn tick(&mut self) -> bool {
        self.watch.tick(self.now, &self.config);
        for times in 0..8 {
            match self.poll_timeout() {
                Some(at) if at <= self.now && self.state() != State::Closed => {
                    self.handle_timeout()
                }
                _ => return times > 0,
            }
        }
        panic!("the deadline at {:?} never passes", self.poll_timeout());
    }

    fn handle_timeout(&mut self) {
        let now = self.now;
        let before = self.state();
        self.timed |= before == State::Closing;
        either!(self, conn => conn.handle_timeout(now), (rx, tx) => {
            let _ = rx.handle_timeout(now);
            let _ = tx.handle_timeout(now);
        });
        self.meet();
        if before == State::Open && self.state() != State::Open {
            self.watch.closing();
            self.closing = true;
            if self.config.message_timeout.is_some() {
                self.owes(RecvError::TimedOut(Deadline::Message));
            }
            if self.config.idle_timeout.is_some() {
                self.owes(RecvError::TimedOut(Deadline::Idle));
            }
        }
        self.check();
    }

    /// The peer is told why the connection failed.
    fn owes(&mut self, error: RecvError) {
        let code = match error {
            RecvError::Protocol(error) => close_code(error),
            RecvError::TimedOut(Deadline::Message) => 1008,
            RecvError::TimedOut(Deadline::Idle) => 1001,
            _ => return,
        };
        let code = CloseCode::new(code).unwrap();
        let frame = CloseFrame::new(code, error.to_string()).unwrap();
        self.outbox.closes(Some(&frame), true);
    }

    // ---- What always holds ------------------------------------------------------------------------

    pub(crate) fn state(&mut self) -> State {
        either!(self, conn => conn.state(), (rx, tx) => {
            if rx.is_done() {
                State::Closed
            } else if rx.is_closing() || tx.is_closing() {
                State::Closing
            } else {
                State::Open
            }
        })
    }

    pub(crate) fn wants_shutdown(&mut self) -> bool {
        let closed = self.state() == State::Closed;
        either!(self, conn => conn.wants_shutdown(), (rx, tx) => {
            closed || tx.wants_shutdown()
        })
    }

    pub(crate) fn closed(&mut self) -> Option<Closed> {
        either!(self, conn => conn.closed(), (rx, tx) => {
            rx.closed().filter(|_| rx.is_done())
        })
    }

    fn meet(&mut self) {
        if let Halves::Apart(halves) = &mut self.halves {
            halves.0.meet(&mut halves.1);
        }
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
            "{state:?} behind {:?}",
            self.state
        );
        self.state = state;
        assert_eq!(self.closed().is_some(), state == State::Closed);
        if state == State::Closed {
            either!(self, conn => words::short(conn), (rx, tx) => words::short(&(rx, tx)));
            words::one_line(&self.closed().expect("it is closed"));
            assert!(!self.has_output(), "output behind the end");
            assert!(self.wants_shutdown());
        }
        if let Halves::Apart(halves) = &mut self.halves {
            let (accepted, flushed) = (halves.1.accepted(), halves.1.flushed());
            assert_eq!(accepted, self.outbox.accepted());
            assert!(
                flushed <= self.outbox.left(),
                "told to have left, and has not"
            );
            assert_eq!(halves.1.streaming(), self.streaming);
        }
    }
}

/// §7.4.1, and 1009 and 1008 for limits.
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
