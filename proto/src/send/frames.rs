//! From messages to frames (RFC 6455 §5.4): what becomes bytes, and when.

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::{Closing, Sender, Transmit};
use crate::{
    CloseFrame, Control, ControlPayload, EntropyError, RecvError,
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

/// An item that is being framed.
pub(super) struct Framing {
    item: Item,
    /// Payload bytes that are missing of a frame whose header is out.
    left: usize,
    /// Turned so that it begins with the next of them.
    key: [u8; 4],
}

impl Framing {
    pub(super) fn new(item: Item) -> Self {
        Self {
            item,
            left: 0,
            key: [0; 4],
        }
    }

    /// Whether this is no frame boundary.
    pub(super) fn is_inside(&self) -> bool {
        self.left > 0
    }
}

impl Sender {
    /// Turns into bytes what is due, until the high-water mark.
    pub(crate) fn fill(&mut self) {
        let enough = self.config.send_high_water.max(1);
        while self.end.is_none() && self.waiting() < enough {
            let more = match &self.current {
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

    /// At a frame boundary: what comes next? `Ok(false)` if nothing does.
    fn frame_next(&mut self) -> Result<bool, EntropyError> {
        // One control frame at most waits in `transmit`, until a Close ends it all, so that a peer
        // that pings and does not read costs three frames: that one and two that are still slots.
        let ends = self.owed.close.is_some()
            || self.closing != Closing::No && self.current.is_none() && self.queue.is_empty();
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
            self.drop_waiting();
            return self.frame_close(close.as_ref());
        }
        if self.current.is_none() {
            self.current = self.queue.pop_front().map(Framing::new);
        }
        if self.current.is_some() {
            return self.frame_begin();
        }
        // Nothing waits, so nothing that was queued before our Close does.
        self.queue = VecDeque::new();
        match core::mem::replace(&mut self.closing, Closing::Framed) {
            Closing::Queued(close) => self.frame_close(close.as_ref()),
            other => {
                self.closing = other;
                Ok(false)
            }
        }
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

    /// The next frame of the current item.
    fn frame_begin(&mut self) -> Result<bool, EntropyError> {
        let Some(Framing {
            item:
                Item {
                    opcode,
                    fin,
                    payload,
                },
            ..
        }) = &self.current
        else {
            return Ok(false);
        };
        let (opcode, fin, rest) = (*opcode, *fin, payload.len());
        let most = match self.config.send_frame_size {
            Some(size) if !opcode.is_control() => size.max(1),
            _ => usize::MAX,
        };
        let size = rest.min(most);
        let ping = match payload {
            Payload::Shared(payload) if opcode == OpCode::Ping => Some(payload.clone()),
            _ => None,
        };
        let key = self.frame_header(opcode, fin && size == rest, size)?;
        if let Some(payload) = ping {
            let end = self.progress.framed_bytes.saturating_add(size as u64);
            self.progress.ping = Some((end, ControlPayload::from_checked(payload)));
        }
        if let Some(current) = &mut self.current {
            (current.left, current.key) = (size, key);
            if !opcode.is_control() {
                current.item.opcode = OpCode::Continuation;
            }
        }
        self.frame_rest()
    }

    /// More of the frame that is under way. Large payloads are shared; a client masks those that are
    /// its own where they are, and a copy of the others.
    fn frame_rest(&mut self) -> Result<bool, EntropyError> {
        let Some(current) = &mut self.current else {
            return Ok(false);
        };
        let key = current.key;
        let masked = self.keys.is_some();
        let step = if masked {
            current.left.min(Self::MASK_STEP)
        } else {
            current.left
        };
        let piece = current.item.payload.split_to(step);
        current.left = current.left.saturating_sub(step);
        current.key.rotate_left(step % 4);
        self.queued = self.queued.saturating_sub(step);
        if current.left == 0 && current.item.payload.len() == 0 {
            self.current = None;
            self.progress.framed = self.progress.framed.saturating_add(1);
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
