//! From messages to frames (RFC 6455 §5.4): what becomes bytes, and when.

use bytes::{Buf, Bytes, BytesMut};

use super::{Closing, Failed, Sender, Transmit};
use crate::{
    CloseFrame, Control, ControlPayload, EntropyError,
    frame::{Header, OpCode},
    mask,
};

/// Something that waits to be framed.
pub(super) struct Item {
    pub(super) opcode: OpCode,
    pub(super) fin: bool,
    /// What is not framed of it.
    pub(super) payload: Payload,
}

/// What a client must not change it copies to mask.
pub(super) enum Payload {
    Shared(Bytes),
    Own(BytesMut),
}

impl Payload {
    /// `masked` tells whether it will be worth to mask `payload` where it is.
    pub(super) fn new(payload: Bytes, masked: bool) -> Self {
        if !masked || payload.len() < Transmit::COPY_BELOW {
            return Self::Shared(payload);
        }
        match payload.try_into_mut() {
            Ok(own) => Self::Own(own),
            Err(shared) => Self::Shared(shared),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Shared(bytes) => bytes.len(),
            Self::Own(bytes) => bytes.len(),
        }
    }

    /// Takes `count` bytes, or all, off the front.
    fn split_to(&mut self, count: usize) -> Self {
        let count = count.min(self.len());
        match self {
            Self::Shared(bytes) => Self::Shared(bytes.split_to(count)),
            Self::Own(bytes) => Self::Own(bytes.split_to(count)),
        }
    }
}

/// A frame whose header is out.
pub(super) struct Framing {
    /// Payload bytes that are not.
    left: usize,
    /// Turned so that it begins with the next byte.
    key: [u8; 4],
}

impl Sender {
    /// Turns into bytes what is due, until the high-water mark.
    pub(crate) fn fill(&mut self) {
        if self.failed.is_some() {
            return;
        }
        while self
            .transmit
            .as_ref()
            .map_or(0, |transmit| transmit.remaining())
            < self.config.send_high_water.max(1)
        {
            let filled = match self.framing {
                Some(_) => self.frame_rest(),
                None => self.frame_next(),
            };
            match filled {
                Ok(true) => {}
                Ok(false) => return,
                Err(EntropyError) => return self.fail(Failed::Entropy),
            }
        }
    }

    /// At a frame boundary: what comes next? `Ok(false)` if nothing does.
    fn frame_next(&mut self) -> Result<bool, EntropyError> {
        // One control frame at most waits in `transmit`, until a Close ends it all, so that a peer
        // that pings and does not read costs three frames: that one and two that are still slots.
        let ends = self.owed.close.is_some();
        if ends || self.progress.left_bytes >= self.progress.control_end {
            if let Some(pong) = self.owed.pong.take() {
                return self.frame_control(OpCode::Pong, &pong);
            }
            if let Some(ping) = self.owed.ping.take() {
                return self.frame_control(OpCode::Ping, &ping);
            }
        }
        if let Some(close) = self.owed.close.take() {
            // The peer has closed, or has failed: it gets nothing of what waits.
            self.drop_queue();
            return self.frame_close(close.as_ref());
        }
        if self.queue.is_empty() {
            return match core::mem::replace(&mut self.closing, Closing::No) {
                Closing::Queued(close) => self.frame_close(close.as_ref()),
                other => {
                    self.closing = other;
                    Ok(false)
                }
            };
        }
        self.frame_item()
    }

    fn frame_control(
        &mut self,
        opcode: OpCode,
        payload: &ControlPayload,
    ) -> Result<bool, EntropyError> {
        self.frame_whole(opcode, true, payload)?;
        self.progress.control_end = self.progress.framed_bytes;
        if opcode == OpCode::Ping {
            self.progress.ping = Some((self.progress.framed_bytes, payload.clone()));
        }
        Ok(true)
    }

    fn frame_close(&mut self, close: Option<&CloseFrame>) -> Result<bool, EntropyError> {
        self.closing = Closing::Framed;
        self.owed = Control::default();
        let body = close.map(CloseFrame::encode).unwrap_or_default();
        self.frame_whole(OpCode::Close, true, &body)?;
        Ok(true)
    }

