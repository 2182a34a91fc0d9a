//! Framing (RFC 6455 §5.4): decides which message becomes bytes, and when.

use bytes::Buf;

use super::{
    Closing, Sender,
    backlog::{Form, Framing, Item, Payload},
    control::Control,
    outgoing::{Content, Outgoing},
    transmit::Transmit,
};
use crate::{
    close::CloseFrame,
    config::KeepAlive,
    deflate::Deflater,
    error::{ConnectionError, EntropyError, Lost},
    message::{ControlPayload, Message},
    wire::{
        frame::{Header, OpCode},
        mask,
    },
};

impl Sender {
    /// Frames a message at once if it is small, need not be compressed, and nothing waits before it. The answers to
    /// many messages that came in one read are like that. Returns `false` if the message must be queued.
    #[inline]
    pub(crate) fn frame_small(&mut self, message: &Outgoing) -> bool {
        let (opcode, payload) = match &message.0 {
            Content::Message { message, .. } => match message {
                Message::Text(text) => (OpCode::Text, text.as_bytes()),
                Message::Binary(payload) => (OpCode::Binary, payload),
            },
            Content::Prepared(_) => return false,
        };
        let len = payload.len();
        if len > usize::from(self.small)
            || self.small == 0
            || self.backlog.is_some()
            || self.streamed.is_some()
            || self.is_closing()
            || !self.owed.is_empty()
        {
            return false;
        }
        let enough = self.high_water();
        let Some(transmit) = self
            .transmit
            .as_deref_mut()
            .filter(|it| it.remaining() < enough)
        else {
            return false;
        };
        let mut header = Header::new(opcode, true, len);
        if let Some(keys) = &mut self.keys {
            let Ok(key) = keys.next() else {
                return false;
            };
            header.mask = Some(key);
        }
        let size = transmit.frame(&header, payload);
        self.progress.add(size);
        self.progress.accepted = self.progress.accepted.saturating_add(1);
        self.payload = self.payload.wrapping_add(len as u64);
        true
    }

    /// Frames an item that has nothing waiting before it: at once if it is one frame and need not be masked in
    /// steps.
    #[inline]
    pub(super) fn frame_at_once(&mut self, item: Item) {
        let len = item.payload.len();
        let one = len <= self.config.send_frame_size.unwrap_or(usize::MAX)
            && (self.keys.is_none() || len < Transmit::COPY_BELOW);
        let (bytes, key) = match item.form {
            Form::Framed(frame) => (frame, [0; 4]),
            Form::Uncompressed if one && item.opcode != OpCode::Ping => {
                match self.frame(Header::new(item.opcode, item.fin, len), &[]) {
                    Ok(key) => (item.payload, key),
                    Err(EntropyError) => return self.handle_end(ConnectionError::Entropy),
                }
            }
            _ => return self.frame_in_steps(item),
        };
        self.put(Payload::Shared(bytes), key);
    }

    fn frame_in_steps(&mut self, item: Item) {
        let backlog = self.backlog.get_or_insert_default();
        backlog.bytes = item.payload.len();
        backlog.current = Some(Framing::new(item, self.keys.is_some()));
        self.fill();
    }

    /// Turns waiting frames into bytes, up to the high-water mark. It stops earlier after a step of compression, so
    /// that the result can be written before more is compressed.
    pub(crate) fn fill(&mut self) {
        let enough = self.high_water();
        let most = self.deflated().saturating_add(Deflater::STEP as u64);
        while self.end().is_none() && self.waiting() < enough {
            if self.deflated() >= most && self.waiting() > 0 {
                return;
            }
            let current = self.backlog.as_ref().and_then(|it| it.current.as_ref());
            let more = match current {
                Some(current) if current.is_inside() => self.frame_remainder(),
                _ => self.frame_next(),
            };
            match more {
                Ok(true) => {}
                Ok(false) => return,
                Err(EntropyError) => self.handle_end(ConnectionError::Entropy),
            }
        }
    }

