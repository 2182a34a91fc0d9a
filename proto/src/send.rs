//! Sending: messages in, bytes out (RFC 6455 §5.4, §6.1).

use alloc::{boxed::Box, sync::Arc};
use core::fmt;

use bytes::Buf;

use crate::{
    close::{CloseFrame, Closed, Initiator},
    config::{Config, Role},
    deflate::Deflater,
    error::{Deadline, Lost, RecvError},
    message::{ControlPayload, Kind},
    send::control::Control,
    stats::{Stats, Traffic},
    time::{Instant, Timer},
    wire::mask,
};

mod backlog;
pub(crate) mod control;
mod frames;
pub(crate) mod outgoing;
mod progress;
mod queue;
pub(crate) mod transmit;

use backlog::Backlog;
use progress::Progress;
use transmit::Transmit;

/// The sending half of a [`Connection`](crate::Connection).
///
/// Messages wait as messages, what the peer is owed waits in `Control`, and both become bytes in
/// [`Transmit`] no earlier than needed, control first:
///
/// ```text
/// send  → queue ───┐
///                  ├─→ Transmit (up to send_high_water) → transport
/// owed  → control ─┘
/// ```
pub struct Sender {
    config: Arc<Config>,
    /// On clients only.
    keys: Option<Box<mask::Keys>>,
    /// For compressed messages, if we may send them.
    deflater: Option<Box<Deflater>>,
    transmit: Option<Box<Transmit>>,
    /// What could not be framed at once.
    backlog: Option<Box<Backlog>>,
    owed: Control,
    /// The message that [`send_chunk`](Self::send_chunk) has not finished, and whether it is compressed.
    streamed: Option<(Kind, bool)>,
    closing: Closing,
    /// Once the end has begun in a way that says more than `closing`.
    ending: Option<Box<Ending>>,
    progress: Progress,
    /// The payload of messages that were queued, in bytes.
    payload: u64,
    /// What was queued and ends no message: pieces, Pings and Pongs.
    others: u64,
    /// Pings, those of keep-alive included.
    pings: u32,
    /// The size of the response that begins the output of a server, in bytes.
    preface: u32,
    write: Timer,
    /// The longest payload, in bytes, that may go the short way; none may if it is 0.
    small: u16,
    /// The peer's Close was received.
    peer_closed: bool,
    /// Our direction of the transport is to end after our Close.
    shuts_down: bool,
}

/// What is known of the end.
struct Ending {
    /// The body of a Close that is queued.
    close: Option<CloseFrame>,
    /// Why nothing can be sent any more.
    end: Option<RecvError>,
    /// Who began to end the connection, if a Close did not.
    initiator: Initiator,
    /// The connection was ended at once, from this end.
    aborted: bool,
    /// The first message that was dropped, counted as [`Progress`] counts.
    dropped_from: u64,
}

impl Default for Ending {
    fn default() -> Self {
        Self {
            close: None,
            end: None,
            initiator: Initiator::Local,
            aborted: false,
            dropped_from: u64::MAX,
        }
    }
}

/// How far our Close has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Closing {
    No,
    /// Behind the messages queued before it.
    Queued,
    /// In `transmit`, which ends with it.
    Framed,
    /// Gone.
    Left,
}

