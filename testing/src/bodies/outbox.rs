//! The messages that an end was asked to send, compared with what it wrote.

use std::collections::VecDeque;

use proto::{CloseFrame, Config, KeepAlive, Kind, Role, deflate::Window};

use crate::bodies::{
    tally,
    wire::{Message, Reader, Said},
};

pub(crate) struct Outbox {
    reader: Reader,
    window: Option<Window>,
    threshold: usize,
    /// What keep-alive sends, if it is on.
    keep_alive: Option<KeepAlive>,
    /// The messages that were accepted and are not completely on the wire.
    messages: VecDeque<Sent>,
    controls: VecDeque<Asked>,
    /// The Pings that were received and not answered.
    heard: VecDeque<Vec<u8>>,
    answered: Option<Vec<u8>>,
    /// Pongs that were taken for the application's, and may have been answers: then the application's own will
    /// follow.
    either: Vec<Vec<u8>>,
    /// The numbers of keep-alive Pings that were seen, and of messages and control frames that the application
    /// asked for.
    keep_alives: u32,
    /// What was seen since [`Outbox::take_kept`].
    kept: Kept,
    seen_messages: usize,
    seen_controls: usize,
    /// The number of messages, chunks, Pings and Pongs that are completely on the wire.
    sent: u64,
    accepted: u64,
    /// The Closes that may be sent: the application's, and owed ones.
    closes: Vec<Close>,
    /// The Close that was sent.
    pub(crate) close: Option<Vec<u8>>,
}

/// The numbers of frames that keep-alive sent.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Kept {
    pub(crate) pings: u32,
    /// Empty Pongs that nobody asked for.
    pub(crate) beats: u32,
    /// Empty Pongs that may have been answers to empty Pings.
    pub(crate) perhaps: u32,
}

/// The form in which a message is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum How {
    Usual,
    /// It must not be compressed.
    Plain,
    Prepared,
    Chunks,
}

struct Sent {
    kind: Kind,
    content: Vec<u8>,
    fin: bool,
    how: How,
    chunks: u64,
    controls_before: usize,
}

struct Asked {
    said: Said,
    messages_before: usize,
}

struct Close {
    body: Vec<u8>,
    /// Whether it may overtake waiting messages, and drop them.
    owed: bool,
}