    /// Returns how many bytes were ever compressed.
    fn deflated(&self) -> u64 {
        self.deflater
            .as_ref()
            .map_or(0, |deflater| deflater.taken())
    }

    /// Begins the next frame, at a frame boundary. Returns `Ok(false)` if there is none.
    fn frame_next(&mut self) -> Result<bool, EntropyError> {
        // At most one control frame waits in `transmit`, until a Close ends the stream. A peer that sends Pings and
        // does not read therefore costs three frames: that one, and the two that still wait in slots.
        let ends = self.owed.closes() || self.closing != Closing::No && self.backlog.is_none();
        if ends || self.progress.sent_bytes >= self.progress.control_end {
            if let Some(pong) = self.owed.take(|owed| owed.pong.take()) {
                return self.frame_control(OpCode::Pong, &pong);
            }
            if let Some(payload) = self.owed.take(|owed| owed.keep_alive.take()) {
                let opcode = match self.config.keep_alive_kind {
                    KeepAlive::Ping => OpCode::Ping,
                    KeepAlive::Pong => OpCode::Pong,
                };
                return self.frame_control(opcode, &payload);
            }
        }
        if let Some(close) = self.owed.take(|owed| owed.close.take()) {
            // The peer has closed, or the connection has failed: the peer gets none of the waiting messages.
            self.drop_waiting();
            return self.frame_close(close.as_ref());
        }
        if let Some(backlog) = &mut self.backlog {
            if backlog.current.is_none() {
                let next = backlog.queue.pop_front();
                backlog.current = next.map(|item| Framing::new(item, self.keys.is_some()));
            }
            return self.frame_begin();
        }
        // Nothing waits, so everything queued before our Close was framed.
        if self.closing != Closing::Queued {
            return Ok(false);
        }
        let close = self.ending.as_mut().and_then(|it| it.close.take());
        self.frame_close(close.as_ref())
    }

    fn frame_control(
        &mut self,
        opcode: OpCode,
        payload: &ControlPayload,
    ) -> Result<bool, EntropyError> {
        self.frame(Header::new(opcode, true, payload.len()), payload)?;
        self.progress.control_end = self.progress.framed_bytes;
        if opcode == OpCode::Ping {
            self.pings = self.pings.wrapping_add(1);
            self.progress.add_keep_alive(payload.clone());
        }
        Ok(true)
    }

    fn frame_close(&mut self, close: Option<&CloseFrame>) -> Result<bool, EntropyError> {
        self.closing = Closing::Framed;
        self.owed = Control::default();
        self.deflater = None;
        let body = close.map(CloseFrame::encode).unwrap_or_default();
        self.frame(Header::new(OpCode::Close, true, body.len()), &body)?;
        Ok(true)
    }

    /// Begins the next frame of the current item.
    fn frame_begin(&mut self) -> Result<bool, EntropyError> {
        let Some(current) = self.current() else {
            return Ok(false);
        };
        if current.framed {
            current.remaining = current.payload.len();
            return self.frame_remainder();
        }
        if current.raw.is_some() && current.payload.len() == 0 && self.deflate().is_none() {
            self.handle_end(ConnectionError::Lost(Lost::Failed));
        }
        let most = self.config.send_frame_size;
        let Some(current) = self.current() else {
            return Ok(false);
        };
        let (opcode, rsv1, remaining) = (current.opcode, current.rsv1, current.payload.len());
        let most = match most {
            Some(size) if !opcode.is_control() => size.max(1),
            _ => usize::MAX,
        };
        let size = remaining.min(most);
        let fin = current.fin && size == remaining && current.raw.is_none();
        let ping = match &current.payload {
            Payload::Shared(payload) if opcode == OpCode::Ping => Some(payload.clone()),
            _ => None,
        };
        let mut header = Header::new(opcode, fin, size);
        header.rsv1 = rsv1;
        let key = self.frame(header, &[])?;
        if let Some(payload) = ping {
            let end = self.progress.framed_bytes.saturating_add(size as u64);
            let payload = ControlPayload::from_checked(payload);
            self.progress.add_ping(end, payload);
        }
        if let Some(current) = self.current() {
            (current.remaining, current.key) = (size, key);
            if !opcode.is_control() {
                // RFC 7692 §6.1: the bit is set on "the first frame" of a message only.
                (current.opcode, current.rsv1) = (OpCode::Continuation, false);
            }
        }
        self.frame_remainder()
    }