impl Sender {
    pub(crate) fn new(role: Role, config: Arc<Config>, deflater: Option<Box<Deflater>>) -> Self {
        let most = config.send_frame_size.unwrap_or(usize::MAX);
        let plain = deflater.as_ref().map_or(usize::MAX, |it| it.threshold());
        let small = most
            .min(config.max_send_size)
            .min(plain.min(Transmit::COPY_BELOW).saturating_sub(1));
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
            write: Timer::OFF,
            small: small as u16,
            peer_closed: false,
            shuts_down: false,
        }
    }

    /// Bytes that go before every frame: the end of the opening handshake.
    pub(crate) fn preface(&mut self, bytes: &[u8]) {
        self.output().copy(bytes, [0; 4]);
        self.progress.add(bytes.len());
        self.preface = bytes.len() as u32;
    }

    /// Queues a Close behind the messages queued before it (RFC 6455 §7.1.2). A streamed message that
    /// is unfinished stays so. Closing twice is the same as closing once.
    pub fn close(&mut self, frame: Option<CloseFrame>) {
        if !self.is_closing() {
            self.closing = Closing::Queued;
            if frame.is_some() {
                self.ending().close = frame;
            }
            // Nothing is asked of a peer that is told goodbye.
            self.owed.take(|owed| owed.ping.take());
        }
    }

    /// Takes what the [`Receiver`](crate::Receiver) owes the peer. It overtakes the messages that
    /// wait; a Close drops them.
    pub(crate) fn handle_control(&mut self, control: Control) {
        if matches!(self.closing, Closing::No | Closing::Queued) {
            self.owed.merge(control);
            if self.closing != Closing::No {
                self.owed.take(|owed| owed.ping.take());
            }
        }
    }

    /// Ends the connection at once, without a Close: drop the transport. The receiver learns of it when both
    /// [`meet`](crate::Receiver::meet).
    pub fn abort(&mut self) {
        self.ending().aborted = true;
        self.handle_end(RecvError::Lost(Lost::Failed));
    }

    /// How far the receiver has come to its end.
    pub(crate) fn handle_peer(&mut self, closed: bool, shuts_down: bool) {
        (self.peer_closed, self.shuts_down) = (closed, shuts_down);
    }

    /// What to write to the transport; `None` if there is nothing.
    ///
    /// Frames at most [`send_high_water`](Config::send_high_water) bytes, and one frame more, ahead
    /// of the transport.
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

    /// A write was attempted, with or without success, and `flushed` tells whether the transport
    /// itself holds nothing back.
    pub fn handle_sent(&mut self, flushed: bool) {
        if self.end().is_some() {
            return;
        }
        let waiting = self.waiting();
        let left = self.progress.framed_bytes.saturating_sub(waiting as u64);
        let moved = self.progress.advance(left, self.framed(), flushed);
        if waiting == 0 {
            self.transmit = None;
            if self.closing == Closing::Framed
                && self.progress.left_bytes == self.progress.framed_bytes
            {
                self.closing = Closing::Left;
            }
        }
        if waiting == 0 && flushed && !self.has_work() {
            self.write = Timer::OFF;
        } else if moved || self.write == Timer::OFF {
            self.write.start(self.config.write_timeout);
        }
    }

    /// Nothing can be sent any more: what waits is dropped.
    pub fn handle_end(&mut self, end: RecvError) {
        let begins = !self.is_closing();
        let ending = self.ending();
        if begins && !ending.aborted {
            ending.initiator = Initiator::of(&end);
        }
        ending.end.get_or_insert(end);
        self.drop_waiting();
        self.deflater = None;
        self.owed = Control::default();
        self.transmit = None;
        self.write = Timer::OFF;
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); a moment in the past means at once.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.write.at()
    }

    /// Time has passed. Fails if output waited too long: the transport should be given up.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Deadline> {
        if self.write.is_over(now, self.config.write_timeout) {
            self.handle_end(RecvError::TimedOut(Deadline::Write));
            return Err(Deadline::Write);
        }
        Ok(())
    }

    /// The payload of the last Ping that left, once.
    #[inline]
    pub(crate) fn poll_ping(&mut self) -> Option<ControlPayload> {
        self.progress.poll_ping()
    }

    /// Whether to write before queueing more.
    #[inline]
    pub fn is_full(&self) -> bool {
        let backlog = self.backlog.as_ref();
        backlog.is_some_and(|backlog| backlog.queue.len() >= Self::MAX_WAITING)
            || self.queued_bytes() >= self.high_water()
    }

    /// Bytes that were queued and that the transport has not taken, those of headers included as far as there are
    /// any.
    #[inline]
    pub fn queued_bytes(&self) -> usize {
        let backlog = self.backlog.as_ref();
        let backlog = backlog.map_or(0, |backlog| backlog.bytes);
        self.waiting().saturating_add(backlog)
    }

    /// Where nothing waits there is nothing to wait for, whatever the mark.
    #[inline]
    fn high_water(&self) -> usize {
        self.config.send_high_water.max(1)
    }

    /// How many messages that wait count as full, however small.
    const MAX_WAITING: usize = 4096;

    /// Whether nothing more can be queued.
    pub fn is_closing(&self) -> bool {
        self.closing != Closing::No || self.owed.closes() || self.end().is_some()
    }

    /// Whether our Close has left.
    pub fn is_closed(&self) -> bool {
        self.closing == Closing::Left
    }

    /// Whether the peer's Close was received, as of when both halves last met.
    pub fn is_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether to end our direction of the transport now: a server does so after both Closes, and whoever
    /// fails the connection after its own (RFC 6455 §7.1.1).
    pub fn wants_shutdown(&self) -> bool {
        self.shuts_down && self.is_closed()
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.ending.as_ref().is_some_and(|it| it.aborted)
    }

    /// The message that chunks are being sent of.
    pub fn streaming(&self) -> Option<Kind> {
        self.streamed.map(|(kind, _)| kind)
    }

    /// How many messages, chunks, Pings and Pongs were queued, ever.
    pub fn accepted(&self) -> u64 {
        self.progress.accepted
    }

    /// How many of them were written and flushed. Rises in steps: no message waits for another that
    /// was queued after the output before it had left.
    pub fn flushed(&self) -> u64 {
        self.progress.flushed
    }

    /// Whether any of the first `count` of them will never be written.
    pub fn has_dropped(&self, count: u64) -> bool {
        let Some(ending) = &self.ending else {
            return false;
        };
        ending.dropped_from < count || (ending.end.is_some() && self.progress.flushed < count)
    }

    /// What has passed over the connection since it opened. `received` is what the receiver has
    /// [counted](crate::Receiver::traffic).
    pub fn stats(&self, received: Traffic) -> Stats {
        let Progress {
            accepted,
            flushed,
            left_bytes,
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
                wire: left_bytes.saturating_sub(self.preface.into()),
                pings: self.pings.into(),
            },
            dropped,
        }
    }

    /// Limits, deadlines and policy.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Memory to gather output in, instead of an allocation of our own. Ignored while some is in use.
    #[inline]
    pub fn lend(&mut self, buf: impl FnOnce() -> Option<Box<Transmit>>) {
        if self.transmit.is_none() {
            self.transmit = buf();
        }
    }

    /// Gives the memory back, once all in it was written.
    #[inline]
    pub fn take_back(&mut self) -> Option<Box<Transmit>> {
        self.transmit.take_if(|transmit| !transmit.has_remaining())
    }

    /// Why nothing can be sent any more, if that is so and no Close was the reason.
    pub fn end(&self) -> Option<RecvError> {
        self.ending.as_ref()?.end
    }

    /// How the connection ended, as far as the sender can know: `None` while a Close may still end it. What
    /// the receiver knows counts for more, for the peer's Close may have been received.
    pub fn closed(&self) -> Option<Closed> {
        let ending = self.ending.as_ref()?;
        let cause = (!ending.aborted).then_some(ending.end?);
        Some(Closed::abnormal(ending.initiator, cause))
    }

    /// Bytes that the transport has not taken.
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

    /// Drops every message that is not wholly framed.
    fn drop_waiting(&mut self) {
        let framed = self.framed();
        if self.backlog.take().is_some() {
            let ending = self.ending();
            ending.dropped_from = ending.dropped_from.min(framed);
        }
    }

    /// How many messages, chunks, Pings and Pongs became bytes, ever.
    #[inline]
    fn framed(&self) -> u64 {
        let waiting = self.backlog.as_ref().map_or(0, |backlog| backlog.count());
        let framed = self.progress.accepted.saturating_sub(waiting);
        match &self.ending {
            Some(ending) => framed.min(ending.dropped_from),
            None => framed,
        }
    }

    fn ending(&mut self) -> &mut Ending {
        self.ending.get_or_insert_default()
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