    /// A frame whose payload is copied.
    fn frame_whole(
        &mut self,
        opcode: OpCode,
        fin: bool,
        payload: &[u8],
    ) -> Result<(), EntropyError> {
        let key = self.frame_header(opcode, fin, payload.len())?;
        self.copy(payload, key);
        Ok(())
    }

    /// The next frame of the item at the front of the queue.
    fn frame_item(&mut self) -> Result<bool, EntropyError> {
        let Some(item) = self.queue.front() else {
            return Ok(false);
        };
        let (opcode, fin, rest) = (item.opcode, item.fin, item.payload.len());
        let most = match self.config.send_frame_size {
            Some(size) if !opcode.is_control() => size.max(1),
            _ => usize::MAX,
        };
        let size = rest.min(most);
        let key = self.frame_header(opcode, fin && size == rest, size)?;
        self.framing = Some(Framing { left: size, key });
        if let Some(item) = self.queue.front_mut()
            && !opcode.is_control()
        {
            item.opcode = OpCode::Continuation;
        }
        if opcode == OpCode::Ping
            && let Some(Item {
                payload: Payload::Shared(payload),
                ..
            }) = self.queue.front()
        {
            let end = self.progress.framed_bytes.saturating_add(size as u64);
            self.progress.ping = Some((end, ControlPayload::from_checked(payload.clone())));
        }
        self.frame_rest()
    }

    /// More of the frame that is under way, until the high-water mark. Large payloads are shared;
    /// a client masks those that are its own where they are, and a copy of the others.
    fn frame_rest(&mut self) -> Result<bool, EntropyError> {
        let (Some(framing), Some(item)) = (&mut self.framing, self.queue.front_mut()) else {
            self.framing = None;
            return Ok(true);
        };
        let key = framing.key;
        let masked = self.keys.is_some();
        let step = if masked {
            framing.left.min(Self::MASK_STEP)
        } else {
            framing.left
        };
        framing.left = framing.left.saturating_sub(step);
        framing.key.rotate_left(step % 4);
        self.queued = self.queued.saturating_sub(step);
        let piece = item.payload.split_to(step);
        if framing.left == 0 {
            self.framing = None;
            if item.payload.len() == 0 {
                self.queue.pop_front();
                self.progress.framed = self.progress.framed.saturating_add(1);
            }
        }
        let shared = match piece {
            Payload::Own(mut own) => {
                mask::apply(&mut own, key, 0);
                own.freeze()
            }
            Payload::Shared(shared) if masked || step < Transmit::COPY_BELOW => {
                self.copy(&shared, key);
                return Ok(true);
            }
            Payload::Shared(shared) => shared,
        };
        self.progress.add(shared.len());
        self.output().share(shared);
        Ok(true)
    }

    /// A client masks at most this many bytes of a payload at a time.
    const MASK_STEP: usize = 64 << 10;

    /// Writes a header and returns the key to mask the payload with: zero on a server.
    fn frame_header(
        &mut self,
        opcode: OpCode,
        fin: bool,
        len: usize,
    ) -> Result<[u8; 4], EntropyError> {
        // §5.1: "a client MUST mask all frames that it sends"; "a server MUST NOT mask any frames".
        let mask = self.keys.as_mut().map(|keys| keys.next()).transpose()?;
        let mut bytes = [0; Header::MAX_LEN];
        let header = Header {
            fin,
            rsv1: false,
            opcode,
            mask,
            len: len as u64,
        };
        let size = header.encode(&mut bytes);
        self.output()
            .copy(bytes.get(..size).unwrap_or_default(), &[]);
        self.progress.add(size);
        Ok(mask.unwrap_or_default())
    }

    fn copy(&mut self, payload: &[u8], key: [u8; 4]) {
        self.progress.add(payload.len());
        if self.keys.is_some() {
            mask::apply(self.output().copy_mut(payload), key, 0);
        } else {
            self.output().copy(payload, &[]);
        }
    }
}