    /// Compresses a step of the current item. RFC 7692 §6.1: a message is compressed as a whole, and then cut into
    /// frames.
    fn deflate(&mut self) -> Option<()> {
        let backlog = self.backlog.as_mut()?;
        let current = backlog.current.as_mut()?;
        let deflater = self.deflater.as_mut()?;
        let mut raw = current.raw.take()?;
        let begins = current.opcode != OpCode::Continuation;
        let step = raw.len().min(Deflater::STEP);
        let ends = step == raw.len();
        let deflated = deflater.deflate(raw.get(..step)?, current.fin && ends)?;
        if begins && current.fin && deflated.len() >= step {
            // It does not shrink, so it is sent uncompressed. Forget it, because the peer's state will not have it.
            deflater.forget();
            current.payload = Payload::new(raw, self.keys.is_some());
            return Some(());
        }
        backlog.bytes = backlog.bytes.saturating_sub(step);
        backlog.bytes = backlog.bytes.saturating_add(deflated.len());
        current.rsv1 = begins;
        current.payload = Payload::new(deflated.into(), self.keys.is_some());
        raw.advance(step);
        current.raw = Some(raw).filter(|_| !ends);
        Some(())
    }

    /// Writes more of the current frame.
    fn frame_remainder(&mut self) -> Result<bool, EntropyError> {
        let Some(backlog) = &mut self.backlog else {
            return Ok(false);
        };
        let Some(current) = &mut backlog.current else {
            return Ok(false);
        };
        let key = current.key;
        let step = if self.keys.is_some() {
            current.remaining.min(Self::MASK_STEP)
        } else {
            current.remaining
        };
        let piece = current.payload.split_to(step);
        current.remaining = current.remaining.saturating_sub(step);
        current.key.rotate_left(step % 4);
        backlog.bytes = backlog.bytes.saturating_sub(step);
        if current.remaining == 0 && current.payload.len() == 0 && current.raw.is_none() {
            backlog.current = None;
            if backlog.queue.is_empty() {
                self.backlog = None;
            }
        }
        self.put(piece, key);
        Ok(true)
    }

    /// A client masks at most this many bytes of a payload at a time.
    const MASK_STEP: usize = 64 << 10;

    /// Writes a header, with a key on clients, and a copy of `payload` directly after it. Returns the key, which is
    /// zero on a server.
    #[inline]
    fn frame(&mut self, mut header: Header, payload: &[u8]) -> Result<[u8; 4], EntropyError> {
        // §5.1: "a client MUST mask all frames that it sends"; "a server MUST NOT mask any frames".
        header.mask = self.keys.as_mut().map(|keys| keys.next()).transpose()?;
        let size = self.output().frame(&header, payload);
        self.progress.add(size);
        Ok(header.mask.unwrap_or_default())
    }

    /// Writes a piece of a frame. A large piece is shared. A client masks a piece that it owns in place, and a copy
    /// of any other.
    fn put(&mut self, piece: Payload, key: [u8; 4]) {
        self.progress.add(piece.len());
        match piece {
            Payload::Own(mut own) => {
                mask::apply(&mut own, key, 0);
                self.output().share(own.freeze());
            }
            Payload::Shared(shared)
                if self.keys.is_some() || shared.len() < Transmit::COPY_BELOW =>
            {
                self.output().copy(&shared, key);
            }
            Payload::Shared(shared) => self.output().share(shared),
        }
    }

    fn current(&mut self) -> Option<&mut Framing> {
        self.backlog.as_mut()?.current.as_mut()
    }
}
