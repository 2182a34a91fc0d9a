//! From messages to frames (RFC 6455 §5.4): what becomes bytes, and when.

use bytes::Buf;

use super::{
    Closing, Sender,
    backlog::{Form, Framing, Item, Payload},
    control::Control,
    outgoing::{Outgoing, What},
    transmit::Transmit,
};
use crate::{
    close::CloseFrame,
    deflate::Deflater,
    error::{EntropyError, Lost, RecvError},
    message::{ControlPayload, Message},
    wire::{
        frame::{Header, OpCode},
        mask,
    },
};

impl Sender {
    /// Frames a message at once if it is a small one that is not compressed and nothing waits before it, which is
    /// so for the answers to many messages that came in one read. Returns `false` if it has to be queued.
    #[inline]
    pub(crate) fn frame_small(&mut self, message: &Outgoing) -> bool {
        let (opcode, payload) = match &message.0 {
            What::Message { message, .. } => match message {
                Message::Text(text) => (OpCode::Text, text.as_bytes()),
                Message::Binary(payload) => (OpCode::Binary, payload),
            },
            What::Prepared(_) => return false,
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

    /// Frames what nothing stands before: at once if it is one frame, and is not to be masked in steps.
    #[inline]
    pub(super) fn frame_at_once(&mut self, item: Item) {
        let len = item.payload.len();
        let one = len <= self.config.send_frame_size.unwrap_or(usize::MAX)
            && (self.keys.is_none() || len < Transmit::COPY_BELOW);
        let (bytes, key) = match item.form {
            Form::Framed(frame) => (frame, [0; 4]),
            Form::Plain if one && item.opcode != OpCode::Ping => {
                match self.frame(Header::new(item.opcode, item.fin, len), &[]) {
                    Ok(key) => (item.payload, key),
                    Err(EntropyError) => return self.handle_end(RecvError::Entropy),
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

    /// Turns into bytes what is due, until the high-water mark, or until enough was compressed to write
    /// some of it first.
    pub(crate) fn fill(&mut self) {
        let enough = self.high_water();
        let most = self.deflated().saturating_add(Deflater::STEP as u64);
        while self.end().is_none() && self.waiting() < enough {
            if self.deflated() >= most && self.waiting() > 0 {
                return;
            }
            let current = self.backlog.as_ref().and_then(|it| it.current.as_ref());
            let more = match current {
                Some(current) if current.is_inside() => self.frame_rest(),
                _ => self.frame_next(),
            };
            match more {
                Ok(true) => {}
                Ok(false) => return,
                Err(EntropyError) => self.handle_end(RecvError::Entropy),
            }
        }
    }

    /// Bytes that were compressed, ever.
    fn deflated(&self) -> u64 {
        self.deflater
            .as_ref()
            .map_or(0, |deflater| deflater.taken())
    }

    /// At a frame boundary: what comes next? `Ok(false)` if nothing does.
    fn frame_next(&mut self) -> Result<bool, EntropyError> {
        // One control frame at most waits in `transmit`, until a Close ends it all, so that a peer
        // that pings and does not read costs three frames: that one and two that are still slots.
        let ends = self.owed.closes() || self.closing != Closing::No && self.backlog.is_none();
        if ends || self.progress.left_bytes >= self.progress.control_end {
            if let Some(pong) = self.owed.take(|owed| owed.pong.take()) {
                return self.frame_control(OpCode::Pong, &pong);
            }
            if let Some(ping) = self.owed.take(|owed| owed.ping.take()) {
                return self.frame_control(OpCode::Ping, &ping);
            }
        }
        if let Some(close) = self.owed.take(|owed| owed.close.take()) {
            // The peer has closed, or has failed: it gets nothing of what waits.
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
        // Nothing waits, so nothing that was queued before our Close does.
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

    /// The next frame of the current item.
    fn frame_begin(&mut self) -> Result<bool, EntropyError> {
        let Some(current) = self.current() else {
            return Ok(false);
        };
        if current.framed {
            current.left = current.payload.len();
            return self.frame_rest();
        }
        if current.raw.is_some() && current.payload.len() == 0 && self.deflate().is_none() {
            self.handle_end(RecvError::Lost(Lost::Failed));
        }
        let most = self.config.send_frame_size;
        let Some(current) = self.current() else {
            return Ok(false);
        };
        let (opcode, rsv1, rest) = (current.opcode, current.rsv1, current.payload.len());
        let most = match most {
            Some(size) if !opcode.is_control() => size.max(1),
            _ => usize::MAX,
        };
        let size = rest.min(most);
        let fin = current.fin && size == rest && current.raw.is_none();
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
            (current.left, current.key) = (size, key);
            if !opcode.is_control() {
                // RFC 7692 §6.1: the bit is set on "the first frame" of a message only.
                (current.opcode, current.rsv1) = (OpCode::Continuation, false);
            }
        }
        self.frame_rest()
    }

    /// Compresses a step of the current item. RFC 7692 §6.1: a message is compressed as a whole, and
    /// then cut into frames.
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
            // It does not shrink: it is sent as it is, and the peer sees nothing of the state.
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

    /// More of the frame that is under way.
    fn frame_rest(&mut self) -> Result<bool, EntropyError> {
        let Some(backlog) = &mut self.backlog else {
            return Ok(false);
        };
        let Some(current) = &mut backlog.current else {
            return Ok(false);
        };
        let key = current.key;
        let step = if self.keys.is_some() {
            current.left.min(Self::MASK_STEP)
        } else {
            current.left
        };
        let piece = current.payload.split_to(step);
        current.left = current.left.saturating_sub(step);
        current.key.rotate_left(step % 4);
        backlog.bytes = backlog.bytes.saturating_sub(step);
        if current.left == 0 && current.payload.len() == 0 && current.raw.is_none() {
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

    /// Writes a header, with a key on clients, and `payload`, if that is to be copied right behind it.
    /// Returns the key: zero on a server.
    #[inline]
    fn frame(&mut self, mut header: Header, payload: &[u8]) -> Result<[u8; 4], EntropyError> {
        // §5.1: "a client MUST mask all frames that it sends"; "a server MUST NOT mask any frames".
        header.mask = self.keys.as_mut().map(|keys| keys.next()).transpose()?;
        let size = self.output().frame(&header, payload);
        self.progress.add(size);
        Ok(header.mask.unwrap_or_default())
    }

    /// Writes a piece of a frame. Large ones are shared; a client masks those that are its own where they
    /// are, and a copy of the others.
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
