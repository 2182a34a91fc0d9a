//! The meaning of a stream of octets to the end that receives it, by RFC 6455 §5 to §8 and RFC 7692 §6: a slow
//! reading of the RFC that shares no code with the crate.

use std::collections::VecDeque;

use flate2::{Decompress, FlushDecompress, Status};
use proto::{Config, Kind, Role, deflate::Window};

use crate::{
    bodies::wire::{self, Message, Said},
    frames::{self, BINARY, CONTINUATION, FIN, Header, PING, PONG, RSV1, TEXT},
};

/// The way in which the stream ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// By a Close.
    Closed,
    /// It breaks a rule or a limit, which this code reports.
    Failed(u16),
    /// Compressed data was damaged on the way: inflaters may notice at different points.
    Anything,
}

pub(crate) struct Reference {
    reader: Role,
    max_frame: Option<u64>,
    max_message: u64,
    max_stream: u64,
    max_fragments: u32,
    inflater: Option<Inflater>,
    /// The octets that have come, and how many of them were read.
    input: Vec<u8>,
    at: usize,
    /// The current pull method.
    pull: Pull,
    head: Vec<u8>,
    frame: Option<Frame>,
    message: Option<Gathered>,
    begun: u64,
    /// The events that were not yet compared.
    pub(crate) said: VecDeque<Said>,
    pub(crate) verdict: Option<Verdict>,
    damaged: bool,
}

/// A frame whose header is known.
struct Frame {
    first: u8,
    left: u64,
    key: [u8; 4],
    /// The payload of a control frame.
    payload: Vec<u8>,
}

/// The way in which a message is pulled, which decides its limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pull {
    Whole,
    Chunks,
    /// In chunks at first; the remainder is skipped.
    Skip,
}

/// A message that has not ended.
struct Gathered {
    kind: Kind,
    pull: Pull,
    deflated: bool,
    content: Vec<u8>,
    /// The number of octets that form whole characters, of a text.
    checked: usize,
    /// The number of octets that headers announced.
    announced: u64,
    frames: u32,
}

struct Inflater {
    /// The state, which is large and created when it is needed.
    state: Option<Decompress>,
    takeover: bool,
}

impl Reference {
    pub(crate) fn new(reader: Role, config: &Config, window: Option<Window>) -> Self {
        Self {
            reader,
            max_frame: config.max_frame_size,
            max_message: config.max_message_size as u64,
            max_stream: config.max_stream_size,
            max_fragments: config.max_fragments.max(1),
            inflater: window.map(|window| Inflater {
                state: None,
                takeover: window.takeover,
            }),
            input: Vec::new(),
            at: 0,
            pull: Pull::Whole,
            head: Vec::new(),
            frame: None,
            message: None,
            begun: 0,
            said: VecDeque::new(),
            verdict: None,
            damaged: false,
        }
    }

    /// Notes that from here on the stream may differ from what a correct peer wrote.
    pub(crate) fn damage(&mut self) {
        self.damaged = true;
        if self
            .message
            .as_ref()
            .is_some_and(|message| message.deflated)
        {
            self.verdict.get_or_insert(Verdict::Anything);
        }
    }

    /// Returns what has come of a message that has not ended, whole characters only, and whether it was compressed.
    pub(crate) fn unfinished(&self) -> Option<(&[u8], bool)> {
        let message = self.message.as_ref()?;
        let end = match message.kind {
            Kind::Text => message.checked,
            Kind::Binary => message.content.len(),
        };
        Some((&message.content[..end], message.deflated))
    }

