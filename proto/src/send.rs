//! Sending: messages in, bytes out (RFC 6455 §5.4, §6.1).

use alloc::{boxed::Box, sync::Arc};
use core::fmt;

use bytes::Buf;

use crate::{
    close::CloseFrame,
    config::{Config, Role},
    deflate::Deflater,
    error::{ConnectionError, Deadline},
    message::{ControlPayload, Kind},
    send::control::Control,
    stats::{Stats, Traffic},
    time::{Alarm, Instant},
    wire::mask,
};

mod backlog;
pub(crate) mod control;
mod ending;
mod frames;
pub(crate) mod outgoing;
mod progress;
mod queue;
pub(crate) mod transmit;

use backlog::Backlog;
use ending::Ending;
use progress::Progress;
use transmit::Transmit;

/// The sending half of a [`Connection`](crate::Connection).
///
/// Messages wait as messages, and the frames that the peer is owed wait in `Control`. Both become bytes in
/// [`Transmit`] as late as possible, control frames first:
///
/// ```text
/// send  → queue ───┐
///                  ├─→ Transmit (up to send_high_water) → transport
/// owed  → control ─┘
/// ```
pub struct Sender {
    config: Arc<Config>,
    /// Mask keys, on clients only.
    keys: Option<Box<mask::Keys>>,
    /// The state for compressed messages, if we may send them.
    deflater: Option<Box<Deflater>>,
    transmit: Option<Box<Transmit>>,
    /// The messages that could not be framed at once.
    backlog: Option<Box<Backlog>>,
    owed: Control,
    /// The message that [`send_chunk`](Self::send_chunk) has not finished, and whether it is compressed.
    streamed: Option<(Kind, bool)>,
    closing: Closing,
    /// The details of the end; `None` while `closing` is all that is known.
    ending: Option<Box<Ending>>,
    progress: Progress,
    /// The payload of messages that were queued, in bytes.
    payload: u64,
    /// The number of queued items that do not end a message: pieces, Pings and Pongs.
    others: u64,
    /// The number of Pings, including those of keep-alive.
    pings: u32,
    /// The bytes of the opening handshake at the beginning of the output, such as a server's response.
    preface: u32,
    write: Alarm,
    /// The longest payload, in bytes, that may be framed without queueing; none may if this is 0.
    small: u16,
    /// Whether the peer's Close was received.
    peer_closed: bool,
    /// Whether to end our direction of the transport after our Close.
    shuts_down: bool,
}

/// The progress of our Close.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Closing {
    No,
    /// It waits after the messages queued before it.
    Queued,
    /// It is the last frame in `transmit`.
    Framed,
    /// The transport took it.
    Sent,
}

impl Sender {
    pub(crate) fn new(role: Role, config: Arc<Config>, deflater: Option<Box<Deflater>>) -> Self {
        let most = config.send_frame_size.unwrap_or(usize::MAX);
        let uncompressed = deflater.as_ref().map_or(usize::MAX, |it| it.threshold());
        let small = most
            .min(config.max_send_size)
            .min(uncompressed.min(Transmit::COPY_BELOW).saturating_sub(1));
        Self {
            config: config.clone(),
            keys: (role == Role::Client).then(|| Box::new(mask::Keys::new(config.entropy))),
            deflater,
            transmit: None,
            backlog: None,
            owed: Control::default(),
            streamed: None,
            closing: Closing::No,
            ending: None,
            progress: Progress::default(),
            payload: 0,
            others: 0,
            pings: 0,
            preface: 0,
            write: Alarm::OFF,
            small: small as u16,
            peer_closed: false,
            shuts_down: false,
        }
    }

    /// Queues bytes that go before every frame: the end of the opening handshake.
    pub(crate) fn preface(&mut self, bytes: &[u8]) {
        self.output().copy(bytes, [0; 4]);
        self.progress.add(bytes.len());
        self.preface = bytes.len() as u32;
    }

    /// Queues a Close after the messages queued before it (RFC 6455 §7.1.2). An unfinished streamed message stays
    /// unfinished. Closing twice is the same as closing once.
    pub fn close(&mut self, frame: Option<CloseFrame>) {
        if !self.is_closing() {
            self.closing = Closing::Queued;
            if frame.is_some() {
                self.ending().close = frame;
            }
            // A connection that closes is not kept alive.
            self.owed.take(|owed| owed.keep_alive.take());
        }
    }

    /// Takes the frames that the [`Receiver`](crate::Receiver) owes the peer. They overtake waiting messages; a
    /// Close also drops those.
    pub(crate) fn handle_control(&mut self, control: Control) {
        if matches!(self.closing, Closing::No | Closing::Queued) {
            self.owed.merge(control);
            if self.closing != Closing::No {
                self.owed.take(|owed| owed.keep_alive.take());
            }
        }
    }

    /// Notes how far the receiver has come to its end.
    pub(crate) fn handle_peer(&mut self, closed: bool, shuts_down: bool) {
        (self.peer_closed, self.shuts_down) = (closed, shuts_down);
    }

    /// Returns what to write to the transport, or `None` if there is nothing.
    ///
    /// Frames at most [`send_high_water`](Config::send_high_water) bytes, plus one frame, ahead of the transport.
    #[inline]
    pub fn transmit(&mut self) -> Option<&mut Transmit> {
        if self.has_work() {
            self.fill();
        }
        self.transmit
            .as_deref_mut()
            .filter(|transmit| transmit.has_remaining())
    }

    /// Whether there is, or may be, something to write.
    #[inline]
    pub fn has_output(&self) -> bool {
        self.waiting() > 0 || self.has_work()
    }