impl Outbox {
    pub(crate) fn new(role: Role, config: &Config, window: Option<Window>) -> Self {
        Self {
            reader: Reader::new(role, window, config.send_frame_size),
            window,
            threshold: config.deflate.unwrap_or_default().threshold,
            keep_alive: config.keep_alive.map(|_| config.keep_alive_kind),
            messages: VecDeque::new(),
            controls: VecDeque::new(),
            heard: VecDeque::new(),
            answered: None,
            either: Vec::new(),
            keep_alives: 0,
            kept: Kept::default(),
            seen_messages: 0,
            seen_controls: 0,
            sent: 0,
            accepted: 0,
            closes: Vec::new(),
            close: None,
        }
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns what keep-alive has sent since the last call.
    pub(crate) fn take_kept(&mut self) -> Kept {
        std::mem::take(&mut self.kept)
    }

    /// Returns the most that may be reported as sent.
    pub(crate) fn sent(&self) -> u64 {
        let begun = self.messages.front().filter(|_| self.reader.has_begun());
        self.sent + begun.map_or(0, |message| message.chunks)
    }

    pub(crate) fn message(&mut self, kind: Kind, content: Vec<u8>, fin: bool, how: How) {
        self.accepted += 1;
        match self.messages.back_mut() {
            Some(last) if !last.fin => {
                last.content.extend(content);
                last.fin = fin;
                last.chunks += 1;
            }
            _ => {
                let controls_before = self.seen_controls + self.controls.len();
                self.messages.push_back(Sent {
                    kind,
                    content,
                    fin,
                    how,
                    chunks: 1,
                    controls_before,
                });
            }
        }
    }

    /// Adds a Ping or an unsolicited Pong.
    pub(crate) fn control(&mut self, said: Said) {
        self.accepted += 1;
        let whole = self.messages.iter().filter(|message| message.fin).count();
        self.controls.push_back(Asked {
            said,
            messages_before: self.seen_messages + whole,
        });
    }

    /// Handles that a Ping was polled, so that its Pong is owed.
    pub(crate) fn heard_ping(&mut self, payload: &[u8]) {
        self.heard.push_back(payload.to_vec());
    }

    /// Notes that a Close may now be sent.
    pub(crate) fn closes(&mut self, frame: Option<&CloseFrame>, owed: bool) {
        let mut body = Vec::new();
        if let Some(frame) = frame {
            body.extend(frame.code().get().to_be_bytes());
            body.extend_from_slice(frame.reason().as_bytes());
        }
        self.closes.push(Close { body, owed });
    }

    /// Checks the bytes that were written.
    pub(crate) fn wrote(&mut self, bytes: &[u8]) -> Vec<Said> {
        let said = self.reader.read(bytes);
        for said in &said {
            match said {
                Said::Message(message) => self.wrote_message(message),
                Said::Ping(payload) => self.wrote_ping(said, payload),
                Said::Pong(payload) => {
                    let at = self.heard.iter().position(|ping| ping == payload);
                    if self.is_asked(said) {
                        self.either.extend(at.map(|_| payload.clone()));
                    } else if let Some(at) = at {
                        if self.may_beat(payload) {
                            // If it is no answer, nothing is known of the Pings around this one.
                            self.kept.perhaps += 1;
                            if self.heard.back() == Some(payload) {
                                self.answered = Some(payload.clone());
                            }
                        } else {
                            self.heard.drain(..=at);
                            self.answered = Some(payload.clone());
                        }
                    } else if self.may_beat(payload) {
                        self.kept.beats += 1;
                        tally::count("unsolicited Pong");
                    } else {
                        let at = self.either.iter().position(|pong| pong == payload);
                        let at = at.expect("§5.5.3: a Pong answers a Ping, and the latest wins");
                        self.either.swap_remove(at);
                    }
                }
                Said::Close(body) => self.wrote_close(body),
            }
        }
        said
    }

    fn wrote_message(&mut self, message: &Message) {
        let sent = self.messages.pop_front().expect("a message that was sent");
        assert!(sent.fin, "a message ended before its last chunk");
        assert_eq!(message.kind, sent.kind);
        assert!(
            message.content == sent.content,
            "a message arrives as it was sent"
        );
        assert!(
            sent.controls_before <= self.seen_controls,
            "it overtook a control frame"
        );
        self.seen_messages += 1;
        self.sent += sent.chunks;
        let len = sent.content.len();
        let can = self.window.is_some_and(|window| window.bits >= 9);
        match (message.deflated, sent.how) {
            (Some(_), How::Plain) => panic!("a message that opts out is not compressed"),
            (Some(_), How::Chunks) => tally::count("streamed compressed"),
            (None, How::Plain) => {}
            (None, How::Chunks) => assert!(!can || sent.chunks == 1, "chunks are compressed"),
            (Some(deflated), _) => {
                tally::count("sent compressed");
                assert!(len >= self.threshold, "the threshold");
                assert!(deflated < len || len > 64 << 10, "it got smaller");
            }
            (None, How::Usual) => {
                let small = sent.content.windows(2).all(|pair| pair[0] == pair[1]);
                let worth = len >= self.threshold.max(100);
                assert!(!(can && worth && small), "it would have got smaller");
            }
            (None, How::Prepared) => {}
        }
    }

    fn wrote_ping(&mut self, said: &Said, payload: &[u8]) {
        if !self.is_asked(said) {
            self.keep_alives += 1;
            self.kept.pings += 1;
            tally::count("keep-alive");
            assert_eq!(
                self.keep_alive,
                Some(KeepAlive::Ping),
                "nobody asked for it"
            );
            assert_eq!(payload, self.keep_alives.to_be_bytes(), "each has a number");
        }
    }

    /// Whether keep-alive may have sent a Pong with this payload.
    fn may_beat(&self, payload: &[u8]) -> bool {
        self.keep_alive == Some(KeepAlive::Pong) && payload.is_empty()
    }

    /// Whether the application asked for this control frame. Such frames come in the order of the requests, after
    /// the messages before them. A frame that looks the same and comes earlier must be owed for another reason.
    fn is_asked(&mut self, said: &Said) -> bool {
        let seen = self.seen_messages;
        let is_due = |asked: &Asked| asked.said == *said && asked.messages_before <= seen;
        if !self.controls.front().is_some_and(is_due) {
            return false;
        }
        self.controls.pop_front();
        self.seen_controls += 1;
        self.sent += 1;
        true
    }

    fn wrote_close(&mut self, body: &[u8]) {
        let mut closes = self.closes.iter();
        let owed = closes.clone().any(|close| close.owed);
        assert!(
            closes.any(|close| close.body == body),
            "which Close is {body:?}?"
        );
        if !owed {
            self.assert_all_sent();
        }
        self.close = Some(body.to_vec());
    }

    /// Checks that nothing waits and nothing was dropped.
    pub(crate) fn assert_settled(&self) {
        assert!(self.reader.is_between_frames(), "half a frame");
        if self.close.is_none() {
            self.assert_all_sent();
            // Of Pings with the same payload, the last is the one that was answered.
            let answered = self.heard.is_empty() || self.heard.back() == self.answered.as_ref();
            assert!(answered, "§5.5.2: a Ping has its Pong");
            assert!(self.closes.is_empty(), "a Close that was not sent");
        }
    }

    fn assert_all_sent(&self) {
        assert!(self.controls.is_empty(), "a Ping or Pong was lost");
        let Some(sent) = self.messages.front() else {
            return;
        };
        assert!(!sent.fin, "a message was lost");
        if let Some((kind, content)) = self.reader.begun() {
            assert_eq!(kind, sent.kind);
            assert!(content == sent.content, "a chunk was lost");
        }
        assert!(self.reader.has_begun(), "a chunk was lost");
    }
}