    /// Returns the number of the message that has not ended, or `None` if the stream can no longer be read with
    /// certainty.
    pub(crate) fn which(&self) -> Option<u64> {
        let message = self.message.as_ref().filter(|_| self.verdict.is_none());
        message.map(|_| self.begun)
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    /// Asks for `chunks` or whole messages. A message belongs to the method that first saw it. A method that
    /// asks for chunks has seen nothing of it if no chunk was `delivered`. Returns whether the remainder of the
    /// current message is skipped from here on.
    pub(crate) fn ask(&mut self, chunks: bool, delivered: bool) -> bool {
        self.pull = if chunks { Pull::Chunks } else { Pull::Whole };
        let Some(message) = &mut self.message else {
            return false;
        };
        message.pull = match (message.pull, self.pull) {
            (Pull::Whole, pull) => pull,
            (Pull::Chunks, Pull::Whole) if !delivered && message.total() <= self.max_message => {
                Pull::Whole
            }
            (Pull::Chunks, Pull::Chunks) => Pull::Chunks,
            (Pull::Chunks | Pull::Skip, _) => Pull::Skip,
        };
        message.pull == Pull::Skip
    }

    /// Reads everything that has come.
    pub(crate) fn read_all(&mut self) {
        while self.verdict.is_none() && self.read_some() {}
    }

    /// Reads until there is something to report to the pull method.
    pub(crate) fn read(&mut self) {
        while self.verdict.is_none() && self.said.is_empty() && self.read_some() {}
    }

    /// Reads the next octet of a header, or as much of a payload as has come. Returns `false` if nothing has come.
    fn read_some(&mut self) -> bool {
        let bytes = &self.input[self.at..];
        let (judged, taken) = match &self.frame {
            None => {
                let Some(octet) = bytes.first() else {
                    return false;
                };
                self.head.push(*octet);
                (self.header(), 1)
            }
            Some(frame) => {
                if bytes.is_empty() && frame.left > 0 {
                    return false;
                }
                let len =
                    usize::try_from(frame.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                let payload = bytes[..len].to_vec();
                (self.payload(payload), len)
            }
        };
        self.at += taken;
        if self.at == self.input.len() {
            self.input.clear();
            self.at = 0;
        }
        self.verdict = judged.err();
        true
    }

    /// Judges the last octet of the header.
    fn header(&mut self) -> Result<(), Verdict> {
        let failed = Verdict::Failed(1002);
        let header = Header::read(&self.head).map_err(|_| failed)?;
        let (first, opcode) = (self.head[0], self.head[0] & 0xF);
        let begins = matches!(opcode, TEXT | BINARY);
        let is_out_of_place = match opcode {
            CONTINUATION => self.message.is_none(),
            _ => begins && self.message.is_some(),
        };
        let may_rsv1 = self.inflater.is_some() && begins;
        if is_out_of_place || first & RSV1 != 0 && !may_rsv1 {
            return Err(failed);
        }
        let masked = self.head.get(1).map(|second| second & 0x80 != 0);
        if masked.is_some_and(|masked| masked != (self.reader == Role::Server)) {
            return Err(failed);
        }
        let Some(Header { key, len, .. }) = header else {
            return Ok(());
        };
        self.head.clear();
        if opcode < 8 {
            self.begin(first, len)?;
        }
        self.frame = Some(Frame {
            first,
            left: len,
            key: key.unwrap_or_default(),
            payload: Vec::new(),
        });
        Ok(())
    }

    /// Begins a data frame, and checks the limits.
    fn begin(&mut self, first: u8, len: u64) -> Result<(), Verdict> {
        if self.max_frame.is_some_and(|max| len > max) {
            return Err(Verdict::Failed(1009));
        }
        let deflated = first & RSV1 != 0;
        let pull = self.pull;
        let message = self.message.get_or_insert_with(|| Gathered {
            kind: wire::kind(first & 0xF),
            pull,
            deflated,
            content: Vec::new(),
            checked: 0,
            announced: 0,
            frames: 0,
        });
        self.begun += u64::from(message.frames == 0);
        if message.deflated && self.damaged {
            return Err(Verdict::Anything);
        }
        message.announced = message.announced.saturating_add(len);
        if message.total() > message.pull.limit(self.max_message, self.max_stream) {
            return Err(Verdict::Failed(1009));
        }
        message.frames += 1;
        if message.frames > self.max_fragments {
            return Err(Verdict::Failed(1008));
        }
        Ok(())
    }

    /// Takes more of a payload, which may be masked.
    fn payload(&mut self, mut payload: Vec<u8>) -> Result<(), Verdict> {
        let Some(frame) = &mut self.frame else {
            return Ok(());
        };
        frames::mask(&mut payload, frame.key);
        frame.key.rotate_left(payload.len() % 4);
        frame.left -= payload.len() as u64;
        let (first, ends) = (frame.first, frame.left == 0);
        if first & 0x8 != 0 {
            frame.payload.extend(payload);
            if ends {
                let payload = std::mem::take(&mut frame.payload);
                self.frame = None;
                return self.control(first, payload);
            }
            return Ok(());
        }
        if ends {
            self.frame = None;
        }
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        let whole = ends && first & FIN != 0;
        match &mut self.inflater {
            Some(inflater) if message.deflated => {
                let max = message.pull.limit(self.max_message, self.max_stream);
                inflater.inflate(&payload, &mut message.content, max)?;
                if whole && message.announced > 0 {
                    let tail = [0, 0, 0xff, 0xff];
                    inflater.inflate(&tail, &mut message.content, max)?;
                }
                if whole
                    && !inflater.takeover
                    && let Some(state) = &mut inflater.state
                {
                    state.reset(false);
                }
                if message.content.len() as u64 > max {
                    // Text is checked as it comes: a fault within the limit is found before the limit.
                    message.content.truncate(max as usize);
                    message.check(false)?;
                    return Err(Verdict::Failed(1009));
                }
            }
            _ => message.content.extend(payload),
        }
        message.check(whole)?;
        if whole && let Some(message) = self.message.take() {
            self.said.push_back(Said::Message(Message {
                kind: message.kind,
                content: message.content,
                deflated: None,
            }));
        }
        Ok(())
    }

    fn control(&mut self, first: u8, payload: Vec<u8>) -> Result<(), Verdict> {
        self.said.push_back(match first {
            PING => Said::Ping(payload),
            PONG => Said::Pong(payload),
            _ => {
                close(&payload)?;
                self.said.push_back(Said::Close(payload));
                return Err(Verdict::Closed);
            }
        });
        Ok(())
    }
}

/// §5.5.1, §7.4.
fn close(body: &[u8]) -> Result<(), Verdict> {
    let Some((code, reason)) = body.split_first_chunk() else {
        return match body {
            [] => Ok(()),
            _ => Err(Verdict::Failed(1002)),
        };
    };
    match u16::from_be_bytes(*code) {
        1000..=1003 | 1007..=1014 | 3000..=4999 => {}
        _ => return Err(Verdict::Failed(1002)),
    }
    match str::from_utf8(reason) {
        Ok(_) => Ok(()),
        Err(_) => Err(Verdict::Failed(1007)),
    }
}

impl Pull {
    fn limit(self, max_message: u64, max_stream: u64) -> u64 {
        match self {
            Self::Whole => max_message,
            Self::Chunks | Self::Skip => max_stream,
        }
    }
}

impl Gathered {
    /// Returns what counts: the octets that headers announced, or that were inflated.
    fn total(&self) -> u64 {
        if self.deflated {
            self.content.len() as u64
        } else {
            self.announced
        }
    }

    /// Checks a text. §8.1: it must not be beyond repair as UTF-8, or end in half a character.
    fn check(&mut self, whole: bool) -> Result<(), Verdict> {
        if self.kind == Kind::Binary {
            return Ok(());
        }
        // The current method may have a lower limit; everything within it was checked before.
        let fresh = self.content.get(self.checked..).unwrap_or_default();
        match str::from_utf8(fresh) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_some() || whole => {
                return Err(Verdict::Failed(1007));
            }
            Err(error) => self.checked += error.valid_up_to(),
        }
        Ok(())
    }
}

impl Inflater {
    /// Inflates until `out` is longer than `max`.
    fn inflate(&mut self, mut input: &[u8], out: &mut Vec<u8>, max: u64) -> Result<(), Verdict> {
        let state = self.state.get_or_insert_with(|| Decompress::new(false));
        loop {
            out.reserve(4096);
            let before = (state.total_in(), out.len());
            let done = state.decompress_vec(input, out, FlushDecompress::Sync);
            let taken = (state.total_in() - before.0) as usize;
            input = &input[taken..];
            if out.len() as u64 > max {
                return Ok(());
            }
            match done {
                Ok(Status::StreamEnd) | Err(_) => return Err(Verdict::Anything),
                Ok(_) if taken == 0 && out.len() == before.1 => return Ok(()),
                Ok(_) => {}
            }
        }
    }
}