    /// Handles an attempt to write, whether it succeeded or not. `flushed` says whether the transport holds no
    /// unwritten bytes itself.
    pub fn handle_sent(&mut self, flushed: bool) {
        if self.end().is_some() {
            return;
        }
        let waiting = self.waiting();
        let sent = self.progress.framed_bytes.saturating_sub(waiting as u64);
        let moved = self.progress.advance(sent, self.framed(), flushed);
        if waiting == 0 {
            self.transmit = None;
            if self.closing == Closing::Framed
                && self.progress.sent_bytes == self.progress.framed_bytes
            {
                self.closing = Closing::Sent;
            }
        }
        if waiting == 0 && flushed && !self.has_work() {
            self.write = Alarm::OFF;
        } else if moved || self.write == Alarm::OFF {
            self.write.start(self.config.write_timeout);
        }
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). A moment in the past means at once.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.write.at()
    }

    /// Handles the passing of time. Returns an error if output waited too long: the transport should be dropped.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Deadline> {
        if self.write.is_over(now, self.config.write_timeout) {
            self.handle_end(ConnectionError::TimedOut(Deadline::Write));
            return Err(Deadline::Write);
        }
        Ok(())
    }

    /// Returns the payload of the last Ping that was sent, once.
    #[inline]
    pub(crate) fn poll_ping(&mut self) -> Option<ControlPayload> {
        self.progress.poll_ping()
    }

    /// Whether the caller should write before it queues more.
    #[inline]
    pub fn is_full(&self) -> bool {
        let backlog = self.backlog.as_ref();
        backlog.is_some_and(|backlog| backlog.queue.len() >= Self::MAX_WAITING)
            || self.queued_bytes() >= self.high_water()
    }

    /// Returns the number of queued bytes that the transport has not taken, including the headers framed so far.
    #[inline]
    pub fn queued_bytes(&self) -> usize {
        let backlog = self.backlog.as_ref();
        let backlog = backlog.map_or(0, |backlog| backlog.bytes);
        self.waiting().saturating_add(backlog)
    }

    /// Returns the number of waiting bytes that count as full. It is at least 1: an empty queue must never count as
    /// full, because nothing would ever empty it.
    #[inline]
    fn high_water(&self) -> usize {
        self.config.send_high_water.max(1)
    }

    /// The number of waiting messages that counts as full, however small they are.
    const MAX_WAITING: usize = 4096;

    /// Whether nothing more can be queued.
    pub fn is_closing(&self) -> bool {
        self.closing != Closing::No || self.owed.closes() || self.end().is_some()
    }

    /// Whether our Close was sent.
    pub fn is_close_sent(&self) -> bool {
        self.closing == Closing::Sent
    }

    /// Whether the peer's Close was received, as of the last [`meet`](crate::Receiver::meet).
    pub fn is_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether to end our direction of the transport now. A server does so after both Closes, and an endpoint that
    /// fails the connection does so after its own Close (RFC 6455 §7.1.1).
    pub fn wants_shutdown(&self) -> bool {
        self.shuts_down && self.is_close_sent()
    }

    /// Returns the kind of the message that is being sent in chunks, if there is one.
    pub fn streaming(&self) -> Option<Kind> {
        self.streamed.map(|(kind, _)| kind)
    }

    /// Returns how many messages, chunks, Pings and Pongs were ever queued.
    pub fn accepted(&self) -> u64 {
        self.progress.accepted
    }

    /// Returns how many of the [accepted](Self::accepted) ones were written and flushed. This rises in steps, but a
    /// message never waits for one that was queued after all output before it was written.
    pub fn flushed(&self) -> u64 {
        self.progress.flushed
    }

    /// Returns the counts of the connection. `received` comes from [`Receiver::traffic`](crate::Receiver::traffic).
    pub fn stats(&self, received: Traffic) -> Stats {
        let Progress {
            accepted,
            flushed,
            sent_bytes,
            ..
        } = self.progress;
        let dropped = match self.ending.as_deref() {
            Some(Ending { end: Some(_), .. }) => accepted.saturating_sub(flushed),
            Some(ending) => accepted.saturating_sub(ending.dropped_from),
            None => 0,
        };
        Stats {
            received,
            sent: Traffic {
                messages: accepted.saturating_sub(self.others),
                payload: self.payload,
                wire: sent_bytes.saturating_sub(self.preface.into()),
                pings: self.pings.into(),
            },
            dropped,
        }
    }

    /// Returns the limits, deadlines and policy.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Lends memory to gather output in, instead of an allocation of our own. Ignored while other memory is in use.
    #[inline]
    pub fn lend(&mut self, buf: impl FnOnce() -> Option<Box<Transmit>>) {
        if self.transmit.is_none() {
            self.transmit = buf();
        }
    }

    /// Gives the memory back, if everything in it was written.
    #[inline]
    pub fn take_back(&mut self) -> Option<Box<Transmit>> {
        self.transmit.take_if(|transmit| !transmit.has_remaining())
    }

    /// Returns the number of framed bytes that the transport has not taken.
    #[inline]
    fn waiting(&self) -> usize {
        let transmit = self.transmit.as_ref();
        transmit.map_or(0, |transmit| transmit.remaining())
    }

    fn output(&mut self) -> &mut Transmit {
        self.transmit.get_or_insert_default()
    }

    fn has_work(&self) -> bool {
        self.backlog.is_some() || !self.owed.is_empty() || self.closing == Closing::Queued
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closing", &self.closing)
            .field("end", &self.end())
            .field("queued", &self.backlog.as_ref().map_or(0, |it| it.bytes))
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
